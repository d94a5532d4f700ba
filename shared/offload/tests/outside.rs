//! The plugin in a foreign workspace, which resolves every dependency anew: it has neither this workspace's
//! lock file nor its profiles or patches. Its manifest and its programs are those of README and `docs/developer.md`.
//!
//! Each test writes such a workspace and asks the registry for what it needs. Those that build it take
//! minutes and run only on request: `cargo test -p p2c2r_offload --test outside -- --ignored`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Crates whose types the plugin and our crates below it pass to one another or to a game: two versions of one would not
/// fit together.
const SHARED: [&str; 14] = [
    "bevy_app",
    "bevy_diagnostic",
    "bevy_ecs",
    "bevy_renet",
    "bevy_time",
    "bincode",
    "glamx",
    "nalgebra",
    "octets",
    "parry3d",
    "rapier3d",
    "renet",
    "renetcode",
    "serde_core",
];

/// The document for developers who embed the plugin.
const DEVELOPERS: &str = "docs/developer.md";

/// A workspace of its own with one program that embeds the plugin.
struct Outside {
    folder: PathBuf,
    target: PathBuf,
}

impl Outside {
    fn new(name: &str) -> Self {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside");
        let folder = all.join(name);
        // An earlier run's lock file must not decide what this run resolves.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("src")).expect("the target folder can be written");
        let dependencies = block(DEVELOPERS, "toml").replace("../p2c2r", root().to_str().expect("plain"));
        let package =
            "[package]\nname = \"outside\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n";
        fs::write(folder.join("Cargo.toml"), format!("{package}{dependencies}")).expect("it can be written");
        let outside = Self { folder, target: all.join("target") };
        outside.write("fn main() {}");
        outside.cargo(&["generate-lockfile"]);
        outside
    }

    /// Replaces the program.
    fn write(&self, program: &str) {
        fs::write(self.folder.join("src/main.rs"), program).expect("the target folder can be written");
    }

    /// Runs cargo in the workspace and returns what it prints; it must succeed.
    fn cargo(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO"))
            .args(arguments)
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &self.target)
            .output()
            .expect("cargo starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo {} fails:\n{said}", arguments.join(" "));
        String::from_utf8(output.stdout).expect("what is printed is UTF-8")
    }

    /// Every package that was resolved, as `cargo metadata` lists them.
    fn packages(&self) -> Vec<Value> {
        let output = self.cargo(&["metadata", "--format-version", "1"]);
        let metadata: Value = serde_json::from_str(&output).expect("metadata is JSON");
        metadata["packages"].as_array().expect("metadata lists packages").clone()
    }

    fn versions(&self) -> BTreeMap<String, Vec<String>> {
        let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for package in self.packages() {
            versions.entry(text(&package, "name")).or_default().push(text(&package, "version"));
        }
        versions
    }

    /// Sets every dependency of our crates to the lowest version that its requirement admits.
    fn lower(&self) {
        let lowest: BTreeMap<String, String> = self
            .packages()
            .iter()
            .filter(|package| is_ours(package))
            .flat_map(|package| package["dependencies"].as_array().expect("a list").clone())
            .filter(|dependency| dependency["kind"].is_null() && dependency["source"].is_string())
            .map(|dependency| (text(&dependency, "name"), lowest(&text(&dependency, "req"))))
            .collect();
        assert!(lowest.len() > 10, "our crates need more than {lowest:?}");
        for (name, lowest) in lowest {
            let resolved = self.versions();
            let fits = |version: &&String| line(version) == line(&lowest);
            // Optional dependencies that are not enabled are absent.
            let Some(version) = resolved.get(&name).and_then(|all| all.iter().find(fits)) else { continue };
            if *version != lowest {
                self.cargo(&["update", "--package", &format!("{name}@{version}"), "--precise", &lowest]);
            }
        }
    }

    /// Builds and runs the programs of the documents.
    fn run_all(&self) {
        for (program, first) in
            [(readmes_program(), "mode: local"), (block(DEVELOPERS, "rust"), "1 way by local")]
        {
            self.write(&program);
            let said = self.cargo(&["run"]);
            assert!(said.starts_with(first), "{said}");
        }
    }
}

