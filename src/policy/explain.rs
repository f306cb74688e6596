//! Who may do what, and why not: the questions of a request, asked ahead of the very rules that will decide it.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Policies;
use crate::access::{Chat, Question, Refusal, Right, Rules as _, Span, Verdict};

/// What somebody would ask for.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Who, by principal name.
    pub who: &'a str,
    /// For what, by name.
    pub resource: &'a str,
    /// For how long.
    pub span: Span,
    /// What for.
    pub reason: &'a str,
    /// When.
    pub now: DateTime<Utc>,
    /// On which platform.
    pub chat: Chat,
    /// In which channel.
    pub channel: &'a str,
}

/// One answer of the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub enum Said {
    /// Yes.
    Yes {
        /// By these rules.
        policies: Vec<String>,
    },
    /// No.
    No {
        /// By these rules; none where no rule permits it.
        policies: Vec<String>,
        /// Why, as the person would be told.
        words: String,
    },
    /// No, because rules failed.
    Broken {
        /// These.
        policies: Vec<String>,
        /// Why.
        words: String,
    },
}

impl Said {
    /// Whether it is a yes.
    #[must_use]
    pub fn is_yes(&self) -> bool {
        matches!(self, Self::Yes { .. })
    }
}

impl From<Verdict> for Said {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Yes(policies) => Self::Yes { policies },
            Verdict::No { policies, words } => Self::No { policies, words },
            Verdict::Broken { policies, words } => Self::Broken { policies, words },
        }
    }
}

/// What the rules say of one other person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct About {
    /// Who.
    pub who: String,
    /// Whether they may approve.
    #[serde(flatten)]
    pub said: Said,
    /// Whether they may once the request was escalated.
    pub after_escalation: bool,
}

/// All that the rules say of a wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Who asks.
    pub who: String,
    /// For what.
    pub resource: String,
    /// For how long.
    pub duration_secs: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// Whether they may ask.
    pub request: Said,
    /// Whether it would be approved without anybody.
    pub automatic: Said,
    /// Whether they may break the glass instead.
    pub break_glass: Said,
    /// How many different people have to approve.
    pub quorum: u32,
    /// The longest access, in seconds.
    pub longest_secs: u64,
    /// The longest access by break-glass, in seconds.
    pub break_glass_longest_secs: u64,
    /// Everybody else, by name: those who may approve, and those who may not and why.
    pub others: Vec<About>,
}

impl Explanation {
    /// Those who may approve it now.
    pub fn approvers(&self) -> impl Iterator<Item = &About> {
        self.others.iter().filter(|about| about.said.is_yes())
    }
}

impl Policies {
    /// Says what would become of a wish. `None` if there is no such resource.
    #[must_use]
    pub fn explain(&self, wish: &Wish<'_>) -> Option<Explanation> {
        let resource = self.resource(wish.resource)?;
        let question = Question {
            right: Right::Request,
            who: wish.who,
            resource: wish.resource,
            requester: wish.who,
            span: wish.span,
            reason: wish.reason,
            now: wish.now,
            chat: Some(wish.chat),
            channel: wish.channel,
            approvals: 0,
            escalated: false,
        };
        // The limits stand before all rules, in the core.
        let within = |right, most| -> Said {
            if wish.span > most {
                let words = Refusal::TooLong { resource: resource.name.clone(), asked: wish.span, most }.to_string();
                let policies =
                    vec![if right == Right::BreakGlass { "break-glass-max" } else { "max-duration" }.to_owned()];
                return Said::No { policies, words };
            }
            self.judge(&Question { right, ..question.clone() }).into()
        };
        let others = self.facts().people().iter().filter(|name| *name != wish.who).map(|name| {
            let said = self.may_approve(&question, name, false);
            let after_escalation = said.is_yes() || self.may_approve(&question, name, true).is_yes();
            About { who: name.clone(), said, after_escalation }
        });
        Some(Explanation {
            others: others.collect(),
            who: wish.who.to_owned(),
            resource: wish.resource.to_owned(),
            duration_secs: wish.span.secs(),
            at: wish.now,
            request: within(Right::Request, resource.max_duration),
            automatic: self.passes(&question, &resource.channel),
            break_glass: within(Right::BreakGlass, resource.break_glass_max),
            quorum: resource.quorum,
            longest_secs: resource.max_duration.secs(),
            break_glass_longest_secs: resource.break_glass_max.secs(),
        })
    }

    /// Whoever approves says yes by the rules of that moment, and by them it has to be possible still to ask.
    fn may_approve(&self, question: &Question<'_>, who: &str, escalated: bool) -> Said {
        let approve = Question { right: Right::Approve, who, escalated, ..question.clone() };
        match self.judge(&approve) {
            yes @ Verdict::Yes(_) => {
                match self.judge(&Question { right: Right::Request, who: question.who, ..approve }) {
                    Verdict::Yes(_) => yes.into(),
                    no @ (Verdict::No { .. } | Verdict::Broken { .. }) => no.into(),
                }
            }
            no @ (Verdict::No { .. } | Verdict::Broken { .. }) => no.into(),
        }
    }

    /// A rule that approves by itself is asked when the request comes, and again once it is on the disk; by then it is
    /// nobody's message any more.
    fn passes(&self, question: &Question<'_>, channel: &str) -> Said {
        let asked = Question { right: Right::AutoApprove, ..question.clone() };
        let later = Question { chat: None, channel, ..asked.clone() };
        let still = Question { right: Right::Request, ..later.clone() };
        let last = self.judge(&later);
        for verdict in [self.judge(question), self.judge(&asked), self.judge(&still)] {
            if !matches!(verdict, Verdict::Yes(_)) {
                return verdict.into();
            }
        }
        last.into()
    }
}
