//! What the ledger asks of the disk, as `strace` sees it: each batch has its one `fdatasync` before any of its answers, each
//! other file only the syncs that it needs, and there is none at all while nothing is written.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{BufRead as _, BufReader},
    process::Command as Program,
};

use super::{
    crash::{CHILD_READS, Seen, spawn},
    *,
};
use crate::ledger::journal::{Piece, pieces};

const CALLERS: usize = 64;

/// Sixteen rounds of all callers: enough for several segments.
const ENTRIES: usize = 1_024;

/// How long each sync takes at least, in microseconds: an answer that does not wait for it comes in the middle of it.
const SYNC_MICROS: usize = 2_000;

/// All the ways to ask the disk to keep something.
const SYNCS: [&str; 6] = ["fdatasync", "fsync", "sync_file_range", "syncfs", "sync", "msync"];

/// One system call: its words, and the lines of the trace at which it began and was done.
#[derive(Debug, Clone)]
struct Call {
    name: String,
    words: String,
    began: usize,
    done: usize,
}

impl Call {
    /// The calls of a trace, in the order in which they were done. One that was interrupted by another thread's stands on two
    /// lines, and counts as done at the second.
    fn all(trace: &[String]) -> Vec<Self> {
        let (mut calls, mut under_way) = (Vec::new(), HashMap::<&str, Self>::new());
        for (at, line) in trace.iter().enumerate() {
            let Some((thread, words)) = line.split_once(' ') else { continue };
            let words = words.trim_start();
            if let Some((_, rest)) = words.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
                let call = under_way.remove(thread).unwrap();
                calls.push(Self { words: call.words + rest, done: at, ..call });
            } else if let Some((name, _)) = words.split_once('(') {
                let whole = words.strip_suffix(" <unfinished ...>");
                let call =
                    Self { name: name.to_owned(), words: whole.unwrap_or(words).to_owned(), began: at, done: at };
                match whole {
                    Some(_) => drop(under_way.insert(thread, call)),
                    None => calls.push(call),
                }
            }
        }
        assert!(under_way.values().all(|call| !SYNCS.contains(&&*call.name)), "{under_way:?}");
        calls
    }

    fn is_sync(&self) -> bool {
        SYNCS.contains(&&*self.name)
    }

    /// The file it is about, within the ledger's folder.
    fn file(&self, data: &str) -> Option<&str> {
        let (_, rest) = self.words.split_once('<')?;
        Some(rest.split_once('>')?.0.strip_prefix(data)?.trim_start_matches('/'))
    }

    fn result(&self) -> &str {
        self.words.rsplit_once(" = ").unwrap().1.split_whitespace().next().unwrap()
    }

    /// Where in its file a `pwrite64` writes.
    fn offset(&self) -> usize {
        let last = self.words.rsplit_once(", ").unwrap().1;
        last.split(')').next().unwrap().trim().parse().unwrap()
    }

    /// The entry that is acknowledged by it.
    fn acknowledges(&self) -> Option<u64> {
        let (_, rest) = self.words.split_once('"').filter(|_| self.name == "write")?.1.split_once("ack ")?;
        rest.split(' ').next()?.parse().ok()
    }

    fn says(&self, words: &str) -> bool {
        self.name == "write" && self.words.contains(words)
    }
}

fn is_segment(file: &str) -> bool {
    file.strip_prefix("journal/")
        .is_some_and(|name| Path::new(name).extension().is_some_and(|extension| extension == "seg"))
}

/// A frame of the journal: where it stands, which entries it holds, and whose keys they need.
struct Frame {
    place: (String, usize),
    entries: std::ops::Range<u64>,
    subjects: BTreeSet<SubjectId>,
}

fn frames(data: &Path) -> Vec<Frame> {
    let mut found = Vec::new();
    for (number, path) in journal::segments(&data.join("journal")).unwrap() {
        let bytes = std::fs::read(&path).unwrap();
        let mut at = journal::SEGMENT_HEADER_BYTES;
        for piece in pieces(&bytes, number).unwrap().1 {
            let Piece::Frame(raw) = piece else { panic!("{piece:?}") };
            let batch = raw.decode().unwrap().to_batch();
            let sealed = batch.records.iter().flat_map(|record| &record.sealed);
            found.push(Frame {
                place: (format!("journal/{}", journal::segment_name(number)), at),
                entries: batch.first..batch.first + batch.records.len() as u64,
                subjects: sealed.map(|sealed| sealed.subject).collect(),
            });
            at += raw.frame_bytes();
        }
    }
    found
}

