//! The status page from outside: what each visitor sees, and what it shows of a running coordinator.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bevy_app::App;
use p2c2r_join::probe::{self, HttpsReply};
use p2c2r_join::{Fingerprint, Host};
use p2c2r_link::{GameSide, WorkerSide};
use p2c2r_protocol::Role;
use p2c2r_server::Shutdown;
use p2c2r_server::config::MetricsFor;
use p2c2r_server::join::WallSeconds;
use p2c2r_server::peers::Scheduler;
use std::net::SocketAddr;

use crate::lab::{Folder, Lab, PATIENCE, key, secret};
use crate::pay::earned_and_paid;
use crate::town::Town;

/// A visitor of a coordinator's pages, with a cookie if it has logged in.
#[derive(Clone)]
struct Visitor {
    host: Host,
    address: SocketAddr,
    pinned: Option<Fingerprint>,
    cookie: Option<String>,
}

impl Visitor {
    fn of_lab(lab: &Lab<'_>) -> Self {
        let host = Host { name: "127.0.0.1".to_owned(), port: lab.address.port() };
        Self { host, address: lab.address, pinned: lab.service.fingerprint(), cookie: None }
    }

    fn of_town(town: &Town) -> Self {
        let host = town.service.link().hosts[0].clone();
        let address = format!("{host}").parse().unwrap();
        Self { host, address, pinned: town.service.fingerprint(), cookie: None }
    }

    fn get(&self, path: &str) -> HttpsReply {
        let headers: Vec<_> = self.cookie.iter().map(|cookie| ("Cookie", cookie.as_str())).collect();
        self.get_with(path, &headers)
    }

    fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> HttpsReply {
        probe::get(&self.host, self.address, self.pinned, path, headers).unwrap()
    }

    /// Uses a login link, and keeps the cookie that it gets.
    fn log_in(&mut self, secret: &str) -> HttpsReply {
        let answer = self.get(&format!("/login/{secret}"));
        let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next());
        self.cookie = cookie.map(str::to_owned);
        answer
    }
}

fn printed(folder: &Folder, arguments: &[&str]) -> String {
    let output = folder.program(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim().to_owned()
}

/// The secret in the login link that the operator's command prints.
pub fn login(folder: &Folder, arguments: &[&str]) -> String {
    let link = printed(folder, &[&["page"], arguments].concat());
    let (place, secret) = link.split_once("/login/").unwrap_or_else(|| panic!("{link}"));
    assert!(place.starts_with("https://127.0.0.1:"), "{link}");
    secret.to_owned()
}

#[test]
fn a_login_link_lets_one_browser_in_once_and_its_cookie_is_for_this_page_alone() {
    let folder = Folder::new();
    let lab = folder.start();
    let mut operator = Visitor::of_lab(&lab);
    let secret = login(&folder, &[]);
    let answer = operator.log_in(&secret);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    let cookie = answer.header("set-cookie").unwrap();
    for part in ["__Host-p2c2r=", "Secure", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    assert!(operator.get("/").body.contains("Log out"));
    let mut second = Visitor::of_lab(&lab);
    assert_eq!(second.log_in(&secret).status, 403, "it was used");
    assert!(second.cookie.is_none() && !second.get("/").body.contains("Log out"));
    for forged in ["", "x", &"A".repeat(32), &"A".repeat(4_000)] {
        assert!(Visitor::of_lab(&lab).log_in(forged).status >= 400, "{forged}");
        let forger = Visitor { cookie: Some(format!("__Host-p2c2r={forged}")), ..Visitor::of_lab(&lab) };
        assert!(!forger.get("/").body.contains("Log out"), "{forged}");
    }
}

#[test]
fn a_login_link_expires() {
    let folder = Folder::new();
    let lab = folder.start();
    let hour = WallSeconds(WallSeconds::now().0 - 3_600);
    let secret = folder.store().make_login(Duration::from_mins(10), hour).unwrap();
    assert_eq!(Visitor::of_lab(&lab).log_in(&secret).status, 403);
    let said = folder.program(&["page", "--expires", "2days"]);
    assert!(!said.status.success());
    assert!(String::from_utf8_lossy(&said.stderr).contains("a second to a day"), "{said:?}");
}

#[test]
fn figures_are_the_operators_and_another_token_ends_the_first() {
    let folder = Folder::new();
    let lab = folder.start();
    let visitor = Visitor::of_lab(&lab);
    let refused = visitor.get("/metrics");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
    let token = printed(&folder, &["page", "--metrics-token"]);
    let with = |token: &str| visitor.get_with("/metrics", &[("Authorization", &format!("Bearer {token}"))]);
    let shown = with(&token);
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert_eq!(shown.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(with(&token.to_lowercase()).status, 401);
    let another = printed(&folder, &["page", "--metrics-token"]);
    assert_eq!((with(&token).status, with(&another).status), (401, 200));
    let mut operator = visitor.clone();
    operator.log_in(&login(&folder, &[]));
    assert_eq!(operator.get("/metrics").status, 200);
}

#[test]
fn no_secret_is_kept() {
    let folder = Folder::new();
    let lab = folder.start();
    let mut operator = Visitor::of_lab(&lab);
    let unused = login(&folder, &[]);
    let token = printed(&folder, &["page", "--metrics-token"]);
    let used = login(&folder, &[]);
    operator.log_in(&used);
    let cookie = operator.cookie.clone().unwrap();
    let cookie = cookie.split_once('=').unwrap().1.to_owned();
    let mut read = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        read += bytes.len();
        for secret in [&unused, &token, &used, &cookie] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a secret lies in the data folder");
        }
    }
    assert!(read > 10_000, "the store was looked at");
}

#[test]
fn whoever_logs_out_is_out() {
    let folder = Folder::new();
    let lab = folder.start();
    let mut operator = Visitor::of_lab(&lab);
    operator.log_in(&login(&folder, &[]));
    let cookie = operator.cookie.clone().unwrap();
    let mut client = lab.connect();
    let head =
        format!("POST /logout HTTP/1.1\r\nHost: p2c2r\r\nCookie: {cookie}\r\nContent-Length: 0\r\n\r\n");
    client.send(head.as_bytes()).unwrap();
    assert_eq!(client.answer().unwrap().0, 303);
    assert!(!operator.get("/").body.contains("Log out"), "the cookie is good no more");
}

#[test]
fn an_address_that_asks_too_often_is_told_to_wait() {
    let folder = Folder::new();
    let lab = folder.start_with(|options| options.limits.requests_per_minute = 3);
    let visitor = Visitor::of_lab(&lab);
    let statuses: Vec<_> = (0..6).map(|_| visitor.get("/metrics").status).collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429, 429]);
    assert_eq!(visitor.get("/healthz").status, 200, "watchdogs are answered");
}

