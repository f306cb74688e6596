//! What concerns a whole channel: posted once on every platform, tried again until it stands there.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;

use super::{
    codec,
    follow::Later,
    ground::{Log, blocking},
    job::Job,
    recovery,
    writer::Writer,
};
use crate::{
    access::{self, Chat, Event, State, Topic},
    audit::{Digest, Lived},
    chat::{Bulletin, ChatError, bulletin},
    ledger::verify::Anchor,
};

/// The first pause before a bulletin is posted again; it doubles each time.
const AGAIN_FIRST_MS: u64 = 500;
/// The longest pause before a bulletin is posted again.
const AGAIN_LONGEST_MS: u64 = 60_000;
/// What is older than this is news to nobody: a platform that is added later does not get it.
const TOLD_WITHIN_DAYS: i64 = 7;

/// What is being posted.
#[derive(Default)]
pub struct Posts {
    busy: HashSet<(u64, Chat)>,
    /// What this process has posted where the platform forgets.
    posted: HashSet<(u64, Chat)>,
    failures: HashMap<(u64, Chat), u32>,
}

impl Posts {
    /// A bulletin was posted, or not. The message's id if it was.
    pub fn posted(
        &mut self,
        bulletin: u64,
        chat: Chat,
        result: Result<String, ChatError>,
        (clock, to_self): Later<'_>,
    ) -> Option<String> {
        let key = (bulletin, chat);
        match result {
            Ok(message) => {
                self.busy.remove(&key);
                self.failures.remove(&key);
                self.posted.insert(key);
                Some(message)
            }
            Err(error) => {
                tracing::warn!(%error, bulletin, chat = chat.word(), "a bulletin could not be posted; tried again");
                let failures = self.failures.entry(key).or_default();
                *failures = failures.saturating_add(1);
                let pause = AGAIN_FIRST_MS.saturating_mul(1 << failures.saturating_sub(1).min(16));
                let wake = clock.pause(Duration::from_millis(pause.min(AGAIN_LONGEST_MS)));
                let to_self = to_self.clone();
                self.busy.remove(&key);
                tokio::spawn(async move {
                    wake.await;
                    // A writer that is gone has nothing to post.
                    let _ = to_self.send(Job::Repost).await;
                });
                None
            }
        }
    }
}

impl Writer {
    /// Posts what stands on a platform not yet.
    pub(super) fn post(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        let oldest = self.now() - TimeDelta::days(TOLD_WITHIN_DAYS);
        for about in self.state.bulletins().filter(|about| about.at >= oldest) {
            for adapter in &self.setup.adapters {
                let key = (about.seq, adapter.chat());
                let stands = if adapter.forgets() {
                    self.posts.posted.contains(&key)
                } else {
                    about.posted.contains_key(&adapter.chat())
                };
                // One that failed waits for its turn, which the job that comes then is.
                if stands || !self.posts.busy.insert(key) {
                    continue;
                }
                let telling = self.telling(about);
                let channel = match about.topic {
                    Topic::Digest => None,
                    Topic::Rules | Topic::BrokenRule | Topic::Clock | Topic::Concern => {
                        self.setup.book.rules().security_channel()
                    }
                };
                let (adapter, to_self, errand) = (Arc::clone(adapter), self.to_self.clone(), self.shared.errand());
                tokio::spawn(async move {
                    let _errand = errand;
                    let (bulletin, chat) = key;
                    let result = match telling.await {
                        Ok(text) => adapter.post(channel.as_deref(), &bulletin.to_string(), &text).await,
                        Err(error) => Err(ChatError(error)),
                    };
                    let _ = to_self.send(Job::Posted { bulletin, chat, result }).await;
                });
            }
        }
    }

    /// What a bulletin says.
    fn telling(&self, about: &access::Bulletin) -> impl Future<Output = Result<Bulletin, String>> + Send + use<> {
        let loaded = self.state.loaded(about.seq).map(|(files, before)| (files.clone(), before.cloned()));
        let (about, widened) = (about.clone(), Arc::clone(&self.setup.widened));
        let review = self.state.requests().find(|request| request.entries.contains(&about.seq)).cloned();
        let concern = review.map(|request| bulletin::concern(&self.state, &request));
        // A report is about the whole state: only for one is it copied, and a report is rare.
        let report = (about.topic == Topic::Digest).then(|| (self.state.clone(), self.ledger.clone()));
        let ground = Arc::clone(&self.setup.ground);
        async move {
            match about.topic {
                Topic::Rules => {
                    let words = blocking(ground.as_ref(), move || match loaded {
                        Some((files, Some(before))) => widened(&before, &files),
                        Some(_) | None => Vec::new(),
                    });
                    Ok(bulletin::rules(about.seq, &words.await.unwrap_or_default()))
                }
                Topic::BrokenRule => Ok(bulletin::broken_rule(about.seq)),
                Topic::Clock => Ok(bulletin::clock(about.seq)),
                Topic::Concern => concern.ok_or_else(|| "the review is out of memory".to_owned()),
                Topic::Digest => {
                    let made = move || match report {
                        Some((state, Some(ledger))) => digest(&state, ledger.as_ref(), about.seq),
                        Some(_) | None => Err("the ledger is not open".to_owned()),
                    };
                    blocking(ground.as_ref(), made).await.unwrap_or_else(|| Err("the report broke off".to_owned()))
                }
            }
        }
    }
}

/// The report of the period that the entry `seq` closed, with the newest head. Blocks.
fn digest(state: &State, ledger: &dyn Log, seq: u64) -> Result<Bulletin, String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let read = |from, to| {
        let entries = ledger.entries(from, to).map_err(|error| said(&error))?;
        Ok::<_, String>(
            entries.map(move |entry| codec::stored(entry.map_err(|error| said(&error))?).map_err(|error| said(&error))),
        )
    };
    let made = read(seq, seq + 1)?.next().transpose()?.map(|stored| stored.event);
    let Some(Event::DigestMade { from, to, due }) = made else { return Err("its entry is none of a report".into()) };
    let lived = |id| match state.request(id) {
        Some(request) => Some(Lived::of(request)),
        None => recovery::request(ledger, id).map(|request| Lived::of(&request)),
    };
    let mut broken = None;
    let entries = read(from, to)?.map_while(|stored| stored.map_err(|error| broken = Some(error)).ok());
    let digest = Digest::of(entries, lived);
    if let Some(error) = broken {
        return Err(error);
    }
    let head = Anchor::line(&ledger.head().note);
    Ok(bulletin::digest((from, to), due, &digest.words(state), head))
}
