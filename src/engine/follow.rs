//! What follows from a state: providers to call, cards to draw, people to tell. Each request has one lane to its
//! provider, so that a revocation never overtakes a grant; cards and notices wait for nobody but themselves.

use std::{
    collections::{BTreeSet, HashMap, HashSet, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{
    clock::Clock,
    doors::{self, Call, PROVIDER_DEADLINE},
    job::Job,
    writer::Writer,
};
use crate::{
    access::{Chat, Effect, Notice, Posted, Request, RequestId, Standing, SubjectId, effects_of, notices},
    chat::{Adapter, ChatError, Reply, answer, card::Card, draw, notice},
};

/// The first pause before a message is posted again; it doubles each time.
const POST_AGAIN_FIRST_MS: u64 = 500;
/// The longest pause before a message is posted again.
const POST_AGAIN_LONGEST_MS: u64 = 60_000;
/// Beyond so many lanes of cards, those of requests that are out of memory are forgotten. More than are ever in memory.
const CARD_LANES_MAX: usize = 50_000;
/// So many of the newest requests are drawn anew on a platform that forgets its messages.
const REDRAWN_AT_START: usize = 200;
/// So many of the last to be finished are drawn anew on any platform: a process that ended may have left their cards as
/// they were before.
const REVISED_AT_START: usize = 50;

/// What it takes to do something again later.
pub type Later<'a> = (&'a dyn Clock, &'a mpsc::Sender<Job>);

/// What a provider is called for one after the other, so that a revocation never overtakes an order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Lane {
    /// A door of its own, by the request that it was opened for.
    Own(RequestId),
    /// What one person's grants on one target share.
    Shared(String, SubjectId),
}

/// Somebody who is being told something about a request.
pub type Telling = (RequestId, Notice, SubjectId);

/// What is under way outside.
#[derive(Default)]
pub struct Lanes {
    /// Lanes on which a provider is at work.
    busy: HashMap<Lane, Busy>,
    /// Requests that wait for a lane.
    waiting: HashMap<Lane, BTreeSet<RequestId>>,
    /// Lanes that were or became busy while a target is being listed, by listing.
    during: HashMap<String, HashSet<Lane>>,
    cards: HashMap<(RequestId, Posted), CardLane>,
    telling: HashSet<Telling>,
    /// The platforms on which somebody was told already, while another one is away.
    reached: HashMap<Telling, BTreeSet<Chat>>,
    telling_failures: HashMap<RequestId, u32>,
}

/// What a provider is at work for.
struct Busy {
    /// The request, unless it removes something extra.
    request: Option<RequestId>,
    /// Who waits for its key.
    waiting: Option<oneshot::Sender<Reply>>,
}

#[derive(Default)]
struct CardLane {
    busy: bool,
    /// What the message looks like now, as far as this process has drawn it: the card's hash, good for this process.
    drawn: Option<u64>,
    /// What this process has drawn last, which the ledger does not know if its entry was lost.
    standing: Option<Standing>,
    failures: u32,
}

impl Lanes {
    /// Whether a provider is at work on a lane.
    pub fn is_busy(&self, lane: &Lane) -> bool {
        self.busy.contains_key(lane)
    }

    /// Whether a provider is at work for a request, or its answer was not looked at yet.
    pub fn is_busy_for(&self, lane: &Lane, request: RequestId) -> bool {
        self.busy.get(lane).is_some_and(|busy| busy.request == Some(request))
    }

    /// A provider is at work from now on: for a request, unless it removes something extra.
    pub fn occupy(&mut self, lane: &Lane, request: Option<RequestId>, waiting: Option<oneshot::Sender<Reply>>) {
        for lanes in self.during.values_mut() {
            lanes.insert(lane.clone());
        }
        self.busy.insert(lane.clone(), Busy { request, waiting });
    }

    /// A target is being listed from now on; false if it is already.
    pub fn listing(&mut self, target: &str) -> bool {
        if self.during.contains_key(target) {
            return false;
        }
        self.during.insert(target.to_owned(), self.busy.keys().cloned().collect());
        true
    }

    /// A target was listed: the lanes on which a provider was at work at any time meanwhile.
    pub fn listed(&mut self, target: &str) -> HashSet<Lane> {
        self.during.remove(target).unwrap_or_default()
    }

    /// Whether any provider is at work.
    pub fn any_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    /// The provider is done: who waits for its key, if it was for a key, and which requests wait for the lane.
    pub fn free(&mut self, lane: &Lane) -> (Option<oneshot::Sender<Reply>>, BTreeSet<RequestId>) {
        (self.busy.remove(lane).and_then(|busy| busy.waiting), self.waiting.remove(lane).unwrap_or_default())
    }

    /// A card was drawn, or not. What stands there if it was.
    pub fn drawn(
        &mut self,
        request: RequestId,
        place: &Posted,
        card: &Card,
        result: Result<Standing, ChatError>,
        later: Later<'_>,
    ) -> Option<Standing> {
        let lane = self.cards.entry((request, place.clone())).or_default();
        lane.busy = false;
        match result {
            Ok(standing) => {
                lane.drawn = Some(look(card));
                lane.standing = Some(standing.clone());
                lane.failures = 0;
                Some(standing)
            }
            Err(error) => {
                tracing::warn!(%error, request = request.0, chat = place.chat.word(), channel = place.channel, "a card could not be drawn; tried again");
                lane.failures = lane.failures.saturating_add(1);
                redo_later(request, lane.failures, later);
                None
            }
        }
    }

    /// A notice was sent, or not. Whether it was.
    pub fn told(&mut self, what: Telling, reached: Vec<Chat>, result: Result<(), ChatError>, later: Later<'_>) -> bool {
        self.telling.remove(&what);
        let (request, ..) = what;
        let Err(error) = result else {
            self.telling_failures.remove(&request);
            self.reached.remove(&what);
            return true;
        };
        // A platform that is away is no reason to tell them again where they were told.
        self.reached.entry(what).or_default().extend(reached);
        tracing::warn!(%error, request = request.0, "a notice could not be sent; tried again");
        let failures = self.telling_failures.entry(request).or_default();
        *failures = failures.saturating_add(1);
        redo_later(request, *failures, later);
        false
    }
}

/// What a card looks like, in a number.
fn look(card: &Card) -> u64 {
    let mut hasher = DefaultHasher::new();
    card.hash(&mut hasher);
    hasher.finish()
}

fn redo_later(request: RequestId, failures: u32, (clock, to_self): Later<'_>) {
    let pause = POST_AGAIN_FIRST_MS.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(POST_AGAIN_LONGEST_MS);
    let (wake, to_self) = (clock.pause(Duration::from_millis(pause)), to_self.clone());
    tokio::spawn(async move {
        wake.await;
        // A writer that is gone has nothing to do again.
        let _ = to_self.send(Job::Redo(request)).await;
    });
}

impl Writer {
    /// Which lane a request's provider is called on. What extends another's access goes on that one's, so that its
    /// revocation never overtakes it.
    pub(super) fn lane_of(&self, id: RequestId) -> Lane {
        let Some(request) = self.state.request(id) else { return Lane::Own(id) };
        if self.setup.doors.shared(&request.resource, &request.target) {
            return Lane::Shared(doors::key(&request.target), request.requester);
        }
        Lane::Own(request.manner.extends.unwrap_or(id))
    }

    /// Does what a request's state calls for, as far as it is not under way already. Without a ledger nothing: the state
    /// may be ahead of what was recorded.
    pub(super) fn follow(&mut self, id: RequestId) {
        if self.ledger.is_none() {
            return;
        }
        let now = self.now();
        let Some(request) = self.state.request(id) else { return };
        for effect in effects_of(request, now) {
            match effect {
                Effect::Issue { attempt, not_after } if not_after > now => self.call(id, Call::Grant, attempt, None),
                // The write took so long that its time is up: it is ended next, and nothing is opened for it.
                Effect::Issue { .. } => {}
                Effect::Close => self.call(id, Call::Revoke, 0, None),
                Effect::Tell { notice, to } => self.tell(id, notice, to),
            }
        }
        self.draw(id);
    }

    /// When the ledger was opened: everything that is open, and the cards of what was finished last; on a platform that
    /// forgets what was posted, those of the newest.
    pub(super) fn follow_everything(&mut self) {
        if self.ledger.is_none() {
            return;
        }
        // Those that are over may still have somebody to be told.
        let now = self.now();
        let wanting = |request: &&Request| !request.over() || !effects_of(request, now).is_empty();
        let open: Vec<RequestId> = self.state.requests().filter(wanting).map(|request| request.id).collect();
        let forgetful = self.setup.adapters.iter().any(|adapter| adapter.forgets());
        if forgetful {
            let recent: Vec<RequestId> =
                self.state.requests().rev().take(REDRAWN_AT_START).map(|request| request.id).collect();
            for id in recent.into_iter().rev() {
                self.draw(id);
                self.remind(id);
            }
        }
        let finished = self.state.requests().filter(|request| request.over());
        let mut latest: Vec<(Option<u64>, RequestId)> =
            finished.map(|request| (request.entries.last().copied(), request.id)).collect();
        latest.sort_unstable();
        for (_, id) in latest.into_iter().rev().take(REVISED_AT_START) {
            self.draw(id);
        }
        for id in open {
            self.follow(id);
        }
    }

    /// Calls the provider for a request, unless it is at work for it already.
    fn call(&mut self, id: RequestId, call: Call, attempt: u32, waiting: Option<oneshot::Sender<Reply>>) {
        let lane = self.lane_of(id);
        if self.lanes.is_busy(&lane) {
            self.lanes.waiting.entry(lane).or_default().insert(id);
            return;
        }
        if self.stopping.is_some() {
            return;
        }
        let Some(request) = self.state.request(id) else { return };
        let Some(mut order) = self.setup.doors.order(&self.state, request) else { return };
        let target = request.target.clone();
        // What somebody's other grant needs stays. It is shut with the last of them, on the same lane.
        let longest = if matches!(lane, Lane::Shared(..)) {
            self.state.sharing(request.requester, &target, id).max_by_key(|other| other.not_after)
        } else {
            None
        };
        let spared = longest.filter(|_| call == Call::Revoke).map(|other| other.id);
        if let Some(until) = longest.filter(|_| call == Call::Grant).and_then(|other| other.not_after) {
            // What they share ends with the last of them.
            order.not_after = order.not_after.max(until);
        }
        self.lanes.occupy(&lane, Some(id), waiting);
        let doors = Arc::clone(&self.setup.doors);
        let deadline = self.setup.clock.pause(PROVIDER_DEADLINE);
        let (to_self, errand) = (self.to_self.clone(), self.shared.errand());
        tokio::spawn(async move {
            let _errand = errand;
            let result = if spared.is_some() { Ok(None) } else { doors.call(call, target, order, deadline).await };
            let _ = to_self.send(Job::Provider { request: id, lane, call, attempt, spared, result }).await;
        });
    }

    /// Has the provider cut the key that was just ordered.
    pub(super) fn cut_key(&mut self, id: RequestId, reply: oneshot::Sender<Reply>) {
        let n = self.state.request(id).map_or(0, |request| request.credentials);
        if self.lanes.is_busy(&self.lane_of(id)) || self.stopping.is_some() {
            let _ = reply.send(answer::no_credential(id, "another call to its provider is under way"));
            return;
        }
        self.call(id, Call::Credential(n), 0, Some(reply));
    }

    fn draw(&mut self, id: RequestId) {
        let Some(request) = self.state.request(id) else { return };
        // A card is never ahead of the ledger: the request's own entry has to be on the disk.
        if request.leaf.is_none() {
            return;
        }
        let card = draw::card(&self.state, request);
        let look = look(&card);
        for (adapter, channel) in places(&self.setup.adapters, request) {
            let place = Posted { chat: adapter.chat(), channel: channel.clone() };
            let lane = self.lanes.cards.entry((id, place.clone())).or_default();
            let recorded = request.cards.get(&place).cloned();
            if lane.busy || lane.drawn == Some(look) && lane.standing == recorded {
                continue;
            }
            lane.busy = true;
            let posted = lane.standing.clone().or(recorded);
            let (adapter, card, to_self) = (Arc::clone(adapter), card.clone(), self.to_self.clone());
            let errand = self.shared.errand();
            tokio::spawn(async move {
                let _errand = errand;
                let result = adapter.put_card(&place.channel, posted.as_ref(), &card).await;
                let _ = to_self.send(Job::Drawn { request: id, place, card: Box::new(card), result }).await;
            });
        }
        if self.lanes.cards.len() > CARD_LANES_MAX {
            let state = &self.state;
            self.lanes.cards.retain(|(id, _), lane| lane.busy || state.request(*id).is_some());
        }
    }

    /// Tells somebody something, on every platform they can be reached on.
    fn tell(&mut self, id: RequestId, notice: Notice, to: SubjectId) {
        let Some(request) = self.state.request(id) else { return };
        if !self.lanes.telling.insert((id, notice, to)) {
            return;
        }
        let rules = self.setup.book.rules();
        let name = self.state.name(to).to_owned();
        let text = notice::notice(&self.state, request, notice);
        let reached = self.lanes.reached.get(&(id, notice, to));
        let reachable: Vec<(Arc<dyn Adapter>, String)> = self
            .setup
            .adapters
            .iter()
            .filter(|adapter| reached.is_none_or(|chats| !chats.contains(&adapter.chat())))
            .filter_map(|adapter| Some((Arc::clone(adapter), rules.account(adapter.chat(), &name)?)))
            .collect();
        let key = notice_key(id, notice);
        let (to_self, errand) = (self.to_self.clone(), self.shared.errand());
        tokio::spawn(async move {
            let _errand = errand;
            // Whoever has left, or has no account here, can't be told; that is no reason to go on trying.
            let (mut reached, mut result) = (Vec::new(), Ok(()));
            for (adapter, account) in reachable {
                match adapter.direct(&account, &key, &text).await {
                    Ok(_) => reached.push(adapter.chat()),
                    Err(error) => result = Err(error),
                }
            }
            let _ = to_self.send(Job::Told { request: id, notice, to, reached, result }).await;
        });
    }

    /// Repeats, on platforms that forget, what somebody was told before this process started.
    fn remind(&self, id: RequestId) {
        let Some(request) = self.state.request(id) else { return };
        let rules = self.setup.book.rules();
        for (notice, to) in notices(request, self.now()) {
            if !request.told.contains(&(notice, to)) {
                continue;
            }
            let text = notice::notice(&self.state, request, notice);
            for adapter in self.setup.adapters.iter().filter(|adapter| adapter.forgets()) {
                let Some(account) = rules.account(adapter.chat(), self.state.name(to)) else { continue };
                let (adapter, text, key) = (Arc::clone(adapter), text.clone(), notice_key(id, notice));
                let errand = self.shared.errand();
                tokio::spawn(async move {
                    let _errand = errand;
                    if let Err(error) = adapter.direct(&account, &key, &text).await {
                        tracing::warn!(%error, "a notice could not be repeated");
                    }
                });
            }
        }
    }
}

/// Where a request's card stands: in its channels on every platform, once in each.
fn places<'a>(
    adapters: &'a [Arc<dyn Adapter>],
    request: &'a Request,
) -> impl Iterator<Item = (&'a Arc<dyn Adapter>, &'a String)> {
    adapters.iter().flat_map(|adapter| {
        let mut taken = BTreeSet::new();
        let channels = std::iter::once(&request.channel).chain(&request.manner.also);
        channels.filter(move |channel| taken.insert(adapter.channel(channel))).map(move |channel| (adapter, channel))
    })
}

fn notice_key(id: RequestId, notice: Notice) -> String {
    format!("{}-{notice:?}", id.0).to_lowercase()
}
