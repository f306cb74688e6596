//! `ssh`: certificates and revocation lists as OpenSSH's own programs see them.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use chrono::{DateTime, TimeDelta, Utc};
use countersign::provider::{self, Credential, Holder, Order, Provider, ProviderError, SessionEnd, Surroundings};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    door::{Place, TAG, ending_in, map, now, order, part},
    process::{run, said, until},
    sshd::{Sshd, save, whoami},
};

/// The files of a credential, saved where its labels say.
struct Saved {
    dir: TempDir,
    identity: PathBuf,
    certificate: PathBuf,
}

fn saved(credential: &Credential) -> Saved {
    let dir = tempfile::tempdir().unwrap();
    let identity = save(&dir, "id", &part(credential, "private key"));
    let certificate = save(&dir, "id-cert.pub", &part(credential, "certificate"));
    Saved { dir, identity, certificate }
}

/// What `ssh-keygen -L` says of a certificate, line by line.
fn told(certificate: &Path) -> Vec<String> {
    run(Command::new("ssh-keygen").env("TZ", "UTC").arg("-L").arg("-f").arg(certificate))
        .lines()
        .map(|line| line.trim().to_owned())
        .collect()
}

/// Whether `ssh-keygen` finds a certificate in a revocation list.
fn is_revoked(krl: &Path, certificate: &Path) -> bool {
    let output = Command::new("ssh-keygen").arg("-Q").arg("-f").arg(krl).arg(certificate).output().unwrap();
    let words = said(&output);
    assert!(words.contains("REVOKED") || words.contains(": ok"), "{words}");
    words.contains("REVOKED")
}

/// A provider and a server that trusts it.
struct Scene {
    place: Place,
    provider: Arc<dyn Provider>,
    sshd: Sshd,
}

impl Scene {
    async fn new(settings: &serde_json::Value) -> Self {
        let place = Place::new(&[]);
        let provider = place.open("ssh", "prod-host", settings);
        let ca = provider.public("ca.pub").await.unwrap().body;
        provider.public("krl").await.unwrap();
        let sshd = Sshd::start(&ca, &krl(&place), "prod-host");
        Self { place, provider, sshd }
    }

    async fn granted(&self, order: &Order) -> Saved {
        self.provider.grant(order).await.unwrap();
        saved(&self.provider.credential(order, 1).await.unwrap())
    }
}

fn krl(place: &Place) -> PathBuf {
    place.dir.path().join("prod-host/revoked.krl")
}

#[tokio::test]
async fn a_certificate_says_exactly_what_was_granted() {
    let place = Place::new(&[]);
    let settings = json!({ "principals": ["deploy", "logs"], "source_addresses": ["127.0.0.0/8", "::1"] });
    let provider = place.open("ssh", "prod-host", &settings);
    let order = order("prod-host", 4821);
    provider.grant(&order).await.unwrap();
    let before = now();
    let credential = provider.credential(&order, 1).await.unwrap();
    let files = saved(&credential);
    let lines = told(&files.certificate);
    let value = |name: &str| {
        let line =
            lines.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name} in {lines:?}"));
        line.trim().to_owned()
    };

    assert_eq!(value("Type:"), "ssh-ed25519-cert-v01@openssh.com user certificate");
    assert_eq!(value("Serial:"), "4821");
    assert_eq!(value("Key ID:"), format!("\"cs_{TAG}_4821:1:requester\""));
    let ca = save(&files.dir, "ca.pub", &String::from_utf8(provider.public("ca.pub").await.unwrap().body).unwrap());
    let fingerprint = run(Command::new("ssh-keygen").arg("-l").arg("-f").arg(ca));
    assert_eq!(
        value("Signing CA:"),
        format!("ED25519 {} (using ssh-ed25519)", fingerprint.split_whitespace().nth(1).unwrap())
    );
    let (from, to) = value("Valid:")
        .strip_prefix("from ")
        .unwrap()
        .split_once(" to ")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let moment = |text: &str| format!("{text}Z").parse::<DateTime<Utc>>().unwrap().timestamp();
    assert_eq!(moment(&to), order.not_after.timestamp(), "to the second");
    assert!((moment(&from) - (before.timestamp() - 60)).abs() <= 1, "a minute before now");
    assert_eq!(credential.not_after.timestamp(), order.not_after.timestamp());

    // The lists at the end, whole: nothing is allowed that isn't named here.
    let at = |name: &str| lines.iter().position(|line| line == name).unwrap_or_else(|| panic!("{name} in {lines:?}"));
    assert_eq!(lines[at("Principals:") + 1..at("Critical Options:")], ["deploy", "logs"]);
    let options = &lines[at("Critical Options:") + 1..at("Extensions:")];
    assert_eq!(options.len(), 2, "{options:?}");
    assert!(options[0].starts_with("force-command exec /bin/sh -c "), "{options:?}");
    assert!(options[0].contains(&order.not_after.timestamp().to_string()), "the end itself, not a length of time");
    assert_eq!(options[1], "source-address 127.0.0.0/8,::1");
    assert_eq!(lines[at("Extensions:") + 1..], ["permit-pty"]);

    // What may be recorded names nobody.
    assert_eq!(credential.public_id, format!("cs_{TAG}_4821:1"));
}

