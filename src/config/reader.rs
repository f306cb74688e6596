//! Reads tables key by key and gathers every mistake, where serde would stop at the first.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::BTreeSet,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::problem::{Problem, Source, nearest};

/// One file while it is read.
pub struct Reader<'a> {
    source: Source<'a>,
    problems: RefCell<Vec<Problem>>,
    /// Mistakes on lines that are never shown, and of which nothing else is told.
    secrets: RefCell<Vec<Problem>>,
    broken: Cell<bool>,
    /// Every table and key that was asked for, for holding the schemas against it.
    #[cfg(test)]
    pub(super) asked: RefCell<BTreeSet<(String, String)>>,
}

/// One table of it. Keys that nobody asked for are reported when [`Table::finish`] is called.
pub struct Table<'r, 'a> {
    reader: &'r Reader<'a>,
    keys: &'r DeTable<'a>,
    offset: usize,
    asked: RefCell<BTreeSet<&'static str>>,
    /// The file and the tables it is within.
    #[cfg(test)]
    path: String,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stands, a byte offset.
    pub offset: usize,
}

impl<'a> Reader<'a> {
    /// Starts to read a file.
    pub fn new(source: Source<'a>) -> Self {
        Self {
            source,
            problems: RefCell::default(),
            secrets: RefCell::default(),
            broken: Cell::new(false),
            #[cfg(test)]
            asked: RefCell::default(),
        }
    }

    /// The file as a table; its syntax errors are reported.
    pub fn parse(&self) -> Spanned<DeTable<'a>> {
        let (table, errors) = DeTable::parse_recoverable(self.source.text);
        for error in errors {
            let offset = error.span().map_or(0, |span| span.start);
            let words = error.message().to_owned();
            self.problems.borrow_mut().push(self.source.problem(offset, words, None));
            self.broken.set(true);
        }
        table
    }

    /// Notes a mistake. In a file whose syntax is broken only the syntax is: the rest would follow from it.
    pub fn report(&self, offset: usize, words: impl Into<String>, hint: Option<String>) {
        if self.broken.get() {
            return;
        }
        self.problems.borrow_mut().push(self.source.problem(offset, words, hint));
    }

    /// Notes what is probably a mistake, though the config can be used.
    pub fn warn(&self, offset: usize, words: impl Into<String>, hint: Option<String>) {
        if self.broken.get() {
            return;
        }
        let problem = Problem { warning: true, ..self.source.problem(offset, words, hint) };
        self.problems.borrow_mut().push(problem);
    }

    /// Notes a secret. Its line is not shown, and whatever else is wrong in it is not told.
    pub fn report_secret(&self, offset: usize, words: String, hint: String) {
        let problem = self.source.problem(offset, words, Some(hint));
        self.secrets.borrow_mut().push(Problem { source: None, ..problem });
    }

    /// A table to be read.
    pub fn table<'r>(&'r self, table: &'r Spanned<DeTable<'a>>) -> Table<'r, 'a> {
        Table {
            reader: self,
            keys: table.get_ref(),
            offset: table.span().start,
            asked: RefCell::default(),
            #[cfg(test)]
            path: self.source.file.to_owned(),
        }
    }

    /// Whether the file's syntax holds.
    pub fn sound(&self) -> bool {
        !self.broken.get()
    }

    /// All mistakes, in the file's order.
    pub fn into_problems(self) -> Vec<Problem> {
        let (mut problems, secrets) = (self.problems.into_inner(), self.secrets.into_inner());
        problems.retain(|problem| secrets.iter().all(|secret| secret.line != problem.line));
        problems.extend(secrets);
        problems.sort();
        problems
    }
}

impl<'r, 'a> Table<'r, 'a> {
    /// Where the table starts.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The reader behind it.
    pub fn reader(&self) -> &'r Reader<'a> {
        self.reader
    }

    /// A key's value, whatever it is.
    pub fn value(&self, key: &'static str) -> Option<&'r Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().insert(key);
        #[cfg(test)]
        self.reader.asked.borrow_mut().insert((self.path.clone(), key.to_owned()));
        self.keys.get(key)
    }

    /// A value that has to be there.
    pub fn need<T>(&self, key: &'static str, value: Option<T>, example: &str) -> Option<T> {
        if value.is_none() && self.keys.get(key).is_none() {
            self.reader.report(self.offset, format!("`{key}` is missing"), Some(format!("for example `{example}`")));
        }
        value
    }

