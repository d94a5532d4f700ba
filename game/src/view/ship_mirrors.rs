//! Cube maps of other ships: a few textures with a material each, reassigned from ship to ship. Ships without
//! one reflect the light around the player's.

use bevy::prelude::*;

use super::ViewSystems;
use super::hulls::{Hulls, METAL};
use super::lighting::{Lit, MakeLight};
use super::mirror::{Around, Shown, black_cube_map};
use super::solid::Solid;
use crate::play::{MirroredShip, SHIP_FACE, SHIPS_MAX};

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<ShipMirrors>()
        .add_systems(PreStartup, make_textures.after(MakeLight))
        .add_systems(Update, give_mirrors.in_set(ViewSystems::Shine));
}

/// The ship that an actor shows.
#[derive(Component, Clone, Copy, Debug)]
pub(super) struct Mirrors(pub(super) MirroredShip);

/// The light around the ships that have cube maps of their own.
#[derive(Resource, Default)]
pub(super) struct ShipMirrors {
    places: Vec<ShipMirror>,
}

/// A texture, the ship that has it, and what it shows.
#[derive(Default)]
struct ShipMirror {
    ship: Option<MirroredShip>,
    shown: Shown,
    texture: Handle<Image>,
    material: Handle<Solid>,
}

impl ShipMirrors {
    /// Begins to blend to a newer outcome: ships that are not in it lose their cube map.
    pub(super) fn turn_to(&mut self, brought: impl Iterator<Item = (MirroredShip, Around)>) {
        let brought: Vec<_> = brought.collect();
        let is_in = |ship: MirroredShip| brought.iter().any(|(other, _)| *other == ship);
        for place in &mut self.places {
            place.ship = place.ship.filter(|ship| is_in(*ship));
        }
        for (ship, around) in brought {
            let its = self.places.iter().position(|place| place.ship == Some(ship));
            let free = || self.places.iter().position(|place| place.ship.is_none());
            let Some(number) = its.or_else(free) else { continue };
            let place = &mut self.places[number];
            if place.ship != Some(ship) {
                // Not blended from the light of the previous ship.
                place.shown.forget();
                place.ship = Some(ship);
            }
            place.shown.turn_to(around);
        }
    }

    pub(super) fn advance(&mut self, delta: f32) {
        for place in self.places.iter_mut().filter(|place| place.ship.is_some()) {
            place.shown.advance(delta);
        }
    }

    /// The content of the textures.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&Shown, AssetId<Image>)> {
        self.places.iter().map(|place| (&place.shown, place.texture.id()))
    }

    fn material(&self, ship: MirroredShip) -> Option<&Handle<Solid>> {
        self.places.iter().find(|place| place.ship == Some(ship)).map(|place| &place.material)
    }
}

fn make_textures(
    mut mirrors: ResMut<ShipMirrors>,
    mut images: ResMut<Assets<Image>>,
    mut materials: ResMut<Assets<Solid>>,
    lit: Res<Lit>,
) {
    mirrors.places.resize_with(SHIPS_MAX, || {
        let texture = images.add(black_cube_map(SHIP_FACE, 1));
        let material = materials.add(Solid::with_own_mirror(METAL, &lit, texture.clone()));
        ShipMirror { texture, material, ..default() }
    });
}

