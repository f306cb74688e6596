//! `webhook`: a receiver that is believed only when it signs what it was asked, now.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign::provider::{
    Provider, ProviderError,
    kit::{Options, Subject},
    serve::Served,
};
use ed25519_dalek::{Signature, Signer as _, SigningKey, Verifier as _};
use serde_json::{Value, json};

use crate::support::{
    door::{Place, map, now, order},
    process::{free_port, run},
};

/// How a receiver behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Honest,
    Unsigned,
    OtherKey,
    Old,
    Altered,
    Redirects,
    Floods,
    Fails,
    OtherId,
    NoNonce,
    SaysTheFirstAgain,
    Hangs,
}

/// Receives webhooks and does what they ask with a provider of this binary.
struct Receiver {
    manner: Mutex<Manner>,
    served: Served,
    key: SigningKey,
    theirs: SigningKey,
    first: Mutex<Option<Vec<u8>>>,
    /// What it was sent.
    seen: Mutex<Vec<Value>>,
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).unwrap().to_str().unwrap()
}

impl Receiver {
    /// Verifies as Standard Webhooks says, with no code of ours.
    fn verifies(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let (id, timestamp) = (header(headers, "webhook-id"), header(headers, "webhook-timestamp"));
        let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
        let signature = header(headers, "webhook-signature").strip_prefix("v1a,").unwrap();
        let signature = Signature::from_slice(&STANDARD.decode(signature).unwrap()).unwrap();
        let fresh = (timestamp.parse::<i64>().unwrap() - now().timestamp()).abs() < 300;
        fresh && self.theirs.verifying_key().verify(&signed, &signature).is_ok()
    }

    async fn receives(self: Arc<Self>, headers: HeaderMap, body: Bytes) -> Response {
        let manner = *self.manner.lock().unwrap();
        assert!(self.verifies(&headers, &body), "it was not signed");
        let request: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(header(&headers, "webhook-id"), request["id"]);
        self.seen.lock().unwrap().push(request);
        match manner {
            Manner::Hangs => std::future::pending().await,
            Manner::Redirects => {
                return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/other")]).into_response();
            }
            Manner::Fails => return (StatusCode::INTERNAL_SERVER_ERROR, "our fault").into_response(),
            Manner::Floods => return vec![b' '; 2_000_000].into_response(),
            Manner::Honest
            | Manner::Unsigned
            | Manner::OtherKey
            | Manner::Old
            | Manner::Altered
            | Manner::OtherId
            | Manner::NoNonce
            | Manner::SaysTheFirstAgain => {}
        }
        let mut reply: Value = serde_json::from_slice(&self.served.answer(&body).await).unwrap();
        if manner == Manner::OtherId {
            reply["id"] = json!("another");
        }
        if manner == Manner::NoNonce {
            reply.as_object_mut().unwrap().remove("nonce");
        }
        let mut reply = reply.to_string().into_bytes();
        let first = self.first.lock().unwrap().get_or_insert_with(|| reply.clone()).clone();
        if manner == Manner::SaysTheFirstAgain {
            reply = first;
        }
        let moment = now().timestamp() - if manner == Manner::Old { 301 } else { 0 };
        let key = if manner == Manner::OtherKey { &self.theirs } else { &self.key };
        let signature = key.sign(&[format!("re_1.{moment}.").as_bytes(), reply.as_slice()].concat());
        if manner == Manner::Altered {
            reply.push(b' ');
        }
        if manner == Manner::Unsigned {
            return reply.into_response();
        }
        // An old key beside the new one: that is how a receiver changes its key.
        let signatures = format!("v1a,{} v1a,{}", STANDARD.encode([1; 64]), STANDARD.encode(signature.to_bytes()));
        let headers = [
            ("webhook-id", "re_1".to_owned()),
            ("webhook-timestamp", moment.to_string()),
            ("webhook-signature", signatures),
        ];
        (headers, reply).into_response()
    }
}

struct Scene {
    receiver: Arc<Receiver>,
    place: Place,
    settings: Value,
}

impl Scene {
    async fn start() -> Self {
        let (ours, theirs) = (SigningKey::from_bytes(&[7; 32]), SigningKey::from_bytes(&[8; 32]));
        let behind = Place::new(&[]).open("token", "app", &json!({}));
        let place = Place::new(&[("KEY", &format!("whsk_{}", STANDARD.encode(ours.to_bytes())))]);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let settings = json!({
            "url": url,
            "public_key": format!("whpk_{}", STANDARD.encode(theirs.verifying_key().as_bytes())),
            "key_env": "KEY",
            "timeout_secs": 5,
            "description": { "native_expiry": "exact" },
        });
        let receiver = Arc::new(Receiver {
            manner: Mutex::new(Manner::Honest),
            served: Served(behind),
            key: theirs,
            theirs: ours,
            first: Mutex::default(),
            seen: Mutex::default(),
        });
        let handler =
            |State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes| receiver.receives(headers, body);
        let router = Router::new().route("/", post(handler)).with_state(Arc::clone(&receiver));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { receiver, place, settings }
    }

    fn is(&self, manner: Manner) {
        *self.receiver.manner.lock().unwrap() = manner;
    }

