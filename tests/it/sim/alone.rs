//! What the simulation found in the engine, each fault alone, in a world where nothing else goes wrong.

use std::sync::Arc;

use countersign::{
    access::Chat,
    chat::{Inbound, Input},
};

use super::{
    disk::Fate,
    doors::Manner,
    life::Life,
    rules::{CHANNEL, Facts, Rulebook, account},
    world::{SECOND, World},
};

/// A world where nothing goes wrong but what a test plans, and a service that runs in it.
fn calm() -> Life {
    calm_on(&[Chat::Slack, Chat::Playground])
}

fn calm_on(served: &[Chat]) -> Life {
    let world = World::of(1, None, true);
    {
        let mut inner = world.lock();
        inner.calm = true;
        inner.chats.served = served.to_vec();
        inner.rules = Rulebook(vec![Arc::new(Facts::plain())]);
    }
    let mut life = Life { world, process: None };
    life.starts();
    life.pass(1);
    life
}

impl Life {
    fn plans(&self, kind: &'static str, fate: Fate) {
        self.world.lock().disk.planned.push((kind, fate));
    }

    fn says(&mut self, who: &str, line: &str) {
        let mut world = self.world.lock();
        let message = format!("m{:x}", world.rng.next());
        let (account, channel) = (account(who), CHANNEL.to_owned());
        let inbound = Inbound {
            chat: Chat::Slack,
            account,
            channel,
            message,
            input: Input::Line(line.to_owned()),
            evidence: None,
        };
        let key = world.sends(&inbound);
        drop(world);
        self.process.as_ref().unwrap().submit(inbound, key);
        self.runs(None);
    }

    /// The newest request.
    fn newest(&self) -> u64 {
        let world = self.world.lock();
        let newest = world.checks.asks.last_key_value();
        *newest.unwrap_or_else(|| panic!("nothing was asked:\n{}", world.traced.as_deref().unwrap_or_default())).0
    }

    fn pass(&mut self, secs: u64) {
        let until = self.world.lock().mono + secs * SECOND;
        loop {
            let next = self.world.lock().next_end().filter(|at| *at <= until && self.process.is_some());
            self.moves_to(next.unwrap_or(until));
            if next.is_none() {
                return;
            }
        }
    }

    fn asked(&mut self) -> u64 {
        self.says("ana", "db 10m fixing INC-42");
        self.pass(2);
        self.newest()
    }

    fn live(&mut self) -> u64 {
        let id = self.asked();
        self.says("ben", &format!("approve {id}"));
        self.pass(5);
        assert!(self.world.lock().checks.asks[&id].is_live());
        id
    }

    fn entries(&self, kind: &str) -> usize {
        self.world.lock().disk.entries.iter().filter(|entry| entry.kind == kind).count()
    }

    /// Nothing was wrong, and everything comes to its end.
    fn well(mut self) {
        assert_eq!(self.world.lock().disk.planned, [], "what was planned has happened");
        self.ends();
        let world = self.world.lock();
        assert!(world.wrong.is_none(), "{}\n{}", world.wrong.clone().unwrap(), world.traced.clone().unwrap());
    }
}

#[test]
fn nothing_is_shown_of_a_state_that_could_not_be_written() {
    let mut life = calm();
    life.asked();
    life.dies("killed");
    // It has lapsed, and that can't be written. Nobody opens the ledger again, because the service is to stop.
    life.plans("request.lapsed", Fate::FailsLost);
    life.moves_to(7200 * SECOND);
    life.starts();
    life.process.as_mut().unwrap().stop();
    life.runs(None);
    life.pass(10);
    assert!(life.process.is_none());
    assert_eq!(life.entries("request.lapsed"), 0);
    life.well();
}

#[test]
fn an_order_whose_answer_was_lost_is_ordered_anew() {
    let mut life = calm();
    let id = life.asked();
    life.plans("grant.issued", Fate::FailsLost);
    life.says("ben", &format!("approve {id}"));
    life.pass(5);
    assert!(life.world.lock().checks.asks[&id].is_live());
    assert_eq!((life.entries("grant.ordered"), life.entries("grant.issued")), (2, 1));
    life.well();
}

#[test]
fn a_service_that_could_not_write_that_it_started_says_so_later() {
    for fate in [Fate::FailsLost, Fate::FailsKept] {
        let mut life = calm();
        life.dies("killed");
        life.plans("service.started", fate);
        life.starts();
        life.pass(5);
        life.asked();
        assert_eq!(life.entries("service.started"), 2, "{fate:?}");
        life.well();
    }
}

