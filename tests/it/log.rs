//! What `log` shows, and finds.

use crate::support::{demo::entries, kept::Kept};

const STORY: &str = "at 2026-11-01 09:00
@ana: /access prod-host 30m fixing INC-42 => $fix
@cleo: /access approve $fix
@ben: /access break-glass prod-host 5m it burns
@cleo: /access log ana
";

/// Numbers of the entries that are shown for these words, and the lines.
fn found(kept: &Kept, words: &[&str]) -> (Vec<u64>, String) {
    let (code, said, errors) = kept.run("", &[&["log", "--ledger", "L"], words].concat());
    assert_eq!(code, 0, "{errors}");
    (said.lines().map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect(), said)
}

#[test]
fn people_are_called_and_found_by_name() {
    let kept = Kept::of(STORY);
    let all = entries(&kept.path("L"));
    let ana = all.iter().find(|entry| entry["kind"] == "subject.enrolled").unwrap();
    let id = ana["body"]["subject"].as_str().unwrap();
    // All that she did and all that names her by her id, besides the texts that name her.
    let hers: Vec<u64> = all
        .iter()
        .filter(|entry| entry["body"].to_string().contains(id))
        .map(|entry| entry["seq"].as_u64().unwrap())
        .collect();
    let (numbers, said) = found(&kept, &["ana"]);
    for number in &hers {
        assert!(numbers.contains(number), "{number} of {hers:?}: {said}");
    }
    let line = |kind: &str| said.lines().find(|line| line.contains(kind)).unwrap_or_else(|| panic!("{kind}: {said}"));
    assert!(line("message.received").contains(" from=ana "), "{said}");
    assert!(line("access.requested").contains(" requester=ana "), "{said}");
    assert!(line("access.requested").contains("  2026-11-01 09:00:00 UTC  "), "{said}");
    // Where she appears, her id does too: her key in `keys/` has its name, and it finds the same.
    assert!(line("subject.enrolled").contains("name=\"ana\"") && line("subject.enrolled").contains(id), "{said}");
    let (by_id, _) = found(&kept, &[id]);
    assert!(by_id.iter().all(|number| hers.contains(number)) && by_id.len() > 3, "{by_id:?} {hers:?}");
    assert_eq!(found(&kept, &["ana", "access.requested"]).0.len(), 1);
    assert_eq!(found(&kept, &["ana", "grant.issued"]).0.len(), 0);
    // Also those of whom several are named at once.
    let called = all.iter().find(|entry| entry["kind"] == "people.called").unwrap();
    let (_, said) = found(&kept, &["people.called"]);
    assert!(said.contains("cleo"), "{said}{called}");

    let (code, said, errors) = kept.run("", &["erase", "ana", "--yes", "--config", "conf"]);
    assert_eq!(code, 0, "{said}{errors}");
    let (_, said) = found(&kept, &["access.requested", id]);
    assert!(said.contains("(erased) ") && said.contains(&format!(" requester={id} ")), "{said}");
}
