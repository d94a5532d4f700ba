//! What the player has in hand: the pad that was used last, or keys and mouse.

use bevy::prelude::*;

/// Deflection of a stick from which somebody holds the pad: a stick at rest is a little off its middle.
const IN_HAND: f32 = 0.3;

/// The pad that was used last. `None` once a key or a mouse button is pressed, or the pad is gone.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PadInHand(pub(crate) Option<Entity>);

pub(crate) fn note_pad(
    keys: Res<ButtonInput<KeyCode>>,
    clicks: Res<ButtonInput<MouseButton>>,
    pads: Query<(Entity, &Gamepad)>,
    mut in_hand: ResMut<PadInHand>,
) {
    let is_used = |pad: &Gamepad| {
        pad.get_pressed().next().is_some() || pad.left_stick().length_squared() > IN_HAND * IN_HAND
    };
    let by_hand = keys.get_just_pressed().next().is_some() || clicks.get_just_pressed().next().is_some();
    let kept = in_hand.0.filter(|pad| !by_hand && pads.contains(*pad));
    let used = pads.iter().find(|(_, pad)| !by_hand && is_used(pad)).map(|(pad, _)| pad);
    in_hand.set_if_neq(PadInHand(used.or(kept)));
}
