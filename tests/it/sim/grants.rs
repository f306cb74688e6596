//! The predicates about one request and the access that follows from it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use countersign::{access::Right, ledger::Entry};

use super::{
    checks::{END, EXPIRY, FINISHED, Found, ONCE, PERSON, RECORD, Said, UNKNOWN, holds, moment, number, text},
    disk::LOG_TAG,
    doors::is_shared,
    world::Inner,
};

/// A request, as far as the predicates follow it.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own that an entry states")]
pub struct Ask {
    pub person: String,
    pub requester: String,
    pub message: u64,
    pub asked_at: DateTime<Utc>,
    pub resource: String,
    pub target: String,
    pub secs: u64,
    pub quorum: u64,
    pub leaf: String,
    pub lapse_at: DateTime<Utc>,
    pub glass: bool,
    pub automatic: bool,
    pub extends: Option<u64>,
    pub starts_at: Option<DateTime<Utc>>,
    pub also: usize,
    /// Who approved, and for how long.
    pub approvals: BTreeMap<String, Option<u64>>,
    /// Whether a rule approved it.
    by_rule: bool,
    /// When it was approved.
    pub approved_at: Option<DateTime<Utc>>,
    called: BTreeSet<String>,
    /// The ends that were ordered.
    pub orders: Vec<DateTime<Utc>>,
    /// The end that holds.
    pub until: Option<DateTime<Utc>>,
    /// How often its provider was called to open and to shut it.
    pub opened: u64,
    pub shut: u64,
    pub issued: bool,
    pub ending: Option<String>,
    /// The kind of the entry that finished it.
    pub end: Option<String>,
    /// Since when it is over or being ended.
    pub over_since: Option<u64>,
    pub reviewed: bool,
    pub missing: bool,
    pub keys: u64,
    pub keys_called: u64,
    pub keys_taken: BTreeSet<u64>,
    told: BTreeSet<(String, String)>,
}

impl Ask {
    pub fn is_pending(&self) -> bool {
        self.end.is_none() && self.approved_at.is_none()
    }

    pub fn is_live(&self) -> bool {
        self.issued && self.ending.is_none() && self.end.is_none()
    }

    fn is_over(&self) -> bool {
        self.ending.is_some() || self.end.is_some()
    }

    /// For how long it was approved.
    fn granted(&self) -> u64 {
        self.approvals.values().filter_map(|secs| *secs).chain([self.secs]).min().unwrap()
    }

    fn is_signed(&self) -> bool {
        self.by_rule || self.approvals.len() as u64 >= self.quorum
    }
}

pub fn external_id(id: u64) -> String {
    format!("cs_{LOG_TAG}_{id}")
}

fn ends(ask: &mut Ask, entry: &Entry, in_order: bool) -> Found {
    ask.end = Some(entry.kind.clone());
    holds(in_order, END, || format!("out of order: {ask:?}"))
}

/// What may still be said of what is finished.
const AFTERWARDS: [&str; 5] = ["card.posted", "notice.sent", "credential.failed", "people.called", "review.given"];