#[tokio::test]
async fn a_person_with_a_key_gets_it_certified() {
    let place = Place::new(&[]);
    let provider =
        place.open("ssh", "prod-host", &json!({ "host": "bastion.example.com", "user": "deploy", "port": 2222 }));
    for (kind, bits) in [("ed25519", "256"), ("rsa", "3072"), ("ecdsa", "384")] {
        let dir = tempfile::tempdir().unwrap();
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-b", bits, "-N", "", "-f"])
            .arg(dir.path().join("own")));
        let own = fs::read_to_string(dir.path().join("own.pub")).unwrap();
        let number = 10 + u64::try_from(bits.len()).unwrap() + u64::try_from(kind.len()).unwrap();
        let mut order = order("prod-host", number);
        order.holder = Holder { name: "requester".into(), ssh_keys: vec![own] };
        provider.grant(&order).await.unwrap();
        let one = provider.credential(&order, 1).await.unwrap();
        assert!(one.parts.iter().all(|part| !part.label.contains("private")), "{kind}: nothing secret is made");
        let first = save(&dir, "own-cert.pub", &part(&one, "certificate"));
        let key = run(Command::new("ssh-keygen").arg("-l").arg("-f").arg(dir.path().join("own.pub")));
        let certified = told(&first).into_iter().find(|line| line.starts_with("Public key:")).unwrap();
        assert!(certified.contains(key.split_whitespace().nth(1).unwrap()), "{kind}: {certified} is not {key}");
        assert!(!is_revoked(&krl(&place), &first), "{kind}");

        // The second voids the first, not the person's key and not itself.
        let two = provider.credential(&order, 2).await.unwrap();
        let second = save(&dir, "second-cert.pub", &part(&two, "certificate"));
        assert!(is_revoked(&krl(&place), &first), "{kind}");
        assert!(!is_revoked(&krl(&place), &second), "{kind}");
        assert!(!is_revoked(&krl(&place), &dir.path().join("own.pub")), "{kind}: the key itself is fine");
        let command = part(&two, "then run");
        assert!(command.ends_with("-p 2222 deploy@bastion.example.com"), "{command}");
    }
}

#[tokio::test]
async fn the_revocation_list_is_one_openssh_reads() {
    let place = Place::new(&[]);
    let clock = Arc::new(Mutex::new(now()));
    let read = Arc::clone(&clock);
    let surroundings = Surroundings { now: Arc::new(move || *read.lock().unwrap()), ..place.surroundings() };
    let provider = provider::open("ssh", "prod-host", &map(&json!({})), &surroundings).unwrap();
    let empty = provider.public("krl").await.unwrap().body;
    let mut files = Vec::new();
    for number in [0, 7, 4821, u64::MAX >> 1] {
        let order = order("prod-host", number);
        provider.grant(&order).await.unwrap();
        files.push((order.clone(), saved(&provider.credential(&order, 1).await.unwrap())));
    }
    for (_, file) in &files {
        assert!(!is_revoked(&krl(&place), &file.certificate));
    }
    for (order, _) in files.iter().filter(|(order, _)| order.request != 7) {
        provider.revoke(order).await.unwrap();
    }
    for (order, file) in &files {
        assert_eq!(is_revoked(&krl(&place), &file.certificate), order.request != 7, "{}", order.request);
    }
    let served = provider.public("krl").await.unwrap().body;
    assert_eq!(served, fs::read(krl(&place)).unwrap(), "what is served is what the file says");

    // What ended by itself is forgotten, with an hour to spare for clocks that are slow.
    *clock.lock().unwrap() += TimeDelta::minutes(80);
    provider.revoke(&order("prod-host", 7)).await.unwrap();
    assert!(is_revoked(&krl(&place), &files[0].1.certificate));
    *clock.lock().unwrap() += TimeDelta::minutes(20);
    provider.revoke(&order("prod-host", 7)).await.unwrap();
    let left = fs::read(krl(&place)).unwrap();
    assert_eq!(left.len(), empty.len(), "nothing is in the list any more");
}

