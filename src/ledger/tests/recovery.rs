//! The start, case by case: what is mended, what is refused, and in which words.

use super::{lab::Log, *};

/// A ledger of 40 entries, closed, and the head it had.
async fn closed() -> (tempfile::TempDir, Head) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 40).await;
    let head = ledger.head();
    drop(ledger);
    (dir, head)
}

fn refusal(dir: &Path) -> String {
    let words = Ledger::open(dir, options(9)).unwrap_err().to_string();
    words.replace(&dir.display().to_string(), "DIR")
}

fn mended(dir: &Path, head: &Head) -> Ledger {
    let ledger = Ledger::open(dir, options(9)).unwrap();
    assert_eq!(ledger.head(), *head);
    assert_eq!(ledger.entries(0, 40).unwrap().map(Result::unwrap).count(), 40);
    ledger
}

/// The journal's bytes in use.
fn used(dir: &Path) -> (std::path::PathBuf, Vec<u8>, usize) {
    let path = dir.join("journal/00000000.seg");
    let bytes = std::fs::read(&path).unwrap();
    let end = journal::pieces(&bytes, 0).unwrap().2.at;
    (path, bytes, end)
}

#[tokio::test]
async fn sled_missing_or_damaged_is_built_again() {
    let (dir, head) = closed().await;
    std::fs::remove_dir_all(dir.path().join("sled")).unwrap();
    drop(mended(dir.path(), &head));
    for entry in std::fs::read_dir(dir.path().join("sled")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::write(path, b"rubbish").unwrap();
        }
    }
    drop(mended(dir.path(), &head));
    std::fs::write(dir.path().join("sled.damaged"), b"").unwrap();
    drop(mended(dir.path(), &head));
    assert!(!dir.path().join("sled.damaged").exists());
}

