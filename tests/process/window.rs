//! A window on an X server without a desktop: such a server starts anew when its last client goes, and refuses others
//! meanwhile. Skipped, with the reason, where there is no `Xvfb` or nothing to draw with.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use p2c2r_tests::programs::{Program, command};

/// A server of its own, which ends with the test.
struct XServer(Child);

impl Drop for XServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server on a free display; returns it with the display's name once it answers.
fn x_server() -> Option<(XServer, String)> {
    let mut start = Command::new("Xvfb");
    start.args(["-displayfd", "1", "-screen", "0", "640x360x24", "-nolisten", "tcp"]);
    let mut child = start.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let output = child.stdout.take().expect("its output is a pipe");
    let server = XServer(child);
    let mut number = String::new();
    BufReader::new(output).read_line(&mut number).expect("the server says which display it has");
    let number = number.trim();
    assert!(number.parse::<u32>().is_ok(), "no display but `{number}`");
    Some((server, format!(":{number}")))
}

#[test]
fn a_game_opens_its_window_on_an_x_server_that_nobody_else_uses() {
    let Some((_server, display)) = x_server() else {
        eprintln!("skipped: there is no Xvfb");
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The server starts anew after each of them.
    for _ in 0..2 {
        let mut game = command("p2c2r-game");
        game.args(["--local", "--seconds=1", "--page=play", "--quality=low", "--window=320x180"]);
        game.arg("--settings").arg(folder.path()).env("DISPLAY", &display).env_remove("WAYLAND_DISPLAY");
        let mut game = Program::start("game", game);
        let ended = game.ended();
        let said = game.seen();
        if said.contains("nothing to draw with") {
            eprintln!("skipped: {said}");
            return;
        }
        assert!(ended.success(), "{ended}: {said}");
    }
}
