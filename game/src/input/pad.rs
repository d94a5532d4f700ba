//! Pads, read from the joystick files of Linux (`/dev/input/js0` and on) and passed to the engine as its own
//! events.
//!
//! The engine's own pad reader links against libudev, which a player would have to install before building
//! the game; the kernel offers the same pads as files. One thread per pad reads them, blocked between events.
//! Pads of other systems are not read.

use bevy::input::gamepad::{
    GamepadConnection, GamepadConnectionEvent, RawGamepadAxisChangedEvent, RawGamepadButtonChangedEvent,
    RawGamepadEvent,
};
use bevy::prelude::*;
use std::fs::File;
use std::io::Read;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bevy::time::common_conditions::on_real_timer;

/// Most pads.
const PADS_MAX: usize = 4;
/// How often a missing pad is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Bytes of the kernel's `struct js_event`.
const EVENT_BYTES: usize = 8;
/// Its types: a button, an axis, and the flag for the initial state.
const EVENT_BUTTON: u8 = 0x01;
const EVENT_AXIS: u8 = 0x02;
const EVENT_INITIAL: u8 = 0x80;

pub(super) fn plugin(app: &mut App) {
    let (sender, receiver) = channel();
    app.insert_resource(Pads::new(sender, receiver))
        .add_systems(First, look_for_pads.run_if(on_real_timer(LOOK_EVERY)))
        .add_systems(First, pass_on.after(look_for_pads));
}

/// A message of a reading thread about the pad of this number.
struct Said(usize, What);

enum What {
    Event([u8; EVENT_BYTES]),
    Gone,
}

#[derive(Resource)]
struct Pads {
    /// By number, the pads seen so far.
    seen: [Option<Pad>; PADS_MAX],
    sender: Sender<Said>,
    receiver: Mutex<Receiver<Said>>,
    /// Whether the log says that a pad cannot be read: it is tried again every other second.
    warned: bool,
}

/// A pad, connected or not.
#[derive(Clone, Copy)]
struct Pad {
    /// The same after a reconnect: the engine keeps the entity when the pad goes.
    entity: Entity,
    is_there: bool,
    /// Number of its buttons: the kernel numbers only those that exist, so the count determines which is
    /// which.
    buttons: u8,
}

impl Pads {
    fn new(sender: Sender<Said>, receiver: Receiver<Said>) -> Self {
        Self { seen: [None; PADS_MAX], sender, receiver: Mutex::new(receiver), warned: false }
    }

    /// Connects a pad if the thread that reads it has started; otherwise it stays missing, and is tried again.
    fn connect_if_read(
        &mut self,
        number: usize,
        reading: std::io::Result<()>,
        commands: &mut Commands,
    ) -> Option<GamepadConnectionEvent> {
        match reading {
            Ok(()) => Some(self.connect(number, commands)),
            Err(error) => {
                if !std::mem::replace(&mut self.warned, true) {
                    tracing::warn!(%error, "a pad is not read");
                }
                None
            }
        }
    }

    fn connect(&mut self, number: usize, commands: &mut Commands) -> GamepadConnectionEvent {
        let entity = self.seen[number].map_or_else(|| commands.spawn_empty().id(), |pad| pad.entity);
        self.seen[number] = Some(Pad { entity, is_there: true, buttons: 0 });
        let connection = GamepadConnection::Connected {
            name: format!("pad {}", number + 1),
            vendor_id: None,
            product_id: None,
        };
        GamepadConnectionEvent { gamepad: entity, connection }
    }
}

fn look_for_pads(
    mut pads: ResMut<Pads>,
    mut commands: Commands,
    mut connections: MessageWriter<GamepadConnectionEvent>,
) {
    for number in 0..PADS_MAX {
        if pads.seen[number].is_some_and(|pad| pad.is_there) {
            continue;
        }
        let Ok(file) = File::open(format!("/dev/input/js{number}")) else { continue };
        let sender = pads.sender.clone();
        let reader = move || read_pad(file, number, &sender);
        let reading = std::thread::Builder::new().name(format!("pad {number}")).spawn(reader);
        connections.write_batch(pads.connect_if_read(number, reading.map(drop), &mut commands));
    }
}

