//! The ledger against its peers, each in the same run: a bare file with `fdatasync`, `SQLite` in WAL with `synchronous=FULL`,
//! bare SHA-256, sled's own open. Medians of five rounds, which take turns so that a slow minute of the machine hits all alike;
//! ratios are those of each round.
//!
//! `LEDGER_BENCH_ENTRIES` sets the size of the large log (1,000,000; 0 leaves the logs out), `LEDGER_BENCH_SINGLE` that of the
//! one that is written entry by entry (200,000), `LEDGER_BENCH_APPENDS` the appends of a
//! round (4,000; 0 leaves them out), `LEDGER_BENCH_DIR` the folder, and so the disk.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench measures with the clock of the machine, and stops when something is wrong"
)]

use std::{
    fs::OpenOptions,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use countersign::ledger::{Disclosure, Draft, Ledger, Options, SubjectId, verify};
use ed25519_dalek::{Signer as _, SigningKey};
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::{Map, json};
use sha2::{Digest as _, Sha256};

const ROUNDS: usize = 5;
const LINE_BYTES: usize = 600;
const BATCH: usize = 256;

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn knows(kind: &str) -> bool {
    kind.starts_with("bench.")
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_795_222_784_123_456).unwrap()
}

fn options() -> Options {
    Options::new("example.com/bench", knows, now(), Box::new(StdRng::seed_from_u64(1)))
}

/// A draft whose line has about `LINE_BYTES` bytes.
fn draft() -> Draft {
    let mut body = Map::new();
    body.insert("resource".into(), json!("prod-db"));
    body.insert("words".into(), json!("the quick brown fox ".repeat(19)));
    Draft { kind: "bench.happened".into(), body, disclosures: vec![] }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Appends per second, the p50 and p99 of one in microseconds, and the processors' time that one took, on all threads.
struct Rate {
    each: f64,
    p50: f64,
    p99: f64,
    busy: f64,
}

fn rate(mut took: Vec<Duration>, whole: Duration, busy: Duration) -> Rate {
    took.sort_unstable();
    let micros = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)].as_secs_f64() * 1e6;
    let (each, busy) = (took.len() as f64 / whole.as_secs_f64(), busy.as_secs_f64() * 1e6 / took.len() as f64);
    Rate { each, p50: micros(50), p99: micros(99), busy }
}

/// How long the threads of this process have had a processor.
fn busy() -> Duration {
    let of_one = |task: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
    };
    std::fs::read_dir("/proc/self/task").unwrap().filter_map(of_one).sum()
}

/// How long a cache line takes from one processor to another and back, in nanoseconds: what two threads pay that work on the
/// same thing. None with one processor.
fn there_and_back() -> Option<f64> {
    const TIMES: u64 = 20_000;
    let on = |processor: usize| {
        let mut set = rustix::thread::CpuSet::new();
        set.set(processor);
        rustix::thread::sched_setaffinity(None, &set).is_ok()
    };
    let line = AtomicU64::new(0);
    let await_value = |value: u64| {
        while line.load(Ordering::Acquire) != value {
            std::hint::spin_loop();
        }
    };
    // Threads of their own: where they may run is their own, too.
    std::thread::scope(|scope| {
        let pinned = scope.spawn(|| on(0)).join().unwrap() && scope.spawn(|| on(1)).join().unwrap();
        if !pinned {
            return None;
        }
        scope.spawn(|| {
            on(1);
            for n in 0..TIMES {
                await_value(2 * n + 1);
                line.store(2 * n + 2, Ordering::Release);
            }
        });
        let asking = scope.spawn(|| {
            on(0);
            let began = Instant::now();
            for n in 0..TIMES {
                line.store(2 * n + 1, Ordering::Release);
                await_value(2 * n + 2);
            }
            began.elapsed().as_secs_f64() * 1e9 / TIMES as f64
        });
        Some(asking.join().unwrap())
    })
}

/// Calls `append` from so many tasks at once.
async fn callers<F, A>(count: usize, appends: usize, append: A) -> Rate
where
    F: Future<Output = ()> + Send,
    A: Fn() -> F + Clone + Send + 'static,
{
    let busy_before = busy();
    let began = Instant::now();
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let append = append.clone();
            tokio::spawn(async move {
                let mut took = Vec::new();
                for _ in 0..appends.div_ceil(count) {
                    let began = Instant::now();
                    append().await;
                    took.push(began.elapsed());
                }
                took
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.unwrap());
    }
    let whole = began.elapsed();
    rate(took, whole, busy().saturating_sub(busy_before))
}

