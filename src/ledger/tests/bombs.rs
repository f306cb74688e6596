//! Input that is made to hang a verifier or to eat its memory: each ends, with a finding.

use std::{fs::File, io::Write as _};

use super::*;

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
