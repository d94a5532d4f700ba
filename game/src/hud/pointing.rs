//! Tells who computed what is pointed at, and which check it passed: a few words beside the pointer, or,
//! while the mouse is still, beside whatever is straight ahead of the ship.

use std::time::Duration;

use bevy::prelude::*;
use p2c2r_arena::{Arena, Steering};
use p2c2r_offload::{LastOutcome, Place};
use p2c2r_protocol::PassedCheck;
use p2c2r_tasks::reflection::Reflection;

use super::ghost::Columns;
use super::level::{BorrowingDetail, ShownFrom};
use super::middle::Middle;
use super::palette::{BRIGHT, EDGE, Ground, PANEL, Rim};
use super::{panel, score, ship, show, text, write_inside};
use crate::figures;
use crate::play::{Battlefield, Reflecting, Source, Sources, is_ore};
use crate::settings::{Display as Shown, Settings};
use crate::view::{PATH_HEIGHT, place};

/// How long a mouse at rest goes on pointing.
const POINTS_FOR: Duration = Duration::from_secs(4);
/// Metres beside a hull or a path that still count as on it, because targets move.
const ON_IT: f32 = 0.7;
/// Metres ahead of the ship that are searched.
const AHEAD: f32 = 45.0;

/// Pixels between the target and the words, at a window height of 720.
const BESIDE: f32 = 18.0;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Pointer>()
        .add_message::<CursorMoved>()
        .add_systems(Startup, spawn_words)
        .add_systems(Update, (follow_pointer, tell_source).chain());
}

/// Where the mouse points, in logical pixels of the picture, and when it last moved.
#[derive(Resource, Default)]
struct Pointer(Option<(Vec2, Duration)>);

/// The box around the words.
#[derive(Component)]
struct Words;

/// What is pointed at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Rock {
        at: Vec3,
        carried: bool,
        mirrors: bool,
    },
    Enemy {
        at: Vec3,
        steering: Steering,
    },
    /// `guided`: it flies a plan.
    Wingman {
        at: Vec3,
        guided: bool,
    },
    Path {
        at: Vec3,
    },
    Ship {
        at: Vec3,
    },
}

impl Target {
    fn at(self) -> Vec3 {
        let (Self::Rock { at, .. }
        | Self::Enemy { at, .. }
        | Self::Wingman { at, .. }
        | Self::Path { at }
        | Self::Ship { at }) = self;
        at
    }

    /// The first body that the ray meets; a path counts if it is near the ray and nothing else is met.
    fn of_ray(arena: &Arena, ray: Ray3d) -> Option<Self> {
        let along = |at: Vec3, radius: f32| {
            let way = (at - ray.origin).dot(*ray.direction);
            let beside = (ray.origin + *ray.direction * way).distance(at);
            (way > 0.0 && beside <= radius).then_some(way - radius)
        };
        let bodies =
            Self::bodies(arena).filter_map(|(target, radius)| Some((target, along(target.at(), radius)?)));
        let nearest = bodies.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(target, _)| target);
        nearest.or_else(|| Self::path_at(arena, ray))
    }

    /// What the ship would meet if it flew straight on.
    fn ahead(arena: &Arena) -> Option<Self> {
        let ship = arena.ship();
        let (from, way) = (place(ship.position, 0.0), place(ship.heading, 0.0));
        let ahead = |target: Self, radius: f32| {
            let to = target.at() - from;
            let far = to.dot(way);
            let beside = (to - way * far).length();
            (far > 0.0 && far < AHEAD && beside <= radius && !matches!(target, Self::Ship { .. }))
                .then_some(far)
        };
        let bodies =
            Self::bodies(arena).filter_map(|(target, radius)| Some((target, ahead(target, radius)?)));
        ship.alive.then(|| bodies.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(target, _)| target)).flatten()
    }

    /// All bodies with hulls, each with its radius and a margin.
    fn bodies(arena: &Arena) -> impl Iterator<Item = (Self, f32)> {
        let rocks = arena.rocks().iter().map(|rock| {
            let at = place(rock.position, 0.0);
            let target = Self::Rock { at, carried: rock.is_carried(), mirrors: is_ore(rock.id) };
            (target, rock.radius)
        });
        let enemies = arena.enemies().iter().map(|enemy| {
            let target = Self::Enemy { at: place(enemy.position, 0.0), steering: enemy.steering };
            (target, enemy.radius + ON_IT)
        });
        let wingmen = arena.wingmen().iter().filter(|wingman| wingman.is_there()).map(|wingman| {
            let target = Self::Wingman { at: place(wingman.position, 0.0), guided: wingman.guided };
            (target, wingman.radius + ON_IT)
        });
        let ship = arena.ship();
        let own = ship.alive.then(|| (Self::Ship { at: place(ship.position, 0.0) }, 1.0 + ON_IT));
        enemies.chain(wingmen).chain(own).chain(rocks)
    }

    fn path_at(arena: &Arena, ray: Ray3d) -> Option<Self> {
        let far = ray.intersect_plane(Vec3::Y * PATH_HEIGHT, InfinitePlane3d::new(Vec3::Y))?;
        let at = ray.get_point(far);
        let is_near = |from: Vec3, to: Vec3| {
            let (way, length) = (to - from, from.distance_squared(to).max(1e-6));
            let share = ((at - from).dot(way) / length).clamp(0.0, 1.0);
            at.distance(from + way * share) <= ON_IT
        };
        arena.enemies().iter().find_map(|enemy| {
            let mut from = place(enemy.position, PATH_HEIGHT);
            enemy.waypoints().iter().find_map(|point| {
                let to = place(*point, PATH_HEIGHT);
                is_near(std::mem::replace(&mut from, to), to).then_some(Self::Path { at })
            })
        })
    }
}

