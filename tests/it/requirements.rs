//! `tests/requirements.md` names every requirement once, and tests that exist.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const TABLE: &str = include_str!("../requirements.md");

/// How many there are under each letter.
const REQUIREMENTS: [(char, usize); 9] = [
    ('A', 13),
    ('B', 10),
    ('C', 9),
    ('D', 16),
    ('E', 12),
    ('F', 10),
    ('G', 14),
    ('H', 8),
    ('I', 8),
];

/// What a test may wait for.
const WAITS: &str = "waits for ";

/// The rows: what a requirement is called, and what shows it.
fn rows() -> BTreeMap<&'static str, &'static str> {
    let mut rows = BTreeMap::new();
    for line in TABLE.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let &[id, what, shown_by] = &cells[..] else {
            continue;
        };
        if id.starts_with(|letter: char| letter.is_ascii_uppercase()) {
            assert!(!what.is_empty(), "{id}");
            assert_eq!(rows.insert(id, shown_by), None, "{id} stands twice");
        }
    }
    rows
}

/// All tests of this program, by their paths.
fn tests() -> Vec<String> {
    let this = std::env::current_exe().unwrap();
    let listed = Command::new(this).arg("--list").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let tests = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"));
    tests.map(str::to_owned).collect()
}

/// Whether there is a test of this name below a module: for some it is made for each store, topology or proxy.
fn is_one_of(tests: &[String], path: &str) -> bool {
    let (module, name) = path.rsplit_once("::").unwrap_or(("", path));
    tests.iter().any(|test| {
        test.strip_prefix(module)
            .is_some_and(|rest| rest.starts_with("::") && rest.ends_with(&format!("::{name}")))
    })
}

/// Whether a module in `src` has unit tests.
fn has_unit_tests(path: &str) -> bool {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (module, is_file) = match path.strip_suffix("::tests") {
        Some(module) => (module, false),
        None => (path, true),
    };
    let at = src.join(module.replace("::", "/"));
    let files = [at.with_extension("rs"), at.join("mod.rs")];
    let texts = files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok());
    let mark = if is_file { "test" } else { "mod tests" };
    texts.into_iter().any(|text| text.contains(mark))
}

#[test]
fn every_requirement_has_a_test_that_exists() {
    let (mut rows, tests) = (rows(), tests());
    for (letter, count) in REQUIREMENTS {
        for number in 1..=count {
            let id = format!("{letter}{number}");
            let shown_by = rows.remove(&*id).unwrap_or_else(|| panic!("no {id}"));
            if let Some(part) = shown_by.strip_prefix(WAITS) {
                assert!(!part.is_empty(), "{id}");
                continue;
            }
            for test in shown_by.split(", ") {
                let test = test.trim_matches('`');
                let exists = match test.strip_prefix("crate::") {
                    Some(module) => has_unit_tests(module),
                    None => is_one_of(&tests, test),
                };
                assert!(exists, "{id}: {test} is no test");
            }
        }
    }
    assert!(rows.is_empty(), "unknown: {rows:?}");
}
