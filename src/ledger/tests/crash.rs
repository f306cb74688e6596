//! The writer in a process of its own, killed at random moments: nothing acknowledged is ever lost, and no smaller or
//! different head is ever signed.

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
/// Whether it opens the ledger once more after that, and only reads.
pub const CHILD_READS: &str = "COUNTERSIGN_CHILD_READS";

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
                say(&text);
            }
        })
    };
    for caller in (0..callers).map(each).collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    if std::env::var_os(CHILD_READS).is_some() {
        drop(ledger);
        read_only(&dir).await;
    }
}

/// Opens the ledger and appends nothing: says when all that the start owes is done, rests for a while, reads everything there
/// is, and says that it has read.
async fn read_only(dir: &Path) {
    let ledger = Ledger::open(dir, options(8)).unwrap();
    while ledger.reader().published().0 < ledger.size() {
        tokio::task::yield_now().await;
    }
    say("mark quiet\n");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let size = ledger.size();
    assert_eq!(ledger.entries(0, size).unwrap().map(Result::unwrap).count() as u64, size);
    for index in (0..size).step_by(50) {
        ledger.prove(index).unwrap();
    }
    assert_eq!(ledger.head().size, size);
    say("mark read\n");
}

/// One write for one line: that is what a tracer sees.
fn say(line: &str) {
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
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

/// The heads that lie outside the journal, as anybody may read them.
pub fn heads(dir: &Path) -> Vec<String> {
    ["head", "public/checkpoint"].iter().filter_map(|name| std::fs::read_to_string(dir.join(name)).ok()).collect()
}

/// What was ever seen of a log from outside: the entries that were acknowledged, and the root of each size for which anybody
/// was shown a signed head.
#[derive(Default)]
pub struct Seen {
    pub leaves: BTreeMap<u64, String>,
    roots: BTreeMap<u64, String>,
    /// How many entries there were at the last start: whatever is acknowledged after it is beyond them.
    floor: u64,
}

impl Seen {
    /// Takes an answer from what the child says.
    pub fn take(&mut self, line: &str) -> bool {
        // The test harness writes its own words before the first line.
        let Some((_, answer)) = line.split_once("ack ") else { return false };
        let words: Vec<&str> = answer.split_whitespace().collect();
        let [index, leaf, size, root] = words[..] else { return false };
        if leaf.len() != 64 || root.len() != 64 {
            return false;
        }
        let (index, size) = (index.parse().unwrap(), size.parse().unwrap());
        assert!(
            index >= self.floor && size > self.floor,
            "a head over {size} was signed after one over {}",
            self.floor
        );
        assert_eq!(self.leaves.insert(index, leaf.to_owned()), None, "entry {index} was acknowledged twice");
        self.root(size, root);
        true
    }

    fn root(&mut self, size: u64, root: &str) {
        let before = self.roots.entry(size).or_insert_with(|| root.to_owned());
        assert_eq!(*before, root, "two roots were signed for {size} entries");
    }

    /// Takes a head that lay outside the journal, if it is a whole one.
    pub fn take_head(&mut self, text: &str) -> bool {
        let head = SignedNote::parse(text).and_then(|note| Checkpoint::parse(&note.text));
        head.map(|head| self.root(head.size, &hex::encode(head.root))).is_ok()
    }

    /// Opens the ledger again, and looks for everything that was seen.
    pub fn check(&mut self, dir: &Path) {
        let ledger = Ledger::open(dir, options(7)).unwrap();
        let head = ledger.head();
        let last = self.leaves.last_key_value().map_or(0, |(index, _)| *index);
        assert!(head.size > last, "entry {last} was acknowledged, and there are {}", head.size);
        let largest = self.roots.last_key_value().map_or(0, |(size, _)| *size);
        assert!(head.size >= largest.max(self.floor), "a head over {largest} was signed, and there are {}", head.size);
        self.root(head.size, &hex::encode(head.root));
        let mut tree = tree::Frontier::default();
        for entry in ledger.entries(0, u64::MAX).unwrap() {
            let entry = entry.unwrap();
            if let Some(leaf) = self.leaves.get(&entry.seq) {
                assert_eq!(*leaf, hex::encode(entry.leaf), "entry {} is another one", entry.seq);
            }
            tree.push(entry.leaf, |_| ());
            if let Some(root) = self.roots.get(&tree.size()) {
                assert_eq!(*root, hex::encode(tree.root()), "the first {} entries are others", tree.size());
            }
        }
        for (size, root) in &self.roots {
            let (found, note) = ledger.reader().head_from(*size).unwrap().unwrap();
            assert_eq!(found, *size);
            let note = SignedNote::parse(&note).unwrap();
            assert_eq!(*root, hex::encode(Checkpoint::parse(&note.text).unwrap().root));
            assert_eq!(note.check([ledger.verifier_key()]), Ok(1));
        }
        self.floor = head.size;
        drop(ledger);
    }
}

/// The watchman of the test below is awake: a log that is smaller, another one, or that says other things than before.
#[tokio::test]
async fn a_log_that_takes_something_back_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    drop(filled(&one, 20).await);
    let ledger = filled(&two, 20).await;
    for n in 20..30 {
        ledger.append(n, start() + TimeDelta::hours(1), vec![draft(n)]).await.unwrap();
    }
    drop(ledger);
    let panics = |mut seen: Seen, act: &dyn Fn(&mut Seen)| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(&mut seen))).is_err()
    };
    let shown = |text: &str| {
        let mut seen = Seen::default();
        assert!(seen.take_head(text));
        seen
    };
    let (small, large) = (heads(&one), heads(&two));
    assert_eq!((small.len(), large.len()), (2, 2));
    assert!(!panics(shown(&large[0]), &|seen| seen.check(&two)));
    assert!(panics(shown(&large[0]), &|seen| seen.check(&one)), "a smaller log");
    let other = small[0].replacen("\n20\n", "\n19\n", 1);
    assert!(panics(shown(&other), &|seen| seen.check(&one)), "a head that the log never had");
    let root = large[0].lines().nth(2).unwrap();
    let changed = large[0].replacen(root, small[0].lines().nth(2).unwrap(), 1);
    assert!(panics(shown(&large[0]), &|seen| assert!(seen.take_head(&changed))), "two roots for one size");
    assert!(panics(shown(&changed), &|seen| seen.check(&two)), "another root than the log has");
    let ack = |index: u64, size: u64| format!("ack {index} {0} {size} {0}", "5a".repeat(32));
    let started = || {
        let mut seen = Seen::default();
        seen.check(&two);
        seen
    };
    assert!(!panics(started(), &|seen| assert!(seen.take(&ack(30, 31)))));
    assert!(panics(started(), &|seen| assert!(seen.take(&ack(29, 30)))), "an old index again");
}