/// The sources known when the words are made.
struct Known<'a> {
    arena: &'a Arena,
    sources: &'a Sources,
    light: Option<Source>,
    now: Duration,
}

impl Known<'_> {
    /// A line for every computation about the target.
    fn words(&self, target: Target) -> Vec<String> {
        let told = |what: &str, source: Option<&Source>| match source {
            Some(source) => format!("{what}: {}", source_text(source, self.now)),
            None => format!("{what}: {}", figures::UNKNOWN),
        };
        let motion = |carried: bool| match carried {
            true if self.arena.physics().inline => "motion: this computer, step by step".into(),
            true => told("motion", self.sources.motions(self.arena)),
            false => "motion: this computer, by a simple rule, since something hit it".into(),
        };
        let mirror = || self.light.as_ref().map(|light| told("mirrored light", Some(light)));
        let path = || told("path", self.sources.paths());
        let plan = || told("plan", self.sources.plans());
        let guidance = |steering: Steering| match steering {
            Steering::Path => path(),
            Steering::Plan => plan(),
            Steering::Sight => "path: none needed, it sees its target".into(),
            Steering::Nose => "path: none in time, so it heads straight for its target".into(),
        };
        match target {
            Target::Rock { carried, mirrors, .. } => {
                std::iter::once(motion(carried)).chain(mirrors.then(mirror).flatten()).collect()
            }
            Target::Enemy { steering, .. } => std::iter::once(guidance(steering)).chain(mirror()).collect(),
            Target::Wingman { guided, .. } => {
                let flies =
                    if guided { plan() } else { "plan: none in time, it flies by a simple rule".into() };
                std::iter::once(flies).chain(mirror()).collect()
            }
            Target::Path { .. } => vec![path()],
            Target::Ship { .. } => mirror().into_iter().collect(),
        }
    }
}

/// `worker ada, 84 ms, asked for 1.2 s ago, passed the deep check`.
fn source_text(source: &Source, now: Duration) -> String {
    let who = match &source.place {
        Place::Worker { name } => format!("worker {name}"),
        Place::Coordinator => "the coordinator".into(),
        Place::Cache => "the coordinator's cache".into(),
        Place::Local => "this computer".into(),
    };
    let check = match source.check {
        Some(PassedCheck::Always) => "passed the quick check",
        Some(PassedCheck::Deep) => "passed the quick and the deep check",
        Some(PassedCheck::Own) => "needs no check: the coordinator's own",
        None => "needs no check: your own",
    };
    format!(
        "{who}, {} ms, asked for {:.1} s ago,\n  {check}",
        figures::milliseconds(Some(source.latency.as_secs_f64() * 1e3)),
        now.saturating_sub(source.asked_at).as_secs_f64(),
    )
}

