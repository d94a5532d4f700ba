//! The owner's page: the worker's state, for a browser on this computer. It is read-only and has no password, so it is
//! served only on a loopback address, and only to requests whose `Host` is local: a foreign page whose name resolves
//! here (DNS rebinding) is refused.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use maud::{Markup, html};
use p2c2r_program::web_page::{document, tile};
use p2c2r_protocol::Nanos;

use crate::control::{ACCEPT_PAUSE, ControlLine, ControlRequest, WorkerReport};

/// Largest head of a request, and most headers in it: browsers send some hundred bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 64;
/// Time-out for a browser's request, and for its reading of the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that are read at the same time; further ones wait. Browsers open some in advance, and a page must not
/// wait until these reach [`PATIENCE`].
const AT_ONCE: usize = 8;
/// Seconds after which a browser asks again.
const REFRESH_SECONDS: u32 = 5;
const STYLE: &str = include_str!("page/style.css");

/// Whether the page may be served there: where only this computer's users can ask.
pub fn may_be_at(address: SocketAddr) -> bool {
    address.ip().is_loopback()
}

/// Serves the page from now on; where, with the port that the system chose for port 0. Its owner's commands begin with
/// `command`.
pub fn serve(at: SocketAddr, line: ControlLine, command: &str) -> io::Result<SocketAddr> {
    let listener = Arc::new(TcpListener::bind(at)?);
    for _ in 0..AT_ONCE {
        let (listener, line, command) = (Arc::clone(&listener), line.clone(), command.to_owned());
        thread::Builder::new().name("page".into()).spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else {
                    thread::sleep(ACCEPT_PAUSE);
                    continue;
                };
                // An invalid request is answered by closing the connection.
                let _ = answer(stream, &line, &command);
            }
        })?;
    }
    listener.local_addr()
}

fn answer(mut stream: TcpStream, line: &ControlLine, command: &str) -> io::Result<()> {
    let asked = Asked::read(&mut stream)?;
    let reply = asked.reply(command, || line.ask(ControlRequest::Status));
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&reply.bytes())
}

/// What a browser asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    is_get: bool,
    path: String,
    host: String,
}

impl Asked {
    fn read(stream: &mut TcpStream) -> io::Result<Self> {
        let give_up = Instant::now() + PATIENCE;
        let mut head = Vec::new();
        let mut chunk = [0; 1024];
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() || head.len() > HEAD_BYTES_MAX {
                return Err(ErrorKind::InvalidData.into());
            }
            stream.set_read_timeout(Some(left))?;
            let count = stream.read(&mut chunk)?;
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            head.extend_from_slice(&chunk[..count]);
            if let Some(asked) = Self::parse(&head)? {
                return Ok(asked);
            }
        }
    }

    /// Returns `None` if the head is incomplete.
    fn parse(head: &[u8]) -> io::Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        if request.parse(head).map_err(io::Error::other)?.is_partial() {
            return Ok(None);
        }
        let host = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("host"));
        Ok(Some(Self {
            is_get: request.method == Some("GET"),
            path: request.path.unwrap_or_default().to_owned(),
            host: host.map(|host| String::from_utf8_lossy(host.value).into_owned()).unwrap_or_default(),
        }))
    }

    /// Whether the request's host is a local name or address.
    fn is_to_here(&self) -> bool {
        let name = match self.host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => self.host.as_str(),
        };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    fn reply(&self, command: &str, ask: impl FnOnce() -> io::Result<WorkerReport>) -> Reply {
        if !self.is_to_here() {
            return Reply::sentence("403 Forbidden", "this page is for this computer alone");
        }
        if !self.is_get {
            return Reply::sentence("405 Method Not Allowed", "nothing can be changed here");
        }
        match self.path.as_str() {
            "/style.css" => {
                Reply { status: "200 OK", kind: "text/css; charset=utf-8", body: STYLE.to_owned() }
            }
            "/" | "/status.json" => match ask() {
                Ok(report) if self.path == "/" => Reply {
                    status: "200 OK",
                    kind: "text/html; charset=utf-8",
                    body: page(&report, command).into_string(),
                },
                Ok(report) => Reply {
                    status: "200 OK",
                    kind: "application/json",
                    body: serde_json::json!(report).to_string(),
                },
                Err(_) => Reply::sentence("503 Service Unavailable", "the worker does not answer"),
            },
            _ => Reply::sentence("404 Not Found", "there are / and /status.json"),
        }
    }
}

