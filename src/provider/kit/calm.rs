//! What is promised when nothing goes wrong.

use chrono::TimeDelta;
use secrecy::ExposeSecret as _;

use super::ask::{Got, Run};
use crate::provider::{
    Credential, NativeExpiry, Order,
    protocol::{FailureKind, Verb},
};

const CHECK: &str = "credentials and rights are there";
const PLAN: &str = "its plan is the same each time";
const CLOSED: &str = "there is no key for a door that isn't open";
const REVOKE_GONE: &str = "revoking what isn't there succeeds";
const REFUSES: &str = "what has no end, is over or isn't ours is not opened";
const GRANT: &str = "a door that was opened is listed, with its end";
const REPEAT: &str = "granting twice is granting once, and sets the end anew";
const OTHERS: &str = "only what was asked for is listed";
const CREDENTIAL: &str = "each key is a new one, ends with the grant and voids the one before";
const ACTIVITY: &str = "it tells what was done, as it says it can";
const REVOKE: &str = "a door that was shut is gone, and no other with it";
const AGAIN: &str = "a door that was shut can be opened again";

/// How much earlier than the order an end may be that stands on an object.
const EARLIER_MAX: TimeDelta = TimeDelta::seconds(60);

impl Run<'_> {
    /// Every promise in turn, as long as it answers.
    pub async fn calmly(&mut self) {
        self.checks().await;
        self.plans().await;
        let (first, second) = (self.order(), self.order());
        for promise in [CLOSED, REVOKE_GONE, REFUSES, GRANT, REPEAT, OTHERS, CREDENTIAL, REVOKE, AGAIN] {
            self.looks_at(promise);
        }
        if !self.is_over() {
            self.closed(&first).await;
            self.revokes_what_is_not_there(&first).await;
        }
        if !self.is_over() {
            self.refuses().await;
        }
        if !self.is_over() && self.grants(&first).await {
            let longer = Order { not_after: self.ending(2), ..first };
            self.repeats(&longer).await;
            self.others(&longer, &second).await;
            if !self.is_over() {
                let key = self.keys(&longer).await;
                self.tells(&longer).await;
                self.revokes(&longer, &second, key.as_ref()).await;
            }
            if !self.is_over() {
                self.opens_again(&longer).await;
            }
        }
    }

    async fn checks(&mut self) {
        self.looks_at(CHECK);
        let lacking = self.needs(CHECK, Verb::Check).await.and_then(|reply| reply.lacking).unwrap_or_default();
        for line in lacking {
            self.broken(CHECK, format!("`check` says that something is missing: {line}"));
        }
    }

    async fn plans(&mut self) {
        self.looks_at(PLAN);
        let mut plans = Vec::new();
        for _ in 0..2 {
            plans.extend(self.needs(PLAN, Verb::Plan).await.and_then(|reply| reply.plan));
        }
        if plans.iter().any(|plan| plan.iter().all(|line| line.trim().is_empty())) {
            self.broken(PLAN, "`plan` says nothing: the approver has to know what will be done");
        }
        if let [one, other] = plans.as_slice()
            && one != other
        {
            self.broken(PLAN, "`plan` says something else each time: what was approved is not what is done");
        }
    }

    /// No key for a closed door.
    async fn closed(&mut self, order: &Order) {
        match self.key(order, 1).await {
            Ok(_) => self.broken(CLOSED, "`credential` cuts a key for a door that is not open"),
            Err(Got::Refused(failure)) if failure.class == FailureKind::Unknown => {
                let words = self.words(&failure);
                self.broken(CLOSED, format!("`credential` does not say no for a door that is not open: {words}"));
            }
            Err(Got::Refused(_) | Got::Done(_) | Got::Lost) => {}
        }
    }

    async fn revokes_what_is_not_there(&mut self, order: &Order) {
        for _ in 0..2 {
            if let Got::Refused(failure) = self.about(Verb::Revoke, order).await {
                let words = self.words(&failure);
                let why = "a revocation is repeated until it succeeds, so it has to";
                self.broken(REVOKE_GONE, format!("`revoke` of what isn't there fails: {words}; {why}"));
                break;
            }
        }
        if self.listed(REVOKE_GONE).await.is_some_and(|ids| !ids.is_empty()) {
            self.broken(REVOKE_GONE, "`list` shows something before anything was opened");
        }
    }

    async fn refuses(&mut self) {
        let order = self.order();
        if let Some(request) = self.request(REFUSES, Verb::Grant) {
            let mut request = request.about(&order, None);
            request.not_after = None;
            if let Got::Done(_) = self.ask(request).await {
                self.broken(REFUSES, "`grant` without `not_after` opens a door that never ends");
                self.about(Verb::Revoke, &order).await;
            }
        }
        let over = Order { not_after: self.plugin.now() - TimeDelta::seconds(10), ..self.order() };
        if let Got::Done(_) = self.about(Verb::Grant, &over).await {
            self.broken(REFUSES, "`grant` opens a door whose end is past");
            self.about(Verb::Revoke, &over).await;
        }
        for id in ["root", "cs_", "cs_22222222_1; true", "../cs_22222222_1", "cs_22222222_1\ncs_22222222_2"] {
            let foreign = Order { external_id: id.to_owned(), ..self.order() };
            for verb in [Verb::Grant, Verb::Revoke, Verb::Credential] {
                let got = match verb {
                    Verb::Credential => self.key(&foreign, 1).await.map_or_else(|got| got, |_| Got::Lost),
                    Verb::Describe
                    | Verb::Check
                    | Verb::Plan
                    | Verb::Grant
                    | Verb::Revoke
                    | Verb::List
                    | Verb::Activity => self.about(verb, &foreign).await,
                };
                if let (Got::Done(_), Verb::Grant) = (got, verb) {
                    self.broken(REFUSES, format!("`grant` takes {id:?} for a mark of ours"));
                    self.about(Verb::Revoke, &foreign).await;
                }
                if self.is_over() {
                    return;
                }
            }
        }
        if self.listed(REFUSES).await.is_some_and(|ids| !ids.is_empty()) {
            self.broken(REFUSES, "`grant` said no and opened something all the same");
        }
    }

    /// Opens the first door; whether it is open.
    async fn grants(&mut self, order: &Order) -> bool {
        if self.needs_about(GRANT, Verb::Grant, order).await.is_none() {
            return false;
        }
        self.is_listed(GRANT, order, "`grant`").await;
        true
    }

    /// Whether a door is listed, once, with its end.
    async fn is_listed(&mut self, promise: &'static str, order: &Order, after: &str) {
        if !self.abilities.lists {
            return;
        }
        let tag = self.tag.clone();
        let Some(items) = self.items(promise, Some(&tag)).await else { return };
        let mut these = items.iter().filter(|item| item.external_id == order.external_id);
        let (item, another) = (these.next(), these.next().is_some());
        let Some(item) = item else {
            self.broken(promise, format!("`list` does not show what {after} has opened"));
            return;
        };
        if another {
            self.broken(promise, format!("`list` shows one door twice after {after}"));
        }
        let exact = match self.abilities.native_expiry {
            NativeExpiry::Exact => true,
            NativeExpiry::None | NativeExpiry::Floor(_) => false,
        };
        match item.not_after {
            None if self.abilities.native_expiry != NativeExpiry::None => {
                self.broken(
                    promise,
                    "`list` shows no `not_after`, though it says that the target ends the access itself",
                );
            }
            Some(end) if exact && end > order.not_after => {
                self.broken(promise, format!("the end that `list` shows after {after} is later than the grant's"));
            }
            Some(end) if exact && order.not_after - end > EARLIER_MAX => {
                self.broken(promise, format!("the end that `list` shows after {after} is not the grant's"));
            }
            None | Some(_) => {}
        }
    }

    async fn repeats(&mut self, longer: &Order) {
        for _ in 0..2 {
            if let Got::Refused(failure) = self.about(Verb::Grant, longer).await {
                let words = self.words(&failure);
                self.broken(REPEAT, format!("`grant` of what is open fails: {words}"));
                return;
            }
        }
        self.is_listed(REPEAT, longer, "the second `grant`").await;
    }

    async fn others(&mut self, first: &Order, second: &Order) {
        if self.needs_about(GRANT, Verb::Grant, second).await.is_none() || !self.abilities.lists {
            return;
        }
        if let Some(ids) = self.listed(OTHERS).await {
            for order in [first, second] {
                if !ids.contains(&order.external_id) {
                    self.broken(OTHERS, "`list` does not show every door that is open");
                }
            }
            if ids.iter().any(|id| ![&first.external_id, &second.external_id].contains(&id)) {
                self.broken(OTHERS, "`list` shows marks that are of another log, or of nobody");
            }
        }
        let strange: String = self.tag.chars().rev().collect();
        if self.items(OTHERS, Some(&strange)).await.is_some_and(|items| !items.is_empty()) {
            self.broken(OTHERS, "`list` shows our doors to another log");
        }
        // A provider that keeps nothing on a target may say that it can't.
        let Some(request) = self.request(OTHERS, Verb::List) else { return };
        if let Got::Done(reply) = self.ask(request).await {
            let items = reply.items.unwrap_or_default();
            if !items.iter().any(|item| item.external_id == first.external_id) {
                self.broken(OTHERS, "`list` without a `log_tag` does not show every door");
            }
        }
    }

    /// Cuts two keys; gives the second.
    async fn keys(&mut self, order: &Order) -> Option<Credential> {
        let mut keys = Vec::new();
        for n in 1..=2 {
            match self.key(order, n).await {
                Ok(key) => {
                    if !self.works(&key).await.unwrap_or(true) {
                        self.broken(CREDENTIAL, "`credential` cuts a key that doesn't open the door");
                    }
                    keys.push(key);
                }
                Err(Got::Refused(failure)) => {
                    let words = self.words(&failure);
                    self.broken(CREDENTIAL, format!("`credential` for an open door fails: {words}"));
                    return None;
                }
                Err(Got::Done(_) | Got::Lost) => return None,
            }
        }
        let second = keys.pop()?;
        let first = keys.pop()?;
        let text =
            |key: &Credential| key.parts.iter().map(|part| part.text.expose_secret().to_owned()).collect::<Vec<_>>();
        if first.public_id == second.public_id {
            self.broken(CREDENTIAL, "two keys have one `public_id`: the log can't tell them apart");
        }
        if self.options.probe.is_some() && text(&first) == text(&second) {
            self.broken(CREDENTIAL, "a second `credential` is the first one again");
        }
        if self.works(&first).await.unwrap_or(false) {
            self.broken(CREDENTIAL, "the first key still opens the door after the second was cut");
        }
        Some(second)
    }

    async fn works(&self, key: &Credential) -> Option<bool> {
        match &self.options.probe {
            Some(probe) => Some(probe.works(key).await),
            None => None,
        }
    }

    async fn tells(&mut self, order: &Order) {
        if self.abilities.activity {
            self.looks_at(ACTIVITY);
            self.needs_about(ACTIVITY, Verb::Activity, order).await;
        }
    }

    async fn revokes(&mut self, first: &Order, second: &Order, key: Option<&Credential>) {
        for time in ["first", "second"] {
            if let Got::Refused(failure) = self.about(Verb::Revoke, first).await {
                let words = self.words(&failure);
                self.broken(REVOKE, format!("the {time} `revoke` fails: {words}"));
                return;
            }
            if let Some(ids) = self.listed(REVOKE).await {
                if ids.contains(&first.external_id) {
                    self.broken(
                        REVOKE,
                        format!("`list` still shows the door after the {time} `revoke` said it is shut"),
                    );
                    return;
                }
                if !ids.contains(&second.external_id) {
                    self.broken(REVOKE, "`revoke` of one door shuts another");
                }
            }
        }
        if let Some(key) = key
            && self.works(key).await.unwrap_or(false)
        {
            self.broken(REVOKE, "a key still opens the door after `revoke`");
        }
        if self.key(first, 3).await.is_ok() {
            self.broken(CLOSED, "`credential` cuts a key for a door that was shut");
        }
    }

    async fn opens_again(&mut self, order: &Order) {
        if self.needs_about(AGAIN, Verb::Grant, order).await.is_some() {
            self.is_listed(AGAIN, order, "a `grant` after its `revoke`").await;
            self.needs_about(AGAIN, Verb::Revoke, order).await;
        }
    }
}
