//! The rules of the day: the facts, the policies and what the sources of groups have said, asked as [`Rules`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
};

use cedar_policy::{AuthorizationError, Authorizer, Decision, Entities, Request, Response};
use chrono::{DateTime, TimeDelta, Utc};
use regex::Regex;

use super::{
    Book, Facts, Guarded, Lookup, Who,
    directory::{Directory, Looked},
    words,
    world::{self, World},
};
use crate::access::{Chat, PolicyId, Question, Refreshing, Resource, Right, Rules, Verdict};

/// Groups whose people are not known are tried both ways, for the one who acts and the one who asked, up to so many
/// ways; beyond that nothing is allowed that depends on them.
const DOUBTS_MAX: usize = 4;
/// People asked after one by one, to say who may do a thing.
const CANDIDATES_MAX: usize = 2_000;
/// How much older than the cache's time an answer may be when a question comes to be asked: messages wait in a queue.
const GRACE_SECS: i64 = 10;

/// The rules of the day.
pub struct Policies {
    facts: Arc<Facts>,
    book: Arc<Book>,
    ticket: Option<Regex>,
    directory: Directory,
    snapshot: RwLock<Arc<Snapshot>>,
    authorizer: Authorizer,
}

/// The entities, and when each source was asked.
pub(super) struct Snapshot {
    pub(super) world: Arc<World>,
    pub(super) looked: BTreeMap<String, Looked>,
}

/// What the policies say, before it is put into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Yes, by these.
    Yes(Vec<PolicyId>),
    /// These forbid it.
    Forbidden(Vec<PolicyId>),
    /// No policy permits it.
    Silent,
    /// Only policies permit it that name the asker.
    Personal(Vec<PolicyId>),
    /// These failed.
    Broken(Vec<(PolicyId, String)>),
    /// It depends on who is in these groups, and that can't be found out now; each with why.
    Doubtful(Vec<(String, String)>),
}

impl Policies {
    /// Joins facts and policies.
    ///
    /// # Errors
    /// Groups that contain each other in a circle; the config refuses them before.
    pub fn new(facts: Facts, book: Book) -> Result<Self, String> {
        let (facts, book) = (Arc::new(facts), Arc::new(book));
        let world = Arc::new(World::build(&facts, &book, &BTreeMap::new())?);
        let snapshot = RwLock::new(Arc::new(Snapshot { world, looked: BTreeMap::new() }));
        let directory = Directory::default();
        Ok(Self { facts, book, ticket: None, directory, snapshot, authorizer: Authorizer::new() })
    }

    /// Says what a ticket in a reason looks like.
    #[must_use]
    pub fn with_ticket(mut self, pattern: Option<Regex>) -> Self {
        self.ticket = pattern;
        self
    }

    /// Says whom to ask who is in a group, and for how long the answer is good, in seconds.
    #[must_use]
    pub fn with_sources(mut self, lookups: BTreeMap<String, Arc<dyn Lookup>>, cache_secs: u64) -> Self {
        self.directory = Directory::new(lookups, cache_secs);
        self
    }

    /// What a ticket in a reason looks like.
    pub(super) fn ticket_pattern(&self) -> Option<&str> {
        self.ticket.as_ref().map(Regex::as_str)
    }