fn give_mirrors(
    mirrors: Res<ShipMirrors>,
    hulls: Res<Hulls>,
    mut ships: Query<(&Mirrors, &mut MeshMaterial3d<Solid>)>,
) {
    for (ship, mut material) in &mut ships {
        let wanted = mirrors.material(ship.0).unwrap_or(&hulls.metal);
        if material.0 != *wanted {
            material.0 = wanted.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use bevy::ecs::system::RunSystemOnce as _;
    use bevy::render::storage::ShaderBuffer;
    use p2c2r_arena::{EnemyId, WingmanId};
    use p2c2r_tasks::reflection::CubeMap;

    use super::super::camera::DrawQuality;
    use super::super::{hulls, lighting};
    use super::*;
    use crate::graphics::Quality;
    use crate::play::Reflecting;

    fn around(light: f32) -> Around {
        let mut level = CubeMap::black(2);
        level.texels_mut().fill([light; 3]);
        Around { levels: vec![level], irradiance: [[light; 3]; 9] }
    }

    fn mirrors(count: usize) -> ShipMirrors {
        let mut mirrors = ShipMirrors::default();
        mirrors.places.resize_with(count, ShipMirror::default);
        mirrors
    }

    #[test]
    fn ships_keep_their_texture_while_they_have_light_and_leave_it_to_others_then() {
        let [one, two, three] = [
            MirroredShip::Enemy(EnemyId(1)),
            MirroredShip::Wingman(WingmanId(1)),
            MirroredShip::Enemy(EnemyId(7)),
        ];
        let mut mirrors = mirrors(2);
        let has =
            |mirrors: &ShipMirrors| -> Vec<_> { mirrors.places.iter().map(|place| place.ship).collect() };
        mirrors.turn_to([(one, around(1.0)), (two, around(2.0))].into_iter());
        assert_eq!(has(&mirrors), [Some(one), Some(two)]);
        mirrors.turn_to([(two, around(2.0)), (three, around(3.0)), (one, around(1.0))].into_iter());
        assert_eq!(has(&mirrors), [Some(one), Some(two)], "there is no room for a third");
        mirrors.turn_to([(three, around(3.0)), (two, around(2.0))].into_iter());
        assert_eq!(has(&mirrors), [Some(three), Some(two)]);
        mirrors.turn_to(std::iter::empty());
        assert_eq!(has(&mirrors), [None, None]);
    }

    #[test]
    fn what_a_texture_showed_of_another_ship_is_not_blended_in() {
        let (one, other) = (MirroredShip::Enemy(EnemyId(1)), MirroredShip::Enemy(EnemyId(2)));
        let mut mirrors = mirrors(1);
        mirrors.turn_to([(one, around(9.0))].into_iter());
        mirrors.advance(0.01);
        mirrors.turn_to([(one, around(1.0))].into_iter());
        mirrors.advance(0.01);
        let blended = mirrors.places[0].shown.brightest();
        assert!(blended > 1.1 && blended < 9.0, "{blended}");
        mirrors.turn_to([(other, around(1.0))].into_iter());
        mirrors.advance(0.01);
        assert_eq!(mirrors.places[0].shown.brightest(), 1.0);
    }

    #[test]
    fn a_ship_with_light_of_its_own_is_drawn_with_its_texture_and_others_with_the_players() {
        let mut app = App::new();
        app.add_plugins((MinimalPlugins, AssetPlugin::default()))
            .init_asset::<Mesh>()
            .init_asset::<Image>()
            .init_asset::<Solid>()
            .init_asset::<ShaderBuffer>()
            .insert_resource(Reflecting::new(true, Quality::Low))
            .insert_resource(DrawQuality(Quality::Low))
            .add_plugins((lighting::plugin, hulls::plugin, plugin));
        let world = app.world_mut();
        world.run_schedule(PreStartup);
        let metal = world.resource::<Hulls>().metal.clone();
        let [near, far] = [MirroredShip::Wingman(WingmanId(1)), MirroredShip::Enemy(EnemyId(4))];
        let actors = [near, far].map(|ship| world.spawn((Mirrors(ship), MeshMaterial3d(metal.clone()))).id());
        let drawn_with = |world: &mut World| {
            world.run_system_once(give_mirrors).unwrap();
            actors.map(|actor| world.get::<MeshMaterial3d<Solid>>(actor).unwrap().0.clone())
        };
        assert_eq!(drawn_with(world), [metal.clone(), metal.clone()], "nobody has light yet");
        world.resource_mut::<ShipMirrors>().turn_to([(near, around(1.0))].into_iter());
        let [own, other] = drawn_with(world);
        assert!(own != metal && other == metal);
        let texture = world.resource::<Assets<Solid>>().get(&own).unwrap().mirror().clone();
        let (_, written) = world.resource::<ShipMirrors>().shown().next().unwrap();
        assert_eq!(texture.id(), written, "it looks into the texture that its light is written into");
        world.resource_mut::<ShipMirrors>().turn_to(std::iter::empty());
        assert_eq!(drawn_with(world), [metal.clone(), metal]);
    }
}