impl Inner {
    pub fn requested(&mut self, entry: &Entry) -> Found {
        let said = self.acts(entry)?;
        let manner = &entry.body.get("manner").cloned().unwrap_or_default();
        let time = |name: &str| manner[name].as_str().map(|text| text.parse().unwrap());
        let glass = manner["break_glass"] == true;
        let ask = Ask {
            person: said.person.clone(),
            requester: text(entry, "requester").to_owned(),
            message: number(entry, "message").unwrap(),
            asked_at: entry.time,
            resource: text(entry, "resource").to_owned(),
            target: entry.body["target"]["settings"]["door"].as_str().unwrap().to_owned(),
            secs: number(entry, "duration_secs").unwrap_or_default(),
            quorum: number(entry, "quorum").unwrap_or_default(),
            leaf: hex::encode(entry.leaf),
            lapse_at: moment(entry, "lapse_at"),
            glass,
            automatic: manner["automatic"] == true,
            extends: manner["extends"].as_u64(),
            starts_at: time("starts_at"),
            also: manner["also"].as_array().map_or(0, Vec::len),
            approved_at: glass.then_some(entry.time),
            ..Ask::default()
        };
        let base = ask.extends.and_then(|base| self.checks.asks.get(&base));
        let of_own = base.is_none_or(|base| base.is_live() && base.person == ask.person && base.target == ask.target);
        let owes = |other: &Ask| {
            let failed = other.end.as_deref() == Some("grant.failed");
            other.glass && !other.reviewed && !failed && other.requester == ask.requester
        };
        let owing = glass && self.checks.asks.values().any(owes);
        let allowed = self.ruled(&said, |facts| {
            if glass {
                let guard = facts.resources.get(&ask.resource);
                return facts.may(Right::BreakGlass, &ask.person, &ask.resource)
                    && guard.is_some_and(|guard| ask.secs <= guard.longest_glass);
            }
            facts.may(Right::Request, &ask.person, &ask.resource) && facts.gives(&ask.resource, ask.secs)
        });
        let needs = self.facts().resources.get(&ask.resource).map_or(0, |guard| u64::from(guard.quorum));
        let quorum = ask.quorum == if glass { 0 } else { needs };
        let own = ask.requester == said.from;
        for (what, so) in [
            ("asked to break the glass", glass),
            ("asked for more time", ask.extends.is_some()),
            ("asked for later", ask.starts_at.is_some()),
        ] {
            if so {
                self.count(what);
            }
        }
        self.checks.asks.insert(entry.seq, ask);
        holds(allowed && quorum, PERSON, || format!("{} may not ask for it", said.person))?;
        holds(own && of_own, PERSON, || "it is for somebody else".into())?;
        holds(!owing, PERSON, || format!("{} owes a review", said.person))
    }

    pub fn about(&mut self, id: u64, entry: &Entry) -> Found {
        let Some(mut ask) = self.checks.asks.get(&id).cloned() else {
            return Err((RECORD, format!("there is no request {id}")));
        };
        let afterwards = AFTERWARDS.contains(&entry.kind.as_str());
        holds(afterwards || ask.end.is_none(), FINISHED, || format!("{id} was finished by `{:?}`", ask.end))?;
        let found = self.follow(id, &mut ask, entry);
        if ask.is_over() && ask.over_since.is_none() {
            ask.over_since = Some(self.mono);
        }
        self.checks.asks.insert(id, ask);
        found
    }