/// A record and who waits for it; the record is empty when the peer writes one of its own.
type Call = (Vec<u8>, tokio::sync::oneshot::Sender<()>);

/// A peer with one writer thread behind a channel, as ours has: `commit` makes records durable.
fn peer(mut commit: impl FnMut(&[Call]) + Send + 'static, batch: usize) -> tokio::sync::mpsc::Sender<Call> {
    let (to, mut from) = tokio::sync::mpsc::channel::<Call>(1_024);
    std::thread::spawn(move || {
        while let Some(first) = from.blocking_recv() {
            let mut waiting = vec![first];
            while waiting.len() < batch
                && let Ok(next) = from.try_recv()
            {
                waiting.push(next);
            }
            commit(&waiting);
            for (_, answer) in waiting {
                answer.send(()).unwrap();
            }
        }
    });
    to
}

async fn through(peer: tokio::sync::mpsc::Sender<Call>, record: fn() -> Vec<u8>, count: usize, appends: usize) -> Rate {
    callers(count, appends, move || {
        let peer = peer.clone();
        async move {
            let (answer, answered) = tokio::sync::oneshot::channel();
            peer.send((record(), answer)).await.unwrap();
            answered.await.unwrap();
        }
    })
    .await
}

/// What our callers hand over, written as JSON by the caller: the work that somebody has to do who has something to record.
fn written() -> Vec<u8> {
    let draft = draft();
    let mut record = serde_json::to_vec(&draft.body).unwrap();
    record.resize(LINE_BYTES, b' ');
    record
}

/// What a peer does beside writing.
#[derive(Clone, Copy, PartialEq)]
enum Extra {
    Nothing,
    /// It has written 64 MB of zeros before it is measured.
    Preallocated,
    /// It signs a head of the usual length with Ed25519 for each commit, and writes the signature with it.
    Signature,
}

fn bare_file(dir: &Path, extra: Extra) -> tokio::sync::mpsc::Sender<Call> {
    let path = dir.join("bare");
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(path).unwrap();
    if extra == Extra::Preallocated {
        let zeros = vec![0; 1 << 20];
        (0..64).for_each(|n| file.write_all_at(&zeros, n << 20).unwrap());
        file.sync_all().unwrap();
    }
    let key = SigningKey::from_bytes(&[7; 32]);
    let (record, mut at) = (vec![b'x'; LINE_BYTES], 0);
    let commit = move |calls: &[Call]| {
        let own = |given: &[u8]| given.is_empty();
        let records = calls.iter().map(|(given, _)| if own(given) { record.as_slice() } else { given.as_slice() });
        let mut bytes = records.collect::<Vec<_>>().concat();
        if extra == Extra::Signature {
            bytes.extend(key.sign(&[b'h'; 100]).to_bytes());
        }
        file.write_all_at(&bytes, at).unwrap();
        file.sync_data().unwrap();
        at += bytes.len() as u64;
    };
    peer(commit, BATCH)
}

/// One row a transaction, a hash chain in the row, and triggers that forbid to change one: the best that a table can do.
fn sqlite(dir: &Path, extra: Extra) -> tokio::sync::mpsc::Sender<Call> {
    let db = rusqlite::Connection::open(dir.join("log.sqlite")).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
         CREATE TABLE log (seq INTEGER PRIMARY KEY, prev BLOB NOT NULL, line BLOB NOT NULL);
         CREATE TRIGGER no_update BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'append only'); END;
         CREATE TRIGGER no_delete BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'append only'); END;",
    )
    .unwrap();
    let (mut prev, mut record) = (vec![0; 32], vec![b'x'; LINE_BYTES]);
    let key = SigningKey::from_bytes(&[7; 32]);
    let commit = move |_: &[Call]| {
        if extra == Extra::Signature {
            record.splice(..64, key.sign(&[b'h'; 100]).to_bytes());
        }
        let mut insert = db.prepare_cached("INSERT INTO log (prev, line) VALUES (?1, ?2)").unwrap();
        insert.execute((&prev, &record)).unwrap();
        prev = Sha256::new().chain_update(&prev).chain_update(&record).finalize().to_vec();
    };
    peer(commit, 1)
}

