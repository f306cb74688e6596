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

#[test]
fn a_million_empty_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.jsonl");
    std::fs::write(&path, format!("{{{}", "\n".repeat(1_000_000))).unwrap();
    let report = report(&path);
    assert_eq!(report.found().len() as u64 + report.faults.more, 1_000_000, "a thousand in full, the others counted");
    assert_eq!(report.found().len(), fault::FAULTS_MAX);
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
    for size in ["9007199254740991", "18446744073709551615"] {
        std::fs::write(public.join("checkpoint"), note.replacen("\n20\n", &format!("\n{size}\n"), 1)).unwrap();
        let classes = found(&public);
        assert!(classes.contains(&Class::Tile) && classes.contains(&Class::Key), "{classes:?}");
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
        Err(verify::VerifyError::Io(_))
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
