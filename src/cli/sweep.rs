//! `sweep`: ends what is overdue by the marks on the objects alone, where the service itself is dead.
//!
//! It reads the config and asks the targets; it needs no ledger, no register and no running service, and it records
//! nothing: the service writes down what it finds gone when it is back.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{ConfigDir, Outcome, Stop, block_on, out::say, service};
use crate::{
    config::Config,
    engine::clock::{Clock, SystemClock},
    provider::{self, Marked, Marks, Provider, ProviderError, Surroundings},
};

/// From this difference on, a target's clock and ours are said to disagree.
const CLOCK_DIFFERENCE_MAX: TimeDelta = TimeDelta::seconds(30);

/// End what is overdue by its own mark, without ledger or service
#[derive(Debug, clap::Args)]
#[command(
    after_help = "For the day on which the service is dead. What is written on the objects is all that counts: what \
bears our mark and is past the end on it is ended, and seen gone. Nothing else is touched. Nothing is ended before our \
clock and the target's both say that it is due.\n\n\
Exit code 1: something overdue could not be ended, or a target could not be asked.\n\n\
Example: countersign sweep --config bot-config --dry-run"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigDir,
    /// Say what would be ended, and touch nothing
    #[arg(long)]
    dry_run: bool,
    /// Only what belongs to this log: the eight characters in `cs_<tag>_<number>`
    #[arg(long, value_name = "TAG", value_parser = log_tag)]
    log_tag: Option<String>,
    /// The result as one JSON object
    #[arg(long)]
    json: bool,
}

fn log_tag(text: &str) -> Result<String, String> {
    if provider::is_log_tag(text) {
        return Ok(text.to_owned());
    }
    Err("a tag is the eight characters in `cs_<tag>_<number>`, of `a-z` and `2-7`".to_owned())
}

pub fn main(args: &Args) -> Outcome {
    let config = args.config.load()?;
    // Providers want a folder of their own; what is done here leaves none behind.
    let folder = tempfile::Builder::new().prefix("countersign-sweep-").tempdir()?;
    let clock: Arc<dyn Clock> = SystemClock::start();
    let now = Arc::clone(&clock);
    let around = Surroundings {
        dir: folder.path().to_owned(),
        env: Arc::new(service::environment()),
        now: Arc::new(move || now.now()),
    };
    let targets = block_on(async {
        let mut targets = Vec::new();
        for name in &config.resources {
            targets.extend(Target::ask(&config, name, &around).await);
        }
        choose(&mut targets, args.log_tag.as_deref());
        if !args.dry_run {
            for target in &mut targets {
                target.end().await;
            }
        }
        Ok(targets)
    })?;
    if args.json {
        say!("{}", json!({ "dry_run": args.dry_run, "targets": targets.iter().map(Target::json).collect::<Vec<_>>() }));
    } else {
        targets.iter().for_each(Target::tell);
    }
    verdict(&targets)
}

/// A resource's target, and what it said.
struct Target {
    resource: String,
    kind: String,
    provider: Option<Arc<dyn Provider>>,
    answer: Result<Option<Marks>, ProviderError>,
    /// When it was asked, by our clock.
    asked_at: DateTime<Utc>,
    /// What is ended through it.
    overdue: Vec<Overdue>,
}

struct Overdue {
    object: Marked,
    outcome: Fate,
}

enum Fate {
    /// Nothing was done.
    Due,
    /// It was seen gone.
    Ended,
    /// It is there, or may be, and here is why.
    Stays(String),
}

impl Fate {
    fn word(&self) -> &'static str {
        match self {
            Self::Due => "would be ended",
            Self::Ended => "ended",
            Self::Stays(_) => "could not be ended",
        }
    }
}

impl Target {
    async fn ask(config: &Config, name: &str, around: &Surroundings) -> Option<Self> {
        let target = &config.facts.resource(name)?.target;
        let opened = provider::open(&target.provider, name, &target.settings, around);
        let (provider, answer) = match opened {
            Ok(provider) => {
                let answer = provider.marked().await;
                (Some(provider), answer)
            }
            Err(error) => (None, Err(error)),
        };
        let (resource, kind, asked_at) = (name.to_owned(), target.provider.clone(), (around.now)());
        Some(Self { resource, kind, provider, answer, asked_at, overdue: Vec::new() })
    }

