//! The same over real sockets on this machine.

use std::net::SocketAddr;
use std::time::Duration;

use bevy_app::{App, AppExit, Startup, Update};
use bevy_ecs::message::{MessageReader, MessageWriter};
use bevy_ecs::system::{Local, Res, ResMut};
use bevy_time::TimeUpdateStrategy;
use p2c2r_link::{
    ClientLink, ClientTransport, EventDrivenPlugin, GameSide, LinkStatus, LinkUp, Mint, NextWake, PeerJoined,
    PeerLeft, ServerTransport, Waker, bind_server,
};

use crate::harness::*;

#[test]
fn a_game_joins_talks_and_leaves() {
    let settings = Settings::default();
    let socket = bind_server("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let mint = Mint::new(&settings.identity);
    let mut server = server_with(ServerTransport::Udp(socket), &settings, mint.clone());
    let mut game = client::<GameSide>(udp(&mint, address, "ann"), "ann", &settings);
    for step in 0.. {
        game.update();
        server.update();
        if peers(&server).len() == 1 && link(&game).is_connected() {
            break;
        }
        assert!(step < 5_000, "not connected: {:?}", status(&game));
    }
    say(&mut game, cancel(1));
    let mut heard = 0;
    for _ in 0..1_000 {
        game.update();
        server.update();
        heard += from_games(&mut server).len();
    }
    assert_eq!(heard, 1);
    assert!(link(&game).stats().rtt.is_some());
    say(&mut game, AppExit::Success);
    let mut gone = 0;
    for _ in 0..1_000 {
        game.update();
        server.update();
        gone += left(&mut server).len();
    }
    assert_eq!(gone, 1);
}

/// The system would answer from 127.0.0.1, and the game's own system would take that for another program's packet.
#[test]
#[cfg(target_os = "linux")]
fn a_coordinator_with_several_addresses_answers_from_the_one_that_it_is_asked_at() {
    let settings = Settings::default();
    let socket = bind_server("0.0.0.0:0".parse().unwrap()).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 2], socket.local_addr().unwrap().port()));
    let mint = Mint::new(&settings.identity);
    let mut server = server_with(ServerTransport::Udp(socket), &settings, mint.clone());
    let mut game = client::<GameSide>(udp(&mint, address, "ann"), "ann", &settings);
    for _ in 0..2_000 {
        game.update();
        server.update();
    }
    assert!(link(&game).is_connected() && peers(&server).len() == 1, "{:?}", link(&game));
}