async fn ours(dir: &Path, count: usize, appends: usize) -> Rate {
    let ledger = Arc::new(Ledger::open(dir, options()).unwrap());
    let inner = Arc::clone(&ledger);
    callers(count, appends, move || {
        let ledger = Arc::clone(&inner);
        async move { drop(ledger.append_next(now(), vec![draft()]).await.unwrap()) }
    })
    .await
}

fn appends(runtime: &tokio::runtime::Runtime, here: &Path) {
    let count = number("LEDGER_BENCH_APPENDS", 4_000);
    println!(
        "| callers | who | appends/s | by rate | p50 µs | by p50 | p99 µs | by p99 | busy µs |\n|---|---|---|---|---|---|---|---|---|"
    );
    for tasks in [1, 64, 512] {
        let names = [
            "ours",
            "bare file, growing",
            "bare file, growing, JSON by the callers",
            "bare file, growing, JSON by the callers, signed",
            "bare file, preallocated",
            "SQLite, WAL, FULL",
            "SQLite, WAL, FULL, signed",
        ];
        let mut rates: [Vec<Rate>; 7] = Default::default();
        let mut lines = Vec::new();
        for _ in 0..ROUNDS {
            lines.extend(there_and_back());
            for (who, rates) in rates.iter_mut().enumerate() {
                let dir = tempfile::tempdir_in(here).unwrap();
                // What the one before left behind, and what was removed of it, is none of the next one's.
                std::fs::File::open(here).unwrap().sync_all().unwrap();
                let appends = if tasks == 1 || who > 4 { count } else { count * 8 };
                rates.push(runtime.block_on(async {
                    match who {
                        0 => ours(dir.path(), tasks, appends).await,
                        1 => through(bare_file(dir.path(), Extra::Nothing), Vec::new, tasks, appends).await,
                        2 => through(bare_file(dir.path(), Extra::Nothing), written, tasks, appends).await,
                        3 => through(bare_file(dir.path(), Extra::Signature), written, tasks, appends).await,
                        4 => through(bare_file(dir.path(), Extra::Preallocated), Vec::new, tasks, appends).await,
                        5 => through(sqlite(dir.path(), Extra::Nothing), Vec::new, tasks, appends).await,
                        _ => through(sqlite(dir.path(), Extra::Signature), Vec::new, tasks, appends).await,
                    }
                }));
            }
        }
        let mine = &rates[0];
        let of = |rates: &[Rate], pick: fn(&Rate) -> f64| median(rates.iter().map(pick).collect());
        // Each round by itself: within a second the machine is much the same, from one round to the next it is not.
        let by = |rates: &[Rate], ratio: fn(&Rate, &Rate) -> f64| {
            median(mine.iter().zip(rates).map(|(mine, theirs)| ratio(mine, theirs)).collect())
        };
        for (name, rates) in names.iter().zip(&rates) {
            let [each, p50, p99] =
                [of(rates, |rate| rate.each), of(rates, |rate| rate.p50), of(rates, |rate| rate.p99)];
            // Over 1 we are better, by each of them.
            let by_each = by(rates, |mine, theirs| mine.each / theirs.each);
            let by_p50 = by(rates, |mine, theirs| theirs.p50 / mine.p50);
            let by_p99 = by(rates, |mine, theirs| theirs.p99 / mine.p99);
            let busy = of(rates, |rate| rate.busy);
            println!(
                "| {tasks} | {name} | {each:.0} | {by_each:.2} | {p50:.0} | {by_p50:.2} | {p99:.0} | {by_p99:.2} | {busy:.1} |"
            );
        }
        let lines: Vec<_> = lines.iter().map(|nanos| format!("{nanos:.0}")).collect();
        // Not within the table.
        eprintln!("{tasks} callers; a cache line there and back, before each round: {} ns", lines.join(", "));
    }
}

fn size_of(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(found) = std::fs::symlink_metadata(path) else { return 0 };
    if !found.is_dir() {
        return found.blocks() * 512;
    }
    std::fs::read_dir(path).unwrap().map(|entry| size_of(&entry.unwrap().path())).sum()
}

fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

