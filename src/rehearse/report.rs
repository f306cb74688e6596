//! What became of the stories: for people, and for programs.

use std::fmt;

use serde::Serialize;

use crate::config::{PROBLEMS_TOLD_MAX, Problem};

/// So many of the last things that were done are told with a failure.
const BEFORE_TOLD_MAX: usize = 6;
/// A line of a story is shown up to here.
const SHOWN_CHARS_MAX: usize = 160;

/// How a story or a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All was as it should be.
    Passed,
    /// Something was not.
    Failed,
    /// The story can't be read.
    Unreadable,
}

/// A story that was played, or could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoryReport {
    /// Its file, as it was named.
    pub story: String,
    /// How it went.
    pub outcome: Outcome,
    /// The statements that were played, the last being the one that failed if one did.
    pub steps: Vec<StepReport>,
    /// What went otherwise than the story says.
    pub failure: Option<Failure>,
    /// Why it can't be read.
    pub problems: Vec<ProblemReport>,
    /// Where its ledger is kept, if it is.
    pub ledger: Option<String>,
    /// The same problems for people.
    #[serde(skip)]
    shown: Vec<Problem>,
}

/// A statement that was played.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepReport {
    /// The line of the story, from 1.
    pub line: usize,
    /// Its text.
    pub text: String,
    /// The story's time when it was over, RFC 3339.
    pub at: String,
    /// How it went.
    pub outcome: Outcome,
    /// What somebody was answered, if somebody spoke.
    pub answer: Option<AnswerReport>,
    /// Whether it only looked.
    #[serde(skip)]
    pub looks: bool,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerReport {
    /// `done`, `info`, `refused`, `fault`, or `none` if there was none by then.
    pub tone: String,
    /// The code of the refusal, if it was one.
    pub code: Option<String>,
    /// The words.
    pub lines: Vec<String>,
    /// The words as they were said, with what is another one in every run.
    #[serde(skip)]
    pub said: String,
}

/// What went otherwise than the story says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The line of the story, from 1.
    pub line: usize,
    /// What was expected.
    pub expected: String,
    /// What happened, a line each.
    pub happened: Vec<String>,
}

/// Why a story can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProblemReport {
    /// The line of the story, from 1; 0 is the whole file.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub words: String,
    /// What would mend it.
    pub hint: Option<String>,
}

impl StoryReport {
    /// A story that was played.
    pub fn played(story: &str, steps: Vec<StepReport>, failure: Option<Failure>) -> Self {
        let outcome = if failure.is_some() { Outcome::Failed } else { Outcome::Passed };
        Self { story: story.to_owned(), outcome, steps, failure, problems: Vec::new(), ledger: None, shown: Vec::new() }
    }

    /// A story that can't be read.
    pub fn unreadable(story: &str, problems: Vec<Problem>) -> Self {
        let told = problems.iter().map(|problem| ProblemReport {
            line: problem.line,
            column: problem.column,
            words: problem.words.clone(),
            hint: problem.hint.clone(),
        });
        Self {
            story: story.to_owned(),
            outcome: Outcome::Unreadable,
            steps: Vec::new(),
            failure: None,
            problems: told.collect(),
            ledger: None,
            shown: problems,
        }
    }

    fn failure(&self, f: &mut fmt::Formatter<'_>, failure: &Failure) -> fmt::Result {
        let (failed, before) = self.steps.split_last().map_or((None, [].as_slice()), |(last, rest)| (Some(last), rest));
        writeln!(f, "failed  {}:{}", self.story, failure.line)?;
        if let Some(failed) = failed {
            writeln!(f, "  {:>4} | {}", failed.line, shown(&failed.text))?;
        }
        writeln!(f, "  expected: {}", failure.expected)?;
        for (n, line) in failure.happened.iter().enumerate() {
            writeln!(f, "  {} {line}", if n == 0 { "happened:" } else { "         " })?;
        }
        // What was only looked at was as it should be.
        let did: Vec<&StepReport> = before.iter().filter(|step| !step.looks).collect();
        let skipped = did.len().saturating_sub(BEFORE_TOLD_MAX);
        for (n, step) in did.into_iter().skip(skipped).enumerate() {
            let heading = if n == 0 { "before:  " } else { "         " };
            writeln!(f, "  {heading} {} {:>4} | {}", step.at, step.line, shown(&step.text))?;
            for line in step.answer.iter().flat_map(|answer| &answer.lines) {
                writeln!(f, "{:40}> {line}", "")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for StoryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.outcome, &self.failure) {
            (Outcome::Unreadable, _) => {
                for problem in self.shown.iter().take(PROBLEMS_TOLD_MAX) {
                    writeln!(f, "{problem}\n")?;
                }
                let many = self.problems.len();
                let more = if many > PROBLEMS_TOLD_MAX {
                    format!(", of which the first {PROBLEMS_TOLD_MAX} are shown")
                } else {
                    String::new()
                };
                writeln!(f, "failed  {}: it can't be played, {}{more}", self.story, counted(many, "problem"))
            }
            (Outcome::Failed, Some(failure)) => self.failure(f, failure),
            (Outcome::Passed | Outcome::Failed, _) => {
                writeln!(f, "passed  {} ({})", self.story, counted(self.steps.len(), "step"))
            }
        }
    }
}

/// All stories in a line.
pub fn summary(reports: &[StoryReport]) -> String {
    let steps: usize = reports.iter().map(|report| report.steps.len()).sum();
    let failed = reports.iter().filter(|report| report.outcome != Outcome::Passed).count();
    let stories = match reports.len() {
        1 => "1 story".to_owned(),
        many => format!("{many} stories"),
    };
    format!("{stories}, {}, {failed} failed", counted(steps, "step"))
}

fn counted(many: usize, what: &str) -> String {
    if many == 1 { format!("1 {what}") } else { format!("{many} {what}s") }
}

fn shown(text: &str) -> String {
    let mut shown: String = crate::chat::text::one_line(text).chars().take(SHOWN_CHARS_MAX).collect();
    if text.chars().count() > SHOWN_CHARS_MAX {
        shown.push('…');
    }
    shown
}