fn read_pad(mut file: File, number: usize, sender: &Sender<Said>) {
    let mut event = [0; EVENT_BYTES];
    while file.read_exact(&mut event).is_ok() {
        if sender.send(Said(number, What::Event(event))).is_err() {
            return;
        }
    }
    // The receiver is gone only when the game ends.
    let _ = sender.send(Said(number, What::Gone));
}

fn pass_on(
    mut pads: ResMut<Pads>,
    mut connections: MessageWriter<GamepadConnectionEvent>,
    mut events: MessageWriter<RawGamepadEvent>,
) {
    let pads = &mut *pads;
    let receiver = pads.receiver.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
    for Said(number, what) in receiver.try_iter() {
        let Some(pad) = pads.seen[number].as_mut().filter(|pad| pad.is_there) else { continue };
        match what {
            What::Event(event) => {
                events.write_batch(told(pad, event));
            }
            What::Gone => {
                let connection = GamepadConnection::Disconnected;
                connections.write(GamepadConnectionEvent { gamepad: pad.entity, connection });
                pad.is_there = false;
            }
        }
    }
}

/// The engine's events for an event of the kernel.
fn told(pad: &mut Pad, event: [u8; EVENT_BYTES]) -> Vec<RawGamepadEvent> {
    let value = i16::from_ne_bytes([event[4], event[5]]);
    let (kind, number) = (event[6], event[7]);
    if kind == EVENT_BUTTON | EVENT_INITIAL {
        pad.buttons = pad.buttons.max(number.saturating_add(1));
    }
    let pressed = |button, value| {
        RawGamepadEvent::Button(RawGamepadButtonChangedEvent { gamepad: pad.entity, button, value })
    };
    match kind & !EVENT_INITIAL {
        EVENT_BUTTON => button_of(number, pad.buttons)
            .map(|button| pressed(button, f32::from(value)))
            .into_iter()
            .collect(),
        EVENT_AXIS => axis_events(pad.entity, number, f32::from(value) / f32::from(i16::MAX)),
        _ => Vec::new(),
    }
}

/// The button of this number on a pad with `buttons` buttons. Pads whose triggers are buttons too have two
/// more.
fn button_of(number: u8, buttons: u8) -> Option<GamepadButton> {
    use GamepadButton::{
        East, LeftThumb, LeftTrigger, LeftTrigger2, Mode, North, RightThumb, RightTrigger, RightTrigger2,
        Select, South, Start, West,
    };
    let plain =
        [South, East, West, North, LeftTrigger, RightTrigger, Select, Start, Mode, LeftThumb, RightThumb];
    let with_triggers = [
        South,
        East,
        North,
        West,
        LeftTrigger,
        RightTrigger,
        LeftTrigger2,
        RightTrigger2,
        Select,
        Start,
        Mode,
        LeftThumb,
        RightThumb,
    ];
    let number = usize::from(number);
    if usize::from(buttons) >= with_triggers.len() {
        with_triggers.get(number).copied()
    } else {
        plain.get(number).copied()
    }
}