/// Whether sled panics when it opens a copy of this folder.
fn sled_panics(folder: &Path) -> bool {
    assert!(index::let_go(folder));
    let copy = tempfile::tempdir().unwrap();
    for file in files(folder) {
        std::fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    std::panic::catch_unwind(|| drop(sled::open(copy.path()))).is_err()
}

/// How often sled is tried: about every second time it panics, as its own background work happens to go.
const SLED_TRIES: usize = 32;

/// Not refused, but panicking in the middle of its start: that is what sled does over a flipped byte in the header of its first
/// segment, when there are a few of them.
#[tokio::test]
async fn sled_that_panics_at_its_start_is_built_again() {
    for _ in 0..SLED_TRIES {
        let (dir, head) = closed().await;
        let folder = dir.path().join("sled");
        assert!(index::let_go(&folder));
        let db = sled::open(&folder).unwrap();
        for n in 0..2_500u64 {
            db.insert([&b"z"[..], &n.to_be_bytes()].concat(), vec![7; 300]).unwrap();
        }
        drop(db);
        assert!(index::let_go(&folder));
        let mut bytes = std::fs::read(folder.join("db")).unwrap();
        bytes[0] ^= 0xff;
        std::fs::write(folder.join("db"), &bytes).unwrap();
        if !sled_panics(&folder) {
            continue;
        }
        let ledger = mended(dir.path(), &head);
        ledger.prove(17).unwrap();
        ledger.append(40, start() + TimeDelta::hours(1), vec![draft(40)]).await.unwrap();
        drop(ledger);
        assert!(!sled_panics(&folder), "it was made anew");
        assert!(std::fs::metadata(folder.join("db")).unwrap().len() < bytes.len() as u64);
        assert!(report(dir.path()).holds());
        return;
    }
    panic!("sled never panics: what is shown here?");
}

/// Sled lets go of its lock some time after it was dropped: an index that is merely still held is not a damaged one.
#[tokio::test]
async fn opening_again_at_once_keeps_the_index() {
    let (dir, _) = closed().await;
    let marker = dir.path().join("sled/marker");
    std::fs::write(&marker, b"").unwrap();
    for n in 0..100 {
        let ledger = Ledger::open(dir.path(), options(n)).unwrap();
        assert!(marker.exists(), "the index was built again at opening {n}");
        ledger.append_next(start() + TimeDelta::hours(1), vec![draft(n)]).await.unwrap();
    }
}

#[tokio::test]
async fn sled_behind_is_brought_up_to_date() {
    let (dir, _) = closed().await;
    let kept = dir.path().join("kept");
    std::fs::rename(dir.path().join("sled"), &kept).unwrap();
    let ledger = Ledger::open(dir.path(), options(2)).unwrap();
    ledger.append(40, start() + TimeDelta::hours(1), vec![draft(40), personal(41, subject(3), "late")]).await.unwrap();
    let head = ledger.head();
    drop(ledger);
    std::fs::remove_dir_all(dir.path().join("sled")).unwrap();
    std::fs::rename(&kept, dir.path().join("sled")).unwrap();
    let ledger = Ledger::open(dir.path(), options(3)).unwrap();
    assert_eq!(ledger.head(), head);
    assert_eq!(ledger.entries(0, 42).unwrap().map(Result::unwrap).count(), 42);
}

#[tokio::test]
async fn the_node_file_is_only_a_cache() {
    let (dir, head) = closed().await;
    std::fs::write(dir.path().join("nodes"), vec![7; 32 * 100]).unwrap();
    let ledger = mended(dir.path(), &head);
    ledger.prove(17).unwrap();
}

#[tokio::test]
async fn damage_in_the_index_is_seen_while_reading_and_mended_by_the_next_start() {
    let (dir, head) = closed().await;
    let sled = dir.path().join("sled");
    assert!(index::let_go(&sled));
    let db = sled::open(sled).unwrap();
    // The commit that holds entry 17 is said to stand elsewhere in the journal.
    let after = [&b"c"[..], &18u64.to_be_bytes()].concat();
    let (key, value) = db.range(after..).next().unwrap().unwrap();
    let first = u64::from_be_bytes(key[1..].try_into().unwrap()) - u64::from(value[8]);
    let mut value = value.to_vec();
    value[4] ^= 1;
    db.insert(&key, value).unwrap();
    drop(db);
    let ledger = Ledger::open(dir.path(), options(2)).unwrap();
    assert_eq!(ledger.reader().get(first - 1).unwrap().seq, first - 1);
    assert_eq!(ledger.reader().get(17), Err(ReadError::Damaged { index: 17 }));
    drop(ledger);
    drop(mended(dir.path(), &head));
}

#[tokio::test]
async fn a_torn_frame_that_nobody_was_told_of_is_cut() {
    let (dir, head) = closed().await;
    let (path, mut bytes, end) = used(dir.path());
    bytes[end..end + 600].fill(0x5a);
    std::fs::write(&path, &bytes).unwrap();
    let torn = report(dir.path());
    assert_eq!(torn.found().iter().map(|fault| fault.class).collect::<Vec<_>>(), [Class::Torn]);
    let ledger = mended(dir.path(), &head);
    ledger.append(40, start() + TimeDelta::hours(1), vec![draft(40)]).await.unwrap();
    drop(ledger);
    assert!(report(dir.path()).holds());
}

/// What those say who read the folder without opening the ledger.
fn unreadable(dir: &Path) -> String {
    let out = tempfile::tempdir().unwrap();
    let exported = export::export(dir, &out.path().join("to"), false, knows).unwrap_err().to_string();
    assert!(!out.path().join("to/checkpoint").exists(), "what is no log gets no checkpoint");
    assert_eq!(history::prove(dir, 3, knows).unwrap_err().to_string(), exported);
    assert_eq!(history::entries(dir, knows, |_| ()).unwrap_err().to_string(), exported);
    exported
}

#[tokio::test]
async fn a_journal_behind_any_head_is_refused_and_left_alone() {
    let (dir, _) = closed().await;
    let (path, whole, end) = used(dir.path());
    let mut bytes = whole.clone();
    bytes[end - 1] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let words = "the ledger has 38 entries, but a head over 40 was signed (head): its tail is gone";
    assert_eq!(refusal(dir.path()), words);
    assert_eq!(unreadable(dir.path()), words);
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "what may be evidence is not touched");
    std::fs::remove_file(dir.path().join("head")).unwrap();
    assert_eq!(refusal(dir.path()), words.replace("(head)", "(public/checkpoint)"));
    assert_eq!(unreadable(dir.path()), words.replace("(head)", "(public/checkpoint)"));
    std::fs::remove_dir_all(dir.path().join("public")).unwrap();
    assert_eq!(refusal(dir.path()), words.replace("(head)", "(sled)"));
    std::fs::remove_dir_all(dir.path().join("journal")).unwrap();
    assert_eq!(refusal(dir.path()), "the ledger has 0 entries, but a head over 40 was signed (sled): its tail is gone");
}

