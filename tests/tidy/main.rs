//! Habits that a compiler does not check, checked over the source tree.

mod dependencies;
mod names;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new("..").canonicalize().expect("tests/ lies in the workspace")
}

/// All files below `folder` with one of `extensions`, relative to the root; build output and hidden folders
/// are left out.
fn files(folder: &str, extensions: &[&str]) -> Vec<(String, String)> {
    fn walk(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
        let mut entries: Vec<_> = fs::read_dir(folder)
            .expect("a readable folder")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        entries.sort();
        for path in entries {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    walk(&path, extensions, found);
                }
            } else if extensions.contains(&path.extension().unwrap_or_default().to_string_lossy().as_ref()) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), extensions, &mut found);
    assert!(!found.is_empty(), "no {extensions:?} files below {folder}");
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("UTF-8 text");
            let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
            (name, text)
        })
        .collect()
}

const CRATES: [&str; 13] = [
    "shared/aead",
    "shared/protocol",
    "shared/tasks",
    "shared/arena",
    "shared/link",
    "shared/join",
    "shared/offload",
    "shared/program",
    "shared/doctor",
    "server",
    "worker",
    "game",
    "tests",
];

fn sources() -> Vec<(String, String)> {
    CRATES.iter().flat_map(|folder| files(folder, &["rs"])).collect()
}

fn report(faults: Vec<String>, rule: &str) {
    assert!(faults.is_empty(), "{rule}:\n  {}", faults.join("\n  "));
}

#[test]
fn every_file_says_why_it_exists() {
    let faults =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(name, _)| name).collect();
    report(faults, "files that do not open with a `//!` sentence");
}

#[test]
fn nothing_unfinished_is_left() {
    // Spelled in halves so that this file does not find itself.
    let marks = [["dbg", "!("], ["to", "do!("], ["unimpl", "emented!("], ["FIX", "ME"], ["XX", "X"]];
    let mut faults = Vec::new();
    for (name, text) in sources() {
        for mark in &marks {
            let mark = mark.concat();
            faults.extend(
                text.lines()
                    .enumerate()
                    .filter(|(_, line)| line.contains(&mark))
                    .map(|(number, _)| format!("{name}:{}: {mark}", number + 1)),
            );
        }
    }
    report(faults, "unfinished marks");
}

/// Tokens, handshakes and heartbeats are dated by running time: a wall clock that steps, or another machine's that is off,
/// keeps nobody out.
#[test]
fn the_link_never_reads_the_wall_clock() {
    let faults = sources()
        .into_iter()
        .filter(|(name, text)| name.contains("shared/link/src") && text.contains("SystemTime"))
        .map(|(name, _)| name)
        .collect();
    let is_looked_at = sources().iter().any(|(name, _)| name.contains("shared/link/src"));
    assert!(is_looked_at, "the test finds the link's sources");
    report(faults, "files of the link that read the wall clock");
}

#[test]
fn the_scheduler_knows_nothing_of_the_world() {
    let worldly =
        ["bevy", "p2c2r_link", "Instant", "SystemTime", "std::thread", "std::fs", "std::net", "from_os_rng"];
    let faults = files("server/src/core", &["rs"])
        .iter()
        .flat_map(|(name, text)| {
            worldly
                .iter()
                .filter(|word| text.contains(**word))
                .map(move |word| format!("{name} names `{word}`"))
        })
        .collect();
    report(faults, "a state machine that is told everything: see docs/DESIGN.md, section 8");
}

/// The macro names the clone that a test was built in, and Cargo does not rebuild for another clone that shares the build
/// cache. Tests use paths relative to their package's folder, in which Cargo runs them.
#[test]
fn no_test_reads_files_where_it_was_built() {
    let wanted = ["env!(\"CARGO_MANI", "FEST_DIR\")"].concat();
    let faults =
        sources().into_iter().filter(|(_, text)| text.contains(&wanted)).map(|(name, _)| name).collect();
    report(faults, "files that keep a path of the folder they were built in");
}

