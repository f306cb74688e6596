//! Conditions that can't be meant: tags that no resource has, hours that no clock shows, windows that nothing is in.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use serde_json::Value;

use super::{Facts, book::Remark};

/// A part of the moment that goes around, and how far.
struct Dial {
    /// What it is called in `context`.
    name: &'static str,
    first: i64,
    last: i64,
    /// What to know about it.
    words: &'static str,
}

const DIALS: [Dial; 4] = [
    Dial { name: "hour", first: 0, last: 23, words: "hours go from 0 to 23" },
    Dial { name: "minute", first: 0, last: 59, words: "minutes go from 0 to 59" },
    Dial { name: "minutesOfDay", first: 0, last: 1439, words: "the minutes of a day go from 0 to 1439" },
    Dial { name: "weekday", first: 1, last: 7, words: "days go from 1, a Monday, to 7, a Sunday" },
];

/// What can't be meant in a policy that starts at `start` in its text.
pub(super) fn doubts(policy: &Policy, start: usize, text: &str, facts: Option<&Facts>) -> Vec<Remark> {
    let Ok(json) = policy.to_json() else { return Vec::new() };
    let clauses: Vec<(bool, &Value)> = json
        .get("conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|clause| Some((clause.get("kind")?.as_str()? == "unless", clause.get("body")?)))
        .collect();
    let own = text.get(start..).unwrap_or_default();
    let place = Place { id: policy.id().to_string(), start, own };
    let mut remarks = Vec::new();
    if let Some(facts) = facts {
        let mut tags = BTreeSet::new();
        for (_, body) in &clauses {
            tags_in(body, &mut tags);
        }
        remarks.extend(tags.iter().filter_map(|tag| place.unknown_tag(tag, facts)));
    }
    for dial in &DIALS {
        let mut walk = Walk { dial, place: &place, remarks: Vec::new() };
        let mut all = Outcomes::unknown(dial);
        for (unless, body) in &clauses {
            let said = walk.outcomes(body);
            all = walk.both(&all, &if *unless { said.turned() } else { said });
        }
        remarks.append(&mut walk.remarks);
    }
    remarks
}

/// Where a policy stands.
struct Place<'a> {
    id: String,
    start: usize,
    own: &'a str,
}

impl Place<'_> {
    fn remark(&self, offset: Option<usize>, words: &str, hint: String) -> Remark {
        let offset = self.start + offset.unwrap_or_default();
        Remark { offset, words: format!("policy `{}`: {words}", self.id), hint: Some(hint), warning: true }
    }

    fn unknown_tag(&self, tag: &str, facts: &Facts) -> Option<Remark> {
        let known: BTreeSet<&str> =
            facts.resources().values().flat_map(|guarded| guarded.tags.iter().map(String::as_str)).collect();
        if known.contains(tag) {
            return None;
        }
        let near = known
            .iter()
            .map(|known| (strsim::damerau_levenshtein(known, tag), *known))
            .filter(|(distance, known)| *distance <= known.chars().count() / 3 + 1)
            .min();
        let hint = near.map_or_else(
            || "put it into the `tags` of a resource, or take the condition out".to_owned(),
            |(_, near)| format!("did you mean `{near}`?"),
        );
        let offset = self.own.find(&format!("{tag:?}"));
        Some(self.remark(offset, &format!("no resource has the tag `{tag}`"), hint))
    }

    /// Where `context.<name>` stands, the one that this number is nearest behind if there is one.
    fn of_dial(&self, name: &str, number: Option<i64>) -> Option<usize> {
        let whole = format!("context.{name}");
        let all = self.own.match_indices(&whole).map(|(at, _)| at).filter(|at| {
            let after = self.own.get(at + whole.len()..).and_then(|rest| rest.chars().next());
            after.is_none_or(|after| !after.is_alphanumeric())
        });
        let digits = number.map(|number| number.unsigned_abs().to_string()).unwrap_or_default();
        let how_near = |at: &usize| {
            let line = self.own.get(*at..).and_then(|rest| rest.lines().next()).unwrap_or_default();
            line.find(&digits).unwrap_or(usize::MAX)
        };
        all.min_by_key(how_near)
    }
}

