//! The attack list of the format, each at many places, against every verifier: the detection matrix.

use std::{collections::BTreeSet, fmt::Write as _};

use rand::{Rng as _, RngExt as _};

use super::{
    lab::{Foreign, Log, segment, used},
    *,
};
use crate::ledger::verify::Anchor;

/// How often each attack is tried, each time at another place.
const PLACES: usize = 12;

/// How often the slow, foreign verifiers look at it.
const FOREIGN_PLACES: usize = 2;

/// Entries of the log that is attacked: one full tile and a bit.
const ENTRIES: u64 = 270;

/// The entry with two disclosures.
const TWO_AT: usize = 1;

/// Where one of the people is erased, of whom the entry before holds something.
const ERASED_AT: usize = 3;

/// The log that is attacked.
async fn attacked(dir: &Path) -> Ledger {
    let ledger = Ledger::open(dir, options(1)).unwrap();
    let two = [subject(8), subject(9)].map(|of| personal(1, of, "one of two").disclosures[0].clone());
    let two = Draft { disclosures: two.to_vec(), ..draft(1) };
    let mut erased = erased(subject(9));
    erased.body.insert("n".into(), json!(3));
    ledger.append(1, start(), vec![two, draft(2)]).await.unwrap();
    ledger.append(3, start(), vec![erased]).await.unwrap();
    fill(&ledger, ENTRIES).await;
    ledger
}

/// Who ought to find an attack.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// Our `verify` alone, and a foreign verifier.
    Anybody,
    /// Our `verify` alone; for what no other program knows of: the journal, the keys of people, live keys.
    Ours,
    /// Only who kept a head elsewhere.
    Anchor,
}

/// Something done to a folder.
type Deed = Box<dyn FnOnce(&Path)>;

struct Scene {
    log: Log,
    rng: StdRng,
    /// The key that signs, in the hands of a thief.
    stolen: Signer,
    /// What is done to the folder after it was written.
    after: Vec<Deed>,
    /// Whether the public copy is all that the verifiers are shown: beside its journal a forged one has no chance.
    copy_alone: bool,
}

impl Scene {
    /// Somewhere after entry 0, with entries on both sides.
    fn somewhere(&mut self) -> usize {
        let size = self.log.size();
        self.rng.random_range(ERASED_AT + 1..size - 1)
    }

    fn resign(&mut self) {
        self.log.resign(0, &[&self.stolen]);
    }

    fn after(&mut self, act: impl FnOnce(&Path) + 'static) {
        self.after.push(Box::new(act));
    }
}

type Attack = (&'static str, By, &'static [Class], fn(&mut Scene));

