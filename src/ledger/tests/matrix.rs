//! The detection matrix: the attack list of the format, each attack tried at many places, and who finds it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    attacks::{ATTACKS, By, Scene, attacked},
    driver::Foreign,
    lab::{Log, proofs},
    *,
};
use crate::ledger::verify::Anchor;

/// How often each attack is tried, each time at another place.
const PLACES: usize = 12;

/// How often the slow, foreign verifiers look at it.
const FOREIGN_PLACES: usize = 6;

/// Where an attack leaves a folder, and what found it there.
#[derive(Default)]
struct Tally {
    alone: usize,
    anchored: usize,
    /// In the order of `STRANGERS`.
    strangers: [usize; 6],
}

/// The programs that nobody here wrote, with what each is given beside the public copy.
const STRANGERS: [&str; 6] =
    ["sha256sum, sort", "Go sumdb", "Go sumdb, `head`", "Go sumdb, older head", "Python, pymerkle", "sigstore"];

/// The column of who has a head from elsewhere.
const ELSEWHERE: usize = 3;

fn mark(found: usize, of: usize) -> String {
    if found == 0 { "·".into() } else { format!("{found}/{of}") }
}

/// What is attacked, and what everybody knows of it.
struct Ground {
    log: Log,
    secret: SigningKey,
    key: VerifierKey,
    anchor: Arc<str>,
    /// The anchor as a file.
    older: std::path::PathBuf,
    foreign: Foreign,
}

impl Ground {
    /// Does one attack at all places.
    fn tried(&self, n: usize) -> Tally {
        let (name, _, classes, act) = ATTACKS[n];
        let (mut tally, mut copies) = (Tally::default(), Vec::new());
        for place in 0..PLACES {
            let rng = StdRng::seed_from_u64((n * 1_000 + place) as u64);
            let stolen = Signer::new("example.com/test", self.secret.clone());
            let secret = self.secret.clone();
            let mut scene = Scene { log: self.log.clone(), rng, stolen, secret, after: Vec::new(), copy_alone: false };
            act(&mut scene);
            let at = tempfile::tempdir().unwrap();
            scene.log.write(at.path());
            let shown = if scene.copy_alone { at.path().join("public") } else { at.path().to_owned() };
            scene.after.into_iter().for_each(|act| act(at.path()));
            let alone = report(&shown);
            let mut options = VerifyOptions::new(knows);
            options.anchors = vec![Anchor::parse(&self.anchor).unwrap()];
            let anchored = verify::verify(&shown, options).unwrap();
            let found: BTreeSet<Class> = anchored.found().iter().map(|fault| fault.class).collect();
            assert!(classes.iter().any(|class| found.contains(class)), "{name}, place {place}: {anchored}");
            tally.alone += usize::from(!alone.holds());
            tally.anchored += usize::from(!anchored.holds());
            if place < FOREIGN_PLACES {
                copies.push(at);
            }
        }
        tally.strangers = self.strangers(&copies);
        tally
    }

    /// How many of these folders each stranger refuses.
    fn strangers(&self, folders: &[tempfile::TempDir]) -> [usize; 6] {
        let public: Vec<_> = folders.iter().map(|at| at.path().join("public")).collect();
        let proofs: Vec<_> = public.iter().map(|copy| proofs(copy)).collect();
        let refused = |said: Vec<Result<String, String>>| said.iter().filter(|one| one.is_err()).count();
        // What Go refuses by itself, it refuses with another head beside it.
        let go_since = |copy: &Path, head: &Path| {
            self.foreign.go(copy, &self.key).and_then(|_| self.foreign.go_since(copy, &self.key, head, &self.key))
        };
        [
            refused(public.iter().map(|copy| Foreign::coreutils(copy)).collect()),
            refused(public.iter().map(|copy| self.foreign.go(copy, &self.key)).collect()),
            refused(public.iter().map(|copy| go_since(copy, &copy.with_file_name("head"))).collect()),
            refused(public.iter().map(|copy| go_since(copy, &self.older)).collect()),
            refused(Foreign::python(&public)),
            refused(Foreign::sigstore(&self.key, &proofs)),
        ]
    }
}

