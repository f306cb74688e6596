use super::*;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn only_loopback_names_are_ours() {
    for host in ["127.0.0.1:7070", "127.0.0.1", "localhost", "LocalHost:1", "[::1]", "[::1]:7070", "127.0.0.2:80"] {
        assert_eq!(refusal(&Method::GET, None, &headers(&[("host", host)])), None, "{host}");
    }
    for host in [
        "",
        "example.com",
        "localhost.example.com",
        "127.0.0.1.example.com:7070",
        "evil@127.0.0.1",
        "localhost:7070@evil",
        "0.0.0.0",
        "192.168.1.2:7070",
        "[::]",
        "[::ffff:10.0.0.1]",
        "localhost.",
        "127.1",
        "local host",
    ] {
        assert!(refusal(&Method::GET, None, &headers(&[("host", host)])).is_some(), "{host}");
    }
    assert!(refusal(&Method::GET, None, &headers(&[])).is_some(), "no host at all");
    assert!(refusal(&Method::GET, None, &headers(&[("host", "localhost"), ("host", "localhost")])).is_some(), "two");
}

#[test]
fn the_target_names_the_same_host() {
    let host = headers(&[("host", "localhost:7070")]);
    let authority = |text: &'static str| Authority::from_static(text);
    assert_eq!(refusal(&Method::GET, Some(&authority("localhost:7070")), &host), None);
    assert!(refusal(&Method::GET, Some(&authority("evil.example")), &host).is_some());
}

#[test]
fn a_form_comes_from_our_own_page() {
    let own = "http://localhost:7070";
    for (site, origin, ours) in [
        (None, None, true),
        (None, Some(own), true),
        (None, Some("null"), false),
        (None, Some("http://evil.example"), false),
        (None, Some("https://localhost:7070"), false),
        (None, Some("http://localhost:7071"), false),
        (Some("same-origin"), None, true),
        (Some("same-origin"), Some(own), true),
        (Some("same-origin"), Some("null"), true),
        (Some("same-origin"), Some("http://evil.example"), false),
        (Some("none"), None, true),
        (Some("same-site"), Some("http://localhost:7071"), false),
        (Some("same-site"), Some(own), false),
        (Some("cross-site"), None, false),
        (Some("cross-site"), Some("null"), false),
        (Some("something new"), None, false),
    ] {
        let mut pairs = vec![("host", "localhost:7070")];
        pairs.extend(site.map(|site| ("sec-fetch-site", site)));
        pairs.extend(origin.map(|origin| ("origin", origin)));
        let refused = refusal(&Method::POST, None, &headers(&pairs));
        assert_eq!(refused.is_none(), ours, "{site:?} {origin:?}");
        assert_eq!(refusal(&Method::GET, None, &headers(&pairs)), None, "a page may be linked to from anywhere");
    }
}