/// The write of a frame, and the sync after it.
fn commit<'a>(calls: &'a [Call], frame: &Frame, data: &str) -> Result<(&'a Call, &'a Call), String> {
    let (segment, offset) = &frame.place;
    let on_it = |call: &&Call, name: &str| call.name == name && call.file(data) == Some(segment);
    let written = calls.iter().find(|call| on_it(call, "pwrite64") && call.offset() == *offset);
    let written = written.ok_or_else(|| format!("no write of the frame at {offset} of {segment}"))?;
    let synced = calls.iter().find(|call| on_it(call, "fdatasync") && call.began > written.done);
    let synced = synced.ok_or_else(|| format!("no sync of the frame at {offset} of {segment}"))?;
    Ok((written, synced))
}

/// Each frame of the journal is written, then synced once, and then its entries are acknowledged; the keys that it needs were
/// durable before it. No other sync of a segment by `fdatasync`.
fn owed(calls: &[Call], frames: &[Frame], data: &str) -> Result<(), String> {
    let on = |call: &Call, file: &str| call.file(data) == Some(file);
    let mut kept_since = BTreeMap::new();
    for frame in frames {
        let (written, synced) = commit(calls, frame, data)?;
        if synced.result() != "0" {
            return Err(format!("a sync that failed: {synced:?}"));
        }
        if kept_since.insert(synced.done, frame.entries.start).is_some() {
            return Err(format!("one sync for two frames: {synced:?}"));
        }
        for index in frame.entries.clone() {
            let Some(answer) = calls.iter().find(|call| call.acknowledges() == Some(index)) else { continue };
            if answer.began < synced.done {
                return Err(format!("entry {index} was acknowledged before it was durable: {answer:?}"));
            }
        }
        for subject in &frame.subjects {
            let kept = calls.iter().find(|call| call.name == "fsync" && on(call, &format!("keys/{subject}.part")));
            let named = kept.and_then(|kept| {
                calls.iter().find(|call| call.name == "fsync" && on(call, "keys") && call.began > kept.done)
            });
            if named.is_none_or(|named| named.done > written.began) {
                return Err(format!("the key of {subject} was not durable when it was needed"));
            }
        }
    }
    // A start may write the last frame once more before it builds on it; nothing else writes or syncs what is there.
    let places: BTreeSet<_> = frames.iter().map(|frame| (frame.place.0.as_str(), frame.place.1)).collect();
    let of_segments = calls.iter().filter(|call| call.file(data).is_some_and(is_segment));
    let (mut writes, mut syncs) = (0, 0);
    for call in of_segments {
        match call.name.as_str() {
            "pwrite64" if places.contains(&(call.file(data).unwrap_or_default(), call.offset())) => writes += 1,
            "pwrite64" | "write" => return Err(format!("a write that is no frame: {call:?}")),
            "fdatasync" => syncs += 1,
            _ => {}
        }
    }
    if syncs == writes { Ok(()) } else { Err(format!("{syncs} syncs for {writes} writes of frames")) }
}

/// What is synced, and why. Names of segments, people and tiles stand for all of theirs. Beside it only sled syncs what it likes:
/// it keeps nothing that can't be made again. Not among them: unfinished tiles and `nodes`.
const OWED: [(&str, &str); 12] = [
    ("fdatasync journal/N.seg", "a frame"),
    ("fsync journal/next.part", "the first segment, whole"),
    ("fsync journal/next.work", "the next segment, whole"),
    ("fdatasync journal/next.now", "the header of a new segment"),
    ("fsync journal", "the name of a new segment"),
    ("fsync keys/N.part", "the key of a person, before it is used"),
    ("fsync keys", "the names of keys"),
    ("fsync signing-key.part", "the signing key, before the log begins"),
    ("fsync .", "the name of the signing key"),
    ("fsync head.part", "the head outside the journal, so that a power cut leaves it whole"),
    ("fsync public/checkpoint.part", "the same in the public copy"),
    ("fsync public/tile/N.part", "a full tile, which is never written again"),
];

/// A sync, without the names that differ from run to run.
fn kind(call: &Call, file: &str) -> String {
    let plain = match file.split_once('/') {
        None if file.is_empty() => ".".to_owned(),
        Some(_) if is_segment(file) => "journal/N.seg".to_owned(),
        Some(("keys", _)) => "keys/N.part".to_owned(),
        Some(("public", name)) if name.starts_with("tile/") => "public/tile/N.part".to_owned(),
        Some(("sled", _)) => "sled/N".to_owned(),
        None | Some(_) => file.to_owned(),
    };
    format!("{} {plain}", call.name)
}

