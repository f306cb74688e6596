use std::borrow::Cow;

use proptest::prelude::*;

use super::*;

#[test]
fn ordinary_text_is_not_touched() {
    for text in ["", "fixing INC-42", "zwei\nZeilen\tTab", "שלום", "日本語", "❤️ 🇩🇪", "<b>&amp;</b>"] {
        assert!(matches!(tidy(text), Cow::Borrowed(same) if same == text), "{text:?}");
    }
}

#[test]
fn what_hides_is_shown() {
    for (text, shown) in [
        ("a\u{1b}[31mred", "a␛[31mred"),
        ("nul\0", "nul␀"),
        ("del\u{7f}", "del␡"),
        ("c1\u{9b}x", "c1�x"),
        ("abc\u{202e}fdp.exe", "abc�fdp.exe"),
        ("\u{2066}iso\u{2069}", "�iso�"),
        ("pro\u{200b}d", "pro�d"),
        ("\u{feff}bom", "�bom"),
        ("soft\u{ad}hyphen", "soft�hyphen"),
        ("tag\u{e0041}", "tag�"),
        ("line\u{2028}separator", "line�separator"),
        ("windows\r\nlines", "windows\nlines"),
        ("lone\rreturn", "lone␍return"),
    ] {
        assert_eq!(tidy(text), shown, "{text:?}");
    }
}

#[test]
fn one_line_has_no_line_feeds() {
    assert_eq!(one_line("a\r\nb\tc"), "a␊b␉c");
    assert_eq!(one_line("plain"), "plain");
}

proptest! {
    #[test]
    fn nothing_hidden_is_left_and_twice_is_once(text in any::<String>()) {
        let shown = tidy(&text);
        prop_assert!(shown.chars().all(|c| c == '\n' || c == '\t' || !is_hidden(c)));
        prop_assert_eq!(tidy(&shown), shown.as_ref());
        prop_assert!(!one_line(&text).chars().any(is_hidden));
    }

    #[test]
    fn growth_is_bounded(text in any::<String>()) {
        prop_assert!(tidy(&text).len() <= text.len() + 2 * text.chars().count());
    }
}
