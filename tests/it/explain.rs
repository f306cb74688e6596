//! `explain`: who may, who could approve, what would decide, and why not.

use insta::assert_snapshot as is;

use crate::support::demo::countersign;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bot-config");

fn explain(args: &[&str]) -> String {
    let (code, said, errors) = countersign(&[&["explain", "--config", SAMPLE], args].concat());
    format!("{code}\n{said}{errors}")
}

#[test]
fn an_ordinary_wish() {
    is!(explain(&["requester", "prod-db", "30m", "--at", "2026-11-20T10:00"]), @"
    0
    requester asks for prod-db for 30m, Friday 2026-11-20 10:00 (Europe/Berlin)

      may ask           yes (by `requesters`)
      approved by rule  no: no rule approves `prod-db` for you by itself. Ask approver
      longest           2h (30m by break-glass)
      may approve       approver (by `approvers`)
      once escalated    guard, second
      would decide      any 1 of these 1
      break-glass       yes (by `break-glass`)

    may not approve
      guard             no: you are no approver of `prod-db`. Ask approver
      second            no: you are no approver of `prod-db`. Ask approver
    ");
}

#[test]
fn what_a_rule_forbids_and_what_it_wants() {
    is!(explain(&["requester", "prod-db", "2h", "--at", "2026-11-20T10:00"]), @"
    0
    requester asks for prod-db for 2h, Friday 2026-11-20 10:00 (Europe/Berlin)

      may ask           no (by `long-access-has-a-ticket`): the rule `long-access-has-a-ticket` forbids it: more than an hour on production needs a ticket in the reason. Write its number into the reason, for example INC-42
      longest           2h (30m by break-glass)
      break-glass       no (by `break-glass-max`): `prod-db` is given for 30m at most, and this asks for 2h. Ask for `30m`
    ");
    is!(explain(&["requester", "prod-db", "3h", "--at", "2026-11-20T10:00", "--reason", "INC-42"]), @"
    0
    requester asks for prod-db for 3h, Friday 2026-11-20 10:00 (Europe/Berlin)

      may ask           no (by `max-duration`): `prod-db` is given for 2h at most, and this asks for 3h. Ask for `2h`
      longest           2h (30m by break-glass)
      break-glass       no (by `break-glass-max`): `prod-db` is given for 30m at most, and this asks for 3h. Ask for `30m`
    ");
}

#[test]
fn what_a_rule_approves_by_itself() {
    is!(explain(&["requester", "staging-host", "30m", "--at", "2026-11-20T10:00"]), @"
    0
    requester asks for staging-host for 30m, Friday 2026-11-20 10:00 (Europe/Berlin)

      may ask           yes (by `requesters`)
      approved by rule  yes (by `staging-in-working-hours`)
      longest           1d (1d by break-glass)
      may approve       approver (by `approvers`), guard (by `approvers`), second (by `approvers`)
      would decide      `staging-in-working-hours` alone
      break-glass       no: you may not break the glass for `staging-host`. Ask for it in the usual way: `/access staging-host 30m <reason>`
    ");
    is!(explain(&["requester", "staging-host", "30m", "--at", "2026-11-20T19:00"]), @"
    0
    requester asks for staging-host for 30m, Friday 2026-11-20 19:00 (Europe/Berlin)

      may ask           yes (by `requesters`)
      approved by rule  no: no rule approves `staging-host` for you by itself. Ask approver, guard or second
      longest           1d (1d by break-glass)
      may approve       approver (by `approvers`), guard (by `approvers`), second (by `approvers`)
      would decide      any 1 of these 3
      break-glass       no: you may not break the glass for `staging-host`. Ask for it in the usual way: `/access staging-host 30m <reason>`
    ");
}

#[test]
fn breaking_the_glass() {
    is!(explain(&["second", "prod-host", "30m", "--at", "2026-11-20T10:00", "--break-glass"]), @"
    0
    second breaks the glass for prod-host for 30m, Friday 2026-11-20 10:00 (Europe/Berlin)

      may break it      yes (by `on-call-breaks-the-glass`)
      longest           4h (4h by break-glass)
    ");
    is!(explain(&["requester", "prod-host", "30m", "--at", "2026-11-20T10:00", "--break-glass"]), @"
    0
    requester breaks the glass for prod-host for 30m, Friday 2026-11-20 10:00 (Europe/Berlin)

      may break it      no: you may not break the glass for `prod-host`. Ask for it in the usual way: `/access prod-host 30m <reason>`
      longest           4h (4h by break-glass)
    ");
}

#[test]
fn for_machines() {
    is!(explain(&["guard", "prod-host", "30m", "--at", "2026-11-20T10:00:00Z", "--json", "--chat", "slack"]), @r#"
    0
    {
      "who": "guard",
      "resource": "prod-host",
      "duration_secs": 1800,
      "at": "2026-11-20T10:00:00Z",
      "request": {
        "answer": "no",
        "policies": [],
        "words": "you may not ask for `prod-host`: its `requesters` don't name you, and no policy lets you. Whoever looks after `resources.toml` can add you"
      },
      "automatic": {
        "answer": "no",
        "policies": [],
        "words": "you may not ask for `prod-host`: its `requesters` don't name you, and no policy lets you. Whoever looks after `resources.toml` can add you"
      },
      "break_glass": {
        "answer": "no",
        "policies": [],
        "words": "you may not break the glass for `prod-host`. Ask for it in the usual way: `/access prod-host 30m <reason>`"
      },
      "quorum": 1,
      "longest_secs": 14400,
      "break_glass_longest_secs": 14400,
      "others": [
        {
          "who": "approver",
          "answer": "no",
          "policies": [],
          "words": "you may not ask for `prod-host`: its `requesters` don't name you, and no policy lets you. Whoever looks after `resources.toml` can add you",
          "after_escalation": false
        },
        {
          "who": "requester",
          "answer": "no",
          "policies": [],
          "words": "you are no approver of `prod-host`. Ask approver or second",
          "after_escalation": false
        },
        {
          "who": "second",
          "answer": "no",
          "policies": [],
          "words": "you may not ask for `prod-host`: its `requesters` don't name you, and no policy lets you. Whoever looks after `resources.toml` can add you",
          "after_escalation": false
        }
      ]
    }
    "#);
}

#[test]
fn who_and_what_is_not_there() {
    is!(explain(&["requestor", "prod-db", "30m"]), @"
    1
    there is no person `requestor`
      hint: did you mean `requester`?
    ");
    is!(explain(&["requester", "prod-dbs", "30m"]), @"
    1
    there is no resource `prod-dbs`
      hint: did you mean `prod-db`?
    ");
    is!(explain(&["requester", "prod-db", "30m", "--at", "tomorrow"]), @"
    1
    `--at tomorrow` is no moment
      hint: for example `--at 2026-11-21T03:00`
    ");
    assert!(explain(&["requester", "prod-db", "30"]).starts_with("2\n"));
}
