//! What lies beside the journal may be evidence: the start writes over nothing that it does not tell of.

use std::sync::{Arc, Mutex};

use super::{lab::Log, *};

/// A closed ledger of 20 entries with a snapshot at its end, as its finder had it.
async fn twenty() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 20).await;
    ledger.save_snapshot(20, b"folded".to_vec()).await.unwrap();
    drop(ledger);
    assert!(report(dir.path()).holds());
    dir
}

/// Starts and stops the service: what it refused, or else the size and what it told of, with the folder's name left out.
fn started(dir: &Path) -> Result<(u64, Vec<String>), String> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (to, name) = (Arc::clone(&told), dir.display().to_string());
    let on_notice: OnNotice = Arc::new(move |notice| to.lock().unwrap().push(notice.to_string().replace(&name, "DIR")));
    let ledger = Ledger::open(dir, Options { on_notice, ..options(9) });
    // Closed before anything is read: by then the public copy is made.
    let size = ledger
        .map(|ledger| ledger.size())
        .map_err(|error| error.to_string().replace(&*dir.to_string_lossy(), "DIR"))?;
    Ok((size, told.lock().unwrap().clone()))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// Zeroes all of the journal after the first entries.
fn cut_after(dir: &Path, entries: u64) {
    let path = dir.join("journal/00000000.seg");
    let mut bytes = std::fs::read(&path).unwrap();
    let mut at = journal::SEGMENT_HEADER_BYTES;
    for piece in journal::pieces(&bytes, 0).unwrap().1 {
        let journal::Piece::Frame(raw) = piece else { panic!("{piece:?}") };
        if raw.decode().unwrap().first >= entries {
            break;
        }
        at += raw.frame_bytes();
    }
    bytes[at..].fill(0);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_clean_folder_is_started_without_a_word() {
    let dir = twenty().await;
    assert_eq!(started(dir.path()), Ok((20, vec![])));
    // Nor is a new one, one that has grown, or one whose public copy is gone.
    std::fs::remove_dir_all(dir.path().join("public")).unwrap();
    assert_eq!(started(dir.path()), Ok((20, vec![])));
    let new = tempfile::tempdir().unwrap();
    assert_eq!(started(new.path()), Ok((1, vec![])));
    fill(&Ledger::open(new.path(), options(2)).unwrap(), 700).await;
    assert_eq!(started(new.path()), Ok((700, vec![])));
}

#[tokio::test]
async fn a_head_that_cannot_be_trusted_is_not_written_over() {
    let dir = twenty().await;
    let head = dir.path().join("head");
    let whole = std::fs::read(&head).unwrap();
    let mut stranger = SignedNote::parse(str::from_utf8(&whole).unwrap()).unwrap().text;
    stranger = note::sign(&Checkpoint::parse(&stranger).unwrap(), [&rotation::signer(9)]);
    let cases = [
        (vec![], "it is empty"),
        (b"no head\n".to_vec(), "malformed signed note"),
        (vec![0xff; 40], "invalid utf-8"),
        (stranger.into_bytes(), "no key of this ledger signed it"),
    ];
    let flips = (0..whole.len()).map(|at| {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        (flipped, "")
    });
    for (bytes, why) in cases.into_iter().chain(flips) {
        std::fs::write(&head, &bytes).unwrap();
        let words = started(dir.path()).unwrap_err();
        assert!(words.starts_with("DIR/head is no head of this ledger (") && words.contains(why), "{words}");
        assert!(words.ends_with("move the file away and start again"), "{words}");
        assert_eq!(std::fs::read(&head).unwrap(), bytes, "it is evidence");
        let read = history::entries(dir.path(), knows, |_| ()).unwrap_err().to_string();
        assert_eq!(read.replace(&*dir.path().to_string_lossy(), "DIR"), words);
    }
    std::fs::rename(&head, dir.path().join("head.evidence")).unwrap();
    assert_eq!(started(dir.path()), Ok((20, vec![])), "moved away, it stops nobody");
    assert_eq!(std::fs::read(&head).unwrap(), whole);
    assert!(report(dir.path()).holds());
}

#[tokio::test]
async fn a_short_journal_is_held_against_the_head_in_the_snapshot() {
    let dir = twenty().await;
    cut_after(dir.path(), 15);
    for gone in ["public", "sled"] {
        std::fs::remove_dir_all(dir.path().join(gone)).unwrap();
    }
    let snapshot = std::fs::read(dir.path().join("snapshot")).unwrap();
    std::fs::write(dir.path().join("head"), "").unwrap();
    assert!(started(dir.path()).unwrap_err().contains("it is empty"));
    std::fs::remove_file(dir.path().join("head")).unwrap();
    let size = Log::read(dir.path()).size();
    assert!((10..20).contains(&size), "{size}");
    let words = format!("the ledger has {size} entries, but a head over 20 was signed (snapshot): its tail is gone");
    assert_eq!(started(dir.path()).unwrap_err(), words);
    assert_eq!(history::entries(dir.path(), knows, |_| ()).unwrap_err().to_string(), words);
    // Also when nothing else of it can be used, and without its nodes.
    let last = snapshot.len() - 1;
    flip(&dir.path().join("snapshot"), last);
    std::fs::remove_file(dir.path().join("nodes")).unwrap();
    assert_eq!(started(dir.path()).unwrap_err(), words);
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_trusted_is_kept_and_told_of() {
    let dir = twenty().await;
    let checkpoint = dir.path().join("public/checkpoint");
    let whole = std::fs::read(&checkpoint).unwrap();
    for at in [0, whole.len() / 2, whole.len() - 9] {
        flip(&checkpoint, at);
        let flipped = std::fs::read(&checkpoint).unwrap();
        let (size, told) = started(dir.path()).unwrap();
        let [words] = &*told else { panic!("{told:?}") };
        assert!(words.starts_with("`public/checkpoint` was no head to be trusted ("), "{words}");
        let (_, name) = words.split_once("kept as DIR/").unwrap();
        let aside = dir.path().join(name.split(',').next().unwrap());
        assert_eq!((size, std::fs::read(aside).unwrap()), (20, flipped));
        assert_eq!(std::fs::read(&checkpoint).unwrap(), whole);
    }
    // Nobody can read a folder; it is moved all the same.
    std::fs::remove_file(&checkpoint).unwrap();
    std::fs::create_dir(&checkpoint).unwrap();
    assert_eq!(started(dir.path()).unwrap().1.len(), 1);
    assert!(dir.path().join("checkpoint.set-aside-unread").is_dir());
    assert!(report(dir.path()).holds());
}

#[tokio::test]
async fn a_head_of_an_old_key_is_kept_and_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let (_, old) = rotation::rotated(dir.path()).await;
    let data = dir.path().join("clean");
    let claim = Checkpoint { origin: "example.com/test".into(), size: 40, root: [7; 32] };
    let claim = note::sign(&claim, [&old]);
    std::fs::write(data.join("head"), &claim).unwrap();
    let (size, told) = started(&data).unwrap();
    assert_eq!((size, told.len()), (30, 1));
    assert!(told[0].starts_with("`head` was no head to be trusted (a key of this ledger signed it that"), "{told:?}");
    let kept = |file: &std::path::PathBuf| file.display().to_string().contains("head.set-aside-");
    let aside: Vec<_> = flips::files(&data).into_iter().filter(kept).collect();
    assert_eq!(std::fs::read_to_string(&aside[0]).unwrap(), claim);
    assert!(report(&data).holds());
}

#[tokio::test]
async fn tiles_that_were_not_right_are_told_of() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 700).await);
    let public = dir.path().join("public");
    let tiles = ["tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/002.p/188"];
    for tile in tiles {
        for damage in ["flipped", "missing", "empty"] {
            let path = public.join(tile);
            match damage {
                "flipped" => flip(&path, 3),
                "missing" => std::fs::remove_file(path).unwrap(),
                _ => std::fs::write(path, "").unwrap(),
            }
            assert!(!report(dir.path()).holds(), "{tile} {damage}");
            let (_, told) = started(dir.path()).unwrap();
            let [words] = &*told else { panic!("{tile} {damage}: {told:?}") };
            assert!(
                words.starts_with("files of the public copy (1) were missing or not what the ledger says"),
                "{words}"
            );
            assert!(words.contains(&format!(": {tile};")), "{words}");
            assert!(report(dir.path()).holds(), "{tile} {damage}");
        }
    }
}

