//! A game joins a coordinator by a link that is typed in the settings.

use std::path::Path;
use std::time::Instant;

use p2c2r_game::Clipboard;
use p2c2r_join::{JoinLink, Memberships};
use p2c2r_link::{ClientLink, ServerTransport};
use p2c2r_protocol::{Nanos, Role};
use p2c2r_server::ServerConfig;
use p2c2r_server::config::LEDGER_FILE;
use p2c2r_server::join::{
    AccountStore, JoinService, NewInvite, WallSeconds, bind_both, let_people_in, make_data_folder,
};

use super::*;

/// How long a test waits for what must come before it fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// A coordinator that lets people in over HTTPS and UDP, stepped by hand.
struct Coordinator {
    app: App,
    service: JoinService,
    folder: tempfile::TempDir,
}

impl Coordinator {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        make_data_folder(&data_dir).unwrap();
        let config = ServerConfig { db: data_dir.join(LEDGER_FILE), data_dir, ..ServerConfig::default() };
        let (udp, tcp) = bind_both("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut app = p2c2r_server::build_app(config.clone(), ServerTransport::Udp(udp)).unwrap();
        let service = let_people_in(&mut app, &config, tcp).unwrap();
        Self { app, service, folder }
    }

    /// A link for one gamer.
    fn link(&self) -> JoinLink {
        let expires_in = Duration::from_hours(1);
        let invite = NewInvite { role: Role::Gamer, label: None, uses: 1, expires_in, credit: Nanos(7) };
        let mut store = AccountStore::open(&self.folder.path().join("data")).unwrap();
        let invite = Some(store.invite(&invite, WallSeconds::now()).unwrap());
        JoinLink { invite, ..self.service.link().clone() }
    }

    fn place(&self) -> String {
        self.service.link().hosts[0].to_string()
    }
}

/// On the page on which a link is typed, with accounts in this folder.
fn on_the_page(keys: &Path, link: Option<ClientTransport>) -> App {
    let keys = keys.to_str().unwrap();
    let cli =
        GameCli::try_parse_from(["p2c2r-game", "--headless", "--local", "--page=title", "--keys", keys])
            .unwrap();
    let mut offload = app::offload_config(&cli).unwrap();
    offload.link = link;
    let mut app = app::build(&cli, offload).unwrap();
    app.finish();
    app.cleanup();
    play(&mut app, 3);
    for page in [Page::Settings, Page::Borrowing, Page::Join] {
        choose(&mut app, MenuAction::Go(page));
    }
    app
}

/// Types a text, every letter with the S key, which moves through menus on pages where nothing is typed.
fn type_in(app: &mut App, text: &str) {
    for letter in text.chars() {
        let pressed = stroke(KeyCode::KeyS, ButtonState::Pressed);
        app.world_mut().write_message(KeyboardInput { text: Some(letter.to_string().into()), ..pressed });
        app.world_mut().write_message(stroke(KeyCode::KeyS, ButtonState::Released));
    }
    play(app, 2);
}

fn typed(app: &App) -> &str {
    menu(app).items[0].value.as_deref().unwrap()
}

/// Steps everybody until the page says this.
#[track_caller]
fn until_it_says(game: &mut App, coordinators: &mut [&mut Coordinator], words: &str) {
    let give_up = Instant::now() + PATIENCE;
    let says = |game: &App| [menu(game).note.as_str(), &menu(game).lines.join("\n")].join("\n");
    while !says(game).contains(words) {
        game.update();
        for coordinator in coordinators.iter_mut() {
            coordinator.app.update();
        }
        assert!(Instant::now() < give_up, "`{words}` is not in:\n{}", says(game));
    }
}

/// The place of the coordinator that the next start borrows from.
fn used_last(keys: &Path) -> Option<String> {
    let membership = Memberships::in_folder(keys.into()).latest(Role::Gamer, None).unwrap()?;
    Some(membership.link.hosts[0].to_string())
}

