//! What a command means: the events that follow, or a refusal.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Action, Actor, Cause, Command, Event, FailureClass, Personal, Phase, ProviderOutcome, Question, Refusal, Request,
    RequestId, Resource, Right, Rules, Span, State, Verdict, settle::order,
};

/// A card has room for so much reason.
pub const REASON_CHARS_MAX: usize = 1_000;
/// One person's requests that wait at the same time.
pub const PENDING_PER_PERSON_MAX: usize = 20;
/// Orders for one grant before it is given up.
pub const ORDERS_MAX: u32 = 5;
/// The first pause before a provider is asked again; it doubles each time.
const RETRY_FIRST_SECS: i64 = 1;
/// The longest pause before a provider is asked again.
pub const RETRY_LONGEST_SECS: i64 = 300;

/// Says which events follow from a command.
///
/// # Errors
/// A [`Refusal`] for the person who asked, or for the machine that came too late; nothing follows then.
pub fn decide(state: &State, rules: &dyn Rules, command: &Command, now: DateTime<Utc>) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::Person { actor, message, action } => person(state, rules, actor, *message, action, now),
        Command::Issued { request, attempt, outcome } => Ok(issued(find(state, *request)?, *attempt, outcome, now)),
        Command::Closed { request, outcome } => Ok(closed(find(state, *request)?, outcome, now)),
        Command::CredentialCut { request, n, outcome } => Ok(vec![cut(find(state, *request)?, *n, outcome)]),
        Command::CardPosted { request, chat, channel, message } => {
            let place = super::Posted { chat: *chat, channel: channel.clone() };
            let known = find(state, *request)?.cards.get(&place) == Some(message);
            let event = Event::CardPosted {
                request: *request,
                chat: *chat,
                channel: channel.clone(),
                message: message.clone(),
            };
            Ok(if known { Vec::new() } else { vec![event] })
        }
        Command::NoticeSent { request, notice, to } => {
            let known = find(state, *request)?.told.contains(&(*notice, *to));
            let event = Event::NoticeSent { request: *request, notice: *notice, to: *to };
            Ok(if known { Vec::new() } else { vec![event] })
        }
        Command::Started { version, files } => {
            Ok(vec![Event::ServiceStarted { version: version.clone(), files: files.clone() }])
        }
        Command::OrderAnew { request } => {
            let request = find(state, *request)?;
            // What is overdue is settled, not ordered again.
            let out = matches!(request.phase, Phase::Ordered { not_after, .. } if not_after > now);
            Ok(if out { vec![order(state, request, now)] } else { Vec::new() })
        }
        Command::ClockStepped { clock } => Ok(vec![Event::ClockStepped { clock: *clock }]),
        Command::Heartbeat => Ok(vec![Event::Heartbeat {}]),
    }
}

fn find(state: &State, id: RequestId) -> Result<&Request, Refusal> {
    state.request(id).ok_or(Refusal::NoRequest(id))
}

