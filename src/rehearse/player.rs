//! Plays a story, statement by statement, and says what came of it.

use std::{collections::BTreeMap, path::Path};

use chrono::{DateTime, SecondsFormat, TimeZone as _, Utc};
use chrono_tz::Tz;
use tokio::task::JoinHandle;

use super::{
    moment, picture,
    report::{AnswerReport, Failure, Outcome, StepReport, StoryReport},
    stage::{Endless, Kit, Stage},
    story::{Expectation, Piece, Statement, Step, Story, Told, Who, Words},
};
use crate::{
    access::{Action, Event, RequestId, Span},
    chat::{Inbound, Input, Reply, Talk, Tone, Turn, card::Button, grammar},
    config::Config,
    engine::clock::Clock as _,
};

/// Why a story does not go on.
pub enum Trouble {
    /// Something is otherwise than the story says.
    Unmet {
        /// What was expected.
        expected: String,
        /// What happened, a line each.
        happened: Vec<String>,
    },
    /// It can't be played.
    Broken(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

/// Something that was said or pressed.
struct Delivered {
    inbound: Inbound,
    code: Option<String>,
}

/// A story that is being played.
pub struct Player {
    pub(super) stage: Stage,
    pub(super) zone: Tz,
    names: BTreeMap<String, RequestId>,
    /// What each person last said or pressed.
    delivered: BTreeMap<String, Delivered>,
    /// Who waits for an answer that only comes as time passes.
    waiting: Option<(String, JoinHandle<Reply>)>,
    /// What the last speaker was answered, if somebody spoke or was answered in the last statement that did something.
    pub(super) answer: Option<AnswerReport>,
    /// How much there was before the last statement that did something.
    pub(super) mark: Mark,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mark {
    /// Entries in the ledger.
    pub entries: usize,
    /// Direct messages.
    pub notices: usize,
    /// Bulletins.
    pub bulletins: usize,
}

/// When stories start, unless they say: a Monday morning.
fn morning() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 5, 9, 0, 0).single().unwrap_or_default()
}

/// Plays a story. Its ledger is in `data`; `providers` is for the files of providers.
///
/// # Errors
/// It can't be played at all.
pub async fn play(
    story: &Story,
    config: &Config,
    kit: Kit,
    (data, providers): (&Path, &Path),
) -> anyhow::Result<StoryReport> {
    let (start, zone) = match story.steps.first().map(|step| &step.what) {
        Some(Statement::At(moment, zone)) => (*moment, *zone),
        Some(_) | None => (morning(), chrono_tz::UTC),
    };
    let stage = Stage::open(config.clone(), kit, (data, providers), start).await?;
    let mut player = Player {
        stage,
        zone,
        names: BTreeMap::new(),
        delivered: BTreeMap::new(),
        waiting: None,
        answer: None,
        mark: Mark::default(),
    };
    let mut steps = Vec::new();
    let mut failure = None;
    let mut rest = story.steps.as_slice();
    while let Some((step, after)) = rest.split_first() {
        rest = after;
        let outcome = player.step(step, after).await;
        let looks = step.what.looks();
        steps.push(StepReport {
            line: step.line,
            text: step.text.clone(),
            at: player.stage.clock.now().to_rfc3339_opts(SecondsFormat::AutoSi, true),
            outcome: if outcome.is_ok() { Outcome::Passed } else { Outcome::Failed },
            answer: player.answer.clone().filter(|_| !looks),
            looks,
        });
        match outcome {
            Ok(()) => {}
            Err(Trouble::Unmet { expected, happened }) => {
                failure = Some(Failure { line: step.line, expected, happened });
                break;
            }
            Err(Trouble::Broken(error)) => match error.downcast::<Endless>() {
                Ok(endless) => {
                    let expected = "the story comes to an end".to_owned();
                    failure = Some(Failure { line: step.line, expected, happened: vec![endless.to_string()] });
                    break;
                }
                Err(error) => return Err(error.context(format!("{}:{}", story.name, step.line))),
            },
        }
    }
    player.stage.stop().await?;
    Ok(StoryReport::played(&story.name, steps, failure))
}

impl Player {
    async fn step(&mut self, step: &Step, after: &[Step]) -> Result<(), Trouble> {
        if let Statement::Expect { not, what } = &step.what {
            return self.check(*not, what).await;
        }
        self.answer = None;
        self.mark = Mark {
            entries: self.stage.entries.len(),
            notices: self.stage.walls.notices().len(),
            bulletins: self.stage.walls.bulletins().len(),
        };
        match &step.what {
            Statement::Says { who, line, names } => {
                let input = Input::Line(self.words(line));
                self.speak(who, input, step.line).await?;
                self.unexpected(after)?;
                self.name(names.as_deref())?;
            }
            Statement::Presses { who, button, request, text, names } => {
                let request = self.id(request);
                let button = self.button(who, button, request)?;
                let text = text.as_ref().map(|text| self.words(text));
                self.speak(who, Input::Press { request, button, text }, step.line).await?;
                self.unexpected(after)?;
                self.name(names.as_deref())?;
            }
            Statement::Writes { who, request, words } => self.write(who, request, self.words(words), step.line).await?,
            Statement::Repeats { name } => self.repeat(name).await?,
            Statement::After(span) => {
                let now = self.stage.clock.now();
                self.pass_until(now.checked_add_signed(span.delta()).unwrap_or(now)).await?;
            }
            Statement::At(moment, zone) => {
                self.zone = *zone;
                let now = self.stage.clock.now();
                if *moment < now {
                    return Err(Trouble::Unmet {
                        expected: format!("the clock goes on to {}", moment::told(*moment, *zone)),
                        happened: vec![format!("it is {} already, and it never goes back", moment::told(now, *zone))],
                    });
                }
                self.pass_until(*moment).await?;
            }
            Statement::AtTime(time, zone) => {
                self.zone = *zone;
                let now = self.stage.clock.now();
                self.pass_until(moment::next(*time, *zone, now).unwrap_or(now)).await?;
            }
            Statement::Restart(away) => {
                self.stage.restart(away.map(Span::delta).unwrap_or_default()).await?;
                self.hear().await?;
            }
            Statement::Reload(config) => {
                if let Err(words) = self.stage.reload(config).await? {
                    return Err(Trouble::Unmet { expected: "the rules are loaded".to_owned(), happened: vec![words] });
                }
            }
            Statement::Clock(ahead) => {
                self.stage.clock.set(*ahead);
                self.stage.rest().await?;
                self.hear().await?;
            }
            Statement::Group { name, roster } => self.stage.groups.set(name, roster.clone()),
            Statement::Provider { resource, mood } => self.stage.world.set_mood(resource, *mood),
            Statement::Expect { .. } => {}
        }
        self.unexpected(after)
    }

