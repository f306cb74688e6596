//! Heads that were kept outside: what shows a cut tail, a rollback, a rewritten history, a fork.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{AllNodes, Freshness, Report, Subject};
use crate::ledger::{
    check::Tip,
    fault::{Class, Fault},
    note::{Checkpoint, NOTE_MAX_BYTES, SignatureLine, SignedNote, VerifierKey, decode_hash, is_origin},
};

/// A head that was kept elsewhere: a checkpoint file, or the one line that is posted in a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// What it says.
    pub head: Checkpoint,
    note: Option<SignedNote>,
}

/// What is longer than this is no word of a language.
const WORD_MAX_BYTES: usize = 60;

/// The text holds no anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no checkpoint in it, and no line of the form `origin size root signature`")]
pub struct AnchorError;

impl Anchor {
    /// Finds the anchor in a text: a whole signed note, or a line of one, anywhere among other words.
    ///
    /// # Errors
    /// [`AnchorError`].
    pub fn parse(text: &str) -> Result<Self, AnchorError> {
        if text.len() > NOTE_MAX_BYTES {
            return Err(AnchorError);
        }
        if let Ok(note) = SignedNote::parse(text) {
            let head = Checkpoint::parse(&note.text).map_err(|_| AnchorError)?;
            return Ok(Self { head, note: Some(note) });
        }
        let words: Vec<&str> = text.split([' ', '\n', '\t', '`']).filter(|word| !word.is_empty()).collect();
        let signed = words.windows(4).find_map(Self::of_words);
        // What stands in the place of a signature and is none must not make the line one that nobody signed.
        let damaged = |rest: &[&str]| rest.first().is_some_and(|word| word.len() > WORD_MAX_BYTES);
        let unsigned = || {
            (0..words.len()).find_map(|at| {
                let (line, rest) = words.get(at..)?.split_at_checked(3)?;
                Self::of_words(line).filter(|_| !damaged(rest))
            })
        };
        signed.or_else(unsigned).ok_or(AnchorError)
    }

    fn of_words(words: &[&str]) -> Option<Self> {
        let [origin, size, root, rest @ ..] = words else { return None };
        let root = decode_hash(root)?;
        let head = Checkpoint { origin: (*origin).to_owned(), size: size.parse().ok()?, root };
        if !is_origin(origin) {
            return None;
        }
        let note = match rest {
            [signature, ..] => {
                let bytes = BASE64.decode(signature).ok()?;
                let (id, bytes) = bytes.split_first_chunk()?;
                let line = SignatureLine { name: head.origin.clone(), id: *id, bytes: bytes.to_vec() };
                Some(SignedNote { text: head.text(), signatures: vec![line] })
            }
            [] => None,
        };
        Some(Self { head, note })
    }

    /// The line of a signed head, fit for a chat: `origin size root signature`. `None` when the note is not a signed head.
    #[must_use]
    pub fn line(note: &str) -> Option<String> {
        let note = SignedNote::parse(note).ok()?;
        let head = Checkpoint::parse(&note.text).ok()?;
        let own = note.signatures.iter().rfind(|line| line.name == head.origin)?;
        let signature = BASE64.encode([&own.id[..], &own.bytes].concat());
        Some(format!("{} {} {} {signature}", head.origin, head.size, BASE64.encode(head.root)))
    }
}