    fn follow(&mut self, id: u64, ask: &mut Ask, entry: &Entry) -> Found {
        match entry.kind.as_str() {
            "request.approved" => self.approved(ask, entry),
            "request.denied" => self.denied(ask, entry),
            "request.autoapproved" => self.approved_by_rule(ask, entry),
            "request.reconsidered" => {
                let was = std::mem::replace(&mut ask.automatic, false);
                holds(was && ask.is_pending(), ONCE, || "it was never automatic".into())
            }
            "approval.withdrawn" => {
                let said = self.acts(entry)?;
                let own = ask.approvals.remove(&said.person).is_some() && text(entry, "by") == said.from;
                holds(own && ask.is_pending(), PERSON, || format!("{} never approved it", said.person))
            }
            "people.called" => self.called(ask, entry),
            "request.cancelled" => {
                let said = self.acts(entry)?;
                holds(said.person == ask.person, PERSON, || format!("{} is not its requester", said.person))?;
                ends(ask, entry, ask.orders.is_empty() && !ask.is_over())
            }
            "request.lapsed" => {
                let late = entry.time >= ask.lapse_at;
                ends(ask, entry, ask.is_pending() && (late || self.has_lost_its_base(ask)))
            }
            "grant.ordered" => self.ordered(id, ask, entry),
            "grant.issued" => issued(ask, entry),
            "grant.extended" => self.extended(ask, entry),
            "grant.deferred" => {
                let open = !ask.orders.is_empty() && !ask.issued && !ask.is_over();
                holds(open, END, || "it is not being opened".into())
            }
            "grant.failed" => {
                let own = ask.extends.is_none();
                let open = own && self.doors.with(&ask.target, &external_id(id)).is_some_and(|door| !door.stray);
                holds(!open, EXPIRY, || format!("{id} failed, and its door is open"))?;
                let started = !ask.orders.is_empty() || ask.starts_at.is_some() || self.has_lost_its_base(ask);
                ends(ask, entry, ask.approved_at.is_some() && started && !ask.issued && ask.ending.is_none())
            }
            "grant.ending" => self.ending(ask, entry),
            "grant.stuck" => holds(ask.ending.is_some(), END, || "it is not being ended".into()),
            "grant.ended" => self.ended(id, ask, entry),
            "credential.ordered" => {
                let said = self.acts(entry)?;
                holds(said.person == ask.person, PERSON, || format!("{} is not its holder", said.person))?;
                ask.keys += 1;
                let live = ask.is_live() && ask.until.is_some_and(|end| end > entry.time);
                holds(live && number(entry, "n") == Some(ask.keys), EXPIRY, || "a key for what is not live".into())
            }
            "credential.taken" => {
                let n = number(entry, "n").unwrap_or_default();
                let called = ask.keys_called >= n && ask.keys == n;
                holds(called && ask.keys_taken.insert(n), RECORD, || "nobody cut it, or twice".into())?;
                let within = ask.until.is_some_and(|end| end >= moment(entry, "not_after"));
                holds(ask.is_live() && within, EXPIRY, || "a key beyond its grant".into())
            }
            "notice.sent" => {
                let told = (text(entry, "notice").to_owned(), text(entry, "to").to_owned());
                self.count(&format!("told {}", told.0));
                holds(ask.told.insert(told), ONCE, || "they were told before".into())
            }
            "review.given" => {
                let said = self.acts(entry)?;
                let allowed = self.ruled(&said, |facts| facts.may(Right::Review, &said.person, &ask.resource));
                holds(allowed, PERSON, || format!("{} may not review it", said.person))?;
                holds(said.person != ask.person, PERSON, || format!("{} reviews their own", said.person))?;
                let due = ask.glass && !ask.reviewed && ask.end.is_some();
                ask.reviewed = true;
                holds(due, ONCE, || "it owes no review".into())
            }
            "credential.failed" | "card.posted" => Ok(()),
            _ => Err((UNKNOWN, "the predicates don't know it".to_owned())),
        }
    }

    fn has_lost_its_base(&self, ask: &Ask) -> bool {
        ask.extends.and_then(|base| self.checks.asks.get(&base)).is_some_and(Ask::is_over)
    }

    /// Whether the rules that hold would still let it be asked, for so long.
    fn may_still_be_asked(&self, ask: &Ask, secs: u64) -> Found {
        let facts = self.facts();
        let still = facts.may(Right::Request, &ask.person, &ask.resource)
            && facts.gives(&ask.resource, secs)
            && facts.resources.get(&ask.resource).is_some_and(|it| u64::from(it.quorum) <= ask.quorum);
        holds(still, PERSON, || "by the rules that hold it could not be asked any more".into())?;
        holds(!self.has_lost_its_base(ask), END, || "what it is to extend is over".into())
    }

    fn approved(&mut self, ask: &mut Ask, entry: &Entry) -> Found {
        holds(text(entry, "terms") == ask.leaf, PERSON, || "other terms than those of the request".into())?;
        holds(ask.is_pending(), FINISHED, || "it was decided already".into())?;
        let secs = number(entry, "duration_secs");
        self.may_still_be_asked(ask, secs.unwrap_or(ask.secs))?;
        let person = if let Some(ahead) = number(entry, "preapproval") {
            self.count("approved ahead");
            let ahead = self.checks.aheads.get(&ahead).ok_or((PERSON, "nobody approved it ahead".to_owned()))?;
            let fits = ahead.person == ask.person
                && ahead.resource == ask.resource
                && ask.secs <= ahead.secs
                && ask.asked_at < ahead.until
                && ahead.by == text(entry, "by")
                && number(entry, "message") == Some(ask.message);
            let allowed = self.facts().may(Right::Approve, &ahead.giver, &ask.resource);
            holds(fits && allowed, PERSON, || format!("it was not approved ahead: {ahead:?}"))?;
            ahead.giver.clone()
        } else {
            let said = self.acts(entry)?;
            self.may_decide(ask, &said, entry)?;
            said.person
        };
        holds(person != ask.person, PERSON, || format!("{person} decided on their own request"))?;
        if secs.is_some() {
            self.count("approved for less");
        }
        holds(secs.is_none_or(|secs| secs < ask.secs), PERSON, || "it was approved for more".into())?;
        let first = ask.approvals.insert(person.clone(), secs).is_none();
        if ask.is_signed() {
            ask.approved_at = Some(entry.time);
        }
        holds(first, PERSON, || format!("{person} approved it twice"))
    }

