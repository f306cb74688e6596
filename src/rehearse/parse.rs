//! Reads a story: all mistakes at once, each with its place and what would mend it.

use std::collections::BTreeSet;

use chrono::{NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{
    cast::Cast,
    groups::Roster,
    moment,
    picture::{CAUSES, PHASES},
    scan::{Scan, Word, meant, said},
    story::{Expectation, Piece, Statement, Step, Story, Told, Words},
    world::Mood,
};
use crate::{
    access::{Event, Span},
    config::{Config, Problem, Source},
    ledger::kinds,
};

/// A story longer than this is not one.
pub const STORY_BYTES_MAX: usize = 1024 * 1024;
/// Statements in one story.
pub const STEPS_MAX: usize = 2_000;

/// Problems of a config that a story loads are told up to this many.
const PROBLEMS_TOLD_MAX: usize = 5;

const STATEMENTS: [&str; 8] = ["after", "at", "clock", "expect", "group", "provider", "reload", "restart"];
const EXPECTATIONS: [&str; 10] =
    ["card", "refusal", "answer", "fault", "grant", "notice", "in", "nothing", "entry", "verify"];

/// Loads the config of a folder that a story names.
pub type Load<'a> = &'a mut dyn FnMut(&str) -> Result<Config, Vec<Problem>>;

/// Reads a story against the config it will be played on. What it reloads is loaded with `load`.
///
/// # Errors
/// Every mistake, in order.
pub fn parse(name: &str, text: &str, cast: Cast, load: Load<'_>) -> Result<Story, Vec<Problem>> {
    let source = Source { file: name, text };
    let mut reader = Reader { cast, load, names: BTreeSet::new(), zone: chrono_tz::UTC };
    let mut problems = Vec::new();
    let mut steps = Vec::new();
    let mut base = 0;
    for (number, whole) in text.split('\n').enumerate() {
        let start = base;
        base += whole.len() + 1;
        let line = whole.trim_end();
        let text = line.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if let Some((at, c)) = line.char_indices().find(|(_, c)| c.is_control() && *c != '\t') {
            let words = format!("a control character that nobody sees, U+{:04X}", u32::from(c));
            problems.push(source.problem(start + at, words, Some("take it out".into())));
            continue;
        }
        if steps.len() == STEPS_MAX {
            let words = format!("a story has {STEPS_MAX} statements at the most");
            problems.push(source.problem(start, words, Some("tell it in several files".into())));
            break;
        }
        match reader.statement(&mut Scan::new(&source, start, line)) {
            Ok(what) => steps.push(Step { line: number + 1, text: text.to_owned(), what }),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() && steps.is_empty() {
        let hint = "for example `@requester: /access prod-db 30m fixing INC-42`";
        problems.push(source.problem(0, "there is no statement in this story", Some(hint.into())));
    }
    if problems.is_empty() { Ok(Story { name: name.to_owned(), steps }) } else { Err(problems) }
}

struct Reader<'a> {
    cast: Cast,
    load: Load<'a>,
    /// What requests are called so far.
    names: BTreeSet<String>,
    zone: Tz,
}

type Read<T> = Result<T, Problem>;

impl Reader<'_> {
    fn statement(&mut self, scan: &mut Scan<'_>) -> Read<Statement> {
        scan.here();
        if scan.rest().starts_with('@') {
            return self.person(scan);
        }
        let at = scan.here();
        let word = scan.word().unwrap_or(Word { text: "", at });
        match word.text {
            "after" => {
                let duration = duration(scan)?;
                scan.end("write just `after 31m`")?;
                Ok(Statement::After(duration))
            }
            "at" => self.moment(scan),
            "restart" => {
                let away = if scan.eat_word("after") { Some(duration(scan)?) } else { None };
                scan.end("write just `restart`, or `restart after 2d`")?;
                Ok(Statement::Restart(away))
            }
            "provider" => self.provider(scan),
            "reload" => self.reload(scan),
            "group" => self.group(scan),
            "clock" => clock(scan),
            "expect" => self.expect(scan),
            other => {
                let hint = meant(other, STATEMENTS.into_iter(), |names| {
                    format!("a statement starts with `@name` or with one of {names}")
                });
                Err(scan.problem(at, format!("`{}` starts no statement", said(other)), hint))
            }
        }
    }

    fn person(&mut self, scan: &mut Scan<'_>) -> Read<Statement> {
        let who = scan.who(&self.cast)?;
        if scan.eat(":") {
            let mut all = scan.all();
            let names = self.named(scan, &mut all)?;
            let slash = all.text.strip_prefix("/access").filter(|rest| rest.is_empty() || rest.starts_with(' '));
            if slash.is_none() {
                let hint = format!("for example `@{}: /access list`", who.name);
                return Err(scan.problem(all.at, "what is said to Countersign starts with `/access`", hint));
            }
            let line = self.words(scan, all)?;
            self.names.extend(names.clone());
            return Ok(Statement::Says { who, line, names });
        }
        let at = scan.here();
        let example = format!("`@{0}: /access …`, `@{0} presses Approve on $fix` or `@{0} repeats`", who.name);
        let Some(verb) = scan.word() else {
            return Err(scan.problem(at, format!("what does `{}` do?", who.name), format!("write {example}")));
        };
        match verb.text {
            "repeats" => {
                scan.end("write just `repeats`: it is the same message once more")?;
                Ok(Statement::Repeats { name: who.name })
            }
            "writes" => {
                let at = scan.here();
                let hint = format!("for example `@{} writes below $fix: shall I restart it first?`", who.name);
                if !scan.eat_word("below") {
                    return Err(scan.problem(at, "the request whose thread it is is missing", hint));
                }
                let request = self.request(scan)?;
                let at = scan.here();
                let all = if scan.eat(":") { scan.all() } else { Word { text: "", at } };
                if all.text.is_empty() {
                    return Err(scan.problem(all.at, "nothing is written", hint));
                }
                let words = self.words(scan, all)?;
                Ok(Statement::Writes { who, request, words })
            }
            "presses" => {
                let at = scan.here();
                let rest = scan.rest();
                let end = rest.find(" on $").unwrap_or(0);
                let button = rest.get(..end).unwrap_or_default().trim().to_owned();
                if button.is_empty() || !scan.eat(&button) || !scan.eat_word("on") {
                    let hint = format!("for example `@{} presses Approve on $fix`", who.name);
                    return Err(scan.problem(at, "a button and the request it belongs to are missing", hint));
                }
                let request = self.request(scan)?;
                let mut names = None;
                let text = if scan.eat(":") {
                    let mut all = scan.all();
                    names = self.named(scan, &mut all)?;
                    Some(self.words(scan, all)?)
                } else {
                    let mut all = scan.all();
                    names = self.named(scan, &mut all)?.or(names);
                    if !all.text.is_empty() {
                        let hint = "what is written in the form behind the button stands after a colon";
                        return Err(scan.problem(all.at, "this is more than belongs here", hint));
                    }
                    None
                };
                self.names.extend(names.clone());
                Ok(Statement::Presses { who, button, request, text, names })
            }
            other => {
                let hint = meant(other, ["presses", "repeats", "writes", "on", "in"].into_iter(), |_| {
                    format!("write {example}")
                });
                Err(scan.problem(verb.at, format!("`{}` is nothing that a person does here", said(other)), hint))
            }
        }
    }

    /// Takes `=> $name` from the end of a text.
    fn named(&self, scan: &Scan<'_>, all: &mut Word<'_>) -> Read<Option<String>> {
        let Some((text, name)) = all.text.rsplit_once("=>") else { return Ok(None) };
        let at = all.at + text.len() + "=>".len() + (name.len() - name.trim_start().len());
        let Some(name) = name.trim().strip_prefix('$') else { return Ok(None) };
        if !is_name(name) {
            let hint = "a name is letters, digits, `_` and `-`, from a letter, for example `$fix`";
            return Err(scan.problem(at, "no name for a request", hint));
        }
        if self.names.contains(name) {
            return Err(scan.problem(at, format!("`${name}` is a request already"), "choose another name"));
        }
        all.text = text.trim_end();
        Ok(Some(name.to_owned()))
    }

    /// `$name` of a request that was made before.
    fn request(&self, scan: &mut Scan<'_>) -> Read<String> {
        let at = scan.here();
        let word = scan.word().map_or("", |word| word.text);
        let Some(name) = word.strip_prefix('$').filter(|name| is_name(name)) else {
            let hint = "it is named where it is made, `=> $fix`, and written `$fix` from then on";
            return Err(scan.problem(at, "a request is missing", hint));
        };
        self.known(scan, at, name)?;
        Ok(name.to_owned())
    }

    fn known(&self, scan: &Scan<'_>, at: usize, name: &str) -> Read<()> {
        if self.names.contains(name) {
            return Ok(());
        }
        let known: Vec<String> = self.names.iter().map(|name| format!("${name}")).collect();
        let hint = meant(&format!("${name}"), known.iter().map(String::as_str), |names| match names.as_str() {
            "" => {
                "a request is named where it is made: end that line with `=> $fix`. A `$` itself is written `$$`".into()
            }
            names => format!("so far there are {names}. A `$` itself is written `$$`"),
        });
        Err(scan.problem(at, format!("no request is called `${name}` yet"), hint))
    }

    /// A text with the names of requests in it.
    fn words(&self, scan: &Scan<'_>, all: Word<'_>) -> Read<Words> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = all.text;
        while let Some((before, after)) = rest.split_once('$') {
            plain.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                plain.push('$');
                rest = after;
                continue;
            }
            let end = after.find(|c: char| !is_name_char(c)).unwrap_or(after.len());
            let name = after.get(..end).unwrap_or_default().trim_end_matches('-');
            rest = after.get(name.len()..).unwrap_or_default();
            if !is_name(name) {
                plain.push('$');
                plain.push_str(name);
                continue;
            }
            self.known(scan, all.at + (all.text.len() - after.len()) - 1, name)?;
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
            pieces.push(Piece::Name(name.to_owned()));
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Words(pieces))
    }

    fn moment(&mut self, scan: &mut Scan<'_>) -> Read<Statement> {
        let hint = "write `at 2026-11-21 02:00`, `at 2026-11-21 02:00 Europe/Berlin` or `at 02:00`";
        let at = scan.here();
        let missing = |scan: &Scan<'_>| scan.problem(at, "no moment", hint);
        let mut first = scan.long_word();
        let day = first.and_then(|word| word.text.parse::<NaiveDate>().ok());
        if day.is_some() {
            first = scan.long_word();
        }
        let time = first.and_then(|word| moment::time_of_day(word.text)).ok_or_else(|| missing(scan))?;
        if let Some(zone) = scan.long_word() {
            let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
            self.zone = zone.text.parse().map_err(|_| {
                let hint = meant(zone.text, names, |_| "zones are called `UTC` or `Europe/Berlin`".into());
                scan.problem(zone.at, format!("there is no time zone `{}`", said(zone.text)), hint)
            })?;
        }
        scan.end(hint)?;
        match day {
            Some(day) => {
                let moment = moment::on(day, time, self.zone).map_err(|why| scan.problem(at, why, hint))?;
                Ok(Statement::At(moment.with_timezone(&Utc), self.zone))
            }
            None => Ok(Statement::AtTime(time, self.zone)),
        }
    }

    fn reload(&mut self, scan: &mut Scan<'_>) -> Read<Statement> {
        let all = scan.all();
        if all.text.is_empty() {
            return Err(scan.problem(all.at, "which folder?", "for example `reload stricter`, beside the story"));
        }
        match (self.load)(all.text) {
            Ok(config) => {
                self.cast.add(Cast::of(&config));
                Ok(Statement::Reload(Box::new(config)))
            }
            Err(problems) => {
                let wrong = problems.iter().filter(|problem| !problem.warning);
                let told: Vec<String> = wrong.take(PROBLEMS_TOLD_MAX).map(ToString::to_string).collect();
                let words = format!("the config in `{}` can't be loaded", said(all.text));
                Err(scan.problem(all.at, words, told.join("\n")))
            }
        }
    }

    /// `group oncall is @second, @approver`, `… is nobody`, `… is away`.
    fn group(&self, scan: &mut Scan<'_>) -> Read<Statement> {
        let at = scan.here();
        let name = scan.word().map_or("", |word| word.text);
        if !self.cast.sourced.contains(name) {
            let known = self.cast.sourced.iter().map(String::as_str);
            let hint = meant(name, known, |_| "who is in any other group stands in `people.toml`".to_owned());
            return Err(scan.problem(at, format!("no group `{}` has a source in the config", said(name)), hint));
        }
        let name = name.to_owned();
        let at = scan.here();
        let hint = "write `group oncall is @second, @approver`, `is nobody` or `is away`";
        if !scan.eat_word("is") {
            return Err(scan.problem(at, "who is in it?", hint));
        }
        let roster = if scan.eat_word("away") {
            Roster::Away
        } else if scan.eat_word("nobody") {
            Roster::People(Vec::new())
        } else {
            let mut people = vec![scan.person(&self.cast)?];
            while scan.eat(",") {
                people.push(scan.person(&self.cast)?);
            }
            Roster::People(people)
        };
        scan.end(hint)?;
        Ok(Statement::Group { name, roster })
    }

    fn provider(&self, scan: &mut Scan<'_>) -> Read<Statement> {
        let at = scan.here();
        let resource = scan.word().map_or("", |word| word.text);
        if !self.cast.resources.contains(resource) {
            let known = self.cast.resources.iter().map(String::as_str);
            let hint = meant(resource, known, |names| format!("`resources.toml` has {names}"));
            return Err(scan.problem(at, format!("there is no resource `{}` in the config", said(resource)), hint));
        }
        let all = scan.all();
        let word = Word { text: all.text.trim(), at: all.at };
        let mood = scan.one_of(word, "way for a provider to be", &Mood::WORDS)?;
        Ok(Statement::Provider { resource: resource.to_owned(), mood })
    }

    fn expect(&mut self, scan: &mut Scan<'_>) -> Read<Statement> {
        let mut not = scan.eat_word("no");
        let at = scan.here();
        let word = scan.word().unwrap_or(Word { text: "", at });
        let what = match word.text {
            "card" => self.card(scan, word.at)?,
            "refusal" => self.told(scan, Told::Refusal)?,
            "answer" => self.told(scan, Told::Answer)?,
            "fault" => self.told(scan, Told::Fault)?,
            "grant" => self.grant(scan)?,
            "notice" => self.notice(scan)?,
            "in" if !not => self.bulletin(scan)?,
            "nothing" if !not && scan.eat_word("in") => {
                not = true;
                self.bulletin(scan)?
            }
            "entry" => entry(scan)?,
            "verify" => scan.end("write just `expect verify`").map(|()| Expectation::Verify)?,
            other => {
                let hint = meant(other, EXPECTATIONS.into_iter(), |names| format!("there are {names}"));
                return Err(scan.problem(at, format!("`{}` is nothing that can be expected", said(other)), hint));
            }
        };
        let can_lack = match &what {
            Expectation::Card { .. }
            | Expectation::Notice { .. }
            | Expectation::Bulletin { .. }
            | Expectation::Entry(_) => true,
            Expectation::Told { .. } | Expectation::Grant { .. } | Expectation::Verify => false,
        };
        if not && !can_lack {
            let hint = "`no` stands before a card, a notice or an entry; of the rest, say what is to be";
            return Err(scan.problem(at, format!("`no {}` can't be expected", word.text), hint));
        }
        Ok(Statement::Expect { not, what })
    }

    fn card(&self, scan: &mut Scan<'_>, start: usize) -> Read<Expectation> {
        scan.here();
        let request = if scan.rest().starts_with('$') { Some(self.request(scan)?) } else { None };
        let (mut channel, mut chat) = (None, None);
        loop {
            if scan.eat_word("in") {
                channel = Some(scan.channel(&self.cast)?);
            } else if scan.eat_word("on") {
                chat = Some(scan.chat()?);
            } else {
                break;
            }
        }
        let fragments = if scan.eat(":") { self.fragments(scan)? } else { Vec::new() };
        let hint = "for example `expect card $fix in #approvals: prod-db, 30m, 0 of 1`";
        scan.end(hint)?;
        if request.is_none() && channel.is_none() && fragments.is_empty() {
            return Err(scan.problem(start, "which card?", hint));
        }
        Ok(Expectation::Card { request, channel, chat, fragments })
    }

    /// Texts between commas; one with a comma in it stands in double quotes.
    fn fragments(&self, scan: &mut Scan<'_>) -> Read<Vec<Words>> {
        let all = scan.all();
        let mut fragments = Vec::new();
        let mut at = all.at;
        let mut rest = all.text;
        loop {
            let space = rest.len() - rest.trim_start().len();
            at += space;
            rest = rest.trim_start();
            let quoted = rest.strip_prefix('"').and_then(|inner| inner.split_once('"'));
            let bare = rest.split(',').next().unwrap_or_default();
            let (text, skip) =
                quoted.map_or((bare.trim_end(), bare.len()), |(quoted, _)| (quoted, quoted.len() + "\"\"".len()));
            if text.is_empty() {
                let hint = "for example `: prod-db, 30m, \"a, b\"`";
                return Err(scan.problem(at, "a text is missing", hint));
            }
            fragments.push(self.words(scan, Word { text, at })?);
            at += skip;
            rest = rest.get(skip..).unwrap_or_default();
            let after = rest.trim_start();
            at += rest.len() - after.len();
            match after.strip_prefix(',') {
                Some(more) => (rest, at) = (more, at + 1),
                None if after.is_empty() => return Ok(fragments),
                None => return Err(scan.problem(at, "a comma is missing", "texts stand between commas")),
            }
        }
    }

    fn told(&self, scan: &mut Scan<'_>, tone: Told) -> Read<Expectation> {
        let at = scan.here();
        if !scan.eat(":") || scan.rest().trim().is_empty() {
            let hint = match tone {
                Told::Refusal => "for example `expect refusal: can't approve their own request`, or its code",
                Told::Answer => "for example `expect answer: needs one approval`",
                Told::Fault => "for example `expect fault: no credential was made`",
            };
            return Err(scan.problem(at, "a colon and the words are missing", hint));
        }
        let all = scan.all();
        Ok(Expectation::Told { tone, words: self.words(scan, all)? })
    }

    fn grant(&self, scan: &mut Scan<'_>) -> Read<Expectation> {
        let request = self.request(scan)?;
        let at = scan.here();
        let word = scan.word().unwrap_or(Word { text: "", at });
        let known = PHASES.map(|phase| (phase, phase));
        let mut phase = scan.one_of(word, "place in a grant's life", &known)?.to_owned();
        scan.here();
        if matches!(phase.as_str(), "ending" | "ended") && !scan.rest().is_empty() && !scan.rest().starts_with("until")
        {
            let at = scan.here();
            let cause = scan.word().unwrap_or(Word { text: "", at });
            let known = CAUSES.map(|cause| (cause, cause));
            phase = format!("{phase} {}", scan.one_of(cause, "way for a grant to end", &known)?);
        }
        let until = if scan.eat_word("until") {
            let at = scan.here();
            let word = scan.long_word().map_or("", |word| word.text);
            let hint = "for example `expect grant $fix live until 09:30`";
            let time = moment::time_of_day(word).ok_or_else(|| scan.problem(at, "no time of day", hint))?;
            Some((time, self.zone))
        } else {
            None
        };
        scan.end("for example `expect grant $fix ended expired` or `expect grant $fix live until 09:30`")?;
        Ok(Expectation::Grant { request, phase, until })
    }

    /// `in #channel: words`, from after the `in`.
    fn bulletin(&self, scan: &mut Scan<'_>) -> Read<Expectation> {
        let channel = scan.channel(&self.cast)?;
        let chat = if scan.eat_word("on") { Some(scan.chat()?) } else { None };
        let words = if scan.eat(":") {
            let all = scan.all();
            self.words(scan, all)?
        } else {
            Words::default()
        };
        scan.end("for example `expect in #security: the rules are wider`")?;
        Ok(Expectation::Bulletin { channel, chat, words })
    }

    fn notice(&self, scan: &mut Scan<'_>) -> Read<Expectation> {
        let at = scan.here();
        if !scan.eat_word("to") {
            let hint = "for example `expect notice to @requester: is live`";
            return Err(scan.problem(at, "to whom?", hint));
        }
        let to = scan.person(&self.cast)?;
        let chat = if scan.eat_word("on") { Some(scan.chat()?) } else { None };
        let words = if scan.eat(":") {
            let all = scan.all();
            self.words(scan, all)?
        } else {
            Words::default()
        };
        scan.end("for example `expect notice to @requester: is live`")?;
        Ok(Expectation::Notice { to, chat, words })
    }
}

