//! Nothing secret is written down: a run is lived with the most talkative log there is, and then everything it left is
//! searched, byte by byte and in every usual dress, for what only one pair of eyes was to see.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use serde_json::Value;

use crate::support::demo::{self, Answer, Demo, countersign};

/// Words that nobody else uses.
const REASON: &str = "zebrafish aquarium overflow";
const COMMENT: &str = "pomegranate was here";
const NONSENSE: &str = "quixotic marmalade";
/// Those whose names are too long to come up by chance among random bytes.
const NAMES: [&str; 2] = ["dora", "cleo"];
const PEOPLE: [&str; 5] = ["ana", "ben", "cleo", "dora", "eve"];
/// A part of a secret this long gives it away.
const NEEDLE_BYTES_MAX: usize = 24;

/// Something that was left, and where.
struct Trace {
    place: String,
    bytes: Vec<u8>,
}

/// Something that must not be found, and where it may be.
struct Secret {
    what: &'static str,
    needles: Vec<Vec<u8>>,
    home: Option<PathBuf>,
}

impl Secret {
    fn new(what: &'static str, secret: &[u8]) -> Self {
        assert!(secret.len() >= 16, "{what} is too short to be looked for");
        Self { what, needles: dresses(secret), home: None }
    }

    fn kept_in(self, home: PathBuf) -> Self {
        Self { home: Some(home), ..self }
    }

    fn found_in(&self, traces: &[Trace]) -> Vec<String> {
        let elsewhere = traces.iter().filter(|trace| self.home.as_ref().is_none_or(|home| !is_at(trace, home)));
        let held = elsewhere.filter(|trace| self.needles.iter().any(|needle| contains(&trace.bytes, needle)));
        held.map(|trace| format!("{} is in {}", self.what, trace.place)).collect()
    }
}

fn is_at(trace: &Trace, home: &Path) -> bool {
    trace.place == home.display().to_string()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

/// A secret as it is, in hex, and in base 64 wherever in a longer text it begins.
fn dresses(secret: &[u8]) -> Vec<Vec<u8>> {
    let secret = secret.get(..NEEDLE_BYTES_MAX).unwrap_or(secret);
    let mut needles = vec![secret.to_vec(), hex::encode(secret).into_bytes(), hex::encode_upper(secret).into_bytes()];
    for skipped in 0..3 {
        let whole = secret.len() / 3 * 3;
        let aligned = &secret[skipped..whole - 3 + skipped];
        needles.extend([STANDARD_NO_PAD.encode(aligned).into_bytes(), URL_SAFE_NO_PAD.encode(aligned).into_bytes()]);
    }
    // As a program's debug output shows bytes.
    let listed: Vec<String> = secret.iter().map(ToString::to_string).collect();
    needles.push(listed.join(", ").into_bytes());
    needles
}

/// Every file below a folder.
fn files(dir: &Path) -> Vec<Trace> {
    let mut traces = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            traces.extend(files(&path));
        } else {
            traces.push(file(&path));
        }
    }
    traces
}

/// A file, without the zeros at its end: segments and the reserve are mostly those.
fn file(path: &Path) -> Trace {
    const BLOCK: usize = 4096;
    let mut bytes = fs::read(path).unwrap();
    while let Some(rest) = bytes.len().checked_sub(BLOCK).filter(|rest| bytes[*rest..] == [0; BLOCK]) {
        bytes.truncate(rest);
    }
    Trace { place: path.display().to_string(), bytes }
}

/// The secret half of an Ed25519 key in PKCS#8 PEM.
fn seed(pem: &Path) -> Vec<u8> {
    let text = fs::read_to_string(pem).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body).unwrap();
    // An octet string of 32 bytes in an octet string (RFC 8410).
    let at = der.windows(4).position(|window| window == [0x04, 0x22, 0x04, 0x20]).unwrap() + 4;
    der[at..at + 32].to_vec()
}

