//! Kernel processes, with kernels that do what real ones never should: reach for files and network, abort, take all
//! memory, never end.
//!
//! This test program is also the kernel process: started with [`ROLE`], it runs nothing but [`kernel_process`], on its
//! first thread.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use p2c2r_protocol::Micros;
use p2c2r_protocol::limits::BLOB_BYTES_MAX;
use p2c2r_tasks::gpu::GpuChoice;
use p2c2r_worker::executor::{ClockAnchor, Executor, Run};
use p2c2r_worker::kernels::{self, Sandbox};
use p2c2r_worker::{KernelsError, WorkerError};
use tempfile::TempDir;

use super::mirrors::mirror;
use super::*;

const ROLE: [&str; 4] = ["--exact", "kernel_processes::kernel_process", "--ignored", "--test-threads=1"];

#[test]
#[ignore = "is what kernel processes run, not a test"]
fn kernel_process() {
    let _ended_with_its_worker = kernels::serve(&kinds());
}

fn sandbox(private: &TempDir) -> Sandbox {
    fs::write(private.path().join("key.toml"), "a secret").unwrap();
    Sandbox {
        program: std::env::current_exe().unwrap(),
        arguments: ROLE.map(Into::into).to_vec(),
        memory_bytes: 256_000_000,
        gpu: GpuChoice::Off,
        gpu_share: p2c2r_worker::Share::ALL,
        private: private.path().into(),
        look: Duration::from_micros(200),
    }
}

#[test]
#[ignore = "is what kernel processes of the built-in kinds run, not a test"]
fn builtin_kernel_process() {
    let _ended_with_its_worker = kernels::serve(&KindRegistry::builtin());
}

/// Kernel processes of the kinds that a worker has.
pub fn builtin(private: &TempDir) -> Sandbox {
    let mut sandbox = sandbox(private);
    sandbox.arguments[1] = "kernel_processes::builtin_kernel_process".into();
    sandbox
}

/// A worker whose kernels run in processes, and the folder that they must not read.
fn sandboxed() -> (Pair, TempDir) {
    let private = tempfile::tempdir().unwrap();
    let execution = Execution::Processes(sandbox(&private));
    (Pair::joined(|config| config.execution = execution), private)
}

/// Steps until so many messages have come: processes are not on simulated time.
fn heard(pair: &mut Pair, count: usize) -> Vec<Answer> {
    while pair.heard.len() < count {
        pair.step();
        std::thread::yield_now();
    }
    pair.answers(count)
}

#[test]
fn kernels_compute_there_as_they_do_here() {
    let (mut pair, _private) = sandboxed();
    pair.assign(1, &script(DOUBLE, 21));
    pair.assign(2, &script(ON_A_SLOT, 5));
    pair.assign(3, &script(PANIC, 0));
    pair.assign(4, &script(GROW, 40_000));
    pair.assign(5, &script(OUT_OF_FUEL, 0));
    pair.assign(6, &script(REFUSE, 0));
    let answers = heard(&mut pair, 6);
    let outcomes: Vec<_> = answers[..4].iter().map(outcome).collect();
    let (panicked, bad) = (Err(AttemptFailure::KernelPanicked), Err(AttemptFailure::BadSpec));
    assert_eq!(outcomes, [Ok(vec![42]), Ok(vec![5]), panicked, bad.clone()]);
    assert_eq!(answers[4].result, Ok(p2c2r_tasks::OUT_OF_FUEL.to_vec().into()));
    assert_eq!(outcome(&answers[5]), bad);
    // One after the other, so that the app's thread itself waits for each.
    for number in 0..200 {
        pair.assign(10 + u64::from(number), &script(DOUBLE, number));
        assert_eq!(outcome(&heard(&mut pair, 1)[0]), Ok(vec![2 * number]));
    }
}

#[test]
fn tiny_tasks_that_cross_together_are_each_answered() {
    let (mut pair, _private) = sandboxed();
    // Outcomes of so many bytes that one frame does not hold them all.
    let what = |number: u32| match number % 8 {
        3 => (script(PANIC, 0), Err(AttemptFailure::KernelPanicked)),
        5 => (script(GROW, 5_000), Ok(vec![u32::MAX; 5_000])),
        _ => (script(DOUBLE, number), Ok(vec![2 * number])),
    };
    for round in 0..5 {
        for number in 0..32 {
            pair.assign(100 * round + u64::from(number), &what(number).0);
        }
        let answers = heard(&mut pair, 32);
        for (answer, number) in answers.iter().zip(0..) {
            assert_eq!(outcome(answer), what(number).1, "{number}");
            assert!(answer.received_at <= answer.started_at && answer.started_at <= answer.finished_at);
        }
    }
}

