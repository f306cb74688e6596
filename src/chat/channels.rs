//! Which channel of a platform is meant by a name of ours.

use std::collections::BTreeMap;

/// The channels of one platform.
#[derive(Debug, Clone)]
pub struct Channels {
    /// Where everything goes that has no channel of its own here: the platform's id.
    pub usual: String,
    /// The platform's ids by our names.
    pub named: BTreeMap<String, String>,
    /// Whether a text can be an id of the platform's.
    pub is_id: fn(&str) -> bool,
}

impl Channels {
    /// The id behind a name of ours; a text that is itself an id is meant as it stands.
    #[must_use]
    pub fn id<'a>(&'a self, name: &'a str) -> &'a str {
        let name = name.trim_start_matches('#');
        match self.named.get(name) {
            Some(id) => id,
            None if (self.is_id)(name) => name,
            None => &self.usual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_an_id_and_the_rest() {
        let named = BTreeMap::from([("security".to_owned(), "C0000000002".to_owned())]);
        let is_id = |text: &str| text.starts_with('C');
        let channels = Channels { usual: "C0000000001".to_owned(), named, is_id };
        let id = |name| channels.id(name).to_owned();
        assert_eq!(id("security"), "C0000000002");
        assert_eq!(id("#security"), "C0000000002");
        assert_eq!(id("C0000000003"), "C0000000003");
        assert_eq!(id("approvals"), "C0000000001");
    }
}
