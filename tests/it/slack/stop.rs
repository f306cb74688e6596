//! Told to stop while everybody hangs: the provider, the chat, and somebody's browser.

use std::{fs, io::Write as _, net::TcpStream, path::Path, time::Duration};

use tokio::time::Instant;

use super::{
    service::{ANA, BEN, CHANNEL, Service, config, standin},
    standin::Fault,
};
use crate::support::{
    demo::{self, assert_verifies, happened},
    plugins::{PASSWORD_FILE, pin, script},
    process::until,
};

/// Longer than any test.
const EVER: Duration = Duration::from_hours(1);

/// A resource whose provider opens its first door and never says so.
fn add_hanging(dir: &Path, marker: &Path) {
    let plugin = script(
        dir,
        "slow-once",
        &format!(
            "#!/bin/sh\nrequest=$(cat)\nanswer=$(printf '%s\\n' \"$request\" | {PASSWORD_FILE:?})\n\
             case $request in *'\"verb\":\"grant\"'*)\n\
             [ -e '{0}' ] || {{ echo $$ >'{0}'; sleep 3600; }} ;;\nesac\nprintf '%s\\n' \"$answer\"\n",
            marker.display()
        ),
    );
    let file = dir.join("config/resources.toml");
    let text = fs::read_to_string(&file).unwrap();
    let resource = format!(
        "[[resource]]\nname = \"slow-door\"\nprovider = \"exec\"\napprovers = [\"group:approvers\"]\n\
         max_duration = \"1h\"\n[resource.exec]\ncommand = [\"{}\"]\nsha256 = \"{}\"\ntimeout_secs = 20\n\
         settings = {{ file = \"{}\" }}\nsecrets = {{ token = {{ env = \"APP_TOKEN\" }} }}\n",
        plugin.display(),
        pin(&plugin),
        dir.join("users").display(),
    );
    fs::write(file, text + "\n" + &resource).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_while_the_provider_the_chat_and_a_browser_hang() {
    let dir = demo::folder();
    let marker = dir.path().join("marker");
    let slack = standin().await;
    config(dir.path(), &slack, "socket");
    add_hanging(dir.path(), &marker);
    let env = [("APP_TOKEN", "hunter2-hunter2")];
    let service = Service::start(dir.path(), &env);
    slack.connected(2).await;
    slack.breaks("chat.postMessage", std::iter::repeat_with(|| Fault::Slow(EVER)).take(50));
    let said = slack.says(ANA, CHANNEL, "slow-door 10m what hangs").await;
    assert!(said.contains("Asked:"), "{said}");
    let id = service.newest();
    let said = slack.says(BEN, CHANNEL, &format!("approve {id}")).await;
    assert!(said.contains("Approved"), "{said}");
    until("the provider is at it", || fs::read_to_string(&marker).is_ok_and(|pid| pid.ends_with('\n')));
    let plugin = Path::new("/proc").join(fs::read_to_string(&marker).unwrap().trim());
    assert!(plugin.exists());
    // A browser that has sent half of what it wants and goes on holding the line.
    let mut browser = TcpStream::connect(service.url().trim_start_matches("http://")).unwrap();
    browser.write_all(b"GET /log/checkpoint HTTP/1.1\r\nHost: loc").unwrap();

    let ledger = service.ledger();
    let began = Instant::now();
    let logged = service.stop();
    println!("stopped after {:?} with three who hang", began.elapsed());
    assert!(logged.contains("stopping"), "{logged}");
    until("what the provider was is gone", || !plugin.exists());
    drop(browser);
    // It did not wait until the provider was given up: what became of the order is not known yet.
    let entries = demo::entries(&ledger);
    assert!(happened(&entries, "grant.ordered", id));
    for kind in ["grant.issued", "grant.deferred", "grant.failed", "grant.ending", "grant.ended"] {
        assert!(!happened(&entries, kind, id), "{kind}");
    }
    assert_verifies(&ledger);

    // The next start knows as much, and goes on.
    slack.inner.state().faults.clear();
    let service = Service::start(dir.path(), &env);
    slack.connected(2).await;
    service.until("grant.issued", 1);
    slack.says(ANA, CHANNEL, &format!("done {id}")).await;
    service.until("grant.ended", 1);
    service.stop();
    assert_verifies(&ledger);
}
