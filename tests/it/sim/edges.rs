//! The predicates about what leaves the process: calls to providers, cards, notices, answers. Nothing leaves it before
//! its entry is on the disk. And what has to be so when nothing is under way, and at the end of all days.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use chrono::TimeDelta;
use countersign::{
    access::{Chat, RequestId, notices},
    chat::{Bulletin, Notice, Reply, Tone, card::Card, draw, notice::notice},
    provider::Order,
};
use secrecy::ExposeSecret as _;

use super::{
    checks::{END, EXPIRY, Found, LIVE, RECORD, SECRET, holds},
    doors::{SECRET_MARK, is_blind, is_shared},
    grants::{Ask, external_id},
    rules::account,
    world::{Inner, SECOND},
};

pub const REST: &str = "everything comes to an end";
pub const TOLD: &str = "people are told, and cards show the present state";

/// How long after the last trouble something may still be late: the longest pause of a retry, a call's deadline, and
/// some for the way.
const GRACE_SECS: u64 = 400;
/// Bulletins that are older than this are not posted any more.
const NEWS_DAYS: i64 = 6;

fn hash(card: &Card) -> u64 {
    let mut hasher = DefaultHasher::new();
    card.hash(&mut hasher);
    hasher.finish()
}

impl Inner {
    fn found(&mut self, found: Found) {
        if let Err((predicate, what)) = found {
            self.violated(predicate, &what);
        }
    }

    /// What may be shown of a request now that its entries are on the disk.
    pub fn right_now(&mut self, id: RequestId) {
        let checks = &mut self.checks;
        let Some(request) = checks.state.request(id) else { return };
        let card = hash(&draw::card(&checks.state, request));
        checks.cards.insert((id.0, card));
        // As if much time had passed: when something is told is not what is looked at here.
        let late = checks.state.last_time().unwrap() + TimeDelta::days(1);
        for (what, to) in notices(request, late) {
            let key = format!("{}-{what:?}", id.0).to_lowercase();
            let name = checks.state.name(to).to_owned();
            let right = (name, notice(&checks.state, request, what));
            let known = checks.notices.entry(key).or_default();
            if !known.contains(&right) {
                known.push(right);
            }
        }
    }

    pub fn is_called_to_open(&mut self, target: &str, order: &Order) {
        let (mono, id) = (self.mono, order.request);
        // What grants share is ordered until the last of them ends.
        let shared = self.checks.asks.iter().find(|(_, ask)| is_shared(target) && ask.target == target);
        let others: Vec<_> = shared.map(|_| self.needed_by(target, &order.holder.name)).into_iter().flatten().collect();
        let last = others.iter().filter_map(|other| other.until).max();
        let ordered = |(own, ask): (&u64, &&mut Ask)| {
            (*own == id || ask.extends == Some(id))
                && ask.orders.last().map(|own| last.map_or(*own, |last| last.max(*own))) == Some(order.not_after)
                && ask.target == target
                && order.external_id == external_id(id)
                && ask.opened < ask.orders.len() as u64
        };
        // What is called was on its way when it was recorded in the same moment that it is over.
        let is_over = |ask: &Ask| ask.over_since.is_some_and(|since| since < mono);
        let base_over = self.checks.asks.get(&id).is_some_and(is_over);
        let ask = self.checks.asks.iter_mut().find(|(own, ask)| ordered((*own, ask))).map(|(_, ask)| ask);
        let found = match ask {
            None => {
                Err((RECORD, format!("called to open {id} without an order in the ledger that nobody has carried out")))
            }
            Some(ask) => {
                ask.opened += 1;
                let over = is_over(ask) || order.not_after <= self.now || base_over;
                holds(!over, EXPIRY, || format!("called to open {id}, which is over"))
            }
        };
        self.found(found);
    }

    pub fn is_called_to_shut(&mut self, target: &str, order: &Order) {
        let id = order.request;
        let ask = self.checks.asks.get(&id);
        let here = ask.filter(|ask| ask.target == target);
        let ending = here.is_some_and(|ask| ask.ending.is_some() && ask.end.is_none());
        let stray = self.checks.strays.values().any(|(at, mark)| at == target && *mark == order.external_id);
        let live = here.is_some_and(Ask::is_live);
        let shared = here.is_some_and(|ask| {
            let known = |other: &Ask| !self.is_erased(&ask.requester) && !self.is_erased(&other.requester);
            self.sharing(id, ask).any(|other| other.is_live() && known(other))
        });
        if let Some(ask) = self.checks.asks.get_mut(&id).filter(|_| ending) {
            ask.shut += 1;
        }
        let found = holds(ending || stray, RECORD, || format!("called to shut {id}, which nobody ends"))
            .and_then(|()| holds(!live, LIVE, || format!("called to shut {id}, which is live")))
            .and_then(|()| holds(!shared, LIVE, || format!("called to shut what {id} shares with what is live")));
        self.found(found);
    }

