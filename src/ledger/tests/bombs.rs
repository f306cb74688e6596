//! Input that is made to hang a verifier or to eat its memory: each ends, with a finding.

use std::{
    fs::File,
    io::{self, Write as _},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{lab::Log, *};
use crate::ledger::{
    check::{Tip, see},
    fault::Faults,
    keys::KEYS_MAX,
    verify::{DirFetch, Fetch},
};

/// A copy of a small ledger, to be spoilt.
async fn copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 20).await);
    dir
}

fn found(dir: &Path) -> Vec<Class> {
    let report = report(dir);
    assert!(!report.holds());
    report.found().iter().map(|fault| fault.class).collect()
}

#[test]
fn a_line_of_a_gigabyte() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.jsonl");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"{").unwrap();
    file.set_len(1 << 30).unwrap();
    assert!(found(&path).contains(&Class::Canonical));
}

/// Past so many faults a log is not worth reading on: whatever is wrong with each entry, it costs memory.
#[test]
fn millions_of_empty_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.jsonl");
    std::fs::write(&path, format!("{{{}", "\n".repeat(3_000_000))).unwrap();
    let report = report(&path);
    // That it was given up is told beside them.
    assert_eq!(report.found().len(), fault::FAULTS_MAX + 1);
    let told = report.faults.count();
    assert!((100_000..120_000).contains(&told) && report.size < 120_000, "{told} faults in {} entries", report.size);
    let limit: Vec<_> = report.found().iter().filter(|fault| fault.class == Class::Limit).collect();
    assert!(limit.len() == 1 && limit[0].words.contains("not read beyond entry"), "{limit:?}");
    // What was not read is not said to be gone.
    let mut options = VerifyOptions::new(knows);
    options.anchors =
        vec![verify::Anchor::parse(&format!("example.com/test 2000000 {}", "A".repeat(43) + "=")).unwrap()];
    let report = verify::verify(&path, options).unwrap();
    assert_eq!(report.freshness, verify::Freshness::Unproven);
    assert!(!report.found().iter().any(|fault| fault.class == Class::Behind));
}

/// A journal whose frames hold more entries than a commit can, and one whose entries are all empty.
#[tokio::test]
async fn a_journal_of_empty_entries() {
    let dir = copy().await;
    let segment = dir.path().join("journal/00000000.seg");
    let whole = std::fs::read(&segment).unwrap();
    let used = lab::used(&segment);
    let with = |records: u64, frames: usize| {
        let batch = |first| frame::Batch {
            first,
            records: vec![frame::Record::default(); usize::try_from(records).unwrap()],
            head: "head".into(),
        };
        let mut bytes = whole[..used].to_vec();
        for n in 0..frames as u64 {
            bytes.extend(frame::encode(&batch(20 + n * records)).unwrap());
        }
        std::fs::write(&segment, bytes).unwrap();
        report(dir.path())
    };
    let found = with(65_537, 1);
    assert!(found.size == 20 && found.to_string().contains("more entries than one commit can have"), "{found}");
    let found = with(65_536, 40);
    assert!(found.found().iter().any(|fault| fault.class == Class::Limit));
    assert!(found.size < 700_000, "{}", found.size);
}

/// A server that has entries without end, each of two bytes. It gives up in the end, so that a verifier that does not can be seen.
struct Endless(std::sync::atomic::AtomicUsize);

impl verify::Fetch for Endless {
    fn fetch(&self, path: &str, _: usize) -> std::io::Result<Option<Vec<u8>>> {
        if path == "checkpoint" {
            let head = Checkpoint { origin: "example.com/test".into(), size: 1 << 26, root: [0; 32] };
            let signer = Signer::new("example.com/test", SigningKey::from_bytes(&[7; 32]));
            return Ok(Some(note::sign(&head, [&signer]).into_bytes()));
        }
        let before = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok((before < 2_000).then(|| vec![0; 512]))
    }
}

#[test]
fn a_server_that_has_entries_without_end() {
    let report = verify::verify_public(&Endless(0.into()), VerifyOptions::new(knows));
    let last = report.found().last().map(|fault| fault.class);
    assert_eq!(last, Some(Class::Limit), "{:?}", report.found().last());
    assert!(report.size < 120_000, "{}", report.size);
}

/// A server whose bundles are as large as they can be: no more than some of them are held at once.
struct Huge;