#[tokio::test]
async fn a_head_that_took_a_key_in_and_was_not_right_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 5).await;
    ledger.rotate_key(Zeroizing::new([7; 32]), start()).await.unwrap();
    drop(ledger);
    let file = dir.path().join("public/rotation/5");
    let whole = std::fs::read(&file).unwrap();
    for damage in ["flipped", "missing"] {
        if damage == "flipped" {
            flip(&file, 40);
        } else {
            std::fs::remove_file(&file).unwrap();
        }
        let (_, told) = started(dir.path()).unwrap();
        let [words] = &*told else { panic!("{damage}: {told:?}") };
        assert!(words.contains(" (1) were missing or not") && words.contains(": rotation/5;"), "{words}");
        assert_eq!(std::fs::read(&file).unwrap(), whole);
    }
    assert_eq!(started(dir.path()).unwrap().1, [""; 0]);
}

#[tokio::test]
async fn what_is_cut_off_the_journal_is_told_of() {
    let dir = twenty().await;
    let path = dir.path().join("journal/00000000.seg");
    let end = journal::pieces(&std::fs::read(&path).unwrap(), 0).unwrap().2.at;
    flip(&path, end + 4_999);
    let (size, told) = started(dir.path()).unwrap();
    assert_eq!((size, told.len()), (20, 1));
    let words = "5000 bytes at the end of segment 0 of the journal were no whole frame and are cut off";
    assert!(told[0].starts_with(words), "{told:?}");
    assert_eq!(started(dir.path()), Ok((20, vec![])));
}