#[tokio::test]
async fn another_history_under_the_same_key_is_refused() {
    let (dir, _) = closed().await;
    let other = tempfile::tempdir().unwrap();
    std::fs::copy(dir.path().join("signing-key.pem"), other.path().join("signing-key.pem")).unwrap();
    let ledger = filled(other.path(), 60).await;
    drop(ledger);
    std::fs::copy(dir.path().join("head"), other.path().join("head")).unwrap();
    // The log id differs, so entry 0 does: the old head is signed by the same key over another history.
    let words = refusal(other.path());
    assert_eq!(unreadable(other.path()), words);
    assert_eq!(
        words,
        "the first 40 entries are not those over which a head was signed (head): the history was rewritten"
    );
}

#[tokio::test]
async fn damage_in_the_middle_is_refused_with_its_index() {
    let (dir, _) = closed().await;
    let (path, whole, _) = used(dir.path());
    let at = whole.windows(11).position(|w| w == b"\"seq\":12,\"t").unwrap();
    let mut bytes = whole.clone();
    bytes[at + 6] = b'9';
    std::fs::write(&path, &bytes).unwrap();
    let words = refusal(dir.path());
    assert!(words.starts_with("the ledger does not verify: entry 1"), "{words}");
    assert!(words.ends_with("is damaged between its frames"), "{words}");
}

#[tokio::test]
async fn a_second_one_on_the_same_folder_is_refused() {
    let (dir, _) = closed().await;
    let first = Ledger::open(dir.path(), options(1)).unwrap();
    assert_eq!(refusal(dir.path()), "another process is using the ledger in DIR");
    drop(first);
    drop(Ledger::open(dir.path(), options(1)).unwrap());
}

/// How often this process has the lock file of a folder open.
fn holders(dir: &Path) -> usize {
    let (files, lock) = (std::fs::read_dir("/proc/self/fd").unwrap(), dir.canonicalize().unwrap().join("lock"));
    files.flatten().filter(|file| std::fs::read_link(file.path()).is_ok_and(|path| path == lock)).count()
}

#[tokio::test]
async fn who_only_looks_stands_in_nobodys_way() {
    let (dir, _) = closed().await;
    let lock = std::fs::File::open(dir.path().join("lock")).unwrap();
    for exclusive in [false, true] {
        if exclusive {
            lock.lock().unwrap();
        } else {
            lock.lock_shared().unwrap();
        }
        assert_eq!(in_use(dir.path()), exclusive);
        let opened = std::thread::scope(|scope| {
            let opened = scope.spawn(|| Ledger::open(dir.path(), options(1)).map(drop));
            // It is let go once somebody else has come to it.
            while holders(dir.path()) < 2 && !opened.is_finished() {
                std::thread::yield_now();
            }
            lock.unlock().unwrap();
            opened.join().unwrap()
        });
        assert_eq!(opened, Ok(()));
    }
    let ledger = Ledger::open(dir.path(), options(1)).unwrap();
    assert!(in_use(dir.path()));
    drop(ledger);
    assert!(!in_use(dir.path()));
}

