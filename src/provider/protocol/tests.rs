//! Lines that are read, and secrets that are not said.

use chrono::DateTime;
use proptest::prelude::{prop_assert, proptest};
use secrecy::SecretString;

use super::{Abilities, Redactor, Reply, Request, Status, Verb, WireCredential};
use crate::provider::{Holder, NativeExpiry, Order, SessionEnd};

fn read(verb: Verb, line: &str) -> Result<Reply, String> {
    Reply::read(line.as_bytes(), verb, "1", None).map_err(|garbled| garbled.to_string())
}

fn line(more: &str) -> String {
    format!("{{\"v\":\"countersign.provider/v1\",\"id\":\"1\",{more}}}")
}

fn order() -> Order {
    Order {
        external_id: "cs_abcdefgh_7".into(),
        request: 7,
        resource: "app".into(),
        holder: Holder { name: "ana".into(), ssh_keys: Vec::new() },
        not_after: "2026-03-01T10:30:00.999Z".parse().unwrap(),
    }
}

#[test]
fn a_request_is_one_line_and_comes_back_as_it_was() {
    let deadline = "2026-03-01T10:00:10.5Z".parse().unwrap();
    let request = Request::new(Verb::Credential, "6f".into(), "app", deadline).about(&order(), Some(2));
    let line = String::from_utf8(request.line().unwrap().to_vec()).unwrap();
    insta::assert_snapshot!(line, @r#"{"v":"countersign.provider/v1","id":"6f","verb":"credential","resource":"app","deadline":"2026-03-01T10:00:10Z","settings":{},"secrets":{},"op_key":"f1912537dd0911294bb47778cab6cf7c2e1550e564ad6c31b3dd78b558343647","external_id":"cs_abcdefgh_7","not_after":"2026-03-01T10:30:00Z","grant":{"request":7,"holder":"ana"},"n":2}"#);
    let back: Request = serde_json::from_str(&line).unwrap();
    assert_eq!(back.order().unwrap(), Order { not_after: "2026-03-01T10:30:00Z".parse().unwrap(), ..order() });
    let again = Request::new(Verb::Credential, "70".into(), "app", deadline).about(&order(), Some(3));
    assert_ne!(again.op_key, request.op_key, "another key is another thing");
    for (verb, same) in [(Verb::Grant, true), (Verb::Revoke, false)] {
        let one = Request::new(Verb::Grant, "1".into(), "app", deadline).about(&order(), None);
        let other = Request::new(verb, "2".into(), "app", deadline).about(&order(), None);
        assert_eq!(one.op_key == other.op_key, same);
    }
}

#[test]
fn a_reply_is_read_whole_or_not_at_all() {
    assert_eq!(read(Verb::Grant, &line("\"status\":\"ok\"")).unwrap().status, Status::Ok);
    assert!(read(Verb::Grant, &(line("\"status\":\"ok\"") + "\n")).is_ok());
    assert!(read(Verb::Grant, &(line("\"status\":\"ok\"") + "\r\n")).is_ok());
    assert!(read(Verb::List, &line("\"status\":\"ok\",\"items\":[]")).is_ok());
    for (verb, text, words) in [
        (Verb::Grant, String::new(), "it answered nothing"),
        (Verb::Grant, " \n".into(), "it answered nothing"),
        (Verb::Grant, format!("{0}\n{0}\n", line("\"status\":\"ok\"")), "it answered twice"),
        (Verb::Grant, "{\n}\n".into(), "it answered more than one line"),
        (Verb::Grant, "[1".into(), "its answer is not one JSON object"),
        (Verb::Grant, line("\"status\":\"ok\"") + " x", "its answer is not one JSON object"),
        (Verb::Grant, "[]".into(), "its answer is not of this form (column 2)"),
        (Verb::Grant, line("\"status\":\"ok\",\"status\":\"ok\""), "its answer is not of this form (column 62)"),
        (Verb::Grant, line("\"status\":\"ok\",\"nonce\":\"2\""), "its answer does not repeat the nonce"),
        (Verb::List, line("\"status\":\"ok\""), "its answer to `list` has no `items`"),
        (
            Verb::List,
            line("\"status\":\"ok\",\"items\":[],\"plan\":[]"),
            "its answer to `list` has a `plan` that belongs elsewhere",
        ),
    ] {
        assert_eq!(read(verb, &text).map(|_| ()), Err(words.to_owned()), "{text}");
    }
    let secret = line("\"status\":\"ok\",\"credential\":\"hunter2\"");
    assert!(!read(Verb::Credential, &secret).unwrap_err().contains("hunter2"), "what can't be read is not repeated");
}

#[test]
fn a_key_that_is_unfit_is_not_taken() {
    let end = "2026-03-01T10:30:00Z";
    let taken = |public_id: &str, not_after: &str, parts: &str| {
        let text = format!("{{\"public_id\":\"{public_id}\",\"not_after\":\"{not_after}\",\"parts\":{parts}}}");
        let credential: WireCredential = serde_json::from_str(&text).unwrap();
        let end: DateTime<chrono::Utc> = end.parse().unwrap();
        credential.taken(1, end).map(|credential| credential.parts.len()).map_err(|garbled| garbled.to_string())
    };
    let part = |label: &str, text: &str| format!("[{{\"label\":\"{label}\",\"text\":\"{text}\"}}]");
    assert_eq!(taken("cs_abcdefgh_7:1", end, &part("password", "hunter2-hunter2")), Ok(1));
    let user = "[{\"label\":\"user\",\"text\":\"cs_abcdefgh_7\",\"secret\":false}]";
    assert_eq!(taken("cs_abcdefgh_7:1", end, user), Ok(1));
    let shown = Err("it cut a key that can't be shown".to_owned());
    assert_eq!(taken("", end, &part("password", "x")), shown);
    assert_eq!(taken("a\\nb", end, &part("password", "x")), shown);
    assert_eq!(taken("a", end, &part("", "x")), shown);
    assert_eq!(taken("a", end, "[]"), shown);
    assert_eq!(
        taken("key-hunter2-hunter2", end, &part("password", "hunter2-hunter2")),
        Err("it put a part of the key into its public id".to_owned())
    );
    assert_eq!(
        taken("a", "2026-03-01T10:30:01Z", &part("password", "x")),
        Err("it cut a key that lives longer than the grant".to_owned())
    );
}

#[test]
fn abilities_are_written_as_the_settings_want_them() {
    assert_eq!(Abilities::default().written(), None);
    let all = Abilities {
        native_expiry: NativeExpiry::Floor(600),
        ends_sessions: SessionEnd::AtNotAfter,
        lists: false,
        shared: true,
        activity: true,
        max_ttl_secs: Some(3600),
    };
    let written = all.written().unwrap();
    insta::assert_snapshot!(written, @r#"{ native_expiry = { floor_secs = 600 }, ends_sessions = "at_not_after", lists = false, shared = true, activity = true, max_ttl_secs = 3600 }"#);
    let back: toml::Table = toml::from_str(&format!("description = {written}")).unwrap();
    let back: Abilities = serde_json::from_value(serde_json::to_value(&back["description"]).unwrap()).unwrap();
    assert_eq!(back, all);
}

#[test]
fn a_secret_that_was_cut_off_is_not_said_either() {
    let secret: SecretString = "hunter2-hunter2".to_owned().into();
    let redactor = Redactor::new([&secret]);
    assert_eq!(redactor.clean(b"it is hunter2-hunter2!", false, 99), "it is [secret]!");
    assert_eq!(redactor.clean(b"it is hunter2-hun", true, 99), "it is");
    assert_eq!(redactor.clean(b"it is h", true, 99), "it is");
    assert_eq!(redactor.clean(b"it\x07 is\n\n fine", false, 99), "it is fine");
    assert_eq!(redactor.clean("länger als gut".as_bytes(), false, 6), "länge…");
    assert_eq!(redactor.clean(&[0xff, b'a'], false, 9), "\u{fffd}a");
    let lines: SecretString = "-----BEGIN KEY-----\nAAAABBBBCCCC\n-----END KEY-----\n".to_owned().into();
    assert_eq!(Redactor::new([&lines]).clean(b"got AAAABBBBCCCC", false, 99), "got [secret]");
}

proptest! {
    /// Wherever a secret stands and wherever the text is cut off, no six characters of it are left that are not
    /// elsewhere in the text.
    #[test]
    fn no_part_of_a_secret_is_left(before in "[ -~]{0,40}", secret in "[G-Z]{12,40}", after in "[a-f ]{0,40}", kept in 0_usize..120) {
        let text = format!("{}{secret}{after}", before.to_lowercase());
        let cut = kept < text.len();
        let held = &text.as_bytes()[..kept.min(text.len())];
        let secret_text: SecretString = secret.clone().into();
        let said = Redactor::new([&secret_text]).clean(held, cut, usize::MAX);
        prop_assert!(!secret.as_bytes().windows(1).any(|part| said.contains(std::str::from_utf8(part).unwrap())), "{said}");
    }

    /// Whatever is answered, it is a reply or it isn't: nothing breaks, and nothing of it is repeated.
    #[test]
    fn whatever_is_answered_is_read_or_refused(answer in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        for verb in Verb::ALL {
            prop_assert!(Reply::read(&answer, verb, "1", None).is_err());
        }
    }
}
