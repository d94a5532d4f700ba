//! One word for one thing: no two public types of different crates or modules share a name.

use std::collections::BTreeMap;

use super::{report, sources};

/// The name of the type that a line declares for others to see, if it declares one.
fn public_type(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let visibility = words.next()?;
    if visibility != "pub" && !visibility.starts_with("pub(") {
        return None;
    }
    // `pub(in some::path)` has a space in it.
    let keyword = words.find(|word| !word.ends_with(')'))?;
    if !["struct", "enum", "trait", "type", "union"].contains(&keyword) {
        return None;
    }
    // A macro's `$name` is empty here: what it declares has its name where the macro is used.
    words.next()?.split(|letter: char| !letter.is_alphanumeric()).next().filter(|name| !name.is_empty())
}

/// Every public type outside of tests, with the files that declare one of its name.
fn public_types() -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, text) in sources() {
        let is_test = !file.contains("/src/") || file.ends_with("tests.rs") || file.contains("/src/tests/");
        if is_test {
            continue;
        }
        let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for name in shipped.lines().filter_map(public_type) {
            found.entry(name.to_owned()).or_default().push(file.clone());
        }
    }
    found
}

#[test]
fn no_two_public_types_share_a_name() {
    let faults = public_types()
        .iter()
        .filter(|(_, files)| files.len() > 1)
        .map(|(name, files)| format!("{name}: {}", files.join(", ")))
        .collect();
    report(faults, "names that stand for several things; rename one");
}

#[test]
fn declarations_are_recognised() {
    for (line, name) in [
        ("pub struct Lease {", Some("Lease")),
        ("    pub(crate) enum Phase<T> {", Some("Phase")),
        ("pub(in crate::play) struct Due(Vec<u8>);", Some("Due")),
        ("pub(super) type Row = (u8, u8);", Some("Row")),
        ("pub trait Kernel<K: TaskKind>: Send {", Some("Kernel")),
        ("pub fn structure() {", None),
        ("struct Private;", None),
        ("        pub struct $name(pub u64);", None),
        ("/// pub struct Prose", None),
    ] {
        assert_eq!(public_type(line), name, "{line}");
    }
    assert!(public_types().len() > 500, "the sources are read");
}