    async fn pass_until(&mut self, moment: DateTime<Utc>) -> Result<(), Trouble> {
        self.stage.pass_until(moment).await?;
        self.hear().await
    }

    /// What was said, with the ids of requests in place of their names.
    pub(super) fn words(&self, words: &Words) -> String {
        words
            .0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Name(name) => self.id(name).to_string(),
            })
            .collect()
    }

    /// The request of this name. That it has one was checked when the story was read.
    pub(super) fn id(&self, name: &str) -> RequestId {
        self.names.get(name).copied().unwrap_or(RequestId(u64::MAX))
    }

    async fn speak(&mut self, who: &Who, input: Input, line: usize) -> Result<(), Trouble> {
        let Some(account) = self.stage.rules().account(who.chat, &who.name) else {
            return Err(Trouble::Unmet {
                expected: format!("@{} has an account on {}", who.name, who.chat.word()),
                happened: vec!["the config has none".to_owned()],
            });
        };
        let channel = who.channel.clone().unwrap_or_else(|| self.stage.channel());
        let message = format!("line-{line}");
        let inbound = Inbound { chat: who.chat, account, channel, message, input, evidence: None };
        self.deliver(&who.name, inbound).await
    }

    /// Has somebody write below the request's card, in their chat.
    async fn write(&mut self, who: &Who, request: &str, words: String, line: usize) -> Result<(), Trouble> {
        let id = self.id(request);
        let stands = self.stage.walls.cards().into_iter().find(|standing| {
            let there = who.channel.as_ref().is_none_or(|channel| *channel == standing.channel);
            standing.chat == who.chat && standing.card.request == id && there
        });
        let account = self.stage.rules().account(who.chat, &who.name);
        let (Some(standing), Some(account)) = (stands, account) else {
            return Err(Trouble::Unmet {
                expected: format!("@{} sees a card of {id} on {}", who.name, who.chat.word()),
                happened: vec!["there is none".to_owned()],
            });
        };
        let message = format!("line-{line}");
        let talk = Talk { chat: who.chat, account, card: standing.message(), message, turn: Turn::Said(words) };
        let recorded = self.stage.overheard(talk).await?;
        self.stage.rest().await?;
        if recorded {
            return Ok(());
        }
        Err(Trouble::Unmet { expected: "it is recorded".to_owned(), happened: vec!["it could not be".to_owned()] })
    }

    async fn repeat(&mut self, name: &str) -> Result<(), Trouble> {
        let Some(delivered) = self.delivered.get(name) else {
            return Err(Trouble::Unmet {
                expected: format!("@{name} said something before"),
                happened: vec!["they have said nothing so far".to_owned()],
            });
        };
        let inbound = delivered.inbound.clone();
        self.deliver(name, inbound).await
    }

    async fn deliver(&mut self, name: &str, inbound: Inbound) -> Result<(), Trouble> {
        let again = self.delivered.get(name).filter(|before| before.inbound == inbound);
        let code = again.and_then(|before| before.code.clone());
        self.delivered.insert(name.to_owned(), Delivered { inbound: inbound.clone(), code });
        if asks_to_verify(&inbound.input) {
            self.stage.published().await?;
        }
        let mut reply = self.stage.submit(inbound)?;
        // What is said is queued first; whether it is answered by then or only later is seen when all is at rest.
        tokio::task::yield_now().await;
        self.stage.rest().await?;
        tokio::select! {
            biased;
            answered = &mut reply => self.answered(name, &answered?),
            () = std::future::ready(()) => {
                self.waiting = Some((name.to_owned(), reply));
                self.answer = Some(AnswerReport { tone: "none".into(), code: None, lines: Vec::new(), said: String::new() });
            }
        }
        Ok(())
    }

    /// Takes the answer that somebody waited for, if it has come.
    async fn hear(&mut self) -> Result<(), Trouble> {
        if let Some((name, reply)) = self.waiting.take_if(|(_, reply)| reply.is_finished()) {
            let reply = reply.await?;
            self.answered(&name, &reply);
        }
        Ok(())
    }

    fn answered(&mut self, name: &str, reply: &Reply) {
        let refused = self.new_entries().find_map(|(_, event)| {
            if let Event::MessageRefused { code, .. } = event { Some(code.clone()) } else { None }
        });
        let mut code = None;
        if let Some(delivered) = self.delivered.get_mut(name) {
            delivered.code = refused.or(delivered.code.take());
            code = delivered.code.clone().filter(|_| reply.tone == Tone::Refused);
        }
        let mut lines: Vec<String> = reply.lines.iter().map(picture::line).collect();
        lines.extend(reply.secret.iter().map(|(label, _)| format!("(secret: {label})")));
        let said = lines.join(" ");
        let verified = self.delivered.get(name).is_some_and(|delivered| asks_to_verify(&delivered.inbound.input));
        if verified && reply.tone == Tone::Info {
            lines = vec!["(the signed head, and how far the chain holds)".to_owned()];
        }
        self.answer = Some(AnswerReport { tone: tone(reply.tone).to_owned(), code, lines, said });
    }

    /// Whatever was refused and is not expected to be is a failure: nothing passes silently.
    fn unexpected(&self, after: &[Step]) -> Result<(), Trouble> {
        let Some(answer) = &self.answer else { return Ok(()) };
        let expected = match answer.tone.as_str() {
            "refused" => Told::Refusal,
            "fault" => Told::Fault,
            _ => return Ok(()),
        };
        let looks = after.iter().take_while(|step| step.what.looks());
        let told = |step: &Step| {
            let what = if let Statement::Expect { what, .. } = &step.what { Some(what) } else { None };
            what.is_some_and(|what| matches!(what, Expectation::Told { tone, .. } if *tone == expected))
        };
        if looks.into_iter().any(told) {
            return Ok(());
        }
        Err(Trouble::Unmet {
            expected: format!("it is done, since no `expect {}` follows", expected.word()),
            happened: Self::told(answer),
        })
    }

    /// An answer, a line each.
    pub(super) fn told(answer: &AnswerReport) -> Vec<String> {
        let code = answer.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
        match answer.tone.as_str() {
            "none" => vec!["no answer has come yet: a provider is at work".to_owned()],
            tone => {
                let mut lines = vec![format!("the answer, {tone}{code}:")];
                lines.extend(answer.lines.iter().map(|line| format!("  > {line}")));
                lines
            }
        }
    }

    /// What was written since the last statement that did something began.
    pub(super) fn new_entries(&self) -> impl Iterator<Item = (&str, &Event)> {
        self.stage.entries.iter().skip(self.mark.entries).map(|(kind, stored)| (kind.as_str(), &stored.event))
    }

    fn name(&mut self, name: Option<&str>) -> Result<(), Trouble> {
        let Some(name) = name else { return Ok(()) };
        let new = self.stage.entries.iter().skip(self.mark.entries).rev();
        let mut asked = new.filter(|(_, stored)| matches!(stored.event, Event::AccessRequested { .. }));
        let Some(id) = asked.next().map(|(_, stored)| RequestId(stored.seq)) else {
            return Err(Trouble::Unmet {
                expected: format!("a request comes of it, to be called `${name}`"),
                happened: self.answer.as_ref().map(Self::told).unwrap_or_default(),
            });
        };
        self.names.insert(name.to_owned(), id);
        Ok(())
    }

    /// The button of this label or word that somebody sees for a request: on its card, or in what they were told.
    fn button(&self, who: &Who, wanted: &str, request: RequestId) -> Result<Button, Trouble> {
        let account = self.stage.rules().account(who.chat, &who.name);
        let mut seen: Vec<(Button, String)> = Vec::new();
        for standing in self.stage.walls.cards() {
            if standing.chat == who.chat && standing.card.request == request {
                seen.extend(standing.card.buttons);
            }
        }
        for direct in self.stage.walls.notices() {
            let to_them = direct.chat == who.chat && Some(&direct.account) == account.as_ref();
            if to_them && direct.notice.request == request {
                seen.extend(direct.notice.buttons);
            }
        }
        let bare = |text: &str| text.trim_end_matches(['…', '.']).trim().to_lowercase();
        let found = seen.iter().find(|(button, label)| bare(label) == bare(wanted) || button.word() == bare(wanted));
        if let Some((button, _)) = found {
            return Ok(*button);
        }
        let mut labels: Vec<String> = seen.into_iter().map(|(_, label)| format!("[{label}]")).collect();
        labels.dedup();
        let happened = match labels.as_slice() {
            [] => format!("nothing on {} has a button for {request}", who.chat.word()),
            labels => format!("the buttons are {}", labels.join(" ")),
        };
        Err(Trouble::Unmet {
            expected: format!("@{} sees a button `{wanted}` for {request}", who.name),
            happened: vec![happened],
        })
    }
}

/// Whether the answer is about this run's hashes.
fn asks_to_verify(input: &Input) -> bool {
    matches!(grammar::read(input), Ok(Action::Verify))
}

fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Done => "done",
        Tone::Info => "info",
        Tone::Refused => "refused",
        Tone::Fault => "fault",
    }
}
