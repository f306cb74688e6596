//! The one writer: takes jobs from a bounded queue, decides, appends the whole batch, and only then answers and acts.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{mpsc, oneshot};

use super::{
    Fatal, Setup, Shared, clock, codec,
    follow::Lanes,
    ground::{Log, blocking},
    job::{Job, Loaded, Look, Owed},
    posts::Posts,
    recovery,
    rulebook::Book,
    sweep::Sweeps,
};
use crate::{
    access::{Action, Command, Event, Files, Fresh, Moment, Phase, Refusal, RequestId, State, Stored, decide, settle},
    chat::{Reply, answer},
    ledger::{Draft, OpenError},
    provider::Credential,
};

/// Jobs taken into one batch.
const BATCH_JOBS_MAX: usize = 256;
/// Events in one batch, beyond which no more jobs are taken and what is due waits for the next; the ledger takes
/// [`crate::ledger::DRAFTS_MAX`] at once, and one job leaves only a few.
const BATCH_EVENTS_MAX: usize = 224;
/// Text of messages taken into one batch, bytes; a job that goes over it is the last of its batch.
const BATCH_TEXT_BYTES_MAX: usize = 512 * 1024;
/// The state is kept for the next start each time so many entries have come.
const KEPT_EVERY_ENTRIES: u64 = 4096;
/// How long a stop waits for providers that are at work.
pub const DRAIN_MAX: Duration = Duration::from_secs(8);
/// An idle service signs a head at least so often.
const HEARTBEAT_SECS: i64 = 3600;
/// A wall clock that is further behind the ledger than this is recorded.
const STEP_RECORDED_SECS: i64 = 2;

/// The writer.
pub struct Writer {
    pub(super) setup: Arc<Setup>,
    pub(super) shared: Arc<Shared>,
    pub(super) ledger: Option<Arc<dyn Log>>,
    pub(super) state: State,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) to_self: mpsc::Sender<Job>,
    pub(super) lanes: Lanes,
    pub(super) posts: Posts,
    pub(super) sweeps: Sweeps,
    /// What arrived while the ledger was away.
    pub(super) held: VecDeque<Job>,
    /// Up to when tries were followed.
    followed: DateTime<Utc>,
    /// What the wall clock said when it was looked at last, and how much time had passed.
    looked: Option<clock::Look>,
    /// Whether a clock that is behind has been recorded and has not caught up yet.
    step_recorded: bool,
    pub(super) stopping: Option<oneshot::Sender<()>>,
    /// Who wants to be told when there is nothing to do.
    pub(super) asked_for_rest: Vec<oneshot::Sender<usize>>,
    /// What the check of the old history found.
    pub(super) broken: Option<OpenError>,
    /// How much room there was for the ledger when it was looked at last.
    pub(super) room: Room,
    /// Whether all history was checked that this process did not write itself.
    pub(super) checked: bool,
    /// The size at which the state was last kept for the next start.
    kept: u64,
    /// The size of the ledger when this process opened it first.
    began: u64,
    /// Whether the ledger was opened, and what follows from it has not been looked at yet.
    unfollowed: bool,
}

/// How much room there is for the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// For all that comes.
    Enough,
    /// For what must be recorded.
    Scarce,
}

/// What is decided together and becomes durable together.
pub(super) struct Batch {
    pub(super) now: DateTime<Utc>,
    pub(super) book: Arc<Book>,
    pub(super) fresh: Fresh,
    /// Rules that hold once the batch is on the disk, with the entry that says so.
    pub(super) loads: Vec<(u64, Arc<Book>, Loaded)>,
    pub(super) drafts: Vec<Draft>,
    pub(super) touched: BTreeSet<RequestId>,
    pub(super) owed: Vec<(oneshot::Sender<Reply>, Owed)>,
    pub(super) looks: Vec<Look>,
    pub(super) text_bytes: usize,
}

impl Batch {
    pub(super) fn moment(&self) -> Moment<'_> {
        Moment { rules: self.book.rules.as_ref(), now: self.now, fresh: self.fresh }
    }
}

