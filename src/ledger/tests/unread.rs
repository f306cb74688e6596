//! What can't be read is no sign that somebody tampered with it, and is not said to be one.

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{crash::CHILD_DIR, *};
use crate::ledger::verify::{DirFetch, Fetch};

/// A copy some of whose files a server doesn't hand out.
struct Failing {
    copy: DirFetch,
    which: &'static str,
    asked: AtomicUsize,
}

impl Fetch for Failing {
    fn fetch(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        if path.starts_with(self.which) {
            self.asked.fetch_add(1, Ordering::Relaxed);
            return Err(io::Error::other("the server answers 503"));
        }
        self.copy.fetch(path, limit)
    }
}

fn classes(report: &verify::Report) -> Vec<(Option<u64>, Class)> {
    report.found().iter().map(|fault| (fault.index, fault.class)).collect()
}

#[tokio::test]
async fn a_server_that_fails_is_no_forger() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 600).await);
    let cases = [
        ("checkpoint", vec![(None, Class::Io)]),
        ("tile/entries/001", vec![(Some(256), Class::Io)]),
        ("tile/entries/000", vec![(Some(0), Class::Io)]),
        ("tile/0/001", vec![(Some(256), Class::Io)]),
        ("tile/1", vec![(Some(0), Class::Io)]),
        // Nothing fails.
        ("none", vec![]),
    ];
    for (which, wanted) in cases {
        let fetch = Failing { copy: DirFetch::new(&dir.path().join("public")), which, asked: 0.into() };
        let mut options = VerifyOptions::new(knows);
        options.anchors =
            vec![verify::Anchor::parse(&format!("example.com/test 700 {}", "A".repeat(43) + "=")).unwrap()];
        if which == "none" || which.starts_with("tile/0") || which.starts_with("tile/1") {
            options.anchors.clear();
        }
        let found = verify::verify_public(&fetch, options);
        assert_eq!(classes(&found), wanted, "{which}: {found}");
        assert_eq!(found.holds(), which == "none");
        assert_eq!(found.to_string().contains("COULD NOT BE CHECKED"), which != "none", "{found}");
        assert!(!found.to_string().contains("DOES NOT VERIFY"), "{found}");
        assert_eq!(serde_json::to_value(&found).unwrap()["unchecked"], json!(which != "none"));
        assert!(which == "none" || found.to_string().contains("could not be read: the server answers 503; try again"));
    }
}

/// What is wrong is still wrong when something else can't be read.
#[tokio::test]
async fn a_forger_is_no_failing_server() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 600).await);
    let tile = dir.path().join("public/tile/entries/000");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[700] ^= 1;
    std::fs::write(tile, bytes).unwrap();
    let fetch = Failing { copy: DirFetch::new(&dir.path().join("public")), which: "tile/entries/001", asked: 0.into() };
    let found = verify::verify_public(&fetch, VerifyOptions::new(knows));
    assert!(found.to_string().ends_with("DOES NOT VERIFY") && found.to_string().contains("503"), "{found}");
    assert_eq!(serde_json::to_value(&found).unwrap()["unchecked"], json!(false));
}

#[tokio::test]
async fn files_that_may_not_be_read() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 20).await);
    let locked = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    for name in ["head", "public/checkpoint", "journal/00000000.seg", &format!("keys/{}", subject(1))] {
        let path = dir.path().join(name);
        locked(&path, 0o000);
        // Who is root may read it all the same.
        if std::fs::read(&path).is_err() {
            let found = report(dir.path());
            assert!(found.to_string().contains("COULD NOT BE CHECKED"), "{name}: {found}");
        }
        locked(&path, 0o600);
    }
    // A link to itself can't be read by anybody.
    for name in ["head", "public/checkpoint", "journal/00000000.seg", &format!("keys/{}", subject(1))] {
        let path = dir.path().join(name);
        std::fs::rename(&path, dir.path().join("aside")).unwrap();
        std::os::unix::fs::symlink(&path, &path).unwrap();
        let found = report(dir.path());
        assert!(found.to_string().contains("COULD NOT BE CHECKED"), "{name}: {found}");
        assert_eq!(classes(&found).iter().map(|(_, class)| *class).collect::<Vec<_>>(), [Class::Io], "{found}");
        std::fs::remove_file(&path).unwrap();
        // What is no file at all was put there.
        std::fs::create_dir(&path).unwrap();
        let found = report(dir.path());
        assert!(found.to_string().contains("DOES NOT VERIFY"), "{name}: {found}");
        std::fs::remove_dir(&path).unwrap();
        std::fs::rename(dir.path().join("aside"), &path).unwrap();
    }
    assert!(report(dir.path()).holds());
}

