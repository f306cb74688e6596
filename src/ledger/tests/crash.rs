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
