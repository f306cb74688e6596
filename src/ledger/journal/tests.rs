use super::*;
use crate::ledger::frame::{Batch, Record, encode};

const SIZES: Sizes = Sizes { first: 4096, others: 8192 };

fn frame(first: u64, bytes: usize) -> Vec<u8> {
    encode(&Batch { first, records: vec![Record { line: vec![b'x'; bytes], sealed: vec![] }], head: "h".into() })
        .unwrap()
}

fn firsts(dir: &Path) -> Vec<u64> {
    let mut all = Vec::new();
    for (number, path) in segments(dir).unwrap() {
        let bytes = std::fs::read(path).unwrap();
        let (_, found, end) = pieces(&bytes, number).unwrap();
        assert!(!end.torn());
        for piece in found {
            let Piece::Frame(raw) = piece else { panic!("{piece:?}") };
            all.push(raw.first().unwrap());
        }
    }
    all
}

#[test]
fn rolls_into_segments_and_full_ones_never_change_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), SIZES).unwrap();
    let full = |journal: &Journal| {
        let mut all = segments(dir.path()).unwrap();
        all.retain(|(number, _)| *number < journal.number);
        all.into_iter().map(|(_, path)| std::fs::read(path).unwrap()).collect::<Vec<_>>()
    };
    let mut left = Vec::new();
    for n in 0..40 {
        let mut one = frame(n, 1_000);
        let before = one.clone();
        journal.append(&mut one, n).unwrap();
        assert_eq!(one, before);
        journal.follow();
        let now = full(&journal);
        assert_eq!(now[..left.len()], left[..]);
        left = now;
    }
    assert!(left.len() > 3);
    journal.append(&mut frame(40, 20_000), 40).unwrap();
    journal.append(&mut frame(41, 10), 41).unwrap();
    drop(journal);
    assert_eq!(firsts(dir.path()), (0..42).collect::<Vec<_>>());
}

#[test]
fn each_segment_is_twice_as_large_as_the_one_before_up_to_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    let sizes = Sizes { first: 4096, others: 20_000 };
    let mut journal = Journal::create(dir.path(), sizes).unwrap();
    let mut capacities = Vec::new();
    for n in 0..60 {
        journal.append(&mut frame(n, 1_000), n).unwrap();
        journal.follow();
        capacities.push(journal.capacity);
        if n == 30 {
            let (_, path) = segments(dir.path()).unwrap().pop().unwrap();
            let bytes = std::fs::read(path).unwrap();
            let (_, _, end) = pieces(&bytes, journal.number).unwrap();
            journal = Journal::resume(dir.path(), sizes, journal.number, end).unwrap();
        }
    }
    // One that lies ready from before is taken as it is.
    assert!(capacities.windows(2).all(|two| two[1] <= (2 * two[0]).min(20_000)), "{capacities:?}");
    assert!(capacities.last() > capacities.first());
}

#[test]
fn a_segment_that_lies_ready_is_taken_and_another_made() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), SIZES).unwrap();
    for n in 0..10 {
        journal.append(&mut frame(n, 3_000), n).unwrap();
        assert_eq!(journal.capacity, if n == 0 { 4_096 } else { 8_192 });
        // When it is asked for, it is wanted whole: a piece is larger.
        journal.follow();
        let ready = dir.path().join(NEXT);
        while !ready.exists() {
            std::thread::yield_now();
        }
    }
    drop(journal);
    assert_eq!(firsts(dir.path()), (0..10).collect::<Vec<_>>());
}

#[test]
fn who_is_faster_than_the_zeros_does_not_wait_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), SIZES).unwrap();
    // The file under way is only one thread's at a time.
    journal.ahead = None;
    // A segment that nobody asks to be finished.
    let slow = Ahead::start(dir.path().join(NEXT)).unwrap();
    slow.reach(3 * ZEROS_BYTES as u64, 1);
    journal.ahead = Some(slow);
    for n in 0..40 {
        journal.append(&mut frame(n, 1_000), n).unwrap();
    }
    drop(journal);
    assert_eq!(firsts(dir.path()), (0..40).collect::<Vec<_>>());
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name.to_string_lossy().ends_with(".seg")), "{names:?}");
}

