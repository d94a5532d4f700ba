//! The process of the graphics processor on a device that is there, Mesa's software included: restricted as every kernel
//! process is, and at work for no more than its share of the time.
//!
//! On the device that `P2C2R_GPU` names, else on Mesa's software. Where there is none, the test says so and why; such a run
//! has proven nothing about the share.

use std::time::{Duration, Instant};

use p2c2r_protocol::{Device, Micros};
use p2c2r_tasks::gpu::{Gpu, GpuChoice, GpuSearch};
use p2c2r_tasks::reflection::Reflection;
use p2c2r_tasks::{KindRegistry, TaskKind as _};
use p2c2r_worker::executor::{ClockAnchor, Executor, Run};
use p2c2r_worker::kernels::fuzzing::ScriptedGraphics;
use p2c2r_worker::kernels::{self, Sandbox};
use p2c2r_worker::{Execution, Share, WorkerConfig};

use super::mirrors::mirror;

const ROLE: [&str; 4] = ["--exact", "graphics::kernel_process", "--ignored", "--test-threads=1"];
/// Runs under each share: enough that one of them more or less is a small part.
const RUNS: u64 = 24;

#[test]
#[ignore = "is what kernel processes run, not a test"]
fn kernel_process() {
    let _ended_with_its_worker = kernels::serve(&KindRegistry::builtin());
}

fn a_mirror(lease: Duration) -> Run {
    let clock = ClockAnchor { at: Micros(0), instant: None };
    Run { over_at: Instant::now() + lease, ..mirror(&KindRegistry::builtin(), 1, clock) }
}

#[test]
fn a_run_that_waits_for_the_device_leaves_a_core_time_to_compute_it() {
    let run = a_mirror(Duration::from_secs(2));
    assert!(ScriptedGraphics::busy().compute(&run).is_none(), "a core must");
    assert!(!run.time_left().is_zero(), "half of it is left");
}

#[test]
fn a_device_that_is_lost_is_not_offered_until_it_is_open_again() {
    let graphics = ScriptedGraphics::that_is_lost().unwrap();
    assert_eq!(graphics.device(Reflection::ID), Some(Device::Graphics));
    assert!(graphics.compute(&a_mirror(Duration::from_mins(1))).is_none(), "a core must");
    assert_eq!(graphics.device(Reflection::ID), None);
    assert!(graphics.compute(&a_mirror(Duration::from_mins(1))).is_none(), "nobody waits for it");
}

/// The device to compute on, or why there is none.
fn device() -> Result<GpuChoice, String> {
    let named = std::env::var("P2C2R_GPU").ok().and_then(|name| name.parse().ok());
    let choice = named.unwrap_or_else(|| GpuChoice::Named("llvmpipe".to_owned()));
    match Gpu::find(&choice).map_err(|error| error.to_string())? {
        GpuSearch::Gpu(_) => Ok(choice),
        GpuSearch::None(reason) => Err(reason),
    }
}

/// Runs `runs` tasks on two slots; returns the longest time of one.
fn compute(executor: &mut Executor, runs: u64) -> Duration {
    let began = Instant::now();
    let kinds = KindRegistry::builtin();
    let clock = ClockAnchor { at: Micros(0), instant: Some(began) };
    let (mut serial, mut done, mut longest) = (0, 0, Duration::ZERO);
    while done < runs {
        // Two wait while two are computed: the device is never idle for want of work.
        while serial < runs && serial < done + 4 {
            assert!(executor.queue(mirror(&kinds, serial, clock)), "there is room");
            serial += 1;
        }
        let Some(result) = executor.next_result() else {
            std::thread::yield_now();
            continue;
        };
        assert!(result.result.is_ok(), "{:?}", result.result);
        longest = longest.max(Duration::from_micros(result.finished_at.0 - result.started_at.0));
        done += 1;
    }
    longest
}

/// Per cent of the time since its start that the device was at work.
fn executor_share(executor: &Executor) -> f64 {
    executor.gpu_share().unwrap().1
}

#[test]
fn a_graphics_processor_computes_restricted_and_for_no_more_than_its_share() {
    let choice = match device() {
        Ok(choice) => choice,
        Err(reason) => {
            eprintln!("SKIPPED, for there is no graphics processor here: {reason}");
            return;
        }
    };
    for percent in [20, 60] {
        let private = tempfile::tempdir().unwrap();
        let sandbox = Sandbox {
            program: std::env::current_exe().unwrap(),
            arguments: ROLE.map(Into::into).to_vec(),
            gpu: choice.clone(),
            gpu_share: Share::try_from(percent).unwrap(),
            ..Sandbox::of_this_program(private.path().into()).unwrap()
        };
        std::fs::write(private.path().join("key.toml"), "a secret").unwrap();
        let execution = Execution::Processes(sandbox);
        let mut executor =
            Executor::new(&WorkerConfig { slots: 2, execution, ..WorkerConfig::default() }).unwrap();
        let denied = executor.denied().unwrap();
        assert_eq!(denied.processes, 4, "one for each slot, one for tiny tasks, one for the device");
        assert!(denied.tried.iter().any(|tried| tried.contains("network socket")), "{denied:?}");
        let started = Instant::now();
        // Cores compute until the driver has made the kernels ready.
        while executor.device_use(Reflection::ID).unwrap().runs == 0 {
            compute(&mut executor, 1);
        }
        let before = executor_share(&executor) * started.elapsed().as_secs_f64();
        let from = Instant::now();
        let warm_up = executor.device_use(Reflection::ID).unwrap().runs;
        let longest = compute(&mut executor, RUNS);
        let took = from.elapsed().as_secs_f64();
        let busy = (executor_share(&executor) * started.elapsed().as_secs_f64() - before) / took;
        let used = executor.device_use(Reflection::ID).unwrap();
        eprintln!(
            "{}, {percent} %: {RUNS} tasks in {took:.2} s, at work {busy:.1} % of the time",
            executor.computes_on().unwrap()
        );
        assert_eq!((used.runs - warm_up, used.fallbacks), (RUNS, 0), "{used:?}");
        // It rests after a run, so the last run may exceed the share.
        let over = 100.0 * longest.as_secs_f64() / took;
        assert!(
            busy <= f64::from(percent) + over,
            "{busy} % where {percent} % and {over} % more were allowed"
        );
        assert!(busy > 0.0, "it has computed");
    }
}
