use proptest::prelude::*;

use super::*;
use crate::access::Chat;

fn cast() -> Cast {
    let chats = [Chat::Playground, Chat::Slack].into_iter().collect();
    Cast {
        people: [("ana".to_owned(), chats)].into_iter().collect(),
        channels: ["approvals".to_owned()].into_iter().collect(),
        resources: ["prod-db".to_owned()].into_iter().collect(),
        sourced: ["oncall".to_owned()].into_iter().collect(),
    }
}

fn read(text: &str) -> Result<Story, Vec<Problem>> {
    parse("a.story", text, cast(), &mut |_| Err(Vec::new()))
}

/// Words that a story is made of, and some that it isn't.
const WORDS: [&str; 40] = [
    "@ana",
    "@bea",
    "on",
    "in",
    "slack",
    "slak",
    "#approvals",
    "#",
    ":",
    "/access",
    "approve",
    "$x",
    "$y",
    "=>",
    "$",
    "$$",
    "presses",
    "repeats",
    "Approve",
    "after",
    "at",
    "02:00",
    "2026-11-21",
    "Europe/Berlin",
    "30m",
    "provider",
    "prod-db",
    "fails",
    "is",
    "back",
    "expect",
    "no",
    "card",
    "grant",
    "live",
    "until",
    "refusal",
    "\"",
    ",",
    "ß",
];

proptest! {
    #[test]
    fn nothing_that_somebody_writes_breaks_the_reader(text in "\\PC*") {
        let _ = read(&text);
    }

    #[test]
    fn every_problem_has_a_place_in_its_line(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 1..12)) {
        let text = format!("@ana: /access prod-db 30m why => $x\n{}", words.join(" "));
        if let Err(problems) = read(&text) {
            for problem in problems {
                prop_assert_eq!(problem.line, 2);
                let length = text.lines().nth(1).unwrap().chars().count();
                prop_assert!((1..=length + 1).contains(&problem.column), "{}", problem);
            }
        }
    }
}

#[test]
fn names_in_a_text_are_told_from_what_only_looks_like_one() {
    let story = read("@ana: /access prod-db 30m costs $5 of $$x => $x\n@ana: /access show $x- and $ and $x.").unwrap();
    let words = |step: &Step| if let Statement::Says { line, .. } = &step.what { line.clone() } else { panic!() };
    let text = |text: &str| Piece::Text(text.to_owned());
    let name = || Piece::Name("x".to_owned());
    assert_eq!(words(&story.steps[0]).0, [text("/access prod-db 30m costs $5 of $x")]);
    assert_eq!(words(&story.steps[1]).0, [text("/access show "), name(), text("- and $ and "), name(), text(".")]);
}
