use std::path::Path;

use super::*;
use crate::access::Span;

const SERVER: &str = "[ledger]\npath = \"data\"\norigin = \"example.com/t\"\n[playground]\n";
const PEOPLE: &str = "[[person]]\nname = \"ana\"\n[[person]]\nname = \"bea\"\n[[group]]\nname = \"dba\"\nmembers = [\"bea\"]\n\
    [[group]]\nname = \"dev\"\nmembers = [\"ana\"]\n";
const RESOURCES: &str = "[[resource]]\nname = \"api\"\nprovider = \"token\"\napprovers = [\"group:dba\"]\nmax_duration = \"1h\"\n\
                         [resource.token]\nissuer = \"https://i\"\naudience = \"https://a\"\n";

fn folder(server: &str, resources: &str, people: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (file, text) in
        [("countersign.toml", server), ("resources.toml", resources), ("people.toml", people), ("policy.cedar", "")]
    {
        std::fs::write(dir.path().join(file), text).unwrap();
    }
    dir
}

fn told(server: &str, resources: &str, people: &str) -> String {
    match load(folder(server, resources, people).path()) {
        Ok(_) => "no problem".into(),
        Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

#[test]
fn a_good_config_loads() {
    let config = load(folder(SERVER, RESOURCES, PEOPLE).path()).unwrap();
    assert_eq!(config.server.origin, "example.com/t");
    assert_eq!(config.server.playground_channel.as_deref(), Some("approvals"));
    assert_eq!(config.files.len(), 4);
}

/// What becomes of a request that waits, and of a break-glass that is over: usual times, those of `[limits]`, those of the
/// resource.
#[test]
fn how_long_things_wait_has_a_default_and_two_places_to_be_said() {
    let waits = |limits: &str, of_resource: &str| {
        let (server, resources) = (
            format!("{SERVER}{limits}"),
            RESOURCES.replace("max_duration", &format!("escalate_to = [\"group:dev\"]\n{of_resource}\nmax_duration")),
        );
        let config = load(folder(&server, &resources, PEOPLE).path()).unwrap();
        let api = config.facts.resource("api").unwrap().clone();
        let shown = |span: Option<Span>| span.map_or_else(|| "never".to_owned(), |span| span.to_string());
        [Some(api.lapse_after), api.remind_after, api.escalate_after, Some(api.review_within)].map(shown)
    };
    assert_eq!(waits("", ""), ["8h", "15m", "1h", "1d"]);
    let limits =
        "[limits]\nlapse_after = \"7h\"\nremind_after = \"20m\"\nescalate_after = \"2h\"\nreview_within = \"3d\"\n";
    assert_eq!(waits(limits, ""), ["7h", "20m", "2h", "3d"]);
    let own = "lapse_after = \"6h\"\nremind_after = \"10m\"\nescalate_after = \"3h\"\nreview_within = \"2h\"";
    assert_eq!(waits(limits, own), ["6h", "10m", "3h", "2h"]);
    let config = load(folder(SERVER, RESOURCES, PEOPLE).path()).unwrap();
    let alone = config.facts.resource("api").unwrap();
    assert_eq!(alone.escalate_after, None, "there is nobody to whom");
}

#[test]
fn the_sample_loads() {
    let problems = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("bot-config")).err().unwrap_or_default();
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn five_mistakes_are_five_reports() {
    let server = "[ledger]\npath = \"data\"\norigin = \"a b\"\n[htpp]\nlisten = \"x\"\n";
    let resources = RESOURCES.replace("group:dba", "group:dbas").replace("1h", "1 hour");
    let people = PEOPLE.replace("[\"bea\"]", "[\"bee\"]");
    insta::assert_snapshot!(told(server, &resources, &people));
}

#[test]
fn syntax_errors_do_not_hide_the_rest_of_the_folder() {
    insta::assert_snapshot!(told("[ledger\npath = \n", RESOURCES, &PEOPLE.replace("\"ana\"", "\"Ana B\"")));
}

#[test]
fn a_missing_file_is_one_report() {
    let dir = folder(SERVER, RESOURCES, PEOPLE);
    std::fs::remove_file(dir.path().join("people.toml")).unwrap();
    let problems = load(dir.path()).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told.iter().all(|told| told.starts_with("people.toml: there is no such file")), "{told:?}");
}

#[test]
fn a_secret_in_a_file_is_a_mistake_and_is_not_repeated() {
    let resources = RESOURCES.replace("\"https://i\"", "\"postgres://admin:hunter2@db/x\"");
    let problems = load(folder(SERVER, &resources, PEOPLE).path()).unwrap_err();
    let said = format!("{:?}", problems.iter().map(|problem| (&problem.words, &problem.hint)).collect::<Vec<_>>());
    assert!(said.contains("looks like a secret"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    assert!(!told(SERVER, &resources, PEOPLE).contains("hunter2"));
}

#[test]
fn two_people_with_one_account_are_refused() {
    let people = "[[person]]\nname = \"ana\"\nslack = \"U1\"\n[[person]]\nname = \"bea\"\nslack = \"U1\"\n[[group]]\nname = \"dba\"\nmembers = [\"bea\", \"ana\"]\n";
    insta::assert_snapshot!(told(SERVER, RESOURCES, people));
}

#[test]
fn a_quorum_nobody_can_meet_is_refused() {
    let resources = RESOURCES.replace("max_duration", "quorum = 2\nmax_duration");
    insta::assert_snapshot!(told(SERVER, &resources, PEOPLE));
}

#[test]
fn names_are_compared_whole() {
    for good in ["a", "prod-db", "x9_.z"] {
        assert!(is_name(good), "{good}");
    }
    for bad in ["", "-a", ".a", "Ana", "a b", "a:b", "ä", "a/b", &"a".repeat(65)] {
        assert!(!is_name(bad), "{bad}");
    }
}

#[test]
fn the_chats_of_the_design_load() {
    let server = SERVER.replace("[playground]\n", "")
        + "[slack]\nmode = \"socket\"\nteam_id = \"T0123456789\"\nchannel = \"C0123456789\"\n\
         channels = { orders = \"C0000000002\" }\napi_url = \"https://slack.com/api\"\n\
         [discord]\nmode = \"http\"\nguild_id = \"112233445566778899\"\napplication_id = \"112233445566778800\"\n\
         public_key = \"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"\nchannel = \"112233445566778811\"\n";
    let people =
        PEOPLE.replace("name = \"bea\"\n", "name = \"bea\"\nslack = \"U1\"\ndiscord = \"990000000000000001\"\n");
    let resources = RESOURCES.replace("max_duration", "channel = \"C0000000003\"\nmax_duration");
    let config = load(folder(&server, &resources, &people).path()).unwrap();
    assert_eq!(config.warnings, Vec::<Problem>::new());
    assert_eq!(config.server.discord.mode, chats::DiscordMode::Http);
    assert_eq!(config.server.discord.public_key.map(|key| key.first().copied()), Some(Some(0)));
    let channels = config.server.slack.channels.unwrap();
    assert_eq!(channels.usual, "C0123456789");
    assert_eq!(channels.named.get("orders").map(String::as_str), Some("C0000000002"));
    assert_eq!(config.facts.resource("api").unwrap().channel, "C0000000003");
}

#[test]
fn what_a_chat_lacks_is_told() {
    let server = format!(
        "{SERVER}[slack]\nmode = \"sockets\"\nchannel = \"#approvals\"\nchannels = {{ security = \"security\" }}\n\
         [discord]\nmode = \"http\"\nchannel = \"112233445566778811\"\n"
    );
    insta::assert_snapshot!(told(&server, RESOURCES, PEOPLE));
}

#[test]
fn a_channel_that_no_chat_knows_is_doubted() {
    let server = format!("{SERVER}[slack]\nteam_id = \"T1\"\nchannel = \"C1\"\nchannels = {{ orders = \"C2\" }}\n");
    let resources = |channel| RESOURCES.replace("max_duration", &format!("channel = \"{channel}\"\nmax_duration"));
    let doubts = |channel| {
        let config = load(folder(&server, &resources(channel), PEOPLE).path()).unwrap();
        config
            .warnings
            .iter()
            .map(|doubt| doubt.words.clone())
            .filter(|words| words.contains("channel"))
            .collect::<Vec<_>>()
    };
    assert_eq!(doubts("orders"), Vec::<String>::new());
    assert_eq!(doubts("C3"), Vec::<String>::new());
    assert_eq!(doubts("order"), ["Slack has no channel for `order`, so its cards go to `C1`"]);
}

proptest::proptest! {
    /// Whatever stands in the files, loading ends with a config or with problems, never otherwise.
    #[test]
    fn anything_is_a_config_or_a_problem(server in "\\PC{0,200}", resources in "[\\[\\]a-z=\"\\n .0-9]{0,200}") {
        let _ = load(folder(&server, &resources, PEOPLE).path());
    }
}

mod schemas {
    use std::collections::BTreeSet;

    use super::*;

    /// All tables are there, so that the readers ask for all of their keys.
    const SERVER_WHOLE: &str =
        "[ledger]\n[http]\n[playground]\n[limits]\n[security]\n[digest]\n[slack]\n[discord]\n[pagerduty]\n";

    fn asked() -> BTreeSet<(String, String)> {
        let reader = |file, text| Reader::new(Source { file, text });
        let server = reader("countersign.toml", SERVER_WHOLE);
        let _ = server::read(&server);
        let people = reader("people.toml", "[[person]]\nname = \"ana\"\n[[group]]\nname = \"g\"\n");
        let _ = people::read(&people, None);
        let resources = reader("resources.toml", RESOURCES);
        let (known_people, groups) = Default::default();
        let known = resources::Known { people: &known_people, groups: &groups, server: None, whole: true };
        let _ = resources::read(&resources, &known);
        [server, people, resources].iter().flat_map(|reader| reader.asked.borrow().clone()).collect()
    }

    #[test]
    fn the_schemas_have_the_keys_that_are_read_and_no_others() {
        let (asked, known) = (asked(), schema::known());
        assert_eq!(
            asked.difference(&known).collect::<Vec<_>>(),
            Vec::<&(String, String)>::new(),
            "read, not in a schema"
        );
        assert_eq!(
            known.difference(&asked).collect::<Vec<_>>(),
            Vec::<&(String, String)>::new(),
            "in a schema, not read"
        );
    }

    fn validator(name: &str) -> jsonschema::Validator {
        let file = schema::FILES.iter().find(|file| file.name == name).unwrap();
        jsonschema::validator_for(&schema::of(file)).unwrap()
    }

    fn json(text: &str) -> serde_json::Value {
        serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
    }

    #[test]
    fn the_schemas_accept_the_sample_and_the_demo() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for dir in ["bot-config", "src/cli/demo"] {
            for file in schema::FILES {
                let text = std::fs::read_to_string(root.join(dir).join(file.name)).unwrap();
                let validator = validator(file.name);
                let errors: Vec<String> = validator.iter_errors(&json(&text)).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{dir}/{}: {errors:?}", file.name);
            }
        }
    }

    #[test]
    fn the_schemas_refuse_what_the_readers_refuse() {
        for (file, text) in [
            ("countersign.toml", format!("{SERVER}colour = 1\n")),
            ("countersign.toml", SERVER.replace("origin", "orgin")),
            ("countersign.toml", format!("{SERVER}[limits]\nlapse_after = \"8 hours\"\n")),
            ("resources.toml", RESOURCES.replace("approvers", "aprovers")),
            ("resources.toml", RESOURCES.replace("group:dba", "dba")),
            ("resources.toml", RESOURCES.replace("\"token\"", "\"tokn\"")),
            ("resources.toml", RESOURCES.replace("max_duration", "quorum = 21\nmax_duration")),
            ("people.toml", PEOPLE.replace("\"ana\"\n[[person]]", "\"Ana\"\n[[person]]")),
            ("people.toml", format!("{PEOPLE}on_call = 1\n")),
        ] {
            let validator = validator(file);
            assert!(!validator.is_valid(&json(&text)), "{text}");
            assert!(validator.is_valid(&json(match file {
                "countersign.toml" => SERVER,
                "resources.toml" => RESOURCES,
                _ => PEOPLE,
            })));
        }
    }
}

mod groups {
    use super::*;
    use crate::access::Chat;

    fn people(groups: &str) -> String {
        format!("{PEOPLE}{groups}")
    }

    #[test]
    fn what_a_group_may_be() {
        let mistakes = people(
            "[[group]]\nname = \"a\"\n\
             [[group]]\nname = \"b\"\nmembers = [\"ana\"]\nslack_usergroup = \"S1\"\n\
             [[group]]\nname = \"c\"\nurl = \"https://x\"\ncommand = [\"x\"]\n\
             [[group]]\nname = \"d\"\nurl = \"http://x.example\"\n\
             [[group]]\nname = \"e\"\ncommand = []\n\
             [[group]]\nname = \"f\"\nmembers = [\"dba\", \"group:dbs\"]\non_call = \"yes\"\n\
             [[group]]\nname = \"g\"\nmembers = [\"group:g\"]\n",
        );
        insta::assert_snapshot!(told(SERVER, RESOURCES, &mistakes), @r#"
        people.toml:11:1: nothing says who is in this group
            |
         11 | [[group]]
            | ^
          hint: `members`, or one of `slack_usergroup`, `discord_role`, `pagerduty_schedule`, `command` and `url`
        people.toml:16:19: a group has `members` or a source, not both
            |
         16 | slack_usergroup = "S1"
            |                   ^
          hint: put the list into a group of its own, and both into a third: `members = ["group:a", "group:b"]`
        people.toml:20:12: a group has one source
            |
         20 | command = ["x"]
            |            ^
          hint: keep one: `members`, or one of `slack_usergroup`, `discord_role`, `pagerduty_schedule`, `command` and `url`
        people.toml:23:7: `url` is to be an `https://` address
            |
         23 | url = "http://x.example"
            |       ^
          hint: who is asked over plain HTTP can be anybody; only loopback may do without TLS
        people.toml:24:1: `command` is empty
            |
         24 | [[group]]
            | ^
          hint: a program and its arguments
        people.toml:29:12: there is no person `dba`
            |
         29 | members = ["dba", "group:dbs"]
            |            ^
          hint: a group within a group is written `group:dba`
        people.toml:29:19: there is no group `dbs`
            |
         29 | members = ["dba", "group:dbs"]
            |                   ^
          hint: did you mean `group:dba`?
        people.toml:30:11: `on_call` is to be `true` or `false`
            |
         30 | on_call = "yes"
            |           ^
        people.toml:31:1: the group is in itself: g > g
            |
         31 | [[group]]
            | ^
          hint: take one of them out of the next
        "#);
    }

    #[test]
    fn groups_within_groups_and_from_elsewhere() {
        let people = people(
            "[[group]]\nname = \"pager\"\npagerduty_schedule = \"P1\"\n\
             [[group]]\nname = \"both\"\nmembers = [\"group:dba\", \"group:pager\", \"person:ana\"]\n",
        );
        let config = load(folder(SERVER, RESOURCES, &people).path()).unwrap();
        assert_eq!(config.groups["both"], ["ana", "bea"]);
        assert!(config.facts.groups()["pager"].on_call, "whoever is on a schedule is on call");
        assert_eq!(config.warnings, []);
    }

    #[test]
    fn an_id_without_its_team_is_of_the_team_of_the_config() {
        let server = format!("{SERVER}[slack]\nteam_id = \"T1\"\n[discord]\nguild_id = \"77\"\n");
        let people = PEOPLE.replacen("\"ana\"", "\"ana\"\nslack = \"U1\"\ndiscord = \"42\"", 1);
        let people = people.replacen("\"bea\"", "\"bea\"\nslack = \"T2/U1\"\ndiscord = \"78/42\"", 1);
        let config = load(folder(&server, RESOURCES, &people).path()).unwrap();
        let who = |chat, account| config.facts.principal(chat, account);
        assert_eq!((who(Chat::Slack, "T1/U1"), who(Chat::Slack, "T2/U1")), (Some("ana"), Some("bea")));
        assert_eq!((who(Chat::Discord, "77/42"), who(Chat::Discord, "78/42")), (Some("ana"), Some("bea")));
        assert_eq!(who(Chat::Slack, "U1"), None);
        let wrong = people.replacen("T2/U1", "T2/U1/x", 1);
        insta::assert_snapshot!(told(&server, RESOURCES, &wrong), @r#"
        people.toml:7:9: `slack` is no id: "T2/U1/x"
           |
         7 | slack = "T2/U1/x"
           |         ^
          hint: the user's id, or `T…/U…`; ids are letters and digits
        "#);
    }

    #[test]
    fn names_that_look_alike_are_warned_of() {
        for (one, other) in [("dev1", "devl"), ("0ps", "ops"), ("modern", "modem")] {
            let people = people(&format!(
                "[[group]]\nname = \"{one}\"\nmembers = [\"ana\"]\n[[group]]\nname = \"{other}\"\nmembers = [\"ana\"]\n"
            ));
            let config = load(folder(SERVER, RESOURCES, &people).path()).unwrap();
            let words: Vec<&str> = config.warnings.iter().map(|warning| warning.words.as_str()).collect();
            assert_eq!(words, [format!("the group `{other}` looks like `{one}`")]);
        }
    }
}