impl Writer {
    /// A writer over a ledger and the state folded from it.
    pub fn new(
        setup: Arc<Setup>,
        shared: Arc<Shared>,
        (ledger, state): (Arc<dyn Log>, State),
        jobs: mpsc::Receiver<Job>,
        to_self: mpsc::Sender<Job>,
    ) -> Self {
        let followed = setup.clock.now();
        let (kept, began) = (ledger.snapshot().map_or(0, |(size, _)| size), ledger.size());
        let checked = !begins_check(&setup, ledger.as_ref(), &to_self);
        Self {
            setup,
            shared,
            ledger: Some(ledger),
            state,
            jobs,
            to_self,
            lanes: Lanes::default(),
            posts: Posts::default(),
            sweeps: Sweeps::new(followed),
            held: VecDeque::new(),
            followed,
            looked: None,
            step_recorded: false,
            stopping: None,
            asked_for_rest: Vec::new(),
            broken: None,
            room: Room::Enough,
            checked,
            kept,
            began,
            unfollowed: true,
        }
    }

    /// Runs until it is stopped, or can't go on.
    ///
    /// # Errors
    /// [`Fatal`]: the ledger can't be trusted any more. Nothing was answered that is not in it.
    pub async fn run(mut self) -> Result<(), Fatal> {
        self.resume().await;
        while self.stopping.is_none() {
            if self.held.is_empty() && std::mem::take(&mut self.unfollowed) {
                self.follow_everything();
                self.sweep();
            }
            let job = if self.held.is_empty() { self.wait().await } else { None };
            self.work(job).await?;
            self.follow_tries();
            self.sweep();
        }
        self.drain().await?;
        self.keep(1).await;
        self.shut().await;
        Ok(())
    }

    /// What comes first after the ledger was opened: that this process started, if that is not in it yet, and the orders
    /// that are out. Nobody waits any more for their answers, so they are ordered anew, before anything else is done, and
    /// every call to a provider from then on has its own entry.
    pub(super) async fn resume(&mut self) {
        self.unfollowed = true;
        let out = self.state.open().filter(|request| matches!(request.phase, Phase::Ordered { .. }));
        let unheard = out.filter(|request| !self.lanes.is_busy_for(&self.lane_of(request.id), request.id));
        let anew = unheard.map(|request| Job::Command(Command::OrderAnew { request: request.id }));
        let mut first: VecDeque<Job> = anew.collect();
        if self.state.last_loading().is_none_or(|seq| seq < self.began) {
            let files = self.setup.book.now().files.clone();
            let widened = self.widened(files.clone()).await;
            first.push_front(Job::Command(Command::Started { version: self.setup.version.clone(), files, widened }));
        }
        first.append(&mut self.held);
        self.held = first;
    }

    /// In how many ways these files let people do more than those that were loaded last.
    async fn widened(&self, files: Files) -> u32 {
        let Some(before) = self.state.last_loaded().filter(|before| **before != files).cloned() else { return 0 };
        let widened = Arc::clone(&self.setup.widened);
        let words = blocking(self.setup.ground.as_ref(), move || widened(&before, &files)).await.unwrap_or_default();
        u32::try_from(words.len()).unwrap_or(u32::MAX)
    }

    /// Records what the providers still answer, so that the next start has less to ask; starts nothing new.
    async fn drain(&mut self) -> Result<(), Fatal> {
        let mut over = self.setup.clock.pause(DRAIN_MAX);
        while self.lanes.any_busy() && self.ledger.is_some() {
            tokio::select! {
                biased;
                () = &mut over => break,
                job = self.jobs.recv() => match job {
                    Some(Job::Message { reply, .. } | Job::Talk { reply, .. }) => { let _ = reply.send(answer::stopping()); }
                    Some(job) => self.work(Some(job)).await?,
                    None => break,
                },
            }
        }
        Ok(())
    }

