//! The same over real sockets on this machine.

use std::time::Duration;

use p2c2r_link::{ClientTransport, GameSide, LinkStatus, ServerTransport, bind_server};

use crate::harness::*;

/// Steps both until it is so; loopback delivers at once, so this is a bound on steps and not on time.
fn step_until(
    server: &mut bevy_app::App,
    client: &mut bevy_app::App,
    mut is_so: impl FnMut() -> bool,
) -> bool {
    (0..20_000).any(|_| {
        client.update();
        server.update();
        is_so()
    })
}

#[test]
fn a_game_joins_talks_and_leaves() {
    let settings = Settings::default();
    let socket = bind_server("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let mut server = server(ServerTransport::Udp(socket), &settings);
    let mut game = client::<GameSide>(ClientTransport::Udp { server: address }, "ann", &settings);
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
    say(&mut game, bevy_app::AppExit::Success);
    let mut gone = 0;
    for _ in 0..1_000 {
        game.update();
        server.update();
        gone += left(&mut server).len();
    }
    assert_eq!(gone, 1);
}

#[test]
fn a_port_where_nobody_listens_is_not_there_yet() {
    let settings = Settings { step: Duration::from_millis(10), ..Settings::default() };
    let socket = bind_server("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let mut game = client::<GameSide>(ClientTransport::Udp { server: address }, "ann", &settings);
    for _ in 0..50 {
        game.update();
    }
    assert_eq!(status(&game), LinkStatus::Offline, "refused by the system, so it waits for the next try");
    assert_eq!(ups(&mut game), 0);
    let mut server = server(ServerTransport::Udp(bind_server(address).unwrap()), &settings);
    let is_up = step_until(&mut server, &mut game, || false) || link(&game).is_connected();
    assert!(is_up, "{:?}", status(&game));
}