    /// The facts behind the rules.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The policies behind the rules.
    pub fn book(&self) -> &Book {
        &self.book
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the sources whose answers are older than the cache's time. One that does not answer in time is down, and
    /// whatever depends on it is refused until it answers.
    pub async fn look_up(&self, now: DateTime<Utc>) {
        let looked = {
            let Some(_gate) = self.directory.due(&self.snapshot().looked, now) else { return };
            let _one_at_a_time = self.directory.gate().await;
            // Whoever waited finds it done.
            let before = self.snapshot();
            let Some(due) = self.directory.due(&before.looked, now) else { return };
            let answers = self.directory.ask(due, &self.facts, now).await;
            let mut looked = before.looked.clone();
            looked.extend(answers);
            let same = known(&looked) == known(&before.looked);
            let world = if same { Ok(Arc::clone(&before.world)) } else { self.built(&looked).await };
            // A circle of groups can't come from a source: sources have no groups in them.
            let world = world.unwrap_or_else(|_| Arc::clone(&before.world));
            Snapshot { world, looked }
        };
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(looked);
    }

    /// What the sources said when they were last asked: for each group its people by name, or why nobody knows.
    pub fn sourced(&self) -> Vec<(String, Result<Vec<String>, String>)> {
        let people = |looked: &Looked| looked.people.clone().map(|people| people.into_iter().collect());
        self.snapshot().looked.iter().map(|(group, looked)| (group.clone(), people(looked))).collect()
    }

    async fn built(&self, looked: &BTreeMap<String, Looked>) -> Result<Arc<World>, String> {
        let (facts, book, known) = (Arc::clone(&self.facts), Arc::clone(&self.book), known(looked));
        let world = tokio::task::spawn_blocking(move || World::build(&facts, &book, &known)).await;
        world.map_err(|error| error.to_string())?.map(Arc::new)
    }

    /// Whether somebody may do something, in no words yet.
    pub(super) fn outcome(&self, snapshot: &Snapshot, question: &Question<'_>, strict: bool) -> Outcome {
        let doubts = if strict { self.doubts(snapshot, question) } else { Vec::new() };
        if doubts.is_empty() {
            let on_call = |who: &str| snapshot.world.on_call.contains(who);
            let on_call = (on_call(question.who), on_call(question.requester));
            return self.asked(&snapshot.world, &snapshot.world.entities, question, on_call);
        }
        self.both_ways(snapshot, question, &doubts)
    }

    /// The groups that the answer may depend on and of which nobody can say now who is in them.
    fn doubts(&self, snapshot: &Snapshot, question: &Question<'_>) -> Vec<(String, String)> {
        let doubtful = self.directory.doubtful(&snapshot.looked, question.now, TimeDelta::seconds(GRACE_SECS));
        if doubtful.is_empty() {
            return doubtful;
        }
        let mut concerned: BTreeSet<&str> = BTreeSet::new();
        for (_, known) in self.book.known_about(question.right) {
            concerned.extend(known.groups.iter().map(String::as_str));
        }
        let lists = self.facts.resources().get(question.resource).map(lists_of).unwrap_or_default();
        for who in lists.into_iter().chain([self.facts.security()]).flatten() {
            if let Who::Group(group) = who {
                concerned.insert(group);
            }
        }
        concerned.extend(self.facts.groups().iter().filter(|(_, group)| group.on_call).map(|(name, _)| name.as_str()));
        let concerned: BTreeSet<&str> = concerned.into_iter().flat_map(|group| self.facts.within(group)).collect();
        doubtful.into_iter().filter(|(group, _)| concerned.contains(group.as_str())).collect()
    }

    /// Asks as if the two people were in the doubtful groups, and as if they were not. What is not the same in every case
    /// is not known.
    fn both_ways(&self, snapshot: &Snapshot, question: &Question<'_>, doubts: &[(String, String)]) -> Outcome {
        let people: Vec<&str> = if question.who == question.requester {
            vec![question.who]
        } else {
            vec![question.who, question.requester]
        };
        let unknown: Vec<(&str, &str)> =
            people.iter().flat_map(|who| doubts.iter().map(move |(group, _)| (*who, group.as_str()))).collect();
        let doubtful = || Outcome::Doubtful(doubts.to_vec());
        // An answer that is too old is no answer: what it said is left out.
        let mut sure = known(&snapshot.looked);
        sure.retain(|group, _| doubts.iter().all(|(doubted, _)| doubted != group));
        let sure = self.facts.flat(&sure);
        if unknown.len() > DOUBTS_MAX {
            // Nobody in any of them is the one case that is always tried, for a no that holds anyway is said in its own words.
            return match self.supposed((snapshot, &sure), question, &people, &BTreeSet::new()) {
                Outcome::Yes(_) | Outcome::Silent | Outcome::Doubtful(_) => doubtful(),
                no @ (Outcome::Forbidden(_) | Outcome::Personal(_) | Outcome::Broken(_)) => no,
            };
        }
        let mut outcomes = (0_u32..1 << unknown.len()).map(|way| {
            let so = unknown.iter().enumerate().filter(|(at, _)| way >> at & 1 == 1).map(|(_, pair)| *pair);
            self.supposed((snapshot, &sure), question, &people, &so.collect())
        });
        let Some(first) = outcomes.next() else { return doubtful() };
        let mut yes: Option<BTreeSet<PolicyId>> = None;
        for outcome in [first.clone()].into_iter().chain(outcomes) {
            match (&first, outcome) {
                (_, broken @ Outcome::Broken(_)) => return broken,
                (Outcome::Yes(_), Outcome::Yes(policies)) => {
                    let policies: BTreeSet<PolicyId> = policies.into_iter().collect();
                    yes = Some(match yes {
                        None => policies,
                        Some(before) => {
                            let common: BTreeSet<PolicyId> = before.intersection(&policies).cloned().collect();
                            if common.is_empty() { &before | &policies } else { common }
                        }
                    });
                }
                (Outcome::Yes(_), _) | (_, Outcome::Yes(_)) => return doubtful(),
                (_, Outcome::Forbidden(_) | Outcome::Silent | Outcome::Personal(_) | Outcome::Doubtful(_)) => {}
            }
        }
        yes.map_or(first, |policies| Outcome::Yes(policies.into_iter().collect()))
    }

    /// The answer if of the doubtful groups these two were in these only.
    fn supposed(
        &self,
        (snapshot, sure): (&Snapshot, &BTreeMap<String, BTreeSet<String>>),
        question: &Question<'_>,
        people: &[&str],
        supposed: &BTreeSet<(&str, &str)>,
    ) -> Outcome {
        let groups = |who: &str| -> BTreeSet<&str> {
            let sure = sure.iter().filter(|(_, members)| members.contains(who)).map(|(group, _)| group.as_str());
            sure.chain(supposed.iter().filter(|(name, _)| *name == who).map(|(_, group)| *group)).collect()
        };
        let on_call = |who: &str| {
            self.facts.groups().iter().filter(|(_, group)| group.on_call).any(|(name, _)| {
                let within = || self.facts.within(name);
                sure.get(name).is_some_and(|members| members.contains(who))
                    || supposed.iter().any(|(person, inner)| *person == who && within().contains(inner))
            })
        };
        let people: Vec<(&str, BTreeSet<&str>)> = people.iter().map(|who| (*who, groups(who))).collect();
        match World::small(&self.facts, &self.book, &people, question.resource) {
            Ok(entities) => {
                let on_call = (on_call(question.who), on_call(question.requester));
                self.asked(&snapshot.world, &entities, question, on_call)
            }
            Err(words) => Outcome::Broken(vec![(String::new(), words)]),
        }
    }

    fn asked(&self, world: &World, entities: &Entities, question: &Question<'_>, on_call: (bool, bool)) -> Outcome {
        match self.response(world, entities, question, on_call) {
            Ok(response) => self.read(&response, question),
            Err(words) => Outcome::Broken(vec![(String::new(), words)]),
        }
    }

    fn response(
        &self,
        world: &World,
        entities: &Entities,
        question: &Question<'_>,
        on_call: (bool, bool),
    ) -> Result<Response, String> {
        let Question { right, who, resource, requester, .. } = *question;
        let name = |who: &str| world.person(who).cloned().unwrap_or_else(|| self.book.names.principal(who));
        let (policies, action) = self.book.about(right).ok_or("there are no policies about it")?;
        let (uid, zone) = match right {
            Right::ReadLog | Right::Administer => (self.book.names.log(), chrono_tz::Tz::UTC),
            Right::Request
            | Right::Approve
            | Right::AutoApprove
            | Right::BreakGlass
            | Right::Revoke
            | Right::Review => {
                let zone = self.facts.resource(resource).map_or(chrono_tz::Tz::UTC, |resource| resource.zone);
                let known = world.resource(resource).cloned();
                (known.unwrap_or_else(|| self.book.names.resource(resource)), zone)
            }
        };
        let context = world::context(question, zone, self.ticket.as_ref(), name(requester), on_call)?;
        let request = Request::new(name(who), action.clone(), uid, context, None).map_err(|error| error.to_string())?;
        Ok(self.authorizer.is_authorized(&request, policies, entities))
    }

    fn read(&self, response: &Response, question: &Question<'_>) -> Outcome {
        let errors = response.diagnostics().errors().map(|AuthorizationError::PolicyEvaluationError(error)| {
            (error.policy_id().to_string(), error.inner().to_string())
        });
        let errors: Vec<(PolicyId, String)> = errors.collect();
        if !errors.is_empty() {
            return Outcome::Broken(errors);
        }
        let mut policies: Vec<PolicyId> = response.diagnostics().reason().map(ToString::to_string).collect();
        policies.sort();
        match response.decision() {
            Decision::Deny if policies.is_empty() => Outcome::Silent,
            Decision::Deny => Outcome::Forbidden(policies),
            Decision::Allow if question.right == Right::AutoApprove => {
                let names_asker =
                    |id: &PolicyId| self.book.known.get(id).is_some_and(|known| known.people.contains(question.who));
                let (personal, general): (Vec<_>, Vec<_>) = policies.into_iter().partition(names_asker);
                if general.is_empty() { Outcome::Personal(personal) } else { Outcome::Yes(general) }
            }
            Decision::Allow => Outcome::Yes(policies),
        }
    }
}

/// Every list of a resource.
pub(super) fn lists_of(guarded: &Guarded) -> Vec<&[Who]> {
    let Guarded { approvers, escalate_to, revokers, break_glass, reviewers, .. } = guarded;
    let lists = [approvers, escalate_to, revokers, break_glass, reviewers].map(Vec::as_slice);
    lists.into_iter().chain(guarded.requesters.as_deref()).collect()
}

/// Who is in the groups that have a source, as far as the sources have said.
fn known(looked: &BTreeMap<String, Looked>) -> BTreeMap<String, BTreeSet<String>> {
    looked.iter().filter_map(|(group, looked)| Some((group.clone(), looked.people.clone().ok()?))).collect()
}

impl Rules for Policies {
    fn principal(&self, chat: Chat, account: &str) -> Option<String> {
        self.facts.principal(chat, account).map(str::to_owned)
    }

