//! The writer in a process of its own, killed and watched: nothing acknowledged is ever lost, and every acknowledgement has
//! its one `fdatasync`.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, Command as Program, Stdio},
};

use rand::RngExt as _;

use super::*;

/// How often the process is killed, unless `COUNTERSIGN_KILLS` says otherwise.
const KILLS: usize = 60;

/// Where the child works, and how many entries it writes at most.
pub const CHILD_DIR: &str = "COUNTERSIGN_CHILD_DIR";
const CHILD_ENTRIES: &str = "COUNTERSIGN_CHILD_ENTRIES";
const CHILD_CALLERS: &str = "COUNTERSIGN_CHILD_CALLERS";

pub fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Not a test of its own: what the child does. Without a folder in the environment it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(dir) = std::env::var_os(CHILD_DIR).map(PathBuf::from) else { return };
    let seed = u64::from(std::process::id());
    let ledger = Arc::new(Ledger::open(&dir, options(seed)).unwrap());
    let (callers, entries) = (number(CHILD_CALLERS, 1), number(CHILD_ENTRIES, usize::MAX));
    let each = |caller: usize| {
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move {
            for n in 0..entries / callers {
                let n = u64::try_from(n * callers + caller).unwrap();
                let one =
                    if n % 3 == 0 { personal(n, subject(u8::try_from(n % 200).unwrap()), "words") } else { draft(n) };
                let done = ledger.append_next(start(), vec![one]).await.unwrap();
                let text = format!(
                    "ack {} {} {} {}\n",
                    done.first,
                    hex::encode(done.leaves[0]),
                    done.size,
                    hex::encode(done.root)
                );
                std::io::stdout().lock().write_all(text.as_bytes()).unwrap();
            }
        })
    };
    for caller in (0..callers).map(each).collect::<Vec<_>>() {
        caller.await.unwrap();
    }
}

pub fn spawn(mut program: Program, dir: &Path, callers: usize, entries: usize) -> Child {
    program
        .args(["--exact", "ledger::tests::crash::child", "--nocapture"])
        .env(CHILD_DIR, dir)
        .env(CHILD_CALLERS, callers.to_string())
        .env(CHILD_ENTRIES, entries.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What was acknowledged: entries by index, and roots by size.
#[derive(Default)]
pub struct Acknowledged {
    pub leaves: BTreeMap<u64, String>,
    roots: BTreeMap<u64, String>,
}

impl Acknowledged {
    pub fn take(&mut self, line: &str) -> bool {
        // The test harness writes its own words before the first line.
        let Some((_, answer)) = line.split_once("ack ") else { return false };
        let words: Vec<&str> = answer.split_whitespace().collect();
        let [index, leaf, size, root] = words[..] else { return false };
        if leaf.len() != 64 || root.len() != 64 {
            return false;
        }
        self.leaves.insert(index.parse().unwrap(), leaf.to_owned());
        let before = self.roots.insert(size.parse().unwrap(), root.to_owned());
        assert!(before.is_none_or(|before| before == root), "two roots were signed for {size} entries");
        true
    }

    /// Opens the ledger again, and looks for everything that was acknowledged.
    pub fn check(&self, dir: &Path) {
        let ledger = Ledger::open(dir, options(7)).unwrap();
        let head = ledger.head();
        let last = self.leaves.last_key_value().map_or(0, |(index, _)| *index);
        assert!(head.size > last, "entry {last} was acknowledged, and there are {}", head.size);
        for entry in ledger.entries(0, u64::MAX).unwrap() {
            let entry = entry.unwrap();
            if let Some(leaf) = self.leaves.get(&entry.seq) {
                assert_eq!(*leaf, hex::encode(entry.leaf), "entry {} is another one", entry.seq);
            }
        }
        for (size, root) in &self.roots {
            let (found, note) = ledger.reader().head_from(*size).unwrap().unwrap();
            assert_eq!(found, *size);
            assert_eq!(*root, hex::encode(Checkpoint::parse(&SignedNote::parse(&note).unwrap().text).unwrap().root));
        }
        drop(ledger);
    }
}

#[test]
fn kill_nine_at_random_moments_loses_nothing() {
    let mut rng = StdRng::seed_from_u64(9);
    let kills = number("COUNTERSIGN_KILLS", KILLS);
    let mut dir = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut total) = (Acknowledged::default(), 0);
    for round in 0..kills {
        if round % 20 == 0 {
            dir = tempfile::tempdir().unwrap();
            acknowledged = Acknowledged::default();
        }
        let callers = [1, 8, 64][round % 3];
        let mut child = spawn(Program::new(std::env::current_exe().unwrap()), dir.path(), callers, usize::MAX);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Sometimes in the middle of the start, mostly after some answers.
        let after = if round % 10 == 9 { 0 } else { rng.random_range(1..400) };
        let mut seen = 0;
        while seen < after {
            seen += usize::from(acknowledged.take(&lines.next().unwrap().unwrap()));
        }
        child.kill().unwrap();
        // What is still in the pipe was acknowledged too; the last line may be torn.
        for line in lines.map_while(Result::ok) {
            seen += usize::from(acknowledged.take(&line));
        }
        child.wait().unwrap();
        total += seen;
        acknowledged.check(dir.path());
        if round % 20 == 19 {
            let report = report(dir.path());
            assert!(report.holds(), "{report}");
        }
    }
    println!("{kills} kills, {total} acknowledged entries, none lost");
}

#[test]
fn one_fdatasync_before_each_answer_and_none_without_need() {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let mut strace = Program::new("strace");
    strace
        .args(["-f", "-y", "-s", "16", "-e", "trace=fdatasync,fsync,write,pwrite64,sync_file_range", "-o"])
        .arg(&trace);
    strace.arg(std::env::current_exe().unwrap());
    let mut child = spawn(strace, &dir.path().join("log"), 1, 50);
    let mut acknowledged = Acknowledged::default();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        acknowledged.take(&line.unwrap());
    }
    assert!(child.wait().unwrap().success(), "strace is needed");
    assert_eq!(acknowledged.leaves.len(), 50);
    let mut synced = 0;
    let mut answers = 0;
    let mut writes_after_sync = false;
    for line in std::fs::read_to_string(&trace).unwrap().lines() {
        let on_journal = line.contains("/journal/00000000.seg>");
        if on_journal && line.contains("pwrite64(") {
            writes_after_sync = true;
        } else if on_journal && line.contains("fdatasync(") {
            assert!(writes_after_sync, "a sync where nothing was written: {line}");
            writes_after_sync = false;
            synced += 1;
        } else if line.contains("write(1<") && line.contains("ack ") {
            answers += 1;
            // One more for entry 0, which the start writes by itself.
            assert_eq!(synced, answers + 1, "answer {answers}: {line}");
            assert!(!writes_after_sync, "an answer before its sync: {line}");
        }
    }
    assert_eq!((answers, synced), (50, 51));
    println!("50 answers, each after its one fdatasync of the journal");
}

