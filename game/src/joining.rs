//! Joining a coordinator from the settings: a join link is typed and checked as it is typed; the coordinator is asked, and
//! the account kept, off the app's thread.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bevy::prelude::*;
use p2c2r_join::join_link::LINK_CHARS_MAX;
use p2c2r_join::{
    FETCH_MAX, JoinClient, JoinLink, JoinLinkError, Membership, MembershipError, Memberships, read_link,
};
use p2c2r_link::{ClientLink, NoToken, fetch};
use p2c2r_offload::{BorrowFrom, OffloadConfig};
use p2c2r_protocol::{Digest, ProtocolIdentity, Role};

use crate::cli::{NAME_DEFAULT, StartOptions};
use crate::clipboard::Clipboard;
use crate::screens::Page;

/// How long the coordinator may take to let the player in: longer than a try, whose answer says who was asked.
const ASK_MAX: Duration = FETCH_MAX.saturating_add(Duration::from_secs(5));
/// Letters of the typed text that are shown: its end, where the player types.
const SHOWN_MAX: usize = 56;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Clipboard>()
        .add_systems(Update, (take_pasted, finish))
        .add_systems(OnExit(Page::Join), |mut joining: ResMut<JoinDialog>| joining.forget());
}

/// The coordinator that the game borrows from, and the join link that is being typed.
#[derive(Resource)]
pub struct JoinDialog {
    asks: Asks,
    /// Where the coordinator is.
    coordinator: Option<String>,
    typed: String,
    /// The clipboard's text, asked for and not there yet.
    pasting: Option<Awaited<Result<String, String>>>,
    stage: Stage,
}

/// The name that the player joins by, and the folder that keeps the account.
#[derive(Clone)]
struct Asks {
    name: String,
    folder: Option<PathBuf>,
    identity: ProtocolIdentity,
}

enum Stage {
    Typing,
    Asking(Awaited<Result<JoinClient, String>>),
    Failed(String),
    Joined { at_once: bool },
}

impl JoinDialog {
    /// The dialog of a game that was started like this, with nothing typed yet.
    pub(crate) fn new(start: &StartOptions, offload: &OffloadConfig) -> Self {
        let asks = Asks {
            name: start.name.clone().unwrap_or_else(|| NAME_DEFAULT.to_owned()),
            folder: start.keys.clone(),
            identity: offload.kinds.identity(),
        };
        let coordinator = offload.coordinator.clone();
        Self { asks, coordinator, typed: String::new(), pasting: None, stage: Stage::Typing }
    }

    /// What tells the account that the game uses from others: games with the same account have the same.
    pub(crate) fn account(&self) -> String {
        let Asks { name, folder, .. } = &self.asks;
        Digest::of(format!("{:?} {name:?} {folder:?}", self.coordinator).as_bytes()).to_string()[..8]
            .to_owned()
    }

    /// Where the coordinator is, and whether the game is connected to it.
    pub(crate) fn coordinator(&self, connected: bool) -> String {
        match (&self.coordinator, connected) {
            (Some(place), true) => format!("{place}, connected"),
            (Some(place), false) => format!("{place}, not connected"),
            (None, true) => "connected".into(),
            (None, false) => "none yet".into(),
        }
    }

    /// Adds letters to the typed text, which cannot be changed while the coordinator is being asked.
    pub(crate) fn type_in(&mut self, letters: &str) {
        if matches!(self.stage, Stage::Asking(_)) || self.typed.len() + letters.len() > LINK_CHARS_MAX {
            return;
        }
        self.stage = Stage::Typing;
        self.typed.extend(letters.chars().filter(|letter| !letter.is_control()));
    }

    /// Asks for the clipboard's text.
    pub(crate) fn paste(&mut self, clipboard: &Clipboard) {
        if matches!(self.stage, Stage::Asking(_)) || self.pasting.is_some() {
            return;
        }
        let clipboard = clipboard.clone();
        match Awaited::of("paste", move || clipboard.text()) {
            Ok(pasting) => self.pasting = Some(pasting),
            Err(why) => self.stage = Stage::Failed(why),
        }
    }

    /// Types the clipboard's text once it is there.
    fn take_pasted(&mut self) {
        let Some(answer) = self.pasting.as_mut().and_then(Awaited::take) else { return };
        self.pasting = None;
        match answer.flatten() {
            Ok(text) if self.typed.len() + text.trim().len() > LINK_CHARS_MAX => {
                self.stage = Stage::Failed("with the pasted text it is too long for a join link".into());
            }
            Ok(text) => self.type_in(text.trim()),
            Err(why) => self.stage = Stage::Failed(why),
        }
    }

