//! What enemies leave behind.

use super::*;

/// A ship without shield, missiles and full hull.
fn needy() -> Arena {
    let mut arena = empty();
    arena.config.ship =
        ShipRules { shield: 3, hull: 4, missiles: 4, missiles_max: 5, ..ShipRules::default() };
    (arena.ship.shield, arena.ship.hull, arena.ship.missiles) = (0, 1, 3);
    arena
}

fn lies(arena: &mut Arena, kind: PickupKind, position: Vec2) {
    arena.last_pickup += 1;
    arena.pickups.push(Pickup { id: PickupId(arena.last_pickup), kind, position, ticks_left: 5 });
}

#[test]
fn each_kind_gives_what_it_is_for_and_no_more_than_fits() {
    for (kind, wanted) in
        [(PickupKind::Shield, (3, 1, 3)), (PickupKind::Hull, (0, 4, 3)), (PickupKind::Missiles, (0, 1, 5))]
    {
        let mut arena = needy();
        lies(&mut arena, kind, Vec2::new(0.5, 0.5));
        let events = arena.step(Controls::default(), &[]).events;
        assert!(
            matches!(events[..], [ArenaEvent::PickupTaken { kind: taken, .. }] if taken == kind),
            "{events:?}"
        );
        assert_eq!((arena.ship().shield, arena.ship().hull, arena.ship().missiles), wanted, "{kind:?}");
        assert!(arena.pickups().is_empty());
    }
}

#[test]
fn what_nobody_takes_is_gone_after_its_time() {
    let mut arena = needy();
    lies(&mut arena, PickupKind::Hull, Vec2::new(9.0, 0.0));
    for left in (0..5).rev() {
        assert_eq!(arena.step(Controls::default(), &[]).events, []);
        assert_eq!(arena.pickups().len(), usize::from(left > 0));
    }
    assert_eq!(arena.ship().hull, 1);
}

#[test]
fn about_as_many_enemies_leave_something_as_the_rules_say() {
    let mut arena = empty();
    arena.config.pickups.chance = 0.5;
    let mut left = 0;
    for _ in 0..200 {
        arena.add_enemy(EnemyRole::Rammer, Vec2::new(20.0, 20.0));
        let mut events = Vec::new();
        arena.destroy_enemy(0, &mut events);
        left += events.iter().filter(|event| matches!(event, ArenaEvent::PickupLeft { .. })).count();
        arena.pickups.clear();
    }
    assert!((70..130).contains(&left), "{left} of 200");
}