/// Whether the package lies in this workspace: the foreign one resolves only those that a game with the plugin needs.
fn is_ours(package: &Value) -> bool {
    Path::new(&text(package, "manifest_path")).starts_with(root().join("shared"))
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}

/// The lowest version that a requirement such as `^1.8` admits.
fn lowest(requirement: &str) -> String {
    let version = requirement.trim_start_matches(['^', '=']);
    let is_plain = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    assert!(is_plain, "{requirement} does not name the lowest version that it admits");
    format!("{version}{}", ".0".repeat(2 - version.matches('.').count()))
}

/// The part that compatible versions have in common: `1` of `1.8.2`, `0.33` of `0.33.12`.
fn line(version: &str) -> String {
    let parts: Vec<&str> = version.split('.').collect();
    if parts[0] == "0" { parts[..2].join(".") } else { parts[0].to_owned() }
}

fn root() -> PathBuf {
    Path::new("../..").canonicalize().expect("the crate is in shared/")
}

/// The first block of code in this language that a document has.
fn block(document: &str, language: &str) -> String {
    let text = fs::read_to_string(root().join(document)).expect("the document is there");
    let block = text.split(&format!("```{language}\n")).nth(1).and_then(|rest| rest.split("```").next());
    block.unwrap_or_else(|| panic!("{document} has a block of {language}")).to_owned()
}

/// The README's snippet as a whole program, which updates its app a few times and prints its mode.
fn readmes_program() -> String {
    let snippet = block("README.md", "rust");
    assert!(snippet.contains("\nApp::new()\n"), "the snippet builds an app");
    let body = snippet.replace("\nApp::new()\n", "\nlet mut app = App::new(); app\n");
    format!(
        "fn main() -> Result<(), Box<dyn std::error::Error>> {{\n{body}\n\
         for _ in 0..3 {{ app.update(); }}\n\
         println!(\"mode: {{}}\", app.world().resource::<OffloadState>().mode);\nOk(())\n}}\n"
    )
}

#[test]
fn resolved_afresh_the_crates_whose_types_meet_are_there_once() {
    let versions = Outside::new("resolved").versions();
    for name in SHARED {
        assert_eq!(versions.get(name).map(Vec::len), Some(1), "{name}: {:?}", versions.get(name));
    }
}

#[test]
fn the_crates_of_ours_that_a_game_builds_are_those_of_the_plugins_dependencies() {
    let packages = Outside::new("ours").packages();
    let ours: BTreeSet<String> =
        packages.iter().filter(|package| is_ours(package)).map(|package| text(package, "name")).collect();
    let named = |package: &&Value| text(package, "name") == "p2c2r_offload";
    let plugin = packages.iter().find(named).expect("the plugin is resolved");
    let needed = plugin["dependencies"].as_array().expect("a list");
    let needed =
        needed.iter().filter(|dependency| dependency["kind"].is_null() && dependency["source"].is_null());
    for name in needed.map(|dependency| text(dependency, "name")) {
        assert!(ours.contains(&name), "{name} is not among {ours:?}");
    }
    assert!(ours.contains("p2c2r_offload") && !ours.contains("outside"), "{ours:?}");
}

#[test]
#[ignore = "builds the plugin and its dependencies anew, which takes minutes"]
fn the_documents_games_build_and_run_with_the_newest_versions() {
    Outside::new("newest").run_all();
}

#[test]
#[ignore = "builds the plugin and its dependencies anew, which takes minutes"]
fn the_documents_games_build_and_run_with_the_lowest_versions() {
    let outside = Outside::new("lowest");
    outside.lower();
    outside.run_all();
}
