//! Messages to a service manager: the program says when it is ready, that it is alive, and that it ends.
#![cfg(target_os = "linux")]

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::lab::{Folder, PATIENCE};

/// The program, which is killed if the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for a message that has this line.
#[track_caller]
fn hear(socket: &UnixDatagram, line: &str) -> String {
    let give_up = Instant::now() + PATIENCE;
    let mut heard = Vec::new();
    while Instant::now() < give_up {
        let mut message = [0; 4_096];
        let Ok(length) = socket.recv(&mut message) else { break };
        let message = String::from_utf8_lossy(&message[..length]).into_owned();
        if message.lines().any(|said| said == line) {
            return message;
        }
        heard.push(message);
    }
    panic!("{line} is not among {heard:?}");
}

#[test]
fn the_service_manager_hears_ready_alive_and_stopping() {
    let folder = Folder::new();
    let path = folder.root.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_p2c2r-server"));
    command
        .args(["--listen", "127.0.0.1:0"])
        .env("P2C2R_DATA_DIR", folder.path())
        .env("NOTIFY_SOCKET", &path);
    // A tenth of a second, so that a watchdog that is fed only once is found out.
    command.env("WATCHDOG_USEC", "100000").stdout(Stdio::null());
    let mut program = Running(command.spawn().unwrap());
    let ready = hear(&socket, "READY=1");
    assert!(ready.contains("STATUS=listening on 127.0.0.1:"), "{ready}");
    for _ in 0..3 {
        let alive = hear(&socket, "WATCHDOG=1");
        assert!(alive.contains("STATUS=0 workers, 0 gamers"), "{alive}");
    }
    let killed = Command::new("kill").arg(program.0.id().to_string()).status().unwrap();
    assert!(killed.success());
    hear(&socket, "STOPPING=1");
    assert!(program.0.wait().unwrap().success());
}
