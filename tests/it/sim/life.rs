//! One seed: many processes over one world, and what happens to them.

use std::collections::BTreeMap;

use countersign::chat::{Inbound, Input, card::Button};

use super::{
    mutants::Mutant,
    process::{End, Process},
    rules::{CHANNEL, CHATS, PEOPLE, account},
    world::{SECOND, Shared, World},
};

/// The fewest and the most steps of a life.
const STEPS: (u64, u64) = (6, 24);
/// So often the time may move at the end before everything has to be over.
const MOVES_MAX: u32 = 400;
/// So many sweeps in a row find nothing to do at the very end.
const QUIET_SWEEPS: u32 = 3;
/// So far apart that a target is asked again that was away for long.
const QUIET_SECS: u64 = 301;
/// And so far at once.
const MOVE_SECS_MAX: u64 = 6 * 3600;

/// One life: a world, and the process that lives in it now.
pub struct Life {
    pub world: Shared,
    pub process: Option<Process>,
}

/// What was found wrong in a life, its trace if one was asked for, and how often what happened.
pub struct Lived {
    pub wrong: Option<String>,
    pub trace: Option<String>,
    pub counted: BTreeMap<String, u64>,
}

/// Lives the life of a seed.
pub fn live(seed: u64, mutant: Option<Mutant>, traced: bool) -> Lived {
    let world = World::of(seed, mutant, traced);
    let mut life = Life { world: Shared::clone(&world), process: None };
    let steps = world.lock().rng.within(STEPS.0, STEPS.1);
    for step in 0..steps {
        world.lock().step = step;
        life.step();
        if world.lock().wrong.is_some() {
            break;
        }
    }
    if world.lock().wrong.is_none() {
        life.ends();
    }
    drop(life);
    let mut inner = world.lock();
    Lived { wrong: inner.wrong.take(), trace: inner.traced.take(), counted: std::mem::take(&mut inner.counted) }
}

impl Life {
    fn step(&mut self) {
        if self.process.is_none() {
            self.while_down();
            self.starts();
            return;
        }
        let what = self.world.lock().rng.below(100);
        match what {
            0..54 => self.deeds(),
            54..70 => self.work_goes_on(),
            70..82 => self.time_passes(),
            82..86 => self.rules_change(),
            86..89 => self.world.lock().meddles(),
            89..91 => self.clock_is_set(),
            91..97 => self.dies_at_some_poll(),
            97 => self.dies("killed between two steps"),
            _ => self.is_stopped(),
        }
        self.runs(None);
        self.looks();
    }

    /// Starts a process, which may die over it.
    pub fn starts(&mut self) {
        {
            let mut world = self.world.lock();
            world.life += 1;
            world.chats.forget();
            world.note(|| "a process starts".into());
            world.count("process starts");
        }
        self.process = Some(Process::start(&self.world));
        let polls = {
            let mut world = self.world.lock();
            if world.fate(50) { Some(world.rng.within(1, 80)) } else { None }
        };
        self.runs(polls);
    }

    /// Time that passes, and what an operator does, while nothing runs.
    fn while_down(&mut self) {
        let mut world = self.world.lock();
        world.in_trouble();
        if world.fate(300) {
            let span = *world.rng.pick(&[SECOND, 60 * SECOND, 1200 * SECOND, 7200 * SECOND]);
            let at = world.mono + span;
            world.moves_to(at);
        }
        if world.fate(40) {
            let name = *world.rng.pick(&PEOPLE);
            if let Some(subject) = world.checks.state.subject(name) {
                world.note(|| format!("{name} is erased"));
                world.count("person erased");
                world.erases(subject.0);
            }
        }
        if world.fate(100) {
            world.edits();
        }
    }

    fn rules_change(&mut self) {
        let book = {
            let mut world = self.world.lock();
            world.edits();
            world.book()
        };
        if let Some(process) = &self.process {
            process.load(book);
        }
    }