const ATTACKS: &[Attack] = &[
    ("a bit of an entry is flipped", By::Anybody, &[Class::Root], |scene| {
        let at = scene.somewhere();
        flip(scene, at);
    }),
    ("a bit of the last entry is flipped", By::Anybody, &[Class::Root], |scene| {
        let at = scene.log.size() - 1;
        flip(scene, at);
    }),
    ("two entries are swapped", By::Anybody, &[Class::Chain, Class::Root], |scene| {
        let at = scene.somewhere();
        scene.log.change(|all| {
            let (one, two) = (all[at].1.clone(), all[at + 1].1.clone());
            (all[at].1, all[at + 1].1) = (two, one);
        });
    }),
    ("an entry is deleted", By::Anybody, &[Class::Chain, Class::Root], |scene| {
        let at = scene.somewhere();
        scene.log.change(|all| drop(all.remove(at)));
    }),
    ("an entry is deleted, and the rest chained anew", By::Anybody, &[Class::Root], |scene| {
        let at = scene.somewhere();
        scene.log.change(|all| drop(all.remove(at)));
        scene.log.rechain(at);
    }),
    ("an entry is inserted twice", By::Anybody, &[Class::Seq, Class::Root], |scene| {
        let at = scene.somewhere();
        scene.log.change(|all| all.insert(at, all[at].clone()));
    }),
    ("an entry is edited, and the rest chained anew", By::Anybody, &[Class::Root], |scene| {
        let at = scene.somewhere();
        scene.log.edit(at, "\"n\":", "\"n\":1");
        scene.log.rechain(at);
    }),
    ("a seq stands twice, signed with the stolen key", By::Anybody, &[Class::Seq], |scene| {
        let at = scene.somewhere();
        scene.log.edit(at, &format!("\"seq\":{at}"), &format!("\"seq\":{}", at - 1));
        relink(scene, at);
        scene.resign();
    }),
    ("an entry is dated back, signed with the stolen key", By::Anybody, &[Class::Time], |scene| {
        let at = scene.somewhere();
        scene.log.edit(at, "\"time\":\"2026", "\"time\":\"2025");
        relink(scene, at);
        scene.resign();
    }),
    ("a key stands twice in an entry, signed with the stolen key", By::Anybody, &[Class::Canonical], |scene| {
        let at = scene.somewhere();
        scene.log.edit(at, "\"n\":", "\"n\":7,\"n\":");
        relink(scene, at);
        scene.resign();
    }),
    ("an entry has white space, signed with the stolen key", By::Anybody, &[Class::Canonical], |scene| {
        let at = scene.somewhere();
        scene.log.edit(at, "\"n\":", "\"n\": ");
        relink(scene, at);
        scene.resign();
    }),
    ("an entry has a float, signed with the stolen key", By::Anybody, &[Class::Canonical], |scene| {
        let at = scene.somewhere();
        scene.log.edit(at, "\"n\":", "\"m\":1.0,\"n\":");
        relink(scene, at);
        scene.resign();
    }),
    ("an entry has needless escapes, signed with the stolen key", By::Anybody, &[Class::Canonical], |scene| {
        let at = scene.somewhere();
        scene.log.edit(at, "\"n\":", "\"\\u006e\":");
        relink(scene, at);
        scene.resign();
    }),
    ("an entry has an unknown version, signed with the stolen key", By::Anybody, &[Class::Unknown], |scene| {
        let at = scene.somewhere();
        scene.log.edit(at, "\"v\":1}", "\"v\":2}");
        relink(scene, at);
        scene.resign();
    }),
    ("an entry has an unknown kind, signed with the stolen key", By::Ours, &[Class::Unknown], |scene| {
        let at = scene.somewhere();
        scene.log.edit(at, "test.happened", "rest.happened");
        relink(scene, at);
        scene.resign();
    }),
    ("a hash of a tile is changed", By::Anybody, &[Class::Tile], |scene| {
        let at = scene.rng.random_range(0..256 * 32);
        scene.after(move |dir| flip_file(&dir.join("public/tile/0/000"), at));
    }),
    ("an entry of a bundle is changed", By::Anybody, &[Class::Tile], |scene| {
        let at = scene.rng.random_range(0..30_000);
        scene.after(move |dir| flip_file(&dir.join("public/tile/entries/000"), at));
    }),
    ("the checkpoint is edited", By::Anybody, &[Class::Signature, Class::Key, Class::Origin], |scene| {
        let at = scene.rng.random_range(0..150);
        scene.after(move |dir| {
            flip_file(&dir.join("public/checkpoint"), at);
            std::fs::copy(dir.join("public/checkpoint"), dir.join("head")).unwrap();
        });
    }),
    (
        "a head in the journal is edited",
        By::Ours,
        &[Class::Signature, Class::Key, Class::Origin, Class::Root],
        |scene| {
            let batch = scene.rng.random_range(0..scene.log.batches.len() - 1);
            let head = scene.log.batches[batch].head.clone();
            scene.log.batches[batch].head = head.replacen("\n\n— ", "\n\n— x", 1);
        },
    ),
    ("a byte of the journal is changed", By::Ours, &[Class::Frame, Class::Torn], |scene| {
        let at: usize = scene.rng.random_range(32..100_000);
        scene.after(move |dir| flip_file(&segment(dir), at));
    }),
    ("the tail is cut off, and `head` forgotten", By::Ours, &[Class::Behind], |scene| {
        let keep = scene.rng.random_range(1..scene.log.batches.len() - 1);
        let head = scene.log.batches.last().unwrap().head.clone();
        scene.log.batches.truncate(keep);
        scene.after(move |dir| std::fs::write(dir.join("head"), &head).unwrap());
    }),
    ("the last frame of the journal is cut off", By::Ours, &[Class::Behind, Class::Torn], |scene| {
        scene.after(|dir| {
            let (path, bytes) = (segment(dir), used(&segment(dir)));
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_len(bytes as u64 - 1).unwrap();
        });
    }),
    ("the whole disk is rolled back", By::Anchor, &[Class::Behind], |scene| {
        let keep = scene.rng.random_range(1..scene.log.batches.len() - 1);
        scene.log.batches.truncate(keep);
    }),
    ("the history is rewritten with the stolen key", By::Anchor, &[Class::Fork], |scene| {
        let at = scene.somewhere();
        scene.log.edit(at, "\"n\":", "\"n\":1");
        scene.log.rechain(at);
        scene.resign();
    }),
    ("the log is forked with the stolen key", By::Anchor, &[Class::Fork], |scene| {
        let at = scene.log.size() - 1;
        scene.log.edit(at, "\"n\":", "\"n\":1");
        scene.resign();
    }),
    ("the tail of another log is spliced in", By::Anybody, &[Class::Chain, Class::Root], |scene| {
        let at = scene.rng.random_range(1..scene.log.batches.len() - 1);
        let other = other_log(scene);
        scene.log.batches.truncate(at);
        scene.log.batches.extend(other.batches.into_iter().skip(at));
    }),
    ("another log is put in its place, under the same name and key", By::Anchor, &[Class::Fork], |scene| {
        scene.log = other_log(scene);
        scene.resign();
    }),
    ("a stranger signs", By::Anybody, &[Class::Key], |scene| {
        let stranger = Signer::new("example.com/test", SigningKey::from_bytes(&[66; 32]));
        let from = scene.log.size() as u64 / 2;
        scene.log.resign(from, &[&stranger]);
    }),
    ("a stranger brings in a key, and signs", By::Anybody, &[Class::Key], |scene| {
        let key = stranger(66);
        scene.log.append(&[brings(&key)], &[&key]);
        scene.log.append(&[happened()], &[&key]);
    }),
    ("a stranger brings in two keys that vouch for each other, and signs", By::Anybody, &[Class::Key], |scene| {
        let (one, two) = (stranger(66), stranger(67));
        let keep = scene.rng.random_range(1..scene.log.batches.len());
        scene.log.batches.truncate(keep);
        scene.log.append(&[brings(&one), brings(&two)], &[&one, &two]);
        scene.log.append(&[retires(&scene.stolen)], &[&one]);
        scene.log.append(&[happened()], &[&one]);
    }),
    ("a stranger brings in keys beside the first entry, and writes another log", By::Anybody, &[Class::Key], |scene| {
        let (one, two) = (stranger(66), stranger(67));
        scene.log.batches.truncate(1);
        for (kind, body) in [brings(&one), brings(&two)] {
            scene.log.insert(0, kind, &body);
        }
        scene.log.rechain(1);
        scene.log.resign(0, &[&one, &two]);
        (0..scene.rng.random_range(1..50)).for_each(|_| scene.log.append(&[happened()], &[&one]));
    }),
    ("a stranger brings in a key in the public copy, and signs", By::Anybody, &[Class::Key], |scene| {
        let key = stranger(66);
        let keep = scene.rng.random_range(1..scene.log.batches.len());
        scene.log.batches.truncate(keep);
        scene.log.append(&[brings(&key), retires(&scene.stolen), happened()], &[&key]);
        scene.copy_alone = true;
    }),
    ("the head that took a key in is taken from the public copy", By::Ours, &[Class::Key], |scene| {
        let rotated = rotate(scene);
        scene.after(move |dir| std::fs::remove_file(dir.join(rotated)).unwrap());
        scene.copy_alone = true;
    }),
    ("the head that took a key in is edited in the public copy", By::Ours, &[Class::Key], |scene| {
        let rotated = rotate(scene);
        let at = scene.rng.random_range(0..300);
        scene.after(move |dir| flip_file(&dir.join(rotated), at));
        scene.copy_alone = true;
    }),
    ("a disclosure is sealed anew with other words", By::Ours, &[Class::Disclosure], |scene| {
        let at = 5 * scene.rng.random_range(1..50);
        let (mut rng, from) = (StdRng::seed_from_u64(scene.rng.next_u64()), scene.log.from.clone());
        let sealed = &mut scene.log.record(at).sealed[0];
        let key = vault::Vault::at(&from.join("keys")).get(sealed.subject).unwrap().unwrap();
        let other = disclosure::encode("reason", "something else", &mut rng);
        sealed.bytes = disclosure::seal(&key, at as u64, 0, &other, &mut rng).unwrap();
    }),
    ("a disclosure is moved to another entry", By::Ours, &[Class::Disclosure], |scene| {
        let at = 20 * scene.rng.random_range(1..12);
        let moved = scene.log.record(at).sealed.clone();
        scene.log.record(at + 20).sealed = moved;
    }),
    ("a disclosure is taken away", By::Ours, &[Class::Disclosure], |scene| {
        let at = 5 * scene.rng.random_range(1..50);
        scene.log.record(at).sealed.clear();
    }),
    ("a disclosure is passed off as one of somebody who was erased before", By::Ours, &[Class::Disclosure], passed_off),
    ("one of two disclosures is sealed anew over the other", By::Ours, &[Class::Disclosure], sealed_over),
];