#[test]
fn a_link_is_checked_as_it_is_typed_and_its_invite_is_not_shown() {
    let keys = tempfile::tempdir().unwrap();
    let mut app = on_the_page(keys.path(), Some(ClientTransport::Later));
    for (more, said) in [
        ("p2", "a join link begins with p2c2r://, this is `p2`"),
        ("c2r://", "`` is not a place such as"),
        ("a.example", "Enter asks the coordinator"),
        ("/ses@me", "the invite in this join link is damaged"),
        ("#77", "the invite in this join link is damaged"),
    ] {
        type_in(&mut app, more);
        assert!(menu(&app).note.contains(said), "after `{more}`: {}", menu(&app).note);
    }
    assert_eq!(typed(&app), "p2c2r://a.example/******#77_");
    press(&mut app, KeyCode::Enter);
    assert!(menu(&app).note.contains("damaged"), "nobody is asked by a wrong link");
    for _ in 0.."ses@me#77".len() {
        press(&mut app, KeyCode::Backspace);
    }
    type_in(&mut app, "sesame#77");
    assert!(menu(&app).note.contains("the fingerprint behind the #"), "{}", menu(&app).note);
    press(&mut app, KeyCode::Escape);
    assert_eq!(page(&app), Page::Borrowing);
    choose(&mut app, MenuAction::Go(Page::Join));
    assert_eq!(typed(&app), "_", "nothing typed stays behind");
    assert_eq!(used_last(keys.path()), None);
}

#[test]
fn keys_type_and_do_nothing_else_and_a_pad_leaves_the_page() {
    let keys = tempfile::tempdir().unwrap();
    let mut app = on_the_page(keys.path(), Some(ClientTransport::Later));
    let pad = connect_pad(&mut app);
    let before = (settings(&app).clone(), app.world().resource::<OffloadSwitch>().enabled);
    for (key, text) in [
        (KeyCode::KeyW, "w"),
        (KeyCode::KeyA, "a"),
        (KeyCode::KeyS, "s"),
        (KeyCode::KeyD, "d"),
        (KeyCode::Space, " "),
        (KeyCode::KeyT, "t"),
        (KeyCode::KeyR, "r"),
        (KeyCode::KeyP, "p"),
        (KeyCode::KeyX, "x"),
    ] {
        let pressed = stroke(key, ButtonState::Pressed);
        app.world_mut().write_message(KeyboardInput { text: Some(text.into()), ..pressed });
        app.world_mut().write_message(stroke(key, ButtonState::Released));
        play(&mut app, 2);
    }
    for key in [KeyCode::F3, KeyCode::F4, KeyCode::F5, KeyCode::ArrowLeft, KeyCode::Backspace] {
        press(&mut app, key);
    }
    // A letter pressed together with Control types nothing.
    app.world_mut().write_message(stroke(KeyCode::ControlLeft, ButtonState::Pressed));
    play(&mut app, 1);
    type_in(&mut app, "v");
    assert_eq!(typed(&app), "wasd trp_");
    let after = (settings(&app).clone(), app.world().resource::<OffloadSwitch>().enabled);
    assert_eq!((page(&app), menu(&app).chosen, after), (Page::Join, 0, before));
    tap(&mut app, pad, GamepadButton::DPadDown);
    tap(&mut app, pad, GamepadButton::South);
    assert_eq!(page(&app), Page::Borrowing);
}

/// Presses a key while another is held, and waits until the pasted text, or a note that there is none, is shown.
fn paste_by(app: &mut App, held: KeyCode, key: KeyCode, logical_key: Key) {
    let before = (typed(app).to_owned(), menu(app).note.clone());
    app.world_mut().write_message(stroke(held, ButtonState::Pressed));
    play(app, 1);
    app.world_mut().write_message(KeyboardInput { logical_key, ..stroke(key, ButtonState::Pressed) });
    play(app, 1);
    app.world_mut().write_message(stroke(key, ButtonState::Released));
    app.world_mut().write_message(stroke(held, ButtonState::Released));
    let give_up = Instant::now() + PATIENCE;
    while (typed(app), &menu(app).note) == (before.0.as_str(), &before.1) {
        app.update();
        assert!(Instant::now() < give_up, "nothing was pasted");
    }
}

