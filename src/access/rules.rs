//! The questions the core asks about who may do what, without knowing who answers them.

use super::{Chat, Span, event::Target};

/// The name of a rule that took part in a decision.
pub type PolicyId = String;

/// What the rules say, and which of them said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, by these rules.
    Yes(Vec<PolicyId>),
    /// No, by these rules; the words are for the person: lower case, no full stop.
    No {
        /// The rules that said no, or none where no rule said yes.
        policies: Vec<PolicyId>,
        /// Why, with what would help.
        words: String,
    },
}

/// A resource as the rules know it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// What it is, for cards.
    pub description: String,
    /// Where the provider finds it: copied into every request, so that a later edit can't strand a grant.
    pub target: Target,
    /// How many different people have to approve.
    pub quorum: u32,
    /// The longest access anybody gets.
    pub max_duration: Span,
    /// How long a request waits for its decision before it lapses.
    pub lapse_after: Span,
    /// The channel its cards go to.
    pub channel: String,
}

/// The rules of the day. Asked anew at every click; answers are never kept.
pub trait Rules: Send + Sync {
    /// The person behind an account, by principal name.
    fn principal(&self, chat: Chat, account: &str) -> Option<String>;
    /// The account of a person on a platform, by principal name: where they can be told something.
    fn account(&self, chat: Chat, who: &str) -> Option<String>;
    /// A resource by its exact name.
    fn resource(&self, name: &str) -> Option<Resource>;
    /// The names of all resources, sorted.
    fn resource_names(&self) -> Vec<String>;
    /// Whether this person may ask for this resource for this long.
    fn may_request(&self, who: &str, resource: &str, span: Span) -> Verdict;
    /// Whether this person may approve or deny somebody's request. Never asked about one's own: that is code.
    fn may_approve(&self, who: &str, requester: &str, resource: &str, span: Span) -> Verdict;
    /// Whether this person may end somebody else's access.
    fn may_revoke(&self, who: &str, holder: &str, resource: &str) -> Verdict;
    /// Who could approve, by name, for telling people whom to ask.
    fn approvers(&self, resource: &str) -> Vec<String>;
}