fn stranger(seed: u8) -> Signer {
    Signer::new("example.com/test", SigningKey::from_bytes(&[seed; 32]))
}

fn brings(key: &Signer) -> (&'static str, serde_json::Value) {
    (kinds::KEY_ADDED, json!({"key": key.verifier().to_string()}))
}

fn retires(key: &Signer) -> (&'static str, serde_json::Value) {
    (kinds::KEY_RETIRED, json!({"key": key.verifier().to_string()}))
}

fn happened() -> (&'static str, serde_json::Value) {
    ("test.happened", json!({"n": 1}))
}

/// Brings a second key in, as the service does, and says where its head is. Both stay, so that all verifiers know one that signs.
fn rotate(scene: &mut Scene) -> String {
    let (new, at) = (stranger(7), scene.log.size());
    scene.log.append(&[brings(&new)], &[&scene.stolen, &new]);
    scene.log.append(&[happened()], &[&scene.stolen, &new]);
    format!("public/rotation/{at}")
}

fn passed_off(scene: &mut Scene) {
    let at = 5 * scene.rng.random_range(1..50);
    let mut bytes = scene.log.record(at).sealed[0].bytes.clone();
    scene.rng.fill_bytes(&mut bytes);
    scene.log.record(at).sealed[0] = frame::Sealed { subject: subject(9), bytes };
}