#[test]
fn a_coordinator_whose_app_hangs_is_up_and_not_ready() {
    let folder = Folder::new();
    let lab = folder.start();
    let visitor = Visitor::of_lab(&lab);
    assert_eq!(visitor.get("/healthz").status, 200);
    let answer = visitor.get("/readyz");
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("does not answer"), "{}", answer.body);
    assert!(visitor.get("/").body.contains("not ready"));
}

#[test]
fn a_running_coordinator_is_ready_until_it_closes() {
    let folder = Folder::new();
    let mut town = Town::open(&folder);
    let visitor = Visitor::of_town(&town);
    let ready = town.while_it_runs(|| visitor.get("/readyz"));
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    let said = town.while_it_runs(|| folder.program(&["ready"]));
    assert!(said.status.success(), "{said:?}");
    town.app.world().resource::<Shutdown>().request();
    town.app.update();
    // A copy may be half a second old.
    let give_up = Instant::now() + PATIENCE;
    loop {
        let answer = town.while_it_runs(|| visitor.get("/readyz"));
        if answer.status == 503 {
            assert!(answer.body.contains("closing"), "{}", answer.body);
            break;
        }
        assert!(Instant::now() < give_up, "it stays ready");
    }
    let said = town.while_it_runs(|| folder.program(&["ready"]));
    assert!(!said.status.success() && String::from_utf8_lossy(&said.stderr).contains("closing"), "{said:?}");
}

