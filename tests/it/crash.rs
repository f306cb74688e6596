//! The story again, killed between every two steps and inside them: it goes on as if nothing had been, nothing that was
//! answered is lost, nothing is done twice, and no door stays open beyond its time.
//!
//! Inside a step, strace kills the process as it enters the first, second, … of the calls by which anything gets out of
//! it: to the disk, to the database, to the browser.

use std::{fs, process::Command};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::support::{
    demo::Answer,
    jwt,
    life::{Life, Step},
    process::{run, said},
    strace::Doom,
};

const ISSUED: &[&str] = &["grant.issued", "notice.sent"];
const ENDED: &[&str] = &["grant.ended"];
/// The button that shows the credential.
const SHOW: &str = "show";
/// A story whose steps still die at the so many-th call is long enough.
const WHEN_MAX: u32 = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Database,
    Host,
    Api,
}

/// How a grant ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Close {
    GivenBack,
    Expired,
    Revoked,
}

/// The steps of one request, from the first word to the end.
fn story(door: Door, close: Close, death: Death) -> Vec<Step> {
    let (name, approvers): (_, &[&'static str]) = match door {
        Door::Database => ("prod-db", &["ben"]),
        Door::Host => ("prod-host", &["cleo"]),
        Door::Api => ("prod-api", &["cleo", "ben"]),
    };
    let span = match (close, death) {
        // Three starts have to fit in, and a look at what was opened.
        (Close::Expired, Death::BetweenSteps) => "18s",
        (Close::Expired, Death::Never | Death::Inside(_)) => "10s",
        (Close::GivenBack | Close::Revoked, _) => "10m",
    };
    let mut steps = vec![Step::asks(&format!("{name} {span} fixing INC-42"))];
    let (last, others) = approvers.split_last().unwrap();
    steps.extend(others.iter().map(|who| Step::presses(who, "approve", &["request.approved"])));
    steps.push(Step::presses(last, "approve", ISSUED));
    steps.push(Step::presses("ana", SHOW, &["credential.taken"]));
    steps.push(match close {
        Close::GivenBack => Step::presses("ana", "done", ENDED),
        Close::Expired => Step::waits_for(ENDED),
        Close::Revoked => Step::says(last, "revoke ID the incident is over", ENDED),
    });
    steps
}

/// When in a story the process dies.
#[derive(Debug, Clone, Copy)]
enum Death {
    Never,
    BetweenSteps,
    Inside(Doom),
}

/// Lives one story; how many of its steps the process died in.
async fn live(life: &mut Life, target: Door, close: Close, death: Death) -> u32 {
    let (mut died, mut shown) = (0, None);
    for step in story(target, close, death) {
        let fatal = match death {
            // The seconds of a short grant are for using it, not for two starts.
            Death::Inside(_) if close == Close::Expired && step.presses_button(SHOW) => None,
            Death::Inside(fatal) => Some(fatal),
            Death::Never | Death::BetweenSteps => None,
        };
        let (dead, answer) = life.step(&step, fatal).await;
        died += u32::from(dead);
        if step.presses_button(SHOW) {
            let answer = answer.expect("the credential is shown in the end");
            opens(life, target, &answer).await;
            shown = Some(answer);
        }
        if matches!(death, Death::BetweenSteps) {
            life.dies_between_steps();
            if let Some(shown) = shown.as_ref().filter(|_| step.presses_button(SHOW) && close != Close::Expired) {
                opens(life, target, shown).await;
            }
        }
    }
    is_shut(life, target, close, &shown.unwrap()).await;
    died
}

/// The credential works, and not beyond the grant's end.
async fn opens(life: &Life, door: Door, shown: &Answer) {
    let entries = life.entries();
    let issued = entries.iter().rfind(|e| e["kind"] == "grant.issued" && e["body"]["request"] == life.request).unwrap();
    let not_after: DateTime<Utc> = issued["body"]["not_after"].as_str().unwrap().parse().unwrap();
    match door {
        Door::Database => {
            let who = psql(life, shown).unwrap();
            assert_eq!(who.trim(), "app_rw");
        }
        Door::Host => {
            let file = life.path("cert.pub");
            fs::write(&file, shown.part("cert")).unwrap();
            let listed = run(Command::new("ssh-keygen").env("TZ", "UTC").arg("-L").arg("-f").arg(&file));
            let valid = listed.lines().find(|line| line.trim().starts_with("Valid:")).unwrap();
            let end = format!("{}Z", valid.rsplit_once(" to ").unwrap().1);
            assert!(end.parse::<DateTime<Utc>>().unwrap() <= not_after, "{listed}");
            assert!(listed.contains(&format!("Serial: {}", life.request)), "{listed}");
        }
        Door::Api => {
            let claims = claims(life, shown).await;
            assert_eq!(claims["sub"], "ana");
            assert!(claims["exp"].as_i64().unwrap() <= not_after.timestamp(), "{claims}");
        }
    }
}

/// What was shown is worth nothing after the end, as far as the target can be told.
async fn is_shut(life: &Life, door: Door, close: Close, shown: &Answer) {
    match door {
        Door::Database => {
            let refused = psql(life, shown).unwrap_err();
            assert!(refused.contains("FATAL"), "{refused}");
            assert_eq!(life.roles(), "");
        }
        Door::Host if close != Close::Expired => {
            let (list, file) = (life.path("revoked"), life.path("cert.pub"));
            fs::write(&list, life.demo().get_bytes("/providers/prod-host/krl").await).unwrap();
            let looked = Command::new("ssh-keygen").arg("-Q").arg("-f").arg(&list).arg(&file).output().unwrap();
            assert!(said(&looked).contains("REVOKED"), "{}", said(&looked));
        }
        // A certificate that has expired needs no list, and a token lives until its end: its card says so.
        Door::Host | Door::Api => {}
    }
}

/// Who one is with the line that was shown. The database may have another port since.
fn psql(life: &Life, shown: &Answer) -> Result<String, String> {
    let words = shown.part("run this");
    let port = words.split("port=").nth(1).unwrap().split_whitespace().next().unwrap();
    let words = words.replace(&format!("port={port}"), &format!("port={}", life.demo().database_port()));
    let output = Command::new("sh").args(["-c", &format!("{words} -Atc 'select current_user'")]).output().unwrap();
    if output.status.success() { Ok(String::from_utf8_lossy(&output.stdout).into_owned()) } else { Err(said(&output)) }
}

async fn claims(life: &Life, shown: &Answer) -> Value {
    let token = shown.part("shell");
    let token = token.split(['=', '\'', '"']).rfind(|word| word.starts_with("ey")).unwrap();
    let keys = life.demo().get("/providers/prod-api/jwks.json").await;
    let believed = jwt::believed(token, &keys, "https://api.example", "https://countersign.example/demo");
    believed.unwrap()["claims"].clone()
}

/// Lives the same story with a death at the first, second, … of the calls in each step, until the story survives.
async fn dies_inside(doors: &[(Door, Close)], call: &'static str, most: u32, least_deaths: u32) {
    let mut life = Life::start();
    for (door, close) in doors {
        for when in 1..=most {
            let doom = Doom { call, when };
            if live(&mut life, *door, *close, Death::Inside(doom)).await == 0 {
                break;
            }
        }
    }
    // If nothing is killed, nothing is tested.
    println!("{} deaths at `{call}`", life.deaths);
    assert!(life.deaths >= least_deaths, "it died only {} times at `{call}`", life.deaths);
    live(&mut life, Door::Database, Close::GivenBack, Death::Never).await;
    life.ends();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_every_two_steps_with_the_database() {
    let mut life = Life::start();
    for close in [Close::GivenBack, Close::Revoked] {
        live(&mut life, Door::Database, close, Death::BetweenSteps).await;
    }
    life.ends();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_every_two_steps_with_the_host_and_the_api() {
    let mut life = Life::start();
    for door in [Door::Host, Door::Api] {
        for close in [Close::GivenBack, Close::Revoked] {
            live(&mut life, door, close, Death::BetweenSteps).await;
        }
    }
    life.ends();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_every_two_steps_while_time_runs_out() {
    let mut life = Life::start();
    for door in [Door::Database, Door::Host, Door::Api] {
        live(&mut life, door, Close::Expired, Death::BetweenSteps).await;
    }
    life.ends();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_inside_at_each_sync_of_the_disk() {
    dies_inside(&[(Door::Database, Close::GivenBack)], "fdatasync", WHEN_MAX, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_inside_at_each_write_to_the_disk() {
    dies_inside(&[(Door::Database, Close::GivenBack)], "pwrite64", WHEN_MAX, 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_inside_at_each_rename() {
    dies_inside(&[(Door::Database, Close::GivenBack)], "rename,renameat", 6, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_inside_at_each_word_to_the_database() {
    dies_inside(&[(Door::Database, Close::GivenBack)], "sendto", WHEN_MAX, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_inside_at_each_word_to_the_browser() {
    let doors = [(Door::Database, Close::Revoked), (Door::Host, Close::GivenBack), (Door::Api, Close::Revoked)];
    dies_inside(&doors, "writev", 1, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_inside_while_time_runs_out() {
    let doors = [(Door::Database, Close::Expired)];
    dies_inside(&doors, "sendto", 3, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_inside_with_the_host_and_the_api() {
    let doors = [(Door::Host, Close::Revoked), (Door::Api, Close::GivenBack)];
    dies_inside(&doors, "fsync,fdatasync,renameat", 5, 8).await;
}

/// Killed while it is live, and started only when it should be over: the first thing it does is to shut the door.
#[tokio::test(flavor = "multi_thread")]
async fn what_should_have_ended_while_it_was_dead_ends_at_its_start() {
    let mut life = Life::start();
    let (mut steps, mut shown) = (story(Door::Database, Close::Expired, Death::Never), None);
    let wait = steps.pop().unwrap();
    for step in &steps {
        shown = life.step(step, None).await.1;
    }
    let role = format!("_{}", life.request);
    assert!(life.roles().ends_with(&role), "{}", life.roles());
    let issued = life.entries().into_iter().rfind(|e| e["kind"] == "grant.issued").unwrap();
    let not_after: DateTime<Utc> = issued["body"]["not_after"].as_str().unwrap().parse().unwrap();
    life.lies_dead_until("the grant's time is up", || now() > not_after);
    life.step(&wait, None).await;
    is_shut(&life, Door::Database, Close::Expired, &shown.unwrap()).await;
    life.ends();
}

#[expect(clippy::disallowed_methods, reason = "the process under test reads the same clock")]
fn now() -> DateTime<Utc> {
    Utc::now()
}
