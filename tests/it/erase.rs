//! What `erase` says it does, and does.

use std::fs;

use insta::assert_snapshot as is;

use crate::support::{demo::assert_verifies, kept::Kept};

const STORY: &str = "at 2099-11-01 09:00
@ana: /access prod-host 30m fixing INC-42 => $fix
@cleo: /access approve $fix as Ana said, not as anatole did
@cleo: /access revoke $fix ana left the company
@dora: /access allow ana prod-host 30m within 8h for her alone
@ben: /access prod-host 5m ask U01ANA or ana@example.com, not xU01ANAx
";

/// The demo's config, in which ana also has a handle and an address.
fn kept() -> Kept {
    let kept = Kept::of(STORY);
    let file = kept.path("conf/people.toml");
    let people = fs::read_to_string(&file).unwrap();
    let more = "name = \"ana\"\nemail = \"ana@example.com\"\nslack = \"T01/U01ANA\"\n";
    fs::write(&file, people.replacen("name = \"ana\"\n", more, 1)).unwrap();
    kept
}

#[test]
fn what_others_wrote_of_a_person_is_said_to_stay() {
    let kept = kept();
    let (code, before, errors) = kept.run("", &["erase", "ana", "--config", "conf"]);
    is!(format!("{code}\n{before}\n{errors}"), @"
    1
    Of `ana` this will be unreadable for ever:
          1 × access.requested     #4
          1 × message.received     #3
          1 × subject.enrolled     #2

    What others wrote stays. In 7 entries of theirs `ana` can be read of:
          1 × access.requested     #23
          1 × grant.ending         #15
          4 × message.received     #9 #14 #19 #22
          1 × request.approved     #10
    They were looked through for the name, and what people.toml knows the person by. `countersign log` shows them.

    The config still names them, and whoever it names can ask again, as somebody new. Take them out of:
      conf/people.toml: line 1, 4, 5, 6, 22

    What was approved ahead for `ana`, or by them, is of no use to anybody once they are erased:
      #20 prod-host, for `ana`, until 2099-11-01 17:00:00 UTC
    Type the name to erase it: 
    nothing was erased
    ");
    let (code, said, errors) = kept.run("", &["erase", "ana", "--yes", "--config", "conf"]);
    assert_eq!((code, &*errors), (0, ""), "{said}");
    assert_verifies(&kept.path("L"));

    // What was said to stay is what is left of her, and nothing else.
    let (_, left, _) = kept.run("", &["log", "--json", "--ledger", "L", "ana"]);
    let numbers = |lines: &str| -> Vec<u64> {
        lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap())
            .collect()
    };
    is!(format!("{:?}", numbers(&left)), @"[9, 10, 14, 15, 19, 22, 23]");
    let (_, said, _) = kept.run("", &["erase", "dora", "--config", "conf"]);
    is!(said.split("\n\n").last().unwrap(), @"
    What was approved ahead for `dora`, or by them, is of no use to anybody once they are erased:
      #20 prod-host, by `dora`, until 2099-11-01 17:00:00 UTC
    Type the name to erase it:
    ");
    // Once more: nothing of her own is left, and the rest is as it was said.
    let (code, again, errors) = kept.run("", &["erase", "ana", "--yes", "--config", "conf"]);
    assert_eq!((code, errors.trim()), (1, "the ledger holds nothing of `ana`'s own that can be read"));
    let told: Vec<_> = again.trim().split("\n\n").collect();
    assert_eq!(told, before.split("\n\n").skip(1).take(2).collect::<Vec<_>>());
}

#[test]
fn the_help_promises_no_more_than_that() {
    let kept = Kept::config("conf");
    let (_, said, _) = kept.run("", &["erase", "--help"]);
    assert!(said.contains("What others wrote of the person stays"), "{said}");
    assert!(!said.contains("all that the ledger holds"), "{said}");
}
