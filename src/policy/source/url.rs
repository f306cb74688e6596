//! A URL that answers with a JSON list of names, emails or accounts.

use super::{Ask, http};

/// People in one list.
const PEOPLE_MAX: usize = 10_000;

pub struct List(pub String);

impl Ask for List {
    fn ask(&self) -> Result<Vec<String>, String> {
        let answer = http::get("its URL", &self.0, None, "application/json")?;
        let list = answer.as_array().filter(|list| list.len() <= PEOPLE_MAX);
        let list = list.ok_or_else(|| format!("its URL's answer is no list of at most {PEOPLE_MAX} names"))?;
        let names: Option<Vec<String>> = list.iter().map(|name| name.as_str().map(str::to_owned)).collect();
        names.ok_or_else(|| "its URL's list holds what is no text".to_owned())
    }
}