    /// One batch: what is held first, then what is queued.
    async fn work(&mut self, first: Option<Job>) -> Result<(), Fatal> {
        let mut next = first.or_else(|| self.held.pop_front());
        if next.is_some() {
            self.look_for_room().await;
        }
        let mut batch = self.batch();
        let mut room = BATCH_JOBS_MAX;
        while let Some(job) = next.take() {
            // What follows other rules is decided by them, in a batch of its own.
            if let Job::Load { book, done } = job {
                self.load(&mut batch, book, done).await;
                break;
            }
            self.take(&mut batch, job);
            room -= 1;
            // Nothing is taken from the queue that this batch has no room for.
            if room == 0 || batch.text_bytes > BATCH_TEXT_BYTES_MAX || batch.drafts.len() > BATCH_EVENTS_MAX {
                break;
            }
            next = self.held.pop_front().or_else(|| self.jobs.try_recv().ok());
        }
        self.look_at_clock(&mut batch);
        self.look_at_schedule(&mut batch);
        // What was decided on a history that does not hold is not written.
        if let Some(error) = self.broken.take() {
            return Err(error.into());
        }
        self.finish(batch).await?;
        self.keep(KEPT_EVERY_ENTRIES).await;
        Ok(())
    }

    async fn load(&mut self, batch: &mut Batch, book: Arc<Book>, done: Loaded) {
        let files = book.files.clone();
        let widened = self.widened(files.clone()).await;
        let seq = self.state.size();
        self.command(batch, &Command::Load { files, widened });
        batch.loads.push((seq, book, done));
    }

    /// Keeps the state for the next start, if so many entries came since it was kept. It is a cache: nothing depends on it.
    /// Not before the history that this start took on trust is checked: the next one would have to take on trust still more,
    /// and a service that is restarted often would never check it.
    async fn keep(&mut self, every: u64) {
        let size = self.state.size();
        let Some(ledger) = self.ledger.clone().filter(|_| self.checked && size >= self.kept + every) else { return };
        self.kept = size;
        if let Some(state) = recovery::kept(&self.state)
            && let Err(error) = ledger.save_snapshot(size, state).await
        {
            tracing::warn!(%error, "the state could not be kept for the next start, which will take longer");
        }
    }

    /// The time to act by: never before the newest entry.
    pub(super) fn now(&self) -> DateTime<Utc> {
        let now = self.setup.clock.now();
        self.state.last_time().map_or(now, |last| last.max(now))
    }

    fn batch(&self) -> Batch {
        Batch {
            now: self.now(),
            book: self.setup.book.now(),
            fresh: Fresh((self.setup.entropy)()),
            loads: Vec::new(),
            drafts: Vec::new(),
            touched: BTreeSet::new(),
            owed: Vec::new(),
            looks: Vec::new(),
            text_bytes: 0,
        }
    }

    /// Decides a command that nobody waits for. Whether a key was taken by it.
    pub(super) fn command(&mut self, batch: &mut Batch, command: &Command) -> bool {
        let mut taken = false;
        match decide(&self.state, batch.moment(), command) {
            Ok(events) => {
                for event in events {
                    taken |= matches!(event, Event::CredentialTaken { .. });
                    self.fold(batch, event);
                }
            }
            // It came too late for a request that is no longer kept in memory: there is nothing to do about it.
            Err(refusal) => tracing::debug!(code = refusal.code(), "a late result changes nothing"),
        }
        taken
    }

    /// Puts an event into the batch and folds it into the state that the rest of the batch is decided on.
    pub(super) fn fold(&mut self, batch: &mut Batch, event: Event) {
        let (seq, event) = (self.state.size(), event.hushed(&self.state));
        match codec::draft(&self.state, &event) {
            Ok(draft) => batch.drafts.push(draft),
            Err(error) => {
                tracing::error!(%error, "an event can't be written and is not done");
                return;
            }
        }
        batch.touched.extend(event.request());
        if matches!(event, Event::AccessRequested { .. }) {
            batch.touched.insert(RequestId(seq));
        }
        self.state.evolve(&Stored { seq, time: batch.now, leaf: None, event });
    }

