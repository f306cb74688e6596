//! Names that people take for each other: `admin1` and `adminl`.

use std::collections::BTreeMap;

use unicode_security::skeleton;

use super::reader::Reader;

/// The names of one kind that were seen.
pub struct LookAlikes {
    kind: &'static str,
    seen: BTreeMap<String, String>,
}

impl LookAlikes {
    pub fn new(kind: &'static str) -> Self {
        Self { kind, seen: BTreeMap::new() }
    }

    /// Warns where a name looks like one that was seen before (Unicode's confusables, UTS 39), or differs from it only in
    /// case.
    pub fn see(&mut self, reader: &Reader<'_>, name: &str, offset: usize) {
        let bare: String = skeleton(&skeleton(name).collect::<String>().to_lowercase()).collect();
        match self.seen.get(&bare) {
            Some(other) if other != name => {
                let words = format!("the {} `{name}` looks like `{other}`", self.kind);
                reader.warn(offset, words, Some("one will be taken for the other; rename one".into()));
            }
            Some(_) => {}
            None => drop(self.seen.insert(bare, name.to_owned())),
        }
    }
}