impl verify::Fetch for Huge {
    fn fetch(&self, path: &str, _: usize) -> std::io::Result<Option<Vec<u8>>> {
        if path == "checkpoint" {
            let head = Checkpoint { origin: "example.com/test".into(), size: 24 * 256, root: [0; 32] };
            let signer = Signer::new("example.com/test", SigningKey::from_bytes(&[7; 32]));
            return Ok(Some(note::sign(&head, [&signer]).into_bytes()));
        }
        let mut entry = vec![0xff; 2 + LINE_MAX_BYTES];
        entry[2..].fill(0);
        Ok(Some(entry.repeat(256)))
    }
}

#[test]
fn a_server_whose_bundles_are_huge() {
    let (mut most, mut before) = (0, 0);
    let mut options = VerifyOptions::new(knows);
    options.threads = 2;
    options.progress = Box::new(|progress| {
        assert_eq!(progress.total_bytes, 24 * 256 * (LINE_MAX_BYTES as u64 + 2), "all bundles are alike");
        most = most.max(progress.done_bytes - before);
        before = progress.done_bytes;
    });
    let report = verify::verify_public(&Huge, options);
    assert_eq!(report.size, 24 * 256);
    assert_eq!(before, 24 * 256 * (LINE_MAX_BYTES as u64 + 2));
    assert!(most <= 150 << 20, "{most} bytes at once");
}

fn pipe(path: &Path) {
    drop(std::fs::remove_file(path));
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

/// A pipe that nobody writes to: whoever opens it waits for ever.
#[tokio::test]
async fn pipes_in_the_place_of_files() {
    let key = format!("keys/{}", subject(1));
    for name in ["head", "journal/00000000.seg", "public/checkpoint", "public/tile/0/000.p/20", "lock", &key] {
        let dir = copy().await;
        pipe(&dir.path().join(name));
        let found = report(dir.path());
        assert!(name == "lock" || found.to_string().contains("it is not a file"), "{name}: {found}");
        // A link to one is one.
        std::fs::rename(dir.path().join(name), dir.path().join("pipe")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("pipe"), dir.path().join(name)).unwrap();
        let found = report(dir.path());
        assert!(name == "lock" || found.to_string().contains("it is not a file"), "{name}: {found}");
    }
    let dir = copy().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let export = elsewhere.path().join("export");
    export::export(dir.path(), &export, true, knows).unwrap();
    for name in ["checkpoint", "log.jsonl", "disclosures.jsonl"] {
        let whole = std::fs::read(export.join(name)).unwrap();
        pipe(&export.join(name));
        let found = report(&export);
        assert!(!found.holds() && found.to_string().contains("it is not a file"), "{name}");
        std::fs::remove_file(export.join(name)).unwrap();
        std::fs::write(export.join(name), whole).unwrap();
    }
    assert!(report(&export).holds());
    pipe(&dir.path().join("journal/00000000.seg"));
    let words = "segment 0 of the journal can't be read: it is not a file";
    assert_eq!(history::entries(dir.path(), knows, |_| ()).unwrap_err().to_string(), words);
    assert_eq!(history::prove(dir.path(), 1, knows).unwrap_err().to_string(), words);
    assert_eq!(export::export(dir.path(), &elsewhere.path().join("to"), true, knows).unwrap_err().to_string(), words);
}

/// Files of a terabyte, of which nothing is on the disk.
#[tokio::test]
async fn files_without_end() {
    let sparse = |path: &Path| {
        drop(std::fs::remove_file(path));
        File::create(path).unwrap().set_len(1 << 40).unwrap();
    };
    let key = format!("keys/{}", subject(1));
    for name in ["head", "journal/00000000.seg", "public/checkpoint", "public/tile/0/000.p/20", &key] {
        let dir = copy().await;
        sparse(&dir.path().join(name));
        let told = report(dir.path()).to_string();
        // A note is refused for its length when it is read.
        let wanted = if name == "public/checkpoint" { "over its limit" } else { "it has more than" };
        assert!(told.contains(wanted) || told.contains("is too large"), "{name}: {told}");
    }
    let dir = copy().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let export = elsewhere.path().join("export");
    export::export(dir.path(), &export, true, knows).unwrap();
    sparse(&dir.path().join("journal/00000000.seg"));
    let error = history::entries(dir.path(), knows, |_| ()).unwrap_err().to_string();
    assert!(error.contains("it has more than"), "{error}");
    // At the start too, which goes on without what is only derived.
    for name in ["head", "snapshot", "public/checkpoint"] {
        let dir = copy().await;
        sparse(&dir.path().join(name));
        match Ledger::open(dir.path(), options(2)) {
            Ok(ledger) => assert_eq!((ledger.size(), name == "head"), (20, false), "{name}"),
            Err(error) => assert!(name == "head" && error.to_string().contains("it has more than"), "{error}"),
        }
    }
}

#[test]
fn a_line_nested_deeply() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.jsonl");
    std::fs::write(&path, format!("{{\"body\":{}", "[".repeat(60_000))).unwrap();
    assert!(found(&path).contains(&Class::Canonical));
}