/// What is answered.
#[derive(Debug)]
struct Reply {
    status: &'static str,
    kind: &'static str,
    body: String,
}

impl Reply {
    fn sentence(status: &'static str, sentence: &str) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: format!("{sentence}\n") }
    }

    fn bytes(&self) -> Vec<u8> {
        let Self { status, kind, body } = self;
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
             Content-Security-Policy: default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'\r\n\
             \r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}

fn page(report: &WorkerReport, command: &str) -> Markup {
    let title = format!("P2C2R worker {}", report.name);
    let style = html! { link rel="stylesheet" href="/style.css"; };
    let body = html! {
        header {
            h1 { "P2C2R worker " bdi { (report.name) } }
            (state(report))
        }
        (computing(report))
        (money(report))
        section {
            h2 { "What you can do" }
            p {
                "Rest for an hour: " code { (command) " pause 1h" } "; work again: " code { (command) " resume" }
                "; finish what runs, and end: " code { (command) " finish" }
                "; limits that hold from the next start on: " code { (command) " config show" }
            }
        }
    };
    document(&title, Some(REFRESH_SECONDS), &style, &body)
}

fn state(report: &WorkerReport) -> Markup {
    html! {
        @if report.takes_work() && report.connected { span.good { "● " (report.state()) } }
        @else { span.warn { "▲ " (report.state()) } }
        @if let Some(problem) = &report.problem { span.warn { " " (problem) } }
    }
}

fn computing(report: &WorkerReport) -> Markup {
    html! {
        section {
            h2 { "Computing" }
            dl {
                (tile("Coordinator", &report.coordinator))
                (tile("Slots now", format!("{} of {}", report.slots_now, report.slots)))
                (tile("Each slot's time", format!("{} % at most", report.cpu_percent_max)))
                @if let (Some(most), Some(now)) = (report.gpu_percent_max, report.gpu_percent) {
                    (tile("Graphics, last minute", format!("{now:.0} % of {most} %")))
                }
                (tile("Tasks under way", report.held))
                (tile("Computed", report.computed))
                (tile("Failed", report.failed))
                (tile("Accepted", report.accepted))
                (tile("Rejected", report.rejected))
                (tile("Up for", format!("{} min", report.uptime_seconds / 60)))
            }
        }
    }
}

fn money(report: &WorkerReport) -> Markup {
    let said = |nanos: Option<i64>| nanos.map_or_else(|| "–".to_owned(), |nanos| Nanos(nanos).to_string());
    html! {
        section {
            h2 { "Earnings" }
            dl {
                (tile("Since the start", Nanos(report.earned_nanos)))
                (tile("An hour", said(report.earned_per_hour_nanos)))
                @if let Some(net) = report.net() { (tile("Net of electricity", net)) }
                (tile("Pending", said(report.account_pending_nanos)))
                (tile("Confirmed", said(report.account_confirmed_nanos)))
                (tile("Paid", said(report.account_paid_nanos)))
            }
            p { "Pending, confirmed and paid are of the account, over all starts. Pay is pending until the coordinator's fraud window is over." }
        }
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_link::Waker;

    use super::*;
    use crate::control::Control;

    fn asked(head: &str) -> Asked {
        Asked::parse(head.as_bytes()).unwrap().unwrap()
    }

    fn get(path: &str, host: &str) -> Reply {
        let report = WorkerReport { name: "<b>ada".to_owned(), connected: true, ..WorkerReport::default() };
        asked(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).reply("ctl", || Ok(report))
    }

    #[test]
    fn only_a_browser_that_asked_for_this_computer_is_answered() {
        for host in ["localhost", "LocalHost:8766", "127.0.0.1:8766", "127.0.0.1", "[::1]:8766", "[::1]"] {
            assert_eq!(get("/", host).status, "200 OK", "{host}");
        }
        for host in
            ["", "example.org", "localhost.example.org:8766", "127.0.0.1.example.org", "192.0.2.1:8766", ":1"]
        {
            let reply = get("/", host);
            assert_eq!(reply.status, "403 Forbidden", "{host}");
            assert!(!reply.body.contains("ada"), "{host}");
        }
        assert!(may_be_at("127.0.0.1:1".parse().unwrap()) && may_be_at("[::1]:1".parse().unwrap()));
        assert!(!may_be_at("0.0.0.0:1".parse().unwrap()) && !may_be_at("192.0.2.1:1".parse().unwrap()));
    }

    #[test]
    fn names_are_escaped_and_nothing_else_is_there() {
        let page = get("/", "localhost");
        assert!(page.body.contains("&lt;b&gt;ada") && !page.body.contains("<b>"), "{}", page.body);
        assert!(page.body.contains("<code>ctl pause 1h</code>"), "{}", page.body);
        for active in ["<script", "http://", "https://", " style="] {
            assert!(!page.body.contains(active), "{active} in {}", page.body);
        }
        let report: WorkerReport = serde_json::from_str(&get("/status.json", "localhost").body).unwrap();
        assert_eq!(report.name, "<b>ada");
        assert_eq!(get("/style.css", "localhost").body, STYLE);
        assert_eq!(get("/../etc/passwd", "localhost").status, "404 Not Found");
        let post = asked("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(post.reply("ctl", || panic!("nobody is asked")).status, "405 Method Not Allowed");
        let silent = asked("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(silent.reply("ctl", || Err(ErrorKind::TimedOut.into())).status, "503 Service Unavailable");
    }

    #[test]
    fn why_it_is_not_connected_is_said_on_the_page_and_by_the_command() {
        let problem = Some("This account is closed: ask the operator".to_owned());
        let refused = WorkerReport { name: "ada".to_owned(), problem, ..WorkerReport::default() };
        for text in [page(&refused, "ctl").into_string(), refused.to_string()] {
            assert!(text.contains("This account is closed: ask the operator"), "{text}");
            assert!(text.contains("waiting for its coordinator") && !text.contains("working"), "{text}");
        }
    }

    #[test]
    fn connections_that_ask_nothing_hold_up_nobody() {
        let (_control, line) = Control::open(Waker::default());
        let at = serve("127.0.0.1:0".parse().unwrap(), line, "ctl").unwrap();
        let silent: Vec<_> = (1..AT_ONCE).map(|_| TcpStream::connect(at).unwrap()).collect();
        let mut asking = TcpStream::connect(at).unwrap();
        write!(asking, "GET /style.css HTTP/1.1\r\nHost: {at}\r\n\r\n").unwrap();
        let mut answer = String::new();
        asking.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with(STYLE), "{answer}");
        for mut stream in silent {
            stream.set_nonblocking(true).unwrap();
            let error = stream.read(&mut [0]).expect_err("it is still waited for, not closed");
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn heads_that_are_no_heads_or_too_long_are_refused() {
        assert_eq!(Asked::parse(b"GET / HTTP/1.1\r\nHost: loc").unwrap(), None);
        assert!(Asked::parse(b"\x16\x03\x01\x02\x00\x01").is_err(), "a browser that asks for https");
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS_MAX + 1));
        assert!(Asked::parse(many.as_bytes()).is_err());
    }
}
