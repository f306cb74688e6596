use super::*;

#[test]
fn no_mention_no_link_and_nothing_hidden_survives() {
    for (written, shown) in [
        ("<!channel> & <@U1|boss>", "&lt;!channel&gt; &amp; &lt;@U1|boss&gt;"),
        ("<https://evil.example|here>", "&lt;https://evil.example|here&gt;"),
        ("&lt;!here&gt;", "&amp;lt;!here&amp;gt;"),
        ("a\u{202E}b\u{200B}c", "a\u{FFFD}b\u{FFFD}c"),
        ("two\r\nlines", "two\nlines"),
    ] {
        assert_eq!(escaped(written), shown);
    }
}

#[test]
fn a_cut_counts_what_slack_counts_and_splits_nothing() {
    assert_eq!(cut("äöü", 3), "äöü");
    assert_eq!(cut("äöüß", 3), "äö…");
    assert_eq!(cut("🙂🙂", 3), "🙂…");
    assert_eq!(fallback("<<<<", 10), "&lt;&lt;…");
    assert_eq!(fallback("a&b", 7), "a&amp;b");
    for most in 1..40 {
        assert!(fallback("<&>é🙂<&>é🙂", most).encode_utf16().count() <= most);
    }
    assert_eq!(pieces("ab🙂cd", 3), ["ab", "🙂c", "d"]);
}

#[test]
fn a_plain_text_is_one_line_and_never_empty() {
    assert_eq!(plain("a\nb", 75)["text"], "a\u{240A}b");
    assert_eq!(plain(" ", 75)["text"], "…");
    assert_eq!(plain(&"x".repeat(80), 75)["text"].as_str().unwrap().chars().count(), 75);
}