fn spawn_words(mut commands: Commands) {
    let around = Node { position_type: PositionType::Absolute, ..default() };
    let words = Node {
        padding: UiRect::axes(px(10), px(5)),
        border: UiRect::all(px(1)),
        border_radius: BorderRadius::all(px(6)),
        display: Display::None,
        ..default()
    };
    // In a root of its own, since roots are hidden while a menu is open. In front of everything else.
    commands.spawn((
        Name::new("pointed at"),
        GlobalZIndex(2),
        ShownFrom(BorrowingDetail::Compact),
        around,
        children![(Words, words, Ground(PANEL), Rim(EDGE), children![text("", 14.0, BRIGHT)])],
    ));
}

fn follow_pointer(
    time: Res<Time<Real>>,
    mut moves: MessageReader<CursorMoved>,
    mut pointer: ResMut<Pointer>,
) {
    if let Some(moved) = moves.read().last() {
        pointer.0 = Some((moved.position, time.elapsed()));
    }
}

fn tell_source(
    time: Res<Time<Real>>,
    pointer: Res<Pointer>,
    settings: Res<Settings>,
    scale: Res<UiScale>,
    battlefield: Res<Battlefield>,
    sources: Res<Sources>,
    reflecting: Res<Reflecting>,
    light: Res<LastOutcome<Reflection>>,
    camera: Single<(&Camera, &GlobalTransform)>,
    announced: Single<&ComputedNode, With<Middle>>,
    compared: Single<(&ComputedNode, &InheritedVisibility), With<Columns>>,
    words: Single<(&mut Node, &ComputedNode, &Children, &mut Visibility), With<Words>>,
    mut texts: Query<&mut Text>,
) {
    let (camera, eye) = *camera;
    let (mut node, computed, children, mut visibility) = words.into_inner();
    let arena = &battlefield.arena;
    let level = settings.display.level;
    if level < BorrowingDetail::Compact {
        // The root is hidden there, and the words with it.
        return;
    }
    let moved = pointer.0.filter(|(_, moved)| time.elapsed().saturating_sub(*moved) < POINTS_FOR);
    let target = match moved {
        Some((at, _)) => camera.viewport_to_world(eye, at).ok().and_then(|ray| Target::of_ray(arena, ray)),
        // Without a mouse the words come unasked, so only from the full level on.
        None if level >= BorrowingDetail::Full => Target::ahead(arena),
        None => None,
    };
    let words = |target| {
        let light = reflecting.enabled.then(|| Source::of_last(&light)).flatten();
        Known { arena, sources: &sources, light, now: time.elapsed() }.words(target)
    };
    let lines = target.map(words).unwrap_or_default();
    show(&mut node, !lines.is_empty());
    let (Some(target), Some(picture)) = (target, camera.logical_target_size()) else { return };
    let Ok(at) = camera.world_to_viewport(eye, target.at()) else { return };
    let of = |computed: &ComputedNode| computed.size() * computed.inverse_scale_factor();
    let kept_clear = moved.is_none().then(|| {
        let (compared, shown) = *compared;
        KeptClear {
            below_score: if shown.get() { of(compared).y } else { 0.0 },
            above_ship: of(&announced).y,
        }
    });
    let free = free_part(picture / scale.0, &settings.display, kept_clear);
    let size = of(computed);
    // Their size is unknown until they have been laid out once.
    visibility.set_if_neq(if size.y > 0.0 { Visibility::Inherited } else { Visibility::Hidden });
    let at = beside(at / scale.0, size, free);
    let (left, top) = (px(at.x), px(at.y));
    if (node.left, node.top) != (left, top) {
        (node.left, node.top) = (left, top);
    }
    write_inside(children, &mut texts, &lines.join("\n"));
}

/// Heights of elements that come and go, in pixels: the comparison columns below the score, and the announcements above
/// the ship's state.
#[derive(Clone, Copy, Debug)]
struct KeptClear {
    below_score: f32,
    above_ship: f32,
}

