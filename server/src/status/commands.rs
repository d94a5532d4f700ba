//! The operator's commands about the status page: `page` makes a way in, `ready` asks whether the coordinator is ready.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::Args;
use p2c2r_join::{Host, JoinLink, probe};

use crate::join::commands::{DataDirArgs, open_existing};
use crate::join::{JoinError, WallSeconds};

/// The longest that a login link may be good for.
const EXPIRES_MAX: Duration = Duration::from_hours(24);

/// How to get into the status page.
#[derive(Debug, Args)]
pub struct PageArgs {
    /// How long the login link is good for, once; such as 30s, 10m or 1h.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = expiry)]
    pub expires: Duration,
    /// Print a token for whoever collects the figures at /metrics instead; an earlier one is good no more.
    #[arg(long, conflicts_with = "expires")]
    pub metrics_token: bool,
    /// Which coordinator's.
    #[command(flatten)]
    pub data_dir: DataDirArgs,
}

/// Which coordinator is asked.
#[derive(Debug, Args)]
pub struct ReadyArgs {
    /// Which coordinator's.
    #[command(flatten)]
    pub data_dir: DataDirArgs,
}

/// Makes a login link, or a token; the answer is that and nothing else.
pub fn page(args: &PageArgs) -> Result<String, JoinError> {
    let folder = args.data_dir.folder();
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
    let folder = args.data_dir.folder();
    let store = open_existing(&folder).map_err(|error| error.to_string())?;
    let never = || JoinError::NeverStarted { path: folder.clone() }.to_string();
    let (link, _) = store.published().map_err(|error| error.to_string())?.ok_or_else(never)?;
    let answer = ask(&link)?;
    if answer.status == 200 { Ok("ready".to_owned()) } else { Err(answer.body.trim().to_owned()) }
}

/// Asks at this machine's own address first: the public one may be behind a router that does not route back.
fn ask(link: &JoinLink) -> Result<probe::HttpsReply, String> {
    let host = link.hosts.first().ok_or("the coordinator has published no address")?;
    let mut found = Err("nobody answers".to_owned());
    for address in [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0_u16, 0, 0, 0, 0, 0, 0, 1])] {
        let address = SocketAddr::new(address, host.port);
        found =
            probe::get(host, address, link.fingerprint, "/readyz", &[]).map_err(|error| error.to_string());
        if found.is_ok() {
            return found;
        }
    }
    for address in addresses(host) {
        found =
            probe::get(host, address, link.fingerprint, "/readyz", &[]).map_err(|error| error.to_string());
        if found.is_ok() {
            return found;
        }
    }
    found
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