fn person(
    state: &State,
    rules: &dyn Rules,
    actor: &Actor,
    message: u64,
    action: &Action,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, Refusal> {
    match action {
        Action::Request { resource, span, reason, plan } => {
            ask(state, rules, actor, message, (resource, *span, reason, plan), now).map(|event| vec![event])
        }
        Action::Approve { request, comment } => {
            approve((state, rules, now), actor, message, find(state, *request)?, comment).map(|event| vec![event])
        }
        Action::Deny { request, reason } => {
            deny((state, rules, now), actor, message, find(state, *request)?, reason).map(|event| vec![event])
        }
        Action::Cancel { request } => {
            let request = own(state, actor, find(state, *request)?)?;
            if request.phase != Phase::Pending {
                return Err(wrong_phase(state, actor, request));
            }
            Ok(vec![Event::RequestCancelled { request: request.id, message }])
        }
        Action::Done { request } => {
            let request = own(state, actor, find(state, *request)?)?;
            if !holds(request) {
                return Err(wrong_phase(state, actor, request));
            }
            Ok(vec![ending(request.id, Cause::Returned, actor, message, "")])
        }
        Action::Revoke { request, reason } => {
            revoke((state, rules, now), actor, message, find(state, *request)?, reason)
        }
        Action::Show { request } => {
            let request = own(state, actor, find(state, *request)?)?;
            match &request.phase {
                Phase::Live { not_after } if *not_after > now => {
                    Ok(vec![Event::CredentialOrdered { request: request.id, n: request.credentials + 1, message }])
                }
                Phase::Approved { .. } | Phase::Ordered { .. } | Phase::Deferred { .. } => {
                    Err(Refusal::Busy(request.id))
                }
                Phase::Pending
                | Phase::Live { .. }
                | Phase::Ending { .. }
                | Phase::Ended { .. }
                | Phase::Denied
                | Phase::Cancelled
                | Phase::Lapsed
                | Phase::Failed => Err(wrong_phase(state, actor, request)),
            }
        }
        // One that is finished for long is read from the ledger.
        Action::Read { request } if request.0 < state.size() => Ok(Vec::new()),
        Action::Read { request } => Err(Refusal::NoRequest(*request)),
        Action::Mine | Action::List | Action::Verify | Action::Help => Ok(Vec::new()),
    }
}

fn ask(
    state: &State,
    rules: &dyn Rules,
    actor: &Actor,
    message: u64,
    (name, span, reason, plan): (&str, Span, &str, &[String]),
    now: DateTime<Utc>,
) -> Result<Event, Refusal> {
    let resource = rules.resource(name).ok_or_else(|| no_resource(rules, name))?;
    let reason = reason_of(reason, "`/access prod-db 30m fixing INC-42`")?;
    if span > resource.max_duration {
        return Err(Refusal::TooLong { resource: resource.name, asked: span, most: resource.max_duration });
    }
    let question = Question { reason: &reason, ..Question::of(actor, Right::Request, name, span, now) };
    let policies = allowed(rules.judge(&question))?;
    let mut waiting = 0;
    for request in state.open().filter(|request| request.requester == actor.subject) {
        if request.phase == Phase::Pending {
            waiting += 1;
            if request.resource == name {
                return Err(Refusal::AlreadyHeld {
                    request: request.id,
                    resource: name.to_owned(),
                    state: format!("{}. `/access cancel {}` withdraws it", phase_words(request), request.id.0),
                });
            }
        }
    }
    if waiting >= PENDING_PER_PERSON_MAX {
        return Err(Refusal::TooMany(format!(
            "{waiting} of your requests wait already. Cancel some, or wait for their decision"
        )));
    }
    let Resource { target, quorum, lapse_after, channel, .. } = resource;
    Ok(Event::AccessRequested {
        requester: actor.subject,
        message,
        resource: name.to_owned(),
        duration_secs: span,
        quorum,
        lapse_at: now + lapse_after.delta(),
        target,
        plan: plan.to_vec(),
        channel,
        policies,
        reason: Personal::Known(reason),
    })
}

fn approve(
    (state, rules, now): (&State, &dyn Rules, DateTime<Utc>),
    actor: &Actor,
    message: u64,
    request: &Request,
    comment: &str,
) -> Result<Event, Refusal> {
    let (terms, policies) = may_decide((state, rules, now), actor, request)?;
    if request.approvals.iter().any(|decision| decision.by == actor.subject) {
        return Err(Refusal::DecidedAlready(request.id));
    }
    Ok(Event::RequestApproved {
        request: request.id,
        message,
        by: actor.subject,
        terms,
        policies,
        comment: Personal::Known(short(comment)?),
    })
}

fn deny(
    (state, rules, now): (&State, &dyn Rules, DateTime<Utc>),
    actor: &Actor,
    message: u64,
    request: &Request,
    reason: &str,
) -> Result<Event, Refusal> {
    if is_own(state, actor, request) {
        return Err(Refusal::Words(format!(
            "{0} is your own: `/access cancel {1}` withdraws it",
            request.id, request.id.0
        )));
    }
    // Whoever approved may still change their mind, until it is decided.
    let (terms, policies) = may_decide((state, rules, now), actor, request)?;
    let reason = reason_of(reason, "`/access deny 17 use the replica instead`")?;
    let by = actor.subject;
    Ok(Event::RequestDenied { request: request.id, message, by, terms, policies, reason: Personal::Known(reason) })
}

/// Whether this person may say yes or no to this request now, under the rules of this moment. The terms and the rules.
fn may_decide(
    (state, rules, now): (&State, &dyn Rules, DateTime<Utc>),
    actor: &Actor,
    request: &Request,
) -> Result<(String, Vec<String>), Refusal> {
    let question = Question::of(actor, Right::Approve, "", request.span, now).about(state, request);
    if is_own(state, actor, request) {
        return Err(Refusal::OwnRequest { whom: whom(rules, &question) });
    }
    if request.phase != Phase::Pending {
        return Err(wrong_phase(state, actor, request));
    }
    let Some(terms) = request.leaf.clone() else { return Err(Refusal::NoRequest(request.id)) };
    let gone = || Refusal::Rules(format!("{} can't be decided any more: who asked for it was erased", request.id));
    let requester = state.subjects.get(&request.requester).and_then(|subject| subject.name.known()).ok_or_else(gone)?;
    let policies = allowed(rules.judge(&question))?;
    // The rules may have changed since it was asked. What could not be asked now can't be approved now.
    let resource = rules.resource(&request.resource).ok_or_else(|| no_resource(rules, &request.resource))?;
    if request.span > resource.max_duration {
        return Err(Refusal::TooLong { resource: resource.name, asked: request.span, most: resource.max_duration });
    }
    if resource.quorum > request.quorum {
        return Err(Refusal::Rules(format!(
            "the rules have changed: `{}` needs {} approvals now, and {} was asked for under {}. Have it asked again",
            resource.name, resource.quorum, request.id, request.quorum
        )));
    }
    allowed(rules.judge(&Question { right: Right::Request, who: requester, ..question }))?;
    Ok((terms, policies))
}

fn revoke(
    (state, rules, now): (&State, &dyn Rules, DateTime<Utc>),
    actor: &Actor,
    message: u64,
    request: &Request,
    reason: &str,
) -> Result<Vec<Event>, Refusal> {
    if is_own(state, actor, request) {
        return Err(Refusal::Words(format!(
            "{0} is your own: `/access done {1}` gives it back",
            request.id, request.id.0
        )));
    }
    allowed(rules.judge(&Question::of(actor, Right::Revoke, "", request.span, now).about(state, request)))?;
    if !holds(request) {
        return Err(wrong_phase(state, actor, request));
    }
    let reason = reason_of(reason, "`/access revoke 17 the incident is over`")?;
    Ok(vec![ending(request.id, Cause::Revoked, actor, message, &reason)])
}

fn ending(request: RequestId, cause: Cause, actor: &Actor, message: u64, reason: &str) -> Event {
    let reason = Personal::Known(reason.to_owned());
    Event::GrantEnding { request, cause, by: Some(actor.subject), message: Some(message), reason }
}

fn issued(request: &Request, attempt: u32, outcome: &ProviderOutcome, now: DateTime<Utc>) -> Vec<Event> {
    let Phase::Ordered { attempt: current, not_after } = request.phase else { return Vec::new() };
    if current != attempt {
        return Vec::new();
    }
    let id = request.id;
    let event = match outcome {
        ProviderOutcome::Done => Event::GrantIssued { request: id, attempt, not_after },
        ProviderOutcome::Failed { class, words } => {
            let words = Personal::Known(words.clone());
            let unsure = *class == FailureClass::Unknown || request.unsure;
            match class {
                FailureClass::Retry if attempt < ORDERS_MAX => {
                    let retry_at = now + pause(attempt);
                    Event::GrantDeferred { request: id, attempt, retry_at, words }
                }
                FailureClass::Retry | FailureClass::Permanent | FailureClass::Unknown if unsure => {
                    Event::GrantEnding { request: id, cause: Cause::Unknown, by: None, message: None, reason: words }
                }
                FailureClass::Retry | FailureClass::Permanent | FailureClass::Unknown => {
                    Event::GrantFailed { request: id, attempt, words }
                }
            }
        }
    };
    vec![event]
}

fn closed(request: &Request, outcome: &ProviderOutcome, now: DateTime<Utc>) -> Vec<Event> {
    let Phase::Ending { cause, failures, .. } = request.phase else { return Vec::new() };
    vec![match outcome {
        ProviderOutcome::Done => Event::GrantEnded { request: request.id, cause },
        ProviderOutcome::Failed { words, .. } => {
            let failures = failures.saturating_add(1);
            let retry_at = now + pause(failures);
            Event::GrantStuck { request: request.id, failures, retry_at, words: Personal::Known(words.clone()) }
        }
    }]
}

fn cut(request: &Request, n: u32, outcome: &Result<(String, DateTime<Utc>), (FailureClass, String)>) -> Event {
    let id = request.id;
    match outcome {
        Ok((public_id, not_after)) if n == request.credentials && matches!(request.phase, Phase::Live { .. }) => {
            let public_id = Personal::Known(public_id.clone());
            Event::CredentialTaken { request: id, n, public_id, not_after: *not_after }
        }
        Ok(_) => {
            let words = Personal::Known("the grant ended while the key was being cut".into());
            Event::CredentialFailed { request: id, n, class: FailureClass::Permanent, words }
        }
        Err((class, words)) => {
            Event::CredentialFailed { request: id, n, class: *class, words: Personal::Known(words.clone()) }
        }
    }
}

/// The pause before try `failures + 1`, doubling up to the longest.
fn pause(failures: u32) -> TimeDelta {
    let doublings = failures.saturating_sub(1).min(16);
    TimeDelta::seconds((RETRY_FIRST_SECS << doublings).min(RETRY_LONGEST_SECS))
}

/// Whether the request is this person's own, by id or by name.
fn is_own(state: &State, actor: &Actor, request: &Request) -> bool {
    request.requester == actor.subject || state.name(request.requester) == actor.name
}

fn own<'a>(state: &State, actor: &Actor, request: &'a Request) -> Result<&'a Request, Refusal> {
    if is_own(state, actor, request) {
        return Ok(request);
    }
    Err(Refusal::NotYours { request: request.id, whom: state.name(request.requester).to_owned() })
}

