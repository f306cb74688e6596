//! Real browsers: headless Chromium, driven over `WebDriver`.
//!
//! [`Driver::start`] starts a chromedriver on a free port; [`Driver::open`] makes a [`Window`] with a profile of its
//! own, so that two windows are two people. Everything that was started is ended when the [`Driver`] is dropped, also
//! when a test fails. A browser that is missing fails the test: it is never skipped.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    elements::Element,
    error::{CmdError, ErrorStatus},
};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// Visible text whose contrast with what is behind it is below 4.5 to 1.
pub const FAINT_TEXT: &str = r"
    const rgba = (text) => {
      const n = text.match(/[\d.]+/g).map(Number);
      const whole = text.startsWith('color(') ? n.slice(0, 3).map((x) => x * 255) : n.slice(0, 3);
      return [...whole, n[3] ?? 1];
    };
    const over = (top, below) => below.slice(0, 3).map((c, i) => top[i] * top[3] + c * (1 - top[3])).concat(1);
    const behind = (node) => {
      const layers = [];
      for (let at = node; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
      return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
    };
    const light = ([r, g, b]) => {
      const part = (c) => ((c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
      return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const found = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const node = texts.currentNode.parentElement;
      if (!texts.currentNode.data.trim() || !node.checkVisibility() || node.closest('.unseen, template, noscript')) continue;
      const ground = behind(node);
      const [one, other] = [light(over(rgba(getComputedStyle(node).color), ground)), light(ground)];
      const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
      if (ratio < 4.5) found.push(`${texts.currentNode.data.trim()}: ${ratio.toFixed(2)}`);
    }
    return found;";

/// How long anything may take to show itself.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A chromedriver and the browsers it started.
pub struct Driver {
    url: String,
    http: reqwest::Client,
    browsers: Mutex<Vec<Pid>>,
    child: Child,
    /// Profiles, and all that the browsers leave lying about.
    scratch: TempDir,
}

/// One browser with a profile of its own.
pub struct Window {
    /// The `WebDriver` session, for all that has no shorthand here.
    pub client: Client,
    session: String,
    http: reqwest::Client,
}

/// The size and the theme of a window.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Width in CSS pixels.
    pub width: u32,
    /// Height in CSS pixels.
    pub height: u32,
    /// Whether the reader prefers dark.
    pub dark: bool,
    /// Whether it is a phone, with touch.
    pub phone: bool,
}

impl Look {
    /// A desk, light.
    pub const DESK: Self = Self { width: 1280, height: 800, dark: false, phone: false };
    /// A larger desk, light.
    pub const WIDE: Self = Self { width: 1440, height: 900, dark: false, phone: false };
    /// A phone, light.
    pub const PHONE: Self = Self { width: 390, height: 844, dark: false, phone: true };

    /// The same in the dark.
    pub const fn dark(self) -> Self {
        Self { dark: true, ..self }
    }
}

impl Driver {
    /// Starts a chromedriver on a port that it chooses.
    pub async fn start() -> Arc<Self> {
        let scratch = tempfile::tempdir().unwrap();
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .env("TMPDIR", scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver is needed (on Debian: apt-get install chromium chromium-driver)");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next_line().await.unwrap().expect("chromedriver ended before it named its port");
            if let Some(rest) = line.split("started successfully on port ").nth(1) {
                break rest.trim_end_matches('.').parse::<u16>().unwrap();
            }
        };
        // What it still says is read, so that it never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().unwrap();
        Arc::new(Self { url: format!("http://127.0.0.1:{port}"), http, browsers: Mutex::default(), child, scratch })
    }

    /// Opens a browser that nobody used before.
    pub async fn open(&self, look: Look) -> Window {
        let profile = tempfile::tempdir_in(self.scratch.path()).unwrap().keep();
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--lang=en-GB",
        ];
        let mut args: Vec<_> = flags.map(str::to_owned).to_vec();
        args.push(format!("--user-data-dir={}", profile.display()));
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".to_owned(), json!({ "args": args }));
        capabilities.insert("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" }));
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(capabilities).connect(&self.url).await.expect("chromium starts");
        let pid = client.capabilities().and_then(|all| all.get("goog:processID")).and_then(Value::as_i64);
        let pid =
            pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).unwrap())).expect("chromedriver names its browser");
        self.browsers.lock().unwrap().push(pid);
        let session = client.session_id().await.unwrap().unwrap();
        let session = format!("{}/session/{session}", self.url);
        let window = Window { client, session, http: self.http.clone() };
        window.look(look).await;
        window
    }
}

