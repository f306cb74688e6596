use super::*;
use crate::ledger::hash::NO_PREV;

const DIGESTS: [&str; 2] =
    ["0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"];

fn built(digests: &[String]) -> Vec<u8> {
    let standing = Standing { prev: &NO_PREV, seq: 17, time: "2026-11-20T21:39:44.123456Z" };
    build(digests, b"{\"a\":1}", "access.requested", standing)
}

#[test]
fn golden() {
    let line = String::from_utf8(built(&DIGESTS.map(String::from))).unwrap();
    assert_eq!(
        line,
        concat!(
            r#"{"_sd":["0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],"#,
            r#""body":{"a":1},"kind":"access.requested","prev":"0000000000000000000000000000000000000000000000000000000000000000","#,
            r#""seq":17,"time":"2026-11-20T21:39:44.123456Z","v":1}"#
        )
    );
    let read = Line::read(line.as_bytes()).unwrap();
    assert_eq!((read.kind, read.seq, read.body, read.prev), ("access.requested", 17, &b"{\"a\":1}"[..], NO_PREV));
    assert_eq!(read.each_digest().collect::<Vec<_>>(), DIGESTS.map(str::as_bytes));
    assert_eq!(read.digest_count(), 2);
    assert_eq!(Line::read(&built(&[])).unwrap().digest_count(), 0);
}

#[test]
fn refused() {
    let line = String::from_utf8(built(&DIGESTS.map(String::from))).unwrap();
    for (from, to) in [
        ("{\"a\":1}", "{\"a\":1.0}"),
        ("{\"a\":1}", "{\"a\": 1}"),
        ("{\"a\":1}", "1"),
        ("{\"a\":1}", "{\"a\":1},\"body\":{}"),
        ("access.requested", "access"),
        ("access.requested", "Access.requested"),
        ("access.requested", ".requested"),
        ("\"prev\":\"0", "\"prev\":\"A"),
        ("\"prev\":\"0", "\"prev\":\""),
        ("\"seq\":17", "\"seq\":017"),
        ("\"seq\":17", "\"seq\":-17"),
        (".123456Z", ".123456+"),
        ("\"v\":1}", "\"v\":1}\n"),
        ("\"v\":1}", "\"v\":1,\"w\":1}"),
        ("\"_sd\":[", "\"_sd\":[]"),
        ("\"0aaa", "\"zaaa"),
    ] {
        let changed = line.replacen(from, to, 1);
        assert_ne!(changed, line);
        assert!(matches!(Line::read(changed.as_bytes()), Err(LineFault::NotCanonical(_))), "{changed}");
    }
    assert_eq!(Line::read(line.replace("\"v\":1}", "\"v\":2}").as_bytes()), Err(LineFault::Version(2)));
    assert_eq!(Line::read(&vec![b' '; LINE_MAX_BYTES + 1]), Err(LineFault::TooLong(LINE_MAX_BYTES + 1)));
    assert_eq!(Line::read(b"\xff"), Err(LineFault::NotUtf8));
}