/// Whether there is, or may be, a door open for it.
fn holds(request: &Request) -> bool {
    match request.phase {
        Phase::Approved { .. } | Phase::Ordered { .. } | Phase::Deferred { .. } | Phase::Live { .. } => true,
        Phase::Pending
        | Phase::Ending { .. }
        | Phase::Ended { .. }
        | Phase::Denied
        | Phase::Cancelled
        | Phase::Lapsed
        | Phase::Failed => false,
    }
}

fn allowed(verdict: Verdict) -> Result<Vec<String>, Refusal> {
    match verdict {
        Verdict::Yes(policies) => Ok(policies),
        Verdict::No { words, .. } | Verdict::Broken { words, .. } => Err(Refusal::Rules(words)),
    }
}

fn reason_of(text: &str, example: &'static str) -> Result<String, Refusal> {
    let text = short(text)?;
    if text.chars().any(char::is_alphanumeric) { Ok(text) } else { Err(Refusal::NoReason(example)) }
}

fn short(text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    match text.chars().count() {
        chars if chars > REASON_CHARS_MAX => Err(Refusal::ReasonTooLong { chars, most: REASON_CHARS_MAX }),
        _ => Ok(text.to_owned()),
    }
}

fn no_resource(rules: &dyn Rules, name: &str) -> Refusal {
    let names = rules.resource_names();
    let near = names
        .iter()
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .filter(|(distance, known)| *distance <= known.chars().count() / 3 + 1)
        .min();
    let hint = match near {
        Some((_, known)) => format!(". Did you mean `{known}`?"),
        None if names.is_empty() => ". None is configured".to_owned(),
        None => format!(". Try {}", join(names.iter().take(10).map(|name| format!("`{name}`")))),
    };
    Refusal::NoResource { name: name.chars().filter(|c| *c != '`').take(80).collect(), hint }
}

