//! Verifying a list of lines: what `log.jsonl` of an export holds. It carries no heads, so only chain, index and time can be checked.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    path::Path,
};

use super::{Report, Subject, VerifyOptions, Walked};
use crate::ledger::{
    check::Vouched,
    fault::{Class, Fault},
    files,
    line::LINE_MAX_BYTES,
};

/// How many lines are checked together.
const WAVE_LINES: usize = 8_192;

/// Reads one line of at most `most` bytes, and one more when it is longer; the rest of it is skipped. Nothing at the end.
pub(super) fn next_line(reader: &mut BufReader<File>, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = most as u64 + 2;
    if reader.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() as u64 == limit {
        reader.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

/// Whether a file that begins so is a list of something else than entries. One whose first line is no JSON, or has a member that
/// an entry has, may be a spoiled list of them.
pub(super) fn of_something_else(start: &[u8]) -> bool {
    let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let members = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(first);
    let of_an_entry = ["body", "kind", "prev"];
    let other = |members: serde_json::Map<_, _>| {
        !members.is_empty() && !of_an_entry.iter().any(|member| members.contains_key(*member))
    };
    // A long one is not read to its end.
    members.is_ok_and(other) || first.starts_with(b"{\"disclosure\":")
}

pub(super) fn verify(path: &Path, options: VerifyOptions<'_>) -> io::Result<Report> {
    let VerifyOptions { knows, anchors, key, progress, threads } = options;
    let file = files::open(path)?;
    let total = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    let mut walked = Walked::new(Subject::Lines, knows, threads, progress, total);
    loop {
        let mut lines = Vec::new();
        while lines.len() < WAVE_LINES
            && let Some(line) = next_line(&mut reader, LINE_MAX_BYTES)?
        {
            lines.push(line);
        }
        if lines.is_empty() {
            break;
        }
        walked.walk.lines(&lines, &Vouched::Unseen);
        walked.keep(lines.iter().map(|line| line.len() as u64 + 1).sum());
        if walked.given_up() {
            break;
        }
    }
    let (mut report, _, tip) = walked.conclude(&anchors, key.as_ref());
    if tip.keys.count() > 1 {
        let remark = "who vouched for the keys that came after the first one is not in the lines; verify the folder that they are from";
        report.remarks.push(remark.into());
    }
    report.remarks.push("lines alone carry no signed head: only chain, index and time were checked".into());
    Ok(report)
}

/// Compares the `log.jsonl` of an export, if there is one, with the root that its tiles gave.
pub(super) fn compare(path: &Path, report: &mut Report) {
    let mut options = VerifyOptions::new(|_| true);
    options.threads = 1;
    match verify(path, options) {
        Ok(lines) if lines.root == report.root && lines.size == report.size => {}
        Ok(lines) => {
            let first = lines.found().first().and_then(|fault| fault.index);
            let words = "`log.jsonl` holds other entries than the bundles";
            report.faults.add(Fault { index: first, class: Class::Tile, words: words.into() });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => report.faults.add(Fault::of_log(Class::Io, format!("`log.jsonl`: {error}"))),
    }
}
