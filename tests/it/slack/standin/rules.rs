//! What Slack lets through, and what we ask of ourselves beyond it: every complaint in words, with the place.

use std::collections::BTreeSet;

use serde_json::Value;

const MESSAGE_BLOCKS: usize = 50;
const VIEW_BLOCKS: usize = 100;

/// Where a block stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    Message,
    Modal,
    Home,
}

/// Looks at one thing that is sent, and gathers what is wrong with it.
#[derive(Default)]
pub struct Check {
    wrong: Vec<String>,
}

/// A message's `text` and `blocks`.
pub fn message(body: &Value) -> Vec<String> {
    let mut check = Check::default();
    let text = body["text"].as_str().unwrap_or_default();
    if text.trim().is_empty() {
        check.say("text", "there is no fallback text");
    }
    check.length("text", text, 1, 4_000);
    check.no_markup("text", text);
    check.blocks(&body["blocks"], Surface::Message, MESSAGE_BLOCKS);
    if let Some(metadata) = body.get("metadata") {
        let payload = metadata["event_payload"].as_object();
        if !metadata["event_type"].is_string() || !payload.is_some_and(|fields| fields.values().all(Value::is_string)) {
            check.say("metadata", "it is to be an event_type and an event_payload of strings");
        }
    }
    check.wrong
}

/// A modal or App Home.
pub fn view(view: &Value) -> Vec<String> {
    let mut check = Check::default();
    match view["type"].as_str() {
        Some("home") => check.blocks(&view["blocks"], Surface::Home, VIEW_BLOCKS),
        Some("modal") => {
            check.plain("title", &view["title"], 24);
            check.plain("close", &view["close"], 24);
            let inputs = view["blocks"].as_array().is_some_and(|blocks| blocks.iter().any(|b| b["type"] == "input"));
            if inputs || view.get("submit").is_some() {
                check.plain("submit", &view["submit"], 24);
            }
            check.length("private_metadata", view["private_metadata"].as_str().unwrap_or_default(), 0, 3_000);
            check.length("callback_id", view["callback_id"].as_str().unwrap_or_default(), 1, 255);
            check.blocks(&view["blocks"], Surface::Modal, VIEW_BLOCKS);
        }
        _ => check.say("type", "a view is a modal or a home"),
    }
    check.wrong
}

/// What a search answers.
pub fn options(answer: &Value) -> Vec<String> {
    let mut check = Check::default();
    match (answer.get("options"), answer.get("option_groups")) {
        (Some(options), None) => check.options("options", options, true),
        (None, Some(groups)) => {
            let groups = groups.as_array().cloned().unwrap_or_default();
            if groups.is_empty() || groups.len() > 100 {
                check.say("option_groups", "1 to 100");
            }
            for group in groups {
                check.plain("option_groups.label", &group["label"], 75);
                check.options("option_groups.options", &group["options"], false);
            }
        }
        _ => check.say("answer", "either options or option_groups"),
    }
    check.wrong
}

impl Check {
    fn say(&mut self, at: &str, what: &str) {
        self.wrong.push(format!("{at}: {what}"));
    }

    fn length(&mut self, at: &str, text: &str, least: usize, most: usize) {
        let length = text.encode_utf16().count();
        if length < least || length > most {
            self.say(at, &format!("{length} long, and {least} to {most} fits"));
        }
    }

    /// Nothing that Slack would read as a mention or a link, and nothing that hides.
    fn no_markup(&mut self, at: &str, text: &str) {
        for mark in ["<!", "<@", "<#", "<http", "<mailto"] {
            if text.contains(mark) {
                self.say(at, &format!("`{mark}` is markup"));
            }
        }
        self.nothing_hidden(at, text);
    }

    fn nothing_hidden(&mut self, at: &str, text: &str) {
        let hidden = |c: char| {
            (c.is_control() && c != '\n' && c != '\t')
                || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
        };
        if text.chars().any(hidden) {
            self.say(at, "a hidden character");
        }
    }