#[tokio::test]
async fn a_ledger_without_its_key_is_refused() {
    let (dir, head) = closed().await;
    let path = dir.path().join("signing-key.pem");
    let pem = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        refusal(dir.path()),
        "there is a ledger but no signing key: DIR/signing-key.pem is gone, and none was given"
    );
    let mut given = options(1);
    given.signing_key = Some(Zeroizing::new(pem.clone()));
    assert_eq!(Ledger::open(dir.path(), given).unwrap().head(), head);
    std::fs::write(&path, "nonsense").unwrap();
    assert_eq!(refusal(dir.path()), "the signing key is not an Ed25519 key in PKCS#8 PEM");
    std::fs::write(&path, &*open::signing_key_pem(&SigningKey::from_bytes(&[9; 32])).unwrap()).unwrap();
    assert_eq!(refusal(dir.path()), "the signing key is not one that may sign this ledger now");
    std::fs::write(&path, pem).unwrap();
    drop(mended(dir.path(), &head));
}

#[tokio::test]
async fn another_origin_is_refused() {
    let (dir, _) = closed().await;
    let mut other = options(1);
    other.origin = "example.com/other".into();
    assert_eq!(
        Ledger::open(dir.path(), other).unwrap_err().to_string(),
        "the ledger there is of `example.com/test`, not of `example.com/other`"
    );
    let mut bad = options(1);
    bad.origin = "two words".into();
    assert!(matches!(Ledger::open(dir.path(), bad), Err(OpenError::Origin(_))));
}

#[tokio::test]
async fn a_kind_from_the_future_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut newer = options(1);
    newer.knows = |_| true;
    let ledger = Ledger::open(dir.path(), newer).unwrap();
    let future = Draft { kind: "future.happened".into(), ..draft(1) };
    ledger.append(1, start(), vec![future]).await.unwrap();
    drop(ledger);
    assert_eq!(
        refusal(dir.path()),
        "entry 1: the kind `future.happened` is unknown to this program; a newer version of this program is needed"
    );
}

#[tokio::test]
async fn a_format_version_from_the_future_is_refused() {
    let (dir, _) = closed().await;
    let mut log = Log::read(dir.path());
    log.edit(39, "\"v\":1}", "\"v\":2}");
    let pem = std::fs::read_to_string(dir.path().join("signing-key.pem")).unwrap();
    let key = <SigningKey as ed25519_dalek::pkcs8::DecodePrivateKey>::from_pkcs8_pem(&pem).unwrap();
    log.resign(0, &[&Signer::new("example.com/test", key)]);
    let newer = tempfile::tempdir().unwrap();
    log.write(newer.path());
    std::fs::write(newer.path().join("signing-key.pem"), pem).unwrap();
    assert_eq!(
        refusal(newer.path()),
        "entry 39: the line has format version 2, and this program reads only 1; a newer version of this program is needed"
    );
}

/// A log of 40 entries and a rotation to the key of seed 7, cut after `keep` entries: what a stop in between leaves. With it
/// the old and the new secret.
async fn half_rotated(keep: usize) -> (tempfile::TempDir, [Zeroizing<String>; 2]) {
    let (dir, _) = closed().await;
    let old = Zeroizing::new(std::fs::read_to_string(dir.path().join("signing-key.pem")).unwrap());
    let new = open::signing_key_pem(&SigningKey::from_bytes(&[7; 32])).unwrap();
    let ledger = Ledger::open(dir.path(), options(3)).unwrap();
    ledger.rotate_key(Zeroizing::new([7; 32]), start() + TimeDelta::hours(2)).await.unwrap();
    drop(ledger);
    let mut log = Log::read(dir.path());
    while log.size() > keep {
        log.batches.pop();
    }
    assert_eq!(log.size(), keep);
    let half = tempfile::tempdir().unwrap();
    log.write(half.path());
    (half, [old, new])
}

