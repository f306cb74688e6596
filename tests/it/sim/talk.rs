//! What people say below cards: it is recorded with its request, once, before it is taken, and nothing follows from it.

use countersign::{
    access::{Chat, TALK_EACH_MAX},
    chat::{Talk, Turn},
    ledger::Entry,
};

use super::{
    checks::{Found, ONCE, PERSON, RECORD, holds, text},
    rules::{PEOPLE, account},
    script::key,
    world::Inner,
};

/// Something said, changed or deleted below a card.
#[derive(Debug, Clone)]
pub struct Talked {
    talk: Talk,
    request: u64,
    recorded: bool,
}

/// The name of it in the ledger.
fn name(talk: &Talk) -> String {
    let version = match &talk.turn {
        Turn::Said(_) => String::new(),
        Turn::Changed { version, .. } => format!("changed\n{version}"),
        Turn::Deleted => "deleted".to_owned(),
    };
    key(talk.chat, &talk.account, &format!("thread\n{}\n{}\n{version}", talk.card, talk.message))
}

impl Inner {
    /// Somebody says something below a card that is recorded, or changes, deletes or repeats what was said; its name.
    pub fn talks(&mut self) -> Option<(Talk, String)> {
        let mut before: Vec<String> = self.checks.talked.keys().cloned().collect();
        before.sort();
        let talk = if !before.is_empty() && self.rng.permille(400) {
            let mut talk = self.checks.talked[self.rng.pick(&before)].talk.clone();
            match self.rng.below(3) {
                0 => self.count("talk delivered again"),
                1 => {
                    let version = self.rng.below(3).to_string();
                    talk.turn = Turn::Changed { text: format!("not {}, after all", talk.message), version };
                }
                _ => talk.turn = Turn::Deleted,
            }
            talk
        } else {
            let state = &self.checks.state;
            let known = self.chats.posted.keys().filter(|(chat, card)| state.below(*chat, card).is_some());
            let cards: Vec<(Chat, String)> = known.cloned().collect();
            if cards.is_empty() {
                return None;
            }
            let (chat, card) = self.rng.pick(&cards).clone();
            let who = *self.rng.pick::<&'static str>(&PEOPLE);
            let message = format!("m{}", self.checks.talked.len());
            let words = ["yes", "approve it", "/access approve 3", "who is this?"];
            let turn = Turn::Said((*self.rng.pick(&words)).to_owned());
            Talk { chat, account: account(who), card, message, turn }
        };
        let name = name(&talk);
        // A repeated one is below the card it was below, whatever became of that.
        let below = self.checks.state.below(talk.chat, &talk.card).map(|request| request.id.0);
        let known = self.checks.talked.values().find(|known| known.talk.card == talk.card).map(|known| known.request);
        let request = below.or(known)?;
        self.note(|| format!("{} below {} in {:?}: {:?}", talk.account, talk.card, talk.chat, talk.turn));
        self.checks.talked.entry(name.clone()).or_insert(Talked { talk: talk.clone(), request, recorded: false });
        Some((talk, name))
    }

    /// It is taken, or is to come again.
    pub fn is_taken(&mut self, name: &str, taken: bool) {
        self.count(if taken { "talk taken" } else { "talk refused" });
        let Talked { talk, recorded, .. } = self.checks.talked[name].clone();
        let Some(request) = self.checks.state.below(talk.chat, &talk.card) else { return };
        let bounded = request.talk.len() >= TALK_EACH_MAX;
        if taken && !recorded && !bounded && matches!(talk.turn, Turn::Said(_)) {
            self.violated(RECORD, &format!("{talk:?} is taken, and not recorded"));
        }
    }

    /// An entry about it. It never becomes one of the messages that something may follow from.
    pub fn overheard(&mut self, entry: &Entry) -> Found {
        let name = text(entry, "key").to_owned();
        let Talked { talk, request, recorded } =
            self.checks.talked.get(&name).cloned().ok_or((PERSON, "nobody said it".to_owned()))?;
        holds(!recorded, ONCE, || "it was recorded before".into())?;
        if let Some(talked) = self.checks.talked.get_mut(&name) {
            talked.recorded = true;
        }
        let known = self.facts().accounts.get(&(talk.chat, talk.account.clone())).cloned();
        let whose = known.unwrap_or_else(|| format!("{}:{}", talk.chat.word(), talk.account));
        let right = self.checks.people.get(text(entry, "from")) == Some(&whose);
        holds(right, PERSON, || format!("it is said to be somebody else's than {whose}'s"))?;
        let turn = entry.body["thread"]["turn"].as_str().unwrap_or_default().to_owned();
        self.count(&format!("talk {turn}"));
        let same = entry.body["thread"]["request"].as_u64() == Some(request) && entry.body["via"] == "thread";
        holds(same, RECORD, || format!("it was said below the card of {request}"))
    }
}