    fn look_at_clock(&mut self, batch: &mut Batch) {
        let wall = self.setup.clock.wall();
        let behind = batch.now - wall > TimeDelta::seconds(STEP_RECORDED_SECS);
        if behind && !self.step_recorded {
            self.command(batch, &Command::ClockStepped { clock: wall });
        }
        self.step_recorded = behind;
        let passed = self.setup.clock.passed();
        let look = passed.map(|passed| (wall, passed));
        if let Some(ahead) = self.looked.zip(look).map(|(before, now)| clock::ahead(before, now))
            && ahead > TimeDelta::seconds(STEP_RECORDED_SECS)
        {
            self.command(batch, &Command::ClockJumped { ahead_secs: ahead.num_seconds().unsigned_abs() });
        }
        self.looked = look;
        let idle = self.state.last_time().is_none_or(|last| batch.now - last >= TimeDelta::seconds(HEARTBEAT_SECS));
        if idle && batch.drafts.is_empty() {
            self.command(batch, &Command::Heartbeat);
        }
    }

    /// Has the report of a period made, if one is due.
    fn look_at_schedule(&mut self, batch: &mut Batch) {
        let due = batch.book.digest.as_ref().zip(self.state.last_digest()).and_then(|(due, last)| due(last, batch.now));
        if let Some(due) = due {
            self.command(batch, &Command::Digest { due });
        }
    }

    /// Settles what is due, makes the batch durable, then answers and acts.
    async fn finish(&mut self, mut batch: Batch) -> Result<(), Fatal> {
        loop {
            let room = BATCH_EVENTS_MAX.saturating_sub(batch.drafts.len());
            let due = settle(&self.state, batch.moment(), room);
            if due.is_empty() {
                break;
            }
            for event in due {
                self.fold(&mut batch, event);
            }
        }
        let Batch { now, drafts, touched, owed, looks, loads, .. } = batch;
        if !drafts.is_empty() {
            let first = self.state.size() - drafts.len() as u64;
            let appended = match &self.ledger {
                Some(ledger) => ledger.append(first, now, drafts).await.map_err(|error| error.to_string()),
                None => Err("the ledger is not open".to_owned()),
            };
            match appended {
                Ok(committed) => {
                    for (seq, leaf) in (committed.first..).zip(&committed.leaves) {
                        self.state.committed(seq, &hex::encode(leaf));
                    }
                    self.setup.ground.holds(&self.state);
                    self.shared.grew(committed.size);
                }
                Err(error) => {
                    tracing::error!(%error, "the ledger can't be written: nothing is granted until it can");
                    for (reply, _) in owed {
                        // Whoever has gone away needs no answer.
                        let _ = reply.send(answer::ledger_down());
                    }
                    recovery::reopen(self).await?;
                    self.load_after_all(loads, &error);
                    return Ok(());
                }
            }
        }
        for (seq, book, done) in loads {
            self.setup.book.put(book);
            // Whoever asked may have gone away.
            let _ = done.send(Ok(seq));
        }
        for (reply, owed) in owed {
            self.pay(reply, owed);
        }
        // Without a ledger the state may be ahead of what was recorded.
        for look in looks.into_iter().filter(|_| self.ledger.is_some()) {
            look(&self.state);
        }
        for request in touched {
            self.follow(request);
        }
        self.shut_strays();
        self.post();
        Ok(())
    }

    /// Rules whose entry could not be written hold all the same, if the entry is there now that the ledger was opened
    /// again: what it says is so.
    fn load_after_all(&mut self, loads: Vec<(u64, Arc<Book>, Loaded)>, error: &str) {
        for (seq, book, done) in loads {
            let there = self.ledger.is_some() && self.state.loaded(seq).is_some_and(|(files, _)| *files == book.files);
            let result = if there { Ok(seq) } else { Err(error.to_owned()) };
            if there {
                self.setup.book.put(book);
            }
            // Whoever asked may have gone away.
            let _ = done.send(result);
        }
    }