#[test]
fn a_segment_that_becomes_ready_at_the_worst_moment_takes_nobodys_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), SIZES).unwrap();
    let part = dir.path().join(NEXT);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        // As if one were left behind by an earlier life, over and over.
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let another = part.with_extension("another");
                File::create(&another).unwrap().set_len(SIZES.others).unwrap();
                std::fs::rename(&another, &part).unwrap();
            }
        });
        for n in 0..400 {
            journal.append(&mut frame(n, 1_000), n).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    drop(journal);
    assert_eq!(firsts(dir.path()), (0..400).collect::<Vec<_>>());
}

#[test]
fn a_torn_frame_is_cut_and_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), SIZES).unwrap();
    journal.append(&mut frame(0, 500), 0).unwrap();
    journal.append(&mut frame(1, 500), 1).unwrap();
    drop(journal);
    let path = dir.path().join(segment_name(0));
    let mut bytes = std::fs::read(&path).unwrap();
    let second = SEGMENT_HEADER_BYTES + frame(0, 500).len();
    for at in [second, second + 5, second + 9, second + 100] {
        let mut torn = bytes.clone();
        torn[at] ^= 1;
        std::fs::write(&path, &torn).unwrap();
        std::fs::write(dir.path().join("next.now"), b"begun").unwrap();
        let (_, found, end) = pieces(&torn, 0).unwrap();
        assert_eq!((found.len(), end.at, end.torn(), end.beyond_one_frame()), (1, second, true, false));
        let mut journal = Journal::resume(dir.path(), SIZES, 0, end).unwrap();
        journal.append(&mut frame(1, 10), 1).unwrap();
        drop(journal);
        assert_eq!(firsts(dir.path()), [0, 1]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
    bytes[SEGMENT_HEADER_BYTES + 20] ^= 1;
    let (_, found, end) = pieces(&bytes, 0).unwrap();
    assert!(matches!(found[..], [Piece::Broken(_), Piece::Frame(_)]), "damage in the middle is not a torn end");
    assert!(!end.torn());
    bytes[SEGMENT_HEADER_BYTES] ^= 1;
    let (_, found, _) = pieces(&bytes, 0).unwrap();
    assert!(matches!(found[..], [Piece::Gap { .. }, Piece::Frame(_)]));
}

#[test]
fn another_segments_header_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Journal::create(dir.path(), SIZES).unwrap());
    let bytes = std::fs::read(dir.path().join(segment_name(0))).unwrap();
    assert!(pieces(&bytes, 0).is_some());
    assert!(pieces(&bytes, 1).is_none());
    assert!(pieces(&bytes[..20], 0).is_none());
    for at in 0..28 {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        assert!(pieces(&flipped, 0).is_none(), "{at}");
    }
}

#[test]
fn a_file_of_false_beginnings_ends() {
    let mut bytes = header(0, 0).to_vec();
    let mut fake = b"CSF1".to_vec();
    fake.extend_from_slice(&(8 * 1024 * 1024u32).to_le_bytes());
    fake.extend_from_slice(&[1; 4]);
    bytes.extend(fake.repeat(1024 * 1024));
    let (_, found, end) = pieces(&bytes, 0).unwrap();
    assert!(matches!(found[..], [Piece::Gap { .. }]) && !end.torn());
}