/// Everybody of [`filled`] has a key; that of one is damaged as it was found, or gone.
#[tokio::test]
async fn a_key_that_does_not_fit_stops_nobody_and_erases_nobody() {
    for damage in ["flipped", "missing", "short"] {
        let dir = twenty().await;
        let (lost, other) = (subject(2), subject(3));
        let path = dir.path().join("keys").join(lost.to_string());
        let key = std::fs::read(&path).unwrap();
        let why = match damage {
            "flipped" => {
                flip(&path, 5);
                Locked::KeyWrong
            }
            "missing" => {
                std::fs::remove_file(&path).unwrap();
                Locked::KeyMissing
            }
            _ => {
                std::fs::write(&path, "short").unwrap();
                Locked::KeyWrong
            }
        };
        // The start goes on, and tells whose key it is and what to do.
        let (size, told) = started(dir.path()).unwrap();
        let [words] = &*told else { panic!("{damage}: {told:?}") };
        let wanted =
            format!("can't be told by name: DIR/keys/{lost}: {why}; put the files back from the backup of `keys/`");
        assert!(
            size == 20 && words.starts_with("what is sealed for 1 people who") && words.contains(&wanted),
            "{words}"
        );
        // Who reads is told the same, by the service and beside it, and everything else is read.
        let ledger = Ledger::open(dir.path(), options(9)).unwrap();
        let read: Vec<Entry> = ledger.entries(0, 20).unwrap().map(Result::unwrap).collect();
        assert_eq!(read[10].disclosed, [Disclosed::Locked { subject: lost, why }], "{damage}");
        assert!(matches!(&read[15].disclosed[..], [Disclosed::Open(open)] if open.subject == other));
        ledger.prove(10).unwrap();
        let mut beside = Vec::new();
        history::entries(dir.path(), knows, |entry| beside.push(entry)).unwrap();
        assert!(beside == read, "{damage}");
        let elsewhere = tempfile::tempdir().unwrap();
        let to = elsewhere.path().join("export");
        let done = export::export(dir.path(), &to, true, knows).unwrap();
        assert_eq!((done.disclosures, done.erased, done.locked), (2, 0, 1), "{damage}");
        drop(ledger);
        assert!(!dir.path().join("sled.damaged").exists(), "the index is sound");
        assert!(!report(dir.path()).holds());
        // The right key makes it good.
        let aside = std::fs::read(&path).ok();
        std::fs::write(&path, &key).unwrap();
        assert_eq!(started(dir.path()), Ok((20, vec![])));
        assert!(report(dir.path()).holds());
        // So does erasing whose it is.
        match aside {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let ledger = Ledger::open(dir.path(), options(9)).unwrap();
        ledger.append(20, start() + TimeDelta::hours(1), vec![erased(lost)]).await.unwrap();
        let gone = [Disclosed::Erased { subject: lost }];
        assert_eq!(ledger.reader().get(10).unwrap().disclosed, gone);
        beside.clear();
        history::entries(dir.path(), knows, |entry| beside.push(entry)).unwrap();
        assert_eq!(beside[10].disclosed, gone, "it is said later in the journal, and of the whole of it");
        drop(ledger);
        assert_eq!(started(dir.path()), Ok((21, vec![])));
        std::fs::remove_dir_all(&to).unwrap();
        let done = export::export(dir.path(), &to, true, knows).unwrap();
        assert_eq!((done.disclosures, done.erased, done.locked), (2, 1, 0), "{damage}");
        assert!(report(dir.path()).holds());
    }
}

#[tokio::test]
async fn what_is_damaged_in_the_journal_does_not_get_into_the_public_copy() {
    let dir = twenty().await;
    let tile = dir.path().join("public/tile/entries/000.p/20");
    let whole = std::fs::read(&tile).unwrap();
    let segment = dir.path().join("journal/00000000.seg");
    let at = std::fs::read(&segment).unwrap().windows(4).position(|word| word == b"kind").unwrap();
    flip(&segment, at);
    // The start goes on from the snapshot: what was before it is checked beside the work.
    assert_eq!(started(dir.path()), Ok((20, vec![])));
    assert!(std::fs::read(&tile).unwrap() == whole, "others could have verified with it what was there");
}