/// What a reader can see of a segment while it is written: old zeros, and a frame that came after them.
async fn with_a_hole(dir: &Path) -> (Vec<u8>, Vec<u8>) {
    drop(filled(dir, 20).await);
    let path = lab::segment(dir);
    let whole = std::fs::read(&path).unwrap();
    let mut holed = whole.clone();
    let frames = journal::pieces(&whole, 0).unwrap().1;
    let journal::Piece::Frame(first) = frames[0] else { panic!("{frames:?}") };
    let at = journal::SEGMENT_HEADER_BYTES + first.frame_bytes();
    holed[at..at + 100].fill(0);
    (whole, holed)
}

#[tokio::test]
async fn a_segment_that_is_being_written_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, holed) = with_a_hole(dir.path()).await;
    let reads = |written: bool, good_after: usize| {
        let mut count = 0;
        let read = live::settled(
            0,
            || written,
            || {
                count += 1;
                Ok(if count > good_after { whole.clone() } else { holed.clone() })
            },
        );
        (count, read.unwrap() == whole)
    };
    assert_eq!(reads(true, 0), (1, true));
    assert_eq!(reads(true, 2), (3, true));
    assert_eq!(reads(true, usize::MAX), (live::READS_MAX, false), "it ends");
    assert_eq!(reads(false, 2), (1, false), "nobody writes it");
}

/// A hole that stays is damage, whoever holds the lock.
#[tokio::test]
async fn a_hole_that_stays_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (_, holed) = with_a_hole(dir.path()).await;
    std::fs::write(lab::segment(dir.path()), holed).unwrap();
    let lock = std::fs::File::open(dir.path().join("lock")).unwrap();
    for held in [false, true] {
        if held {
            lock.try_lock().unwrap();
        }
        let found = report(dir.path());
        assert!(found.found().iter().any(|fault| fault.class == Class::Frame), "{found}");
        let read = history::entries(dir.path(), knows, |_| ());
        assert!(matches!(read, Err(history::HistoryError::Damaged(0))), "{read:?}");
    }
}

/// Partial tiles are not synced: a power cut can leave them empty, and the next start makes them right.
#[tokio::test]
async fn a_tile_that_a_power_cut_emptied() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 20).await);
    std::fs::write(dir.path().join("public/tile/0/000.p/20"), []).unwrap();
    for path in [dir.path(), &dir.path().join("public")] {
        let told: Vec<_> = report(path).found().iter().map(|fault| fault.words.clone()).collect();
        let words = "tile/0/000.p/20 is empty; after a power cut, the next start of the service writes it anew";
        assert_eq!(told, [words]);
    }
    drop(Ledger::open(dir.path(), options(2)).unwrap());
    assert!(report(dir.path()).holds());
}

/// Not a test of its own: what is watched below.
#[tokio::test]
async fn child_that_publishes() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    drop(filled(Path::new(&dir), 20).await);
}

/// A new name may be on the disk before the bytes are: after a power cut an empty `head` would look like a forged one, until the
/// next start.
#[test]
fn heads_are_on_the_disk_before_they_have_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let (data, calls) = (dir.path().join("log"), dir.path().join("calls"));
    let traced = std::process::Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2", "-o"])
        .arg(&calls)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "ledger::tests::unread::child_that_publishes"])
        .env(CHILD_DIR, &data)
        .output()
        .expect("strace is missing: install strace");
    assert!(traced.status.success(), "{}", String::from_utf8_lossy(&traced.stderr));
    let calls = std::fs::read_to_string(calls).unwrap();
    for name in ["head", "public/checkpoint"] {
        let part = data.join(name).with_extension("part").display().to_string();
        let (mut synced, mut renamed) = (false, 0);
        for call in calls.lines().filter(|call| call.contains(&part)) {
            if call.contains("sync(") {
                synced = true;
            } else if call.contains("rename") {
                assert!(std::mem::take(&mut synced), "{name}: {call}");
                renamed += 1;
            }
        }
        assert!(renamed > 0, "{name}: {calls}");
    }
}