    fn plain(&mut self, at: &str, object: &Value, most: usize) {
        if object["type"] != "plain_text" {
            self.say(at, "not plain_text");
        }
        let text = object["text"].as_str().unwrap_or_default();
        self.length(at, text, 1, most);
        self.nothing_hidden(at, text);
    }

    fn blocks(&mut self, blocks: &Value, surface: Surface, most: usize) {
        let blocks = blocks.as_array().cloned().unwrap_or_default();
        if blocks.is_empty() || blocks.len() > most {
            self.say("blocks", &format!("{} of them, and 1 to {most} fit", blocks.len()));
        }
        let mut ids = BTreeSet::new();
        for (n, block) in blocks.iter().enumerate() {
            let at = format!("blocks[{n}]");
            if let Some(id) = block["block_id"].as_str() {
                self.length(&at, id, 1, 255);
                if !ids.insert(id.to_owned()) {
                    self.say(&at, "its block_id is there twice");
                }
            }
            self.block(&at, block, surface);
        }
    }

    fn block(&mut self, at: &str, block: &Value, surface: Surface) {
        match block["type"].as_str().unwrap_or_default() {
            "header" => self.plain(at, &block["text"], 150),
            "section" => match block["text"]["type"].as_str() {
                Some("plain_text") => self.plain(at, &block["text"], 3_000),
                Some("mrkdwn") => {
                    let text = block["text"]["text"].as_str().unwrap_or_default();
                    self.length(at, text, 1, 3_000);
                    self.no_markup(at, text);
                }
                _ => self.say(at, "a section without a text"),
            },
            "context" => {
                let elements = block["elements"].as_array().cloned().unwrap_or_default();
                if elements.is_empty() || elements.len() > 10 {
                    self.say(at, "1 to 10 elements");
                }
                for element in &elements {
                    let text = element["text"].as_str().unwrap_or_default();
                    self.length(at, text, 1, 2_000);
                    if element["type"] == "plain_text" {
                        self.nothing_hidden(at, text);
                    } else {
                        self.no_markup(at, text);
                    }
                }
            }
            "actions" => {
                let elements = block["elements"].as_array().cloned().unwrap_or_default();
                if elements.is_empty() || elements.len() > 25 {
                    self.say(at, "1 to 25 elements");
                }
                let mut ids = BTreeSet::new();
                for element in &elements {
                    if !ids.insert(element["action_id"].as_str().unwrap_or_default().to_owned()) {
                        self.say(at, "an action_id is there twice");
                    }
                    self.element(at, element);
                }
            }
            "input" if surface == Surface::Modal => {
                self.plain(&format!("{at}.label"), &block["label"], 2_000);
                if block.get("hint").is_some() {
                    self.plain(&format!("{at}.hint"), &block["hint"], 2_000);
                }
                self.element(at, &block["element"]);
            }
            "rich_text" => {
                let elements = block["elements"].as_array().cloned().unwrap_or_default();
                if elements.is_empty() {
                    self.say(at, "an empty rich_text");
                }
                for element in &elements {
                    self.rich(at, element);
                }
            }
            other => self.say(at, &format!("a block `{other}` has no place here")),
        }
    }

    fn rich(&mut self, at: &str, element: &Value) {
        let inner = element["elements"].as_array().cloned().unwrap_or_default();
        match element["type"].as_str().unwrap_or_default() {
            "rich_text_section" | "rich_text_preformatted" | "rich_text_quote" => {
                if inner.is_empty() {
                    self.say(at, "an empty section");
                }
                for part in &inner {
                    self.inline(at, part);
                }
            }
            "rich_text_list" => {
                if !["bullet", "ordered"].contains(&element["style"].as_str().unwrap_or_default()) || inner.is_empty() {
                    self.say(at, "a list has a style and elements");
                }
                for part in &inner {
                    self.rich(at, part);
                }
            }
            other => self.say(at, &format!("`{other}` is no part of a rich_text")),
        }
    }

