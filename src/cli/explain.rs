//! `explain`: what the rules say of a request that nobody has made yet.

use chrono::{DateTime, NaiveDateTime, TimeZone as _, Utc};

use super::{
    ConfigDir, Outcome, Stop, block_on,
    out::{self, say},
    service,
};
use crate::{
    access::{Chat, Resource, Rules as _, Span},
    engine::clock::{Clock as _, SystemClock},
    policy::{About, Explanation, Said, Wish},
};

/// Why those who may not approve may not, for so many; `--json` has them all.
const REFUSED_SHOWN_MAX: usize = 20;

/// Say who may ask, who could approve, what would decide, and why not, by the ids of the policies
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: countersign explain requester prod-db 30m --at 2026-11-21T03:00")]
pub struct Args {
    /// Who would ask, by the name in people.toml
    who: String,
    /// For which resource
    resource: String,
    /// For how long
    #[arg(value_name = "DURATION")]
    span: Span,
    /// When: a time like 2026-11-21T03:00 in the resource's time zone, or with an offset. Without it: now
    #[arg(long, value_name = "MOMENT")]
    at: Option<String>,
    /// The reason that would be given
    #[arg(long, default_value = "to see what the rules say")]
    reason: String,
    /// The platform it would be asked on
    #[arg(long, value_enum, default_value_t = On::Playground)]
    chat: On,
    /// About breaking the glass, in place of asking in the usual way
    #[arg(long)]
    break_glass: bool,
    /// For machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigDir,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum On {
    Slack,
    Discord,
    Playground,
}

pub fn main(args: &Args) -> Outcome {
    let config = args.config.load()?;
    let rules = service::rules(&config, &service::environment())?;
    let known = |what: &str, name: &str, names: Vec<&str>| {
        if names.contains(&name) {
            return Ok(());
        }
        let near = crate::config::nearest(name, names.iter().copied());
        let hint =
            near.map_or_else(|| format!("there are {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
        Err(Stop::Finding(format!("there is no {what} `{name}`\n  hint: {hint}")))
    };
    known("person", &args.who, config.people.keys().map(String::as_str).collect())?;
    known("resource", &args.resource, config.resources.iter().map(String::as_str).collect())?;
    let missing = || Stop::Finding(format!("there is no resource `{}`", args.resource));
    let resource = rules.resource(&args.resource).ok_or_else(missing)?;
    let now = SystemClock::start().now();
    let at = args.at.as_deref().map(|at| moment(at, &resource)).transpose()?.unwrap_or(now);
    // The sources of groups are asked as they are now, whatever the moment is that is asked about.
    block_on(async {
        rules.refresh(at).await;
        Ok(())
    })?;
    let wish = Wish {
        who: &args.who,
        resource: &args.resource,
        span: args.span,
        reason: &args.reason,
        now: at,
        chat: match args.chat {
            On::Slack => Chat::Slack,
            On::Discord => Chat::Discord,
            On::Playground => Chat::Playground,
        },
        channel: &resource.channel,
    };
    let explanation = rules.explain(&wish).ok_or_else(missing)?;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&explanation)?);
    } else {
        out::part(told(&explanation, &resource, args.span, args.break_glass));
    }
    Ok(())
}

fn moment(text: &str, resource: &Resource) -> Result<DateTime<Utc>, Stop> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.with_timezone(&Utc));
    }
    let local = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S"];
    let local = local.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    local
        .and_then(|local| resource.zone.from_local_datetime(&local).earliest())
        .map(|moment| moment.with_timezone(&Utc))
        .ok_or_else(|| {
            Stop::Finding(format!("`--at {text}` is no moment\n  hint: for example `--at 2026-11-21T03:00`"))
        })
}

fn told(explanation: &Explanation, resource: &Resource, span: Span, break_glass: bool) -> String {
    let Explanation { who, request, automatic, break_glass: glass, others, at, .. } = explanation;
    let local = at.with_timezone(&resource.zone).format("%A %Y-%m-%d %H:%M");
    let verb = if break_glass { "breaks the glass for" } else { "asks for" };
    let mut lines =
        vec![format!("{who} {verb} {} for {span}, {local} ({})", resource.name, resource.zone), String::new()];
    let mut row = |name: &str, words: String| lines.push(format!("  {name:<18}{words}"));
    if break_glass {
        row("may break it", said(glass));
    } else {
        row("may ask", said(request));
        if request.is_yes() {
            row("approved by rule", said(automatic));
        }
    }
    row("longest", format!("{} ({} by break-glass)", resource.max_duration, resource.break_glass_max));
    if break_glass {
        return lines.join("\n") + "\n";
    }
    if !request.is_yes() {
        row("break-glass", said(glass));
        return lines.join("\n") + "\n";
    }
    let approvers: Vec<String> =
        explanation.approvers().map(|about| format!("{}{}", about.who, by(&about.said))).collect();
    row("may approve", if approvers.is_empty() { "nobody".into() } else { approvers.join(", ") });
    let later: Vec<&str> = others
        .iter()
        .filter(|about| about.after_escalation && !about.said.is_yes())
        .map(|about| about.who.as_str())
        .collect();
    if !later.is_empty() {
        row("once escalated", later.join(", "));
    }
    row("would decide", decided(explanation, approvers.len()));
    row("break-glass", said(glass));
    let refused: Vec<&About> = others.iter().filter(|about| !about.said.is_yes()).collect();
    if !refused.is_empty() {
        lines.push("\nmay not approve".to_owned());
    }
    lines.extend(
        refused.iter().take(REFUSED_SHOWN_MAX).map(|about| format!("  {:<18}{}", about.who, said(&about.said))),
    );
    if refused.len() > REFUSED_SHOWN_MAX {
        lines.push(format!("  and {} others", refused.len() - REFUSED_SHOWN_MAX));
    }
    lines.join("\n") + "\n"
}

fn decided(explanation: &Explanation, approvers: usize) -> String {
    let quorum = explanation.quorum;
    if let Said::Yes { policies } = &explanation.automatic {
        return format!("`{}` alone", policies.join("`, `"));
    }
    match usize::try_from(quorum) {
        Ok(needed) if needed <= approvers => format!("any {quorum} of these {approvers}"),
        Ok(_) | Err(_) => format!("nobody: {quorum} are needed, and {approvers} may approve"),
    }
}

fn said(said: &Said) -> String {
    match said {
        Said::Yes { .. } => format!("yes{}", by(said)),
        Said::No { words, .. } => format!("no{}: {words}", by(said)),
        Said::Broken { words, .. } => format!("no{}: {words}", by(said)),
    }
}

fn by(said: &Said) -> String {
    let (Said::Yes { policies } | Said::No { policies, .. } | Said::Broken { policies, .. }) = said;
    if policies.is_empty() { String::new() } else { format!(" (by `{}`)", policies.join("`, `")) }
}