#[test]
fn of_tiny_tasks_that_cross_together_one_that_kills_the_process_costs_itself_alone() {
    let (mut pair, _private) = sandboxed();
    for number in 0..20 {
        pair.assign(u64::from(number), &script(if number == 10 { ABORT_TINY } else { DOUBLE }, number));
    }
    for (answer, number) in heard(&mut pair, 20).iter().zip(0..) {
        let right = if number == 10 { Err(AttemptFailure::KernelPanicked) } else { Ok(vec![2 * number]) };
        assert_eq!(outcome(answer), right, "{number}");
    }
}

#[test]
fn blobs_go_there_once_and_again_where_they_are_no_longer_kept() {
    let (mut pair, _private) = sandboxed();
    // More than a process keeps, with the first one used again at the end.
    let blobs_max = p2c2r_protocol::limits::BLOB_STORE_BYTES_MAX / BLOB_BYTES_MAX;
    let blob = |number: usize| {
        let mut bytes = vec![0; BLOB_BYTES_MAX];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes
    };
    for (task, number) in (0..=blobs_max).chain([0]).enumerate() {
        let (task, bytes) = (task as u64, blob(number));
        let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
        let spec = Scripted::encode_spec(&sum_of_blob(Digest::of(&bytes)));
        pair.assign_to(task, Scripted::ID, spec.clone(), vec![bytes]);
        assert_eq!(outcome(&heard(&mut pair, 1)[0]), Ok(vec![sum]));
        // The worker has the blob now; this time the process of tiny tasks is sent it.
        pair.assign_to(1_000_000 + task, Scripted::ID, spec, Vec::new());
        assert_eq!(outcome(&heard(&mut pair, 1)[0]), Ok(vec![sum]));
    }
    // Together, and some of them with a blob that was evicted meanwhile.
    let tasks: Vec<(u64, usize)> = (2_000_000..).zip([blobs_max, 1, blobs_max - 1, 2, 3, 0]).collect();
    for (task, number) in &tasks {
        let bytes = blob(*number);
        let spec = Scripted::encode_spec(&sum_of_blob(Digest::of(&bytes)));
        // A worker that lacks it as well asks for it.
        pair.assign_to(*task, Scripted::ID, spec, if *number < 4 { vec![bytes] } else { Vec::new() });
    }
    for (answer, (_, number)) in heard(&mut pair, tasks.len()).iter().zip(&tasks) {
        let sum: u32 = blob(*number).iter().map(|byte| u32::from(*byte)).sum();
        assert_eq!(outcome(answer), Ok(vec![sum]), "{number}");
    }
}

#[test]
fn nothing_is_within_reach_of_a_kernel() {
    let (mut pair, _private) = sandboxed();
    for (task, what) in [REACH_NETWORK, REACH_FILE, REACH_PROGRAM, REACH_THREAD].into_iter().enumerate() {
        pair.assign(task as u64, &script(what, 0));
    }
    let outcomes: Vec<_> = heard(&mut pair, 4).iter().map(|answer| outcome(answer).unwrap()).collect();
    // Kernels may start threads; everything else is denied.
    assert_eq!(outcomes, [[DENIED], [DENIED], [DENIED], [WITHIN_REACH]]);
}

#[test]
fn a_process_that_dies_costs_its_task_and_is_started_again() {
    let (mut pair, _private) = sandboxed();
    let failed = Err(AttemptFailure::KernelPanicked);
    for (task, what) in [(1, ABORT), (3, EAT_MEMORY), (5, ABORT)] {
        pair.assign(task, &script(what, 0));
        assert_eq!(outcome(&heard(&mut pair, 1)[0]), failed);
        pair.assign(task + 1, &script(ON_A_SLOT, 7));
        assert_eq!(outcome(&heard(&mut pair, 1)[0]), Ok(vec![7]));
    }
}

#[test]
fn a_task_that_does_not_end_in_its_time_is_killed_and_reported() {
    let (mut pair, _private) = sandboxed();
    pair.lease_us = 1_000_000;
    pair.assign(1, &script(NEVER_ENDS, 0));
    assert_eq!(outcome(&heard(&mut pair, 1)[0]), Err(AttemptFailure::KernelPanicked));
    pair.lease_us = LEASE_US;
    pair.assign(2, &script(ON_A_SLOT, 7));
    assert_eq!(outcome(&heard(&mut pair, 1)[0]), Ok(vec![7]));
}