    pub fn runs(&mut self, polls: Option<u64>) {
        let Some(process) = &self.process else { return };
        match process.run(polls) {
            End::Rest => {}
            End::Death => self.dies("it dies"),
            End::Restless => {
                self.world.lock().violated("it comes to rest", "it works for ever without any time passing");
            }
        }
        let Some(over) = self.process.as_ref().and_then(Process::over) else { return };
        if let Err(fatal) = over {
            // A log that can't be opened now ends a start; nothing else ever ends a process by itself.
            let mut world = self.world.lock();
            world.note(|| format!("it gives up: {fatal}"));
            world.count("process gives up");
            if !fatal.contains("ledger") && !fatal.contains("disk") {
                world.violated("it goes on", &fatal);
            }
        }
        self.gone("it has ended");
    }

    /// The process is killed.
    pub fn dies(&mut self, why: &str) {
        self.world.lock().count("process killed");
        self.gone(why);
    }

    fn gone(&mut self, why: &str) {
        self.world.lock().note(|| why.to_owned());
        self.process = None;
        self.world.is_dead();
    }

    fn looks(&mut self) {
        let up = self.process.as_ref().is_some_and(Process::is_up);
        let mut world = self.world.lock();
        if up && world.next_work().is_none() {
            world.at_rest();
        }
    }

    /// Some people do something, perhaps at once, perhaps the same thing.
    fn deeds(&mut self) {
        let many = {
            let mut world = self.world.lock();
            if world.rng.permille(300) { world.rng.within(2, 6) } else { 1 }
        };
        for _ in 0..many {
            self.deed(60);
        }
        if self.world.lock().rng.permille(100) {
            self.looks_at_home();
        }
        if self.world.lock().rng.permille(700) {
            self.runs(None);
            self.work_goes_on();
        }
    }

