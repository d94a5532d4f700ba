//! The fuzz targets on stable: every kept input, and thousands of mutations of each.

use std::fs;
use std::path::{Path, PathBuf};

use p2c2r_protocol::{Beat, BeatEcho, Micros, identity, wire};
use p2c2r_tasks::{KindRegistry, Stop, lightfield, path, physics, reflection, tactics};
use p2c2r_tests::fuzzing::{self, PROGRAMS, TARGETS};
use p2c2r_tests::puzzles::Puzzling;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;

/// Bytes that all kept inputs together may take.
const CORPUS_BYTES_MAX: u64 = 200 * 1024;
/// Mutations of each input.
const MUTATIONS: u32 = 200;
/// The same where an input is a script for a whole program.
const MUTATIONS_OF_SCRIPTS: u32 = 12;

fn folder() -> PathBuf {
    PathBuf::from("../fuzz/corpus")
}

fn kept(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder().join(target)).expect("a folder of inputs for every target");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), fs::read(path).expect("an input"))).collect()
}

/// Changes, cuts, repeats or inserts a few bytes.
fn mutate(random: &mut Pcg32, input: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=input.len());
        match random.random_range(0..5) {
            0 => input.truncate(at),
            1 => input.insert(at, random.random()),
            2 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
            3 if at < input.len() => {
                input[at] = [0, 1, 0x7F, 0x80, 0xFB, 0xFC, 0xFD, 0xFF][random.random_range(0..8)];
            }
            _ => {
                let end = (at + random.random_range(1..40)).min(input.len());
                let copy = input[at..end].to_vec();
                input.splice(at..at, copy);
            }
        }
    }
}

#[test]
fn every_target_takes_its_kept_inputs_and_mutations_of_them() {
    for (target, run) in TARGETS {
        let kept = kept(target);
        assert!(!kept.is_empty(), "{target} has no inputs");
        let mut random = Pcg32::seed_from_u64(11);
        for (name, input) in &kept {
            let is_honest = run(input);
            assert!(is_honest || !name.starts_with("seed"), "{target} refuses {name}: see `plant_the_seeds`");
            for _ in 0..if PROGRAMS.contains(target) { MUTATIONS_OF_SCRIPTS } else { MUTATIONS } {
                let mut mutated = input.clone();
                mutate(&mut random, &mut mutated);
                run(&mutated);
            }
        }
    }
}

#[test]
fn every_kind_and_every_folder_has_its_target_and_the_inputs_stay_few() {
    for kind in KindRegistry::builtin().iter() {
        let name = format!("{}_task", kind.name());
        assert!(TARGETS.iter().any(|(target, _)| *target == name), "no fuzz target for {}", kind.name());
    }
    let fuzz = folder().parent().expect("fuzz").to_owned();
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).expect("the manifest of the targets");
    for (name, _) in TARGETS {
        let path = format!("fuzz_targets/{name}.rs");
        let target = fs::read_to_string(fuzz.join(&path)).expect("a file for every target");
        assert!(target.contains(&format!("run(\"{name}\"")), "{path} runs another target");
        assert!(
            manifest.contains(&format!("name = \"{name}\"\npath = \"{path}\"")),
            "cargo fuzz has no {name}"
        );
    }
    let mut bytes = 0;
    for entry in fs::read_dir(folder()).expect("the folder of inputs") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a plain name");
        assert!(TARGETS.iter().any(|(target, _)| *target == name), "inputs for no target: {name}");
        for input in fs::read_dir(entry.path()).expect("a folder") {
            bytes += input.expect("an input").metadata().expect("its size").len();
        }
    }
    assert!(bytes <= CORPUS_BYTES_MAX, "{bytes} bytes of inputs");
}

/// One input of a task's target: see `fuzzing::read_task`.
fn write_task(spec: &[u8], blob: &[u8], outcome: &[u8]) -> Vec<u8> {
    let mut input = (spec.len() as u16).to_le_bytes().to_vec();
    input.extend_from_slice(&(blob.len() as u16).to_le_bytes());
    for part in [spec, blob, outcome] {
        input.extend_from_slice(part);
    }
    input
}

fn task<K: Puzzling>() -> Vec<Vec<u8>> {
    let of_seed = |seed| {
        let (spec, blobs) = K::small_task(seed);
        let outcome = K::run(&spec, &blobs, &Stop::never()).expect("a puzzle can be solved");
        let blob = blobs.iter().next().map(|blob| blob.bytes().to_vec()).unwrap_or_default();
        write_task(&K::encode_spec(&spec), &blob, &K::encode_outcome(&outcome))
    };
    vec![of_seed(1), of_seed(2)]
}

fn encoded<M: wire::Encode>(messages: Vec<M>) -> Vec<Vec<u8>> {
    messages.iter().map(wire::encode).collect()
}

/// What honest programs send: where fuzzing begins.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let echo = BeatEcho { sent_at: Micros(70_000), received_at: Micros(90_000) };
    let beat = |echo| Beat { sequence: 300, sent_at: Micros(1_000_000), busy: true, echo };
    match target {
        "beat" => encoded(vec![beat(None), beat(Some(echo))]),
        "game_to_server" => encoded(identity::samples_of_game_to_server()),
        "server_to_game" => encoded(identity::samples_of_server_to_game()),
        "server_to_worker" => encoded(identity::samples_of_server_to_worker()),
        "worker_to_server" => encoded(identity::samples_of_worker_to_server()),
        "path_task" => task::<path::Path>(),
        "physics_task" => task::<physics::Physics>(),
        "reflection_task" => task::<reflection::Reflection>(),
        "lightfield_task" => task::<lightfield::Lightfield>(),
        "tactics_task" => task::<tactics::Tactics>(),
        other => fuzzing::seeds(other),
    }
}

/// Run with `--ignored` when messages or kinds change: the old inputs would be refused at their first byte.
#[test]
#[ignore = "writes into the source tree"]
fn plant_the_seeds() {
    for (target, run) in TARGETS {
        let folder = folder().join(target);
        fs::create_dir_all(&folder).expect("a folder for the inputs");
        for (number, seed) in seeds(target).iter().enumerate() {
            assert!(run(seed), "{target} refuses seed {number}");
            fs::write(folder.join(format!("seed-{number}")), seed).expect("a written input");
        }
    }
}