#[test]
fn a_copied_link_is_pasted_behind_what_is_typed_and_what_cannot_be_is_said() {
    let none = || Key::Unidentified(NativeKey::Unidentified);
    let letter = |letter: &str| Key::Character(letter.into());
    let keys = tempfile::tempdir().unwrap();
    let mut app = on_the_page(keys.path(), Some(ClientTransport::Later));
    for (held, key, logical_key) in [
        (KeyCode::ControlLeft, KeyCode::KeyV, none()),
        (KeyCode::ControlRight, KeyCode::KeyV, letter("v")),
        // A keyboard on which V is elsewhere, and one that has none.
        (KeyCode::ControlLeft, KeyCode::Period, letter("v")),
        (KeyCode::ControlLeft, KeyCode::KeyV, letter("м")),
        (KeyCode::SuperLeft, KeyCode::KeyV, none()),
        (KeyCode::ShiftLeft, KeyCode::Insert, none()),
    ] {
        app.insert_resource(Clipboard::asked_by(|| Ok(" a.example/sesame#77\n".into())));
        type_in(&mut app, "p2c2r://");
        paste_by(&mut app, held, key, logical_key);
        assert_eq!(typed(&app), "p2c2r://a.example/******#77_");
        press(&mut app, KeyCode::Escape);
        choose(&mut app, MenuAction::Go(Page::Join));
        assert_eq!(typed(&app), "_");
    }
    for (copied, said) in
        [(Ok("x".repeat(100_000)), "too long"), (Err("no such thing".to_owned()), "no such thing")]
    {
        app.insert_resource(Clipboard::asked_by(move || copied.clone()));
        paste_by(&mut app, KeyCode::ControlLeft, KeyCode::KeyV, none());
        assert!(menu(&app).note.contains(said) && typed(&app) == "_", "{}", menu(&app).note);
    }
}

#[test]
fn a_typed_link_is_borrowed_from_at_once_and_after_the_next_start_until_another_is_typed() {
    let (mut one, mut other) = (Coordinator::open(), Coordinator::open());
    let (at_one, at_other) = (one.place(), other.place());
    let keys = tempfile::tempdir().unwrap();
    let mut app = on_the_page(keys.path(), Some(ClientTransport::Later));
    assert!(menu(&app).lines[0].ends_with("none yet"), "{:?}", menu(&app).lines);
    let link = one.link();
    type_in(&mut app, &link.to_string());
    press(&mut app, KeyCode::Enter);
    until_it_says(&mut app, &mut [&mut one], "You are in. From now on");
    until_it_says(&mut app, &mut [&mut one], &format!("{at_one}, connected"));
    until_it_says(&mut app, &mut [&mut one], "Connected: other computers help.");
    assert_eq!(used_last(keys.path()), Some(at_one.clone()));

    // By a link that does not open the other, nothing changes.
    let wrong = JoinLink { invite: Some("sesame".into()), ..other.link() };
    type_in(&mut app, &wrong.to_string());
    press(&mut app, KeyCode::Enter);
    until_it_says(&mut app, &mut [&mut one, &mut other], "Nothing has changed: ");
    assert!(app.world().resource::<ClientLink>().is_connected());
    assert_eq!(used_last(keys.path()), Some(at_one.clone()));

    // From a file, since a link is long.
    let file = keys.path().join("link");
    std::fs::write(&file, other.link().to_string()).unwrap();
    press(&mut app, KeyCode::Escape);
    choose(&mut app, MenuAction::Go(Page::Join));
    type_in(&mut app, &format!("@{}", file.display()));
    press(&mut app, KeyCode::Enter);
    until_it_says(&mut app, &mut [&mut one, &mut other], "You are in. From now on");
    until_it_says(&mut app, &mut [&mut one, &mut other], &format!("{at_other}, connected"));
    assert_eq!(used_last(keys.path()), Some(at_other));
}

#[test]
fn a_run_that_was_to_borrow_from_nobody_borrows_from_the_next_start_on() {
    let mut coordinator = Coordinator::open();
    let keys = tempfile::tempdir().unwrap();
    let mut app = on_the_page(keys.path(), None);
    type_in(&mut app, &coordinator.link().to_string());
    press(&mut app, KeyCode::Enter);
    until_it_says(&mut app, &mut [&mut coordinator], "you borrow from the next start on");
    assert_eq!(used_last(keys.path()), Some(coordinator.place()));
}