/// `clock is 2h behind`, `clock is 2h ahead`, `clock is right`.
fn clock(scan: &mut Scan<'_>) -> Read<Statement> {
    let at = scan.here();
    let hint = "write `clock is 2h behind`, `clock is 2h ahead` or `clock is right`";
    if !scan.eat_word("is") {
        return Err(scan.problem(at, "how is the clock?", hint));
    }
    let ahead = if scan.eat_word("right") {
        TimeDelta::zero()
    } else {
        let by = duration(scan)?.delta();
        let at = scan.here();
        match scan.word().map(|word| word.text) {
            Some("ahead") => by,
            Some("behind") => -by,
            Some(_) | None => return Err(scan.problem(at, "is it `behind` or `ahead`?", hint)),
        }
    };
    scan.end(hint)?;
    Ok(Statement::Clock(ahead))
}

fn duration(scan: &mut Scan<'_>) -> Read<Span> {
    let at = scan.here();
    let word = scan.word().map_or("", |word| word.text);
    word.parse::<Span>().map_err(|error| {
        let words = format!("`{}` is no duration", said(word));
        scan.problem(at, words, error.to_string())
    })
}

fn entry(scan: &mut Scan<'_>) -> Read<Expectation> {
    let at = scan.here();
    let word = scan.word().unwrap_or(Word { text: "", at });
    let known = Event::KINDS.iter().chain(&kinds::OWN).copied();
    if !known.clone().any(|kind| kind == word.text) {
        let hint = meant(word.text, known, |_| "for example `access.requested` or `grant.issued`".into());
        return Err(scan.problem(word.at, format!("`{}` is no kind of entry", said(word.text)), hint));
    }
    scan.end("write just the kind, for example `expect entry grant.issued`")?;
    Ok(Expectation::Entry(word.text.to_owned()))
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_name_char)
}

#[cfg(test)]
mod tests;
