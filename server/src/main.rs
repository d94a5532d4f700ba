//! The program `p2c2r-server`: reads the command line, builds the coordinator, runs it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use bevy_app::AppExit;
use p2c2r_link::{EventDrivenPlugin, ServerTransport};
use p2c2r_program::settings::{self, SettingsArgs};
use p2c2r_program::{command_line, complain, quiet_caught_panics, say, service, signals};
use p2c2r_server::cli::{Command, ConfigCommand, ServerCli};
use p2c2r_server::join::AccountStore;
use p2c2r_server::ledger::{self, HeadPublisher, Ledger};
use p2c2r_server::recording::{self, Replayed};
use p2c2r_server::{
    ServerConfig, ServerError, Shutdown, backup, build_app, console, join, ledger_commands, status,
    worker_commands,
};
use tracing::info;

/// mimalloc, because on every task's path one thread frees what another allocated.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli: ServerCli = command_line::parse();
    let result = match cli.command {
        None => settled(&cli.settings).and_then(run),
        Some(Command::Config(ConfigCommand::Check(args))) => settled(&args).map(|config| {
            say(format_args!("the settings are valid: {config:?}"));
            ExitCode::SUCCESS
        }),
        Some(Command::Config(ConfigCommand::Show(args))) => settled(&args).map(|config| {
            say(settings::shown(&config).trim_end());
            ExitCode::SUCCESS
        }),
        Some(Command::Invite(args)) => join::commands::invite(&args).map_err(ServerError::from).map(answer),
        Some(Command::Page(args)) => status::commands::page(&args).map_err(ServerError::from).map(answer),
        Some(Command::Ready(args)) => {
            status::commands::ready(&args).map_err(ServerError::NotReady).map(answer)
        }
        Some(Command::Accounts(command)) => {
            join::commands::accounts(&command).map_err(ServerError::from).map(answer)
        }
        Some(Command::Backup(args)) => backup::backup(&args).map(answer),
        Some(Command::Restore(args)) => backup::restore(&args).map(answer),
        Some(Command::Replay { file }) => replay(&file),
        Some(Command::Workers(command)) => worker_commands::run(command).map(answer),
        Some(Command::Ledger(command)) => ledger_commands::run(command),
    };
    result.unwrap_or_else(|error| {
        complain(format_args!("p2c2r-server: {error}"));
        ExitCode::from(error.exit_code())
    })
}

/// The settings, all of them checked. Running and looking at them both go this way.
fn settled(args: &SettingsArgs<ServerConfig>) -> Result<ServerConfig, ServerError> {
    let config = args.resolve()?;
    config.validate()?;
    Ok(config)
}

fn replay(file: &Path) -> Result<ExitCode, ServerError> {
    let replayed = recording::replay(file, &ServerConfig::default().kinds)?;
    say(&replayed);
    Ok(if matches!(replayed, Replayed::Same { .. }) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what a command has to say.
fn answer(text: String) -> ExitCode {
    say(text);
    ExitCode::SUCCESS
}

fn run(mut config: ServerConfig) -> Result<ExitCode, ServerError> {
    console::start_logging(&config)?;
    quiet_caught_panics();
    // Before the ledger is opened, which is in this folder by default.
    join::make_data_folder(&config.data_dir)?;
    let mut accounts = AccountStore::open(&config.data_dir)?;
    config.ledger_id = accounts.ledger()?;
    let (socket, listener) = join::bind_both(config.listen)?;
    let address =
        socket.local_addr().map_err(|error| ServerError::Address { asked: config.listen, error })?;
    let ready_file = config.ready_file.clone();
    let mut app = build_app(config.clone(), ServerTransport::Udp(socket))?;
    app.add_plugins(EventDrivenPlugin { busy_poll_max: config.busy_poll });
    accounts.note_ledger(app.world().resource::<Ledger>().id())?;
    drop(accounts);
    let way_in = join::let_people_in(&mut app, &config, listener)?;
    let shutdown = app.world().resource::<Shutdown>().clone();
    let ledger = app.world().resource::<Ledger>().clone();
    signals::on_stop(move || shutdown.request()).map_err(ServerError::Signals)?;
    console::greet(address, &config);
    let links = if console::may_show_links(&config) {
        join::commands::first_links(&config.data_dir, way_in.link(), config.opening_credit)?
    } else {
        Vec::new()
    };
    let advice = way_in.link().hosts.first().and_then(|host| config.join.advice(host));
    console::show_links(&links, &config.command, advice.as_deref());
    if let Some(path) = &ready_file {
        write_ready_file(path, address)
            .map_err(|error| ServerError::ReadyFile { path: path.clone(), error })?;
    }
    let heads = publish_heads(&config)?;
    service::say_ready(&format!("listening on {address}"));
    let exit = app.run();
    service::say_stopping();
    drop(way_in);
    let closed = ledger.close()?;
    // The last head is that of the closed books.
    drop(heads);
    info!(
        target: console::TARGET, event = "closed", tasks = closed.totals.tasks_done,
        revenue_nanos = closed.totals.revenue.0, fee_nanos = closed.totals.fee.0,
        "Closed: {} tasks done in all, revenue {} (coordinator fee {}), the books balance",
        closed.totals.tasks_done, closed.totals.revenue, closed.totals.fee
    );
    Ok(match exit {
        AppExit::Success => ExitCode::SUCCESS,
        AppExit::Error(code) => ExitCode::from(code.get()),
    })
}

/// Starts adding heads of the ledger to the operator's file, if one is set. The signing key is made in any case, so
/// that a backup of the data folder has it.
fn publish_heads(config: &ServerConfig) -> Result<Option<HeadPublisher>, ServerError> {
    let secret = ledger::head_key(&config.data_dir)?;
    let Some(file) = config.head_file.clone() else { return Ok(None) };
    Ok(Some(HeadPublisher::start(config.db.clone(), file, config.head_every, secret)?))
}

/// Writes under a temporary name and renames, so that a reader never sees half a file.
fn write_ready_file(path: &Path, address: SocketAddr) -> std::io::Result<()> {
    let partial = path.with_extension("partial");
    std::fs::write(&partial, format!("{address}\n"))?;
    std::fs::rename(&partial, path)
}
