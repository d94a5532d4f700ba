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
/// A program that ends sooner than this cannot play here, and the next one is tried.
const TRIAL: Duration = Duration::from_millis(500);
/// Most frames of one write: after a longer stall the missed samples are skipped.
const FRAMES_MAX: u64 = RATE as u64 / 4;

const _: () = assert!(RATE == 44_100, "the programs are told so above");

/// Plays orders until their sender is gone. If none of `players` can play, it notes that in `silence` and ends.
pub(super) fn run(players: &[Player], orders: &Receiver<Order>, silence: &Silence) {
    let mut mixer = Mixer::new();
    for (name, arguments) in players {
        let mut command = Command::new(name);
        command.args(*arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(player) = command.spawn() else { continue };
        match feed(player, &mut mixer, orders, AHEAD) {
            Fed::Enough => return,
            Fed::Refused(after) if after >= TRIAL => {
                tracing::info!(player = name, "the player has ended");
                break;
            }
            Fed::Refused(_) => tracing::debug!(player = name, "cannot play here"),
        }
    }
    tracing::info!("no sound: none of pw-cat, pacat and aplay plays here");
    silence.note();
}

/// Why a program gets no more samples.
enum Fed {
    /// The sender of orders is gone.
    Enough,
    /// It takes no more samples, after this long.
    Refused(Duration),
}

fn feed(mut player: Child, mixer: &mut Mixer, orders: &Receiver<Order>, ahead: Duration) -> Fed {
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
        let feeding =
            std::thread::spawn(move || feed(player, &mut Mixer::new(), &orders, Duration::from_secs(1)));
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
    fn silence_is_noted_where_no_program_plays() {
        let (_sender, orders) = channel();
        let silence = Silence::default();
        run(&[("false", &[]), ("/no/such/player", &[])], &orders, &silence);
        assert!(silence.is_noted());
    }

    #[test]
    fn a_program_that_takes_nothing_is_given_up() {
        let mut player = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        // `wait` would close the pipe on this side, and nothing would be written.
        while player.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let (_sender, orders) = channel();
        let fed = feed(player, &mut Mixer::new(), &orders, AHEAD);
        assert!(matches!(fed, Fed::Refused(after) if !after.is_zero()), "it was offered samples");
    }
}