    /// Ends what is overdue and looks whether it is gone: that alone decides, whoever ended it.
    async fn end(&mut self) {
        let Some(provider) = self.provider.clone().filter(|_| !self.overdue.is_empty()) else { return };
        let mut errors = BTreeMap::new();
        for Overdue { object, .. } in &self.overdue {
            let done = match object.order() {
                Some(order) => provider.revoke(&order).await,
                None => Err(ProviderError::Permanent("its name is none of ours".to_owned())),
            };
            if let Err(error) = done {
                errors.insert(object.external_id.clone(), error.to_string());
            }
        }
        let after = provider.marked().await;
        for Overdue { object, outcome } in &mut self.overdue {
            let error = errors.remove(&object.external_id);
            *outcome = match &after {
                Ok(Some(marks)) if marks.items.iter().any(|item| item.external_id == object.external_id) => {
                    Fate::Stays(error.unwrap_or_else(|| "it is still there".to_owned()))
                }
                Ok(_) => Fate::Ended,
                Err(unseen) => {
                    Fate::Stays(error.unwrap_or_else(|| format!("whether it is gone can't be seen: {unseen}")))
                }
            };
        }
    }

    fn tell(&self) {
        let Self { resource, kind, .. } = self;
        let marks = match &self.answer {
            Err(error) => return say!("{resource} ({kind}): can't be asked: {error}"),
            Ok(None) => return say!("{resource} ({kind}): what it gives out ends by itself; nothing to sweep"),
            Ok(Some(marks)) => marks,
        };
        let (all, overdue) = (marks.items.len(), self.overdue.len());
        say!("{resource} ({kind}): {all} with our mark on the server, {overdue} to end here");
        let apart = (marks.now - self.asked_at).abs();
        if apart > CLOCK_DIFFERENCE_MAX {
            say!("  its clock and ours are {} s apart: set them by NTP", apart.num_seconds());
        }
        for Overdue { object, outcome } in &self.overdue {
            let due = object.not_after.format("%Y-%m-%d %H:%M:%S UTC");
            let why = if let Fate::Stays(why) = outcome { format!(": {why}") } else { String::new() };
            say!("  {} (for {}) was due {due}: {}{why}", object.external_id, object.resource, outcome.word());
        }
        for name in &marks.unmarked {
            say!("  {name} has a name like ours and no mark of ours: it is left alone; look where it comes from");
        }
    }

    fn json(&self) -> Value {
        let Self { resource, kind, .. } = self;
        match &self.answer {
            Err(error) => json!({ "resource": resource, "provider": kind, "error": error.to_string() }),
            Ok(None) => json!({ "resource": resource, "provider": kind, "ends_by_itself": true }),
            Ok(Some(Marks { items, unmarked, .. })) => json!({
                "resource": resource,
                "provider": kind,
                "marked": items.len(),
                "unmarked": unmarked,
                "overdue": self.overdue.iter().map(Overdue::json).collect::<Vec<_>>(),
            }),
        }
    }
}

impl Overdue {
    fn json(&self) -> Value {
        let Self { object, outcome } = self;
        let error = if let Fate::Stays(why) = outcome { Some(why) } else { None };
        json!({
            "external_id": object.external_id,
            "log": object.log_tag(),
            "resource": object.resource,
            "not_after": object.not_after,
            "outcome": outcome.word(),
            "error": error,
        })
    }
}

