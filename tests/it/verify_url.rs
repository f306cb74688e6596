//! `verify` of a log that a server hands out badly, and what it leaves out.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use countersign::{
    access::Event,
    ledger::{Ledger, Options},
};
use rand::{SeedableRng as _, rngs::StdRng};

use crate::support::demo::countersign;

/// What a server does with the nth request for a path; the file itself is what it should answer with.
type Answers = fn(path: &str, nth: usize, file: Option<Vec<u8>>) -> Answer;

enum Answer {
    Status(u16, Vec<u8>),
    /// Says that more follows than does.
    Cut(Vec<u8>),
}

fn honest(file: Option<Vec<u8>>) -> Answer {
    file.map_or(Answer::Status(404, Vec::new()), |bytes| Answer::Status(200, bytes))
}

/// A server on loopback, until it is dropped.
struct Server {
    at: SocketAddr,
    asked: Arc<Mutex<HashMap<String, usize>>>,
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(root: PathBuf, answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let (asked, closing) = (Arc::<Mutex<HashMap<String, usize>>>::default(), Arc::new(AtomicBool::new(false)));
        let (counts, over) = (Arc::clone(&asked), Arc::clone(&closing));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                serve(&stream.unwrap(), &root, &counts, answers);
            }
        });
        Self { at, asked, closing, thread: Some(thread) }
    }

    fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().get(path).copied().unwrap_or_default()
    }
}

/// Answers one request, and hangs up.
fn serve(stream: &TcpStream, root: &Path, counts: &Mutex<HashMap<String, usize>>, answers: Answers) {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)?.strip_prefix("/log/")) else { return };
    let mut counts = counts.lock().unwrap();
    let nth = counts.entry(path.to_owned()).or_default();
    *nth += 1;
    let (status, length, bytes) = match answers(path, *nth, std::fs::read(root.join(path)).ok()) {
        Answer::Status(status, bytes) => (status, bytes.len(), bytes),
        Answer::Cut(bytes) => (200, bytes.len() + 1, bytes),
    };
    let head = format!("HTTP/1.1 {status} so\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let mut stream = stream;
    // Who asked may have gone away.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&bytes));
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.at));
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A public copy of one entry.
fn copy(dir: &Path) -> PathBuf {
    let rng = Box::new(StdRng::seed_from_u64(1));
    let now = chrono::DateTime::from_timestamp_micros(1_795_222_784_123_456).unwrap();
    let mut options = Options::new("countersign.example/test", Event::knows, now, rng);
    options.reserve_bytes = 0;
    drop(Ledger::open(dir, options).unwrap());
    dir.join("public")
}

/// What `verify` says of a copy behind such a server: exit code, output, and how often a path was asked for.
fn verified(answers: Answers, path: &str) -> (i32, String, usize) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(copy(dir.path()), answers);
    let (code, said, errors) = countersign(&["verify", &format!("http://{}/log/", server.at)]);
    (code, format!("{said}{errors}"), server.asked(path))
}

#[test]
fn a_server_that_stumbles_is_asked_again() {
    let (code, said, asked) =
        verified(|_, nth, file| if nth == 1 { Answer::Status(503, Vec::new()) } else { honest(file) }, "checkpoint");
    assert!(code == 0 && asked == 2 && said.contains("freshness unproven"), "{code} {said}");
    // Cut off in the middle.
    let (code, said, asked) = verified(
        |_, nth, file| if nth == 1 { Answer::Cut(b"half".to_vec()) } else { honest(file) },
        "tile/entries/000.p/1",
    );
    assert!(code == 0 && asked == 2, "{code} {said}");
}

#[test]
fn a_server_that_fails_is_not_said_to_forge() {
    let failing: [(Answers, &str); 3] = [
        (|_, _, _| Answer::Status(503, Vec::new()), "checkpoint"),
        (
            |path, _, file| if path.starts_with("tile/0") { Answer::Status(500, Vec::new()) } else { honest(file) },
            "tile/0/000.p/1",
        ),
        (
            |path, _, file| if path.starts_with("tile/entries") { Answer::Cut(b"half".to_vec()) } else { honest(file) },
            "tile/entries/000.p/1",
        ),
    ];
    for (answers, path) in failing {
        let (code, said, asked) = verified(answers, path);
        assert_eq!((code, asked), (75, 3), "{path}: {said}");
        assert!(said.contains("COULD NOT BE CHECKED") && said.contains("; try again"), "{said}");
        assert!(!said.contains("DOES NOT VERIFY") && said.contains("could not be checked"), "{said}");
    }
    // Who says no will say no again.
    let (code, said, asked) = verified(|_, _, _| Answer::Status(403, Vec::new()), "checkpoint");
    assert!(code == 75 && asked == 1 && said.contains("the server answers 403"), "{code} {asked} {said}");
}

#[test]
fn a_server_that_forges_is_found_out() {
    let forging: [Answers; 2] = [
        |path, _, file| honest(file.filter(|_| !path.starts_with("tile/entries"))),
        |path, _, file| {
            let flipped = |mut bytes: Vec<u8>| {
                bytes[40] ^= 1;
                bytes
            };
            honest(if path.starts_with("tile/entries") { file.map(flipped) } else { file })
        },
    ];
    for answers in forging {
        let (code, said, _) = verified(answers, "checkpoint");
        assert!(code == 1 && said.contains("DOES NOT VERIFY"), "{code} {said}");
    }
}

#[test]
fn what_discord_signed_is_not_passed_over_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    copy(dir.path());
    let (path, key) = (dir.path().to_string_lossy().into_owned(), "5".repeat(63) + "8");
    let (code, said, errors) = countersign(&["verify", &path, "--discord-key", &key]);
    assert!(code == 0 && said.contains("Discord signed 0 messages"), "{code} {said}{errors}");
    std::fs::write(dir.path().join("head"), "no head\n").unwrap();
    let (code, said, errors) = countersign(&["verify", &path, "--discord-key", &key]);
    assert!(code == 1, "{code} {said}{errors}");
    assert!(said.contains("note: what Discord signed was not checked, as the ledger has faults"), "{said}");
    let (_, said, _) = countersign(&["verify", &path, "--discord-key", &key, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(report["remarks"].to_string().contains("what Discord signed was not checked"), "{said}");
}
