//! A small internet in network namespaces: a coordinator on a public address, and homes behind routers that translate
//! addresses.
//!
//! ```text
//! machine 192.168.N.2 ── router 198.51.100.4N+2 ── internet ── coordinator 203.0.113.10
//! machine 2001:db8:a:N::2 ── router (translates nothing) ── internet ── coordinator 2001:db8:c::10
//! ```
//! Every line is a pair of virtual cables, every word a namespace. Nothing leads from them to the machine's own network.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the coordinator is.
pub const COORDINATOR: &str = "203.0.113.10";
/// The same over IPv6.
pub const COORDINATOR_V6: &str = "2001:db8:c::10";
/// How the names of these tests' namespaces begin; the id of the process that made them follows.
const MARK: &str = "p2c2r-";
/// Ports that a router maps connections to: these at first, and [`OTHER_PORTS`] after a restart.
pub const PORTS: &str = "20000-29999";
/// See [`PORTS`].
pub const OTHER_PORTS: &str = "50000-59999";

/// Runs a program, with `input` as its standard input.
fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    let said = |what: &str| format!("`{program} {}` {what}", arguments.join(" "));
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| said(&format!("does not start: {error}")))?;
    let mut stdin = child.stdin.take().expect("piped");
    // A program that does not read to the end tells why on its standard error.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().map_err(|error| said(&error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(said(&format!("failed: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// A network namespace, deleted with this.
#[derive(Debug)]
pub struct Namespace(String);

impl Namespace {
    fn new(name: String) -> Result<Self, String> {
        run("ip", &["netns", "add", &name], "")?;
        let namespace = Self(name);
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// Its name, for `ip netns exec`.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Runs lines of `ip` in it.
    fn ip(&self, lines: &str) -> Result<(), String> {
        run("ip", &["-n", &self.0, "-batch", "-"], lines).map(drop)
    }

    fn forward(&self) -> Result<(), String> {
        self.exec(&["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"], "")
    }

    fn forward_v6(&self) -> Result<(), String> {
        self.exec(&["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"], "")
    }

    fn exec(&self, command: &[&str], input: &str) -> Result<(), String> {
        run("ip", &[&["netns", "exec", &self.0], command].concat(), input).map(drop)
    }

    /// Ends what runs in it and deletes it.
    fn clear(name: &str) {
        let pids = run("ip", &["netns", "pids", name], "").unwrap_or_default();
        for pid in pids.split_whitespace() {
            // What has just ended needs no end.
            let _ = run("kill", &["-KILL", pid], "");
        }
        let _ = run("ip", &["netns", "delete", name], "");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        Self::clear(&self.0);
    }
}

/// Deletes the namespaces of processes that were killed before they could.
fn clear_leftovers() {
    for line in run("ip", &["netns", "list"], "").unwrap_or_default().lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let Some(pid) = name.strip_prefix(MARK).and_then(|rest| rest.split('-').next()) else { continue };
        if pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists() {
            Namespace::clear(name);
        }
    }
}

/// Tells namespaces of one process apart.
static NUMBER: AtomicU32 = AtomicU32::new(0);

fn unique(what: &str) -> Result<Namespace, String> {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Namespace::new(format!("{MARK}{}-{number}-{what}", std::process::id()))
}

/// Tries once whether this machine can build such a network; the error says why not.
fn try_out() -> &'static Result<(), String> {
    static TRIED: OnceLock<Result<(), String>> = OnceLock::new();
    TRIED.get_or_init(|| {
        for (program, package) in [("ip", "iproute2"), ("nft", "nftables")] {
            run(program, &["-V"], "").map_err(|_| format!("`{program}` is missing (package {package})"))?;
        }
        clear_leftovers();
        let namespace = unique("trial")?;
        namespace.ip("link add name here type veth peer name there")?;
        namespace.forward()?;
        namespace.exec(&["nft", "-f", "-"], &rules(PORTS, Udp::ThreeOfFour))
    })
}

