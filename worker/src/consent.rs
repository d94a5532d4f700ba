//! Consent at the first start at a terminal: says what will run, what it may use and how to stop it; nothing runs until
//! the owner agrees.
//!
//! A start without a terminal, as a service or from a script, counts as consent of whoever set the join link.

use std::io::{self, BufRead, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use p2c2r_program::{Output, say};
use p2c2r_tasks::gpu::GpuChoice;

use crate::availability::WorkingTimes;
use crate::config::{Execution, WorkerConfig};
use crate::share::Share;

/// Marks a folder of accounts whose owner has agreed.
const MARK: &str = "lending-agreed";
/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64;

/// What the owner is asked.
pub struct Question<'a> {
    worker: &'a WorkerConfig,
    /// The graphics processor, and the share of its time that may be used.
    gpu: (&'a GpuChoice, Share),
    folder: &'a Path,
}

/// Asks, if nobody has agreed yet and there is a terminal. Returns whether the worker may take work at once; if not, it
/// starts paused until `resume`.
pub fn may_work(worker: &WorkerConfig, gpu: (&GpuChoice, Share), folder: &Path) -> bool {
    if !is_asked(worker, folder, io::stdin().is_terminal() && Output::Standard.is_terminal()) {
        return true;
    }
    say(Question { worker, gpu, folder });
    let agrees = is_yes(&mut io::stdin().lock());
    if agrees {
        // If this fails, the owner is asked again at the next start.
        let _ = fs::write(mark(folder), "");
    } else {
        say("Paused. `p2c2r-worker resume` lets it work; Ctrl-C ends it.");
    }
    agrees
}

/// Whether its owner is to be asked before it takes work.
fn is_asked(worker: &WorkerConfig, folder: &Path, at_terminal: bool) -> bool {
    at_terminal && !worker.times.paused && !mark(folder).exists()
}

fn mark(folder: &Path) -> PathBuf {
    folder.join(MARK)
}

fn is_yes(input: &mut dyn BufRead) -> bool {
    let mut answer = String::new();
    let read = io::Read::take(input, ANSWER_BYTES_MAX).read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

impl fmt::Display for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worker, gpu: (gpu, gpu_share), folder } = self;
        let (slots, percent) = (worker.slots, worker.cpu_share.percent());
        writeln!(
            f,
            "This computer is about to compute small tasks for other people's games, and to earn for each."
        )?;
        writeln!(f, "  what runs   kernels built into this program; no code travels")?;
        match &worker.execution {
            Execution::Processes(sandbox) => {
                writeln!(
                    f,
                    "  it reaches  neither files nor network nor other programs; it shows that at every start"
                )?;
                let memory_mb = sandbox.memory_bytes / 1_000_000;
                writeln!(
                    f,
                    "  it uses     {slots} core(s), {percent} % of their time, {memory_mb} MB for each"
                )?;
            }
            Execution::Threads | Execution::Inline => {
                writeln!(f, "  it reaches  whatever you can: --unsandboxed was asked for")?;
                writeln!(f, "  it uses     {slots} core(s), {percent} % of their time")?;
            }
        }
        writeln!(f, "  graphics    {}", graphics(gpu, *gpu_share))?;
        writeln!(f, "  it rests    {}", rests(&worker.times))?;
        writeln!(
            f,
            "  it is told  specs of tasks; {} learns this computer's address and the name {}",
            worker.coordinator, worker.name
        )?;
        writeln!(
            f,
            "  to stop     Ctrl-C; or `p2c2r-worker pause`, `resume`, `finish` from another terminal"
        )?;
        writeln!(f, "  its account {}", folder.display())?;
        write!(f, "All limits: p2c2r-worker --help. Begin? [y/N]")
    }
}

fn graphics(choice: &GpuChoice, share: Share) -> String {
    let percent = share.percent();
    match choice {
        GpuChoice::Off => "no graphics processor".to_owned(),
        GpuChoice::Auto => {
            format!(
                "the fastest graphics processor, if there is one, {percent} % of its time; --gpu off leaves it alone"
            )
        }
        GpuChoice::Named(name) => format!("the graphics processor {name}, {percent} % of its time"),
    }
}

fn rests(times: &WorkingTimes) -> String {
    let mut when = Vec::new();
    if let Some(hours) = &times.hours {
        when.push(format!("outside {hours}"));
    }
    if !times.on_battery {
        when.push("on battery".to_owned());
    }
    if times.idle_for.is_some() && times.slots_in_use == 0 {
        when.push("while this computer is used".to_owned());
    }
    if let Some(degrees) = times.celsius_max {
        when.push(format!("from {degrees} degrees Celsius on"));
    }
    if when.is_empty() { "never, unless you pause it".to_owned() } else { when.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_is_one() {
        for (text, is) in [
            ("y\n", true),
            (" YES \n", true),
            ("\n", false),
            ("", false),
            ("no\n", false),
            ("yesterday\n", false),
        ] {
            assert_eq!(is_yes(&mut text.as_bytes()), is, "{text:?}");
        }
        assert!(!is_yes(&mut "y".repeat(1_000).as_bytes()));
    }

    #[test]
    fn the_question_says_what_it_may_use_and_how_to_stop_it() {
        let mut worker =
            WorkerConfig { slots: 3, coordinator: "play.example.org".into(), ..WorkerConfig::named("ada") };
        worker.times.hours = Some("22:00-07:00".parse().unwrap());
        worker.cpu_share = Share::try_from(50).unwrap();
        let gpu = (&GpuChoice::Auto, Share::ALL);
        let text = Question { worker: &worker, gpu, folder: Path::new("/accounts") }.to_string();
        for part in [
            "3 core(s), 50 % of their time",
            "the fastest graphics processor",
            "outside 22:00-07:00, on battery",
            "play.example.org",
            "ada",
            "Ctrl-C",
            "pause",
            "[y/N]",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn whether_the_graphics_processor_is_used_and_how_to_leave_it_alone_is_said() {
        let half = Share::try_from(50).unwrap();
        let auto = graphics(&GpuChoice::Auto, half);
        assert!(auto.contains("50 %") && auto.contains("--gpu off"), "{auto}");
        assert_eq!(graphics(&GpuChoice::Off, half), "no graphics processor");
        assert!(graphics(&GpuChoice::Named("Arc".into()), half).contains("Arc"));
    }

    #[test]
    fn who_has_not_agreed_is_asked_at_a_terminal_alone_and_not_when_it_starts_paused() {
        let folder = tempfile::tempdir().unwrap();
        let mut worker = WorkerConfig::named("ada");
        assert!(is_asked(&worker, folder.path(), true));
        assert!(!is_asked(&worker, folder.path(), false), "nobody could answer");
        worker.times.paused = true;
        assert!(!is_asked(&worker, folder.path(), true), "`resume` is what lets it work");
        worker.times.paused = false;
        fs::write(mark(folder.path()), "").unwrap();
        assert!(!is_asked(&worker, folder.path(), true), "once is enough");
    }
}
