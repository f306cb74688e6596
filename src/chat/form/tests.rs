use super::*;

/// What would mean something else if it were read as part of a line.
const ODD: [&str; 12] = [
    "from 02:00",
    "from 2026-11-22T02:00 the migration",
    "30m",
    "for 15m",
    "within 2h",
    "--",
    "-- --help",
    "\"quoted\" 'twice' `thrice`",
    "a\nb\n\nfrom 02:00",
    "/access approve 17",
    "ok",
    "$fix => #17",
];

fn form(word: &str, fields: &[(&'static str, &str)]) -> Form {
    Form::new(word, fields.iter().map(|(name, value)| (*name, (*value).to_owned())))
}

#[test]
fn no_field_is_read_as_the_words_of_another() {
    for odd in ODD {
        let asked = form("request", &[(RESOURCE, "prod-db"), (DURATION, "30m"), (REASON, odd)]).read().unwrap();
        let Action::Request { resource, span, reason, start, .. } = asked else { panic!("{asked:?}") };
        assert_eq!((resource.as_str(), span.secs(), reason.as_str(), start), ("prod-db", 1800, odd, None));
        let asked = form("break-glass", &[(RESOURCE, "prod-db"), (DURATION, "30m"), (REASON, odd)]).read().unwrap();
        assert!(matches!(asked, Action::BreakGlass { ref reason, .. } if reason == odd), "{asked:?}");
        let more = form("extend", &[(ID, "17"), (DURATION, "30m"), (REASON, odd)]).read().unwrap();
        assert!(matches!(more, Action::Extend { ref reason, span, .. } if reason == odd && span.secs() == 1800));
        let approved = form("approve", &[(ID, "17"), (COMMENT, odd)]).read().unwrap();
        assert!(matches!(approved, Action::Approve { ref comment, span: None, .. } if comment == odd), "{approved:?}");
        let ahead =
            form("allow", &[(PERSON, "@ana"), (RESOURCE, "db"), (DURATION, "30m"), (REASON, odd)]).read().unwrap();
        assert!(matches!(ahead, Action::Allow { ref reason, ref person, window, .. }
                if reason == odd && person == "ana" && window.secs() == 8 * 3600));
        let review = form("review", &[(ID, "17"), (FINDING, "concern"), (NOTES, odd)]).read().unwrap();
        assert!(matches!(review, Action::Review { ref notes, finding: Finding::Concern, .. } if notes == odd));
        // And nothing odd passes for what it is not.
        assert!(
            form("request", &[(RESOURCE, "prod-db"), (DURATION, &format!("30m {odd}")), (REASON, "x")]).read().is_err()
        );
        assert!(form("deny", &[(ID, &format!("17 {odd}")), (REASON, "x")]).read().is_err(), "{odd}");
        let named = form("request", &[(RESOURCE, odd), (DURATION, "30m"), (REASON, "x")]).read().unwrap();
        assert!(matches!(named, Action::Request { ref resource, .. } if resource == odd), "{named:?}");
    }
}

#[test]
fn a_field_that_can_t_be_read_is_refused_and_never_left_out() {
    let refused = |word: &str, fields: &[(&'static str, &str)]| form(word, fields).read().unwrap_err().to_string();
    let db = [(RESOURCE, "db"), (DURATION, "30m")];
    insta::assert_snapshot!(refused("request", &[db[0], db[1], (FROM, "tomorrow")]), @"`tomorrow` is no time to start at: write `02:00` or `2026-11-22T02:00`");
    insta::assert_snapshot!(refused("request", &[db[0], (DURATION, "")]), @"say for how long, for example `30m`");
    insta::assert_snapshot!(refused("request", &[(RESOURCE, " "), db[1]]), @"say what you need, for how long, and why");
    insta::assert_snapshot!(refused("approve", &[(ID, "17"), (FOR, "a bit")]), @"`a bit` is no duration: a duration looks like `30m`, `1h30m`, `2h` or `1d`; for example `15m`");
    insta::assert_snapshot!(refused("approve-less", &[(ID, "17"), (COMMENT, "15m")]), @"say for how long, for example `15m`");
    insta::assert_snapshot!(refused("allow", &[(PERSON, "ana"), db[0], db[1], (WITHIN, "long")]), @"`long` is no duration: a duration looks like `30m`, `1h30m`, `2h` or `1d`; for example `8h`");
    insta::assert_snapshot!(refused("review", &[(ID, "17"), (FINDING, "fine")]), @"say what you found: `ok` or `concern`");
}