    fn inline(&mut self, at: &str, part: &Value) {
        match part["type"].as_str().unwrap_or_default() {
            "text" => {
                let text = part["text"].as_str().unwrap_or_default();
                self.length(at, text, 1, 3_000);
                self.nothing_hidden(at, text);
            }
            "user" if part["user_id"].as_str().is_some_and(|id| id.starts_with(['U', 'W'])) => {}
            "date" if part["timestamp"].is_i64() => {
                let (format, fallback) = (part["format"].as_str().unwrap_or_default(), part["fallback"].as_str());
                if !format.contains('{') || !fallback.is_some_and(|text| text.ends_with("UTC")) {
                    self.say(at, "a date has a format and a fallback in UTC");
                }
            }
            other => self.say(at, &format!("`{other}` has no place in a line")),
        }
    }

    fn element(&mut self, at: &str, element: &Value) {
        let id = element["action_id"].as_str().unwrap_or_default();
        let at = format!("{at}.{id}");
        self.length(&at, id, 1, 255);
        if element.get("placeholder").is_some() {
            self.plain(&format!("{at}.placeholder"), &element["placeholder"], 150);
        }
        match element["type"].as_str().unwrap_or_default() {
            "button" => self.button(&at, element),
            "static_select" => {
                self.options(&at, &element["options"], false);
                let initial = element.get("initial_option");
                let options = element["options"].as_array().cloned().unwrap_or_default();
                if initial.is_some_and(|initial| !options.contains(initial)) {
                    self.say(&at, "its initial option is none of its options");
                }
            }
            "external_select" => {
                if let Some(initial) = element.get("initial_option") {
                    self.option(&at, initial);
                }
            }
            "plain_text_input" => {
                let most = element["max_length"].as_u64().unwrap_or(3_000);
                if most == 0 || most > 3_000 {
                    self.say(&at, "max_length is 1 to 3000");
                }
                let initial = element["initial_value"].as_str().unwrap_or_default();
                self.length(&at, initial, 0, usize::try_from(most).unwrap());
            }
            other => self.say(&at, &format!("an element `{other}` has no place here")),
        }
    }

    fn button(&mut self, at: &str, button: &Value) {
        self.plain(at, &button["text"], 75);
        let value = button["value"].as_str().unwrap_or_default();
        self.length(at, value, 1, 2_000);
        if value.parse::<u64>().is_err() && !["ask", "refresh"].contains(&value) {
            self.say(at, "its value says more than which request");
        }
        let label = button["accessibility_label"].as_str().unwrap_or_default();
        self.length(&format!("{at}.accessibility_label"), label, 1, 75);
        self.nothing_hidden(at, label);
        if button.get("style").is_some_and(|style| style != "primary" && style != "danger") {
            self.say(at, "a style is primary or danger");
        }
        if let Some(confirm) = button.get("confirm") {
            for (part, most) in [("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)] {
                self.plain(&format!("{at}.confirm.{part}"), &confirm[part], most);
            }
        }
        for key in button.as_object().unwrap().keys() {
            let known = ["type", "action_id", "value", "text", "accessibility_label", "style", "confirm"];
            if !known.contains(&key.as_str()) {
                self.say(at, &format!("a button has no `{key}`"));
            }
        }
    }

    fn options(&mut self, at: &str, options: &Value, may_be_empty: bool) {
        let options = options.as_array().cloned().unwrap_or_default();
        if options.len() > 100 || (options.is_empty() && !may_be_empty) {
            self.say(at, &format!("{} options, and 1 to 100 fit", options.len()));
        }
        let mut values = BTreeSet::new();
        for option in &options {
            if !values.insert(option["value"].as_str().unwrap_or_default().to_owned()) {
                self.say(at, "a value is there twice");
            }
            self.option(at, option);
        }
    }

    fn option(&mut self, at: &str, option: &Value) {
        self.plain(at, &option["text"], 75);
        self.length(at, option["value"].as_str().unwrap_or_default(), 1, 150);
        if option.get("description").is_some() {
            self.plain(at, &option["description"], 75);
        }
    }
}
