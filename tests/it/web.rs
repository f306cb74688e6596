//! What the HTTP server gives to everybody, and what it gives to nobody.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::support::{
    demo::{self, Demo},
    process::until,
};

/// A request exactly as written, since a client would tidy its path.
fn raw(demo: &Demo, path: &str) -> String {
    let mut stream = TcpStream::connect(demo.url.trim_start_matches("http://")).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap();
    head.lines().find_map(|line| {
        line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    })
}

#[tokio::test]
async fn the_public_log_is_served_with_the_right_cache_headers() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    demo.says("ana", "prod-host 5m a private reason").await;
    let size = demo.entries().len();
    until("the public copy has it all", || raw(&demo, "/log/checkpoint").contains(&format!("\n{size}\n")));
    let checkpoint = raw(&demo, "/log/checkpoint");
    assert!(checkpoint.starts_with("HTTP/1.1 200"), "{checkpoint}");
    assert_eq!(header(&checkpoint, "cache-control"), Some("no-cache"));
    for path in [format!("/log/tile/entries/000.p/{size}"), format!("/log/tile/0/000.p/{size}")] {
        let tile = raw(&demo, &path);
        assert!(tile.starts_with("HTTP/1.1 200"), "{path}: {tile}");
        assert_eq!(header(&tile, "cache-control"), Some("public, max-age=31536000, immutable"));
        assert_eq!(header(&tile, "x-content-type-options"), Some("nosniff"));
        assert!(!tile.contains("private reason") && !tile.contains("\"ana\""), "nothing personal");
    }
    // The head that took a key in never changes either. This log has none; any text shows how it is served.
    let rotation = demo.ledger().join("public/rotation");
    std::fs::create_dir(&rotation).unwrap();
    std::fs::write(rotation.join("17"), "a head\n").unwrap();
    let head = raw(&demo, "/log/rotation/17");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("a head\n"), "{head}");
    assert_eq!(header(&head, "cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(header(&head, "content-type"), Some("text/plain; charset=utf-8"));
    // What is not there yet must not be remembered as missing.
    for path in ["/log/tile/0/001", "/log/rotation/18"] {
        let missing = raw(&demo, path);
        assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
        assert_eq!(header(&missing, "cache-control"), Some("no-cache"));
    }
    for nowhere in
        ["/log/tile/0".to_owned(), format!("/log/tile/0/000.p/{size}/1"), format!("/log/tile/{}", "1".repeat(300))]
    {
        assert!(raw(&demo, &nowhere).starts_with("HTTP/1.1 404"), "{nowhere}");
    }
    // What is there and can't be read is no hole.
    let tile = format!("tile/0/000.p/{size}");
    let path = demo.ledger().join("public").join(&tile);
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&path, &path).unwrap();
    let unread = raw(&demo, &format!("/log/{tile}"));
    assert!(unread.starts_with("HTTP/1.1 500"), "{unread}");
    assert_eq!(header(&unread, "cache-control"), Some("no-store"));
}

#[test]
fn nothing_but_the_public_copy_can_be_fetched() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    for path in [
        "/log/../signing-key.pem",
        "/log/tile/../../signing-key.pem",
        "/log/tile/%2e%2e/%2e%2e/signing-key.pem",
        "/log/tile/..%2f..%2fsigning-key.pem",
        "/log/tile//etc/passwd",
        "/log/tile/0/../../../head",
        "/log/signing-key.pem",
        "/log/rotation/",
        "/log/rotation/17",
        "/log/rotation/017",
        "/log/rotation/../checkpoint",
        "/log/rotation/%2e%2e",
        "/log/rotation/..%2f..%2fsigning-key.pem",
        "/log/rotation/17.part",
        "/log/tile/0/000%00",
        "/providers/prod-host/ca_key",
        "/providers/prod-api/jwt_key.pem",
        "/providers/../ledger/head",
        "/providers/nothing/ca.pub",
    ] {
        let answer = raw(&demo, path);
        assert!(answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
        assert!(!answer.contains("PRIVATE KEY") && !answer.contains("root:"), "{path}");
    }
    for (path, kind) in [
        ("/providers/prod-host/ca.pub", "text/plain"),
        ("/providers/prod-host/krl", "application/octet-stream"),
        ("/providers/prod-api/jwks.json", "application/"),
        ("/health", "text/plain"),
    ] {
        let answer = raw(&demo, path);
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(header(&answer, "content-type").is_some_and(|found| found.starts_with(kind)), "{path}: {answer}");
    }
}