#[test]
fn kill_nine_at_random_moments_loses_nothing() {
    let mut rng = StdRng::seed_from_u64(9);
    let kills = number("COUNTERSIGN_KILLS", KILLS);
    let mut dir = tempfile::tempdir().unwrap();
    let (mut seen, mut total, mut beside) = (Seen::default(), 0, 0);
    for round in 0..kills {
        if round % 20 == 0 {
            dir = tempfile::tempdir().unwrap();
            seen = Seen::default();
        }
        let callers = [1, 8, 64][round % 3];
        let mut child = spawn(Program::new(std::env::current_exe().unwrap()), dir.path(), callers, usize::MAX);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Sometimes in the middle of the start, mostly after some answers.
        let after = if round % 10 == 9 { 0 } else { rng.random_range(1..400) };
        let mut answers = 0;
        while answers < after {
            answers += usize::from(seen.take(&lines.next().unwrap().unwrap()));
        }
        child.kill().unwrap();
        // What is still in the pipe was acknowledged too; the last line may be torn.
        for line in lines.map_while(Result::ok) {
            answers += usize::from(seen.take(&line));
        }
        child.wait().unwrap();
        total += answers;
        // As the dead process left them; the next start writes them again.
        for head in heads(dir.path()) {
            assert!(seen.take_head(&head), "{head}");
            beside += 1;
        }
        seen.check(dir.path());
        if round % 20 == 19 {
            let report = report(dir.path());
            assert!(report.holds(), "{report}");
        }
    }
    assert!(beside > kills, "only {beside} heads were found beside the journal");
    println!(
        "{kills} kills, {total} acknowledged entries, none lost; {beside} heads beside the journal, none smaller or different"
    );
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
    // What was written and where, without the zeros behind it, and without the answer: that may stand in a line of its own.
    let (_, frame) = frame.split_once(".seg>").unwrap();
    let frame = frame.split(") = ").next().unwrap().split(" <unfinished").next().unwrap().trim_end_matches(')');
    let (frame, offset) = frame.rsplit_once(", ").unwrap();
    let (frame, _) = frame.rsplit_once(", ").unwrap();
    let is_frame = |line: &&str| line.contains(frame) && line.contains(&format!(", {offset}"));
    for (from, to) in [("mark again", "mark snapshot"), ("mark snapshot", "mark end")] {
        let lines = &lines[at(from)..at(to)];
        let place = |words: &str| lines.iter().position(|line| line.contains(words));
        let written = lines.iter().position(is_frame).unwrap_or_else(|| panic!("{from}: {frame} is not written again"));
        let sync = |line: &&str| on_journal(&line) && line.contains("fdatasync(") && !line.contains("EIO");
        let synced = lines[written..].iter().position(sync).unwrap_or_else(|| panic!("{from}: it is not synced"));
        let (thread, _) = lines[written + synced].split_once(' ').unwrap();
        let returned = |line: &&str| line.starts_with(thread) && line.contains("fdatasync") && line.ends_with("= 0");
        let synced = written + synced + lines[written + synced..].iter().position(returned).unwrap();
        let announced = ["/head\"", "/checkpoint\""].map(|file| place(file).unwrap());
        assert!(announced.into_iter().all(|announced| announced > synced), "{from}: announced before it is durable");
    }
}