    fn may_decide(&self, ask: &Ask, said: &Said, entry: &Entry) -> Found {
        let escalated = ask.called.contains("escalation");
        let allowed = self.ruled(said, |facts| {
            facts.resources.get(&ask.resource).is_some_and(|it| it.gives(Right::Approve, &said.person, escalated))
        });
        holds(allowed, PERSON, || format!("{} may not decide on it by the rules that hold", said.person))?;
        holds(text(entry, "by") == said.from, PERSON, || "it is said to be somebody else's decision".into())
    }

    fn denied(&mut self, ask: &mut Ask, entry: &Entry) -> Found {
        let said = self.acts(entry)?;
        holds(text(entry, "terms") == ask.leaf, PERSON, || "other terms than those of the request".into())?;
        if ask.is_pending() {
            holds(said.person != ask.person, PERSON, || format!("{} decided on their own request", said.person))?;
            self.may_decide(ask, &said, entry)?;
        } else {
            // What was approved and is not open yet is revoked.
            let allowed = self.ruled(&said, |facts| facts.may(Right::Revoke, &said.person, &ask.resource));
            holds(allowed, PERSON, || format!("{} may not revoke it", said.person))?;
            holds(ask.orders.is_empty(), FINISHED, || "it was ordered already".into())?;
        }
        ends(ask, entry, true)
    }

    fn approved_by_rule(&mut self, ask: &mut Ask, entry: &Entry) -> Found {
        holds(text(entry, "terms") == ask.leaf, PERSON, || "other terms than those of the request".into())?;
        holds(ask.is_pending() && ask.automatic, FINISHED, || "it was decided already, or by people".into())?;
        self.may_still_be_asked(ask, ask.secs)?;
        let allowed = self.facts().may(Right::AutoApprove, &ask.person, &ask.resource);
        ask.by_rule = true;
        ask.approved_at = Some(entry.time);
        holds(allowed, PERSON, || "no rule approves it".into())
    }

    fn called(&mut self, ask: &mut Ask, entry: &Entry) -> Found {
        let why = text(entry, "why").to_owned();
        self.count(&format!("called {why}"));
        let fits = match why.as_str() {
            "reminder" | "escalation" => ask.is_pending(),
            "break_glass" => ask.glass,
            _ => ask.glass && ask.end.as_deref() == Some("grant.ended") && !ask.reviewed,
        };
        let first = ask.called.insert(why);
        holds(fits && first, ONCE, || "there is no call for it, or they were called before".into())?;
        let own = entry.body["to"].as_array().unwrap().iter().any(|to| *to == ask.requester.as_str());
        holds(!own, PERSON, || "who asks is called for it".into())
    }

    fn ordered(&mut self, id: u64, ask: &mut Ask, entry: &Entry) -> Found {
        let approved = ask.glass || ask.is_signed();
        holds(approved, PERSON, || format!("{:?} are not {} people", ask.approvals, ask.quorum))?;
        holds(!ask.is_over() && !ask.issued, END, || "it was open or ended already".into())?;
        let early = ask.starts_at.is_some_and(|start| start > entry.time);
        holds(!early, EXPIRY, || "it was to start later".into())?;
        let not_after = moment(entry, "not_after");
        ask.orders.push(not_after);
        ask.until = Some(not_after);
        let next = number(entry, "attempt") == Some(ask.orders.len() as u64);
        let mark = external_id(ask.extends.unwrap_or(id));
        holds(next && text(entry, "external_id") == mark, RECORD, || "not the next order of it".into())?;
        let longest = TimeDelta::seconds(i64::try_from(ask.granted()).unwrap());
        let Some(base) = ask.extends else {
            let within = not_after > entry.time && not_after - entry.time <= longest;
            return holds(within, EXPIRY, || format!("{not_after} is not within {longest} of {}", entry.time));
        };
        let base = self.checks.asks.get(&base).filter(|base| base.is_live());
        let right = base.and_then(|base| base.until).is_some_and(|until| until + longest == not_after);
        holds(right, EXPIRY, || format!("{not_after} is not {longest} more"))
    }

