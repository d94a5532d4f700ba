//! Passes the mixed samples to the system, through one of the small programs that play raw samples and come
//! with every desktop.
//!
//! A system library would have to be installed, with its headers, where the game is built; such a program is
//! needed only where it is played. Samples are written only a little ahead of the clock, to keep the delay of
//! sound short.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::mixer::Mixer;
use super::{Order, RATE, Silence};

/// A program's name and arguments.
pub(super) type Player = (&'static str, &'static [&'static str]);

/// Players in order of preference, each with its arguments. PipeWire's comes first, because the others play
/// through it where it runs.
pub(super) const PLAYERS: [Player; 3] = [
    (
        "pw-cat",
        &["--playback", "--raw", "--format=s16", "--rate=44100", "--channels=2", "--latency=40ms", "-"],
    ),
    (
        "pacat",
        &["--playback", "--raw", "--format=s16le", "--rate=44100", "--channels=2", "--latency-msec=40"],
    ),
    ("aplay", &["-q", "-t", "raw", "-f", "S16_LE", "-r", "44100", "-c", "2", "--buffer-time=60000", "-"]),
];
/// How far ahead of the clock samples are written: every sound is late by this much, and a longer stall of
/// this thread is heard as a gap.
const AHEAD: Duration = Duration::from_millis(50);
/// How often samples are written.
const STEP: Duration = Duration::from_millis(10);
/// How long programs are given, and how long after them the list is tried again.
#[derive(Clone, Copy)]
pub(super) struct Waits {
    /// A program that ends sooner than this cannot play here, and the next one is tried.
    trial: Duration,
    /// The first pause before the list is tried again; each one is twice as long as the one before.
    least: Duration,
    /// The longest pause. A program that has played for longer than this starts the pauses anew.
    most: Duration,
}

pub(super) const WAITS: Waits =
    Waits { trial: Duration::from_millis(500), least: Duration::from_secs(1), most: Duration::from_secs(30) };
/// Most frames of one write: after a longer stall the missed samples are skipped.
const FRAMES_MAX: u64 = RATE as u64 / 4;

const _: () = assert!(RATE == 44_100, "the programs are told so above");

/// Plays orders until their sender is gone. While none of `players` plays, that is noted in `silence`, and they are tried
/// again from time to time.
pub(super) fn run(players: &[Player], orders: &Receiver<Order>, silence: &Silence, waits: Waits) {
    let mut mixer = Mixer::new();
    let mut pause = waits.least;
    while let Fed::Refused(played) = try_all(players, &mut mixer, orders, silence, waits.trial) {
        if played > waits.most {
            pause = waits.least;
        }
        if played < waits.trial && !silence.is_noted() {
            tracing::info!("no sound: none of pw-cat, pacat and aplay plays here; they are tried again");
        }
        silence.note();
        if !wait(&mut mixer, orders, pause) {
            return;
        }
        pause = (pause * 2).min(waits.most);
    }
}

/// Plays by the first of the programs that can; returns when it ends, or at once if none can.
fn try_all(
    players: &[Player],
    mixer: &mut Mixer,
    orders: &Receiver<Order>,
    silence: &Silence,
    trial: Duration,
) -> Fed {
    for (name, arguments) in players {
        let mut command = Command::new(name);
        command.args(*arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(player) = command.spawn() else { continue };
        match feed(player, mixer, orders, AHEAD, || silence.lift(), trial) {
            Fed::Enough => return Fed::Enough,
            Fed::Refused(after) if after >= trial => {
                tracing::info!(player = name, "the player has ended; it is tried again");
                return Fed::Refused(after);
            }
            Fed::Refused(_) => tracing::debug!(player = name, "cannot play here"),
        }
    }
    Fed::Refused(Duration::ZERO)
}

/// Lets a pause pass in which nothing plays; false if the sender of orders is gone. Sounds ordered before its end are
/// dropped, since they would all be heard at once after it; volumes are kept.
fn wait(mixer: &mut Mixer, orders: &Receiver<Order>, pause: Duration) -> bool {
    let until = Instant::now() + pause;
    loop {
        match orders.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Order::Play { .. }) => {}
            Ok(order) => mixer.obey(order),
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    mixer.end_sounds();
    true
}

/// Why a program gets no more samples.
enum Fed {
    /// The sender of orders is gone.
    Enough,
    /// It takes no more samples, after this long.
    Refused(Duration),
}

/// Feeds a program until it takes no more samples, or the sender of orders is gone. Calls `plays` once it has taken samples
/// for as long as `trial`.
fn feed(
    mut player: Child,
    mixer: &mut Mixer,
    orders: &Receiver<Order>,
    ahead: Duration,
    plays: impl Fn(),
    trial: Duration,
) -> Fed {
    let Some(mut samples) = player.stdin.take() else { return Fed::Refused(Duration::ZERO) };
    let began = Instant::now();
    let mut written: u64 = 0;
    let fed = loop {
        match orders.recv_timeout(STEP) {
            Ok(order) => mixer.obey(order),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break Fed::Enough,
        }
        for order in orders.try_iter() {
            mixer.obey(order);
        }
        let due = frames_in(began.elapsed() + ahead);
        let frames = due.saturating_sub(written);
        // Samples missed in a stall are skipped.
        written = due;
        if samples.write_all(&mixed(mixer, frames.min(FRAMES_MAX))).is_err() {
            break Fed::Refused(began.elapsed());
        }
        if began.elapsed() >= trial {
            plays();
        }
    };
    drop(samples);
    let _ = player.kill();
    let _ = player.wait();
    fed
}

fn frames_in(time: Duration) -> u64 {
    (time.as_micros() as u64) * u64::from(RATE) / 1_000_000
}

/// `frames` pairs of samples, as two bytes each.
fn mixed(mixer: &mut Mixer, frames: u64) -> Vec<u8> {
    let mut samples = vec![0.0; frames as usize * 2];
    mixer.mix(&mut samples);
    samples.iter().flat_map(|sample| ((sample * f32::from(i16::MAX)) as i16).to_le_bytes()).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::settings::Sound;
    use crate::sound::mixer::Volumes;
    use crate::sound::synth::Cue;

    const LONG: Duration = Duration::from_mins(10);
    const SHORT: Waits =
        Waits { trial: LONG, least: Duration::from_millis(1), most: Duration::from_millis(4) };

    #[test]
    fn a_program_gets_what_is_ordered_as_samples_and_ends_with_the_game() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let taken = file.reopen().unwrap();
        let player = Command::new("cat").stdin(Stdio::piped()).stdout(taken).spawn().unwrap();
        let (sender, orders) = channel();
        let loud = Volumes::of(&Sound { master: 100, music: 0, effects: 100, interface: 100 });
        sender.send(Order::Volumes(loud)).unwrap();
        sender.send(Order::Play { cue: Cue::Explosion, gain: 1.0, pan: 0.0 }).unwrap();
        // Enough to fill the time ahead of the clock; then the sender is dropped.
        let feeding = std::thread::spawn(move || {
            feed(player, &mut Mixer::new(), &orders, Duration::from_secs(1), || {}, LONG)
        });
        while std::fs::metadata(file.path()).unwrap().len() == 0 {
            assert!(!feeding.is_finished());
            std::thread::yield_now();
        }
        drop(sender);
        assert!(matches!(feeding.join().unwrap(), Fed::Enough));
        let bytes = std::fs::read(file.path()).unwrap();
        let loudest =
            bytes.as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair).unsigned_abs()).max();
        assert!(loudest > Some(1_000), "{loudest:?} in {} bytes", bytes.len());
    }

    #[test]
    fn silence_is_noted_while_no_program_plays_and_taken_back_when_one_does() {
        let folder = tempfile::tempdir().unwrap();
        let works = folder.path().join("works").display().to_string();
        // Plays while the file is there.
        let script = format!("while test -e '{works}' && head -c 4096 >/dev/null; do :; done");
        let arguments: &'static [&'static str] = vec!["-c", &*script.leak()].leak();
        let waits = Waits { trial: Duration::from_millis(100), ..SHORT };
        let (sender, orders) = channel();
        let silence = Silence::default();
        let noted = silence.clone();
        let playing = std::thread::spawn(move || {
            run(&[("false", &[]), ("/no/such/player", &[]), ("sh", arguments)], &orders, &noted, waits);
        });
        let until = |is_noted| {
            while silence.is_noted() != is_noted {
                assert!(!playing.is_finished());
                std::thread::yield_now();
            }
        };
        until(true);
        for _ in 0..2 {
            std::fs::write(&works, "").unwrap();
            until(false);
            std::fs::remove_file(&works).unwrap();
            until(true);
        }
        drop(sender);
        playing.join().unwrap();
    }

    #[test]
    fn sounds_ordered_while_nothing_plays_are_not_heard_later_but_volumes_are_kept() {
        let (sender, orders) = channel();
        let mut mixer = Mixer::new();
        let explosion = Order::Play { cue: Cue::Explosion, gain: 1.0, pan: 0.0 };
        mixer.obey(explosion);
        let loud = Volumes::of(&Sound { master: 100, music: 0, effects: 100, interface: 100 });
        for order in [explosion, Order::Volumes(loud), explosion] {
            sender.send(order).unwrap();
        }
        assert!(wait(&mut mixer, &orders, SHORT.least));
        assert!(mixed(&mut mixer, 10_000).iter().all(|byte| *byte == 0));
        mixer.obey(explosion);
        assert!(mixed(&mut mixer, 10_000).iter().any(|byte| *byte != 0));
        drop(sender);
        assert!(!wait(&mut mixer, &orders, LONG), "it ends with the game");
    }

    #[test]
    fn a_program_that_takes_nothing_is_given_up() {
        let mut player = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        // `wait` would close the pipe on this side, and nothing would be written.
        while player.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let (_sender, orders) = channel();
        let fed = feed(player, &mut Mixer::new(), &orders, AHEAD, || panic!("it does not play"), LONG);
        assert!(matches!(fed, Fed::Refused(after) if !after.is_zero()), "it was offered samples");
    }
}