/// The same for IPv6.
fn try_out_v6() -> &'static Result<(), String> {
    static TRIED: OnceLock<Result<(), String>> = OnceLock::new();
    TRIED.get_or_init(|| {
        try_out().clone()?;
        let namespace = unique("trial6")?;
        namespace
            .ip("link add name here type veth peer name there\naddr add 2001:db8:c::1/64 dev here nodad")?;
        namespace.forward_v6()?;
        namespace.exec(&["nft", "-f", "-"], RULES_V6)
    })
}

/// The rules of a home's router for IPv6: only answers are let in.
const RULES_V6: &str = "table ip6 home {
    chain gate {
        type filter hook forward priority filter;
        iifname \"wan\" ct state new drop;
    }
}
";

/// How much UDP a home's router lets through.
#[derive(Clone, Copy, Debug)]
enum Udp {
    All,
    /// On the way in, three packets of four.
    ThreeOfFour,
    None,
}

/// The rules of a home's router: it translates the addresses of what goes out, and lets only answers in.
fn rules(ports: &str, udp: Udp) -> String {
    let block = match udp {
        Udp::All => "",
        Udp::ThreeOfFour => "iifname \"wan\" meta l4proto udp numgen inc mod 4 == 0 drop;",
        Udp::None => "meta l4proto udp drop;",
    };
    format!(
        "flush ruleset
         table ip home {{
             chain translate {{
                 type nat hook postrouting priority srcnat;
                 oifname \"wan\" meta l4proto {{ tcp, udp }} masquerade to :{ports};
             }}
             chain gate {{
                 type filter hook forward priority filter;
                 {block}
                 iifname \"wan\" ct state new drop;
             }}
         }}\n"
    )
}

/// The namespaces of one test.
#[derive(Debug)]
pub struct Internet {
    /// The coordinator's machine.
    pub coordinator: Namespace,
    /// Three homes.
    pub homes: [Home; 3],
    between: Namespace,
}

impl Internet {
    /// Builds it; `None`, and a line on standard error that says why, where the machine does not allow it.
    pub fn build() -> Option<Self> {
        Self::build_if(try_out())
    }

    /// The same with IPv6 beside IPv4.
    pub fn build_with_v6() -> Option<Self> {
        let internet = Self::build_if(try_out_v6())?;
        internet.add_v6().expect("IPv6, as in the trial");
        Some(internet)
    }

    fn build_if(tried: &Result<(), String>) -> Option<Self> {
        if let Err(reason) = tried {
            // Not by `eprintln!`: the test harness hides what a passing test prints with it.
            let _ = writeln!(std::io::stderr(), "SKIPPED, for this needs network namespaces: {reason}");
            return None;
        }
        Some(Self::try_build().expect("namespaces, as in the trial"))
    }

    /// Gives everybody an IPv6 address, and the homes' routers rules for it.
    fn add_v6(&self) -> Result<(), String> {
        let between = &self.between;
        between.forward_v6()?;
        between.ip("addr add 2001:db8:c::1/64 dev coordinator nodad")?;
        self.coordinator.ip(&format!(
            "addr add {COORDINATOR_V6}/64 dev eth0 nodad\nroute add 2000::/3 via 2001:db8:c::1"
        ))?;
        for Home { number, machine, router } in &self.homes {
            between.ip(&format!(
                "addr add 2001:db8:b:{number}::1/64 dev home{number} nodad\n\
                 route add 2001:db8:a:{number}::/64 via 2001:db8:b:{number}::2"
            ))?;
            router.forward_v6()?;
            router.ip(&format!(
                "addr add 2001:db8:b:{number}::2/64 dev wan nodad\naddr add 2001:db8:a:{number}::1/64 dev lan nodad\n\
                 route add 2000::/3 via 2001:db8:b:{number}::1"
            ))?;
            machine.ip(&format!(
                "addr add 2001:db8:a:{number}::2/64 dev eth0 nodad\nroute add 2000::/3 via 2001:db8:a:{number}::1"
            ))?;
            router.exec(&["nft", "-f", "-"], RULES_V6)?;
        }
        Ok(())
    }

