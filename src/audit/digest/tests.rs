use insta::assert_snapshot as is;

use super::*;
use crate::access::{Chat, Manner, Personal, SubjectId, Target, Thread, Turn, Via};

fn at(secs: i64) -> DateTime<Utc> {
    "2026-11-16T09:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(secs)
}

/// A log that is written line by line; the index of an entry is its place.
#[derive(Default)]
struct Log(Vec<Stored>);

impl Log {
    fn add(&mut self, secs: i64, event: Event) -> RequestId {
        let seq = self.0.len() as u64;
        self.0.push(Stored { seq, time: at(secs), leaf: Some(format!("leaf-{seq}")), event });
        RequestId(seq)
    }

    fn asked(&mut self, secs: i64, manner: Manner) -> RequestId {
        self.add(
            secs,
            Event::AccessRequested {
                requester: SubjectId([1; 16]),
                message: 0,
                resource: "prod-db".into(),
                duration_secs: crate::access::Span::from_secs(600).unwrap(),
                quorum: 1,
                lapse_at: at(secs + 3600),
                target: Target { provider: "token".into(), settings: serde_json::Map::new() },
                plan: vec![],
                channel: "approvals".into(),
                policies: vec![],
                manner: Box::new(manner),
                reason: Personal::Known("INC-42".into()),
            },
        )
    }

    fn approved(&mut self, secs: i64, request: RequestId) {
        self.add(
            secs,
            Event::RequestApproved {
                request,
                message: 0,
                by: SubjectId([2; 16]),
                terms: String::new(),
                policies: vec![],
                duration_secs: None,
                preapproval: None,
                comment: Personal::default(),
            },
        );
    }

    fn opened(&mut self, secs: i64, request: RequestId, end: i64) {
        let not_after = at(end);
        self.add(secs, Event::GrantOrdered { request, attempt: 1, external_id: String::new(), not_after });
        self.add(secs, Event::GrantIssued { request, attempt: 1, not_after });
    }

    fn digest(&self, from: usize) -> (Digest, State) {
        let mut state = State::default();
        self.0.iter().for_each(|stored| state.evolve(stored));
        let lived = |id| {
            let request = state.request(id)?;
            Some(Lived::of(request))
        };
        (Digest::of(self.0[from..].to_vec(), lived), state)
    }
}

#[test]
fn nothing_is_said_of_a_week_without_anything() {
    let (digest, state) = Log::default().digest(0);
    is!(digest.words(&state).join("\n"), @"
    0 requests: 0 approved (0 by a rule), 0 denied, 0 lapsed, 0 withdrawn. 0 opened, 0 could not be
    From request to decision: nothing was decided
    Break-glass: none
    Reviews: 0 given, 0 with a concern
    Reviews owed: none
    Live now: none
    Late endings: none
    ");
}

#[test]
fn a_week_in_words() {
    let mut log = Log::default();
    log.add(
        0,
        Event::SubjectEnrolled {
            subject: SubjectId([1; 16]),
            sort: crate::access::Sort::Person,
            name: Personal::Known("ana".into()),
        },
    );
    for wait in 1..=20 {
        let id = log.asked(0, Manner::default());
        log.approved(wait * 60, id);
        log.opened(wait * 60, id, wait * 60 + 600);
        log.add(
            wait * 60 + 600,
            Event::GrantEnding {
                request: id,
                cause: Cause::Expired,
                by: None,
                message: None,
                reason: Personal::default(),
            },
        );
        // The last one was stuck for a while.
        let shut = if wait == 20 { wait * 60 + 900 } else { wait * 60 + 601 };
        log.add(shut, Event::GrantEnded { request: id, cause: Cause::Expired, kept_for: None });
    }
    let lapsed = log.asked(2000, Manner::default());
    log.add(5600, Event::RequestLapsed { request: lapsed });
    let by_rule = log.asked(6000, Manner { automatic: true, ..Manner::default() });
    log.add(
        6000,
        Event::RequestAutoapproved { request: by_rule, terms: String::new(), policies: vec!["nights".into()] },
    );
    log.opened(6000, by_rule, 6600);
    let span = crate::access::Span::from_secs(86_400).unwrap();
    let glass = log.asked(7000, Manner { break_glass: true, review_within_secs: Some(span), ..Manner::default() });
    log.opened(7000, glass, 7600);
    log.add(
        7100,
        Event::GrantEnding {
            request: glass,
            cause: Cause::Returned,
            by: None,
            message: None,
            reason: Personal::default(),
        },
    );
    log.add(7101, Event::GrantEnded { request: glass, cause: Cause::Returned, kept_for: None });
    let (digest, state) = log.digest(0);
    is!(digest.words(&state).join("\n"), @"
    22 requests: 21 approved (1 by a rule), 0 denied, 1 lapsed, 0 withdrawn. 22 opened, 0 could not be
    From request to decision: p50 10m 0s, p95 19m 0s
    Break-glass: 1 (#127 prod-db by ana)
    Reviews: 0 given, 0 with a concern
    Reviews owed: 1 (#127 of ana, due 2026-11-17 10:58 UTC)
    Live now: 1 (#123 prod-db for ana until 2026-11-16 10:50 UTC)
    Late endings: 1 (#115, 5m 0s after its time)
    ");
}

#[test]
fn what_was_asked_before_the_period_is_counted_from_when_it_was_asked() {
    let mut log = Log::default();
    let id = log.asked(0, Manner::default());
    let from = log.0.len();
    log.approved(7200, id);
    log.opened(9000, id, 9600);
    let (digest, _) = log.digest(from);
    assert_eq!((digest.requests, digest.approved), (0, 1));
    assert_eq!(digest.wait(50), Some(TimeDelta::hours(2)));
}

#[test]
fn what_people_say_below_a_card_counts_for_nothing() {
    let mut log = Log::default();
    let request = log.asked(0, Manner::default());
    log.approved(60, request);
    log.opened(61, request, 661);
    let before = log.digest(0);
    for (n, turn) in [Turn::Said, Turn::Changed, Turn::Deleted].into_iter().enumerate() {
        let event = Event::MessageReceived {
            from: SubjectId([2; 16]),
            chat: Chat::Slack,
            via: Via::Thread,
            key: n.to_string(),
            thread: Some(Thread { request, turn, earlier: None, last: false }),
            text: Personal::Known("yes, approved".into()),
            evidence: None,
        };
        log.add(100, event);
    }
    let after = log.digest(0);
    assert_eq!(after.1.request(request).unwrap().talk.len(), 3);
    assert_eq!(before.0.words(&before.1), after.0.words(&after.1));
}