/// Gives each overdue object to one target: that of its own resource, or else the first that sees it.
fn choose(targets: &mut [Target], log_tag: Option<&str>) {
    let mut chosen: BTreeMap<(String, String), (usize, Marked)> = BTreeMap::new();
    for (index, target) in targets.iter().enumerate() {
        let Ok(Some(marks)) = &target.answer else { continue };
        let both = target.asked_at.min(marks.now);
        let asked = |item: &&Marked| log_tag.is_none_or(|tag| item.log_tag() == tag);
        for item in marks.items.iter().filter(|item| item.not_after <= both).filter(asked) {
            let key = (marks.place.clone(), item.external_id.clone());
            if item.resource == target.resource || !chosen.contains_key(&key) {
                chosen.insert(key, (index, item.clone()));
            }
        }
    }
    for (index, object) in chosen.into_values() {
        if let Some(target) = targets.get_mut(index) {
            target.overdue.push(Overdue { object, outcome: Fate::Due });
        }
    }
}

/// What is left, with the reasons: whoever reads only this knows what to look at.
fn verdict(targets: &[Target]) -> Outcome {
    let mut reasons = Vec::new();
    let (mut silent, mut stays) = (0, 0);
    for Target { resource, kind, answer, overdue, .. } in targets {
        if let Err(error) = answer {
            silent += 1;
            reasons.push(format!("{resource} ({kind}) can't be asked: {error}"));
        }
        for Overdue { object, outcome } in overdue {
            if let Fate::Stays(why) = outcome {
                stays += 1;
                reasons.push(format!("{resource} ({kind}): {} could not be ended: {why}", object.external_id));
            }
        }
    }
    if reasons.is_empty() {
        return Ok(());
    }
    reasons.push(format!("overdue and not ended: {stays}; targets that could not be asked: {silent}"));
    Err(Stop::Finding(reasons.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn target(resource: &str, place: &str, theirs: i64, items: &[(&str, i64)]) -> Target {
        let items = items.iter().map(|(about, end)| {
            let (external_id, resource) = about.split_once(' ').unwrap();
            Marked { external_id: external_id.into(), resource: resource.into(), not_after: at(*end) }
        });
        let marks = Marks { place: place.into(), now: at(theirs), items: items.collect(), unmarked: Vec::new() };
        let (resource, kind) = (resource.to_owned(), "postgres".to_owned());
        Target { resource, kind, provider: None, answer: Ok(Some(marks)), asked_at: at(0), overdue: Vec::new() }
    }

    fn chosen(mut targets: Vec<Target>, log_tag: Option<&str>) -> Vec<String> {
        choose(&mut targets, log_tag);
        let told = |target: &Target| {
            let ids = target.overdue.iter().map(|overdue| overdue.object.external_id.clone()).collect::<Vec<_>>();
            format!("{}: {}", target.resource, ids.join(" "))
        };
        targets.iter().map(told).collect()
    }

    #[test]
    fn only_what_both_clocks_call_overdue_is_chosen() {
        let items = [("cs_abcdefgh_1 a", -10), ("cs_abcdefgh_2 a", 0), ("cs_abcdefgh_3 a", 1)];
        assert_eq!(chosen(vec![target("a", "x", 0, &items)], None), ["a: cs_abcdefgh_1 cs_abcdefgh_2"]);
        assert_eq!(chosen(vec![target("a", "x", 600, &items)], None), ["a: cs_abcdefgh_1 cs_abcdefgh_2"]);
        assert_eq!(chosen(vec![target("a", "x", -5, &items)], None), ["a: cs_abcdefgh_1"]);
        assert_eq!(chosen(vec![target("a", "x", 0, &items)], Some("abcdefgi")), ["a: "]);
    }

    #[test]
    fn each_object_is_ended_by_one_target() {
        let items = [("cs_abcdefgh_1 b", -10), ("cs_abcdefgh_2 gone", -10)];
        let two = || vec![target("a", "x", 0, &items), target("b", "x", 0, &items)];
        assert_eq!(chosen(two(), None), ["a: cs_abcdefgh_2", "b: cs_abcdefgh_1"]);
        // A copy of the server is another server.
        let copy = vec![target("a", "x", 0, &items), target("b", "y", 0, &items)];
        assert_eq!(chosen(copy, None), ["a: cs_abcdefgh_1 cs_abcdefgh_2", "b: cs_abcdefgh_1 cs_abcdefgh_2"]);
    }
}