fn sealed_over(scene: &mut Scene) {
    let (mut rng, from) = (StdRng::seed_from_u64(scene.rng.next_u64()), scene.log.from.clone());
    let sealed = &mut scene.log.record(TWO_AT).sealed;
    let key = vault::Vault::at(&from.join("keys")).get(subject(8)).unwrap().unwrap();
    let first = disclosure::open(&key, TWO_AT as u64, 0, &sealed[0].bytes).unwrap();
    let bytes = disclosure::seal(&key, TWO_AT as u64, 1, &first, &mut rng).unwrap();
    sealed[1] = frame::Sealed { subject: subject(8), bytes };
}

fn flip(scene: &mut Scene, at: usize) {
    let (byte, bit) = (scene.rng.random_range(0..100), scene.rng.random_range(0..8));
    scene.log.record(at).line[byte] ^= 1 << bit;
}

fn flip_file(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// Chains what follows an entry, without a touch to the entry itself.
fn relink(scene: &mut Scene, at: usize) {
    let before = leaf_hash(&scene.log.record(at).line.clone());
    let mut prev = before;
    for index in at + 1..scene.log.size() {
        let line = scene.log.line(index);
        let old = line.split("\"prev\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        scene.log.edit(index, &old, &hex::encode(prev));
        prev = leaf_hash(&scene.log.record(index).line.clone());
    }
}

/// A log with the same name and the same key, but another id.
fn other_log(scene: &mut Scene) -> Log {
    let mut other = scene.log.clone();
    let line = other.line(0);
    let id = line.split("\"log_id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    other.edit(0, &id, &"5a".repeat(32));
    other.rechain(1);
    other
}

#[derive(Default)]
struct Tally {
    alone: usize,
    anchored: usize,
    coreutils: usize,
    go: usize,
    go_anchored: usize,
    python: usize,
}

fn mark(found: usize, of: usize) -> String {
    if found == 0 { "·".into() } else { format!("{found}/{of}") }
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
    let mut table = String::from(
        "| attack | `verify` | `verify --anchor` | sha256sum, sort | Go sumdb | Go sumdb, older head | Python, pymerkle |\n|---|---|---|---|---|---|---|\n",
    );
    for (n, (name, by, classes, act)) in ATTACKS.iter().enumerate() {
        let mut tally = Tally::default();
        for place in 0..PLACES {
            let rng = StdRng::seed_from_u64((n * 1_000 + place) as u64);
            let stolen = Signer::new("example.com/test", secret.clone());
            let mut scene = Scene { log: log.clone(), rng, stolen, after: Vec::new(), copy_alone: false };
            act(&mut scene);
            let at = tempfile::tempdir().unwrap();
            scene.log.write(at.path());
            let copy_alone = scene.copy_alone;
            scene.after.into_iter().for_each(|act| act(at.path()));
            let shown = if copy_alone { at.path().join("public") } else { at.path().to_owned() };
            let alone = report(&shown);
            let mut options = VerifyOptions::new(knows);
            options.anchors = vec![Anchor::parse(&anchor).unwrap()];
            let anchored = verify::verify(&shown, options).unwrap();
            let found: BTreeSet<Class> = anchored.found().iter().map(|fault| fault.class).collect();
            assert!(classes.iter().any(|class| found.contains(class)), "{name}, place {place}: {anchored}");
            tally.alone += usize::from(!alone.holds());
            tally.anchored += usize::from(!anchored.holds());
            if place < FOREIGN_PLACES {
                let public = at.path().join("public");
                tally.coreutils += usize::from(Foreign::coreutils(&public).is_err());
                tally.go += usize::from(foreign.go(&public, &key, None).is_err());
                tally.go_anchored += usize::from(foreign.go(&public, &key, Some(&older)).is_err());
                tally.python += usize::from(Foreign::python(&public).is_err());
            }
        }
        let strangers = [tally.coreutils, tally.go, tally.python];
        assert_eq!(tally.anchored, PLACES, "{name}");
        assert_eq!(tally.alone, if *by == By::Anchor { 0 } else { PLACES }, "{name}");
        match by {
            By::Anybody => assert!(strangers.contains(&FOREIGN_PLACES), "{name}: no stranger finds it"),
            By::Ours => {}
            By::Anchor => assert_eq!(tally.go_anchored, FOREIGN_PLACES, "{name}"),
        }
        let foreign_marks =
            [tally.coreutils, tally.go, tally.go_anchored, tally.python].map(|found| mark(found, FOREIGN_PLACES));
        let (alone, anchored) = (mark(tally.alone, PLACES), mark(tally.anchored, PLACES));
        writeln!(table, "| {name} | {alone} | {anchored} | {} |", foreign_marks.join(" | ")).unwrap();
    }
    println!("{table}");
    kept("docs/ledger-detection.md", &table);
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