    fn extended(&mut self, ask: &mut Ask, entry: &Entry) -> Found {
        let last = ask.orders.last().copied();
        let attempt = number(entry, "attempt") == Some(ask.orders.len() as u64);
        let answered = attempt && last == Some(moment(entry, "not_after")) && ask.opened > 0;
        holds(answered, RECORD, || "nobody was told to hold it open until then".into())?;
        let base = number(entry, "base").filter(|base| ask.extends == Some(*base));
        let base = base.and_then(|base| self.checks.asks.get_mut(&base)).filter(|base| base.is_live());
        let base = base.ok_or((END, "what it extends is not live".to_owned()))?;
        base.until = last;
        ends(ask, entry, true)
    }

    fn ending(&mut self, ask: &mut Ask, entry: &Entry) -> Found {
        let cause = text(entry, "cause").to_owned();
        self.count(&format!("ending {cause}"));
        holds(!ask.is_over(), END, || "it was being ended already".into())?;
        holds(!ask.orders.is_empty() && ask.extends.is_none(), END, || "it was never ordered".into())?;
        ask.ending = Some(cause.clone());
        match cause.as_str() {
            "returned" => {
                let said = self.acts(entry)?;
                holds(said.person == ask.person, PERSON, || format!("{} is not its holder", said.person))
            }
            "revoked" => {
                let said = self.acts(entry)?;
                let allowed = self.ruled(&said, |facts| facts.may(Right::Revoke, &said.person, &ask.resource));
                holds(allowed, PERSON, || format!("{} may not revoke it", said.person))
            }
            "expired" => {
                let over = ask.until.is_some_and(|end| end <= entry.time);
                holds(over, EXPIRY, || "its time is not up".into())
            }
            "unknown" => holds(!ask.issued, EXPIRY, || "its answer was not lost".into()),
            _ => Err((UNKNOWN, format!("the cause `{cause}`"))),
        }
    }

    fn ended(&mut self, id: u64, ask: &mut Ask, entry: &Entry) -> Found {
        let door = self.doors.with(&ask.target, &external_id(id)).filter(|door| !door.stray);
        let open = door.is_some() && self.sharing(id, ask).next().is_none();
        holds(!open, EXPIRY, || format!("{id} is said to have ended, and its door is open"))?;
        if let Some(other) = number(entry, "kept_for") {
            self.count("ending spared");
            let other = self.checks.asks.get(&other).filter(|_| is_shared(&ask.target));
            let needs = other.is_some_and(|it| it.issued && it.end.is_none() && it.person == ask.person);
            holds(needs, RECORD, || "it is not kept for anybody".into())?;
        } else {
            holds(ask.shut > 0, RECORD, || format!("nobody was called to shut {id}"))?;
        }
        let same = ask.ending.as_deref() == Some(text(entry, "cause"));
        ends(ask, entry, same)
    }

    /// The same person's other accesses to what grants share, as far as they are not over.
    pub fn sharing<'a>(&'a self, id: u64, ask: &'a Ask) -> impl Iterator<Item = &'a Ask> {
        let same = move |it: &&Ask| it.target == ask.target && it.person == ask.person && it.issued && it.end.is_none();
        let others = self.checks.asks.iter().filter(move |(other, _)| **other != id && is_shared(&ask.target));
        others.map(|(_, it)| it).filter(same)
    }
}

fn issued(ask: &mut Ask, entry: &Entry) -> Found {
    let last = ask.orders.last().copied();
    let attempt = number(entry, "attempt");
    let answered = attempt == Some(ask.orders.len() as u64) && last == Some(moment(entry, "not_after"));
    holds(answered && ask.opened > 0, RECORD, || "nobody was told to open it until then".into())?;
    holds(!ask.issued && !ask.is_over(), END, || "it was open or ended already".into())?;
    ask.issued = true;
    Ok(())
}