#[test]
fn no_file_knows_one_machine() {
    let mut faults = Vec::new();
    let all = ["rs", "toml", "md", "sql", "ron", "yml"];
    for (name, text) in files(".", &all) {
        for home in [["/ho", "me/"], ["/ro", "ot/"], ["/wo", "rk/"], ["C:\\Us", "ers\\"]] {
            let home = home.concat();
            faults.extend(
                text.lines()
                    .enumerate()
                    .filter(|(_, line)| line.contains(&home))
                    .map(|(number, _)| format!("{name}:{}: {home}", number + 1)),
            );
        }
    }
    report(faults, "paths of one machine");
}

#[test]
fn files_stay_readable() {
    let faults = sources()
        .into_iter()
        .filter(|(_, text)| text.lines().count() > 600)
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();
    report(faults, "files over 600 lines");
}

/// Whether documentation has an example that `cargo test` would run: a fenced block without a word, or with one of Rust's.
fn has_documentation_tests(text: &str) -> bool {
    let fences = text.lines().filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("//!").or(line.strip_prefix("///"))?.trim().strip_prefix("```")
    });
    // Every second fence closes a block.
    fences.step_by(2).any(|word| !["text", "toml", "sh", "ignore"].contains(&word))
}

#[test]
fn nothing_is_left_out_where_tests_are_switched_off() {
    assert!(has_documentation_tests("/// ```\n/// f();\n/// ```\n"));
    assert!(has_documentation_tests("//! ```text\n//! ```\n//! ```no_run\n//! ```\n"));
    assert!(!has_documentation_tests("//! ```text\n//! f\n//! ```\n"));
    let mut faults = Vec::new();
    for folder in CRATES {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("a manifest");
        let switched_off = |section: &str, line: &str| {
            manifest.split("\n[").any(|table| table.starts_with(section) && table.contains(line))
        };
        let sources = files(&format!("{folder}/src"), &["rs"]);
        if switched_off("lib]", "\ndoctest = false") {
            let with = sources.iter().filter(|(_, text)| has_documentation_tests(text));
            faults.extend(with.map(|(name, _)| format!("{name} has examples that are not run")));
        }
        if switched_off("[bin]]", "\ntest = false") {
            let is_program = |name: &str| name.ends_with("/main.rs") || name.contains("/bin/");
            let with = sources.iter().filter(|(name, text)| is_program(name) && text.contains("#[test]"));
            faults.extend(with.map(|(name, _)| format!("{name} has tests that are not run")));
        }
    }
    report(faults, "tests that nobody runs");
}

/// The names of a crate's dependencies, on all systems; not those of its tests.
fn dependencies(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest).join("Cargo.toml")).expect("a manifest");
    let mut names = Vec::new();
    let mut is_in_table = false;
    for line in text.lines() {
        if let Some(table) = line.strip_prefix('[') {
            is_in_table = table == "dependencies]" || table.ends_with(")'.dependencies]");
        } else if is_in_table && !line.starts_with('#') {
            names.extend(
                line.split(['.', ' ', '=']).next().filter(|name| !name.is_empty()).map(str::to_owned),
            );
        }
    }
    assert!(!names.is_empty(), "{manifest} has no dependencies");
    names
}

#[test]
fn every_crate_stays_in_its_layer() {
    let mut faults = Vec::new();
    for pure in ["shared/protocol", "shared/tasks", "shared/arena", "shared/program"] {
        faults.extend(
            dependencies(pure)
                .into_iter()
                .filter(|name| name.starts_with("bevy") || name.contains("renet"))
                .map(|name| format!("{pure} depends on {name}")),
        );
    }
    for headless in ["server", "worker", "shared/link", "shared/offload"] {
        faults.extend(
            dependencies(headless)
                .into_iter()
                .filter(|name| name == "bevy" || name == "p2c2r_game")
                .map(|name| format!("{headless} depends on {name}")),
        );
    }
    for crate_folder in CRATES.iter().filter(|folder| **folder != "shared/link") {
        faults.extend(
            dependencies(crate_folder)
                .into_iter()
                .filter(|name| name.contains("renet"))
                .map(|name| format!("{crate_folder} depends on {name}; only the link names renet")),
        );
    }
    if dependencies("server").contains(&"p2c2r_worker".to_owned()) {
        faults.push("server depends on p2c2r_worker".into());
    }
    report(faults, "layer rules");
}