/// However far it came, with whatever files it left: the next start carries it to its end, and only the new key signs.
#[tokio::test]
async fn a_rotation_that_was_interrupted_is_carried_to_its_end() {
    let new = Signer::new("example.com/test", SigningKey::from_bytes(&[7; 32]));
    // Entry 40 is `key.added`, entry 41 `key.retired`; the file of the old key goes when both are durable.
    for (keep, old_is_there) in [(41, true), (42, true), (42, false)] {
        let (dir, [old, pem]) = half_rotated(keep).await;
        let (this, next) = (dir.path().join("signing-key.pem"), dir.path().join("signing-key.next.pem"));
        if old_is_there {
            std::fs::write(&this, &*old).unwrap();
        }
        vault::write_secret(&next, pem.as_bytes()).unwrap();
        let ledger = Ledger::open(dir.path(), options(4)).unwrap();
        assert_eq!((ledger.size(), ledger.verifier_key()), (42, new.verifier()), "{keep} {old_is_there}");
        let last = ledger.reader().get(41).unwrap();
        assert_eq!(last.kind, kinds::KEY_RETIRED);
        assert_ne!(last.body["key"], new.verifier().to_string().as_str());
        for size in [42, 43] {
            let note = SignedNote::parse(&ledger.head().note).unwrap();
            assert_eq!((note.check([new.verifier()]), note.signatures.len()), (Ok(1), 1), "{size}");
            ledger.append(size, start() + TimeDelta::hours(3), vec![draft(size)]).await.unwrap();
        }
        drop(ledger);
        assert!(!next.exists() && std::fs::read_to_string(&this).unwrap() == *pem, "{keep} {old_is_there}");
        let left = files(dir.path()).into_iter().filter(|path| std::fs::read(path).unwrap() == old.as_bytes()).count();
        assert_eq!(left, 0, "the old secret is wiped");
        assert!(report(dir.path()).holds());
    }
}

/// The files of a folder.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}

/// Stopped before the key came into the log: it never happened.
#[tokio::test]
async fn a_rotation_that_did_not_begin_is_forgotten() {
    let (dir, head) = closed().await;
    let next = dir.path().join("signing-key.next.pem");
    let pem = open::signing_key_pem(&SigningKey::from_bytes(&[7; 32])).unwrap();
    vault::write_secret(&next, pem.as_bytes()).unwrap();
    drop(mended(dir.path(), &head));
    assert!(!next.exists());
}

/// Stopped while a key was written: what is there of it may be all of it, and is no key of this log.
#[tokio::test]
async fn half_a_key_file_is_wiped() {
    let (dir, head) = closed().await;
    let layout = Layout::new(dir.path());
    let real = std::fs::read(layout.signing_key()).unwrap();
    let pem = open::signing_key_pem(&SigningKey::from_bytes(&[7; 32])).unwrap();
    let parts = [layout.signing_key(), layout.next_signing_key()].map(|path| path.with_extension("part"));
    // Another name of the same file shows what became of its bytes.
    let other = dir.path().join("other-name");
    for part in &parts {
        std::fs::write(part, pem.as_bytes()).unwrap();
        drop(std::fs::remove_file(&other));
        std::fs::hard_link(part, &other).unwrap();
        drop(mended(dir.path(), &head));
        assert!(!part.exists(), "{}", part.display());
        assert!(std::fs::read(&other).unwrap().iter().all(|byte| *byte == 0));
    }
    assert_eq!(std::fs::read(layout.signing_key()).unwrap(), real);
    // One that comes in is brought in all the same.
    let (dir, [_, new]) = half_rotated(41).await;
    let layout = Layout::new(dir.path());
    vault::write_secret(&layout.next_signing_key(), new.as_bytes()).unwrap();
    let part = layout.next_signing_key().with_extension("part");
    std::fs::write(&part, &pem.as_bytes()[..40]).unwrap();
    std::fs::write(layout.signing_key(), &real).unwrap();
    assert_eq!(Ledger::open(dir.path(), options(9)).unwrap().size(), 42);
    assert!(!part.exists() && std::fs::read_to_string(layout.signing_key()).unwrap() == *new);
}

