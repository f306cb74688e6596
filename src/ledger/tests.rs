//! The ledger as a whole, on a real folder.

mod attacks;
mod bombs;
mod copies;
mod crash;
#[path = "../../tests/it/ledger_foreign/driver.rs"]
mod driver;
mod everywhere;
mod evidence;
mod faults;
mod flips;
mod foreign;
mod fuzz;
mod golden;
mod lab;
mod matrix;
mod oracles;
mod power;
mod recovery;
mod rotation;
mod sizes;
mod snapshots;
mod syncs;
mod told;
mod unread;
mod vouched;

use chrono::{DateTime, TimeDelta, Utc};
use rand::{SeedableRng, rngs::StdRng};
use serde_json::json;

use super::{note::Signer, verify::VerifyOptions, *};

fn knows(kind: &str) -> bool {
    kind.starts_with("test.")
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_795_222_784_123_456).unwrap()
}

fn options(seed: u64) -> Options {
    let mut options = Options::new("example.com/test", knows, start(), Box::new(StdRng::seed_from_u64(seed)));
    options.segments = Sizes { first: 64 * 1024, others: 256 * 1024 };
    options.reserve_bytes = 0;
    options
}

fn subject(n: u8) -> SubjectId {
    SubjectId([n; 16])
}

fn draft(n: u64) -> Draft {
    let mut body = serde_json::Map::new();
    body.insert("n".into(), json!(n));
    Draft { kind: "test.happened".into(), body, disclosures: vec![] }
}

fn personal(n: u64, of: SubjectId, value: &str) -> Draft {
    let one = Disclosure { subject: of, name: "reason".into(), value: value.into() };
    Draft { disclosures: vec![one], ..draft(n) }
}

fn erased(of: SubjectId) -> Draft {
    let body = json!({"subject": of}).as_object().unwrap().clone();
    Draft { kind: kinds::SUBJECT_ERASED.into(), body, disclosures: vec![] }
}

/// Fills a new ledger with that many entries, a few at a time.
async fn filled(dir: &Path, size: u64) -> Ledger {
    let ledger = Ledger::open(dir, options(1)).unwrap();
    fill(&ledger, size).await;
    ledger
}

async fn fill(ledger: &Ledger, size: u64) {
    while ledger.size() < size {
        let at = ledger.size();
        let count = (size - at).min(1 + at % 7);
        let drafts = (at..at + count)
            .map(|n| {
                if n % 5 == 0 {
                    personal(n, subject(u8::try_from(n % 4).unwrap()), &format!("reason {n}"))
                } else {
                    draft(n)
                }
            })
            .collect();
        let time = start() + TimeDelta::seconds(i64::try_from(at).unwrap());
        ledger.append(at, time, drafts).await.unwrap();
    }
}

fn report(dir: &Path) -> verify::Report {
    verify::verify(dir, VerifyOptions::new(knows)).unwrap()
}

#[tokio::test]
async fn what_is_appended_is_read_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 100).await;
    let before: Vec<Entry> = ledger.entries(0, 100).unwrap().map(Result::unwrap).collect();
    let head = ledger.head();
    drop(ledger);
    let ledger = Ledger::open(dir.path(), options(2)).unwrap();
    let after: Vec<Entry> = ledger.entries(0, u64::MAX).unwrap().map(Result::unwrap).collect();
    assert_eq!(before, after);
    assert_eq!(ledger.head(), head);
    assert_eq!(after.len(), 100);
    assert_eq!(after[0].kind, kinds::LOG_OPENED);
    let Disclosed::Open(open) = &after[10].disclosed[0] else { panic!("{:?}", after[10]) };
    assert_eq!((&*open.name, &*open.value, open.subject), ("reason", "reason 10", subject(2)));
    assert!(!after.iter().any(|entry| String::from_utf8_lossy(&entry.line).contains("reason 10")));
    assert_eq!(ledger.reader().of_subject(subject(2)).unwrap()[..2], [10, 30]);
    drop(ledger);
    let report = report(dir.path());
    assert!(report.holds(), "{report}");
    assert_eq!((report.size, report.freshness), (100, verify::Freshness::Unproven));
    assert!(report.remarks.is_empty(), "{:?}", report.remarks);
}

#[tokio::test]
async fn an_append_says_where_and_under_which_head() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), options(1)).unwrap();
    assert_eq!(ledger.size(), 1);
    let done = ledger.append(1, start(), vec![draft(1), draft(2)]).await.unwrap();
    assert_eq!((done.first, done.size, done.leaves.len()), (1, 3, 2));
    let note = SignedNote::parse(&done.head).unwrap();
    assert_eq!(note.check([ledger.verifier_key()]), Ok(1));
    assert_eq!(
        Checkpoint::parse(&note.text).unwrap(),
        Checkpoint { origin: "example.com/test".into(), size: 3, root: done.root }
    );
    assert_eq!(done.leaves[1], ledger.reader().get(2).unwrap().leaf);
    assert_eq!(ledger.append(1, start(), vec![draft(1)]).await, Err(AppendError::Conflict { expected: 1, actual: 3 }));
    assert_eq!(ledger.append_next(start(), vec![draft(3)]).await.unwrap().first, 3);
    let (one, two) = tokio::join!(ledger.append(4, start(), vec![draft(4)]), ledger.append(5, start(), vec![draft(5)]));
    assert_eq!((one.unwrap().first, two.unwrap().first), (4, 5));
}