#[test]
fn rules_hold_when_the_ledger_says_that_they_were_loaded() {
    for (fate, hold) in [(Fate::FailsKept, true), (Fate::FailsLost, false)] {
        let mut life = calm();
        let id = life.asked();
        life.plans("rules.loaded", fate);
        let book = {
            let mut world = life.world.lock();
            let next = Arc::new(world.rules.now().without_approver("ben"));
            world.rules.0.push(Arc::clone(&next));
            next.book(None)
        };
        life.process.as_ref().unwrap().load(book);
        life.runs(None);
        life.pass(2);
        assert_eq!(life.entries("rules.loaded"), usize::from(hold));
        life.says("ben", &format!("approve {id}"));
        life.pass(5);
        assert_eq!(life.world.lock().checks.asks[&id].is_live(), !hold);
        life.well();
    }
}

#[test]
fn a_card_whose_entry_was_lost_is_no_second_card() {
    let mut life = calm_on(&[Chat::Slack]);
    life.plans("card.posted", Fate::FailsLost);
    let id = life.asked();
    life.says("ben", &format!("approve {id}"));
    life.pass(5);
    {
        let world = life.world.lock();
        let cards: Vec<_> = world.chats.posted.keys().collect();
        assert_eq!(cards.len(), 1, "{cards:?}");
    }
    life.well();
}

#[test]
fn the_card_of_what_is_over_is_drawn_after_a_death() {
    let mut life = calm_on(&[Chat::Slack]);
    let id = life.live();
    life.plans("grant.ended", Fate::DiesAfter);
    life.says("ana", &format!("done {id}"));
    life.pass(5);
    assert!(life.process.is_none(), "it died before the card was drawn");
    life.starts();
    life.pass(5);
    life.well();
}

#[test]
fn who_waits_for_a_key_when_the_service_stops_is_not_told_that_nothing_was_done() {
    let mut life = calm();
    let id = life.live();
    life.world.lock().doors.planned.push(Manner::Hangs { done: true });
    let press = Input::Press {
        request: countersign::access::RequestId(id),
        button: countersign::chat::card::Button::Show,
        text: None,
    };
    let inbound = Inbound {
        chat: Chat::Slack,
        account: account("ana"),
        channel: CHANNEL.into(),
        message: "show".into(),
        input: press,
        evidence: None,
    };
    let key = life.world.lock().sends(&inbound);
    life.process.as_ref().unwrap().submit(inbound, key);
    life.runs(None);
    life.process.as_mut().unwrap().stop();
    life.runs(None);
    life.pass(10);
    assert!(life.process.is_none());
    assert_eq!(life.entries("credential.ordered"), 1);
    assert_eq!(life.world.lock().counted["answered Fault"], 1);
    life.well();
}

#[test]
fn a_door_of_somebody_who_was_erased_is_shut_all_the_same() {
    let mut life = calm();
    let id = life.live();
    life.dies("killed");
    {
        let mut world = life.world.lock();
        let ana = world.checks.state.subject("ana").unwrap();
        world.erases(ana.0);
        // What the provider says is sealed for nobody any more.
        world.doors.planned.extend([Manner::Retry, Manner::Retry]);
    }
    life.moves_to(3600 * SECOND);
    life.starts();
    life.pass(60);
    assert_eq!(life.entries("grant.stuck"), 2);
    assert_eq!(life.world.lock().checks.asks[&id].end.as_deref(), Some("grant.ended"));
    life.well();
}

/// The longest time between two entries, in seconds, from the so manyth on.
fn longest_silence(life: &Life, from: usize) -> i64 {
    let world = life.world.lock();
    let times: Vec<_> = world.disk.entries[from..].iter().map(|entry| entry.time).collect();
    times.windows(2).map(|pair| (pair[1] - pair[0]).num_seconds()).max().unwrap_or_default()
}

#[test]
fn an_idle_service_makes_an_entry_every_hour() {
    let mut life = calm();
    let from = life.world.lock().disk.entries.len() - 1;
    assert_eq!(life.entries("log.heartbeat"), 0);
    life.pass(3 * 3600 + 60);
    assert_eq!(life.entries("log.heartbeat"), 3);
    assert_eq!(life.world.lock().disk.entries.len(), from + 4, "and nothing else");
    // The clock is looked at once a second.
    assert!((3600..=3602).contains(&longest_silence(&life, from)));
    life.well();
}

#[test]
fn an_hour_in_which_something_happens_needs_no_heartbeat() {
    let mut life = calm();
    for _ in 0..4 {
        life.asked();
        life.pass(3500);
    }
    assert_eq!(life.entries("log.heartbeat"), 0);
    // Then it is quiet, and an hour after the last entry it says so.
    let from = life.world.lock().disk.entries.len() - 1;
    life.pass(2 * 3600);
    assert!(life.entries("log.heartbeat") > 0);
    assert!(longest_silence(&life, from) <= 3602);
    life.well();
}
