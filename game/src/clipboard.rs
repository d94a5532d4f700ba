//! Reads the desktop's clipboard, so that a join link copied in another program can be pasted.

use std::sync::Arc;

use bevy::ecs::resource::Resource;

/// The function that reads the clipboard: it returns the text, or a sentence that says why there is none. The program
/// that owns the clipboard may be slow to answer, so it is called on a thread of its own.
#[derive(Resource, Clone)]
pub struct Clipboard(Arc<dyn Fn() -> Result<String, String> + Send + Sync>);

impl Default for Clipboard {
    fn default() -> Self {
        Self::asked_by(|| text_of(None))
    }
}

impl Clipboard {
    /// A clipboard whose text this function reads.
    pub fn asked_by(ask: impl Fn() -> Result<String, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// The text.
    pub(crate) fn text(&self) -> Result<String, String> {
        self.0()
    }
}

/// The clipboard's text on this X display, or on the one that `DISPLAY` names.
#[cfg(target_os = "linux")]
fn text_of(display: Option<&str>) -> Result<String, String> {
    x11::text(display)
        .unwrap_or_else(|error| Err(format!("the desktop does not say what was copied ({error})")))
}

/// Pasting is implemented for Linux alone.
#[cfg(not(target_os = "linux"))]
fn text_of(_: Option<&str>) -> Result<String, String> {
    Err("pasting works only on Linux; type @ and the name of a file that holds the link".into())
}

#[cfg(target_os = "linux")]
mod x11 {
    use std::error::Error;
    use std::time::{Duration, Instant};

    use p2c2r_join::join_link::LINK_CHARS_MAX;
    use x11rb::connection::Connection as _;
    use x11rb::protocol::Event;
    use x11rb::protocol::xproto::{
        Atom, AtomEnum, ConnectionExt as _, CreateWindowAux, SelectionNotifyEvent, WindowClass,
    };

    /// How long the program that owns the clipboard may take to answer.
    const ANSWER_MAX: Duration = Duration::from_secs(2);
    /// How often to look for its answer.
    const LOOK_EVERY: Duration = Duration::from_millis(5);

    /// Asks the owner of the selection `CLIPBOARD`, as the X Window System's conventions for clients (ICCCM, section 2)
    /// say. It opens a connection for this, since the engine does not pass on the events of its own. The outer error
    /// means that the connection failed, the inner one that there is no text to paste.
    pub(super) fn text(display: Option<&str>) -> Result<Result<String, String>, Box<dyn Error>> {
        let (server, screen) = x11rb::connect(display)?;
        let root = server.setup().roots[screen].root;
        let window = server.generate_id()?;
        let nothing = CreateWindowAux::new();
        server.create_window(0, window, root, 0, 0, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &nothing)?;
        let atom = |name: &str| -> Result<Atom, Box<dyn Error>> {
            Ok(server.intern_atom(false, name.as_bytes())?.reply()?.atom)
        };
        let (clipboard, utf8, here) = (atom("CLIPBOARD")?, atom("UTF8_STRING")?, atom("P2C2R_PASTED")?);
        server.convert_selection(window, clipboard, utf8, here, x11rb::CURRENT_TIME)?;
        server.flush()?;
        let give_up = Instant::now() + ANSWER_MAX;
        let property = loop {
            match server.poll_for_event()? {
                Some(Event::SelectionNotify(SelectionNotifyEvent { property, .. })) => break property,
                Some(_) => {}
                None if Instant::now() >= give_up => {
                    return Ok(Err("the program in which it was copied does not answer".into()));
                }
                None => std::thread::sleep(LOOK_EVERY),
            }
        };
        if property == x11rb::NONE {
            return Ok(Err("nothing was copied as text".into()));
        }
        let words = (LINK_CHARS_MAX / 4) as u32 + 1;
        let copied = server.get_property(true, window, here, AtomEnum::ANY, 0, words)?.reply()?;
        // Another type (`INCR`) means that the text is too long for one property and would come in parts.
        if copied.type_ != utf8 || copied.bytes_after > 0 {
            return Ok(Err("what was copied is too long for a join link".into()));
        }
        Ok(String::from_utf8(copied.value).map_err(|_| "what was copied is not text".into()))
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
#[path = "../../tests/process/x_server.rs"]
mod x_server;

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use p2c2r_join::join_link::LINK_CHARS_MAX;
    use x11rb::connection::Connection as _;
    use x11rb::protocol::Event;
    use x11rb::protocol::xproto::{
        ConnectionExt as _, CreateWindowAux, EventMask, PropMode, SELECTION_NOTIFY_EVENT,
        SelectionNotifyEvent, WindowClass,
    };
    use x11rb::wrapper::ConnectionExt as _;

    use super::x_server::x_server;
    use super::*;

    /// Plays a program in which `text` was copied, until the server ends.
    fn copy(display: &str, text: String) {
        let (server, screen) = x11rb::connect(Some(display)).unwrap();
        let root = server.setup().roots[screen].root;
        let window = server.generate_id().unwrap();
        let nothing = CreateWindowAux::new();
        server.create_window(0, window, root, 0, 0, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &nothing).unwrap();
        let clipboard = server.intern_atom(false, b"CLIPBOARD").unwrap().reply().unwrap().atom;
        server.set_selection_owner(window, clipboard, x11rb::CURRENT_TIME).unwrap().check().unwrap();
        std::thread::spawn(move || {
            while let Ok(event) = server.wait_for_event() {
                let Event::SelectionRequest(asked) = event else { continue };
                let (to, property) = (asked.requestor, asked.property);
                server
                    .change_property8(PropMode::REPLACE, to, property, asked.target, text.as_bytes())
                    .unwrap();
                let answer = SelectionNotifyEvent {
                    response_type: SELECTION_NOTIFY_EVENT,
                    sequence: 0,
                    time: asked.time,
                    requestor: to,
                    selection: asked.selection,
                    target: asked.target,
                    property,
                };
                server.send_event(false, to, EventMask::NO_EVENT, answer).unwrap();
                server.flush().unwrap();
            }
        });
    }

    #[test]
    fn what_was_copied_in_another_program_is_read_and_what_cannot_be_pasted_is_said() {
        let Some((_server, display)) = x_server(&["-noreset"]) else {
            eprintln!("skipped: there is no Xvfb");
            return;
        };
        let text = || text_of(Some(&display));
        assert!(text().unwrap_err().contains("nothing was copied"), "{:?}", text());
        copy(&display, "p2c2r://a.example/sesame#77\n".into());
        assert_eq!(text().as_deref(), Ok("p2c2r://a.example/sesame#77\n"));
        copy(&display, "x".repeat(LINK_CHARS_MAX + 8));
        assert!(text().unwrap_err().contains("too long"), "{:?}", text());
        assert!(text_of(Some(":none")).unwrap_err().contains("desktop"));
    }
}