#[tokio::test]
async fn the_detection_matrix() {
    let dir = tempfile::tempdir().unwrap();
    let clean = dir.path().join("clean");
    let ledger = attacked(&clean).await;
    let (key, anchor) = (ledger.verifier_key().clone(), ledger.head().note);
    drop(ledger);
    let pem = std::fs::read_to_string(clean.join("signing-key.pem")).unwrap();
    let secret = <SigningKey as ed25519_dalek::pkcs8::DecodePrivateKey>::from_pkcs8_pem(&pem).unwrap();
    let older = dir.path().join("anchor");
    std::fs::write(&older, &*anchor).unwrap();
    let (log, foreign) = (Log::read(&clean), Foreign::new(dir.path()));
    let ground = Ground { log, secret, key, anchor, older, foreign };
    // Nobody raises a false alarm.
    let untouched = tempfile::tempdir().unwrap();
    ground.log.write(untouched.path());
    assert_eq!(ground.strangers(&[untouched]), [0; 6]);

    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= ATTACKS.len() {
                        break;
                    }
                    let tally = ground.tried(n);
                    done.lock().unwrap().insert(n, tally);
                }
            });
        }
    });
    let mut table =
        format!("| attack | `verify` | `verify --anchor` | {} |\n|{}\n", STRANGERS.join(" | "), "---|".repeat(9));
    for (n, tally) in done.into_inner().unwrap() {
        let (name, by, ..) = ATTACKS[n];
        assert_eq!(tally.anchored, PLACES, "{name}");
        assert_eq!(tally.alone, if by == By::Anchor { 0 } else { PLACES }, "{name}");
        let (elsewhere, found) = (tally.strangers[ELSEWHERE], tally.strangers);
        match by {
            By::Anybody => {
                let one = (0..STRANGERS.len()).any(|n| n != ELSEWHERE && found[n] == FOREIGN_PLACES);
                assert!(one, "{name}: no stranger finds it: {found:?}");
            }
            By::Ours => {}
            By::Anchor => assert_eq!(elsewhere, FOREIGN_PLACES, "{name}"),
        }
        let strangers = found.map(|found| mark(found, FOREIGN_PLACES)).join(" | ");
        let (alone, anchored) = (mark(tally.alone, PLACES), mark(tally.anchored, PLACES));
        writeln!(table, "| {name} | {alone} | {anchored} | {strangers} |").unwrap();
    }
    println!("{table}");
    kept("docs/ledger-detection.md", &table);
}

/// Who knows a value can't find where it stands: what is said twice has two digests, and none is that of the value alone.
#[tokio::test]
async fn equal_words_have_different_digests() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), options(1)).unwrap();
    let twice = || {
        let one = personal(1, subject(1), "fixing INC-42");
        Draft { disclosures: [one.disclosures.clone(), one.disclosures.clone()].concat(), ..one }
    };
    ledger.append(1, start(), vec![twice(), twice()]).await.unwrap();
    ledger.append(3, start(), vec![personal(1, subject(2), "fixing INC-42")]).await.unwrap();
    drop(ledger);
    let mut log = Log::read(dir.path());
    let digests: Vec<String> = (1..4)
        .flat_map(|index| {
            let line: serde_json::Value = serde_json::from_str(&log.line(index)).unwrap();
            line["_sd"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!((digests.len(), digests.iter().collect::<BTreeSet<_>>().len()), (5, 5), "{digests:?}");
    // The text behind a digest, from who has the key: it begins with a salt, and no two have the same.
    let vault = vault::Vault::at(&dir.path().join("keys"));
    let mut salts = BTreeSet::new();
    for index in 1..4 {
        for (ordinal, sealed) in (0..).zip(log.record(index).sealed.clone()) {
            let key = vault.get(sealed.subject).unwrap().unwrap();
            let text = disclosure::open(&key, index as u64, ordinal, &sealed.bytes).unwrap();
            assert!(digests.contains(&disclosure::digest(&text)));
            let parts: Vec<String> = {
                use base64::Engine as _;
                let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap();
                serde_json::from_slice(&json).unwrap()
            };
            assert_eq!((parts.len(), parts[0].len()), (3, 22), "128 bits of salt, a name, a value");
            assert_eq!(parts[1..], ["reason", "fixing INC-42"]);
            salts.insert(parts[0].clone());
        }
    }
    assert_eq!(salts.len(), 5);
}

/// Compares a table with the one in the docs, or writes it there when `UPDATE_DOCS` is set.
fn kept(name: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- table -->\n").unwrap();
    let (old, after) = rest.split_once("<!-- end -->").unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}<!-- table -->\n{table}<!-- end -->{after}")).unwrap();
    } else {
        assert_eq!(old, table, "{name} is out of date: run with UPDATE_DOCS=1");
    }
}
