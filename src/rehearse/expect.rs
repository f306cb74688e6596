//! What a story expects, and what is so instead.

use chrono::{NaiveTime, Timelike as _};
use chrono_tz::Tz;

use super::{
    chats::Standing,
    moment, picture,
    player::{Player, Trouble},
    story::{Expectation, Told, Words},
};
use crate::access::{Chat, Phase, Request};

/// So many things are told where there are many.
const TOLD_MAX: usize = 12;

impl Player {
    pub(super) async fn check(&self, not: bool, what: &Expectation) -> Result<(), Trouble> {
        match what {
            Expectation::Card { request, channel, chat, fragments } => {
                let fragments: Vec<String> = fragments.iter().map(|words| self.words(words)).collect();
                self.card(not, request.as_deref(), (channel.as_deref(), *chat), &fragments)
            }
            Expectation::Told { tone, words } => self.answer_is(*tone, &self.words(words)),
            Expectation::Grant { request, phase, until } => self.grant(request, phase, *until),
            Expectation::Notice { to, chat, words } => self.notice(not, to, *chat, words),
            Expectation::Bulletin { channel, chat, words } => self.bulletin(not, channel, *chat, words),
            Expectation::Entry(kind) => self.entry(not, kind),
            Expectation::Verify => {
                let (well, findings) = self.stage.verify().await?;
                if well { Ok(()) } else { unmet("the whole chain verifies", findings) }
            }
        }
    }

    fn card(
        &self,
        not: bool,
        name: Option<&str>,
        (channel, chat): (Option<&str>, Option<Chat>),
        fragments: &[String],
    ) -> Result<(), Trouble> {
        let request = name.map(|name| self.id(name));
        let all = self.stage.walls.cards();
        let (there, elsewhere): (Vec<&Standing>, Vec<&Standing>) =
            all.iter().filter(|one| request.is_none_or(|request| one.card.request == request)).partition(|one| {
                channel.is_none_or(|channel| one.channel == channel) && chat.is_none_or(|chat| one.chat == chat)
            });
        let lacking = |one: &Standing| {
            let text = picture::card(&one.card).join("\n");
            fragments.iter().find(|fragment| !picture::has(&text, fragment)).cloned()
        };
        let expected = || {
            let of = match (name, request) {
                (Some(name), Some(request)) => format!(" of ${name} ({request})"),
                (None, _) | (_, None) => String::new(),
            };
            let place = channel.map(|channel| format!(" in #{channel}")).unwrap_or_default();
            let platform = chat.map(|chat| format!(" on {}", chat.word())).unwrap_or_default();
            let with = if fragments.is_empty() { String::new() } else { format!(" with {}", quoted(fragments)) };
            format!("{} card{of}{place}{platform}{with}", if not { "no" } else { "a" })
        };
        let met: Vec<&&Standing> = there.iter().filter(|one| lacking(one).is_none()).collect();
        if not {
            return match met.first() {
                None => Ok(()),
                Some(one) => unmet(expected(), picture::standing(one)),
            };
        }
        // A request's card is the same wherever it stands; of any cards, one is enough.
        let enough = if request.is_some() { met.len() == there.len() } else { true };
        if !met.is_empty() && enough {
            return Ok(());
        }
        let Some(wrong) = there.iter().find(|one| lacking(one).is_some()) else {
            let mut happened = vec!["there is none".to_owned()];
            happened.extend(
                elsewhere
                    .iter()
                    .take(TOLD_MAX)
                    .map(|one| format!("one stands in #{} on {}", one.channel, one.chat.word())),
            );
            return unmet(expected(), happened);
        };
        let mut happened = vec![format!("{} is not on it", quoted(&lacking(wrong).into_iter().collect::<Vec<_>>()))];
        happened.extend(picture::standing(wrong));
        unmet(expected(), happened)
    }

    fn answer_is(&self, tone: Told, words: &str) -> Result<(), Trouble> {
        let expected = format!("{} {}: {words}", if tone == Told::Answer { "an" } else { "a" }, tone.word());
        let Some(answer) = &self.answer else {
            return unmet(expected, vec!["nobody was answered in the last statement that did something".to_owned()]);
        };
        let right = match tone {
            Told::Answer => matches!(answer.tone.as_str(), "done" | "info"),
            Told::Refusal => answer.tone == "refused",
            Told::Fault => answer.tone == "fault",
        };
        let said = picture::has(&answer.said, words) || answer.code.as_deref() == Some(words.trim());
        if right && said { Ok(()) } else { unmet(expected, Self::told(answer)) }
    }

