//! A provider that is not in this binary: the trait's questions, put to whoever speaks `countersign.provider/v1`.
//!
//! What a plugin can do stands in the resource's settings (`description`), so that it is part of what a grant keeps, known
//! without asking and the same after every restart; the plugin is asked too, and as long as it says something else of
//! itself, nothing is granted. Its plan is asked for once, when it is first called: the service does that at its start,
//! when it sweeps.

mod read;
mod secrets;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::{
    Activity, Credential, Description, Item, Marked, Marks, Order, Provider, ProviderError, PublicDocument, Settings,
    Surroundings,
    orders::{self, checked, not_over},
    protocol::{Abilities, Garbled, Redactor, Reply, Request, Status, Verb},
    random,
    serve::Served,
};
pub(super) use read::{Common, common, sources};
pub(super) use secrets::{Source, Sources};

/// What a plugin lacks, and its plan, are kept up to so many lines.
const LINES_MAX: usize = 20;
/// And so many characters of each, and of what it says of a failure.
const WORDS_CHARS_MAX: usize = 500;
/// So many characters of what it said beside its answer are shown: the last ones.
const ASIDE_CHARS_MAX: usize = 300;

/// One request on its way.
pub struct Message {
    /// The request's id.
    pub id: String,
    /// What is asked.
    pub verb: Verb,
    /// The line, without its end.
    pub line: Zeroizing<Vec<u8>>,
    /// How long the answer is waited for.
    pub limit: Duration,
}

/// What came back.
pub struct Heard {
    /// The bytes that are to be one reply.
    pub reply: Zeroizing<Vec<u8>>,
    /// What was said beside it (standard error); it may hold secrets.
    pub aside: Vec<u8>,
}

/// Nothing that could be a reply came back.
pub struct Lost {
    /// What follows from it, in words without "the plugin" before them.
    pub error: ProviderError,
    /// As in [`Heard::aside`].
    pub aside: Vec<u8>,
}

impl From<ProviderError> for Lost {
    fn from(error: ProviderError) -> Self {
        Self { error, aside: Vec::new() }
    }
}

/// Where a plugin is, and with it what can be done to it in the middle of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// In this process.
    Inside,
    /// In a process that is ended when nobody waits for it any more.
    Process,
    /// Elsewhere: it goes on although nobody waits for it.
    Remote,
}