/// Says where it is: in the trace, that is a mark.
fn mark(words: &str) {
    std::io::stdout().lock().write_all(format!("{words}\n").as_bytes()).unwrap();
}

/// Not a test of its own: appends until it fails, and opens the ledger again in the same process, and once more from a
/// snapshot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_opens_again() {
    let Some(dir) = std::env::var_os(CHILD_DIR).map(PathBuf::from) else { return };
    let ledger = Ledger::open(&dir, options(1)).unwrap();
    let mut pad = draft(1);
    pad.body.insert("pad".into(), json!("x".repeat(5_000)));
    let failed = loop {
        match ledger.append_next(start(), vec![pad.clone()]).await {
            Ok(_) => assert!(ledger.size() < 100, "nothing fails"),
            Err(error) => break error,
        }
    };
    assert!(matches!(failed, AppendError::Failed(_)), "{failed}");
    let before = ledger.size();
    drop(ledger);
    mark("mark again");
    let ledger = Ledger::open(&dir, options(2)).unwrap();
    assert_eq!(ledger.size(), before + 1, "the frame is there to be read");
    ledger.save_snapshot(before + 1, b"folded".to_vec()).await.unwrap();
    drop(ledger);
    mark("mark snapshot");
    let ledger = Ledger::open(&dir, options(3)).unwrap();
    assert!(ledger.snapshot().is_some());
    drop(ledger);
    mark("mark end");
}

/// A write whose sync failed can be read all the same, from the cache, and the next sync says nothing of it: what is built
/// upon must be written again.
#[test]
fn the_last_frame_is_written_again_before_anything_follows_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let mut strace = Program::new("strace");
    strace.args(["-f", "-y", "-s", "256", "-e", "trace=fdatasync,fsync,write,pwrite64,rename"]);
    // The fifth of the writer's thread; no other has so many.
    strace.args(["-e", "inject=fdatasync:error=EIO:when=5", "-o"]).arg(&trace).arg(std::env::current_exe().unwrap());
    let status = strace
        .args(["--exact", "ledger::tests::crash::child_that_opens_again", "--nocapture"])
        .env(CHILD_DIR, dir.path().join("log"))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "strace is needed");
    let trace = std::fs::read_to_string(&trace).unwrap();
    let lines: Vec<&str> = trace.lines().collect();
    let at = |words: &str| lines.iter().position(|line| line.contains(words)).unwrap_or_else(|| panic!("no {words}"));
    let failed = at("(INJECTED)");
    let on_journal = |line: &&&str| line.contains("/journal/00000000.seg>");
    let frame = lines[..failed].iter().rfind(|line| on_journal(line) && line.contains("pwrite64(")).unwrap();
    // What was written and where, without the answer: that may stand in a line of its own.
    let (_, frame) = frame.split_once(".seg>").unwrap();
    let frame = frame.split(") = ").next().unwrap().split(" <unfinished").next().unwrap();
    for (from, to) in [("mark again", "mark snapshot"), ("mark snapshot", "mark end")] {
        let lines = &lines[at(from)..at(to)];
        let place = |words: &str| lines.iter().position(|line| line.contains(words));
        let written = place(frame).unwrap_or_else(|| panic!("{from}: {frame} is not written again"));
        let sync = |line: &&str| on_journal(&line) && line.contains("fdatasync(") && !line.contains("EIO");
        let synced = lines[written..].iter().position(sync).unwrap_or_else(|| panic!("{from}: it is not synced"));
        let (thread, _) = lines[written + synced].split_once(' ').unwrap();
        let returned = |line: &&str| line.starts_with(thread) && line.contains("fdatasync") && line.ends_with("= 0");
        let synced = written + synced + lines[written + synced..].iter().position(returned).unwrap();
        let announced = ["/head\"", "/checkpoint\""].map(|file| place(file).unwrap());
        assert!(announced.into_iter().all(|announced| announced > synced), "{from}: announced before it is durable");
    }
}
