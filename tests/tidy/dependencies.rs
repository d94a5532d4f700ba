//! The rules of `deny.toml` about licences, sources and duplicates of dependencies, checked without `cargo deny`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{report, root};

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The values in quotation marks after `key` in the list of `deny.toml` that begins with the line `list`.
fn listed(list: &str, key: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("deny.toml")).expect("a committed deny.toml");
    let lines = text.lines().skip_while(|line| *line != list).skip(1).take_while(|line| *line != "]");
    let entries = lines.map(str::trim).filter(|line| !line.starts_with('#'));
    let entry = |line: &str| Some(line.split_once(key)?.1.split_once('"')?.0.to_owned());
    let listed: BTreeSet<String> = entries.filter_map(entry).collect();
    assert!(!listed.is_empty(), "deny.toml has no `{list}`");
    listed
}

/// Every package of `Cargo.lock`: its name, and the source of each of its versions.
fn locked() -> BTreeMap<String, Vec<Option<String>>> {
    let text = fs::read_to_string(root().join("Cargo.lock")).expect("a committed Cargo.lock");
    let mut packages = BTreeMap::<_, Vec<_>>::new();
    for package in text.split("[[package]]").skip(1) {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
            line.map(|value| value.trim_end_matches('"').to_owned())
        };
        packages.entry(field("name").expect("a name")).or_default().push(field("source"));
    }
    packages
}

#[test]
fn every_dependency_comes_from_the_registry_and_none_is_a_denied_one() {
    let denied = listed("deny = [", "crate = \"");
    let mut faults = Vec::new();
    for (name, sources) in locked() {
        // `bevy_ecs`, of which only some versions are denied, has a test of its own.
        if denied.contains(&name) {
            faults.push(format!("{name} is denied"));
        }
        let strange = sources.into_iter().flatten().filter(|source| source != REGISTRY);
        faults.extend(strange.map(|source| format!("{name} comes from {source}")));
    }
    report(faults, "what deny.toml says of sources");
}

#[test]
fn what_comes_in_two_versions_is_listed_with_its_reason_and_nothing_else() {
    let twice = locked().into_iter().filter(|(_, sources)| sources.len() > 1).map(|(name, _)| name);
    let (twice, listed) = (twice.collect::<BTreeSet<_>>(), listed("skip = [", "crate = \""));
    let unlisted = twice.difference(&listed).map(|name| format!("{name} comes twice"));
    let faults = unlisted.chain(listed.difference(&twice).map(|name| format!("{name} comes once")));
    report(faults.collect(), "deny.toml's list of what comes twice");
}

/// The parts of a licence expression between these words, outside of parentheses.
fn parts<'e>(expression: &'e str, word: &str) -> Vec<&'e str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, letter) in expression.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && at >= start && expression[at..].starts_with(word) => {
                parts.push(&expression[start..at]);
                start = at + word.len();
            }
            _ => {}
        }
    }
    parts.push(&expression[start..]);
    parts
}

/// Whether the allowed licences satisfy an expression (SPDX; a slash is an older "or").
fn suffices(allowed: &BTreeSet<String>, expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let (any, all) = (parts(&expression, " OR "), parts(&expression, " AND "));
    if any.len() > 1 {
        return any.iter().any(|part| suffices(allowed, part));
    }
    if all.len() > 1 {
        return all.iter().all(|part| suffices(allowed, part));
    }
    let alone = expression.trim();
    match alone.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => suffices(allowed, inner),
        None => allowed.contains(alone),
    }
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let allowed = listed("allow = [", "\"");
    for (expression, is_enough) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("MIT AND GPL-3.0-only", false),
        ("GPL-3.0-only/MIT", true),
        ("(GPL-3.0-only OR MIT) AND Zlib", true),
        ("(GPL-3.0-only AND MIT) OR GPL-2.0-only", false),
        ("Apache-2.0 WITH LLVM-exception", true),
    ] {
        assert_eq!(suffices(&allowed, expression), is_enough, "{expression}");
    }
    let said = |command: &mut Command| {
        let output = command.current_dir(root()).output().expect("a program of the toolchain");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    // Packages of other systems need not be here.
    let compiler = said(Command::new("rustc").arg("-vV"));
    let host = compiler.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let arguments = ["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", host];
    let metadata: Value =
        serde_json::from_str(&said(Command::new(env!("CARGO")).args(arguments))).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let mut faults = Vec::new();
    for package in packages.iter().filter(|package| !package["source"].is_null()) {
        let licence = package["license"].as_str().unwrap_or("none");
        if !suffices(&allowed, licence) {
            faults.push(format!("{}: {licence}", package["name"]));
        }
    }
    assert!(packages.len() > 100, "{} packages", packages.len());
    report(faults, "what deny.toml says of licences");
}
