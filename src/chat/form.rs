//! Forms and structured commands: what stands in one field is never read as the words of another, whatever it says.

use std::collections::BTreeMap;

use super::{card::Button, grammar};
use crate::access::{Action, Finding, Refusal, Span};

/// The fields' names.
pub mod field {
    /// A request's number.
    pub const ID: &str = "id";
    /// A resource.
    pub const RESOURCE: &str = "resource";
    /// For how long.
    pub const DURATION: &str = "duration";
    /// Why.
    pub const REASON: &str = "reason";
    /// When it is to start.
    pub const FROM: &str = "from";
    /// For less time than was asked.
    pub const FOR: &str = "for";
    /// A comment.
    pub const COMMENT: &str = "comment";
    /// What a review found.
    pub const FINDING: &str = "finding";
    /// What it has to say.
    pub const NOTES: &str = "notes";
    /// A person.
    pub const PERSON: &str = "person";
    /// How long somebody may ask.
    pub const WITHIN: &str = "within";
    /// Words to look for.
    pub const WORDS: &str = "words";
}

use field::{COMMENT, DURATION, FINDING, FOR, FROM, ID, NOTES, PERSON, REASON, RESOURCE, WITHIN, WORDS};

/// A form as it was filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// The word of the grammar that it is for; of a form behind a button, the button's.
    pub word: String,
    /// The button that opened it, if one did.
    pub behind: Option<Button>,
    /// What stands in it, by [`field`].
    pub fields: BTreeMap<String, String>,
}

impl Form {
    /// For a word of the grammar.
    #[must_use]
    pub fn new(word: &str, fields: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { word: word.to_owned(), behind: None, fields }
    }

    fn of(&self, name: &str) -> &str {
        self.fields.get(name).map(|text| text.trim()).unwrap_or_default()
    }

    /// The words that are recorded: the line that says the same, as far as a line can.
    #[must_use]
    pub fn words(&self) -> String {
        let of = |name: &str| self.of(name).to_owned();
        let with = |name: &str| match of(name) {
            text if text.is_empty() => text,
            text => format!("{name} {text}"),
        };
        let join = |parts: Vec<String>| parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        if let Some(button) = self.behind {
            let said = join([FOR, DURATION, COMMENT, REASON].map(of).into());
            let colon = if said.is_empty() { "" } else { ": " };
            return format!("{} {}{colon}{said}", button.word(), of(ID));
        }
        let rest = match self.word.as_str() {
            "request" => vec![of(RESOURCE), of(DURATION), with(FROM), of(REASON)],
            "break-glass" => vec![of(RESOURCE), of(DURATION), of(REASON)],
            "extend" => vec![of(ID), of(DURATION), of(REASON)],
            "approve" => vec![of(ID), with(FOR), of(COMMENT)],
            "review" => vec![of(ID), of(FINDING), of(NOTES)],
            "allow" => vec![of(PERSON), of(RESOURCE), of(DURATION), with(WITHIN), of(REASON)],
            "deny" | "revoke" => vec![of(ID), of(REASON)],
            "log" => vec![of(WORDS)],
            _ => vec![of(ID)],
        };
        join(std::iter::once(self.word.clone()).chain(rest).collect())
    }

    /// What it asks for.
    ///
    /// # Errors
    /// [`Refusal::Words`] for a field that can't be read, with what would be.
    pub fn read(&self) -> Result<Action, Refusal> {
        let text = |name: &str| self.of(name).to_owned();
        let id = || match grammar::id(&self.word, self.of(ID))? {
            (request, "") => Ok(request),
            (_, more) => Err(Refusal::Words(format!("`{}` is more than a request's number", grammar::shorten(more)))),
        };
        match self.word.as_str() {
            "request" => {
                let start = match self.of(FROM) {
                    "" => None,
                    moment => Some(grammar::start(moment)?),
                };
                let (resource, span) = self.wish()?;
                Ok(Action::Request { resource, span, reason: text(REASON), plan: Vec::new(), start })
            }
            "break-glass" => {
                let (resource, span) = self.wish()?;
                Ok(Action::BreakGlass { resource, span, reason: text(REASON), plan: Vec::new() })
            }
            "extend" => {
                Ok(Action::Extend { request: id()?, span: self.span(DURATION, "`30m`")?, reason: text(REASON) })
            }
            "approve" | "approve-less" => {
                let whole = self.word == "approve" && self.of(FOR).is_empty();
                let span = if whole { None } else { Some(self.span(FOR, "`15m`")?) };
                Ok(Action::Approve { request: id()?, span, comment: text(COMMENT) })
            }
            "deny" => Ok(Action::Deny { request: id()?, reason: text(REASON) }),
            "revoke" => Ok(Action::Revoke { request: id()?, reason: text(REASON) }),
            "review" => {
                let finding = [Finding::Ok, Finding::Concern].into_iter().find(|one| one.word() == self.of(FINDING));
                let finding = finding.ok_or_else(|| Refusal::Words("say what you found: `ok` or `concern`".into()))?;
                Ok(Action::Review { request: id()?, finding, notes: text(NOTES) })
            }
            "allow" => {
                let (resource, span) = self.wish()?;
                let window = match self.of(WITHIN) {
                    "" => grammar::usual_window(),
                    _ => self.span(WITHIN, "`8h`")?,
                };
                let person = self.of(PERSON).trim_start_matches('@').to_owned();
                Ok(Action::Allow { person, resource, span, window, reason: text(REASON) })
            }
            "log" => Ok(Action::Log { words: self.of(WORDS).split_whitespace().map(str::to_owned).collect() }),
            // These say no more than a number, or nothing: there is nothing to mistake.
            word => grammar::read(&super::Input::Line(format!("{word} {}", self.of(ID)))),
        }
    }

    /// What is asked for, and for how long.
    fn wish(&self) -> Result<(String, Span), Refusal> {
        let resource = self.of(RESOURCE);
        if resource.is_empty() {
            return Err(Refusal::Words("say what you need, for how long, and why".into()));
        }
        Ok((resource.to_owned(), self.span(DURATION, "`30m`")?))
    }

    fn span(&self, name: &str, example: &str) -> Result<Span, Refusal> {
        match self.of(name) {
            "" => Err(Refusal::Words(format!("say for how long, for example {example}"))),
            span => grammar::duration_of(span, example),
        }
    }
}

#[cfg(test)]
mod tests;