/// Between the two marks nothing is synced: nothing is owed.
fn quiet(calls: &[Call], data: &str) -> Result<(), String> {
    let mark = |words: &str| calls.iter().position(|call| call.says(words)).ok_or_else(|| format!("no {words}"));
    let (from, to) = (calls[mark("mark quiet")?].done, calls[mark("mark read")?].began);
    let needless = calls.iter().find(|call| {
        call.is_sync()
            && call.done > from
            && call.began < to
            && call.file(data).is_none_or(|file| !file.starts_with("sled/"))
    });
    needless.map_or(Ok(()), |call| Err(format!("a sync that nobody needs: {call:?}")))
}

#[test]
fn one_fdatasync_before_the_answers_of_each_batch_and_none_without_need() {
    let dir = tempfile::tempdir().unwrap();
    let (trace, data) = (dir.path().join("trace"), dir.path().join("log"));
    let watched = format!("trace=write,pwrite64,{}", SYNCS.join(","));
    let mut strace = Program::new("strace");
    strace.args(["-f", "-y", "-s", "96", "-e", &watched, "-o"]).arg(&trace);
    strace.args(["-e", &format!("inject=fdatasync:delay_enter={SYNC_MICROS}")]);
    strace.arg(std::env::current_exe().unwrap()).env(CHILD_READS, "1");
    let mut child = spawn(strace, &data, CALLERS, ENTRIES);
    let mut seen = Seen::default();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        seen.take(&line.unwrap());
    }
    assert!(child.wait().unwrap().success(), "strace is needed");
    assert_eq!(seen.leaves.len(), ENTRIES);
    let trace: Vec<String> = std::fs::read_to_string(&trace).unwrap().lines().map(str::to_owned).collect();
    let (calls, frames, data) = (Call::all(&trace), frames(&data), data.to_str().unwrap());

    assert_eq!(calls.iter().filter(|call| call.acknowledges().is_some()).count(), ENTRIES);
    assert_eq!(frames.last().unwrap().entries.end, ENTRIES as u64 + 1);
    let shared = frames.iter().filter(|frame| frame.entries.end - frame.entries.start > 1).count();
    assert!(shared * 2 > frames.len(), "{shared} of {} batches have more than one entry", frames.len());
    owed(&calls, &frames, data).unwrap_or_else(|words| panic!("{words}"));
    quiet(&calls, data).unwrap_or_else(|words| panic!("{words}"));

    let mut syncs = BTreeMap::<String, usize>::new();
    for call in calls.iter().filter(|call| call.is_sync()) {
        let file = call.file(data).unwrap_or_else(|| panic!("a sync of no file of the ledger: {call:?}"));
        *syncs.entry(kind(call, file)).or_default() += 1;
    }
    let seen: BTreeSet<&str> = syncs.keys().map(String::as_str).filter(|kind| !kind.ends_with(" sled/N")).collect();
    assert_eq!(seen, OWED.iter().map(|(kind, _)| *kind).collect(), "{syncs:#?}");
    println!(
        "{} frames, {shared} of more than one entry; {ENTRIES} answers, each after its sync: {syncs:#?}",
        frames.len()
    );

    the_watchman_is_awake(&trace, &frames, data);
}

/// The same trace with a fault in it is not let pass.
fn the_watchman_is_awake(trace: &[String], frames: &[Frame], data: &str) {
    let calls = Call::all(trace);
    let frame = frames.iter().rfind(|frame| frame.entries.end - frame.entries.start > 1).unwrap();
    let answer = calls.iter().find(|call| call.acknowledges() == Some(frame.entries.start)).unwrap();
    let (_, synced) = commit(&calls, frame, data).unwrap();
    let checked = |trace: &[String]| owed(&Call::all(trace), frames, data);
    // An answer while the sync is under way: between its two lines, or before its only one.
    let mut early = trace.to_vec();
    let line = early.remove(answer.began);
    early.insert(synced.done, line);
    assert!(checked(&early).unwrap_err().contains("before it was durable"));
    let mut missing = trace.to_vec();
    for at in [synced.done, synced.began] {
        missing[at].clear();
    }
    assert!(checked(&missing).is_err());
    let mut failed = trace.to_vec();
    failed[synced.done] = failed[synced.done].replace(" = 0", " = -1 EIO (Input/output error)");
    assert!(checked(&failed).unwrap_err().contains("failed"));
    let mut needless = trace.to_vec();
    let mark = calls.iter().find(|call| call.says("mark quiet")).unwrap().done;
    needless.insert(mark + 1, format!("1 fdatasync(9<{data}/journal/00000000.seg>) = 0"));
    assert!(checked(&needless).unwrap_err().contains("syncs for"));
    assert!(quiet(&Call::all(&needless), data).is_err());
}