    fn try_build() -> Result<Self, String> {
        let between = unique("internet")?;
        between.forward()?;
        let coordinator = unique("coordinator")?;
        between.ip(&format!(
            "link add name coordinator type veth peer name eth0 netns {}",
            coordinator.name()
        ))?;
        between.ip("addr add 203.0.113.1/24 dev coordinator\nlink set coordinator up")?;
        coordinator.ip(&format!(
            "addr add {COORDINATOR}/24 dev eth0\nlink set eth0 up\nroute add default via 203.0.113.1"
        ))?;
        let homes = [Home::build(&between, 0)?, Home::build(&between, 1)?, Home::build(&between, 2)?];
        Ok(Self { coordinator, homes, between })
    }
}

/// A machine behind a router that translates its address.
#[derive(Debug)]
pub struct Home {
    number: u8,
    machine: Namespace,
    router: Namespace,
}

impl Home {
    fn build(between: &Namespace, number: u8) -> Result<Self, String> {
        let (router, machine) = (unique("router")?, unique("machine")?);
        let home = Self { number, machine, router };
        let (wan, gateway) = (home.public_address(), home.gateway());
        between.ip(&format!(
            "link add name home{number} type veth peer name wan netns {}\naddr add {gateway}/30 dev home{number}\n\
             link set home{number} up",
            home.router.name()
        ))?;
        home.router.forward()?;
        home.router.ip(&format!(
            "addr add {wan}/30 dev wan\nlink set wan up\nroute add default via {gateway}\n\
             link add name lan type veth peer name eth0 netns {}\naddr add 192.168.{number}.1/24 dev lan\nlink set lan up",
            home.machine.name()
        ))?;
        home.machine.ip(&format!(
            "addr add 192.168.{number}.2/24 dev eth0\nlink set eth0 up\nroute add default via 192.168.{number}.1"
        ))?;
        home.set_rules(PORTS, Udp::All);
        Ok(home)
    }

    /// The namespace of its machine.
    pub fn machine(&self) -> &str {
        self.machine.name()
    }

    /// Where everybody else sees it.
    pub fn public_address(&self) -> String {
        format!("198.51.100.{}", 4 * self.number + 2)
    }

    fn gateway(&self) -> String {
        format!("198.51.100.{}", 4 * self.number + 1)
    }

    fn set_rules(&self, ports: &str, udp: Udp) {
        self.router.exec(&["nft", "-f", "-"], &rules(ports, udp)).expect("rules, as in the trial");
    }

    /// Pulls the machine's cable, at the router's end.
    pub fn cut(&self) {
        self.router.ip("link set lan down").expect("a cable");
    }

    /// Plugs the machine's cable in again.
    pub fn restore(&self) {
        self.router.ip("link set lan up").expect("a cable");
    }

    /// Lets nothing of UDP through the router.
    pub fn block_udp(&self) {
        self.set_rules(PORTS, Udp::None);
    }

    /// Loses every fourth packet of UDP on the way in.
    pub fn lose_udp(&self) {
        self.set_rules(PORTS, Udp::ThreeOfFour);
    }

    /// Lets UDP through again.
    pub fn let_udp_through(&self) {
        self.set_rules(PORTS, Udp::All);
    }

    /// Makes the router forget all its translations and use other ports from now on, as a restart does.
    pub fn restart_router(&self) {
        self.set_rules(OTHER_PORTS, Udp::All);
        // When a link goes down, the kernel forgets its translations and its routes.
        let lines =
            format!("link set wan down\nlink set wan up\nroute replace default via {}", self.gateway());
        self.router.ip(&lines).expect("a cable");
    }
}
