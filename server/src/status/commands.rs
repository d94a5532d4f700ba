//! The operator's commands about the status page: `page` makes a way in, `ready` asks whether the coordinator is ready.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use p2c2r_join::{Host, JoinLink, probe};

use crate::cli::WhichCoordinator;
use crate::join::commands::open_existing;
use crate::join::{JoinError, WallSeconds};

/// The longest that a login link may be good for.
const EXPIRES_MAX: Duration = Duration::from_hours(24);

/// How to get into the status page.
#[derive(Debug, Args)]
pub struct PageArgs {
    /// How long the login link is good for, once; such as 30s, 10m or 1h.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = expiry)]
    pub expires: Duration,
    /// Print a token for the program that collects the figures at /metrics instead; it replaces an earlier one.
    #[arg(long, conflicts_with = "expires")]
    pub metrics_token: bool,
    /// Which coordinator's.
    #[command(flatten)]
    pub which: WhichCoordinator,
}

/// Which coordinator is asked.
#[derive(Debug, Args)]
pub struct ReadyArgs {
    /// Which coordinator's.
    #[command(flatten)]
    pub which: WhichCoordinator,
}

/// Makes a login link, or a token; the answer is that and nothing else.
pub fn page(args: &PageArgs) -> Result<String, JoinError> {
    let folder = args.which.settings()?.data_dir;
    let mut store = open_existing(&folder)?;
    if args.metrics_token {
        return store.make_metrics_token();
    }
    let (link, _) = store.published()?.ok_or_else(|| JoinError::NeverStarted { path: folder.clone() })?;
    let place = link.hosts.first().map(ToString::to_string).unwrap_or_default();
    let secret = store.make_login(args.expires, WallSeconds::now())?;
    Ok(format!("https://{place}/login/{secret}"))
}

/// Asks the coordinator on this machine whether it is ready; an error says why it is not.
pub fn ready(args: &ReadyArgs) -> Result<String, String> {
    let text = |error: JoinError| error.to_string();
    let folder = args.which.settings().map_err(|error| error.to_string())?.data_dir;
    let store = open_existing(&folder).map_err(text)?;
    let never = || text(JoinError::NeverStarted { path: folder.clone() });
    let (link, _) = store.published().map_err(text)?.ok_or_else(never)?;
    let answer = ask(&link, store.listening().map_err(text)?)?;
    if answer.status == 200 { Ok("ready".to_owned()) } else { Err(answer.body.trim().to_owned()) }
}

/// Asks at the address where the coordinator listens, if the store has it, and then at its public address: a router may not
/// route requests from inside back in.
fn ask(link: &JoinLink, listening: Option<SocketAddr>) -> Result<probe::HttpsReply, String> {
    let host = link.hosts.first().ok_or("the coordinator has published no address")?;
    let mut why = None;
    for address in listening.into_iter().flat_map(on_this_machine).chain(addresses(host)) {
        match probe::get(host, address, link.fingerprint, "/readyz", &[]) {
            Ok(reply) => return Ok(reply),
            Err(error) => {
                why.get_or_insert_with(|| format!("not ready: no coordinator answers at {address}: {error}"));
            }
        }
    }
    Err(why.unwrap_or_else(|| format!("not ready: there is no address of {host}")))
}

/// The addresses at which this machine itself reaches what listens here.
fn on_this_machine(listening: SocketAddr) -> Vec<SocketAddr> {
    if !listening.ip().is_unspecified() {
        return vec![listening];
    }
    let own = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    own.map(|ip| SocketAddr::new(ip, listening.port())).into()
}

fn addresses(host: &Host) -> Vec<SocketAddr> {
    probe::look_up(host).unwrap_or_default()
}

fn expiry(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|_| "not a time such as 30s, 10m or 1h".to_owned())?;
    if time.as_secs() == 0 || time > EXPIRES_MAX {
        return Err("a login link is good for a second to a day".to_owned());
    }
    Ok(time)
}