#[tokio::test]
async fn the_last_seconds_are_not_a_whole_session() {
    let scene = Scene::new(&json!({})).await;
    assert_eq!(scene.provider.describe().ends_sessions, SessionEnd::AtNotAfter);
    let order = ending_in(&order("prod-host", 12), 12);
    let files = scene.granted(&order).await;
    let client = || scene.sshd.client(&files.identity);

    // Sessions of every kind, all open before the end: a command, one that ignores signals, one with a child in the
    // background, a terminal with a shell.
    let mut sessions = vec![
        ("a command", started(client().arg("echo started; sleep 3141; echo survived"))),
        (
            "a stubborn command",
            started(client().arg("trap '' HUP TERM INT; echo started; while :; do sleep 3142; done")),
        ),
        ("a command with a child", started(client().arg("sleep 3143 & echo started; wait"))),
        ("a terminal", started_typing(client().arg("-tt"), "echo start''ed; sleep 3144\n")),
    ];
    // A connection that is there before the end and opens a session after it.
    let socket = files.dir.path().join("control");
    let control = format!("ControlPath={}", socket.display());
    let mut master = client();
    master.args(["-o", "ControlMaster=yes", "-o", &control, "-N"]);
    let mut master = master.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the connection is shared", || socket.exists());

    until("the last seconds", || order.not_after - now() < TimeDelta::milliseconds(4200));
    sessions.push(("one of the last seconds", started(client().arg("echo started; sleep 3145; echo survived"))));
    for (what, session) in &mut sessions {
        let status = session.child.wait().unwrap();
        let late = now() - order.not_after;
        assert!(late < TimeDelta::milliseconds(1000), "{what} lived {late} past the end");
        assert!(!status.success(), "{what}");
        assert!(!session.rest().contains("survived"), "{what}");
    }
    until("the end", || now() > order.not_after);
    let processes = run(Command::new("ps").args(["-eo", "args"]));
    for seconds in 3141..=3145 {
        assert!(!processes.contains(&format!("sleep {seconds}")), "sleep {seconds} is still there");
    }

    let after = client().args(["-o", &control]).arg("echo survived").output().unwrap();
    assert!(said(&after).contains("this access has ended"), "{}", said(&after));
    assert!(!said(&after).contains("survived"));
    let again = client().arg("echo survived").output().unwrap();
    assert!(!again.status.success() && !said(&again).contains("survived"), "{}", said(&again));
    assert!(scene.sshd.log().contains("Certificate invalid: expired"), "{}", scene.sshd.log());
    master.kill().unwrap();
    master.wait().unwrap();
}

