//! What a plugin says is shown to people only after every secret it was given is gone from it.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// What stands in the place of a secret.
const INSTEAD: &str = "[secret]";
/// A line of a secret that is shorter is not looked for by itself, in bytes.
const LINE_BYTES_MIN: usize = 8;

/// Knows the secrets of one exchange, in the forms in which programs print them.
pub struct Redactor(Vec<Zeroizing<String>>);

impl Redactor {
    /// One that knows these.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut forms = BTreeSet::new();
        for secret in secrets {
            let whole = secret.expose_secret().trim();
            forms.extend([whole, secret.expose_secret()].into_iter().flat_map(forms_of));
            forms.extend(whole.lines().map(str::trim).filter(|line| line.len() >= LINE_BYTES_MIN).flat_map(forms_of));
        }
        let mut forms: Vec<_> = forms.into_iter().filter(|form| !form.is_empty()).map(Zeroizing::new).collect();
        // The longest first, so that no remainder of one is left beside a shorter one.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        Self(forms)
    }

    /// Whether one of them is in a text.
    #[must_use]
    pub fn finds(&self, text: &[u8]) -> bool {
        let text = Zeroizing::new(String::from_utf8_lossy(text).into_owned());
        self.0.iter().any(|form| text.contains(form.as_str()))
    }

    /// The text in one line and at most so many characters, without any of them; if it was `cut` off at its end, also without
    /// what could be the beginning of one there.
    #[must_use]
    pub fn clean(&self, text: &[u8], cut: bool, chars_max: usize) -> String {
        let mut text = Zeroizing::new(String::from_utf8_lossy(text).into_owned());
        for form in &self.0 {
            if text.contains(form.as_str()) {
                text = Zeroizing::new(text.replace(form.as_str(), INSTEAD));
            }
        }
        if cut {
            let whole = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
            let begun = |form: &Zeroizing<String>| {
                let ends = form.char_indices().map(|(end, _)| end).filter_map(|end| form.get(..end));
                ends.filter(|start| !start.is_empty() && whole.ends_with(start)).map(str::len).max()
            };
            let begun = self.0.iter().filter_map(begun).max().unwrap_or(0);
            let kept = whole.get(..whole.len().saturating_sub(begun)).unwrap_or_default().to_owned();
            text = Zeroizing::new(kept);
        }
        let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let line = words.collect::<Vec<_>>().join(" ");
        if line.chars().count() <= chars_max {
            return line;
        }
        line.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
    }
}

/// A text as it is, as JSON, Base64, hex and parts of a URL write it.
fn forms_of(text: &str) -> Vec<String> {
    let json = serde_json::to_string(text).unwrap_or_default();
    let json = json.trim_matches('"').to_owned();
    let percent = |upper: bool| {
        let byte = |byte: u8| match byte {
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => char::from(b).to_string(),
            b if upper => format!("%{b:02X}"),
            b => format!("%{b:02x}"),
        };
        text.bytes().map(byte).collect::<String>()
    };
    let base64 = STANDARD.encode(text);
    vec![
        text.to_owned(),
        json,
        base64.trim_end_matches('=').to_owned(),
        hex::encode(text),
        hex::encode_upper(text),
        percent(true),
        percent(false),
    ]
}