/// The middle of an OpenSSH private key: where its secret half is.
fn openssh_secret(text: &str) -> Vec<u8> {
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let bytes = STANDARD.decode(body).unwrap();
    // `ssh-ed25519`, the public half, and then 64 bytes of which the first 32 are the secret one.
    let name = b"\0\0\0\x0bssh-ed25519";
    let at = bytes.windows(name.len()).rposition(|window| window == name).unwrap() + name.len() + 4 + 32 + 4;
    bytes[at..at + 32].to_vec()
}

/// Lives through everything that hands out a credential; what was handed out.
async fn live(demo: &Demo) -> Vec<Secret> {
    let mut secrets = Vec::new();
    assert_eq!(demo.says("dora", NONSENSE).await.tone, "refused");
    for (resource, approvers) in [("prod-db", &["ben"][..]), ("prod-host", &["cleo"]), ("prod-api", &["ben", "cleo"])] {
        assert_eq!(demo.says("dora", &format!("{resource} 10m {REASON}")).await.tone, "done");
        let id = demo.newest_request();
        for who in approvers {
            assert_eq!(demo.says(who, &format!("approve {id} {COMMENT}")).await.tone, "done");
        }
        demo.until("grant.issued", id);
        // The second credential voids the first, and is as secret.
        for _ in 0..2 {
            let shown = demo.presses("dora", "show", id).await;
            assert!(!shown.secret.is_empty(), "{shown:?}");
            secrets.push(secret_of(resource, &shown));
        }
        demo.says("ben", &format!("show {id}")).await;
        assert_eq!(demo.presses("dora", "done", id).await.tone, "done");
        demo.until("grant.ended", id);
    }
    secrets
}

fn secret_of(resource: &str, shown: &Answer) -> Secret {
    match resource {
        "prod-db" => {
            let line = shown.part("run this");
            let password = line.strip_prefix("PGPASSWORD=").unwrap().split(' ').next().unwrap();
            Secret::new("a password", password.as_bytes())
        }
        "prod-host" => Secret::new("a private key", &openssh_secret(shown.part("private key"))),
        _ => {
            let token = shown.part("shell").split(['=', '\'', '"']).rfind(|word| word.starts_with("ey")).unwrap();
            // The signature is what makes it one.
            Secret::new("a token", token.rsplit('.').next().unwrap().as_bytes())
        }
    }
}

/// What lies in the folders for good, each in one file that is its home.
fn kept_secrets(dir: &Path) -> Vec<Secret> {
    let (ledger, providers) = (dir.join("ledger"), dir.join("providers"));
    let cluster: Value = serde_json::from_slice(&fs::read(dir.join("postgres/cluster.json")).unwrap()).unwrap();
    let signing = ledger.join("signing-key.pem");
    let mut secrets = vec![
        Secret::new("the database's admin password", cluster["password"].as_str().unwrap().as_bytes())
            .kept_in(dir.join("postgres/cluster.json")),
        Secret::new("the signing key", &seed(&signing)).kept_in(signing),
    ];
    let ca = providers.join("prod-host/ca_key");
    secrets.push(Secret::new("the key of the CA", &openssh_secret(&fs::read_to_string(&ca).unwrap())).kept_in(ca));
    for name in ["jwt_key.pem", "jwt_next.pem"] {
        let jwt = providers.join("prod-api").join(name);
        secrets.push(Secret::new("a key of the tokens", &seed(&jwt)).kept_in(jwt));
    }
    for sealing in files(&ledger.join("keys")) {
        secrets.push(Secret::new("a sealing key", &sealing.bytes).kept_in(PathBuf::from(sealing.place)));
    }
    secrets
}

/// Every page that somebody can look at, and every document that is served.
async fn pages(demo: &Demo) -> Vec<Trace> {
    let mut paths = vec!["/".to_owned()];
    for who in PEOPLE {
        paths.extend(["", "c/approvals", "direct", "ledger"].map(|view| format!("/as/{who}/{view}")));
    }
    paths.extend(["/providers/prod-api/jwks.json", "/providers/prod-host/krl", "/log/checkpoint"].map(str::to_owned));
    let mut traces = Vec::new();
    for path in paths {
        traces.push(Trace { bytes: demo.get_bytes(&path).await, place: path });
    }
    traces
}