fn timed<T>(each: impl Fn() -> T) -> f64 {
    let once = || {
        let began = Instant::now();
        drop(each());
        began.elapsed().as_secs_f64()
    };
    median((0..ROUNDS).map(|_| once()).collect())
}

/// Bare SHA-256 over the same bytes, on two threads.
fn hashing(path: &Path) -> f64 {
    let bytes = std::fs::read(path).unwrap();
    let lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
    timed(|| {
        std::thread::scope(|scope| {
            for half in lines.chunks(lines.len().div_ceil(2)) {
                scope.spawn(|| half.iter().fold(0u8, |all, line| all ^ Sha256::digest(line)[0]));
            }
        });
    })
}

/// The dearest way to write: one entry a commit, each with a head of its own and two disclosures of two people.
fn single(runtime: &tokio::runtime::Runtime, here: &Path) {
    let entries = number("LEDGER_BENCH_SINGLE", 200_000) as u64;
    let data = here.join("single");
    let ledger = Ledger::open(&data, options()).unwrap();
    runtime.block_on(async {
        for n in ledger.size()..entries {
            let mut draft = draft();
            for (name, subject) in [("reason", n % 50), ("who", 50 + n % 50)] {
                let subject = SubjectId(u128::from(subject + 1).to_be_bytes());
                let value = "the words that somebody said, which are not in the line".to_owned();
                draft.disclosures.push(Disclosure { subject, name: name.into(), value });
            }
            ledger.append(n, now(), vec![draft]).await.unwrap();
        }
    });
    let line = ledger.reader().get(entries - 1).unwrap().line.len() as f64;
    println!("\n{entries} entries of {line} bytes and two disclosures, one a commit");
    drop(ledger);
    stores(&data, entries, line);
}

/// What each store takes of the disk. Of the journal, what was written: the rest of the last segment is reserved.
fn stores(data: &Path, entries: u64, line: f64) {
    println!("\n| store | bytes an entry | of the line |\n|---|---|---|");
    let written = |path: PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
    };
    let journal = std::fs::read_dir(data.join("journal")).unwrap().map(|entry| written(entry.unwrap().path())).sum();
    let others = ["sled", "nodes", "public", "keys"].map(|store| (store, size_of(&data.join(store))));
    let mut all = 0.0;
    for (store, bytes) in std::iter::once(("journal", journal)).chain(others) {
        let each = bytes as f64 / entries as f64;
        all += each;
        println!("| {store} | {each:.0} | {:.2} |", each / line);
    }
    println!("| all | {all:.0} | {:.2} |", all / line);
}

fn large(runtime: &tokio::runtime::Runtime, here: &Path) {
    let entries = number("LEDGER_BENCH_ENTRIES", 1_000_000) as u64;
    let data: PathBuf = here.join("large");
    let began = Instant::now();
    let ledger = Ledger::open(&data, options()).unwrap();
    runtime.block_on(async {
        while ledger.size() < entries {
            let at = ledger.size();
            let drafts = (at..entries.min(at + BATCH as u64)).map(|_| draft()).collect();
            ledger.append(at, now(), drafts).await.unwrap();
        }
    });
    let line = ledger.reader().get(entries - 1).unwrap().line.len() as f64;
    println!(
        "\n{entries} entries of {line} bytes written in {:.1} s, in batches of {BATCH}",
        began.elapsed().as_secs_f64()
    );
    drop(ledger);
    stores(&data, entries, line);
    let export = here.join("export");
    countersign::ledger::export::export(&data, &export, false, knows).unwrap();
    let bare = hashing(&export.join("log.jsonl"));
    let verified = |path: &Path| {
        timed(|| {
            let mut options = verify::VerifyOptions::new(knows);
            options.threads = 2;
            let report = verify::verify(path, options).unwrap();
            assert!(report.holds() && report.size == entries);
        })
    };
    println!("\n| two threads | seconds | of bare SHA-256 |\n|---|---|---|\n| bare SHA-256 | {bare:.2} | 1 |");
    for (name, path) in [("verify, lines", export.join("log.jsonl")), ("verify, public copy", data.join("public"))] {
        let took = verified(&path);
        println!("| {name} | {took:.2} | 1/{:.1} |", took / bare);
    }
    let took = verified(&data);
    println!("| verify, folder with its public copy | {took:.2} | 1/{:.1} |", took / bare);
    std::fs::rename(data.join("public"), here.join("public")).unwrap();
    let took = verified(&data);
    println!("| verify, journal alone | {took:.2} | 1/{:.1} |", took / bare);
    std::fs::rename(here.join("public"), data.join("public")).unwrap();
    sled_with_lines(&data, &export.join("log.jsonl"));
    starts(&data);
}

