//! The app's manifest: what Slack takes, and what the code uses, and no more.

use std::{collections::BTreeSet, fs};

use countersign::chat::slack::{COMMAND, EVENTS, Method, SCOPES, talk};
use serde_json::Value;

fn read(file: &str) -> String {
    fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn manifest() -> Value {
    serde_yaml_ng::from_str(&read("deploy/slack-app-manifest.yaml")).unwrap()
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn slacks_schema_has_nothing_against_it() {
    for version in [1, 2] {
        let schema =
            serde_json::from_str(&read(&format!("tests/it/slack_foreign/schemas/manifest-{version}.json"))).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let wrong: Vec<String> = validator.iter_errors(&manifest()).map(|error| error.to_string()).collect();
        assert_eq!(wrong, Vec::<String>::new(), "version {version}");
        // It can find something.
        let mut bad = manifest();
        bad["settings"]["socket_mode"] = true.into();
        assert!(!validator.is_valid(&bad));
    }
}

/// The manifest as it is when somebody has taken the `#` from what thread talk takes.
fn with_talk() -> Value {
    let optional = talk::EVENTS.iter().flat_map(|(event, scope)| [event, scope]);
    let mut text = read("deploy/slack-app-manifest.yaml");
    for name in optional {
        let line = format!("      # - {name}\n");
        assert_eq!(text.matches(&line).count(), 1, "{name}");
        text = text.replace(&line, &format!("      - {name}\n"));
    }
    serde_yaml_ng::from_str(&text).unwrap()
}

/// The usual app can't read a channel. What is recorded of threads takes two scopes and two events more, and no others.
#[test]
fn thread_talk_is_asked_for_by_nobody_who_does_not_want_it() {
    let (usual, more) = (manifest(), with_talk());
    let schema = serde_json::from_str(&read("tests/it/slack_foreign/schemas/manifest-2.json")).unwrap();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&more));
    let scopes = |manifest: &Value| texts(&manifest["oauth_config"]["scopes"]["bot"]);
    let events = |manifest: &Value| texts(&manifest["settings"]["event_subscriptions"]["bot_events"]);
    assert!(scopes(&usual).iter().all(|scope| !scope.ends_with(":history")), "{usual:#}");
    assert!(events(&usual).iter().all(|event| !event.starts_with("message")), "{usual:#}");
    let named = |pick: fn(&(&str, &str)) -> String| talk::EVENTS.iter().map(pick).collect::<BTreeSet<String>>();
    let added = |more: BTreeSet<String>, usual: BTreeSet<String>| &more - &usual;
    assert_eq!(added(scopes(&more), scopes(&usual)), named(|(_, scope)| (*scope).to_owned()));
    assert_eq!(added(events(&more), events(&usual)), named(|(event, _)| (*event).to_owned()));
    assert!(scopes(&usual).is_subset(&scopes(&more)) && events(&usual).is_subset(&events(&more)));
}

#[test]
fn its_scopes_events_and_command_are_those_of_the_code() {
    let manifest = manifest();
    let mut used: BTreeSet<String> = SCOPES.iter().map(|scope| (*scope).to_owned()).collect();
    used.extend(Method::ALL.iter().filter_map(|method| method.scope()).map(str::to_owned));
    assert_eq!(texts(&manifest["oauth_config"]["scopes"]["bot"]), used);
    assert!(manifest["oauth_config"]["scopes"].get("user").is_none());
    let events: BTreeSet<String> = EVENTS.iter().map(|event| (*event).to_owned()).collect();
    assert_eq!(texts(&manifest["settings"]["event_subscriptions"]["bot_events"]), events);
    let commands = manifest["features"]["slash_commands"].as_array().unwrap();
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0]["command"], COMMAND);
    assert_eq!(manifest["settings"]["interactivity"]["is_enabled"], true);
    assert_eq!(manifest["settings"]["socket_mode_enabled"], true);
    assert_eq!(manifest["features"]["app_home"]["home_tab_enabled"], true);
    // Every method that the code calls is one of those above.
    for file in fs::read_dir(format!("{}/src/chat/slack", env!("CARGO_MANIFEST_DIR"))).unwrap() {
        let path = file.unwrap().path();
        if !path.is_file() || path.ends_with("api.rs") {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        for family in
            ["\"chat.", "\"views.", "\"conversations.", "\"users.", "\"usergroups.", "\"reactions.", "\"files."]
        {
            assert!(!source.contains(family), "{} calls a method past `Method`", path.display());
        }
    }
}