    fn looks_at_home(&mut self) {
        let Some(process) = &self.process else { return };
        let mut world = self.world.lock();
        let (chat, who) = (*world.rng.pick(&CHATS), account(world.rng.pick::<&'static str>(&PEOPLE)));
        let request = world.some_request();
        drop(world);
        process.look(chat, who, request);
    }

    fn deed(&mut self, twice: u64) {
        let Some(process) = &self.process else { return };
        let mut world = self.world.lock();
        if world.rng.permille(80)
            && let Some((talk, name)) = world.talks()
        {
            drop(world);
            return process.overhears(talk, name);
        }
        let inbound = world.deed();
        let twice = world.rng.permille(twice);
        let key = world.sends(&inbound);
        if twice {
            world.sends(&inbound);
            world.count("delivered twice at once");
        }
        drop(world);
        if twice {
            process.submit(inbound.clone(), key.clone());
        }
        process.submit(inbound, key);
    }

    pub fn moves_to(&mut self, at: u64) {
        let awake = self.world.lock().moves_to(at);
        for waker in awake {
            waker.wake();
        }
        self.runs(None);
    }

    /// What is under way outside is done, one after the other.
    fn work_goes_on(&mut self) {
        let most = self.world.lock().rng.within(1, 40);
        for _ in 0..most {
            let next = self.world.lock().next_soon();
            let Some(at) = next.filter(|_| self.process.is_some()) else { return };
            self.moves_to(at);
        }
    }

    fn time_passes(&mut self) {
        let at = {
            let mut world = self.world.lock();
            let now = world.now;
            let due = world.checks.state.next_deadline(now).map(|at| (at - now).num_microseconds().unwrap_or_default());
            let span = match world.rng.below(8) {
                0 => world.next_end().map_or(SECOND, |at| at.saturating_sub(world.mono)),
                1 => world.rng.within(1, 3 * SECOND),
                2 => world.rng.within(SECOND, 60 * SECOND),
                3 => world.rng.within(60 * SECOND, 1800 * SECOND),
                4 => world.rng.within(3600 * SECOND, 7200 * SECOND),
                _ => due.map_or(SECOND, |due| u64::try_from(due).unwrap_or(0) + world.rng.within(0, 2) * SECOND),
            };
            world.mono + span.min(48 * 3600 * SECOND)
        };
        self.moves_to(at);
        // A machine that slept: whatever was under way is answered too late.
        self.world.lock().in_trouble();
        self.work_goes_on();
    }

    fn clock_is_set(&mut self) {
        let mut world = self.world.lock();
        let hours = i64::try_from(world.rng.below(5)).unwrap() - 2;
        let secs = i64::try_from(world.rng.below(7200)).unwrap() - 3600;
        let second = i64::try_from(SECOND).unwrap();
        world.wall_off = if world.rng.permille(300) { 0 } else { world.wall_off + (hours * 3600 + secs) * second };
        let off = world.wall_off / second;
        world.in_trouble();
        world.count("clock set");
        world.note(|| format!("the clock was set: it is off by {off} s"));
    }

    fn dies_at_some_poll(&mut self) {
        self.world.lock().in_trouble();
        let most = self.world.lock().rng.within(1, 40);
        self.deed(0);
        self.runs(Some(most));
        if self.process.is_some() {
            let at = self.world.lock().next_work();
            if let Some(at) = at {
                self.moves_to(at);
            }
            let most = self.world.lock().rng.within(1, 20);
            self.runs(Some(most));
        }
    }

    /// It is told to stop, and has some time for it.
    fn is_stopped(&mut self) {
        {
            let mut world = self.world.lock();
            world.note(|| "it is told to stop".into());
            world.count("process stopped");
            world.in_trouble();
        }
        if let Some(process) = &mut self.process {
            process.stop();
        }
        if self.world.lock().rng.permille(200) {
            self.deed(0);
        }
        self.runs(None);
        for _ in 0..200 {
            let next = self.world.lock().next_end();
            let Some(at) = next.filter(|_| self.process.is_some()) else { break };
            self.moves_to(at);
        }
        if self.process.is_some() {
            self.world.lock().violated("it stops", "it was told to, and had all the time");
        }
    }

    /// Everything is well from now on, and there is time: what is still wrong then is wrong.
    pub fn ends(&mut self) {
        let book = {
            let mut world = self.world.lock();
            world.step += 1;
            world.calm = true;
            world.later.clear();
            world.note(|| "everything is well from now on".into());
            world.rules.be_kind();
            world.book()
        };
        if let Some(process) = &self.process {
            process.load(book);
            self.runs(None);
        }
        let mut quiet = 0;
        for _ in 0..MOVES_MAX {
            if self.process.is_none() {
                quiet = 0;
                self.starts();
            }
            self.reviews();
            loop {
                let next = self.world.lock().next_work();
                let Some(at) = next else { break };
                self.moves_to(at);
            }
            let next = {
                let world = self.world.lock();
                if world.wrong.is_some() {
                    return;
                }
                let due = world.checks.state.next_deadline(world.now);
                let waits = due.map(|at| u64::try_from((at - world.now).num_seconds()).unwrap_or(0) + 1);
                let over = !world.is_open() && world.checks.state.strays().next().is_none();
                match waits {
                    None if over && quiet >= QUIET_SWEEPS => break,
                    Some(secs) => world.mono + secs.clamp(1, MOVE_SECS_MAX) * SECOND,
                    None => world.mono + QUIET_SECS * SECOND,
                }
            };
            let size = self.world.lock().disk.size();
            self.moves_to(next);
            quiet = if self.world.lock().disk.size() == size { quiet + 1 } else { 0 };
        }
        let mut world = self.world.lock();
        world.at_rest();
        world.at_the_end();
    }

    /// Somebody looks back at what waits for it.
    fn reviews(&mut self) {
        let Some(process) = &self.process else { return };
        let mut world = self.world.lock();
        let owed = world.checks.state.open().find(|request| request.owes_review()).map(|request| request.id);
        let Some(request) = owed else { return };
        let holder = world.checks.asks.get(&request.0).map(|ask| ask.person.clone()).unwrap_or_default();
        let others: Vec<&str> = PEOPLE.into_iter().filter(|name| *name != holder).collect();
        let who = *world.rng.pick(&others);
        let message = format!("m{:x}", world.rng.next());
        let text = Some("all is well".to_owned());
        let input = Input::Press { request, button: Button::ReviewOk, text };
        let inbound =
            Inbound { chat: CHATS[0], account: account(who), channel: CHANNEL.into(), message, input, evidence: None };
        let key = world.sends(&inbound);
        drop(world);
        process.submit(inbound, key);
        self.runs(None);
    }
}