    fn pay(&mut self, reply: oneshot::Sender<Reply>, owed: Owed) {
        let answer = match owed {
            Owed::Ready(reply) => reply,
            Owed::Again(seen) => answer::again(&self.state, &seen),
            Owed::Search { words, before, own } => return self.search((&words, before), own, reply),
            Owed::Credential { request } => return self.cut_key(request, reply),
            Owed::Cut { request, credential: Credential { n, not_after, parts, .. } } => {
                let parts = parts.into_iter().map(|part| (part.label, part.text)).collect();
                answer::credential(request, n, not_after, parts)
            }
            Owed::Read { action: Action::Verify, .. } => {
                let (shared, errand) = (Arc::clone(&self.shared), self.shared.errand());
                tokio::spawn(async move {
                    let _errand = errand;
                    let (well, findings) = shared.verify().await;
                    let _ = reply.send(answer::verified(well, &findings, &shared.head()));
                });
                return;
            }
            Owed::Read { action: Action::Read { request }, .. } if self.state.request(request).is_none() => {
                return self.look_up(request, reply);
            }
            Owed::Read { action, about, who } => self.read(&action, about, who.as_deref()),
        };
        let _ = reply.send(answer);
    }

    fn read(&self, action: &Action, about: Option<RequestId>, who: Option<&str>) -> Reply {
        match action {
            Action::Help | Action::Verify => answer::help(),
            Action::Mine => answer::mine(&self.state, who.and_then(|name| self.state.subject(name))),
            Action::List => answer::list(&self.state),
            Action::Read { request } => match self.state.request(*request) {
                Some(request) => answer::one(&self.state, request),
                None => answer::refused(&Refusal::NoRequest(*request)),
            },
            Action::Log { .. }
            | Action::Request { .. }
            | Action::BreakGlass { .. }
            | Action::Extend { .. }
            | Action::Allow { .. }
            | Action::Review { .. }
            | Action::Approve { .. }
            | Action::Deny { .. }
            | Action::Cancel { .. }
            | Action::Done { .. }
            | Action::Revoke { .. }
            | Action::Show { .. } => answer::done(&self.state, action, about),
        }
    }

    /// Looks a request up that is out of memory.
    fn look_up(&self, id: RequestId, reply: oneshot::Sender<Reply>) {
        let Some(ledger) = self.ledger.clone() else { return };
        let (ground, to_self) = (Arc::clone(&self.setup.ground), self.to_self.clone());
        let errand = self.shared.errand();
        tokio::spawn(async move {
            let _errand = errand;
            let found = blocking(ground.as_ref(), move || recovery::request(ledger.as_ref(), id)).await.flatten();
            // A writer that is gone answers nobody.
            let _ = to_self.send(Job::Found { found: found.map(Box::new).ok_or(id), reply }).await;
        });
    }

    fn follow_tries(&mut self) {
        let now = self.now();
        let due: Vec<RequestId> = self.state.tries(self.followed, now).collect();
        self.followed = now;
        for request in due {
            self.follow(request);
        }
    }

    /// Answers what is still queued, and closes the ledger.
    async fn shut(mut self) {
        self.jobs.close();
        while let Ok(job) = self.jobs.try_recv() {
            if let Job::Message { reply, .. } | Job::Talk { reply, .. } = job {
                let _ = reply.send(answer::stopping());
            }
        }
        self.shared.close();
        if let Some(ledger) = self.ledger.take() {
            // Dropping it waits for its own threads, which is no work for this one.
            let _ = blocking(self.setup.ground.as_ref(), move || drop(ledger)).await;
        }
        if let Some(done) = self.stopping.take() {
            let _ = done.send(());
        }
    }
}

/// Begins to check what is before the snapshot the ledger was opened from, while it is in use; says whether there is
/// anything to check. A finding stops the service.
fn begins_check(setup: &Arc<Setup>, ledger: &dyn Log, to_self: &mpsc::Sender<Job>) -> bool {
    let Some(check) = ledger.history_check() else { return false };
    let (setup, to_self) = (Arc::clone(setup), to_self.clone());
    tokio::spawn(async move {
        if let Some(found) = blocking(setup.ground.as_ref(), check).await {
            // A writer that is gone needs no word.
            drop(to_self.send(Job::Checked(found)).await);
        } else {
            tracing::error!("the check of the ledger's history broke off; the next start begins it again");
        }
    });
    true
}