    /// Takes back the last letter.
    pub(crate) fn erase(&mut self) {
        if !matches!(self.stage, Stage::Asking(_)) {
            self.stage = Stage::Typing;
            self.typed.pop();
        }
    }

    /// The end of the typed text, with stars for the invite, which is a secret.
    pub(crate) fn shown(&self) -> String {
        let masked = masked(&self.typed);
        let count = masked.chars().count();
        let cut = if count > SHOWN_MAX { ".." } else { "" };
        let end: String = masked.chars().skip(count.saturating_sub(SHOWN_MAX)).collect();
        format!("{cut}{end}_")
    }

    /// A sentence about the typed link, or about the coordinator's answer to it.
    pub(crate) fn note(&self) -> String {
        match (&self.stage, self.check()) {
            (Stage::Asking(_), _) => "Asking the coordinator ...".into(),
            (Stage::Failed(why), _) => format!("Nothing has changed: {why}"),
            (Stage::Joined { at_once: true }, _) => {
                "You are in. From now on you borrow from this coordinator, after the next start too.".into()
            }
            (Stage::Joined { at_once: false }, _) => {
                "You are in. This run was started to play alone; you borrow from the next start on.".into()
            }
            (Stage::Typing, Ok(())) => {
                "Enter asks the coordinator; nothing changes until it lets you in.".into()
            }
            (Stage::Typing, Err(wrong)) => wrong,
        }
    }

    /// Whether the coordinator can be asked; a file is read only then.
    fn check(&self) -> Result<(), String> {
        match (self.typed.trim(), self.typed.trim().strip_prefix('@')) {
            ("", _) => Err("Nothing is typed yet.".into()),
            (_, Some("")) => Err("The file's name follows the @.".into()),
            (_, Some(file)) if file.contains("://") => Err("A link is typed without the @.".into()),
            (_, Some(_)) => Ok(()),
            (link, None) => link.parse::<JoinLink>().map(drop).map_err(fault_of),
        }
    }

    /// Asks the coordinator of the typed link, on a thread of its own. A pasted text that has not come yet is dropped.
    pub(crate) fn begin(&mut self) {
        if matches!(self.stage, Stage::Asking(_)) || self.check().is_err() {
            return;
        }
        self.pasting = None;
        let (asks, typed) = (self.asks.clone(), self.typed.trim().to_owned());
        self.stage = Awaited::of("join", move || asks.join(&typed)).map_or_else(Stage::Failed, Stage::Asking);
    }

    fn answer(&mut self) -> Option<Result<JoinClient, String>> {
        let Stage::Asking(answer) = &mut self.stage else { return None };
        answer.take().map(Result::flatten)
    }

    /// Nothing typed stays behind when the page is left.
    fn forget(&mut self) {
        self.typed.clear();
        self.pasting = None;
        if !matches!(self.stage, Stage::Asking(_)) {
            self.stage = Stage::Typing;
        }
    }
}

/// The result of work on a thread of its own.
struct Awaited<T>(
    /// The lock makes the receiver `Sync`; only one system at a time reads it.
    Mutex<Receiver<T>>,
);

impl<T: Send + 'static> Awaited<T> {
    /// Begins; the error is a sentence.
    fn of(name: &str, find_out: impl FnOnce() -> T + Send + 'static) -> Result<Self, String> {
        let (sender, receiver) = channel();
        let spawned = std::thread::Builder::new().name(name.into()).spawn(move || {
            // Sending fails where nobody waits for the result any longer.
            let _ = sender.send(find_out());
        });
        match spawned {
            Ok(_) => Ok(Self(Mutex::new(receiver))),
            Err(error) => Err(format!("this computer cannot start another thread ({error})")),
        }
    }

    /// The result, once, or why there is none; `None` while the work goes on.
    fn take(&mut self) -> Option<Result<T, String>> {
        match self.0.get_mut().unwrap_or_else(PoisonError::into_inner).try_recv() {
            Ok(found) => Some(Ok(found)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err("the game itself failed at that".into())),
        }
    }
}

