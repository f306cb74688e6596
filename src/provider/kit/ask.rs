//! Asking, and keeping account of what was promised and broken.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use rand::seq::IndexedRandom as _;
use secrecy::SecretString;

use super::{Options, Promise, Report};
use crate::provider::{
    Credential, Holder, Order, ProviderError,
    plugin::{Lost, Plugin, Said},
    protocol::{Abilities, Failure, FailureKind, Redactor, Reply, Request, Status, Verb, WireItem},
};

/// Every answer is what the protocol says.
const IN_FORM: &str = "every question gets one answer, in its form and in time";
/// Nothing secret is said.
const NOTHING_SECRET: &str = "nothing secret is said but in a credential";
/// After so many answers that can't be read, the rest isn't asked.
const LOST_MAX: usize = 3;
/// So many of the marks that are left are shown.
const LEFT_SHOWN_MAX: usize = 3;
/// What it says of itself is shown up to so many characters.
const WORDS_CHARS_MAX: usize = 200;

/// What came of a question.
pub enum Got {
    /// It says that it is done.
    Done(Box<Reply>),
    /// It says that it is not.
    Refused(Failure),
    /// There was no answer.
    Lost,
}

/// One run of the kit.
pub struct Run<'a> {
    pub plugin: &'a Plugin,
    pub options: &'a Options,
    pub abilities: Abilities,
    pub tag: String,
    described: bool,
    promises: Vec<Promise>,
    asked: u32,
    lost: usize,
    next: u64,
    used: Vec<Order>,
    /// Every secret that it was given or gave.
    secrets: Vec<SecretString>,
}