#[test]
fn the_page_says_who_is_there_without_a_script_and_whatever_they_are_called() {
    let folder = Folder::new();
    let mut town = Town::open_with(&folder, |config| {
        config.label = Some("<i>STAGING</i>".to_owned());
        config.command = "sudo <ctl>".to_owned();
    });
    let hostile = "<script>alert(1)</script>\"'&";
    let _worker = town.joined(&folder, hostile);
    let mut operator = Visitor::of_town(&town);
    let secret = login(&folder, &[]);
    let (stranger, page) = town.while_it_runs(|| {
        let stranger = operator.get("/");
        operator.log_in(&secret);
        (stranger, operator.get("/"))
    });
    assert_eq!((stranger.status, page.status), (200, 200));
    assert!(page.body.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{}", page.body);
    for body in [&stranger.body, &page.body] {
        assert!(body.contains("&lt;i&gt;STAGING"), "{body}");
        for active in ["<script", "<i>", "<img", "<link", "javascript:", " onerror", " style=", "src="] {
            assert!(!body.contains(active), "{active} in {body}");
        }
    }
    let charts = ["Tasks a second, by minute", "Latency at the coordinator", "Revenue a minute, and the fee"];
    let drawn = |body: &str| charts.map(|chart| body.contains(&format!("<figcaption>{chart}")));
    assert_eq!((drawn(&stranger.body), drawn(&page.body)), ([true, false, false], [true; 3]));
    for typed in
        ["invite gamer", "invite worker", "accounts revoke KEY", "ledger report", "page --metrics-token"]
    {
        assert!(
            page.body.contains(&format!("<code>sudo &lt;ctl&gt; {typed}</code>")),
            "{typed} in {}",
            page.body
        );
    }
    assert!(!page.body.contains("p2c2r-server"), "commands are said as they are typed here: {}", page.body);
    for theirs in ["alert(1)", "Revenue", "Fee", "Earned"] {
        assert!(!stranger.body.contains(theirs), "strangers are not told of {theirs}");
        assert!(page.body.contains(theirs), "{theirs} in {}", page.body);
    }
    assert!(
        page.body.contains("offer nothing that this coordinator can use"),
        "what is wrong: {}",
        page.body
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"),
        "{policy}"
    );
    for (name, value) in [
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
}

/// What stands between each `before` and the next `after`, in the page's order.
fn values<'a>(body: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    body.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
}

#[test]
fn the_page_says_what_workers_are_owed_and_were_paid_each_and_together() {
    let folder = Folder::new();
    earned_and_paid(&folder);
    let mut town = Town::open(&folder);
    let _worker = town.joined(&folder, "ada");
    let mut operator = Visitor::of_town(&town);
    let secret = login(&folder, &[]);
    let page = town.while_it_runs(|| {
        operator.log_in(&secret);
        operator.get("/").body
    });
    let stranger = Visitor::of_town(&town);
    for (name, sum) in [
        ("Earned by workers", "$2.500"),
        ("Of it pending", "$0.5000"),
        ("Can be paid", "$1.250"),
        ("Paid out", "$0.7500"),
    ] {
        let tile = format!("<dt>{name}</dt><dd>");
        assert_eq!(values(&page, &tile, "<"), [sum], "{name} in {page}");
    }
    for (name, own) in
        [("Earned", "$2.500"), ("Pending", "$0.5000"), ("Can be paid", "$1.250"), ("Paid out", "$0.7500")]
    {
        let cell = format!("<td data-label=\"{name}\">");
        assert_eq!(values(&page, &cell, "<").last(), Some(&own), "{name} in {page}");
    }
    let page = town.while_it_runs(|| stranger.get("/").body);
    for theirs in ["Can be paid", "Paid out", "ada"] {
        assert!(!page.contains(theirs), "strangers are not told of {theirs}");
    }
}

#[test]
fn two_accounts_of_one_name_are_told_apart_and_each_can_be_closed_as_the_page_names_it() {
    let folder = Folder::new();
    let mut town = Town::open_with(&folder, |config| {
        config.join.open.workers = true;
        config.join.open.gamers = true;
    });
    let tokens = |number, role| Arc::new(town.client_of(secret(number), role, "ada", None));
    let workers = [1, 2].map(|number| town.member::<WorkerSide>(tokens(number, Role::Worker)));
    let games = [3, 4].map(|number| town.member::<GameSide>(tokens(number, Role::Gamer)));
    let mut apps: Vec<App> = workers.into_iter().chain(games).collect();
    let give_up = Instant::now() + PATIENCE;
    loop {
        apps.iter_mut().for_each(App::update);
        town.app.update();
        let core = town.app.world().resource::<Scheduler>().core();
        if core.workers().iter().count() == 2 && core.gamers().iter().count() == 2 {
            break;
        }
        assert!(Instant::now() < give_up, "all four join");
        std::thread::yield_now();
    }
    let mut operator = Visitor::of_town(&town);
    let login = login(&folder, &[]);
    let page = town.while_it_runs(|| {
        operator.log_in(&login);
        operator.get("/").body
    });
    for (head, numbers) in [("Worker", [1, 2]), ("Account of", [1, 2]), ("Gamer", [3, 4])] {
        let cells = values(&page, &format!("<td data-label=\"{head}\">"), "</td>");
        let mut shown: Vec<_> =
            cells.iter().flat_map(|cell| values(cell, "<span class=\"faint\">", "<")).collect();
        shown.sort_unstable();
        let mut keys = numbers.map(|number| key(number).short());
        keys.sort_unstable();
        assert_eq!(shown, keys, "{head}: {cells:?}");
        for key in shown {
            let closed = folder.program(&["accounts", "revoke", key]);
            assert!(closed.status.success(), "{closed:?}");
        }
    }
}

#[test]
fn figures_are_everybodys_where_the_operator_says_so() {
    let folder = Folder::new();
    let mut town = Town::open_with(&folder, |config| config.metrics = MetricsFor::Everybody);
    let visitor = Visitor::of_town(&town);
    let answer = town.while_it_runs(|| visitor.get("/metrics"));
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("p2c2r_ready 1\n"), "{}", answer.body);
}