#[tokio::test]
async fn ordinary_use_is_not_hindered() {
    let scene = Scene::new(&json!({ "principals": ["prod-host"], "source_addresses": ["127.0.0.0/8"] })).await;
    let files = scene.granted(&order("prod-host", 12)).await;
    let client = || scene.sshd.client(&files.identity);
    // The command's words, its output, its exit code and its input arrive as they are.
    let quoted = client().arg(r#"printf '%s|' "it's" 'a "test"' $((6 * 7))"#).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&quoted.stdout), r#"it's|a "test"|42|"#);
    assert_eq!(client().arg("exit 7").output().unwrap().status.code(), Some(7));
    let mut cat = client().arg("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    cat.stdin.take().unwrap().write_all(b"there and back").unwrap();
    assert_eq!(cat.wait_with_output().unwrap().stdout, b"there and back");
    // A terminal is a terminal: with job control, and Ctrl-C goes to what runs in it.
    let mut shell = started_typing(client().arg("-tt"), "echo start''ed; sleep 3150\n");
    until("it sleeps", || run(Command::new("ps").args(["-eo", "args"])).contains("sleep 3150"));
    shell.child.stdin.as_mut().unwrap().write_all(b"\x03echo in''terrupted; tty; exit 5\n").unwrap();
    assert_eq!(shell.child.wait().unwrap().code(), Some(5));
    let rest = shell.rest();
    assert!(rest.contains("interrupted") && rest.contains("/dev/pts/"), "{rest}");
    // The log of the server names the grant and its holder.
    let log = scene.sshd.log();
    assert!(log.contains(&format!("ID cs_{TAG}_12:1:requester (serial 12)")), "{log}");
}

#[tokio::test]
async fn files_can_be_copied() {
    let scene = Scene::new(&json!({})).await;
    let files = scene.granted(&order("prod-host", 12)).await;
    let (from, to) = (files.dir.path().join("from here"), files.dir.path().join("to there"));
    fs::write(&from, "the same bytes").unwrap();
    let options = [
        "-F",
        "none",
        "-q",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "BatchMode=yes",
    ];
    let port = scene.sshd.port.to_string();
    // This sshd would serve files by itself (`internal-sftp`), as hardened servers do.
    run(Command::new("scp")
        .args(options)
        .args(["-s", "-P", &port, "-o", "IdentityAgent=none", "-i"])
        .arg(&files.identity)
        .arg(&from)
        .arg(format!("{}@127.0.0.1:{}", whoami(), to.display())));
    assert_eq!(fs::read_to_string(to).unwrap(), "the same bytes");
}

#[tokio::test]
async fn a_certificate_is_good_from_its_addresses_only() {
    let scene = Scene::new(&json!({ "source_addresses": ["192.0.2.0/24"] })).await;
    let files = scene.granted(&order("prod-host", 12)).await;
    let output = scene.sshd.client(&files.identity).arg("true").output().unwrap();
    assert!(!output.status.success());
    assert!(scene.sshd.log().contains("not from a permitted source address"), "{}", scene.sshd.log());
}

#[tokio::test]
async fn the_command_that_is_shown_can_be_pasted() {
    let scene = Scene::new(&json!({})).await;
    let order = order("prod-host", 12);
    scene.provider.grant(&order).await.unwrap();
    let credential = scene.provider.credential(&order, 1).await.unwrap();
    let settings = json!({ "host": "127.0.0.1", "user": whoami(), "port": scene.sshd.port });
    let shown = scene.place.open("ssh", "prod-host", &settings);
    let credential_shown = shown.credential(&order, 2).await.unwrap();
    drop(credential);
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".ssh")).unwrap();
    for part in credential_shown.parts.iter().filter(|part| part.label.contains("save it as")) {
        let name = part.label.split('`').nth(1).unwrap().strip_prefix("~/").unwrap();
        fs::write(home.path().join(name), secrecy::ExposeSecret::expose_secret(&part.text)).unwrap();
    }
    // ssh looks for `~` in the list of users: the words are pasted with the folder in its place.
    let line = part(&credential_shown, "then run").replace('~', &home.path().display().to_string());
    let line = line.replace(
        "ssh -o",
        "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o",
    );
    let said = run(Command::new("sh").arg("-c").arg(format!("{line} echo inside")));
    assert_eq!(said.trim(), "inside");
}

#[tokio::test]
async fn a_hostile_name_stays_a_name() {
    let place = Place::new(&[]);
    let provider = place.open("ssh", "prod-host", &json!({}));
    for (number, name) in
        ["'; DROP ROLE", "Zoë\n\u{202e}moc", "\"$(reboot)\"", "a:b:c", &"x".repeat(5000)].iter().enumerate()
    {
        let number = u64::try_from(number).unwrap();
        let mut order = order("prod-host", number);
        order.holder.name = (*name).to_owned();
        provider.grant(&order).await.unwrap();
        let files = saved(&provider.credential(&order, 1).await.unwrap());
        let id = told(&files.certificate).into_iter().find(|line| line.starts_with("Key ID:")).unwrap();
        let id = id.trim_start_matches("Key ID: \"").trim_end_matches('"').to_owned();
        let (start, holder) = id.rsplit_once(':').unwrap();
        assert_eq!(start, format!("cs_{TAG}_{number}:1"));
        assert!(holder.len() <= 64 && holder.chars().all(|c| c.is_ascii_alphanumeric() || "._-@".contains(c)), "{id}");
    }
}