/// The values of a dial for which a condition may be true, and for which it may be false.
#[derive(Debug, Clone)]
struct Outcomes {
    yes: Vec<bool>,
    no: Vec<bool>,
}

impl Outcomes {
    /// Of a condition that has nothing to do with the dial.
    fn unknown(dial: &Dial) -> Self {
        let all: Vec<bool> = (dial.first..=dial.last).map(|_| true).collect();
        Self { yes: all.clone(), no: all }
    }

    fn of(dial: &Dial, holds: impl Fn(i64) -> bool) -> Self {
        let yes: Vec<bool> = (dial.first..=dial.last).map(holds).collect();
        Self { no: yes.iter().map(|yes| !yes).collect(), yes }
    }

    fn turned(self) -> Self {
        Self { yes: self.no, no: self.yes }
    }

    fn never(&self) -> bool {
        !self.yes.contains(&true)
    }

    fn always(&self) -> bool {
        !self.no.contains(&true)
    }
}

/// A walk through a condition with one dial in mind.
struct Walk<'a> {
    dial: &'a Dial,
    place: &'a Place<'a>,
    remarks: Vec<Remark>,
}

impl Walk<'_> {
    fn outcomes(&mut self, condition: &Value) -> Outcomes {
        let Some((word, inner)) = one(condition) else { return Outcomes::unknown(self.dial) };
        match (word, sides(inner)) {
            ("&&", Some((left, right))) => {
                let (left, right) = (self.outcomes(left), self.outcomes(right));
                self.both(&left, &right)
            }
            ("||", Some((left, right))) => {
                let (left, right) = (self.outcomes(left), self.outcomes(right));
                self.either(left, right)
            }
            ("!", _) => match inner.get("arg") {
                Some(inner) => self.outcomes(inner).turned(),
                None => Outcomes::unknown(self.dial),
            },
            ("contains", Some((set, member))) if self.is_dial(member) => match numbers(set) {
                Some(numbers) => self.one_of(&numbers),
                None => Outcomes::unknown(self.dial),
            },
            (_, Some((left, right))) => self.compared(word, left, right),
            (_, None) => Outcomes::unknown(self.dial),
        }
    }

    /// Both are to be so.
    fn both(&mut self, left: &Outcomes, right: &Outcomes) -> Outcomes {
        let (possible, out) = (!left.never() && !right.never(), merge(left, right));
        if possible && out.never() {
            let name = self.dial.name;
            let words = format!("what it asks of `context.{name}` can't be so all at once");
            let hint = format!("a time over the end is two: `context.{name} >= … || context.{name} < …`");
            self.remarks.push(self.place.remark(self.place.of_dial(name, None), &words, hint));
        }
        out
    }

    /// One of them is to be so.
    fn either(&mut self, left: Outcomes, right: Outcomes) -> Outcomes {
        let open = !left.always() && !right.always();
        let out = merge(&left.turned(), &right.turned()).turned();
        if open && out.always() {
            let name = self.dial.name;
            let words = format!("one of what it asks of `context.{name}` is always so");
            let hint = format!("a time within a day is both: `context.{name} >= … && context.{name} < …`");
            self.remarks.push(self.place.remark(self.place.of_dial(name, None), &words, hint));
        }
        out
    }

    fn one_of(&mut self, numbers: &[i64]) -> Outcomes {
        for number in numbers {
            if !self.shows(*number) {
                self.impossible(*number, &format!("`context.{}` is never {number}", self.dial.name));
            }
        }
        Outcomes::of(self.dial, |value| numbers.contains(&value))
    }

    fn compared(&mut self, word: &str, left: &Value, right: &Value) -> Outcomes {
        let (word, number) = match (self.is_dial(left), number(right), number(left), self.is_dial(right)) {
            (true, Some(number), ..) => (word, number),
            (.., Some(number), true) => (turned(word), number),
            (..) => return Outcomes::unknown(self.dial),
        };
        let holds: fn(i64, i64) -> bool = match word {
            "==" => |value, number| value == number,
            "!=" => |value, number| value != number,
            "<" => |value, number| value < number,
            "<=" => |value, number| value <= number,
            ">" => |value, number| value > number,
            ">=" => |value, number| value >= number,
            _ => return Outcomes::unknown(self.dial),
        };
        let out = Outcomes::of(self.dial, |value| holds(value, number));
        // The first that is not there any more is how a range is closed: `hour < 24`.
        let end = (self.dial.first - 1..=self.dial.last + 1).contains(&number);
        let equal = matches!(word, "==" | "!=") && !self.shows(number);
        if out.never() || equal || !end {
            let so = if out.never() { "never" } else { "always" };
            self.impossible(number, &format!("`context.{} {word} {number}` is {so} so", self.dial.name));
        }
        out
    }

    fn impossible(&mut self, number: i64, words: &str) {
        let offset = self.place.of_dial(self.dial.name, Some(number));
        self.remarks.push(self.place.remark(offset, words, self.dial.words.to_owned()));
    }

    fn shows(&self, number: i64) -> bool {
        (self.dial.first..=self.dial.last).contains(&number)
    }

    fn is_dial(&self, value: &Value) -> bool {
        is_attribute(value, "context", self.dial.name)
    }
}