#[tokio::test]
async fn a_million_signatures() {
    let dir = copy().await;
    let public = dir.path().join("public");
    let note = std::fs::read_to_string(public.join("checkpoint")).unwrap();
    let line = note.lines().last().unwrap();
    std::fs::write(public.join("checkpoint"), format!("{note}{}", format!("{line}\n").repeat(1_000_000))).unwrap();
    assert!(found(&public).contains(&Class::Signature));
    std::fs::copy(public.join("checkpoint"), dir.path().join("head")).unwrap();
    assert!(found(dir.path()).contains(&Class::Signature));
}

#[tokio::test]
async fn a_checkpoint_over_more_entries_than_the_world_has() {
    let dir = copy().await;
    let public = dir.path().join("public");
    let note = std::fs::read_to_string(public.join("checkpoint")).unwrap();
    let of = |size: u64| {
        std::fs::write(public.join("checkpoint"), note.replacen("\n20\n", &format!("\n{size}\n"), 1)).unwrap();
        found(&public)
    };
    assert_eq!(of(1 << 26), [Class::Tile]);
    // As many as these are not even asked for.
    for size in [(1 << 26) + 1, (1 << 53) - 1, u64::MAX] {
        assert_eq!(of(size), [Class::Limit]);
    }
}

#[tokio::test]
async fn files_that_are_too_large_or_none() {
    let dir = copy().await;
    let bundle = dir.path().join("public/tile/entries/000.p/20");
    File::options().write(true).open(&bundle).unwrap().set_len(10 << 30).unwrap();
    assert!(found(&dir.path().join("public")).contains(&Class::Tile));
    std::fs::remove_file(&bundle).unwrap();
    std::fs::create_dir(&bundle).unwrap();
    assert!(found(&dir.path().join("public")).contains(&Class::Tile));
    let segment = dir.path().join("journal/00000000.seg");
    File::options().write(true).open(&segment).unwrap().set_len(100 << 30).unwrap();
    assert!(found(dir.path()).contains(&Class::Limit));
}

#[tokio::test]
async fn a_journal_of_rubbish() {
    let dir = copy().await;
    let segment = dir.path().join("journal/00000000.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes.truncate(5_000);
    let mut fake = b"CSF1".to_vec();
    fake.extend_from_slice(&(4u32 << 20).to_le_bytes());
    fake.extend_from_slice(&[1; 4]);
    bytes.extend(fake.repeat(1 << 20));
    std::fs::write(&segment, bytes).unwrap();
    let classes = found(dir.path());
    assert!(classes.contains(&Class::Torn) || classes.contains(&Class::Frame), "{classes:?}");
}

fn strangers(from: usize, count: usize) -> Vec<Signer> {
    let key = |n: usize| SigningKey::from_bytes(&hash::sha256(&n.to_be_bytes()));
    (from..from + count).map(|n| Signer::new("example.com/test", key(n))).collect()
}

fn brought(keys: &[Signer]) -> Vec<(&'static str, serde_json::Value)> {
    keys.iter().map(|key| (kinds::KEY_ADDED, json!({"key": key.verifier().to_string()}))).collect()
}

/// A small log and its key.
async fn keyed(dir: &Path) -> (Log, Signer) {
    drop(filled(dir, 20).await);
    let pem = std::fs::read_to_string(dir.join("signing-key.pem")).unwrap();
    let key = <SigningKey as ed25519_dalek::pkcs8::DecodePrivateKey>::from_pkcs8_pem(&pem).unwrap();
    (Log::read(dir), Signer::new("example.com/test", key))
}

/// A public copy that counts how often it is asked for heads that vouch for keys, and may have none to give.
struct Asked {
    copy: DirFetch,
    times: AtomicUsize,
    unreadable: bool,
}

impl Fetch for Asked {
    fn fetch(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        if path.starts_with("rotation/") {
            self.times.fetch_add(1, Ordering::Relaxed);
            if self.unreadable {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        self.copy.fetch(path, limit)
    }
}

#[tokio::test]
async fn a_flood_of_keys() {
    let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut log, first) = keyed(dir.path()).await;
    let more = 100;
    let keys = strangers(0, KEYS_MAX + more);
    log.append(&brought(&keys), &[&first]);
    log.write(to.path());
    let over = |found: &verify::Report| {
        found.found().iter().filter(|fault| fault.words.starts_with("adds one key more than the 1024")).count()
    };
    // One of them is in entry 0.
    let folder = report(to.path());
    assert_eq!((over(&folder), folder.faults.more), (more + 1, 0), "{folder}");
    assert_eq!(folder.keys, [first.verifier().to_string()], "the head took none of them in");
    for (unreadable, times) in [(false, KEYS_MAX - 1), (true, 1)] {
        let copy = Asked { copy: DirFetch::new(&to.path().join("public")), times: AtomicUsize::new(0), unreadable };
        let public = verify::verify_public(&copy, VerifyOptions::new(knows));
        assert_eq!((&public.keys, copy.times.into_inner()), (&folder.keys, times), "a server that hangs is asked once");
    }
    let lines = report(&to.path().join("public/log.jsonl"));
    assert_eq!(over(&lines), more + 1);
}

#[tokio::test]
async fn heads_share_the_keys_that_they_are_checked_with() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, first) = keyed(dir.path()).await;
    let one = &strangers(0, 1)[0];
    log.append(&brought(std::slice::from_ref(one)), &[&first, one]);
    log.append(&[("test.happened", json!({"n": 1}))], &[&first]);
    let mut tip = Tip::default();
    let mut shared = Vec::new();
    for batch in &log.batches {
        for record in &batch.records {
            let (mut faults, mut nodes) = (Faults::default(), Vec::new());
            tip.take(&see(&record.line, knows), &mut faults, &mut nodes);
        }
        let check = tip.head(&batch.head).unwrap();
        shared.push(check);
    }
    let at: Vec<*const _> = shared.iter().map(|check| std::ptr::from_ref(check.keys.iter().next().unwrap())).collect();
    let changed = at.windows(2).filter(|two| two[0] != two[1]).count();
    assert!(at.len() > 5 && changed == 1, "a copy is made when a key comes in, and at no other time: {at:?}");
}