    fn account(&self, chat: Chat, who: &str) -> Option<String> {
        self.facts.account(chat, who).map(str::to_owned)
    }

    fn knows(&self, who: &str) -> bool {
        self.facts.people().contains(who)
    }

    fn resource(&self, name: &str) -> Option<Resource> {
        self.facts.resource(name).cloned()
    }

    fn resource_names(&self) -> Vec<String> {
        self.facts.resources().keys().cloned().collect()
    }

    fn security_channel(&self) -> Option<String> {
        self.facts.security_channel().map(str::to_owned)
    }

    fn judge(&self, question: &Question<'_>) -> Verdict {
        let no = |words: String| Verdict::No { policies: Vec::new(), words };
        let Question { right, who, resource, .. } = *question;
        if !self.knows(who) {
            return no("i don't know you. Ask whoever looks after `people.toml` to add you".to_owned());
        }
        let about_resource = !matches!(right, Right::ReadLog | Right::Administer);
        if about_resource && self.facts.resource(resource).is_none() {
            return no(format!("there is no resource `{resource}` any more"));
        }
        let snapshot = self.snapshot();
        let outcome = self.outcome(&snapshot, question, true);
        let hint = |right: Right| {
            let asked = Question { right, ..question.clone() };
            words::whom(&self.hinted(&snapshot, &asked))
        };
        match outcome {
            Outcome::Yes(policies) => Verdict::Yes(policies),
            Outcome::Forbidden(policies) => {
                let words = words::forbidden(&policies, &self.book, self.facts.resource(resource), question);
                Verdict::No { policies, words }
            }
            Outcome::Silent => no(words::silent(question, &hint)),
            Outcome::Personal(policies) => {
                let words = words::personal(&policies, &hint(Right::Approve));
                Verdict::No { policies, words }
            }
            Outcome::Doubtful(groups) => no(words::doubtful(&groups)),
            Outcome::Broken(errors) => {
                let words = words::broken(&errors);
                Verdict::Broken { policies: errors.into_iter().map(|(id, _)| id).collect(), words }
            }
        }
    }

    fn allows(&self, question: &Question<'_>) -> bool {
        let known = self.knows(question.who) && self.facts.resource(question.resource).is_some();
        known && matches!(self.outcome(&self.snapshot(), question, false), Outcome::Yes(_))
    }

    fn might(&self, right: Right, who: &str, resource: &str) -> bool {
        let known = self.knows(who) && self.facts.resource(resource).is_some();
        known && self.candidates(&self.snapshot(), right, resource, false).contains(&who)
    }

    fn those_who_may(&self, question: &Question<'_>) -> Vec<String> {
        let snapshot = self.snapshot();
        let mut people = self.candidates(&snapshot, question.right, question.resource, question.escalated);
        people.truncate(CANDIDATES_MAX);
        people.retain(|who| *who != question.requester && self.may(&snapshot, question, who));
        people.sort_unstable();
        people.into_iter().map(str::to_owned).collect()
    }

    fn refresh(&self, now: DateTime<Utc>) -> Refreshing<'_> {
        Box::pin(self.look_up(now))
    }
}