#[tokio::test]
async fn a_draft_that_cannot_be_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), options(1)).unwrap();
    let mut long = draft(1);
    long.body.insert("long".into(), json!("x".repeat(LINE_MAX_BYTES)));
    let mut float = draft(1);
    float.body.insert("float".into(), json!(1.5));
    let kind = |kind: &str| Draft { kind: kind.into(), ..draft(1) };
    let many = Draft { disclosures: vec![personal(1, subject(1), "x").disclosures[0].clone(); 257], ..draft(1) };
    let cases = [
        (long, "draft 1: the line would have 65709 bytes, more than 65535"),
        (float, "draft 1: the body: 1.5 is not an integer of at most 2^53-1"),
        (kind("unheard.of"), "draft 1: the kind `unheard.of` is unknown to this program"),
        (kind("Nonsense"), "draft 1: `Nonsense` is not a kind of the form `noun.verb`"),
        (kind("key.added"), "draft 1: only the ledger itself writes `key.added`"),
        (kind("subject.erased"), "draft 1: a `subject.erased` needs a `subject`"),
        (many, "draft 1: the disclosures are over their limit of 256 with 262144 bytes each"),
    ];
    for (bad, words) in cases {
        let error = ledger.append(1, start(), vec![personal(0, subject(1), "fine"), bad]).await.unwrap_err();
        assert_eq!(error.to_string(), words);
    }
    assert_eq!(
        ledger.append(1, start(), vec![]).await.unwrap_err().to_string(),
        "draft 0: one append takes 1 to 256 drafts with 8388608 bytes together"
    );
    // Too much in all, which shows only after some of it was staged.
    let heavy = vec![personal(1, subject(1), &"x".repeat(DISCLOSURE_MAX_BYTES)); 40];
    let error = ledger.append(1, start(), heavy).await.unwrap_err();
    assert!(matches!(error, AppendError::Refused { why: Refused::BatchSize, .. }), "{error}");
    assert_eq!(ledger.size(), 1);
    assert_eq!(ledger.append(1, start(), vec![draft(1)]).await.unwrap().first, 1);
    drop(ledger);
    assert!(report(dir.path()).holds());
}

/// Who asks is a thread that must not wait: the disk is looked at with each commit, or by who may block.
#[tokio::test]
async fn how_much_room_there_is_is_known_without_a_look_at_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    // No disk has so much, so the reserve can't be made.
    let ledger = Ledger::open(dir.path(), Options { reserve_bytes: u64::MAX / 2, ..options(1) }).unwrap();
    assert!(ledger.is_scarce());
    let reserve = dir.path().join("reserve");
    std::fs::write(&reserve, "").unwrap();
    assert!(ledger.is_scarce(), "nobody has looked");
    ledger.reader().look_for_room();
    assert!(!ledger.is_scarce());
    std::fs::remove_file(&reserve).unwrap();
    assert!(!ledger.is_scarce(), "nobody has looked");
    // What follows a commit is done before the next at the latest.
    for n in 1..3 {
        ledger.append(n, start(), vec![draft(n)]).await.unwrap();
    }
    assert!(ledger.is_scarce());
}

#[tokio::test]
async fn time_never_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), options(1)).unwrap();
    let hour = TimeDelta::hours(1);
    ledger.append(1, start() + hour, vec![draft(1)]).await.unwrap();
    ledger.append(2, start() - hour, vec![draft(2)]).await.unwrap();
    assert_eq!(ledger.reader().get(2).unwrap().time, start() + hour);
    assert_eq!(ledger.head().time, start() + hour);
}

#[tokio::test]
async fn the_largest_line_and_disclosure_fit() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), options(1)).unwrap();
    let mut large = personal(1, subject(1), &"\u{1}é".repeat(50_000));
    large.body.insert("pad".into(), json!("x".repeat(LINE_MAX_BYTES - 227)));
    ledger.append(1, start(), vec![large.clone()]).await.unwrap();
    let read = ledger.reader().get(1).unwrap();
    assert_eq!(read.line.len(), LINE_MAX_BYTES);
    assert_eq!(read.disclosed, [Disclosed::Open(large.disclosures[0].clone())]);
    drop(ledger);
    assert!(report(dir.path()).holds());
}