impl Asks {
    /// Gets a first connect token with the typed link. Only if the coordinator gives one is the account kept, as the one
    /// used last, with which the next start begins.
    fn join(&self, typed: &str) -> Result<JoinClient, String> {
        let kept = |error: MembershipError| error.to_string();
        let link = read_link(typed).map_err(|error| match error {
            MembershipError::Link(error) => fault_of(error),
            error => kept(error),
        })?;
        let memberships = match &self.folder {
            Some(folder) => Memberships::in_folder(folder.clone()),
            None => Memberships::of_user().map_err(kept)?,
        };
        let known = memberships.known(&link, Role::Gamer, &self.name).map_err(kept)?;
        let is_known = known.is_some();
        let membership = match known {
            Some(membership) => membership,
            None => Membership::new(link.clone(), Role::Gamer, &self.name).map_err(kept)?,
        };
        let client = membership.client(self.identity.clone());
        match fetch(&client, ASK_MAX) {
            Ok(_) => {}
            Err(NoToken::Refused { reason } | NoToken::Unreachable { reason }) => return Err(reason.detail),
        }
        if is_known || !memberships.adopt(&membership).map_err(kept)? {
            memberships.join(link, Role::Gamer, &self.name).map_err(kept)?;
        }
        Ok(client)
    }
}

/// What is wrong with a link. Where the error repeats the text, the invite in it is not shown.
fn fault_of(error: JoinLinkError) -> String {
    match error {
        JoinLinkError::Scheme(text) => JoinLinkError::Scheme(masked(&text)).to_string(),
        error => error.to_string(),
    }
}

/// The text with its invite, which is between the place and the fingerprint, as stars; a file's name as it is.
fn masked(text: &str) -> String {
    let place = text.find("://").map_or(0, |at| at + "://".len());
    match text[place..].split_once('/') {
        Some((host, rest)) if !text.starts_with('@') || place > 0 => {
            let (invite, print) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
            format!("{}{host}/{}{print}", &text[..place], "*".repeat(invite.chars().count()))
        }
        _ => text.to_owned(),
    }
}

fn take_pasted(mut joining: ResMut<JoinDialog>) {
    joining.take_pasted();
}

/// Takes the coordinator's answer, and has the game borrow from it.
fn finish(
    mut joining: ResMut<JoinDialog>,
    link: Option<Res<ClientLink>>,
    mut others: MessageWriter<BorrowFrom>,
) {
    match joining.answer() {
        None => {}
        Some(Err(why)) => joining.stage = Stage::Failed(why),
        Some(Ok(client)) => {
            joining.typed.clear();
            joining.coordinator = Some(client.place());
            joining.stage = Stage::Joined { at_once: link.is_some() };
            others.write(BorrowFrom(Arc::new(client)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialog() -> JoinDialog {
        let identity = ProtocolIdentity { id: 1, text: String::new() };
        let asks = Asks { name: NAME_DEFAULT.into(), folder: None, identity };
        JoinDialog { asks, coordinator: None, typed: String::new(), pasting: None, stage: Stage::Typing }
    }

    #[test]
    fn a_link_behind_an_at_sign_is_no_file_and_its_invite_is_not_shown() {
        let mut dialog = dialog();
        dialog.type_in("@p2c2r://a.example/sesame#77");
        assert_eq!(dialog.shown(), "@p2c2r://a.example/******#77_");
        assert_eq!(dialog.note(), "A link is typed without the @.");
        dialog.begin();
        assert!(matches!(dialog.stage, Stage::Typing), "{}", dialog.note());
    }

    #[test]
    fn a_damaged_link_in_a_file_is_named_without_its_invite() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "p2cr://a.example/sesame#77\n").unwrap();
        let error = dialog().asks.join(&format!("@{}", file.path().display())).err().unwrap();
        assert!(error.contains("p2cr://a.example/******#77"), "{error}");
    }

    #[test]
    fn a_paste_that_fails_later_does_not_hide_what_the_coordinator_answers() {
        let mut dialog = dialog();
        let (copied, asked) = channel::<()>();
        let asked = Mutex::new(asked);
        let clipboard = Clipboard::asked_by(move || {
            let _ = asked.lock().unwrap().recv();
            Err("nothing was copied".into())
        });
        dialog.paste(&clipboard);
        dialog.type_in("@/no/such/link");
        dialog.begin();
        drop(copied);
        while dialog.pasting.is_some() {
            dialog.take_pasted();
            std::thread::yield_now();
        }
        assert!(matches!(dialog.stage, Stage::Asking(_)), "{}", dialog.note());
    }

    #[test]
    fn an_invite_is_never_shown_however_the_link_is_mistyped() {
        for (typed, shown) in [
            ("p2c2r://a.example:1/sesame#77", "p2c2r://a.example:1/******#77"),
            ("p2c2r://a.example/sesa", "p2c2r://a.example/****"),
            ("p2cr://a.example/sesame", "p2cr://a.example/******"),
            ("a.example/sesame", "a.example/******"),
            ("@/tmp/link", "@/tmp/link"),
            ("p2c2r:/", "p2c2r:/"),
        ] {
            assert_eq!(masked(typed), shown);
        }
    }
}
