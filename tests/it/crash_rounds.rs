//! Rounds of life and sudden death: the true binary over a real `PostgreSQL`, killed at random while people ask, approve,
//! use and give back, and started again on the same ledger and the same database, round after round. In the end nothing
//! is open that should not be, nothing is shut that should not be, and the chain holds.
//!
//! Half of the rounds die after a random time. The others wait until something has happened (a session was opened, a
//! session was cut) and die a random time after that, so that the slowest machine gets through whole lives as well.
//!
//! `COUNTERSIGN_ROUNDS=300 COUNTERSIGN_SEED=7 cargo test --test it crash_rounds -- --nocapture` lives longer and
//! differently; cargo-nextest ends a test that takes longer than five minutes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use countersign::access::{Refusal, RequestId};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use tokio::{sync::watch, task::spawn_blocking};

use crate::support::{
    demo::{self, Answer, Changes, Demo, assert_verifies, key, nonce},
    postgres::{Live, Server, Watched},
};

const ROUNDS: u32 = 30;
const SEED: u64 = 4821;
/// Who asks, and who countersigns it.
const PAIRS: [(&str, &str); 4] = [("ana", "ben"), ("ben", "cleo"), ("cleo", "dora"), ("dora", "ben")];
/// It dies so many milliseconds after it said that it is there, or after what the round waits for, at the most.
const ALIVE_MAX_MILLIS: u64 = 900;
/// A person leaves so many milliseconds between two requests, at the most.
const PAUSE_MAX_MILLIS: u64 = 250;
/// Beyond any run of this test: what has it is live at the end.
const LONG: &str = "2h";
/// So many of one person's requests are left live until the end; each has its role in the database all the time.
const KEPT_MAX: usize = 3;
/// So many sessions of one person are open at one time: one for each that is left live, and more.
const SESSIONS_MAX: usize = KEPT_MAX + 2;

/// What somebody has in mind with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    Expire(u32),
    GiveBack,
    BeRevoked,
    Keep,
    Deny,
    Cancel,
}

/// What has to happen in a round before its end may come.
#[derive(Debug, Clone, Copy)]
enum Awaited {
    Nothing,
    Opened,
    Cut,
}

impl Awaited {
    fn of(round: u32) -> Self {
        match round % 4 {
            1 => Self::Opened,
            3 => Self::Cut,
            _ => Self::Nothing,
        }
    }

    fn has_happened(self, seen: Seen) -> bool {
        match self {
            Self::Nothing => true,
            Self::Opened => seen.opened > 0,
            Self::Cut => seen.cut > 0,
        }
    }
}

/// What happened to the sessions of a round.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    opened: usize,
    cut: usize,
}

/// An open psql. It is dead once its grant has ended.
struct Session {
    request: u64,
    watched: Watched,
}

/// Somebody who asks, over all rounds.
struct Person {
    name: &'static str,
    approver: &'static str,
    random: StdRng,
    kept: usize,
    /// What the process died over: it is gone on with in the next round.
    unfinished: Option<(u64, Plan)>,
    sessions: Vec<Session>,
    /// The requests of those that were seen cut, and are not kept any more.
    over: Vec<u64>,
    /// Messages that were answered: their keys in the ledger.
    answered: Vec<String>,
}

/// A round, for those who live in it.
struct Scene {
    demo: Demo,
    seen: Arc<watch::Sender<Seen>>,
}

/// The process died over it.
struct Dead;