    pub fn is_called_for_a_key(&mut self, order: &Order, n: u32) {
        let n = u64::from(n);
        let found = match self.checks.asks.get_mut(&order.request) {
            Some(ask) if ask.keys >= n && ask.keys_called < n => {
                ask.keys_called = n;
                Ok(())
            }
            _ => Err((RECORD, format!("called for key {n} of {}, which was not ordered", order.request))),
        };
        self.found(found);
    }

    pub fn is_to_post(&mut self, chat: Chat, card: &Card) {
        let right = self.checks.cards.contains(&(card.request.0, hash(card)));
        let what = || format!("a card of {} in {chat:?} shows what the ledger never said: {card:?}", card.request);
        let found = holds(right, RECORD, what);
        self.found(found);
    }

    /// Somebody looks at their home or at a request.
    pub fn is_shown(&mut self, chat: Chat, cards: &[Card]) {
        self.count("looked at home");
        for card in cards {
            self.is_to_post(chat, card);
        }
    }

    pub fn is_to_tell(&mut self, chat: Chat, to: &str, key: &str, notice: &Notice) {
        let right = self.checks.notices.get(key).is_some_and(|known| {
            let theirs = |name: &str| account(name) == to;
            known.iter().any(|(name, right)| right == notice && theirs(name))
                && self.rules.0.iter().any(|facts| facts.accounts.contains_key(&(chat, to.to_owned())))
        });
        let found = holds(right, RECORD, || format!("{to} is told `{key}`, which the ledger never said: {notice:?}"));
        self.found(found);
    }

    pub fn is_to_announce(&mut self, key: &str, bulletin: &Bulletin) {
        let seq: u64 = key.parse().unwrap();
        self.count(&format!("bulletin {}", bulletin.title.split(" up to ").next().unwrap_or_default()));
        let text = bulletin.lines.iter().map(draw::flat).collect::<Vec<_>>().join(" / ");
        let found = holds(seq < self.disk.size(), RECORD, || format!("{key} is not in the ledger"))
            .and_then(|()| holds(!text.contains(SECRET_MARK), SECRET, || format!("in a bulletin: {text}")));
        self.found(found);
    }

    /// Somebody is answered.
    pub fn is_answered(&mut self, key: &str, reply: &Reply) {
        let text = reply.lines.iter().map(draw::flat).collect::<Vec<_>>().join(" / ");
        self.note(|| format!("answer {:?} to {key}: {text}", reply.tone));
        self.count(&format!("answered {:?}", reply.tone));
        let found = self.answered(key, reply, &text);
        self.found(found);
    }

    fn answered(&mut self, key: &str, reply: &Reply, text: &str) -> Found {
        let checks = &self.checks;
        let entries = checks.by_key.get(key).cloned().unwrap_or_default();
        let said: Vec<_> = entries.iter().filter_map(|seq| checks.said.get(seq)).collect();
        holds(!text.contains(SECRET_MARK), SECRET, || format!("in an answer: {text}"))?;
        match reply.tone {
            Tone::Done => {
                let acted = said.iter().any(|said| said.act.is_some());
                holds(acted, RECORD, || format!("said to be done, and not in the ledger: {text}"))?;
            }
            Tone::Info | Tone::Refused => {
                holds(!said.is_empty(), RECORD, || format!("answered, and not in the ledger: {text}"))?;
            }
            Tone::Fault => {
                let once = checks.sent.get(key).is_some_and(|sent| sent.deliveries == 1);
                let acted = said.iter().any(|said| said.act.is_some());
                let lies = once && text.contains("Nothing was done") && acted;
                holds(!lies, RECORD, || format!("said that nothing was done, and it was: {text}"))?;
            }
        }
        for (_, part) in &reply.secret {
            let cut = self.doors.keys.iter().find(|(_, secret)| *secret == part.expose_secret());
            let Some(((id, n), _)) = cut else { return Err((SECRET, "a credential that nobody cut".into())) };
            let ask = checks.asks.iter().find(|(request, _)| external_id(**request) == *id);
            let (taken, person) =
                ask.map_or((false, ""), |(_, ask)| (ask.keys_taken.contains(&u64::from(*n)), ask.person.as_str()));
            holds(taken, RECORD, || format!("key {n} of {id} is handed out, and not in the ledger"))?;
            let own = said.iter().any(|said| said.person == person);
            holds(own, SECRET, || format!("key {n} of {id} is handed to somebody else"))?;
        }
        Ok(())
    }

    /// Nothing is under way, and the process lives: what is late?
    pub fn at_rest(&mut self) {
        if self.mono - self.trouble <= GRACE_SECS * SECOND {
            return;
        }
        self.count("looked at rest");
        let found = self.is_late();
        self.found(found);
    }

