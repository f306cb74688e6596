//! How the tests run the verifiers that nobody here wrote. Both test binaries have this file: that of the library, over logs it
//! wrote and tampered with, and that of the program, over what the service wrote.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    process::Command as Program,
};

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/ledger_foreign").join(name)
}

/// Where `tests/it/ledger_foreign/install` puts things.
fn installed(name: &str) -> PathBuf {
    let target = std::env::var("CARGO_TARGET_DIR")
        .map_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let path = target.join("foreign").join(name);
    assert!(path.exists(), "{} is missing: run tests/it/ledger_foreign/install", path.display());
    path
}

/// The verifiers that nobody here wrote.
pub struct Foreign {
    go: PathBuf,
}

impl Foreign {
    /// Builds what has to be built, into `dir`.
    pub fn new(dir: &Path) -> Self {
        let go = dir.join("check");
        let built = Program::new("go")
            .args(["build", "-o"])
            .arg(&go)
            .arg(here("check.go"))
            .env("GO111MODULE", "off")
            .env("GOPATH", "/usr/share/gocode")
            .output()
            .expect("go is missing: install golang-go and golang-golang-x-mod-dev");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Self { go }
    }

    /// coreutils over `log.jsonl`.
    pub fn coreutils(copy: &Path) -> Result<String, String> {
        run(Program::new("sh").arg(here("walk.sh")).arg(copy.join("log.jsonl")))
    }

    /// Go's sumdb packages over a public copy, whose head this key signed.
    pub fn go(&self, copy: &Path, key: &impl Display) -> Result<String, String> {
        run(Program::new(&self.go).arg(copy).arg(key.to_string()))
    }

    /// The same, and the consistency with an older head that this other key signed, or the same one.
    pub fn go_since(
        &self,
        copy: &Path,
        key: &impl Display,
        older: &Path,
        older_key: &impl Display,
    ) -> Result<String, String> {
        run(Program::new(&self.go).arg(copy).arg(key.to_string()).arg(older).arg(older_key.to_string()))
    }

    /// Python's standard library and pymerkle over exports: what it says of each.
    pub fn python(copies: &[PathBuf]) -> Vec<Result<String, String>> {
        each(Program::new(installed("venv/bin/python")).arg(here("check.py")).args(copies), copies.len())
    }

    /// @sigstore/verify over files of proofs: what it says of each.
    pub fn sigstore(key: &impl Display, files: &[PathBuf]) -> Vec<Result<String, String>> {
        let modules = installed("node_modules").parent().unwrap().to_owned();
        let mut node = Program::new("node");
        node.arg(here("check.mjs")).arg(key.to_string()).args(files).env("FOREIGN_MODULES", modules);
        each(&mut node, files.len())
    }
}

/// Runs a program that says a line of each thing it is handed, and fails if it refused one.
fn each(program: &mut Program, count: usize) -> Vec<Result<String, String>> {
    let done = program.output().unwrap_or_else(|error| panic!("{program:?}: {error}"));
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let found: Vec<_> = said
        .lines()
        .map(|line| match line.strip_prefix("refused: ") {
            Some(why) => Err(why.to_owned()),
            None => Ok(line.to_owned()),
        })
        .collect();
    assert_eq!(found.len(), count, "{program:?}: {said}{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(done.status.success(), found.iter().all(Result::is_ok), "{program:?}: {said}");
    found
}

fn run(program: &mut Program) -> Result<String, String> {
    let done = program.output().unwrap_or_else(|error| panic!("{program:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
}