/// How lines get to a plugin and back.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Takes one request there, and one reply back. When the future is dropped, what it has set going is ended.
    async fn exchange(&self, message: &Message) -> Result<Heard, Lost>;
    /// Where the other end is.
    fn reach(&self) -> Reach;
    /// Whether replies are to repeat a nonce.
    fn wants_nonce(&self) -> bool {
        false
    }
    /// What is wrong on our side of the way, before anything is sent.
    async fn lacking(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A plugin that is bound to one target.
pub struct Plugin {
    name: &'static str,
    resource: String,
    wire: Arc<dyn Transport>,
    settings: Settings,
    sources: Sources,
    declared: Abilities,
    limit: Duration,
    now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    plan: OnceCell<Vec<String>>,
}

/// A reply that can be believed, and what was said beside it.
pub struct Said {
    /// The reply; it may tell of an error.
    pub reply: Reply,
    /// As in [`Heard::aside`].
    pub aside: Vec<u8>,
}

impl Plugin {
    /// A plugin at the other end of `wire`.
    pub(super) fn new(
        (name, resource): (&'static str, &str),
        common: Common,
        sources: Sources,
        wire: Arc<dyn Transport>,
        now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    ) -> Self {
        Self {
            name,
            resource: resource.to_owned(),
            wire,
            settings: common.settings,
            sources,
            declared: common.declared,
            limit: Duration::from_secs(common.timeout_secs),
            now,
            plan: OnceCell::new(),
        }
    }

    /// A provider of this binary, behind the same lines.
    pub(super) fn served(resource: &str, provider: Arc<dyn Provider>, surroundings: &Surroundings) -> Self {
        let description = provider.describe();
        let common = Common { declared: Abilities::from(&description), ..Common::default() };
        let sources = Sources::new(BTreeMap::new(), Arc::clone(&surroundings.env));
        let wire = Arc::new(Served(provider));
        Self::new((description.name, resource), common, sources, wire, Arc::clone(&surroundings.now))
    }

    /// What the settings say it can do.
    pub(super) fn declared(&self) -> &Abilities {
        &self.declared
    }

    /// The resource's name.
    pub(super) fn resource(&self) -> &str {
        &self.resource
    }

    /// Where it is.
    pub(super) fn reach(&self) -> Reach {
        self.wire.reach()
    }

    /// What it says it can do.
    pub(super) async fn abilities(&self) -> Result<Abilities, ProviderError> {
        Ok(self.done(&self.request(Verb::Describe)?).await?.description.unwrap_or_default())
    }

    /// The present moment.
    pub(super) fn now(&self) -> DateTime<Utc> {
        (self.now)()
    }

    /// A request of its own.
    pub(super) fn request(&self, verb: Verb) -> Result<Request, ProviderError> {
        let id = hex::encode(random::bytes::<16>()?.as_slice());
        let limit = TimeDelta::from_std(self.limit).unwrap_or(TimeDelta::MAX);
        let deadline = self.now().checked_add_signed(limit).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let mut request = Request::new(verb, id, &self.resource, deadline);
        if self.wire.wants_nonce() {
            request.nonce = Some(hex::encode(random::bytes::<16>()?.as_slice()));
        }
        request.settings.clone_from(&self.settings);
        request.secrets = self.sources.read()?;
        Ok(request)
    }

    /// Asks, and reads the answer.
    pub(super) async fn speak(&self, request: &Request) -> Result<Said, Lost> {
        self.speak_within(request, self.limit).await
    }

    /// The same with another deadline.
    pub(super) async fn speak_within(&self, request: &Request, limit: Duration) -> Result<Said, Lost> {
        let unwritten = |_| ProviderError::Permanent("could not be asked: the request can't be written".into());
        let line = request.line().map_err(unwritten)?;
        let message = Message { id: request.id.clone(), verb: request.verb, line, limit };
        let heard = self.wire.exchange(&message).await?;
        let read = Reply::read(&heard.reply, request.verb, &request.id, request.nonce.as_deref());
        match read {
            Ok(reply) => Ok(Said { reply, aside: heard.aside }),
            Err(Garbled(words)) => Err(Lost { error: ProviderError::Unknown(words), aside: heard.aside }),
        }
    }

    /// Asks until it is done, or gives the reason why not in words that may be shown.
    async fn done(&self, request: &Request) -> Result<Reply, ProviderError> {
        let redactor = Redactor::new(request.secrets.values().map(|secret| &secret.0));
        let said = self.speak(request).await.map_err(|lost| told(&lost, request.verb, &redactor))?;
        match (said.reply.status, &said.reply.error) {
            (Status::Error, Some(failure)) => {
                let words = redactor.clean(failure.message.as_bytes(), false, WORDS_CHARS_MAX);
                Err(failure.told(format!("the plugin says to `{}`: {words}", request.verb.word())))
            }
            (Status::Error | Status::Ok, _) => Ok(said.reply),
        }
    }

    /// What it says of itself, against what the settings say.
    async fn disagreement(&self) -> Result<Option<String>, ProviderError> {
        let said = self.abilities().await?;
        if said == self.declared {
            return Ok(None);
        }
        let mend = match said.written() {
            Some(table) => format!("if that is right, write `description = {table}` under `[resource.{}]`", self.name),
            None => format!("if that is right, take `description` out of `[resource.{}]`", self.name),
        };
        Ok(Some(format!("the plugin says other things of itself than the settings do; {mend}")))
    }

    /// Its plan, asked for once; nothing is granted through a plugin that doesn't agree with its settings.
    async fn learn(&self) -> Result<&Vec<String>, ProviderError> {
        let asked = self.plan.get_or_try_init(|| async {
            if let Some(words) = self.disagreement().await? {
                return Err(ProviderError::Permanent(words));
            }
            let request = self.request(Verb::Plan)?;
            let redactor = Redactor::new(request.secrets.values().map(|secret| &secret.0));
            let lines = self.done(&request).await?.plan.unwrap_or_default();
            Ok(lines
                .iter()
                .take(LINES_MAX)
                .map(|line| redactor.clean(line.as_bytes(), false, WORDS_CHARS_MAX))
                .collect())
        });
        asked.await
    }

    /// Learns its plan if it can be asked; if not, what is to be done is done all the same.
    async fn learn_if_it_can(&self) {
        if self.plan.get().is_none() {
            // Whoever grants is told what is wrong; a door is listed and shut whatever it is.
            let _ = self.learn().await;
        }
    }
}

/// What went wrong on the way, in words that may be shown. What is said beside a key that is being cut may be the key.
fn told(lost: &Lost, verb: Verb, redactor: &Redactor) -> ProviderError {
    let aside = match verb {
        Verb::Credential => String::new(),
        Verb::Describe | Verb::Check | Verb::Plan | Verb::Grant | Verb::Revoke | Verb::List | Verb::Activity => {
            redactor.clean(&lost.aside, true, usize::MAX)
        }
    };
    let skipped = aside.chars().count().saturating_sub(ASIDE_CHARS_MAX);
    let aside = match (aside.is_empty(), skipped) {
        (true, _) => String::new(),
        (false, 0) => format!("; beside it: {aside}"),
        (false, _) => format!("; beside it: …{}", aside.chars().skip(skipped).collect::<String>()),
    };
    let words = |words: &str| {
        let words = redactor.clean(words.as_bytes(), false, WORDS_CHARS_MAX);
        format!("the plugin, asked to `{}`: {words}{aside}", verb.word())
    };
    match &lost.error {
        ProviderError::Retry(why) => ProviderError::Retry(words(why)),
        ProviderError::Permanent(why) => ProviderError::Permanent(words(why)),
        ProviderError::Unknown(why) => ProviderError::Unknown(words(why)),
    }
}

#[async_trait]
impl Provider for Plugin {
    fn describe(&self) -> Description {
        self.declared.described(self.name)
    }

    fn plan(&self) -> Vec<String> {
        let asked = self.plan.get().cloned();
        let mut lines = asked.unwrap_or_else(|| vec!["the plugin has not said yet what it does".to_owned()]);
        lines.push(self.describe().lock());
        lines
    }

    async fn check(&self) -> Result<Vec<String>, ProviderError> {
        let mut lacking = self.wire.lacking().await;
        match self.disagreement().await {
            Ok(None) => {}
            // No such file, another file than the one that is pinned: that is what is missing.
            Ok(Some(words)) | Err(ProviderError::Permanent(words)) => {
                lacking.push(words);
                return Ok(lacking);
            }
            Err(error) => return Err(error),
        }
        let request = self.request(Verb::Check)?;
        let redactor = Redactor::new(request.secrets.values().map(|secret| &secret.0));
        match self.done(&request).await {
            Ok(reply) => {
                let lines = reply.lacking.unwrap_or_default();
                let clean = |line: &String| redactor.clean(line.as_bytes(), false, WORDS_CHARS_MAX);
                lacking.extend(lines.iter().take(LINES_MAX).map(clean));
            }
            Err(ProviderError::Permanent(words)) => lacking.push(words),
            Err(error) => return Err(error),
        }
        Ok(lacking)
    }

    async fn grant(&self, order: &Order) -> Result<(), ProviderError> {
        checked(order)?;
        let now = self.now();
        not_over(order, now)?;
        // Whatever became of these questions, nothing was granted yet.
        self.learn().await.map_err(|error| match error {
            ProviderError::Retry(words) | ProviderError::Unknown(words) => ProviderError::Retry(words),
            ProviderError::Permanent(words) => ProviderError::Permanent(words),
        })?;
        if let Some(most) = self.declared.max_ttl_secs
            && order.not_after.signed_duration_since(now) > TimeDelta::seconds(most.into())
        {
            return Err(ProviderError::Permanent(format!("the plugin takes no grant that is longer than {most} s")));
        }
        self.done(&self.request(Verb::Grant)?.about(order, None)).await.map(drop)
    }

    async fn credential(&self, order: &Order, n: u32) -> Result<Credential, ProviderError> {
        checked(order)?;
        not_over(order, self.now())?;
        let request = self.request(Verb::Credential)?.about(order, Some(n));
        let reply = self.done(&request).await?;
        let unfit = |Garbled(words)| ProviderError::Unknown(format!("the plugin, asked to `credential`: {words}"));
        let missing = || Garbled("its answer has no `credential`".into());
        let credential = reply.credential.ok_or_else(missing).map_err(unfit)?;
        credential.taken(n, order.not_after).map_err(unfit)
    }

    async fn revoke(&self, order: &Order) -> Result<(), ProviderError> {
        checked(order)?;
        self.done(&self.request(Verb::Revoke)?.about(order, None)).await.map(drop)
    }

    async fn list(&self, log_tag: &str) -> Result<Vec<Item>, ProviderError> {
        if !orders::is_log_tag(log_tag) {
            return Ok(Vec::new());
        }
        self.learn_if_it_can().await;
        let mut request = self.request(Verb::List)?;
        request.log_tag = Some(log_tag.to_owned());
        let items = self.done(&request).await?.items.unwrap_or_default();
        let ours = items.into_iter().filter(|item| orders::is_of_log(&item.external_id, log_tag));
        Ok(ours.map(Into::into).collect())
    }

    async fn marked(&self) -> Result<Option<Marks>, ProviderError> {
        if !self.declared.lists {
            return Err(ProviderError::Permanent("the plugin can't list what it has opened".into()));
        }
        let items = self.done(&self.request(Verb::List)?).await?.items.unwrap_or_default();
        let mut marks = Marks {
            place: format!("{}\n{}", self.name, Value::Object(self.settings.clone())),
            now: self.now(),
            items: Vec::new(),
            unmarked: Vec::new(),
        };
        for item in items {
            match item.not_after.filter(|_| orders::log_tag(&item.external_id).is_some()) {
                Some(not_after) => marks.items.push(Marked {
                    resource: item.resource.unwrap_or_else(|| self.resource.clone()),
                    external_id: item.external_id,
                    not_after,
                }),
                None => marks.unmarked.push(item.external_id),
            }
        }
        Ok(Some(marks))
    }

    async fn activity(&self, order: &Order, after: Option<&str>) -> Result<Option<Activity>, ProviderError> {
        checked(order)?;
        if !self.declared.activity {
            return Ok(None);
        }
        let mut request = self.request(Verb::Activity)?.about(order, None);
        request.after = after.map(ToOwned::to_owned);
        let redactor = Redactor::new(request.secrets.values().map(|secret| &secret.0));
        let mut activity = self.done(&request).await?.activity();
        for deed in &mut activity.deeds {
            deed.what = redactor.clean(deed.what.as_bytes(), false, usize::MAX);
        }
        Ok(Some(activity))
    }

    async fn public(&self, _name: &str) -> Option<PublicDocument> {
        None
    }
}