fn export(dir: &Path) -> Vec<Trace> {
    let out = dir.join("export");
    let (code, _, errors) =
        countersign(&["export", &dir.join("ledger").to_string_lossy(), "--to", &out.to_string_lossy()]);
    assert_eq!(code, 0, "{errors}");
    files(&out)
}

fn output(demo: &Demo) -> Vec<Trace> {
    let trace = |place: &str, text: String| Trace { place: place.to_owned(), bytes: text.into_bytes() };
    vec![trace("the log", demo.logged()), trace("standard output", demo.printed())]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_anything_that_is_left() {
    let dir = demo::folder();
    let demo = Demo::start_with(dir.path(), &[("RUST_LOG", "trace")]);
    let mut secrets = live(&demo).await;
    secrets.extend(kept_secrets(dir.path()));
    let mut traces = pages(&demo).await;
    traces.extend(files(&dir.path().join("ledger")));
    traces.extend(files(&dir.path().join("providers")));
    traces.extend(files(&dir.path().join("bot-config")));
    traces.extend(export(dir.path()));
    traces.extend(output(&demo));
    assert!(demo.logged().lines().count() > 100, "the log is talkative");
    let found: Vec<String> = secrets.iter().flat_map(|secret| secret.found_in(&traces)).collect();
    assert_eq!(found, Vec::<String>::new());

    // A canary in each dress, to see that the search sees.
    for secret in &secrets {
        for (dress, needle) in secret.needles.iter().enumerate() {
            let mut bytes = b"\0some bytes before ".to_vec();
            bytes.extend(needle);
            let canary = dir.path().join("ledger/canary");
            fs::write(&canary, bytes).unwrap();
            assert_eq!(secret.found_in(&[file(&canary)]).len(), 1, "{} in dress {dress}", secret.what);
        }
    }
    // And a secret is found at home by whoever doesn't know that it lives there.
    let signing = dir.path().join("ledger/signing-key.pem");
    let homeless = Secret::new("the signing key", &seed(&signing));
    assert_eq!(homeless.found_in(&files(&dir.path().join("ledger"))).len(), 1);
}

/// Names, reasons and messages are in the ledger under their owner's seal only, and not in the log of every day.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_named_outside_the_seals() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    live(&demo).await;
    let words: Vec<&str> = [REASON, COMMENT, NONSENSE].iter().flat_map(|text| text.split(' ')).chain(NAMES).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| word.len() >= 4 && !["here"].contains(word)).collect();
    let mut traces = files(&dir.path().join("ledger"));
    traces.extend(export(dir.path()));
    traces.push(Trace { place: "the log".into(), bytes: demo.logged().into_bytes() });
    let named = |traces: &[Trace], word: &str| -> Vec<String> {
        let held = traces.iter().filter(|trace| contains(&trace.bytes, word.as_bytes()));
        held.map(|trace| format!("`{word}` is in {}", trace.place)).collect()
    };
    let mut found: Vec<String> = words.iter().flat_map(|word| named(&traces, word)).collect();
    let phrases = [REASON, COMMENT, NONSENSE].map(|text| Secret::new("what somebody wrote", text.as_bytes()));
    found.extend(phrases.iter().flat_map(|phrase| phrase.found_in(&traces)));
    assert_eq!(found, Vec::<String>::new());

    // What may be read is found: the search sees the lines.
    assert!(named(&traces, "prod-host").len() >= 3, "journal, public copy and export name the resource");
    // And those who may read, can: the card shows the reason, and an export with disclosures has it.
    assert_eq!(named(&pages(&demo).await, REASON).len(), 2 * PEOPLE.len() + PEOPLE.len());
    let (out, ledger) = (dir.path().join("open"), dir.path().join("ledger"));
    let (code, _, errors) =
        countersign(&["export", &ledger.to_string_lossy(), "--to", &out.to_string_lossy(), "--disclosures"]);
    assert_eq!(code, 0, "{errors}");
    let opened = files(&out);
    for phrase in &phrases {
        assert_eq!(phrase.found_in(&opened).len(), 1, "they are in the disclosures, and in nothing else");
    }
}