impl Person {
    /// Asks, and goes on asking, until the process is dead.
    async fn lives(&mut self, scene: &Scene) {
        let Ok(mut changes) = scene.demo.changes(self.name).await else { return };
        while self.one_request(scene, &mut changes).await.is_ok() {
            let pause = self.random.random_range(0..PAUSE_MAX_MILLIS);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    fn plan(&mut self) -> Plan {
        // Something is to be live in the end, however little this person gets done.
        if self.kept == 0 {
            return Plan::Keep;
        }
        match self.random.random_range(0..12) {
            0 if self.kept < KEPT_MAX => Plan::Keep,
            1 => Plan::Deny,
            2 => Plan::Cancel,
            3..=5 => Plan::GiveBack,
            6 | 7 => Plan::BeRevoked,
            _ => Plan::Expire(self.random.random_range(1..=4)),
        }
    }

    async fn one_request(&mut self, scene: &Scene, changes: &mut Changes) -> Result<(), Dead> {
        let (id, plan) = match self.unfinished {
            Some(unfinished) => unfinished,
            None => self.asks(&scene.demo).await?,
        };
        self.unfinished = Some((id, plan));
        self.goes_through(scene, changes, id, plan).await?;
        self.unfinished = None;
        Ok(())
    }

    async fn asks(&mut self, demo: &Demo) -> Result<(u64, Plan), Dead> {
        let plan = self.plan();
        let span = match plan {
            Plan::Expire(seconds) => format!("{seconds}s"),
            Plan::GiveBack | Plan::BeRevoked | Plan::Keep | Plan::Deny | Plan::Cancel => LONG.to_owned(),
        };
        let asked = self.says(demo, self.name, &format!("prod-db {span} fixing INC-42")).await?;
        // It was asked in a round before, and the answer was lost: for how long is forgotten.
        let plan = if asked.tone == "refused" { Plan::GiveBack } else { plan };
        Ok((number(&asked.text), plan))
    }

    /// Lives through what is planned with a request, from the start again if the process died over it.
    async fn goes_through(&mut self, scene: &Scene, changes: &mut Changes, id: u64, plan: Plan) -> Result<(), Dead> {
        let demo = &scene.demo;
        match plan {
            Plan::Deny => return self.says(demo, self.approver, &format!("deny {id} not today")).await.map(drop),
            Plan::Cancel => return self.says(demo, self.name, &format!("cancel {id}")).await.map(drop),
            Plan::Expire(_) | Plan::GiveBack | Plan::BeRevoked | Plan::Keep => {}
        }
        self.presses(demo, self.approver, "approve", id).await?;
        if let Some(url) = self.takes_credential(demo, changes, id).await? {
            self.opens_a_session(scene, id, url).await;
        }
        match plan {
            Plan::GiveBack => self.presses(demo, self.name, "done", id).await?,
            Plan::BeRevoked => self.says(demo, self.approver, &format!("revoke {id} the incident is over")).await?,
            Plan::Keep => {
                self.kept += 1;
                return Ok(());
            }
            Plan::Expire(_) | Plan::Deny | Plan::Cancel => return Ok(()),
        };
        Ok(())
    }

    /// The URL of the credential, once the door is open; none if it is shut again already.
    async fn takes_credential(&mut self, demo: &Demo, changes: &mut Changes, id: u64) -> Result<Option<String>, Dead> {
        let opening = demo::unmarked(&Refusal::Busy(RequestId(id)).to_string());
        loop {
            let shown = self.presses(demo, self.name, "show", id).await?;
            if !shown.secret.is_empty() {
                return Ok(Some(shown.part("URL").to_owned()));
            }
            if !shown.text.contains(&opening) {
                return Ok(None);
            }
            changes.next().await.ok_or(Dead)?;
        }
    }

    /// Unless enough are open, or the grant has ended in the meantime.
    async fn opens_a_session(&mut self, scene: &Scene, request: u64, url: String) {
        let (over, open) =
            std::mem::take(&mut self.sessions).into_iter().partition(|session| session.watched.is_over());
        self.sessions = open;
        self.over.extend(over.into_iter().map(|session: Session| session.request));
        if self.sessions.len() >= SESSIONS_MAX {
            return;
        }
        let seen = Arc::clone(&scene.seen);
        let opened = spawn_blocking(move || {
            let live = Live::try_open(&url)?;
            seen.send_modify(|seen| seen.opened += 1);
            Some(live.watched(move || seen.send_modify(|seen| seen.cut += 1)))
        });
        self.sessions.extend(opened.await.unwrap().map(|watched| Session { request, watched }));
    }

    async fn says(&mut self, demo: &Demo, who: &str, line: &str) -> Result<Answer, Dead> {
        let message = nonce();
        let answer = demo.tries_to_say(who, line, &message).await;
        self.heard(answer, who, &message)
    }

    async fn presses(&mut self, demo: &Demo, who: &str, button: &str, id: u64) -> Result<Answer, Dead> {
        let message = nonce();
        let answer = demo.tries_to_press(who, button, id, &message).await;
        self.heard(answer, who, &message)
    }

    fn heard(&mut self, answer: reqwest::Result<Answer>, who: &str, message: &str) -> Result<Answer, Dead> {
        let answer = answer.map_err(|_| Dead)?;
        // An access that ends while its key is being cut gives none, which is right and nobody's doing.
        let ended = answer.text.contains("the access ended in the meantime");
        assert!(answer.tone != "fault" || ended, "{answer:?}");
        self.answered.push(key(who, message));
        Ok(answer)
    }
}

/// The request that an answer names.
#[track_caller]
fn number(text: &str) -> u64 {
    let named = text.split_once('#').unwrap_or_else(|| panic!("no request is named in: {text}")).1;
    named.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

fn setting<T: std::str::FromStr>(name: &str, usual: T) -> T {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("`{name}` is no number: {text}")))
}

/// What the ledger says of one request's access.
#[derive(Debug, Default)]
struct Access {
    role: String,
    not_after: Option<DateTime<Utc>>,
    issued: usize,
    ending: bool,
    ended: usize,
    failed: usize,
    cause: String,
}

impl Access {
    /// It is over, or it was issued, has hours left and nobody is ending it.
    fn is_settled(&self) -> bool {
        let hours_left = self.not_after.is_some_and(|end| (end - now()).num_minutes() > 5);
        self.ended + self.failed > 0 || (self.issued > 0 && !self.ending && hours_left)
    }

