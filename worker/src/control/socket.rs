//! The socket that a running worker listens on, and how the other commands find it.

use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use crate::drain::Drain;

use super::{ACCEPT_PAUSE, Answers, ControlError, ControlLine, ControlRequest, PATIENCE, name_digits};

/// Largest request or report in bytes; ours have some hundred.
const LINE_BYTES_MAX: u64 = 16 * 1024;

/// Removes the socket's file when it is dropped.
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A file that is left behind is removed by the next worker of this name.
        let _ = fs::remove_file(&self.0);
    }
}

fn path(folder: &Path, name: &str) -> PathBuf {
    // Short, because the path of a socket has at most some hundred bytes.
    folder.join(format!("control-{}.sock", name_digits(name)))
}

/// Listens for the owner of the worker of this name, whose accounts are in `folder`; `drain` asks that worker to end.
pub fn listen(folder: &Path, name: &str, line: ControlLine, drain: Drain) -> io::Result<SocketFile> {
    let path = path(folder, name);
    if UnixStream::connect(&path).is_ok() {
        return Err(io::Error::new(ErrorKind::AddrInUse, "another worker of this name runs"));
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    let file = SocketFile(path);
    // The folder is already accessible only to its user.
    fs::set_permissions(&file.0, Permissions::from_mode(0o600))?;
    thread::Builder::new().name("control".into()).spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                thread::sleep(ACCEPT_PAUSE);
                continue;
            };
            // An invalid request is answered by closing the connection.
            let _ = answer(&stream, &line, &drain);
        }
    })?;
    Ok(file)
}

fn answer(stream: &UnixStream, line: &ControlLine, drain: &Drain) -> io::Result<()> {
    let request: ControlRequest = receive(stream)?;
    let report = line.ask(request)?;
    let sent = send(stream, &report);
    if request == ControlRequest::Finish {
        // Only after the answer: a worker with nothing to finish would exit before answering.
        drain.ask();
        line.waker.wake();
    }
    sent
}

fn send<T: serde::Serialize>(mut stream: &UnixStream, value: &T) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn receive<T: serde::de::DeserializeOwned>(stream: &UnixStream) -> io::Result<T> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// Sends a request to the running workers whose accounts are in `folder`, to all of them or to the one of this name.
/// Returns the report of each, or why there is none. A worker that does not answer holds up nobody else's request.
pub fn ask(folder: &Path, name: Option<&str>, request: ControlRequest) -> Result<Answers, ControlError> {
    let sockets = match name {
        Some(name) => vec![path(folder, name)],
        None => sockets_in(folder),
    };
    // All are asked before any is waited for.
    let asked = sockets.into_iter().filter_map(|path| {
        let asked = UnixStream::connect(&path).and_then(|stream| send(&stream, &request).map(|()| stream));
        match asked {
            // The socket file of a worker that was killed.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => None,
            asked => Some((path, asked)),
        }
    });
    let asked: Vec<_> = asked.collect();
    let answers = asked.into_iter().map(|(path, asked)| {
        let report = asked.and_then(|stream| receive(&stream));
        report.map_err(|source| ControlError::NoAnswer { path, source })
    });
    let answers: Answers = answers.collect();
    if answers.is_empty() {
        let named = name.map(|name| format!(" named {name}")).unwrap_or_default();
        return Err(ControlError::NotRunning(named, folder.display().to_string()));
    }
    Ok(answers)
}

fn sockets_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).ok().into_iter().flatten().flatten();
    let mut sockets: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let named = path.file_stem().is_some_and(|name| name.to_string_lossy().starts_with("control-"));
            named && path.extension().is_some_and(|extension| extension == "sock")
        })
        .collect();
    sockets.sort();
    sockets
}