    fn open(&self) -> Arc<dyn Provider> {
        self.place.open("webhook", "app", &self.settings)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_receiver_keeps_every_promise() {
    let scene = Scene::start().await;
    let subject = Subject::new("webhook", "app", &map(&scene.settings), &scene.place.surroundings()).unwrap();
    let report = subject.examine(&Options::default()).await;
    assert_eq!(report.broken().collect::<Vec<_>>(), Vec::<&str>::new());
    let skipped: Vec<_> = report.promises.iter().filter_map(|promise| promise.skipped).collect();
    assert_eq!(skipped, ["it can't be killed from here"]);
    // Each question is asked with an id and a nonce of its own, and carries no secret.
    let seen = scene.receiver.seen.lock().unwrap();
    let mut ids: Vec<_> =
        seen.iter().flat_map(|request| [request["id"].as_str().unwrap(), request["nonce"].as_str().unwrap()]).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    assert!(seen.iter().all(|request| request["secrets"] == json!({})));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_not_signed_now_for_this_question_is_unknown() {
    let mut scene = Scene::start().await;
    scene.settings["timeout_secs"] = json!(1);
    let provider = scene.open();
    provider.grant(&order("app", 1)).await.unwrap();
    for (manner, words) in [
        (Manner::Unsigned, "its reply is not signed"),
        (Manner::OtherKey, "its reply is not signed with the key that is pinned"),
        (Manner::Altered, "its reply is not signed with the key that is pinned"),
        (Manner::Old, "its reply is more than five minutes off our clock"),
        (Manner::Redirects, "it answered with HTTP 307, where only 200 is an answer"),
        (Manner::Fails, "it answered with HTTP 500, where only 200 is an answer"),
        (Manner::OtherId, "it answered another request than the one it was asked"),
        (Manner::SaysTheFirstAgain, "it answered another request than the one it was asked"),
        (Manner::NoNonce, "its answer does not repeat the nonce"),
        (Manner::Hangs, "it did not answer within 1 s"),
    ] {
        scene.is(manner);
        let outcome = provider.grant(&order("app", 1)).await;
        let told = format!("the plugin, asked to `grant`: {words}");
        assert_eq!(outcome, Err(ProviderError::Unknown(told)), "{manner:?}");
    }
    scene.is(Manner::Floods);
    let outcome = provider.grant(&order("app", 1)).await;
    assert!(matches!(outcome, Err(ProviderError::Unknown(_))), "{outcome:?}");
    scene.is(Manner::Honest);
    provider.revoke(&order("app", 1)).await.unwrap();
}

#[tokio::test]
async fn without_a_connection_surely_nothing_was_done() {
    let mut scene = Scene::start().await;
    scene.settings["url"] = json!(format!("http://127.0.0.1:{}/", free_port()));
    let outcome = scene.open().revoke(&order("app", 1)).await;
    let Err(ProviderError::Retry(words)) = outcome else { panic!("{outcome:?}") };
    assert!(words.contains("it can't be reached: Connection refused"), "{words}");
    scene.place = Place::new(&[("KEY", "whsk_c2hvcnQ=")]);
    let outcome = scene.open().revoke(&order("app", 1)).await;
    let words = "the plugin, asked to `revoke`: our key is no `whsk_…` with an Ed25519 seed";
    assert_eq!(outcome, Err(ProviderError::Permanent(words.into())));
}

/// A server with TLS that answers everything with nothing.
const TLS: &str = "
import http.server, ssl, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers['content-length']))
        self.send_response(200); self.send_header('content-length', '0'); self.end_headers()
s = http.server.HTTPServer(('127.0.0.1', 0), H)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(sys.argv[1], sys.argv[2])
s.socket = c.wrap_socket(s.socket, server_side=True)
print(s.server_port, flush=True); s.serve_forever()
";

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_believed_if_its_authority_is() {
    let dir = tempfile::tempdir().unwrap();
    let (key, cert) = (dir.path().join("key.pem"), dir.path().join("cert.pem"));
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext \
                 subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE -keyout";
    run(Command::new("openssl").args(words.split(' ')).arg(&key).arg("-out").arg(&cert));
    let mut server = Command::new("python3")
        .args(["-c", TLS])
        .arg(&cert)
        .arg(&key)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let mut scene = Scene::start().await;
    scene.settings["url"] = json!(format!("https://localhost:{}/", port.trim()));
    let stranger = scene.open().revoke(&order("app", 1)).await;
    scene.settings["ca_file"] = json!(cert);
    let known = scene.open().revoke(&order("app", 1)).await;
    server.kill().unwrap();
    server.wait().unwrap();
    let Err(ProviderError::Retry(words)) = stranger else { panic!("{stranger:?}") };
    assert!(words.contains("it can't be reached: ") && words.contains("certificate"), "{words}");
    let words = "the plugin, asked to `revoke`: its reply is not signed";
    assert_eq!(known, Err(ProviderError::Unknown(words.into())));
    fs::write(&cert, "none").unwrap();
    let refused = scene.open().revoke(&order("app", 1)).await;
    assert!(matches!(refused, Err(ProviderError::Permanent(_))), "{refused:?}");
}