/// The files of a signing key, as a stop in the middle of a rotation leaves them.
#[derive(Debug)]
struct KeyFiles<'a> {
    this: Option<&'a [u8]>,
    next: Option<&'a [u8]>,
    old: Option<&'a [u8]>,
}

impl KeyFiles<'_> {
    fn put(&self, layout: &Layout) {
        let places = [layout.signing_key(), layout.next_signing_key(), layout.old_signing_key()];
        for (path, bytes) in places.into_iter().zip([self.this, self.next, self.old]) {
            match bytes {
                Some(bytes) => std::fs::write(path, bytes).unwrap(),
                None if path.exists() => std::fs::remove_file(path).unwrap(),
                None => {}
            }
        }
    }
}

#[tokio::test]
async fn a_stop_at_any_moment_of_a_change_of_keys_locks_nobody_out() {
    let (dir, _) = closed().await;
    let layout = Layout::new(dir.path());
    let old = std::fs::read(layout.signing_key()).unwrap();
    let ledger = Ledger::open(dir.path(), options(3)).unwrap();
    let done = ledger.rotate_key(Zeroizing::new([7; 32]), start() + TimeDelta::hours(2)).await.unwrap();
    drop(ledger);
    let new = std::fs::read(layout.signing_key()).unwrap();
    let zeros = vec![0; old.len()];
    let begun = KeyFiles { this: Some(&old), next: Some(&new), old: None };
    let settled = |when: &dyn std::fmt::Debug| {
        let ledger = Ledger::open(dir.path(), options(4)).unwrap_or_else(|error| panic!("{when:?}: {error}"));
        assert_eq!(ledger.size(), done.size, "{when:?}");
        drop(ledger);
        assert!(std::fs::read(layout.signing_key()).unwrap() == new, "{when:?}");
        assert!(!layout.next_signing_key().exists() && !layout.old_signing_key().exists(), "{when:?}");
    };
    for steps in 0..=open::PROMOTION.len() {
        begun.put(&layout);
        open::PROMOTION.iter().take(steps).for_each(|step| step(&layout).unwrap());
        settled(&steps);
    }
    // In the middle of the wiping, and as it was done once: in the key's own place.
    for files in [
        KeyFiles { this: Some(&new), next: None, old: Some(&zeros) },
        KeyFiles { this: Some(&new), next: None, old: Some(&[]) },
        KeyFiles { this: Some(&zeros), next: Some(&new), old: None },
        KeyFiles { this: Some(&new), next: Some(&zeros), old: None },
        KeyFiles { this: Some(&new), next: Some(&old), old: Some(&zeros) },
    ] {
        files.put(&layout);
        settled(&files);
    }
    // A key that may still sign is not wiped, whatever its file is called.
    KeyFiles { this: Some(&new), next: None, old: Some(&new) }.put(&layout);
    drop(Ledger::open(dir.path(), options(5)).unwrap());
    assert!(std::fs::read(layout.old_signing_key()).unwrap() == new);
    assert!(report(dir.path()).holds());
}

#[tokio::test]
async fn a_rotation_that_waits_for_its_end_is_not_overtaken() {
    let (dir, _) = closed().await;
    let ledger = Ledger::open(dir.path(), options(3)).unwrap();
    let next = Layout::new(dir.path()).next_signing_key();
    let pem = open::signing_key_pem(&SigningKey::from_bytes(&[7; 32])).unwrap();
    vault::write_secret(&next, pem.as_bytes()).unwrap();
    let words = ledger.rotate_key(Zeroizing::new([8; 32]), start()).await.unwrap_err().to_string();
    assert!(words.ends_with("a rotation is under way: open the ledger again to bring it to its end"), "{words}");
    assert_eq!(std::fs::read_to_string(next).unwrap(), *pem);
}
