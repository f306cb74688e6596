//! Heads that were kept outside: what shows a cut tail, a rollback, a rewritten history, a fork.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{AllNodes, report::Freshness};
use crate::ledger::{
    check::Tip,
    fault::{Class, Fault, Faults},
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

/// Compares all anchors with the log and with each other.
pub(super) fn compare(anchors: &[Anchor], tip: &Tip, nodes: &AllNodes, faults: &mut Faults) -> Freshness {
    let before = faults.count();
    let mut agrees: Option<u64> = None;
    for (n, anchor) in anchors.iter().enumerate() {
        let head = &anchor.head;
        if let Some(fault) = stranger(anchor, tip) {
            faults.add(fault);
            continue;
        }
        let other = anchors.iter().take(n).find(|other| other.head.size == head.size && other.head.root != head.root);
        if other.is_some() {
            let words = format!("two anchors of {} entries have different roots: the log was forked", head.size);
            faults.add(Fault::of_log(Class::Fork, words));
        }
        match nodes.root(head.size) {
            None => {
                let words =
                    format!("an anchor is over {} entries and there are {}: the tail is gone", head.size, tip.size());
                faults.add(Fault::of_log(Class::Behind, words));
            }
            Some(root) if root == head.root => agrees = agrees.max(Some(head.size)),
            Some(_) => {
                let proof =
                    if anchor.note.is_some() { ", and both are signed: anyone can carry that as a proof" } else { "" };
                let words = format!(
                    "an anchor over {} entries has another root: the history was rewritten or forked{proof}",
                    head.size
                );
                faults.add(Fault::of_log(Class::Fork, words));
            }
        }
    }
    match agrees {
        _ if faults.count() > before => Freshness::Contradicted,
        None => Freshness::Unproven,
        Some(size) => Freshness::Anchored { size, after: tip.size() - size },
    }
}

/// Compares all anchors with the one head of a proof, and with each other. Only those of its size say something about it.
pub(super) fn compare_head(
    anchors: &[Anchor],
    head: &Checkpoint,
    key: &VerifierKey,
    faults: &mut Faults,
    remarks: &mut Vec<String>,
) -> Freshness {
    let (mut contradicted, mut agrees) = (false, false);
    let mut fault = |class, words: String| {
        contradicted = true;
        faults.add(Fault::of_log(class, words));
    };
    for (n, anchor) in anchors.iter().enumerate() {
        let Checkpoint { origin, size, root } = &anchor.head;
        if *origin != head.origin {
            fault(Class::Origin, format!("the anchor is of another log, `{origin}`"));
            continue;
        }
        if let Some(Err(error)) = anchor.note.as_ref().map(|note| note.check([key])) {
            fault(Class::Signature, format!("the anchor: {error}"));
            continue;
        }
        if anchors.iter().take(n).any(|other| other.head.size == *size && other.head.root != *root) {
            fault(Class::Fork, format!("two anchors of {size} entries have different roots: the log was forked"));
        } else if *size != head.size {
            remarks.push(format!(
                "an anchor is over {size} entries and the head of the proof over {}: a proof alone can't be compared with it",
                head.size
            ));
        } else if *root == head.root {
            agrees = true;
        } else {
            let words = format!("an anchor over {size} entries has another root: the history was rewritten or forked");
            fault(Class::Fork, words);
        }
    }
    match (contradicted, agrees) {
        (true, _) => Freshness::Contradicted,
        (false, true) => Freshness::Anchored { size: head.size, after: 0 },
        (false, false) => Freshness::Unproven,
    }
}

/// What makes an anchor one of another log.
fn stranger(anchor: &Anchor, tip: &Tip) -> Option<Fault> {
    if tip.opened.as_ref().is_some_and(|opened| opened.origin != anchor.head.origin) {
        let words = format!("the anchor is of another log, `{}`", anchor.head.origin);
        return Some(Fault::of_log(Class::Origin, words));
    }
    let note = anchor.note.as_ref()?;
    match tip.keys.signed(note, anchor.head.size) {
        Ok(false) => {
            let words = "the anchor is not signed by a key of this log that was live at its size";
            Some(Fault::of_log(Class::Signature, words))
        }
        Ok(true) => None,
        Err(error) => Some(Fault::of_log(Class::Signature, format!("the anchor: {error}"))),
    }
}
