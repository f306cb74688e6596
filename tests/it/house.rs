//! The walls between the rooms, and the order in the house: what a compiler does not check in one package.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const LINES_MAX: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_under(dir: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = Some(root().join(dir)).filter(|dir| dir.exists()).into_iter().collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What `lib.rs` allows, read from its table: room to rooms. "all of the above" is what it says.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let mut rooms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in fs::read_to_string(root().join("src/lib.rs")).unwrap().lines() {
        let Some(row) = line.strip_prefix("//! | [`") else { continue };
        let cells: Vec<&str> = row.split('|').collect();
        let room = cells[0].trim().trim_end_matches("`]").to_owned();
        let uses = if cells[2].contains("all of the above") {
            rooms.keys().cloned().collect()
        } else {
            cells[2].split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        rooms.insert(room, uses);
    }
    rooms
}

/// The rooms that a source file names: `crate::room`, also within braces.
fn named(source: &str) -> BTreeSet<String> {
    let code: String =
        source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = code.get(at + "crate::".len()..).unwrap();
        let Some(inside) = rest.strip_prefix('{') else {
            rooms.insert(word(rest));
            continue;
        };
        let mut depth = 1;
        let mut start = true;
        for (at, c) in inside.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => start = true,
                c if depth == 1 && start && c.is_alphabetic() => {
                    rooms.insert(word(inside.get(at..).unwrap()));
                    start = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    rooms
}

#[test]
fn no_room_uses_another_that_the_map_does_not_allow() {
    let allowed = allowed();
    assert!(allowed.len() >= 8, "the map is a table: {allowed:?}");
    let mut wrong = Vec::new();
    for file in files_under("src", ".rs") {
        let inside = file.strip_prefix(root().join("src")).unwrap();
        let room = inside.components().next().unwrap().as_os_str().to_string_lossy().replace(".rs", "");
        if room == "lib" || room == "main" {
            continue;
        }
        let uses = allowed.get(&room).unwrap_or_else(|| panic!("{room} is not on the map in lib.rs"));
        for other in named(&fs::read_to_string(&file).unwrap()) {
            if other != room && !uses.contains(&other) {
                wrong.push(format!("{}: `crate::{other}`", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "edges that the map does not have:\n{}", wrong.join("\n"));
}

#[test]
fn the_wall_sees_through_braces_and_comments() {
    let source = "use crate::{access::{A, b}, ledger, chat::card}; // crate::web\nfn f() { crate::engine::x() }";
    let rooms: Vec<String> = named(source).into_iter().collect();
    assert_eq!(rooms, ["access", "chat", "engine", "ledger"]);
}

#[test]
fn files_are_short_and_nothing_is_left_open() {
    let mut wrong = Vec::new();
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["#[ig", "nore"].concat(), ["#[al", "low("].concat()];
    for dir in ["src", "tests", "benches"] {
        for file in files_under(dir, ".rs") {
            let text = fs::read_to_string(&file).unwrap();
            let lines = text.lines().count();
            if lines > LINES_MAX {
                wrong.push(format!("{}: {lines} lines", file.display()));
            }
            for mark in marks.iter().filter(|mark| text.contains(*mark)) {
                wrong.push(format!("{}: {mark}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