/// Sticks as axes, triggers and the directional pad as buttons. `value` lies between -1 and 1; down is positive.
fn axis_events(gamepad: Entity, number: u8, value: f32) -> Vec<RawGamepadEvent> {
    let axis = |axis, value| RawGamepadEvent::Axis(RawGamepadAxisChangedEvent { gamepad, axis, value });
    let button =
        |button, value| RawGamepadEvent::Button(RawGamepadButtonChangedEvent { gamepad, button, value });
    let both = |less, more| vec![button(less, (-value).max(0.0)), button(more, value.max(0.0))];
    match number {
        0 => vec![axis(GamepadAxis::LeftStickX, value)],
        1 => vec![axis(GamepadAxis::LeftStickY, -value)],
        2 => vec![button(GamepadButton::LeftTrigger2, (value + 1.0) * 0.5)],
        3 => vec![axis(GamepadAxis::RightStickX, value)],
        4 => vec![axis(GamepadAxis::RightStickY, -value)],
        5 => vec![button(GamepadButton::RightTrigger2, (value + 1.0) * 0.5)],
        6 => both(GamepadButton::DPadLeft, GamepadButton::DPadRight),
        7 => both(GamepadButton::DPadUp, GamepadButton::DPadDown),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use bevy::ecs::system::RunSystemOnce as _;

    use super::*;

    #[test]
    fn a_pad_that_comes_back_is_the_entity_that_it_was() {
        let (sender, receiver) = channel();
        let mut world = World::new();
        world.init_resource::<Messages<GamepadConnectionEvent>>();
        world.init_resource::<Messages<RawGamepadEvent>>();
        world.insert_resource(Pads::new(sender.clone(), receiver));
        let connect = |world: &mut World, number| {
            let connect = move |mut pads: ResMut<Pads>, mut commands: Commands| {
                pads.connect(number, &mut commands).gamepad
            };
            world.run_system_once(connect).unwrap()
        };
        let (first, second) = (connect(&mut world, 0), connect(&mut world, 1));
        assert_ne!(first, second);
        for _ in 0..3 {
            sender.send(Said(0, What::Gone)).unwrap();
            world.run_system_once(pass_on).unwrap();
            assert!(!world.resource::<Pads>().seen[0].unwrap().is_there);
            assert_eq!(connect(&mut world, 0), first, "it leaves no entity behind");
        }
        let told = world.resource_mut::<Messages<GamepadConnectionEvent>>().drain().count();
        assert_eq!(told, 3, "each time it is said that it has gone");
    }

    #[test]
    fn a_pad_whose_thread_cannot_start_stays_missing_and_is_tried_again() {
        let (sender, receiver) = channel();
        let mut world = World::new();
        world.insert_resource(Pads::new(sender, receiver));
        let try_with = |world: &mut World, has_thread: bool| {
            let connect = move |mut pads: ResMut<Pads>, mut commands: Commands| {
                let reading = if has_thread { Ok(()) } else { Err(std::io::ErrorKind::WouldBlock.into()) };
                pads.connect_if_read(0, reading, &mut commands).is_some()
            };
            world.run_system_once(connect).unwrap()
        };
        assert!(!try_with(&mut world, false));
        assert!(world.resource::<Pads>().seen[0].is_none());
        assert!(try_with(&mut world, true));
        assert!(world.resource::<Pads>().seen[0].unwrap().is_there);
    }

    fn event(value: i16, kind: u8, number: u8) -> [u8; EVENT_BYTES] {
        let [low, high] = value.to_ne_bytes();
        [0, 0, 0, 0, low, high, kind, number]
    }

    #[test]
    fn a_pads_layout_follows_from_how_many_buttons_it_has() {
        for (buttons, number, wanted) in
            [(11, 2, GamepadButton::West), (13, 2, GamepadButton::North), (13, 9, GamepadButton::Start)]
        {
            let mut pad = Pad { entity: Entity::PLACEHOLDER, is_there: true, buttons: 0 };
            for initial in 0..buttons {
                told(&mut pad, event(0, EVENT_BUTTON | EVENT_INITIAL, initial));
            }
            let RawGamepadEvent::Button(pressed) = told(&mut pad, event(1, EVENT_BUTTON, number))[0] else {
                panic!("a button")
            };
            assert_eq!((pressed.button, pressed.value), (wanted, 1.0));
        }
    }

    #[test]
    fn a_device_with_more_buttons_than_any_pad_is_read() {
        let mut pad = Pad { entity: Entity::PLACEHOLDER, is_there: true, buttons: 0 };
        assert!(told(&mut pad, event(1, EVENT_BUTTON | EVENT_INITIAL, u8::MAX)).is_empty());
        let south = told(&mut pad, event(1, EVENT_BUTTON, 0));
        assert!(
            matches!(&south[..], [RawGamepadEvent::Button(pressed)] if pressed.button == GamepadButton::South)
        );
    }

    #[test]
    fn up_on_the_stick_is_up_and_the_directional_pad_is_buttons() {
        let mut pad = Pad { entity: Entity::PLACEHOLDER, is_there: true, buttons: 11 };
        let RawGamepadEvent::Axis(up) = told(&mut pad, event(-i16::MAX, EVENT_AXIS, 1))[0] else {
            panic!("an axis")
        };
        assert_eq!((up.axis, up.value), (GamepadAxis::LeftStickY, 1.0));
        let both = told(&mut pad, event(-i16::MAX, EVENT_AXIS, 7));
        let values: Vec<_> = both
            .iter()
            .map(|event| match event {
                RawGamepadEvent::Button(button) => (button.button, button.value),
                _ => panic!("a button"),
            })
            .collect();
        assert_eq!(values, [(GamepadButton::DPadUp, 1.0), (GamepadButton::DPadDown, 0.0)]);
    }
}
