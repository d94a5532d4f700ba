//! A worker's station against a kernel process that sends anything, and a kernel process's lane against a worker that
//! sends anything.

use std::time::{Duration, Instant};

use p2c2r_link::Waker;
use p2c2r_protocol::limits::OUTCOME_BYTES_MAX;
use p2c2r_protocol::{Attempt, Micros, TaskNo};
use p2c2r_worker::cancel::Cancel;
use p2c2r_worker::executor::{ClockAnchor, Run, SharedStage};
use p2c2r_worker::kernels::fuzzing::{self, EndedRun, ScriptedStation, SentTask};

use super::script::{Job, first, is_large, script, steps};

/// Longest reason for giving a process no work, in bytes.
const REASON_BYTES_MAX: usize = 4_096;
/// Runs of one frame at most.
const TOGETHER_MAX: u8 = 128;
/// The number of an honest task without blobs and with a small spec.
const SMALL: u8 = 2;

/// The run of an honest task.
fn run(job: &Job) -> Run {
    Run {
        key: (TaskNo(1), Attempt(1)),
        serial: 1,
        kind: job.kind,
        spec: job.spec.clone().into(),
        job: job.decoded.clone(),
        blobs: job.kept.clone(),
        admitted: false,
        stage: SharedStage::default(),
        cancel: Cancel::default(),
        over_at: Instant::now() + Duration::from_mins(10),
        clock: ClockAnchor { at: Micros(0), instant: None },
        waker: Waker::default(),
    }
}

/// Runs a script with a worker's station; returns whether all frames decode. Whatever the process says, and however
/// little it reads, every run has one result that the worker can use.
pub(super) fn worker(input: &[u8]) -> bool {
    let mut steps = steps(input).peekable();
    let hello = steps.next_if(|(what, _)| what % 8 == 0).map(|(_, bytes)| bytes);
    let mut station = match ScriptedStation::open(hello) {
        Ok(station) => station,
        Err(error) => {
            assert!(error.to_string().len() <= REASON_BYTES_MAX, "a reason is a sentence");
            return false;
        }
    };
    let (mut begun, mut ended, mut is_honest) = (0, 0, true);
    for (what, bytes) in steps {
        let (number, rest) = bytes.split_first().map_or((0, bytes), |(number, rest)| (*number, rest));
        let job = Job::number(number);
        match what % 8 {
            0 => is_honest &= station.says(bytes),
            1 if first(rest) == 0 => station.answers(number.into(), Ok(&job.outcome)),
            1 => station.answers(number.into(), Ok(rest)),
            2 => station.answers(1, Err(number)),
            3 => station.answers_again(number.into()),
            4 if station.under_way() == 0 => begun += usize::from(station.begin(run(job))),
            4 | 5 => {
                let runs: Vec<Run> = (0..first(rest) % TOGETHER_MAX).map(|_| run(job)).collect();
                if station.under_way() == 0 && runs.first().is_some_and(|run| station.knows(run)) {
                    let count = runs.len();
                    begun += if station.begin_together(runs) { count } else { 0 };
                }
            }
            6 => station.cancel(),
            _ => station.hears(),
        }
        while let Some(of_one) = station.look() {
            ended += 1;
            can_be_carried_on_with(&of_one);
        }
    }
    let at_the_end = station.close();
    at_the_end.iter().for_each(can_be_carried_on_with);
    assert_eq!(begun, ended + at_the_end.len(), "every run has one result");
    is_honest
}

fn can_be_carried_on_with((run, result): &EndedRun) {
    if let Ok(outcome) = result {
        assert!(outcome.len() <= OUTCOME_BYTES_MAX, "the link would not carry it");
        // A worker calls this with every outcome, before anybody has checked it.
        let _ = run.job.leaves(&run.blobs, outcome);
    }
}

/// A kernel process answers every run of a frame that decodes, in order, and ends at the first that does not; returns
/// whether all do.
pub(super) fn process(input: &[u8]) -> bool {
    let (mut frames, mut blobs, mut is_honest) = (Vec::new(), Vec::new(), true);
    for ((what, bytes), serial) in steps(input).zip(0..) {
        let job = Job::number(first(bytes));
        let task = |serial, blobs| (serial, job.kind, job.spec.clone(), blobs);
        let frame = match what % 4 {
            0 => bytes.to_vec(),
            1 => {
                is_honest &= fuzzing::is_control_frame(bytes);
                continue;
            }
            2 => fuzzing::frame_of(vec![task(serial, job.blobs.clone())]),
            _ => fuzzing::frame_of((0..3).map(|more| task(serial + more, Vec::new())).collect()),
        };
        let tasks = fuzzing::tasks_in(&frame);
        is_honest &= tasks.is_some();
        let tasks: Vec<SentTask> = tasks.unwrap_or_default();
        blobs.extend(tasks.iter().flat_map(|(_, _, _, blobs)| blobs.clone()));
        // An empty frame would mean that the worker has closed the socket.
        if !frame.is_empty() && !tasks.iter().any(|(_, kind, spec, _)| is_large(*kind, spec, &blobs)) {
            frames.push(frame);
        }
    }
    let answers = fuzzing::lane_answers(&frames);
    let owed = frames.iter().map_while(|frame| fuzzing::tasks_in(frame)).flatten();
    let owed: Vec<u64> = owed.map(|(serial, ..)| serial).collect();
    assert_eq!(answers.iter().map(|(serial, _)| *serial).collect::<Vec<_>>(), owed, "each run is answered");
    assert!(answers.iter().all(|(_, bytes)| bytes.is_none_or(|bytes| bytes <= OUTCOME_BYTES_MAX)));
    is_honest
}

/// Seed scripts of a kernel process.
pub fn worker_seeds() -> Vec<Vec<u8>> {
    let mut right = vec![(0, fuzzing::honest_hello())];
    right.extend((0..6).flat_map(|number| [(4, vec![number]), (7, vec![]), (1, vec![1, 0])]));
    let answers = |job: u8| [vec![1, 1], Job::number(job).outcome.clone()].concat();
    let mut wrong = vec![(7, vec![])];
    wrong.extend((0..6).flat_map(|reason| [(4, vec![reason]), (2, vec![reason]), (1, answers(reason + 1))]));
    wrong.extend([(4, vec![1]), (6, vec![]), (2, vec![2]), (4, vec![1]), (1, answers(1)), (3, vec![1])]);
    // It answers everything, and reads nothing.
    let deaf = (0..16).flat_map(|_| [(5, vec![SMALL, TOGETHER_MAX - 1]), (1, vec![TOGETHER_MAX - 1, 0])]);
    let deaf: Vec<_> = std::iter::once((7, vec![])).chain(deaf).collect();
    vec![script(&right), script(&wrong), script(&deaf)]
}

/// Seed scripts of a worker.
pub fn process_seeds() -> Vec<Vec<u8>> {
    let honest: Vec<_> = (0..6).map(|number| (2, vec![number])).collect();
    let mut frames: Vec<_> = fuzzing::honest_control_frames().into_iter().map(|frame| (1, frame)).collect();
    frames.extend((0..4).map(|number| {
        let Job { kind, spec, blobs, .. } = Job::number(number);
        (0, fuzzing::frame_of(vec![(number.into(), *kind, spec.clone(), blobs.clone())]))
    }));
    let together = (0..8).flat_map(|number| [(3, vec![number]), (2, vec![number]), (3, vec![number])]);
    vec![script(&honest), script(&frames), script(&together.collect::<Vec<_>>())]
}