    fn is_live(&self) -> bool {
        self.ended + self.failed == 0
    }
}

/// By request, from its approval on: what is approved is going to be ordered.
fn accesses(entries: &[Value]) -> BTreeMap<u64, Access> {
    const KINDS: [&str; 6] =
        ["request.approved", "grant.ordered", "grant.issued", "grant.ending", "grant.ended", "grant.failed"];
    let mut all: BTreeMap<u64, Access> = BTreeMap::new();
    for entry in entries {
        let (body, kind) = (&entry["body"], entry["kind"].as_str().unwrap());
        if !KINDS.contains(&kind) {
            continue;
        }
        let access = all.entry(body["request"].as_u64().unwrap()).or_default();
        match kind {
            "grant.ordered" => {
                body["external_id"].as_str().unwrap().clone_into(&mut access.role);
                access.not_after = Some(body["not_after"].as_str().unwrap().parse().unwrap());
            }
            "request.approved" => {}
            "grant.issued" => access.issued += 1,
            "grant.ending" => access.ending = true,
            "grant.failed" => access.failed += 1,
            _ => {
                access.ended += 1;
                body["cause"].as_str().unwrap().clone_into(&mut access.cause);
            }
        }
    }
    all
}

/// The roles with our mark, with their ends in seconds since 1970.
fn roles(server: &Server) -> BTreeSet<String> {
    let sql = "SELECT rolname || ' ' || floor(extract(epoch FROM rolvaliduntil))::bigint FROM pg_roles \
               WHERE rolname LIKE 'cs\\_%'";
    server.sql(sql).lines().map(str::to_owned).collect()
}

/// Every session lives exactly as long as its grant. How many live, and how many were cut.
fn sessions(server: &Server, people: &[Person], all: &BTreeMap<u64, Access>) -> (usize, usize) {
    let sql = "SELECT pid || ' ' || usename FROM pg_stat_activity WHERE usename LIKE 'cs\\_%'";
    let there: BTreeSet<String> = server.sql(sql).lines().map(str::to_owned).collect();
    let open: Vec<&Session> = people.iter().flat_map(|person| &person.sessions).collect();
    let (live, cut): (Vec<&Session>, Vec<&Session>) =
        open.into_iter().partition(|session| all[&session.request].is_live());
    let named = live.iter().map(|session| format!("{} {}", session.watched.backend, all[&session.request].role));
    assert_eq!(there, named.collect(), "the sessions of live grants, and no others");
    for session in &cut {
        session.watched.wait();
    }
    assert!(live.iter().all(|session| !session.watched.is_over()), "a session was cut before its grant ended");
    let over: Vec<u64> = people.iter().flat_map(|person| &person.over).copied().collect();
    assert!(over.iter().all(|request| !all[request].is_live()), "a session was cut before its grant ended");
    (live.len(), cut.len() + over.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_every_round_it_leaves_nothing_open_and_nothing_undone() {
    let (rounds, seed) = (setting("COUNTERSIGN_ROUNDS", ROUNDS), setting("COUNTERSIGN_SEED", SEED));
    let server = Server::start();
    let dir = demo::folder();
    let ledger = dir.path().join("ledger");
    let url = server.bot_url();
    let (env, more) = ([("ORDERS_URL", url.as_str())], ["--postgres-url-env", "ORDERS_URL"]);
    let mut random = StdRng::seed_from_u64(seed);
    let mut people = PAIRS.map(|(name, approver)| Person {
        name,
        approver,
        random: StdRng::seed_from_u64(random.random()),
        kept: 0,
        unfinished: None,
        sessions: Vec::new(),
        over: Vec::new(),
        answered: Vec::new(),
    });
    let (mut starting, mut known, mut start_takes) = (0, Vec::new(), Duration::ZERO);
    for round in 1..=rounds {
        if round > 1 && random.random_ratio(1, 5) {
            // Somewhere within what the last start took, so that a fast machine dies while it starts too.
            let after = start_takes.mul_f64(random.random_range(0.0..1.0));
            starting += u32::from(demo::dies_starting(dir.path(), &env, &more, after).await);
        }
        let begun = tokio::time::Instant::now();
        let demo = Demo::start_by(dir.path(), &env, &[], &more);
        start_takes = begun.elapsed();
        let after = Duration::from_millis(random.random_range(0..ALIVE_MAX_MILLIS));
        let scene = Scene { demo, seen: Arc::default() };
        let mut happens = scene.seen.subscribe();
        let death = async {
            happens.wait_for(|seen| Awaited::of(round).has_happened(*seen)).await.unwrap();
            tokio::time::sleep(after).await;
            demo::signal(scene.demo.pid(), rustix::process::Signal::KILL);
        };
        let [ana, ben, cleo, dora] = &mut people;
        tokio::join!(death, ana.lives(&scene), ben.lives(&scene), cleo.lives(&scene), dora.lives(&scene));
        scene.demo.wait();
        let entries = lines(&ledger);
        assert!(entries.starts_with(&known), "round {round}: entries are gone or changed");
        known = entries;
    }

    let demo = Demo::start_by(dir.path(), &env, &[], &more);
    let (entries, all) = loop {
        let entries = entries(&ledger);
        let all = accesses(&entries);
        if all.values().all(Access::is_settled) {
            break (entries, all);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let overdue = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'cs\\_%' AND rolvaliduntil <= now()";
    assert_eq!(server.sql(overdue), "0", "roles with our mark whose end is past");
    let live = all.values().filter(|access| access.is_live());
    let live: BTreeSet<String> =
        live.map(|access| format!("{} {}", access.role, access.not_after.unwrap().timestamp())).collect();
    assert_eq!(roles(&server), live, "every live grant has its role until its end, and there is no other role");
    let orphans = "SELECT count(*) FROM pg_stat_activity WHERE usesysid NOT IN (SELECT oid FROM pg_roles)";
    assert_eq!(server.sql(orphans), "0", "sessions of roles that are gone");
    for (request, access) in &all {
        let ends = access.ended + access.failed;
        assert_eq!(ends, usize::from(!access.is_live()), "#{request} ends once: {access:?}");
        assert!(access.issued <= 1, "#{request} is issued once: {access:?}");
    }
    let keys: Vec<&str> = entries.iter().filter_map(|entry| entry["body"]["key"].as_str()).collect();
    let different: BTreeSet<&str> = keys.iter().copied().collect();
    assert_eq!(keys.len(), different.len(), "a message is in the ledger twice");
    let answered: Vec<&String> = people.iter().flat_map(|person| &person.answered).collect();
    for key in &answered {
        assert!(different.contains(key.as_str()), "a message was answered and is not in the ledger");
    }
    let (live_sessions, cut_sessions) = sessions(&server, &people, &all);
    assert!(demo.stop().success());
    assert_verifies(&ledger);

    let ended = |cause: &str| all.values().filter(|access| access.cause == cause).count();
    let (expired, returned, revoked) = (ended("expired"), ended("returned"), ended("revoked"));
    println!(
        "{rounds} rounds (seed {seed}), and {starting} deaths more while it started: {} entries, {} answers, {} doors ordered; \
         {expired} expired, {returned} given back, {revoked} revoked, {} failed, {} live; {live_sessions} sessions are \
         live and {cut_sessions} were cut. Not one role is overdue, not one live grant lacks its role, `verify` is clean",
        entries.len(),
        answered.len(),
        all.len(),
        all.values().filter(|access| access.failed > 0).count(),
        live.len(),
    );
    // If nothing happens, nothing is tested.
    if rounds >= ROUNDS {
        assert!(starting > 0 && expired > 5 && returned > 5 && revoked > 0 && !live.is_empty());
        assert!(live_sessions > 0 && cut_sessions > 5);
    }
}

/// The lines of a ledger's folder, whether a process uses it or not.
fn lines(ledger: &std::path::Path) -> Vec<Vec<u8>> {
    demo::opened(ledger).into_iter().map(|entry| entry.line).collect()
}

fn entries(ledger: &std::path::Path) -> Vec<Value> {
    lines(ledger).iter().map(|line| serde_json::from_slice(line).unwrap()).collect()
}

#[expect(clippy::disallowed_methods, reason = "the process under test reads the same clock")]
fn now() -> DateTime<Utc> {
    Utc::now()
}
