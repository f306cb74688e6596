//! The simulation: the real engine over a world that does its worst, from one seed. Random commands, clicks from wrong
//! people, the same click twice and late, clocks that jump, rules that change, providers that hang, lie and are away,
//! targets on which things come and go by themselves, writes that fail, and deaths at every await and every write. After
//! each step the predicates of `checks`, `grants` and `edges` hold.
//!
//! `COUNTERSIGN_SEEDS=100000 cargo nextest run --test it sim::seeds` lives more lives, and
//! `COUNTERSIGN_SEED=1234 cargo nextest run --test it sim::replay --no-capture` lives one again, with its trace.

mod alone;
mod chats;
mod checks;
mod clock;
mod cover;
mod disk;
mod doors;
mod edges;
mod grants;
mod life;
mod mutants;
mod process;
mod rng;
mod rules;
mod script;
mod talk;
mod world;

use std::collections::BTreeMap;

use life::live;
use mutants::Mutant;

/// How many seeds are lived where nobody says otherwise.
const SEEDS: u64 = 10_000;
/// So many tests share them, so that they run side by side.
const SHARDS: u64 = 4;
/// After so many that went wrong, no more are lived.
const WRONG_MAX: usize = 10;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Lives every so manyth seed.
fn shard(shard: u64) {
    let (mut wrong, mut counted) = (Vec::new(), BTreeMap::new());
    let seeds = number("COUNTERSIGN_SEEDS").unwrap_or(SEEDS);
    for seed in (shard..seeds).step_by(usize::try_from(SHARDS).unwrap()) {
        let lived = live(seed, None, false);
        wrong.extend(lived.wrong);
        if wrong.len() >= WRONG_MAX {
            break;
        }
        for (what, count) in lived.counted {
            *counted.entry(what).or_default() += count;
        }
    }
    println!("{}", cover::table(&counted));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if seeds >= SEEDS {
        cover::holds(&counted);
    }
}

#[test]
fn seeds_of_the_first_quarter() {
    shard(0);
}

#[test]
fn seeds_of_the_second_quarter() {
    shard(1);
}

#[test]
fn seeds_of_the_third_quarter() {
    shard(2);
}

#[test]
fn seeds_of_the_fourth_quarter() {
    shard(3);
}

/// Lives one seed again, and tells what happened.
#[test]
fn replay() {
    let Some(seed) = number("COUNTERSIGN_SEED") else { return };
    let lived = live(seed, None, true);
    println!("{}", lived.trace.unwrap());
    assert!(lived.wrong.is_none(), "{}", lived.wrong.unwrap());
}

#[test]
fn a_seed_is_the_same_life_every_time() {
    for seed in 0..20 {
        let (first, second) = (live(seed, None, true), live(seed, None, true));
        assert!(first.trace == second.trace, "seed {seed} lives two lives");
    }
}

/// Whether this predicate finds a fault that was planted. A seed ends with the first that finds it, which may be another:
/// an answer to somebody else may be one to what is not recorded yet.
fn is_found(mutant: Mutant, predicate: &str) -> bool {
    (0..300).filter_map(|seed| live(seed, Some(mutant), false).wrong).any(|wrong| wrong.starts_with(predicate))
}

#[test]
fn planted_faults_are_found() {
    for (mutant, predicate) in [
        (Mutant::AnybodyApproves, checks::PERSON),
        (Mutant::TwoNamesForOnePerson, checks::PERSON),
        (Mutant::LosesAnAcknowledgedWrite, checks::STATE),
        (Mutant::AcknowledgesTooEarly, checks::STATE),
        (Mutant::LosesAnEntry, checks::STATE),
        (Mutant::LyingDoors, checks::EXPIRY),
        (Mutant::HiddenStrays, checks::EXPIRY),
        (Mutant::DeliversAgainUnderAnotherId, checks::ONCE),
        (Mutant::TalkativeProvider, checks::SECRET),
        (Mutant::AnswersEarly, checks::RECORD),
        (Mutant::AnswersSomebodyElse, checks::SECRET),
        (Mutant::ShowsOldCards, edges::TOLD),
    ] {
        assert!(is_found(mutant, predicate), "nobody finds {mutant:?} by {predicate}");
    }
}