    fn grant(&self, name: &str, phase: &str, until: Option<(NaiveTime, Tz)>) -> Result<(), Trouble> {
        let id = self.id(name);
        let until_words = until.map(|(time, zone)| format!(" until {time} {zone}")).unwrap_or_default();
        let expected = format!("the grant of ${name} ({id}) is {phase}{until_words}");
        let Some(request) = self.stage.state.request(id) else {
            return unmet(expected, vec!["the ledger has no such request, or has it no longer in memory".to_owned()]);
        };
        let named = picture::names_of(request).iter().any(|name| name == phase);
        let in_time = until.is_none_or(|(time, zone)| {
            request.not_after.is_some_and(|end| is_at(end.with_timezone(&zone).time(), time))
        });
        let open = self.stage.is_open(id);
        let door_fits = door(request).is_none_or(|should| should == open);
        if named && in_time && door_fits {
            return Ok(());
        }
        let name = picture::names_of(request).into_iter().next().unwrap_or_default();
        let end = match request.not_after {
            Some(end) if matches!(request.phase, Phase::Live { .. }) => {
                format!(" until {} {}", moment::told(end, self.zone), self.zone)
            }
            Some(_) | None => String::new(),
        };
        let mut happened = vec![format!("it is {name}{end}, and its door is {}", if open { "open" } else { "shut" })];
        let standing = self.stage.walls.cards().into_iter().find(|one| one.card.request == id);
        happened.extend(standing.iter().flat_map(picture::standing));
        unmet(expected, happened)
    }

    fn notice(&self, not: bool, to: &str, chat: Option<Chat>, words: &Words) -> Result<(), Trouble> {
        let words = self.words(words);
        let mut others = Vec::new();
        let mut found = None;
        for direct in self.stage.walls.notices().iter().skip(self.mark.notices) {
            let text = direct.notice.lines.iter().map(picture::line).collect::<Vec<_>>().join(" ");
            let told = format!("on {}: {text}", direct.chat.word());
            let to_them = self.stage.rules().account(direct.chat, to).as_ref() == Some(&direct.account);
            if !to_them {
                others.push(format!("to somebody else, {told}"));
            } else if chat.is_none_or(|chat| chat == direct.chat) && picture::has(&text, &words) {
                found.get_or_insert(told);
            } else {
                others.push(format!("to @{to}, {told}"));
            }
        }
        let platform = chat.map(|chat| format!(" on {}", chat.word())).unwrap_or_default();
        let with = if words.is_empty() { String::new() } else { format!(": {words}") };
        match (not, found) {
            (false, Some(_)) | (true, None) => Ok(()),
            (true, Some(told)) => {
                unmet(format!("no notice to @{to}{platform}{with}"), vec![format!("to @{to}, {told}")])
            }
            (false, None) => {
                if others.is_empty() {
                    others.push("nobody was told anything in the last statement that did something".to_owned());
                }
                others.truncate(TOLD_MAX);
                unmet(format!("a notice to @{to}{platform}{with}"), others)
            }
        }
    }

    fn bulletin(&self, not: bool, channel: &str, chat: Option<Chat>, words: &Words) -> Result<(), Trouble> {
        let words = self.words(words);
        let mut others = Vec::new();
        let mut found = None;
        for posted in self.stage.walls.bulletins().iter().skip(self.mark.bulletins) {
            let text = picture::bulletin(&posted.bulletin);
            let told = format!("in #{} on {}: {text}", posted.channel, posted.chat.word());
            let there = posted.channel == channel && chat.is_none_or(|chat| chat == posted.chat);
            if there && picture::has(&text, &words) {
                found.get_or_insert(told);
            } else {
                others.push(told);
            }
        }
        let platform = chat.map(|chat| format!(" on {}", chat.word())).unwrap_or_default();
        let with = if words.is_empty() { String::new() } else { format!(": {words}") };
        match (not, found) {
            (false, Some(_)) | (true, None) => Ok(()),
            (true, Some(told)) => unmet(format!("nothing in #{channel}{platform}{with}"), vec![told]),
            (false, None) => {
                if others.is_empty() {
                    others.push("nothing was posted for a channel in the last statement that did something".to_owned());
                }
                others.truncate(TOLD_MAX);
                unmet(format!("in #{channel}{platform}{with}"), others)
            }
        }
    }

    fn entry(&self, not: bool, kind: &str) -> Result<(), Trouble> {
        let kinds: Vec<&str> = self.new_entries().map(|(kind, _)| kind).collect();
        if kinds.contains(&kind) != not {
            return Ok(());
        }
        let happened = if kinds.is_empty() {
            "nothing was written in the last statement that did something".to_owned()
        } else {
            format!("written were {}", kinds.join(", "))
        };
        unmet(format!("{} entry `{kind}`", if not { "no" } else { "an" }), vec![happened])
    }
}

fn unmet<T>(expected: impl Into<String>, happened: Vec<String>) -> Result<T, Trouble> {
    Err(Trouble::Unmet { expected: expected.into(), happened })
}

/// Whether the door has to be open, or shut, for a request; `None` where it may be on its way, or is another's.
fn door(request: &Request) -> Option<bool> {
    if request.manner.extends.is_some() {
        return None;
    }
    match request.phase {
        Phase::Live { .. } => Some(true),
        Phase::Pending
        | Phase::Ended { .. }
        | Phase::Denied
        | Phase::Cancelled
        | Phase::Lapsed
        | Phase::Failed
        | Phase::Extended => Some(false),
        Phase::Approved { .. } | Phase::Ordered { .. } | Phase::Deferred { .. } | Phase::Ending { .. } => None,
    }
}

/// Whether it is so late, to the second if the story is so exact.
fn is_at(is: NaiveTime, wanted: NaiveTime) -> bool {
    (is.hour(), is.minute()) == (wanted.hour(), wanted.minute())
        && (wanted.second() == 0 || is.second() == wanted.second())
}

fn quoted(texts: &[String]) -> String {
    texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ")
}
