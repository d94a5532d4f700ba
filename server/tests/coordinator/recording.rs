//! Recordings: why one is refused, where a replay differs, and how one ends. That a replay leads to the same effects is
//! checked in every test: the stage replays the recording of each coordinator that stops.

use std::path::{Path, PathBuf};

use p2c2r_protocol::wire;
use p2c2r_server::config::NANOS_PER_MEGA_UNIT;
use p2c2r_server::recording::{RecordingError, Replayed, replay};
use p2c2r_tasks::KindRegistry;

use crate::stage::Stage;
use crate::toy;

/// A run in which a worker has answered two tasks; the recording is in the stage's folder.
fn recorded() -> (Stage, PathBuf) {
    let mut stage = Stage::new();
    let gamer = stage.gamer("linus");
    stage.worker("ada", 1);
    for number in 1..=2 {
        stage.ask(gamer, number);
        let (worker, assigned) = stage.assignment();
        stage.answer_rightly(worker, &assigned);
    }
    let recording = stage.stop().to_owned();
    (stage, recording)
}

fn changed(recording: &Path, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let mut bytes = std::fs::read(recording).unwrap();
    change(&mut bytes);
    let path = recording.with_extension("changed");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn events(replayed: &Replayed) -> u64 {
    match replayed {
        Replayed::Same { events, .. } => *events,
        Replayed::Differs { .. } => panic!("{replayed}"),
    }
}

#[test]
fn another_price_is_found_in_the_first_message_that_names_it() {
    let (_stage, recording) = recorded();
    let dearer = changed(&recording, |bytes| {
        let price = wire::encode(&NANOS_PER_MEGA_UNIT);
        let place = bytes.windows(price.len()).position(|window| window == price).expect("the price list");
        bytes[place..place + price.len()].copy_from_slice(&wire::encode(&(NANOS_PER_MEGA_UNIT + 1)));
    });
    let replayed = replay(&dearer, &toy::kinds()).unwrap();
    let Replayed::Differs { event, what, instead, .. } = &replayed else { panic!("{replayed}") };
    assert!(*event == 1 && what.starts_with("GamerJoined"), "{replayed}");
    let price = (NANOS_PER_MEGA_UNIT + 1).to_string();
    assert!(instead.as_ref().is_some_and(|instead| instead.contains(&price)), "{replayed}");
}

#[test]
fn a_recording_that_breaks_off_is_replayed_as_far_as_it_goes() {
    let (_stage, recording) = recorded();
    let whole = events(&replay(&recording, &toy::kinds()).unwrap());
    let cut = changed(&recording, |bytes| bytes.truncate(bytes.len() - 3));
    assert_eq!(events(&replay(&cut, &toy::kinds()).unwrap()), whole - 1);
}

#[test]
fn what_is_no_recording_or_is_of_another_build_is_refused() {
    let (_stage, recording) = recorded();
    let refused = |path: &Path, kinds: &KindRegistry| replay(path, kinds).unwrap_err();
    let other = refused(&recording, &KindRegistry::builtin());
    assert!(matches!(other, RecordingError::OtherBuild { .. }), "{other}");
    for change in [
        (|bytes| bytes.truncate(20)) as fn(&mut Vec<u8>),
        |bytes| bytes[0] ^= 1,
        |bytes| bytes[40..44].copy_from_slice(&[255; 4]),
    ] {
        let error = refused(&changed(&recording, change), &toy::kinds());
        assert!(matches!(error, RecordingError::NotARecording { .. }), "{error}");
    }
    let missing = refused(Path::new("nowhere/at-all"), &toy::kinds());
    assert!(missing.to_string().contains("nowhere"), "{missing}");
}

#[cfg(unix)]
#[test]
fn a_recording_is_its_owners_and_overwrites_nothing() {
    use std::os::unix::fs::PermissionsExt;

    use p2c2r_link::{MemoryHub, ServerTransport};
    use p2c2r_server::{ServerConfig, build_app};

    let (stage, recording) = recorded();
    let mode = std::fs::metadata(&recording).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let config = ServerConfig {
        db: stage.folder.path().join("other.db"),
        record: Some(recording),
        ..ServerConfig::default()
    };
    let Err(error) = build_app(config, ServerTransport::Memory(MemoryHub::new())) else {
        panic!("the file is there already")
    };
    assert!(error.to_string().contains("the recording"), "{error}");
}