impl<'a> Run<'a> {
    pub fn new(plugin: &'a Plugin, options: &'a Options) -> Result<Self, ProviderError> {
        const LETTERS: &[char] = &['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'k', 'm', 'n', 'p', 'q', 'r', 's', 't'];
        // No other run, and no log, has this tag.
        let mut random = rand::rng();
        let tag =
            (0..6).filter_map(|_| LETTERS.choose(&mut random)).fold("22".to_owned(), |tag, c| format!("{tag}{c}"));
        let secrets = plugin.request(Verb::Check)?.secrets.into_values().map(|secret| secret.0).collect();
        let mut run = Self {
            plugin,
            options,
            abilities: plugin.declared().clone(),
            tag,
            described: false,
            promises: Vec::new(),
            asked: 0,
            lost: 0,
            next: 1,
            used: Vec::new(),
            secrets,
        };
        run.looks_at(IN_FORM);
        run.looks_at(NOTHING_SECRET);
        Ok(run)
    }

    /// Notes that a promise is looked at.
    pub fn looks_at(&mut self, promise: &'static str) {
        if !self.promises.iter().any(|known| known.promise == promise) {
            self.promises.push(Promise { promise, broken: Vec::new(), skipped: None });
        }
    }

    /// Notes that a promise is broken.
    pub fn broken(&mut self, promise: &'static str, words: impl AsRef<str>) {
        self.looks_at(promise);
        let words = self.redactor().clean(words.as_ref().as_bytes(), false, usize::MAX);
        if let Some(known) = self.promises.iter_mut().find(|known| known.promise == promise)
            && !known.broken.contains(&words)
        {
            known.broken.push(words);
        }
    }

    /// Notes that a promise is not looked at.
    pub fn skip(&mut self, promise: &'static str, why: &'static str) {
        self.promises.push(Promise { promise, broken: Vec::new(), skipped: Some(why) });
    }

    /// Whether there is no use in asking on.
    pub fn is_over(&self) -> bool {
        self.lost >= LOST_MAX
    }

    /// Whether a promise was broken so far.
    pub fn has_broken(&self) -> bool {
        self.promises.iter().any(|promise| !promise.broken.is_empty())
    }

    /// What came out.
    pub fn report(self, provider: &'static str) -> Report {
        Report {
            provider,
            settings: self.abilities.written().filter(|_| self.described),
            description: self.described.then_some(self.abilities),
            asked: self.asked,
            promises: self.promises,
        }
    }

    /// Asks what it can do; whether it could be asked.
    pub async fn describes(&mut self) -> bool {
        const PROMISE: &str = "it says what it can do, and the settings say the same";
        self.looks_at(PROMISE);
        let mut said = Vec::new();
        for _ in 0..2 {
            if let Some(reply) = self.needs(PROMISE, Verb::Describe).await {
                said.extend(reply.description);
            }
        }
        let [first, second] = said.as_slice() else { return false };
        if first != second {
            self.broken(PROMISE, "`describe` says something else each time");
        }
        if first != self.plugin.declared() {
            let mend = first.written().map_or_else(
                || "take `description` out of the settings".to_owned(),
                |table| format!("the settings need `description = {table}`"),
            );
            self.broken(PROMISE, format!("`describe` says other things than the settings do: {mend}"));
        }
        self.abilities = first.clone();
        self.described = true;
        true
    }

    /// A new order, that ends after so much of the time that the plugin takes.
    pub fn order(&mut self) -> Order {
        let number = self.next;
        self.next = number.saturating_add(1);
        let order = Order {
            external_id: format!("cs_{}_{number}", self.tag),
            request: number,
            resource: self.plugin.resource().to_owned(),
            holder: Holder { name: self.options.holder.clone(), ssh_keys: Vec::new() },
            not_after: self.ending(1),
        };
        self.used.push(order.clone());
        order
    }

    /// An end that many tens of minutes from now, or as far as the plugin goes; a whole second.
    pub fn ending(&self, tens: i64) -> DateTime<Utc> {
        let most = self.abilities.max_ttl_secs.map_or(i64::MAX, |most| i64::from(most).saturating_div(4));
        let span = TimeDelta::try_seconds(tens.saturating_mul(most.min(600))).unwrap_or(TimeDelta::MAX);
        self.plugin.now().checked_add_signed(span).unwrap_or(DateTime::<Utc>::MAX_UTC).trunc_subsecs(0)
    }

    /// Asks something that is not about an order; it has to be done.
    pub async fn needs(&mut self, promise: &'static str, verb: Verb) -> Option<Reply> {
        let request = self.request(promise, verb)?;
        self.needs_done(promise, request).await
    }

    /// Asks something about an order.
    pub async fn about(&mut self, verb: Verb, order: &Order) -> Got {
        match self.request(IN_FORM, verb) {
            Some(request) => self.ask(request.about(order, None)).await,
            None => Got::Lost,
        }
    }

    /// Asks something about an order; it has to be done.
    pub async fn needs_about(&mut self, promise: &'static str, verb: Verb, order: &Order) -> Option<Reply> {
        let request = self.request(promise, verb)?.about(order, None);
        self.needs_done(promise, request).await
    }

    /// The `n`th key for an order.
    pub async fn key(&mut self, order: &Order, n: u32) -> Result<Credential, Got> {
        let Some(request) = self.request(IN_FORM, Verb::Credential) else { return Err(Got::Lost) };
        match self.ask(request.about(order, Some(n))).await {
            Got::Done(reply) => {
                let Some(credential) = reply.credential else { return Err(Got::Lost) };
                let secret = credential.parts.iter().filter(|part| part.secret).map(|part| part.text.0.clone());
                self.secrets.extend(secret);
                credential.taken(n, order.not_after).map_err(|garbled| {
                    self.broken(IN_FORM, format!("`credential`: {garbled}"));
                    Got::Lost
                })
            }
            other @ (Got::Refused(_) | Got::Lost) => Err(other),
        }
    }

    /// What it lists of this run, or of another log; `None` if it didn't.
    pub async fn items(&mut self, promise: &'static str, log_tag: Option<&str>) -> Option<Vec<WireItem>> {
        let mut request = self.request(promise, Verb::List)?;
        request.log_tag = log_tag.map(ToOwned::to_owned);
        self.needs_done(promise, request).await?.items
    }

    /// The marks of this run that it lists, sorted; `None` if it can't list or didn't.
    pub async fn listed(&mut self, promise: &'static str) -> Option<Vec<String>> {
        if !self.abilities.lists {
            return None;
        }
        let tag = self.tag.clone();
        let mut ids: Vec<String> =
            self.items(promise, Some(&tag)).await?.into_iter().map(|item| item.external_id).collect();
        ids.sort();
        Some(ids)
    }

    pub fn request(&mut self, promise: &'static str, verb: Verb) -> Option<Request> {
        match self.plugin.request(verb) {
            Ok(request) => Some(request),
            Err(error) => {
                self.broken(promise, error.to_string());
                None
            }
        }
    }

    async fn needs_done(&mut self, promise: &'static str, request: Request) -> Option<Reply> {
        let verb = request.verb.word();
        match self.ask(request).await {
            Got::Done(reply) => Some(*reply),
            Got::Refused(failure) => {
                let words = self.words(&failure);
                self.broken(promise, format!("`{verb}` was refused: {words}"));
                None
            }
            Got::Lost => None,
        }
    }

    /// Asks. What can't be read, and what is said that nobody may hear, breaks a promise at once.
    pub async fn ask(&mut self, request: Request) -> Got {
        self.asked = self.asked.saturating_add(1);
        let said = self.plugin.speak(&request).await;
        self.heard(request.verb, said)
    }

    /// The same for a request that is given up after a while; `None` if it was.
    pub async fn ask_for(&mut self, request: &Request, patience: Duration) -> Option<Got> {
        self.asked = self.asked.saturating_add(1);
        let said = tokio::time::timeout(patience, self.plugin.speak(request)).await.ok()?;
        Some(self.heard(request.verb, said))
    }

    fn heard(&mut self, verb: Verb, said: Result<Said, Lost>) -> Got {
        match said {
            Ok(said) => {
                self.listen(verb, &said.aside, &said.reply);
                match (said.reply.status, said.reply.error.clone()) {
                    (Status::Error, Some(failure)) => Got::Refused(failure),
                    (Status::Error | Status::Ok, _) => Got::Done(Box::new(said.reply)),
                }
            }
            Err(lost) => {
                self.lost = self.lost.saturating_add(1);
                if self.redactor().finds(&lost.aside) {
                    self.broken(NOTHING_SECRET, format!("`{}` has it print a secret on standard error", verb.word()));
                }
                self.broken(IN_FORM, format!("`{}`: {}", verb.word(), lost.error));
                Got::Lost
            }
        }
    }

    /// Looks for secrets in what is said beside a reply, and in every part of it that may be shown or recorded.
    fn listen(&mut self, verb: Verb, aside: &[u8], reply: &Reply) {
        let parts = reply.credential.iter().flat_map(|credential| &credential.parts).filter(|part| part.secret);
        let own: Vec<SecretString> = parts.map(|part| part.text.0.clone()).collect();
        let redactor = Redactor::new(self.secrets.iter().chain(&own));
        if redactor.finds(aside) {
            self.broken(NOTHING_SECRET, format!("`{}` has it print a secret on standard error", verb.word()));
        }
        let mut open: BTreeSet<&str> = reply.error.iter().map(|failure| failure.message.as_str()).collect();
        open.extend(reply.lacking.iter().chain(&reply.plan).flatten().map(String::as_str));
        open.extend(reply.items.iter().flatten().map(|item| item.external_id.as_str()));
        open.extend(reply.deeds.iter().flatten().map(|deed| deed.what.as_str()));
        open.extend(reply.credential.iter().map(|credential| credential.public_id.as_str()));
        if open.iter().any(|text| redactor.finds(text.as_bytes())) {
            self.broken(NOTHING_SECRET, format!("its answer to `{}` has a secret where anybody reads it", verb.word()));
        }
    }

    /// A failure in words.
    pub fn words(&self, failure: &Failure) -> String {
        let class = match failure.class {
            FailureKind::Retry => "retry",
            FailureKind::Permanent => "permanent",
            FailureKind::Unknown => "unknown",
        };
        format!("{} ({class})", self.redactor().clean(failure.message.as_bytes(), false, WORDS_CHARS_MAX))
    }

    fn redactor(&self) -> Redactor {
        Redactor::new(&self.secrets)
    }

    /// Shuts what is still open of this run, and looks.
    pub async fn clean_up(&mut self) {
        const PROMISE: &str = "nothing of the test is left";
        self.looks_at(PROMISE);
        for order in std::mem::take(&mut self.used) {
            let listed = self.listed(PROMISE).await;
            if listed.is_some_and(|ids| !ids.contains(&order.external_id)) {
                continue;
            }
            self.needs_about(PROMISE, Verb::Revoke, &order).await;
        }
        let left = self.listed(PROMISE).await.unwrap_or_default();
        if !left.is_empty() {
            let first: Vec<&str> = left.iter().take(LEFT_SHOWN_MAX).map(String::as_str).collect();
            let words = format!("{} still listed, to be removed by hand: {} …", left.len(), first.join(", "));
            self.broken(PROMISE, words);
        }
    }
}
