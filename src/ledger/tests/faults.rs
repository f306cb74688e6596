//! Each write of the commit protocol fails, once lost and once kept; then the log is opened again and checked whole.

use super::*;
use crate::ledger::{
    calls::Calls,
    check::{Tip, Walk},
    core::Core,
    memory::{Failing, Memory},
    store::{Place, Store},
    writer::Waiting,
};

fn opened(memory: &Memory, seed: u64) -> Core<Memory> {
    let mut store = memory.clone();
    let mut walk = Walk::new(Tip::default(), knows, 1);
    store
        .replay(Place::default(), &mut |batches| {
            walk.wave(batches);
            Ok(())
        })
        .unwrap();
    assert!(walk.faults.is_empty(), "{:?}", walk.faults);
    let signer = Signer::new("example.com/test", SigningKey::from_bytes(&[3; 32]));
    let mut core = Core::new(store, walk.tip, vec![signer], knows, Box::new(StdRng::seed_from_u64(seed)));
    if core.tip.size() == 0 {
        // When the first write fails, the log is still empty, and the next start begins it again.
        drop(core.begin("example.com/test", Micros(0)));
    }
    core
}

fn job(expected: u64, draft: Draft) -> Job {
    Job::new(Some(expected), Micros(1), ready(draft, knows).unwrap(), vec![])
}

fn commit(core: &mut Core<Memory>, mut job: Job) -> Result<Committed, AppendError> {
    let mut stage = core.stage();
    core.add(&mut job, &mut stage);
    job.told(core.commit(stage))
}

/// The story that is told: two people, an erasure, a plain entry. Gives the indexes that were acknowledged.
fn story(core: &mut Core<Memory>) -> Vec<(u64, Hash)> {
    let drafts = [personal(1, subject(1), "one"), personal(2, subject(2), "two"), erased(subject(1)), draft(3)];
    let mut acknowledged = Vec::new();
    for draft in drafts {
        let size = core.tip.size();
        match commit(core, job(size, draft)) {
            Ok(done) => acknowledged.push((done.first, done.leaves[0])),
            Err(AppendError::Failed(_)) => {
                let next = commit(core, job(size, super::draft(9)));
                assert!(matches!(next, Err(AppendError::Failed(_))), "the error is sticky");
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    acknowledged
}

#[test]
fn every_write_fails_once_lost_and_once_kept() {
    let memory = Memory::default();
    let whole = story(&mut opened(&memory, 1));
    assert_eq!(whole.len(), 4);
    let writes = memory.disk().writes;
    assert_eq!(writes, 8, "opening, two keys, four batches, one key destroyed");
    for failing in [Failing::Lost, Failing::Kept] {
        for which in 0..writes {
            let memory = Memory::default();
            memory.disk().fails = Some((which, failing));
            let acknowledged = story(&mut opened(&memory, 1));
            memory.disk().fails = None;
            let mut again = opened(&memory, 2);
            assert!(again.tip.size() > acknowledged.last().map_or(0, |(index, _)| *index), "{which} {failing:?}");
            for subject in again.tip.erased.clone().into_keys() {
                again.store.destroy_key(subject).unwrap();
            }
            for (index, leaf) in acknowledged {
                let disk = memory.disk();
                let found = disk.frames.iter().any(|frame| {
                    let batch = frame::Raw::at(frame).unwrap().decode().unwrap();
                    (batch.first..)
                        .zip(&batch.records)
                        .any(|(at, record)| at == index && leaf_hash(record.line) == leaf)
                });
                assert!(found, "entry {index} was acknowledged and is gone: write {which}, {failing:?}");
            }
            let size = again.tip.size();
            assert!(commit(&mut again, job(size, personal(7, subject(7), "after"))).is_ok());
            drop(opened(&memory, 3));
        }
    }
}

#[test]
fn a_store_that_somebody_else_wrote_to_is_not_written_to() {
    let memory = Memory::default();
    let (mut one, mut two) = (opened(&memory, 1), opened(&memory, 2));
    assert!(commit(&mut one, job(1, draft(1))).is_ok());
    assert_eq!(commit(&mut two, job(1, draft(1))), Err(AppendError::Conflict { expected: 1, actual: 2 }));
    assert!(matches!(commit(&mut two, job(1, draft(1))), Err(AppendError::Failed(_))));
}

/// Many calls of tiny entries and large ones among them are more than a frame holds together: they are committed in turn.
#[test]
fn what_waits_together_and_fits_no_frame_is_committed_in_turn() {
    let mut large = draft(1);
    large.body.insert("pad".into(), json!("x".repeat(60_000)));
    let hard = personal(1, subject(1), &"\u{1}".repeat(DISCLOSURE_MAX_BYTES / 4));
    let calls =
        std::iter::repeat_n(vec![draft(1); 256], 240).chain([vec![large; 120], vec![draft(2); 256], vec![hard; 8]]);
    let jobs = calls.map(|drafts| {
        let mut drafts = drafts.into_iter().map(|draft| ready(draft, knows).unwrap());
        Job::new(None, Micros(1), drafts.next().unwrap(), drafts.collect())
    });
    let calls = Arc::new(Calls::new());
    let mut left = 0;
    for job in jobs {
        // Whoever waits for the answer has gone away.
        calls.add(Command::Append(job, oneshot::channel().0)).unwrap();
        left += 1;
    }
    let (mut waiting, mut core) = (Waiting::new(calls), opened(&Memory::default(), 1));
    while left > 0 {
        let Some(Command::Append(job, answer)) = waiting.next() else { panic!("{left} more") };
        let (stage, calls) = waiting.gather(&mut core, (job, answer));
        let done = core.commit(stage);
        for (job, _) in calls {
            job.told(done.clone()).unwrap();
            left -= 1;
        }
    }
    assert_eq!(core.tip.size(), 1 + 241 * 256 + 120 + 8);
}

/// A panic ends the writer over one call. Those that it had taken with it, and those that came after, are told.
#[test]
fn whoever_waits_behind_a_call_that_ends_the_writer_is_told() {
    let calls = Arc::new(Calls::new());
    let add = |n| {
        let (answer, answered) = oneshot::channel();
        calls.add(Command::Append(job(n, draft(n)), answer)).unwrap();
        answered
    };
    let mut answered = vec![add(1), add(2), add(3)];
    let mut waiting = Waiting::new(Arc::clone(&calls));
    let first = waiting.next();
    answered.push(add(4));
    drop((first, waiting));
    for answered in &mut answered {
        assert_eq!(answered.try_recv().unwrap_err(), oneshot::error::TryRecvError::Closed);
    }
    assert_eq!(calls.add(Command::Append(job(5, draft(5)), oneshot::channel().0)), Err(AppendError::stopped()));
}