/// What a process of its own does, so that its memory and its time are its own: open, and say what that took.
fn child(what: &str, data: &Path) {
    let began = Instant::now();
    if what.starts_with("sled") {
        let db = sled::Config::new().path(data.join(what)).cache_capacity(32 << 20).open().unwrap();
        println!("{} 0 0", began.elapsed().as_secs_f64());
        drop(db);
        return;
    }
    let ledger = Ledger::open(data, options()).unwrap();
    let took = began.elapsed().as_secs_f64();
    assert_eq!(ledger.snapshot().is_some(), what == "snapshot");
    let resident = resident_bytes() >> 20;
    let (size, reader) = (ledger.size(), ledger.reader());
    let began = Instant::now();
    let proofs = 2_000;
    (0..proofs).for_each(|n| drop(reader.prove(n * 499_979 % size).unwrap()));
    let each = began.elapsed().as_secs_f64() * 1e6 / proofs as f64;
    println!("{took} {resident} {each}");
    if what == "save" {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(ledger.save_snapshot(size, vec![7; 1 << 20])).unwrap();
    }
}

/// Medians of what the children say: seconds, megabytes, microseconds a proof.
fn children(what: &str, data: &Path, rounds: usize) -> [f64; 3] {
    let once = || {
        let mut program = std::process::Command::new(std::env::current_exe().unwrap());
        let done =
            program.arg("--bench").env("LEDGER_BENCH_CHILD", what).env("LEDGER_BENCH_DATA", data).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let words = String::from_utf8(done.stdout).unwrap();
        words.split_whitespace().map(|word| word.parse().unwrap()).collect::<Vec<f64>>()
    };
    let all: Vec<Vec<f64>> = (0..rounds).map(|_| once()).collect();
    [0, 1, 2].map(|n| median(all.iter().map(|one| one[n]).collect()))
}

/// A sled that holds the lines by index, as a ledger in sled alone would.
fn sled_with_lines(data: &Path, lines: &Path) {
    let db = sled::Config::new().path(data.join("sled-lines")).cache_capacity(32 << 20).open().unwrap();
    let text = std::fs::read(lines).unwrap();
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    for (n, some) in lines.chunks(BATCH).enumerate() {
        let mut batch = sled::Batch::default();
        for (at, line) in (n * BATCH..).zip(some) {
            batch.insert(&(at as u64).to_be_bytes(), *line);
        }
        db.apply_batch(batch).unwrap();
    }
    db.flush().unwrap();
}

fn starts(data: &Path) {
    println!("\n| start | seconds | resident MB | one proof µs |\n|---|---|---|---|");
    for (name, what, rounds) in [
        ("sled's own open, of ours", "sled", ROUNDS),
        ("sled's own open, with the lines in it", "sled-lines", ROUNDS),
        ("ours, without a snapshot", "plain", ROUNDS),
        ("ours, and a snapshot is made", "save", 1),
        ("ours, from the snapshot", "snapshot", ROUNDS),
    ] {
        let [seconds, resident, proof] = children(what, data, rounds);
        println!("| {name} | {seconds:.3} | {resident:.0} | {proof:.1} |");
    }
}

fn main() {
    // `cargo test --benches` asks for a run without measuring.
    if !std::env::args().any(|word| word == "--bench") {
        return;
    }
    if let (Ok(what), Some(data)) = (std::env::var("LEDGER_BENCH_CHILD"), std::env::var_os("LEDGER_BENCH_DATA")) {
        return child(&what, Path::new(&data));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let here = std::env::var_os("LEDGER_BENCH_DIR").map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
    println!("load average: {}", load());
    if number("LEDGER_BENCH_APPENDS", 1) > 0 {
        appends(&runtime, here.path());
    }
    if number("LEDGER_BENCH_ENTRIES", 1) > 0 {
        large(&runtime, here.path());
        single(&runtime, here.path());
    }
    println!("\nload average: {}", load());
}

/// How busy the machine is with other work too: ratios of a busy one are to be taken with care.
fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}