    /// A text.
    pub fn text(&self, key: &'static str) -> Option<Placed<String>> {
        let value = self.value(key)?;
        self.text_of(key, value)
    }

    fn text_of(&self, key: &str, value: &Spanned<DeValue<'a>>) -> Option<Placed<String>> {
        let offset = value.span().start;
        match value.get_ref() {
            DeValue::String(text) => Some(Placed { value: text.clone().into_owned(), offset }),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.reader.report(offset, format!("`{key}` is to be a text in quotes"), None);
                None
            }
        }
    }

    /// A whole number.
    pub fn integer(&self, key: &'static str) -> Option<Placed<i64>> {
        let value = self.value(key)?;
        let offset = value.span().start;
        if let DeValue::Integer(number) = value.get_ref()
            && let Ok(number) = i64::from_str_radix(number.as_str(), number.radix())
        {
            return Some(Placed { value: number, offset });
        }
        self.reader.report(offset, format!("`{key}` is to be a whole number"), None);
        None
    }

    /// A yes or no.
    pub fn flag(&self, key: &'static str) -> Option<Placed<bool>> {
        let value = self.value(key)?;
        let offset = value.span().start;
        if let DeValue::Boolean(flag) = value.get_ref() {
            return Some(Placed { value: *flag, offset });
        }
        self.reader.report(offset, format!("`{key}` is to be `true` or `false`"), None);
        None
    }

    /// A text that is read again later, and reported then if it is none.
    pub fn peek_text(&self, key: &str) -> Option<String> {
        match self.keys.get(key)?.get_ref() {
            DeValue::String(text) => Some(text.clone().into_owned()),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => None,
        }
    }

    /// A list of texts.
    pub fn texts(&self, key: &'static str) -> Option<Vec<Placed<String>>> {
        let value = self.value(key)?;
        let offset = value.span().start;
        let DeValue::Array(items) = value.get_ref() else {
            self.reader.report(offset, format!("`{key}` is to be a list of texts, `[\"…\"]`"), None);
            return None;
        };
        Some(items.iter().filter_map(|item| self.text_of(key, item)).collect())
    }

    /// All texts of a table whose keys are chosen freely.
    pub fn all_texts(&self) -> Vec<(String, Placed<String>)> {
        let texts = self.keys.iter().filter_map(|(key, value)| {
            let name: &Cow<'_, str> = key.get_ref();
            Some((name.to_string(), self.text_of(name, value)?))
        });
        texts.collect()
    }

    /// A table within.
    pub fn inner(&self, key: &'static str) -> Option<Table<'r, 'a>> {
        let value = self.value(key)?;
        let offset = value.span().start;
        if let DeValue::Table(table) = value.get_ref() {
            return Some(self.within(key, table, offset));
        }
        self.reader.report(offset, format!("`{key}` is to be a table, `[{key}]`"), None);
        None
    }

    fn within(&self, key: &str, keys: &'r DeTable<'a>, offset: usize) -> Table<'r, 'a> {
        #[cfg(not(test))]
        let _ = key;
        Table {
            reader: self.reader,
            keys,
            offset,
            asked: RefCell::default(),
            #[cfg(test)]
            path: format!("{}/{key}", self.path),
        }
    }

    /// A list of tables, `[[key]]`.
    pub fn tables(&self, key: &'static str) -> Vec<Table<'r, 'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let wrong =
            |offset| self.reader.report(offset, format!("`{key}` is to be a list of tables, `[[{key}]]`"), None);
        let DeValue::Array(items) = value.get_ref() else {
            wrong(value.span().start);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            let offset = item.span().start;
            if let DeValue::Table(table) = item.get_ref() {
                tables.push(self.within(key, table, offset));
            } else {
                wrong(offset);
            }
        }
        tables
    }

    /// Reports the keys nobody asked for; `also` are known keys that are read elsewhere.
    pub fn finish(self, also: &[&str]) {
        let asked = self.asked.borrow();
        for (key, _) in self.keys {
            let name: &Cow<'_, str> = key.get_ref();
            if asked.contains(name.as_ref()) || also.contains(&name.as_ref()) {
                continue;
            }
            let known = asked.iter().copied().chain(also.iter().copied());
            let hint = nearest(name, known.clone()).map_or_else(
                || format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            self.reader.report(key.span().start, format!("unknown key `{name}`"), Some(hint));
        }
    }
}
