//! The sources against stand-ins: a small HTTP server that answers as the platforms' references say, and real programs.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
};

use serde_json::json;

use super::*;

/// Answers one request after the other from a list, and keeps what was asked.
struct Stand {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stand {
    fn new(answers: Vec<(u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for (status, body) in answers {
                let Ok((stream, _)) = listener.accept() else { return };
                let mut head = Vec::new();
                for line in BufReader::new(&stream).lines().map_while(Result::ok) {
                    if line.is_empty() {
                        break;
                    }
                    head.push(line);
                }
                kept.lock().unwrap().push(head.join("\n"));
                let length = body.len();
                let _ = write!(
                    &stream,
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
                     Location: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n{body}"
                );
            }
        });
        Self { url, asked }
    }

    fn json(answer: &serde_json::Value) -> Self {
        Self::new(vec![(200, answer.to_string())])
    }

    fn platform(&self, place: Option<&str>) -> Platform {
        Platform { api_url: self.url.clone(), token: Ok("t0ken".to_owned().into()), place: place.map(str::to_owned) }
    }

    fn asked(&self) -> String {
        self.asked.lock().unwrap().join("\n\n")
    }
}

fn platforms(stand: &Stand, place: Option<&str>) -> Platforms {
    let platform = stand.platform(place);
    Platforms { slack: platform.clone(), discord: platform.clone(), pagerduty: platform }
}

async fn ask(source: Source, stand: &Stand, place: Option<&str>) -> Result<Vec<String>, String> {
    lookup(&source, &platforms(stand, place)).members().await
}

#[tokio::test]
async fn a_slack_user_group() {
    // docs.slack.dev/reference/methods/usergroups.users.list
    let stand = Stand::json(&json!({"ok": true, "users": ["U060R4BJ4", "W123A4BC5"]}));
    let people = ask(Source::SlackUsergroup("S0604QSJC".into()), &stand, Some("T1")).await;
    assert_eq!(people.unwrap(), ["T1/U060R4BJ4", "T1/W123A4BC5"]);
    let asked = stand.asked();
    assert!(asked.starts_with("GET /usergroups.users.list?usergroup=S0604QSJC HTTP/1.1"), "{asked}");
    assert!(asked.to_lowercase().contains("authorization: bearer t0ken"), "{asked}");
    let stand = Stand::json(&json!({"ok": false, "error": "no_such_subteam"}));
    let people = ask(Source::SlackUsergroup("S1".into()), &stand, None).await;
    assert_eq!(people.unwrap_err(), "Slack says `no_such_subteam`");
}

#[tokio::test]
async fn a_discord_role() {
    // discord.com/developers/docs/resources/guild#list-guild-members
    let member = |id: &str, roles: &[&str]| {
        json!({"user": {"id": id, "username": "x", "discriminator": "0"}, "nick": null, "roles": roles,
               "joined_at": "2015-04-26T06:26:56.936000+00:00", "deaf": false, "mute": false, "flags": 0})
    };
    let full: Vec<_> = (1..=1000).map(|n| member(&n.to_string(), if n == 7 { &["r1"] } else { &["r2"] })).collect();
    let rest = json!([member("1001", &["r2", "r1"])]);
    let stand = Stand::new(vec![(200, json!(full).to_string()), (200, rest.to_string())]);
    let people = ask(Source::DiscordRole("r1".into()), &stand, Some("g9")).await;
    assert_eq!(people.unwrap(), ["g9/7", "g9/1001"]);
    let asked = stand.asked();
    assert!(asked.contains("GET /api/v10/guilds/g9/members?limit=1000&after=0 HTTP/1.1"), "{asked}");
    assert!(asked.contains("GET /api/v10/guilds/g9/members?limit=1000&after=1000 HTTP/1.1"), "{asked}");
    assert!(asked.to_lowercase().contains("authorization: bot t0ken"), "{asked}");
    let people = ask(Source::DiscordRole("r1".into()), &stand, None).await;
    assert_eq!(people.unwrap_err(), "`discord.guild_id` is not set");
}

/// An entry of `GET /oncalls`, with the fields that `PagerDuty`'s `OpenAPI` document (`Oncall`, `User`) has.
fn on_call(schedule: &str, email: &str) -> serde_json::Value {
    json!({
        "escalation_policy": {"id": "PT20YPA", "type": "escalation_policy_reference", "summary": "Another Escalation Policy",
            "self": "https://api.pagerduty.com/escalation_policies/PT20YPA",
            "html_url": "https://subdomain.pagerduty.com/escalation_policies/PT20YPA"},
        "escalation_level": 2,
        "schedule": {"id": schedule, "type": "schedule_reference", "summary": "Daily Engineering Rotation",
            "self": "https://api.pagerduty.com/schedules/PI7DH85",
            "html_url": "https://subdomain.pagerduty.com/schedules/PI7DH85"},
        "user": {"id": "PT23IWX", "type": "user", "summary": "Tim Wright", "name": "Tim Wright", "email": email,
            "time_zone": "Europe/Berlin", "role": "user", "job_title": null, "teams": [], "contact_methods": []},
        "start": "2015-03-06T15:28:51-05:00", "end": "2015-03-07T15:28:51-05:00"
    })
}

