//! An X server for one test, also used by the game's own test of the clipboard.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A server of its own, which ends with the test.
pub struct XServer(Child);

impl Drop for XServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server with these arguments on a free display; returns it with the display's name once it answers, or `None`
/// where there is no `Xvfb`.
pub fn x_server(arguments: &[&str]) -> Option<(XServer, String)> {
    let mut start = Command::new("Xvfb");
    start.args(["-displayfd", "1", "-screen", "0", "640x360x24", "-nolisten", "tcp"]).args(arguments);
    let mut child = start.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let output = child.stdout.take().expect("its output is a pipe");
    let server = XServer(child);
    let mut number = String::new();
    BufReader::new(output).read_line(&mut number).expect("the server says which display it has");
    let number = number.trim();
    assert!(number.parse::<u32>().is_ok(), "no display but `{number}`");
    Some((server, format!(":{number}")))
}