#[test]
fn a_game_without_a_coordinator_connects_to_the_one_it_is_told_of_and_then_to_another() {
    let settings = Settings::default();
    let coordinator = || {
        let socket = bind_server("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let mint = Mint::new(&settings.identity);
        let tokens = tokens(&mint, address, "ann");
        (server_with(ServerTransport::Udp(socket), &settings, mint), tokens)
    };
    let ((mut first, to_first), (mut second, to_second)) = (coordinator(), coordinator());
    let mut game = client::<GameSide>(ClientTransport::Later, "ann", &settings);
    for _ in 0..100 {
        game.update();
    }
    assert_eq!((status(&game), link(&game).next_try()), (LinkStatus::Offline, None), "nobody to try");
    for (tokens, is_first) in [(to_first, true), (to_second, false)] {
        game.world_mut().resource_mut::<ClientLink>().connect_to(tokens);
        game.update();
        for step in 0.. {
            for app in [&mut game, &mut first, &mut second] {
                app.update();
            }
            let there = [&first, &second].map(|server| peers(server).len());
            if link(&game).is_connected() && there == [usize::from(is_first), usize::from(!is_first)] {
                break;
            }
            assert!(step < 5_000, "not connected: {:?}, {there:?}", status(&game));
        }
    }
    assert_eq!((ups(&mut game), downs(&mut game).len(), left(&mut first).len()), (2, 1, 1));
}

#[test]
fn a_port_where_nobody_listens_is_not_there_yet() {
    let settings = Settings { step: Duration::from_millis(10), ..Settings::default() };
    let socket = bind_server("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let mint = Mint::new(&settings.identity);
    let mut game = client::<GameSide>(udp(&mint, address, "ann"), "ann", &settings);
    for _ in 0..50 {
        game.update();
    }
    assert_eq!(status(&game), LinkStatus::Offline, "refused by the system, so it waits for the next try");
    assert_eq!(ups(&mut game), 0);
    let problem = link(&game).problem().expect("a problem").detail.clone();
    assert!(problem.contains("not over UDP") && problem.contains(&address.port().to_string()), "{problem}");
    let mut server = server_with(ServerTransport::Udp(bind_server(address).unwrap()), &settings, mint);
    // Loopback delivers at once, so the bound is on steps and not on time.
    let is_up = (0..20_000).any(|_| {
        game.update();
        server.update();
        link(&game).is_connected()
    });
    assert!(is_up, "{:?}", status(&game));
}

/// A coordinator and a game under the runner: the game leaves as soon as it is connected, the coordinator as
/// soon as the game has left. Only events drive them.
#[test]
fn the_runner_carries_a_whole_visit() {
    let socket = bind_server("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let mint = Mint::new(&identity());
    let transport = udp(&mint, address, "ann");
    let coordinator = std::thread::spawn(move || {
        let mut app = server_with(ServerTransport::Udp(socket), &Settings::default(), mint);
        app.insert_resource(TimeUpdateStrategy::Automatic)
            .add_plugins(EventDrivenPlugin::default())
            .add_systems(
                Update,
                |joined: MessageReader<'_, '_, PeerJoined>,
                 left: MessageReader<'_, '_, PeerLeft>,
                 mut exit: MessageWriter<'_, AppExit>| {
                    if !left.is_empty() && !joined.is_empty() {
                        exit.write(AppExit::Success);
                    }
                },
            );
        app.run()
    });
    let mut app = client::<GameSide>(transport, "ann", &Settings::default());
    app.insert_resource(TimeUpdateStrategy::Automatic).add_plugins(EventDrivenPlugin::default()).add_systems(
        Update,
        |ups: MessageReader<'_, '_, LinkUp>, mut exit: MessageWriter<'_, AppExit>| {
            if !ups.is_empty() {
                exit.write(AppExit::Success);
            }
        },
    );
    assert_eq!(app.run(), AppExit::Success);
    assert_eq!(coordinator.join().unwrap(), AppExit::Success);
}

/// An app that ends at its second update, which only `wake` can cause.
fn ends_at_its_second_update(
    start: impl Fn(Res<'_, Waker>, ResMut<'_, NextWake>) + Send + Sync + 'static,
) -> App {
    let mut app = App::new();
    app.add_plugins(EventDrivenPlugin::default()).add_systems(Startup, start).add_systems(
        Update,
        |mut updates: Local<'_, u32>, mut exit: MessageWriter<'_, AppExit>| {
            *updates += 1;
            if *updates == 2 {
                exit.write(AppExit::Success);
            }
        },
    );
    app
}

#[test]
fn another_thread_wakes_the_runner() {
    let mut app = ends_at_its_second_update(|waker, _| {
        let waker = waker.clone();
        std::thread::spawn(move || waker.wake());
    });
    assert_eq!(app.run(), AppExit::Success);
}

#[test]
fn a_timer_wakes_the_runner() {
    let mut app = ends_at_its_second_update(|_, mut next| next.within(Duration::from_millis(2)));
    assert_eq!(app.run(), AppExit::Success);
}

#[test]
fn a_waker_handed_out_before_the_runner_was_added_works() {
    let mut app = App::new();
    let waker = app.world_mut().get_resource_or_init::<Waker>().clone();
    app.add_plugins(EventDrivenPlugin::default()).add_systems(
        Update,
        move |mut updates: Local<'_, u32>, mut exit: MessageWriter<'_, AppExit>| {
            *updates += 1;
            if *updates == 2 {
                exit.write(AppExit::Success);
            } else {
                waker.wake();
            }
        },
    );
    assert_eq!(app.run(), AppExit::Success);
}