fn merge(left: &Outcomes, right: &Outcomes) -> Outcomes {
    let pairs = |left: &[bool], right: &[bool], of: fn(bool, bool) -> bool| {
        left.iter().zip(right).map(|(left, right)| of(*left, *right)).collect()
    };
    Outcomes {
        yes: pairs(&left.yes, &right.yes, |left, right| left && right),
        no: pairs(&left.no, &right.no, |left, right| left || right),
    }
}

/// The words that are held against the resource's tags.
fn tags_in(condition: &Value, tags: &mut BTreeSet<String>) {
    if let Some((word, inner)) = one(condition)
        && let Some((left, right)) = sides(inner)
        && ["contains", "containsAll", "containsAny", "=="].contains(&word)
    {
        for (of, other) in [(left, right), (right, left)] {
            if is_attribute(of, "resource", "tags") {
                let members =
                    other.get("Set").and_then(Value::as_array).map_or(std::slice::from_ref(other), Vec::as_slice);
                tags.extend(members.iter().filter_map(|member| member.get("Value")?.as_str()).map(str::to_owned));
            }
        }
    }
    match condition {
        Value::Array(items) => items.iter().for_each(|item| tags_in(item, tags)),
        Value::Object(fields) => fields.values().for_each(|item| tags_in(item, tags)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What an expression is, and what of: it is an object with one field.
fn one(expression: &Value) -> Option<(&str, &Value)> {
    let fields = expression.as_object().filter(|fields| fields.len() == 1)?;
    fields.iter().next().map(|(word, inner)| (word.as_str(), inner))
}

fn sides(inner: &Value) -> Option<(&Value, &Value)> {
    Some((inner.get("left")?, inner.get("right")?))
}

fn is_attribute(value: &Value, of: &str, name: &str) -> bool {
    value.get(".").is_some_and(|access| {
        access.get("attr").and_then(Value::as_str) == Some(name)
            && access.get("left").and_then(|left| left.get("Var")).and_then(Value::as_str) == Some(of)
    })
}

fn number(value: &Value) -> Option<i64> {
    match value.get("neg").and_then(|inner| inner.get("arg")) {
        Some(inner) => number(inner).map(i64::wrapping_neg),
        None => value.get("Value").and_then(Value::as_i64),
    }
}

fn numbers(set: &Value) -> Option<Vec<i64>> {
    set.get("Set")?.as_array()?.iter().map(number).collect()
}

/// A comparison with its sides exchanged.
fn turned(word: &str) -> &str {
    match word {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        same => same,
    }
}