#[test]
fn no_segment_is_made_over_another() {
    let dir = tempfile::tempdir().unwrap();
    drop(Journal::create(dir.path(), SIZES).unwrap());
    let before = std::fs::read(dir.path().join(segment_name(0))).unwrap();
    let again = Journal::create(dir.path(), SIZES).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists, "{again}");
    let mut journal = Journal::resume(dir.path(), SIZES, 0, pieces(&before, 0).unwrap().2).unwrap();
    std::fs::write(dir.path().join(segment_name(1)), b"history").unwrap();
    let rolled = journal.append(&mut frame(0, 5_000), 0).unwrap_err();
    assert_eq!(rolled.kind(), io::ErrorKind::AlreadyExists, "{rolled}");
    assert_eq!(std::fs::read(dir.path().join(segment_name(1))).unwrap(), b"history");
    assert_eq!(std::fs::read(dir.path().join(segment_name(0))).unwrap()[..4], before[..4]);
}

/// A frame that promises so many bytes and has a wrong checksum.
fn false_beginning(bytes: u32) -> Vec<u8> {
    [&b"CSF1"[..], &bytes.to_le_bytes(), &[1; 4]].concat()
}

/// The smallest thing with a right checksum.
fn smallest() -> Vec<u8> {
    let crc = crc32c::crc32c(&[0; 4]).to_le_bytes();
    [&b"CSF1"[..], &[0; 4], &crc].concat()
}

#[test]
fn false_beginnings_between_good_frames_end() {
    let mut bytes = header(0, 0).to_vec();
    // Where such a frame would end, none begins.
    bytes.extend([false_beginning((15 << 20) + 5), smallest()].concat().repeat((48 << 20) / 24));
    let (_, found, end) = pieces(&bytes, 0).unwrap();
    assert!(found.len() > 2 && !end.torn(), "what could not be searched is no torn end: {}", found.len());
    assert!(matches!(found[found.len() - 1], Piece::Gap { .. }));
}

#[test]
fn gaps_before_many_zeros_end() {
    let mut bytes = header(0, 0).to_vec();
    bytes.extend([vec![1], smallest()].concat().repeat((16 << 20) / 13));
    let used = bytes.len();
    bytes.resize(used + (16 << 20), 0);
    let (_, found, end) = pieces(&bytes, 0).unwrap();
    assert_eq!((found.len(), end.at, end.torn()), (2 * ((16 << 20) / 13), used, false));
}

#[test]
fn only_failed_checks_are_charged() {
    let whole = 5_000;
    let mut budget = Budget(whole);
    let good = [frame(0, 1_000), frame(1, 1_000), frame(2, 1_000)].concat().repeat(50);
    assert_eq!(pieces_within(&good, 0, &mut budget).0.len(), 150);
    assert_eq!(budget.0, whole, "good frames cost nothing");
    let mut damaged = good.clone();
    damaged[500] ^= 1;
    assert!(matches!(pieces_within(&damaged, 0, &mut budget).0[..2], [Piece::Broken(_), Piece::Frame(_)]));
    assert_eq!(budget.0, whole - frame(0, 1_000).len());
    // Each false beginning is charged in full, wherever it is met; then no more is looked at.
    let bomb = [false_beginning(2_000), smallest()].concat().repeat(400);
    let (found, end) = pieces_within(&bomb, 0, &mut budget);
    assert_eq!((budget.0, end.torn()), (0, false));
    assert!(found.len() < 8, "{}", found.len());
}

#[test]
fn a_first_segment_has_room_for_its_header_however_small_it_is_to_be() {
    for first in [1, 0, 31, 32, 33, 5_000] {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(dir.path(), Sizes { first, ..SIZES }).unwrap();
        for n in 0..20 {
            journal.append(&mut frame(n, 1_000), n).unwrap();
            journal.follow();
        }
        drop(journal);
        assert_eq!(firsts(dir.path()), (0..20).collect::<Vec<_>>(), "{first}");
    }
}

/// On a full disk, half a segment would take what room there is left. No disk takes a file of this size, and none begins it.
#[test]
fn a_journal_that_can_not_be_made_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    Journal::create(dir.path(), Sizes { first: u64::MAX, ..SIZES }).unwrap_err();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