/// `println!` panics where a pipe's reader has gone, and so does code that unwraps a write to `stdout()`.
#[test]
fn only_one_file_writes_to_the_terminal() {
    const OUTPUT: &str = "shared/program/src/output.rs";
    let ways = ["println!(", "print!(", "stdout()", "stderr()", "io::stdout", "io::stderr"];
    // Tests say why they skip something.
    let program = |text: &str| text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
    let writes = |text: &str| {
        program(text)
            .lines()
            .any(|line| !line.trim_start().starts_with("//") && ways.iter().any(|way| line.contains(way)))
    };
    let (output, others): (Vec<_>, Vec<_>) = sources()
        .into_iter()
        .filter(|(name, _)| name.contains("/src/") && !name.starts_with("tests/"))
        .partition(|(name, _)| name == OUTPUT);
    assert!(output.iter().any(|(_, text)| writes(text)), "{OUTPUT} is where it is done");
    let faults = others.into_iter().filter(|(_, text)| writes(text)).map(|(name, _)| name).collect();
    report(faults, "files that write past `p2c2r_program::Output`");
}

#[test]
fn one_bevy_ecs_is_in_the_tree() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("a committed Cargo.lock");
    assert_eq!(lock.matches("name = \"bevy_ecs\"\n").count(), 1);
}

/// Cargo skips a patch whose version no dependency asks for, with a mere warning; programs would then use a slower cipher.
#[test]
fn the_cipher_is_the_fast_one() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("a committed Cargo.lock");
    let ciphers: Vec<_> =
        lock.split("\n\n").filter(|package| package.contains("name = \"chacha20poly1305\"\n")).collect();
    assert_eq!(ciphers.len(), 1, "one crate of the name: {ciphers:?}");
    assert!(ciphers[0].starts_with("[[package]]\n"), "the patch is used: {ciphers:?}");
    assert!(!ciphers[0].contains("source = "), "it is ours, not the registry's: {ciphers:?}");
}

#[test]
fn the_map_names_only_paths_that_exist() {
    let mut faults = Vec::new();
    for document in ["docs/ARCHITECTURE.md", "docs/TROUBLESHOOTING.md", "CONTRIBUTING.md", "README.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap_or_default();
        if text.is_empty() {
            faults.push(format!("{document} is missing"));
        }
        for word in text.split('`').skip(1).step_by(2) {
            let is_path = word.contains('/')
                && !word.contains([' ', '*', '<', '$', ':', '{', '~', '('])
                && CRATES.iter().any(|folder| word.starts_with(folder.split('/').next().unwrap_or(folder)));
            if is_path && !root().join(word).exists() {
                faults.push(format!("{document}: {word}"));
            }
        }
    }
    report(faults, "paths that do not exist");
}

/// A page that a package installs leads only to pages that the package installs beside it.
#[test]
fn pages_in_a_package_lead_to_pages_in_the_same_package() {
    let script = fs::read_to_string(root().join("deploy/package.sh")).expect("the script");
    let lists: Vec<Vec<&str>> = script
        .lines()
        .filter_map(|line| line.strip_prefix("texts "))
        .map(|names| names.split_whitespace().collect())
        .collect();
    assert_eq!(lists.len(), 3, "operator's, helper's and player's");
    let mut faults = Vec::new();
    for list in &lists {
        for name in list {
            let text = fs::read_to_string(root().join(format!("docs/{name}.md"))).expect("a page");
            let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
            for page in targets.filter_map(|target| target.strip_suffix(".md")) {
                if !list.contains(&page) {
                    faults.push(format!("{name}.md leads to {page}.md, which is not in {list:?}"));
                }
            }
        }
    }
    report(faults, "pages that a package leaves out: `texts` in deploy/package.sh");
}