/// The area for the words in a picture of this size: all of it if the player points; otherwise without the
/// panel, the score, the ship's state, and what is between those two.
fn free_part(picture: Vec2, panel: &Shown, kept_clear: Option<KeptClear>) -> Rect {
    let mut free = Rect::from_corners(Vec2::ZERO, picture);
    if let Some(kept_clear) = kept_clear {
        if panel.corner.is_right() {
            free.max.x -= panel::side(panel.level);
        } else {
            free.min.x += panel::side(panel.level);
        }
        free.min.y += score::BELOW + kept_clear.below_score;
        free.max.y -= ship::ABOVE + kept_clear.above_ship;
    }
    free
}

/// The place of a box of this size beside a point, inside the free area.
fn beside(point: Vec2, size: Vec2, free: Rect) -> Vec2 {
    let right = point + Vec2::splat(BESIDE);
    let left = point - Vec2::splat(BESIDE) - size;
    let fits = right + size;
    let wanted = Vec2::new(
        if fits.x <= free.max.x { right.x } else { left.x },
        if fits.y <= free.max.y { right.y } else { left.y },
    );
    wanted.min(free.max - size).max(free.min).round()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use p2c2r_arena::{ArenaConfig, Controls, DueOutcome, OutcomeBody, RequestId};
    use p2c2r_tasks::tactics::TacticsOutcome;

    use super::*;
    use crate::settings::Corner;

    #[test]
    fn words_that_nobody_asked_for_keep_clear_of_what_is_always_shown() {
        let (picture, size) = (Vec2::new(1_280.0, 720.0), Vec2::new(300.0, 40.0));
        for corner in Corner::ALL {
            let shown = Shown { corner, level: BorrowingDetail::Full, ..Shown::default() };
            let side = panel::side(shown.level);
            let free = free_part(picture, &shown, Some(KeptClear { below_score: 150.0, above_ship: 90.0 }));
            for point in [Vec2::ZERO, picture * 0.5, picture] {
                let at = beside(point, size, free);
                let words = Rect::from_corners(at, at + size);
                let (top, bottom) = (score::BELOW + 150.0, picture.y - ship::ABOVE - 90.0);
                assert!(words.min.y >= top && words.max.y <= bottom, "{words:?}");
                let beside_panel =
                    if corner.is_right() { words.max.x <= picture.x - side } else { words.min.x >= side };
                assert!(beside_panel, "{words:?}, {corner:?}");
            }
            assert_eq!(free_part(picture, &shown, None).max, picture, "whoever points wants to see it there");
        }
    }

    fn arena() -> Arena {
        let mut arena = Arena::new(ArenaConfig::default());
        for _ in 0..120 {
            arena.step(Controls::default(), &[]);
        }
        arena
    }

    /// Straight down at a point of the plane.
    fn down_at(at: Vec3) -> Ray3d {
        Ray3d::new(at + Vec3::Y * 30.0, Dir3::NEG_Y)
    }

    #[test]
    fn a_ray_meets_the_rock_below_it_and_nothing_where_nothing_is() {
        let arena = arena();
        let rock = arena.rocks().iter().max_by(|a, b| a.radius.total_cmp(&b.radius)).expect("rocks");
        let at = place(rock.position, 0.0);
        assert!(matches!(Target::of_ray(&arena, down_at(at)), Some(Target::Rock { .. })));
        let away = Vec3::new(10_000.0, 0.0, 0.0);
        assert_eq!(Target::of_ray(&arena, down_at(away)), None);
        let up = Ray3d::new(at + Vec3::Y * 30.0, Dir3::Y);
        assert_eq!(Target::of_ray(&arena, up), None, "what is behind is not pointed at");
    }

    #[test]
    fn a_ray_meets_the_ship_and_what_is_ahead_is_never_the_ship_itself() {
        let arena = arena();
        let at = place(arena.ship().position, 0.0);
        assert_eq!(Target::of_ray(&arena, down_at(at)), Some(Target::Ship { at }));
        assert!(!matches!(Target::ahead(&arena), Some(Target::Ship { .. })));
    }

    #[test]
    fn the_words_say_who_how_long_how_old_and_which_check() {
        let source = |place, check| Source {
            place,
            check,
            latency: Duration::from_millis(84),
            asked_at: Duration::from_secs(5),
        };
        let now = Duration::from_millis(6_200);
        let worker = Place::Worker { name: "ada".into() };
        assert_eq!(
            source_text(&source(worker, Some(PassedCheck::Deep)), now),
            "worker ada, 84 ms, asked for 1.2 s ago,\n  passed the quick and the deep check"
        );
        let own = source_text(&source(Place::Local, None), now);
        assert!(own.starts_with("this computer, 84 ms") && own.contains("no check"), "{own}");
    }

    #[test]
    fn what_is_computed_of_a_thing_has_a_line_each() {
        let arena = arena();
        let known = Known { arena: &arena, sources: &Sources::default(), light: None, now: Duration::ZERO };
        let at = Vec3::ZERO;
        let loose = known.words(Target::Rock { at, carried: false, mirrors: true });
        assert_eq!(loose.len(), 1, "no light was traced: {loose:?}");
        assert!(loose[0].contains("simple rule"));
        assert_eq!(known.words(Target::Path { at }), ["path: -"]);
        assert!(known.words(Target::Ship { at }).is_empty());
        let light = Some(Source {
            place: Place::Cache,
            check: Some(PassedCheck::Always),
            latency: Duration::ZERO,
            asked_at: Duration::ZERO,
        });
        let lit = Known { light, ..known };
        let lines = lit.words(Target::Rock { at, carried: true, mirrors: true });
        assert!(lines.len() == 2 && lines[1].contains("cache"), "{lines:?}");
    }

    #[test]
    fn an_enemy_says_what_it_steers_by_and_a_plan_who_made_it_and_which_check_it_passed() {
        let arena = arena();
        let mut sources = Sources::default();
        let known = |sources: &Sources, target| {
            Known { arena: &arena, sources, light: None, now: Duration::ZERO }.words(target)
        };
        let enemy = |steering| Target::Enemy { at: Vec3::ZERO, steering };
        let wingman = |guided| Target::Wingman { at: Vec3::ZERO, guided };
        assert_eq!(known(&sources, enemy(Steering::Sight)), ["path: none needed, it sees its target"]);
        assert!(known(&sources, enemy(Steering::Nose))[0].starts_with("path: none in time"));
        assert_eq!(known(&sources, enemy(Steering::Path)), ["path: -"]);
        assert_eq!(known(&sources, enemy(Steering::Plan)), ["plan: -"]);
        assert!(known(&sources, wingman(false))[0].contains("by a simple rule"));
        let ada = Source {
            place: Place::Worker { name: "ada".into() },
            check: Some(PassedCheck::Deep),
            latency: Duration::from_millis(84),
            asked_at: Duration::ZERO,
        };
        sources.note(RequestId(1), ada);
        let plans = OutcomeBody::Tactics(Arc::new(TacticsOutcome { scores: Vec::new() }));
        sources.given(&[DueOutcome { request: RequestId(1), outcome: plans }]);
        for target in [enemy(Steering::Plan), wingman(true)] {
            let said = known(&sources, target).concat();
            assert!(said.starts_with("plan: worker ada") && said.contains("deep check"), "{said}");
        }
    }

    #[test]
    fn a_ray_meets_a_wingman() {
        let mut arena = Arena::new(ArenaConfig::default().with_allies(1));
        for _ in 0..120 {
            arena.step(Controls::default(), &[]);
        }
        let at = place(arena.wingmen()[0].position, 0.0);
        assert!(matches!(Target::of_ray(&arena, down_at(at)), Some(Target::Wingman { .. })));
    }

    #[test]
    fn the_words_stay_within_the_picture() {
        let (size, picture) = (Vec2::new(400.0, 60.0), Vec2::new(1_280.0, 720.0));
        let free = Rect::from_corners(Vec2::ZERO, picture);
        for x in [0.0, 640.0, 1_279.0] {
            for y in [0.0, 360.0, 719.0] {
                let at = beside(Vec2::new(x, y), size, free);
                assert!(
                    at.cmpge(Vec2::ZERO).all() && (at + size).cmple(picture).all(),
                    "{at} beside {x}, {y}"
                );
                let meets = x > at.x && x < at.x + size.x && y > at.y && y < at.y + size.y;
                assert!(!meets, "the words cover what is pointed at: {at} beside {x}, {y}");
            }
        }
    }
}