#[tokio::test]
async fn an_erased_person_is_unreadable_and_the_log_still_holds() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), options(1)).unwrap();
    let at =
        ledger.append(1, start(), vec![personal(1, subject(1), "one"), personal(2, subject(2), "two")]).await.unwrap();
    let key = std::fs::read(dir.path().join("keys").join(subject(1).to_string())).unwrap();
    ledger.append(at.size, start(), vec![erased(subject(1))]).await.unwrap();
    assert!(!dir.path().join("keys").join(subject(1).to_string()).exists());
    assert_eq!(ledger.reader().get(1).unwrap().disclosed, [Disclosed::Erased { subject: subject(1) }]);
    assert!(matches!(ledger.reader().get(2).unwrap().disclosed[0], Disclosed::Open(_)));
    let again = ledger.append_next(start(), vec![personal(3, subject(1), "again")]).await.unwrap_err();
    assert_eq!(again.to_string(), format!("draft 0: subject {} was erased", subject(1)));
    drop(ledger);
    assert!(report(dir.path()).holds());
    std::fs::write(dir.path().join("keys").join(subject(1).to_string()), key).unwrap();
    let found = report(dir.path());
    assert_eq!(
        found.found().iter().map(|fault| (fault.index, fault.class)).collect::<Vec<_>>(),
        [(Some(3), Class::Erased)]
    );
    drop(Ledger::open(dir.path(), options(2)).unwrap());
    assert!(report(dir.path()).holds(), "the next start destroys it again");
}

#[tokio::test]
async fn a_key_that_cannot_be_destroyed_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), options(1)).unwrap();
    let done = ledger.append(1, start(), vec![personal(1, subject(1), "one")]).await.unwrap();
    assert_eq!(done.key_left, None);
    // No file can be overwritten where a folder is.
    let key = dir.path().join("keys").join(subject(1).to_string());
    std::fs::remove_file(&key).unwrap();
    std::fs::create_dir(&key).unwrap();
    let done = ledger.append(2, start(), vec![erased(subject(1))]).await.unwrap();
    assert!(done.key_left.is_some_and(|why| why.contains("a sealing key")), "{key:?} is still there");
    drop(ledger);
    std::fs::remove_dir(&key).unwrap();
    assert_eq!(Ledger::open(dir.path(), options(2)).unwrap().size(), 3, "the record stands");
}

#[tokio::test]
async fn a_lost_key_is_a_fault_where_nobody_was_erased() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), options(1)).unwrap();
    ledger.append(1, start(), vec![draft(1), personal(2, subject(1), "one")]).await.unwrap();
    drop(ledger);
    std::fs::remove_file(dir.path().join("keys").join(subject(1).to_string())).unwrap();
    let found = report(dir.path());
    assert_eq!(
        found.found().iter().map(|fault| (fault.index, fault.class)).collect::<Vec<_>>(),
        [(Some(2), Class::Disclosure)]
    );
}

#[tokio::test]
async fn a_new_key_takes_over() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 5).await;
    let old = ledger.verifier_key().clone();
    let done = ledger.rotate_key(Zeroizing::new([7; 32]), start()).await.unwrap();
    assert_eq!(done.size, 7);
    let new = Signer::new("example.com/test", SigningKey::from_bytes(&[7; 32])).verifier().clone();
    let both = ledger.reader().head_from(6).unwrap().unwrap().1;
    assert_eq!(SignedNote::parse(&both).unwrap().check([&old, &new]), Ok(2));
    let note = SignedNote::parse(&done.head).unwrap();
    assert_eq!((note.check([&old]), note.check([&new])), (Ok(0), Ok(1)));
    ledger.append_next(start(), vec![draft(1)]).await.unwrap();
    drop(ledger);
    let found = report(dir.path());
    assert!(found.holds(), "{found}");
    assert!(!dir.path().join("signing-key.next.pem").exists());
    let ledger = Ledger::open(dir.path(), options(2)).unwrap();
    assert_eq!(*ledger.verifier_key(), new);
}

#[tokio::test]
async fn an_export_verifies_and_holds_disclosures_only_with_the_right() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(&dir.path().join("log"), 600).await);
    for (name, clear) in [("plain", false), ("clear", true)] {
        let to = dir.path().join(name);
        let done = export::export(&dir.path().join("log"), &to, clear, knows).unwrap();
        assert_eq!((done.entries, done.disclosures > 0), (600, clear));
        assert_eq!(to.join("disclosures.jsonl").exists(), clear);
        let found = report(&to);
        assert!(found.holds() && found.size == 600, "{found}");
        let lines = report(&to.join("log.jsonl"));
        assert!(lines.holds() && lines.root == found.root, "{lines}");
    }
    assert!(matches!(
        export::export(&dir.path().join("log"), &dir.path().join("plain"), false, knows),
        Err(export::ExportError::NotEmpty(_))
    ));
    assert!(report(&dir.path().join("log/public")).holds());
}

#[tokio::test]
async fn a_proof_is_verified_from_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(&dir.path().join("log"), 300).await;
    let path = dir.path().join("p.tlog-proof");
    for index in [0, 1, 255, 256, 299] {
        std::fs::write(&path, ledger.prove(index).unwrap()).unwrap();
        let mut options = VerifyOptions::new(knows);
        options.key = Some(ledger.verifier_key().clone());
        let report = verify::verify(&path, options).unwrap();
        assert!(report.holds(), "{report}");
        assert_eq!(report.entry.unwrap().into_bytes(), ledger.reader().get(index).unwrap().line);
    }
    assert_eq!(ledger.prove(300), Err(ReadError::NoSuchEntry { index: 300, size: 300 }));
}