    fn is_late(&self) -> Found {
        let now = self.now;
        let late = now - TimeDelta::seconds(i64::try_from(GRACE_SECS).unwrap());
        for (id, ask) in self.checks.asks.iter().filter(|(_, ask)| ask.end.is_none()) {
            let over = ask.extends.is_none() && ask.until.is_some_and(|end| end < late);
            holds(!over, EXPIRY, || format!("{id} should have ended at {:?}, and it is {now}", ask.until))?;
            let lapsed = ask.is_pending() && ask.lapse_at < late;
            holds(!lapsed, REST, || format!("{id} should have lapsed at {}, and it is {now}", ask.lapse_at))?;
            let due = ask.approved_at.map(|at| ask.starts_at.map_or(at, |start| start.max(at)));
            let forgotten = ask.orders.is_empty() && due.is_some_and(|due| due < late);
            holds(!forgotten, REST, || format!("{id} is approved and not ordered, and it is {now}: {ask:?}"))?;
        }
        for request in self.checks.state.requests() {
            let untold = notices(request, late).into_iter().find(|told| !request.told.contains(told));
            holds(untold.is_none(), TOLD, || format!("of {} nobody was told {untold:?}, and it is {now}", request.id))?;
        }
        // A stray is found where somebody looks: at the end, that is everywhere.
        for door in self.doors.open.iter().filter(|door| !door.stray) {
            let until = door.not_after;
            let open = until < late && self.needed_by(&door.target, &door.holder).next().is_none();
            holds(!open, EXPIRY, || {
                format!("{:?} is open, should be shut since {until}, and it is {now}", door.marks)
            })?;
        }
        Ok(())
    }

    /// Live accesses of somebody on a target.
    fn needed_by<'a>(&'a self, target: &'a str, holder: &'a str) -> impl Iterator<Item = &'a Ask> {
        self.checks.asks.values().filter(move |ask| ask.is_live() && ask.target == target && ask.person == holder)
    }

    /// Nothing goes wrong any more, and much time has passed.
    pub fn at_the_end(&mut self) {
        let found = self.last_look();
        self.found(found);
        self.refold();
    }

    fn last_look(&self) -> Found {
        let checks = &self.checks;
        if let Some(door) = self.doors.open.iter().find(|door| !(door.stray && is_blind(&door.target))) {
            return Err((EXPIRY, format!("{door:?} is open at the end of all days")));
        }
        for (id, ask) in &checks.asks {
            holds(ask.end.is_some(), REST, || format!("{id} has no end: {ask:?}"))?;
            let closed = matches!(ask.end.as_deref(), Some("grant.ended" | "grant.failed" | "grant.extended"));
            holds(ask.orders.is_empty() || closed, END, || format!("{id} was ordered, and finished by {:?}", ask.end))?;
            let owes = ask.glass && ask.end.as_deref() == Some("grant.ended") && !self.is_erased(&ask.requester);
            holds(!owes || ask.reviewed, REST, || format!("{id} was never reviewed: {ask:?}"))?;
        }
        holds(checks.strays.is_empty(), EXPIRY, || format!("what is extra is still there: {:?}", checks.strays))?;
        holds(!self.is_open(), REST, || format!("something is open: {:?}", checks.state.open().next().unwrap()))?;
        self.everybody_knows()
    }

    /// Whether something is not over, but for reviews of what belonged to somebody who was erased: perhaps nobody is left
    /// who was there before.
    pub fn is_open(&self) -> bool {
        self.checks
            .state
            .open()
            .any(|request| !(request.owes_review() && self.is_erased(&hex::encode(request.requester.0))))
    }

    fn everybody_knows(&self) -> Found {
        let state = &self.checks.state;
        for request in state.requests() {
            for (notice, to) in notices(request, self.now) {
                let told = request.told.contains(&(notice, to));
                holds(told, TOLD, || format!("of {} nobody was told {notice:?}", request.id))?;
            }
            let card = draw::card(state, request);
            for (place, standing) in &request.cards {
                let shown = self.chats.posted.get(&(place.chat, standing.message.clone()));
                holds(shown == Some(&card), TOLD, || {
                    format!("the card of {} in {:?} is {:?}", request.id, place.chat, shown.map(|card| card.status))
                })?;
            }
            let also = self.checks.asks.get(&request.id.0).map_or(0, |ask| ask.also);
            let places = self.chats.served.len() * (1 + also);
            holds(request.cards.len() == places, TOLD, || format!("{} has {} cards", request.id, request.cards.len()))?;
        }
        let news = self.now - TimeDelta::days(NEWS_DAYS);
        for bulletin in state.bulletins().filter(|bulletin| bulletin.at > news) {
            for chat in self.chats.served.iter().copied() {
                let stands = self.chats.bulletins.contains_key(&(chat, bulletin.seq.to_string()));
                holds(stands, TOLD, || format!("the bulletin {} does not stand in {chat:?}", bulletin.seq))?;
            }
        }
        Ok(())
    }
}
