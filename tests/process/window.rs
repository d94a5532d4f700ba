//! A window on an X server without a desktop: such a server starts anew when its last client goes, and refuses others
//! meanwhile. Skipped, with the reason, where there is no `Xvfb` or nothing to draw with.

use p2c2r_tests::programs::{Program, command};

use crate::x_server::x_server;

#[test]
fn a_game_opens_its_window_on_an_x_server_that_nobody_else_uses() {
    let Some((_server, display)) = x_server(&[]) else {
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