#[test]
fn a_run_whose_time_is_over_before_it_begins_is_handed_back_and_no_failure() {
    let private = tempfile::tempdir().unwrap();
    let execution = Execution::Processes(builtin(&private));
    let mut executor =
        Executor::new(&WorkerConfig { slots: 1, execution, ..WorkerConfig::default() }).unwrap();
    // Leases are on the machine's clock, and the simulated time of the other tests may be ahead of it.
    let clock = ClockAnchor { at: Micros(0), instant: None };
    let over_at = std::time::Instant::now();
    assert!(executor.queue(Run { over_at, ..mirror(&KindRegistry::builtin(), 1, clock) }), "there is room");
    let ended = loop {
        match executor.next_result() {
            Some(ended) => break ended,
            None => std::thread::yield_now(),
        }
    };
    assert_eq!(ended.result, Err(AttemptFailure::Overloaded));
}

#[test]
fn a_revoked_attempt_is_stopped_there_and_its_slot_free() {
    let (mut pair, _private) = sandboxed();
    pair.assign(1, &script(UNTIL_STOPPED, 0));
    pair.settle();
    pair.say(ServerToWorker::Revoke { task: TaskNo(1), attempt: Attempt(1) });
    pair.assign(2, &script(ON_A_SLOT, 5));
    assert_eq!(outcome(&heard(&mut pair, 1)[0]), Ok(vec![5]));
}

#[test]
fn a_process_that_does_not_show_that_it_is_restricted_gets_no_work() {
    let private = tempfile::tempdir().unwrap();
    let mut config = WorkerConfig::named("w");
    config.execution = Execution::Processes(Sandbox { program: "/bin/true".into(), ..sandbox(&private) });
    let started = build_app(config, ClientTransport::Memory(MemoryHub::new()));
    let Err(WorkerError::Kernels(KernelsError::NoReceipt(how))) = started else { panic!("it was started") };
    assert!(how.contains("ended"), "{how}");
}

#[test]
fn a_process_of_another_build_gets_no_work_and_both_are_named() {
    let private = tempfile::tempdir().unwrap();
    let mut config = WorkerConfig::named("w");
    (config.kinds, config.execution) = (kinds(), Execution::Processes(builtin(&private)));
    let started = build_app(config, ClientTransport::Memory(MemoryHub::new()));
    let Err(WorkerError::Kernels(error)) = started else { panic!("it was started") };
    let named = [kinds().identity().text, KindRegistry::builtin().identity().text];
    assert!(named.iter().all(|identity| error.to_string().contains(identity)), "{error}");
}

/// Becomes the worker, on a system where this call fails with this error; with the error 0 the call does nothing and
/// reports success.
fn become_worker_where(call: libc::c_long, error: i32) {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

    let said = SeccompAction::Errno(error as u32);
    let machine = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let calls = [(call, Vec::new())].into();
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, said, machine).unwrap();
    seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
    let keys = std::env::var_os("KEYS").expect("the folder of the accounts");
    let mut worker = Command::new(env!("CARGO_BIN_EXE_p2c2r-worker"));
    worker.args(["--join", "p2c2r://127.0.0.1:9", "--gpu", "off", "--keys"]).arg(keys);
    panic!("{}", worker.exec());
}

#[test]
#[ignore = "is run by a test below, in a process of its own"]
fn without_landlock() {
    become_worker_where(libc::SYS_landlock_create_ruleset, libc::ENOSYS);
}

#[test]
#[ignore = "is run by a test below, in a process of its own"]
fn with_a_seccomp_that_does_nothing() {
    become_worker_where(libc::SYS_seccomp, 0);
}

/// Starts a worker on such a system.
fn start_on(system: &str, keys: &TempDir, unsandboxed: &str) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("kernel_processes::{system}"), "--ignored", "--test-threads=1"]);
    command.args(["--nocapture"]).env("KEYS", keys.path()).env("P2C2R_UNSANDBOXED", unsandboxed);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_worker_whose_kernel_process_can_do_what_it_must_not_takes_no_work() {
    let keys = tempfile::tempdir().unwrap();
    let Output { status, stdout, stderr } =
        start_on("with_a_seccomp_that_does_nothing", &keys, "").wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("tried to open a network socket, and that succeeded"), "{said}");
    assert!(said.contains("takes no work"), "{said}");
    assert!(!String::from_utf8_lossy(&stdout).contains("Connecting"), "it must not go to a coordinator");
}

#[test]
fn where_the_system_cannot_restrict_a_worker_says_so_and_asks_for_consent() {
    let keys = tempfile::tempdir().unwrap();
    let start = |unsandboxed: &str| start_on("without_landlock", &keys, unsandboxed);
    let Output { status, stderr, .. } = start("").wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("Landlock") && said.contains("--unsandboxed"), "{said}");
    // With consent it works, and says what that means.
    let mut child = start("yes");
    let said = said_until(&mut child, "unsandboxed");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.is_some(), "it did not say so");
}

fn said_until(child: &mut std::process::Child, text: &str) -> Option<String> {
    use std::io::{BufRead as _, BufReader};

    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.map_while(Result::ok).find(|line| line.contains(text))
}