/// Who could do it, as a hint; never the requester.
fn whom(rules: &dyn Rules, question: &Question<'_>) -> String {
    let people: Vec<String> = rules.those_who_may(question).into_iter().take(10).collect();
    if people.is_empty() {
        "Nobody else may approve it either: ask whoever looks after the config".into()
    } else {
        format!("Ask {}", join(people))
    }
}

fn join(items: impl IntoIterator<Item = String>) -> String {
    let mut items: Vec<String> = items.into_iter().collect();
    let last = items.pop().unwrap_or_default();
    if items.is_empty() { last } else { format!("{} or {last}", items.join(", ")) }
}

/// Why something can't be done to a request in its phase, with what this person can do instead.
fn wrong_phase(state: &State, actor: &Actor, request: &Request) -> Refusal {
    let (words, id) = (phase_words(request), request.id.0);
    let own = is_own(state, actor, request);
    let hint = match request.phase {
        Phase::Pending if own => format!("{words}, so nothing is open yet. `/access cancel {id}` withdraws it"),
        Phase::Pending => format!("{words}, so nothing is open yet. `/access deny {id} <reason>` denies it"),
        Phase::Live { .. } if own => format!("{words}. `/access done {id}` gives it back"),
        Phase::Live { .. } => {
            format!("{words}, so it was decided already. `/access revoke {id} <reason>` ends it")
        }
        Phase::Approved { .. } | Phase::Ordered { .. } | Phase::Deferred { .. } | Phase::Ending { .. } => {
            format!("{words}. `/access show {id}` tells more")
        }
        Phase::Ended { .. } | Phase::Denied | Phase::Cancelled | Phase::Lapsed | Phase::Failed if own => {
            format!("{words}. Ask again if it is needed")
        }
        Phase::Ended { .. } | Phase::Denied | Phase::Cancelled | Phase::Lapsed | Phase::Failed => {
            format!("{words}, so there is nothing left to do. `/access show {id}` tells more")
        }
    };
    Refusal::WrongPhase { request: request.id, state: hint }
}

/// Where a request is in its life, as the end of a sentence that starts with its id.
#[must_use]
pub fn phase_words(request: &Request) -> &'static str {
    match &request.phase {
        Phase::Pending => "waits for approval",
        Phase::Approved { .. } | Phase::Ordered { .. } | Phase::Deferred { .. } => {
            "is approved and the provider is opening it"
        }
        Phase::Live { .. } => "is live",
        Phase::Ending { .. } => "is being ended",
        Phase::Ended { cause: Cause::Expired } => "has expired",
        Phase::Ended { cause: Cause::Returned } => "was given back",
        Phase::Ended { cause: Cause::Revoked } => "was revoked",
        Phase::Ended { cause: Cause::Unknown } | Phase::Failed => "could not be issued and is not open",
        Phase::Denied => "was denied",
        Phase::Cancelled => "was withdrawn",
        Phase::Lapsed => "lapsed without a decision",
    }
}