/// Compares all anchors with the log and with each other. `keys_known` says whether all keys that may sign are known.
pub(super) fn compare(anchors: &[Anchor], tip: &Tip, nodes: &AllNodes, keys_known: bool, report: &mut Report) {
    let before = report.faults.count();
    // A copy is made once, and then the log grows.
    let older = match report.subject {
        Subject::Folder => "",
        Subject::Public | Subject::Lines | Subject::Proof | Subject::Unread => {
            ", or this copy is older than the anchor"
        }
    };
    let mut agrees: Option<(u64, bool)> = None;
    for (n, anchor) in anchors.iter().enumerate() {
        let head = &anchor.head;
        if let Some(opened) = tip.opened.as_ref().filter(|opened| opened.origin != head.origin) {
            report.stranger(&head.origin, &opened.origin);
            continue;
        }
        if head.size == 0 {
            report.remarks.push("an anchor over 0 entries pins nothing: give a later head".into());
            continue;
        }
        let signed = match signed(anchor, tip, keys_known) {
            Ok(signed) => signed,
            Err(words) => {
                report.faults.add(Fault::of_log(Class::Signature, words));
                continue;
            }
        };
        let other = anchors.iter().take(n).find(|other| other.head.size == head.size && other.head.root != head.root);
        if other.is_some() {
            let words = format!("two anchors of {} entries have different roots: the log was forked", head.size);
            report.faults.add(Fault::of_log(Class::Fork, words));
        }
        match nodes.root(head.size) {
            None => {
                let (anchored, there) = (head.size, tip.size());
                let words =
                    format!("an anchor is over {anchored} entries and there are {there}: the tail is gone{older}");
                report.faults.add(Fault::of_log(Class::Behind, words));
            }
            Some(root) if root == head.root => agrees = agrees.max(Some((head.size, signed))),
            Some(_) => {
                let proof = if signed { ", and both are signed: anyone can carry that as a proof" } else { "" };
                let words = format!(
                    "an anchor over {} entries has another root: the history was rewritten or forked{proof}",
                    head.size
                );
                report.faults.add(Fault::of_log(Class::Fork, words));
            }
        }
    }
    report.freshness = match agrees {
        _ if report.faults.count() > before => Freshness::Contradicted,
        None => Freshness::Unproven,
        Some((size, signed)) => {
            report.as_good_as_kept(size, signed);
            Freshness::Anchored { size, after: tip.size() - size }
        }
    };
}

/// Compares all anchors with the one head of a proof, and with each other. Only those of its size say something about it.
pub(super) fn compare_head(anchors: &[Anchor], head: &Checkpoint, key: &VerifierKey, report: &mut Report) {
    let before = report.faults.count();
    let mut agrees = None;
    for (n, anchor) in anchors.iter().enumerate() {
        let Checkpoint { origin, size, root } = &anchor.head;
        if *origin != head.origin {
            report.stranger(origin, &head.origin);
            continue;
        }
        let signed = match anchor.note.as_ref().map_or(Ok(0), |note| note.check([key])) {
            Ok(signatures) => signatures > 0,
            Err(error) => {
                report.faults.add(Fault::of_log(Class::Signature, format!("the anchor: {error}")));
                continue;
            }
        };
        if anchors.iter().take(n).any(|other| other.head.size == *size && other.head.root != *root) {
            let words = format!("two anchors of {size} entries have different roots: the log was forked");
            report.faults.add(Fault::of_log(Class::Fork, words));
        } else if *size != head.size {
            report.remarks.push(format!(
                "an anchor is over {size} entries and the head of the proof over {}: a proof alone can't be compared with it",
                head.size
            ));
        } else if *root == head.root {
            agrees = agrees.max(Some(signed));
        } else {
            let words = format!("an anchor over {size} entries has another root: the history was rewritten or forked");
            report.faults.add(Fault::of_log(Class::Fork, words));
        }
    }
    report.freshness = match agrees {
        _ if report.faults.count() > before => Freshness::Contradicted,
        None => Freshness::Unproven,
        Some(signed) => {
            report.as_good_as_kept(head.size, signed);
            Freshness::Anchored { size: head.size, after: 0 }
        }
    };
}

impl Report {
    /// Says that an anchor is of another log.
    fn stranger(&mut self, origin: &str, own: &str) {
        let words = format!(
            "this anchor is of another log, `{origin}`, and what was verified is of `{own}`: either the wrong anchor was given, \
             or another log was put in the place of that one"
        );
        let before = self.faults.count();
        self.faults.add(Fault::of_log(Class::Origin, words));
        self.strange_anchors += self.faults.count() - before;
    }

    /// Says what an anchor is worth that nobody is seen to have signed.
    fn as_good_as_kept(&mut self, size: u64, signed: bool) {
        if !signed {
            self.remarks.push(format!(
                "the anchor over {size} entries bears no signature that was checked, so it is as good as the place where it was kept"
            ));
        }
    }
}

/// Whether a key of the log is seen to have signed an anchor of the same name. Where not all keys are known, one that none of
/// those signed is one that nobody is seen to have signed.
fn signed(anchor: &Anchor, tip: &Tip, keys_known: bool) -> Result<bool, String> {
    let Some(note) = &anchor.note else { return Ok(false) };
    match tip.keys.signed(note, anchor.head.size) {
        Ok(false) if keys_known => {
            Err("the anchor is not signed by a key of this log that was live at its size".into())
        }
        Ok(signed) => Ok(signed),
        Err(error) => Err(format!("the anchor: {error}")),
    }
}