impl Driver {
    /// Whether the process still is the browser that was started here: one that closed has left its number to others.
    fn is_ours(&self, pid: Pid) -> bool {
        let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&self.scratch.path().display().to_string())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        for &pid in self.browsers.lock().unwrap().iter().filter(|&&pid| self.is_ours(pid)) {
            // It may end by itself just now.
            kill_process(pid, Signal::KILL).ok();
        }
        self.child.start_kill().ok();
        // A browser's helpers end after it, and write until then.
        let started = tokio::time::Instant::now();
        while std::fs::remove_dir_all(self.scratch.path()).is_err() && started.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
    }
}

impl Window {
    /// Runs a command of Chromium's own protocol.
    pub async fn devtools(&self, method: &str, params: Value) {
        self.post("goog/cdp/execute", json!({ "cmd": method, "params": params })).await;
    }

    /// What the browser's console holds since it was last asked: errors of scripts, breaches of the page's policy.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.post("se/log", json!({ "type": "browser" })).await;
        let lines = log["value"].as_array().unwrap().iter();
        lines.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }

    /// A command that the client has no name for.
    async fn post(&self, command: &str, body: Value) -> Value {
        let answer = self.http.post(format!("{}/{command}", self.session)).json(&body).send().await.unwrap();
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{command} {body}: {answer}");
        answer
    }

    /// Gives the window a size and a theme.
    pub async fn look(&self, look: Look) {
        let size = json!({ "width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": look.phone });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let theme = if look.dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": theme }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// Turns scripts of pages off, or on again.
    pub async fn scripts(&self, on: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": !on })).await;
    }

    /// Takes the network away from the page, or gives it back.
    pub async fn offline(&self, offline: bool) {
        self.devtools("Network.enable", json!({})).await;
        let conditions = json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.devtools("Network.emulateNetworkConditions", conditions).await;
    }

    /// Opens an address.
    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// The element, once it is there.
    pub async fn find(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(PATIENCE).every(LOOK_EVERY).for_element(Locator::Css(css)).await;
        match found {
            Ok(element) => element,
            Err(error) => panic!("`{css}` is not on the page: {error}\n{}", self.visible_text().await),
        }
    }

    /// Clicks the element, once it is there.
    pub async fn click(&self, css: &str) {
        while !fresh(self.find(css).await.click().await) {}
    }

    /// Types into the element, once it is there.
    pub async fn types(&self, css: &str, keys: &str) {
        while !fresh(self.find(css).await.send_keys(keys).await) {}
    }

    /// The visible text of the element, once it is there.
    pub async fn text(&self, css: &str) -> String {
        loop {
            let text = self.find(css).await.text().await;
            if let Ok(text) = text {
                return text;
            }
            fresh(text.map(drop));
        }
    }

    /// All that can be read on the page.
    pub async fn visible_text(&self) -> String {
        self.script("return document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// What a script returns.
    pub async fn script(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Waits until a script's expression is true.
    pub async fn until(&self, expression: &str) {
        let started = tokio::time::Instant::now();
        let mut every = tokio::time::interval(LOOK_EVERY);
        while self.script(&format!("return Boolean({expression})")).await != json!(true) {
            assert!(started.elapsed() < PATIENCE, "never true: {expression}\n{}", self.visible_text().await);
            every.tick().await;
        }
    }

    /// Keeps a picture of what the window shows as `target/test-output/<name>.png`.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        keep(name, &self.client.screenshot().await.unwrap())
    }

    /// Closes the browser.
    pub async fn close(self) {
        self.client.close().await.unwrap();
    }
}

/// Keeps a picture, for example of one element, as `target/test-output/<name>.png`.
pub fn keep(name: &str, picture: &[u8]) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let path = target.join("test-output").join(format!("{name}.png"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, picture).unwrap();
    path
}

/// Whether it was done. An element that news has replaced since it was found is looked for again; nothing else may fail.
#[track_caller]
fn fresh(done: Result<(), CmdError>) -> bool {
    match done {
        Ok(()) => true,
        Err(CmdError::Standard(error)) if error.error == ErrorStatus::StaleElementReference => false,
        Err(error) => panic!("{error}"),
    }
}