#[tokio::test]
async fn who_is_on_call_by_a_schedule() {
    let first = json!({"oncalls": [on_call("PI7DH85", "tim@example.com"), on_call("POTHER", "eve@example.com")],
                       "limit": 100, "offset": 0, "more": true, "total": null});
    let second = json!({"oncalls": [on_call("PI7DH85", "ana@example.com")],
                        "limit": 100, "offset": 100, "more": false, "total": null});
    let stand = Stand::new(vec![(200, first.to_string()), (200, second.to_string())]);
    let people = ask(Source::PagerdutySchedule("PI7DH85".into()), &stand, None).await;
    assert_eq!(people.unwrap(), ["tim@example.com", "ana@example.com"], "who is on call elsewhere is not on call here");
    let asked = stand.asked();
    assert!(
        asked.starts_with("GET /oncalls?schedule_ids%5B%5D=PI7DH85&include%5B%5D=users&limit=100&offset=0 HTTP/1.1"),
        "{asked}"
    );
    assert!(asked.to_lowercase().contains("authorization: token token=t0ken"), "{asked}");
    assert!(asked.to_lowercase().contains("accept: application/vnd.pagerduty+json;version=2"), "{asked}");
    assert!(asked.contains("offset=100"), "{asked}");
}

#[tokio::test]
async fn a_list_behind_a_url() {
    let stand = Stand::json(&json!(["ana", "bea@example.com"]));
    let people = ask(Source::Url(format!("{}/dba.json", stand.url)), &stand, None).await;
    assert_eq!(people.unwrap(), ["ana", "bea@example.com"]);
    assert!(!stand.asked().to_lowercase().contains("authorization"), "nobody's token is sent there");
    for (status, body, why) in [
        (200, "[1]", "its URL's list holds what is no text"),
        (200, "{}", "its URL's answer is no list of at most 10000 names"),
        (200, "nonsense", "its URL's answer is no JSON"),
        (302, "[]", "its URL answered 302: it failed"),
        (403, "[]", "its URL answered 403: our token may not read this"),
        (500, "[]", "its URL answered 500: it failed"),
    ] {
        let stand = Stand::new(vec![(status, body.to_owned())]);
        let people = ask(Source::Url(format!("{}/x?key=s3cret", stand.url)), &stand, None).await;
        assert_eq!(people.unwrap_err(), why);
    }
    let huge = format!("[\"{}\"]", "x".repeat(5 * 1024 * 1024));
    let stand = Stand::new(vec![(200, huge)]);
    let people = ask(Source::Url(format!("{}/x?key=s3cret", stand.url)), &stand, None).await;
    assert_eq!(people.unwrap_err(), "its URL's answer can't be read: it is too long");
    let people = ask(Source::Url("http://127.0.0.1:1/x?key=s3cret".into()), &stand, None).await;
    assert_eq!(people.unwrap_err(), "its URL can't be asked: no connection");
}

#[tokio::test]
async fn without_a_token_nobody_is_asked() {
    let stand = Stand::new(vec![]);
    let mut platforms = platforms(&stand, None);
    platforms.slack.token = Err("`SLACK_BOT_TOKEN` is not set".into());
    let people = lookup(&Source::SlackUsergroup("S1".into()), &platforms).members().await;
    assert_eq!(people.unwrap_err(), "`SLACK_BOT_TOKEN` is not set");
}

async fn run(words: &[&str]) -> Result<Vec<String>, String> {
    command::Program(words.iter().map(|word| (*word).to_owned()).collect()).members().await
}

#[tokio::test]
async fn a_program_prints_a_name_a_line() {
    assert_eq!(run(&["printf", "ana\n\n bea@example.com \n"]).await.unwrap(), ["ana", "bea@example.com"]);
    let env = run(&["env"]).await.unwrap();
    assert!(
        env.iter().all(|line| ["PATH=", "PWD=", "SHLVL=", "_="].iter().any(|known| line.starts_with(known))),
        "{env:?}"
    );
    assert!(run(&["/nonexistent/program"]).await.unwrap_err().starts_with("its command can't be started"));
    assert_eq!(run(&["false"]).await.unwrap_err(), "its command failed (exit status: 1)");
    assert_eq!(
        run(&["sh", "-c", "yes | head -c 300000"]).await.unwrap_err(),
        "its command printed more than 262144 bytes"
    );
    assert_eq!(run(&["printf", "\\377"]).await.unwrap_err(), "its command printed what is no UTF-8");
    assert_eq!(run(&[]).await.unwrap_err(), "its command is empty");
}

/// What a program has started goes with it when nobody waits for it any more.
#[tokio::test]
async fn a_program_that_is_given_up_is_ended_with_all_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    // The child of the program holds the pipe open, and says so.
    let script = format!("(echo started; exec sleep 600) > {} & wait", pipe.display());
    let asked = tokio::spawn(async move { run(&["sh", "-c", &script]).await });
    let reading = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(std::fs::File::open(pipe).unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        (first, lines)
    });
    let (first, mut lines) = reading.await.unwrap();
    assert_eq!(first, "started");
    asked.abort();
    let end = tokio::task::spawn_blocking(move || lines.next().is_none()).await.unwrap();
    assert!(end, "the pipe ends when the last who holds it does");
}
