//! Searching the ledger: entries in words, the newest first.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::{
    access::{EVIDENCE, SubjectId},
    ledger::{Disclosed, Entry},
};

/// Who is who, by id.
pub type Names = BTreeMap<SubjectId, String>;

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub struct Search {
    words: Vec<String>,
    /// Whose entries alone may be seen; `None` for whoever may see all.
    own: Option<SubjectId>,
    names: Names,
    requesters: HashMap<u64, Option<SubjectId>>,
}

impl Search {
    /// For entries that have all of these words, in the kind, the body or what can be read of the personal data; `own`:
    /// only those that this person wrote or that are about what they asked for.
    #[must_use]
    pub fn new(words: &[String], own: Option<SubjectId>, names: Names) -> Self {
        let words = words.iter().map(|word| word.to_lowercase()).collect();
        Self { words, own, names, requesters: HashMap::new() }
    }

    /// The entry in words, if it is one that is looked for. `at` reads an entry by its index.
    pub fn find(&mut self, entry: &Entry, at: impl FnOnce(u64) -> Option<Entry>) -> Option<String> {
        if !self.may_see(entry, at) {
            return None;
        }
        let text = told(entry, &self.names);
        let haystack = format!("#{} {} {text}", entry.seq, entry.kind).to_lowercase();
        self.words.iter().all(|word| haystack.contains(word)).then_some(text)
    }

    fn may_see(&mut self, entry: &Entry, at: impl FnOnce(u64) -> Option<Entry>) -> bool {
        let Some(own) = self.own else { return true };
        let id = own.to_string();
        if entry.body.values().any(|value| value.as_str() == Some(&id)) {
            return true;
        }
        // What was said in a request's thread concerns whoever asked for it.
        let request = entry.body.get("request").or_else(|| entry.body.get("thread")?.get("request"));
        let Some(request) = request.and_then(Value::as_u64) else { return false };
        let requester = self.requesters.entry(request).or_insert_with(|| requester_of(&at(request)?));
        *requester == Some(own)
    }
}

fn requester_of(entry: &Entry) -> Option<SubjectId> {
    entry.body.get("requester")?.as_str()?.parse().ok()
}

/// An entry in words: what can be read of the personal data, and the body. People are called by name where `names` has one.
#[must_use]
pub fn told(entry: &Entry, names: &Names) -> String {
    let mut text = String::new();
    for disclosed in &entry.disclosed {
        match disclosed {
            // It is said in the text already, and may hold what lets one answer in our name for a quarter of an hour.
            Disclosed::Open(open) if open.name == EVIDENCE => text.push_str(" (signed by the platform)"),
            Disclosed::Open(open) => text.extend([" ", &open.name, "=", &format!("{:?}", open.value)]),
            Disclosed::Erased { .. } => text.push_str(" (erased)"),
            Disclosed::Locked { why, .. } => text.extend([" (can't be opened: ", &why.to_string(), ")"]),
        }
    }
    for (key, value) in &entry.body {
        let value = named(value, names);
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.extend([" ", key, "=", &value]);
    }
    text.trim_start().to_owned()
}

/// The same with the names of people in the place of their ids, where several are called at once too.
fn named(value: &Value, names: &Names) -> Value {
    match value {
        Value::String(text) => {
            let name = text.parse().ok().and_then(|id: SubjectId| names.get(&id));
            Value::String(name.unwrap_or(text).clone())
        }
        Value::Array(values) => values.iter().map(|value| named(value, names)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.clone(),
    }
}
