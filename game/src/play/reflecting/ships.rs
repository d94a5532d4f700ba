//! Which other ships get a cube of their own: the nearest, since the reflections of far ones are not visible.

use p2c2r_arena::{Arena, EnemyId, Vec2, WingmanId};

/// Metres from the player's ship beyond which no ship gets a cube of its own: about where the picture ends.
const NEAR_M: f32 = 26.0;
/// Metres by which a ship counts as nearer that had a cube of its own before, so that two that fly side by
/// side do not alternate.
const KEPT_M: f32 = 4.0;

/// A ship with a metal hull that is not the player's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MirroredShip {
    /// An enemy.
    Enemy(EnemyId),
    /// A wingman.
    Wingman(WingmanId),
}

/// Where a ship is.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShipPlace {
    pub(super) ship: MirroredShip,
    pub(super) at: Vec2,
    pub(super) velocity: Vec2,
}

/// The at most `most` ships nearest to the player's, nearest first; `before` are those that had cubes of
/// their own in the last task.
pub(super) fn nearest(arena: &Arena, most: usize, before: &[MirroredShip]) -> Vec<ShipPlace> {
    let wingmen = arena.wingmen().iter().filter(|wingman| wingman.is_there()).map(|wingman| {
        let ship = MirroredShip::Wingman(wingman.id);
        (wingman.radius, ShipPlace { ship, at: wingman.position, velocity: wingman.velocity })
    });
    let enemies = arena.enemies().iter().map(|enemy| {
        let ship = MirroredShip::Enemy(enemy.id);
        (enemy.radius, ShipPlace { ship, at: enemy.position, velocity: enemy.velocity })
    });
    let player = arena.ship().position;
    let distance = |(radius, place): (f32, ShipPlace)| {
        let kept = if before.contains(&place.ship) { KEPT_M } else { 0.0 };
        (place.at.distance(player) - radius - kept, place)
    };
    let mut near: Vec<_> = wingmen.chain(enemies).map(distance).filter(|(away, _)| *away < NEAR_M).collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    near.into_iter().take(most).map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use p2c2r_arena::{ArenaConfig, Autopilot};

    use super::*;

    #[test]
    fn the_nearest_ships_have_light_of_their_own_and_keep_it_while_they_are_about_as_near() {
        let mut arena = Arena::new(ArenaConfig::default().with_allies(2));
        let mut pilot = Autopilot::default();
        let (mut several, mut kept) = (0, 0);
        for _ in 0..1_800 {
            arena.step(pilot.controls(&arena), &[]);
            let all = nearest(&arena, usize::MAX, &[]);
            let some = nearest(&arena, 2, &[]);
            assert!(some.len() <= 2 && all.len() >= some.len());
            assert!(some.iter().zip(&all).all(|(one, other)| one.ship == other.ship), "the nearest first");
            let Some(third) = all.get(2).filter(|_| some.len() == 2) else { continue };
            several += 1;
            let player = arena.ship().position;
            let nearer = third.at.distance(player) - some[1].at.distance(player);
            let with = nearest(&arena, 2, &[some[0].ship, third.ship]);
            // Radii differ by less than a metre, except for bosses.
            if nearer < KEPT_M - 1.0 {
                kept += 1;
                assert!(with.iter().any(|place| place.ship == third.ship));
            }
        }
        assert!(several > 100 && kept > 10, "{several} {kept}");
    }
}
