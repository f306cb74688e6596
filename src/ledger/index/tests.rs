use super::*;
use crate::ledger::{
    frame::{Builder, Sealed},
    hash::leaf_hash,
    journal::{Journal, Sizes},
};

/// A journal with an index over it.
struct Both {
    dir: tempfile::TempDir,
    journal: Journal,
}

impl Both {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sizes = Sizes { first: 300_000, others: 300_000 };
        let journal = Journal::create(&dir.path().join("journal"), sizes).unwrap();
        Self { dir, journal }
    }

    fn index(&self) -> Index {
        Index::open(&self.dir.path().join("sled"), &self.dir.path().join("journal")).unwrap()
    }

    /// Writes a frame, each entry with two disclosures of that many bytes, and says what is to be indexed of it.
    fn append(&mut self, first: u64, lines: &[&[u8]], sealed_bytes: usize) -> Indexed {
        let sealed = |n: u8| Sealed { subject: SubjectId([n; 16]), bytes: vec![n; sealed_bytes] };
        let (mut frame, head) = (Builder::new(first, Vec::new()), format!("head {first}"));
        for line in lines {
            frame.entry(|out| out.extend_from_slice(line), &[sealed(1), sealed(2)]);
        }
        let (mut bytes, shape) = frame.finish(&head).unwrap();
        let place = self.journal.append(&mut bytes, first).unwrap();
        Indexed { place, shape, last: leaf_hash(lines.last().unwrap()), head: head.into() }
    }
}

#[test]
fn what_is_applied_is_read_back_in_order() {
    let mut both = Both::new();
    let long = vec![b'y'; 65_535];
    let commits = [both.append(0, &[b"a", b"b", &long], 20_000), both.append(3, &[b"c"], 20_000)];
    let index = both.index();
    assert_eq!(index.extent().unwrap(), None);
    index.apply(&commits[..1]).unwrap();
    index.apply(&commits[1..]).unwrap();
    drop(index);
    let index = both.index();
    assert_eq!(index.extent().unwrap(), Some((4, leaf_hash(b"c"))));
    let records: Vec<_> = index.records(1, 4).map(Result::unwrap).collect();
    assert_eq!(records.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((&*records[1].1.line, records[1].1.sealed.len()), (&*long, 2));
    assert_eq!((&*records[2].1.line, records[2].1.sealed[1].bytes.len()), (&b"c"[..], 20_000));
    assert_eq!(index.of_subject(SubjectId([2; 16])).map(Result::unwrap).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(index.of_subject(SubjectId([3; 16])).count(), 0);
    assert_eq!(index.head_from(1).unwrap().as_deref(), Some("head 0"));
    assert_eq!(index.head_from(4).unwrap().as_deref(), Some("head 3"));
    assert_eq!(index.head_from(5).unwrap(), None);
    assert_eq!(index.newest_head().unwrap().as_deref(), Some("head 3"));
}

/// Many entries a frame, over several segments: every range is what was written, wherever it begins and ends.
#[test]
fn any_range_is_found() {
    let (mut both, count) = (Both::new(), 700u64);
    let line = |n: u64| format!("{n} {}", "x".repeat(usize::try_from(n % 900).unwrap())).into_bytes();
    let (mut first, mut commits) = (0, Vec::new());
    while first < count {
        let next = count.min(first + 1 + first % 131);
        let lines: Vec<Vec<u8>> = (first..next).map(line).collect();
        commits.push(both.append(first, &lines.iter().map(Vec::as_slice).collect::<Vec<_>>(), 40));
        first = next;
    }
    assert!(commits.last().unwrap().place.segment > 0, "one segment held it all");
    let index = both.index();
    index.apply(&commits).unwrap();
    for from in (0..count).step_by(13) {
        for to in [from, from + 1, from + 2, from + 60, count, count + 5] {
            let found: Vec<_> = index.records(from, to).map(Result::unwrap).collect();
            let due: Vec<_> = (from..to.min(count)).map(|n| (n, line(n))).collect();
            assert_eq!(found.into_iter().map(|(n, record)| (n, record.line)).collect::<Vec<_>>(), due, "{from}..{to}");
        }
    }
    let marks = |commit: &Indexed| Commit::read(commit.shape.size(), &Commit::value(commit).unwrap()).unwrap().marks;
    assert!(commits.iter().any(|commit| marks(commit).len() > 2), "no frame was large enough to be marked");
}

#[test]
fn a_value_stays_small_however_large_the_frame() {
    let shape = Shape { first: 0, ends: (1..=16_000).map(|n| n * 1_000).collect(), subjects: vec![] };
    let commit = Indexed { place: Place::default(), shape, last: [0; HASH_BYTES], head: "head".into() };
    let value = Commit::value(&commit).unwrap();
    assert!((1_000..7_000).contains(&value.len()), "{}", value.len());
    for cut in 0..value.len() {
        // Cut between two marks it is a smaller one; cut anywhere else it is none.
        assert_eq!(Commit::read(16_000, &value[..cut]).is_some(), cut >= 20 && (cut - 20) % 8 == 0, "{cut}");
    }
}

#[test]
fn a_half_written_snapshot_is_no_obstacle() {
    let mut both = Both::new();
    let index = both.index();
    index.apply([&both.append(0, &[b"a"], 1)]).unwrap();
    drop(index);
    std::fs::write(both.dir.path().join("sled/snap.0000000000000400.generating"), b"half").unwrap();
    assert_eq!(both.index().extent().unwrap(), Some((1, leaf_hash(b"a"))));
}

#[test]
fn another_layout_is_refused() {
    let both = Both::new();
    let db = sled::open(both.dir.path().join("sled")).unwrap();
    db.insert(b"h00000000", b"a head of the first layout").unwrap();
    drop(db);
    // Sled gives its lock back a moment after it is dropped.
    let words = loop {
        let opened = Index::open(&both.dir.path().join("sled"), &both.dir.path().join("journal"));
        let words = opened.unwrap_err().to_string();
        if !words.contains("acquire lock") {
            break words;
        }
        std::thread::yield_now();
    };
    assert_eq!(words, "the index: it has another layout");
}

#[test]
fn a_panic_while_iterating_is_damage_like_any_other() {
    let both = Both::new();
    let (index, mark) = (both.index(), both.dir.path().join("sled.damaged"));
    let found = |step: fn() -> Option<sled::Result<(u8, u8)>>| Scan {
        index: index.clone(),
        found: Some(std::iter::from_fn(step)),
    };
    let mut broken = found(|| Some(Err(sled::Error::Io(io::ErrorKind::StorageFull.into()))));
    assert!(broken.next().unwrap().is_err() && broken.next().is_none());
    assert!(!mark.exists(), "a disk's error is no damage");
    for step in [|| panic!("a page of sled's"), || Some(Err(sled::Error::Corruption { at: None, bt: () }))] {
        let mut damaged = found(step);
        assert!(damaged.next().unwrap().is_err());
        assert!(damaged.next().is_none(), "it goes on after damage");
        assert!(mark.exists(), "the next start is not told");
        std::fs::remove_file(&mark).unwrap();
    }
}