#[tokio::test]
async fn a_log_that_has_had_all_its_keys_gets_no_more() {
    let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut log, first) = keyed(dir.path()).await;
    // A head has room for so many signatures.
    for keys in strangers(0, KEYS_MAX - 1).chunks(63) {
        let signers: Vec<&Signer> = [&first].into_iter().chain(keys).collect();
        log.append(&brought(keys), &signers);
    }
    log.write(to.path());
    std::fs::copy(dir.path().join("signing-key.pem"), to.path().join("signing-key.pem")).unwrap();
    let ledger = Ledger::open(to.path(), options(9)).unwrap();
    let size = ledger.size();
    let refused = ledger.rotate_key(Zeroizing::new([7; 32]), start() + TimeDelta::hours(1)).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the ledger can't be written: it has had the 1024 keys that a log may have; begin a new ledger in another folder"
    );
    assert_eq!(ledger.append_next(start() + TimeDelta::hours(1), vec![draft(1)]).await.unwrap().first, size);
    drop(ledger);
    drop(Ledger::open(to.path(), options(9)).unwrap());
    assert!(!to.path().join("signing-key.next.pem").exists());
    let found = report(to.path());
    assert!(found.holds() && found.keys.len() == KEYS_MAX, "{found}");
}

#[test]
fn a_path_that_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(verify::verify(dir.path(), VerifyOptions::new(knows)), Err(verify::VerifyError::NotALedger(_))));
    assert!(matches!(
        verify::verify(&dir.path().join("none"), VerifyOptions::new(knows)),
        Err(verify::VerifyError::NotFound(_))
    ));
    std::fs::write(dir.path().join("file"), b"\0\0").unwrap();
    assert!(verify::verify(&dir.path().join("file"), VerifyOptions::new(knows)).is_err());
}

/// A checkpoint was read, then the log grew and the partial tiles that it needs were taken away: the full ones serve.
#[tokio::test]
async fn a_log_that_grew_while_it_was_checked() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 104).await);
    let (public, older) = (dir.path().join("public"), dir.path().join("older"));
    std::fs::copy(public.join("checkpoint"), &older).unwrap();
    drop(filled(dir.path(), 300).await);
    assert!(!public.join("tile/0/000.p/104").exists(), "it is gone, and the full one is there");
    std::fs::copy(&older, public.join("checkpoint")).unwrap();
    for path in [&public, dir.path()] {
        let report = report(path);
        assert!(report.holds(), "{report}");
    }
    // What the full ones hold is checked all the same, as far as the checkpoint goes.
    let tile = public.join("tile/0/000");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[103 * 32] ^= 1;
    std::fs::write(&tile, bytes).unwrap();
    for path in [&public, dir.path()] {
        assert!(found(path).contains(&Class::Tile));
    }
}
