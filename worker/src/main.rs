//! `p2c2r-worker`: reads the command line, builds the worker's app and runs it.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bevy_app::AppExit;
use p2c2r_join::JoinChoice;
use p2c2r_link::{ClientTransport, EventDrivenPlugin, Waker};
use p2c2r_program::{command_line, complain, quiet_caught_panics, say, service, signals};
use p2c2r_tasks::KindRegistry;
use p2c2r_worker::availability::{Availability, KeptPause};
use p2c2r_worker::cli::{ConfigVerb, Verb, WorkerCli};
use p2c2r_worker::options::WorkerOptions;
use p2c2r_worker::{Drain, Execution, WorkerError, build_app, consent, console, control, gpu, kernels, page};
use tracing::{info, warn};

/// Exit status of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// mimalloc, because on every task's path one thread frees what another allocated.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|role| role == kernels::ROLE) {
        return kernels::serve(&KindRegistry::builtin());
    }
    match run() {
        Ok(AppExit::Success) => ExitCode::SUCCESS,
        Ok(AppExit::Error(code)) => ExitCode::from(code.get()),
        Err(error) => {
            complain(format_args!("p2c2r-worker: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

fn run() -> Result<AppExit, WorkerError> {
    let cli = command_line::parse::<WorkerCli>();
    match cli.verb {
        Some(verb) => answer(verb).map(|()| AppExit::Success),
        None => work(WorkerOptions::resolve(&cli.settings)?),
    }
}

/// Runs a subcommand instead of the worker.
fn answer(verb: Verb) -> Result<(), WorkerError> {
    if let Some((request, running)) = verb.request() {
        let choice = JoinChoice { folder: running.keys.clone(), ..JoinChoice::default() };
        let answers = control::ask(&choice.folder()?, running.name.as_deref(), request)?;
        let as_json = matches!(verb, Verb::Status { json: true, .. });
        let mut silent = Vec::new();
        for answer in answers {
            match answer {
                Ok(report) if as_json => say(serde_json::json!(report)),
                Ok(report) => say(report),
                Err(error) => silent.push(error),
            }
        }
        let Some(last) = silent.pop() else { return Ok(()) };
        for error in silent {
            complain(format_args!("p2c2r-worker: {error}"));
        }
        return Err(last.into());
    }
    match verb {
        Verb::Config(ConfigVerb::Show(given)) => {
            WorkerOptions::resolve(&given).map(|options| say(options.shown().trim_end()))
        }
        Verb::Config(ConfigVerb::Check(given)) => {
            WorkerOptions::resolve(&given)?.check()?;
            say("the settings are valid");
            Ok(())
        }
        Verb::Status { .. } | Verb::Pause { .. } | Verb::Resume { .. } | Verb::Finish { .. } => Ok(()),
    }
}

fn work(options: WorkerOptions) -> Result<AppExit, WorkerError> {
    gpu::look_without_desktop();
    let mut settings = options.settle()?;
    let gpu = (&settings.gpu, settings.gpu_share);
    if !consent::may_work(&settings.worker, gpu, &settings.folder) {
        settings.worker.times.paused = true;
    }
    console::start_logging(&settings.log, settings.log_format)?;
    quiet_caught_panics();
    if let Execution::Threads = settings.worker.execution {
        gpu::equip(&mut settings.worker, &settings.gpu, settings.gpu_share)?;
    }
    let ready = match settings.worker.execution {
        Execution::Processes(_) => "kernels are restricted; connecting",
        Execution::Threads | Execution::Inline => "kernels run unsandboxed; connecting",
    };
    let runner = EventDrivenPlugin { busy_poll_max: settings.worker.busy_poll };
    let client = settings.membership.client(settings.worker.kinds.identity());
    let (folder, name) = (settings.folder, settings.worker.name.clone());
    let transport = ClientTransport::Udp(Arc::new(client));
    let mut app = build_app(settings.worker, transport)?;
    app.add_plugins(runner);
    p2c2r_worker::service::add_to(&mut app);
    let (drain, waker) = (app.world().resource::<Drain>().clone(), app.world().resource::<Waker>().clone());
    let kept = KeptPause::in_folder(&folder, &name);
    app.world_mut().resource_mut::<Availability>().keep_pause(kept, Duration::ZERO);
    let (control, line) = control::Control::open(waker.clone());
    app.insert_resource(control);
    // Its file is removed at the end.
    let socket = control::listen(&folder, &name, line.clone(), drain.clone());
    if let Err(error) = &socket {
        // The worker runs without the socket.
        warn!("`p2c2r-worker status` and its like cannot reach this worker: {error}");
    }
    if let Some(at) = settings.page {
        let at =
            page::serve(at, line, &settings.command).map_err(|source| WorkerError::Page { at, source })?;
        info!(event = "page", "📄 Your page: http://{at}/");
    }
    let asked = AtomicBool::new(false);
    signals::on_stop(move || {
        if asked.swap(true, Ordering::AcqRel) {
            std::process::exit(INTERRUPTED);
        }
        drain.ask();
        waker.wake();
    })
    .map_err(WorkerError::Signals)?;
    service::say_ready(ready);
    let exit = app.run();
    service::say_stopping();
    drop(socket);
    Ok(exit)
}