#[tokio::test]
async fn a_ca_key_of_the_operators_is_used_and_a_wrong_one_named() {
    let place = Place::new(&[]);
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let make = |name: &str, kind: &str, word: &str| {
        run(Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", word, "-f"]).arg(file(name)));
    };
    make("good", "ed25519", "");
    make("rsa", "rsa", "");
    make("locked", "ed25519", "a passphrase");
    let open = |name: &str| place.open("ssh", "prod-host", &json!({ "ca_key_file": file(name) }));

    let good = open("good");
    assert_eq!(good.check().await.unwrap(), Vec::<String>::new());
    let ours = String::from_utf8(good.public("ca.pub").await.unwrap().body).unwrap();
    let theirs = fs::read_to_string(file("good.pub")).unwrap();
    assert_eq!(ours.split_whitespace().nth(1), theirs.split_whitespace().nth(1));
    assert!(!place.dir.path().join("prod-host/ca_key").exists(), "none of our own is made");

    fs::set_permissions(file("good"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(good.check().await.unwrap(), ["others may read `ssh.ca_key_file`: run `chmod 600` on it"]);
    for (name, words) in [
        ("rsa", "is not an Ed25519 key"),
        ("locked", "has a passphrase"),
        ("nowhere", "can't be read"),
        ("good.pub", "is not a private key"),
    ] {
        let wrong = open(name);
        let found = wrong.check().await.unwrap().join("; ");
        assert!(found.contains(words), "{name}: {found}");
        assert!(matches!(wrong.grant(&order("prod-host", 1)).await, Err(ProviderError::Permanent(_))), "{name}");
        assert!(!found.contains(&dir.path().display().to_string()), "no path in {found}");
    }
}

#[tokio::test]
async fn keys_and_lists_survive_and_are_private() {
    let place = Place::new(&[]);
    let order = order("prod-host", 12);
    let open = || place.open("ssh", "prod-host", &json!({}));
    let first = open();
    first.grant(&order).await.unwrap();
    let files = saved(&first.credential(&order, 1).await.unwrap());
    let ca = first.public("ca.pub").await.unwrap();
    drop(first);

    // Another instance, as after a restart or for another grant, goes on where the first was.
    let second = open();
    assert_eq!(second.public("ca.pub").await.unwrap(), ca);
    assert_eq!(second.list(TAG).await.unwrap().len(), 1);
    second.credential(&order, 2).await.unwrap();
    assert!(is_revoked(&krl(&place), &files.certificate));
    let refused = second.credential(&order, 1).await;
    assert!(matches!(refused, Err(ProviderError::Permanent(_))), "an earlier number would be void at once");

    let folder = place.dir.path().join("prod-host");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn many_at_once_lose_nothing() {
    let place = Place::new(&[]);
    let orders: Vec<_> = (0..24).map(|number| order("prod-host", number)).collect();
    let tasks = orders.iter().cloned().map(|order| {
        let provider = place.open("ssh", "prod-host", &json!({}));
        tokio::spawn(async move {
            provider.grant(&order).await.unwrap();
            let credential = provider.credential(&order, 1).await.unwrap();
            if order.request % 2 == 0 {
                provider.revoke(&order).await.unwrap();
            }
            (order, saved(&credential))
        })
    });
    let mut done = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        done.push(task.await.unwrap());
    }
    for (order, files) in &done {
        assert_eq!(is_revoked(&krl(&place), &files.certificate), order.request % 2 == 0, "{}", order.request);
    }
    let provider = place.open("ssh", "prod-host", &json!({}));
    assert_eq!(provider.list(TAG).await.unwrap().len(), 12);
}

/// A session that has said that it started.
struct Session {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Session {
    fn of(mut child: Child) -> Self {
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// What it says until it ends.
    fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut self.output, &mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn started(command: &mut Command) -> Session {
    started_typing(command, "")
}

fn started_typing(command: &mut Command, typed: &str) -> Session {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut session = Session::of(child);
    session.child.stdin.as_mut().unwrap().write_all(typed.as_bytes()).unwrap();
    let mut line = String::new();
    while !line.trim_end().ends_with("started") {
        line.clear();
        assert_ne!(session.output.read_line(&mut line).unwrap(), 0, "it ended before it started");
    }
    session
}
