//! Whether anything on the screen is in front of anything else, or outside the picture: read from where the interface has
//! laid things out, for every level of the display in every corner.

use std::collections::HashMap;

use bevy::prelude::*;
use bevy::ui::UiGlobalTransform;
use p2c2r_arena::ArenaEvent;
use p2c2r_game::screens::Page;
use p2c2r_game::settings::{BorrowingDetail, Corner, Settings};
use p2c2r_game::{Battlefield, Happened};
use p2c2r_link::problem::BRIEF_CHARS_MAX;
use p2c2r_offload::LinkProblem;

use super::scenes::lost;
use super::stage::Stage;

/// Less than this many pixels of overlap are rounding.
const SLACK: f32 = 1.0;
/// Long frames after which everything follows a changed setting: more than half a second.
const FRAMES: u32 = 9;

/// What one root node shows: boxes, and the words in them.
struct Shown {
    boxes: Vec<Rect>,
    /// Texts that leave the box behind them, so that they are cut off or float beside it.
    overflowing: Vec<String>,
    says: String,
}

/// Everything that can be seen, by the root that it belongs to.
fn shown(world: &mut World) -> Vec<Shown> {
    let mut nodes = world.query::<(
        Entity,
        &ComputedNode,
        &UiGlobalTransform,
        &InheritedVisibility,
        Option<&Text>,
        Option<&BackgroundColor>,
    )>();
    let seen: Vec<(Entity, Rect, String)> = nodes
        .iter(world)
        .filter(|(_, node, _, visible, ..)| visible.get() && node.size().min_element() > 0.5)
        .filter_map(|(entity, node, place, _, text, colour)| {
            let words = text.map(|text| text.0.trim().to_owned()).filter(|words| !words.is_empty());
            let is_filled = colour.is_some_and(|colour| colour.0.alpha() > 0.3);
            (words.is_some() || is_filled).then(|| {
                let (centre, half) = (place.translation, node.size() / 2.0);
                (entity, Rect::from_corners(centre - half, centre + half), words.unwrap_or_default())
            })
        })
        .collect();
    let mut grounds: HashMap<Entity, Rect> = HashMap::new();
    for (entity, rect, _) in seen.iter().filter(|(.., words)| words.is_empty()) {
        let root = root_of(world, *entity);
        grounds.entry(root).and_modify(|all| *all = all.union(*rect)).or_insert(*rect);
    }
    let mut roots: HashMap<Entity, Shown> = HashMap::new();
    for (entity, rect, words) in seen {
        let root = root_of(world, entity);
        // The words about what is pointed at stand in front of everything: the player asks for them.
        if world.get::<Name>(root).is_some_and(|name| name.as_str() == "pointed at") {
            continue;
        }
        let shown = roots.entry(root).or_insert_with(|| Shown {
            boxes: Vec::new(),
            overflowing: Vec::new(),
            says: String::new(),
        });
        shown.boxes.push(rect);
        let ground = grounds.get(&root).filter(|_| !words.is_empty());
        if ground.is_some_and(|ground| {
            !ground.inflate(SLACK).contains(rect.min) || !ground.inflate(SLACK).contains(rect.max)
        }) {
            shown.overflowing.push(words.clone());
        }
        if !words.is_empty() {
            shown.says.push_str(words.lines().next().unwrap_or_default());
            shown.says.push(' ');
        }
    }
    roots.into_values().collect()
}

fn root_of(world: &World, mut entity: Entity) -> Entity {
    while let Some(parent) = world.get::<ChildOf>(entity) {
        entity = parent.parent();
    }
    entity
}

/// The faults of what is shown in a picture of this size.
fn faults(shown: &[Shown], size: Vec2) -> Vec<String> {
    let mut faults = Vec::new();
    for (place, one) in shown.iter().enumerate() {
        let whole = one.boxes.iter().copied().reduce(|all, one| all.union(one)).expect("something is shown");
        if whole.min.min_element() < -SLACK || (whole.max - size).max_element() > SLACK {
            faults.push(format!("`{:.30}` leaves the picture: {whole:?}", one.says));
        }
        faults.extend(one.overflowing.iter().map(|text| format!("`{text}` leaves what it stands on")));
        for other in &shown[place + 1..] {
            let meet = |a: &Rect| other.boxes.iter().any(|b| a.intersect(*b).size().min_element() > SLACK);
            if one.boxes.iter().any(meet) {
                faults
                    .push(format!("`{:.30}` and `{:.30}` are in front of each other", one.says, other.says));
            }
        }
    }
    faults
}

/// Puts one box in front of the text `words` and another over the picture's edge, and returns the faults that are found.
fn faults_of_what_is_put_there(stage: &mut Stage, words: &str, size: Vec2) -> Vec<String> {
    let shown_before = shown(stage.app().world_mut());
    let covered = shown_before.iter().find(|one| one.says.contains(words)).expect("something to cover");
    let middle = covered.boxes[0].center() / size * 100.0;
    let put_there = [(middle.x, 1.0), (99.0, 10.0)].map(|(left, width)| {
        let put_there = stage.app().world_mut().spawn((
            Node {
                position_type: PositionType::Absolute,
                left: Val::Percent(left),
                top: Val::Percent(middle.y),
                width: Val::Percent(width),
                height: Val::Percent(1.0),
                ..Default::default()
            },
            BackgroundColor(Color::WHITE),
        ));
        put_there.id()
    });
    stage.play(2);
    let found = faults(&shown(stage.app().world_mut()), size);
    for entity in put_there {
        stage.app().world_mut().despawn(entity);
    }
    found
}

/// A problem in as many letters as there may be, in capitals in case they are wider.
fn longest_problem() -> LinkProblem {
    let brief = "WHAT IS WRONG: WHAT TO DO, ".repeat(3);
    LinkProblem::new(&brief[..BRIEF_CHARS_MAX], "all that is known of it, and what to look at, ".repeat(8))
}

/// The banner, if it takes more than one line.
fn broken(world: &mut World) -> Option<String> {
    let problem = longest_problem();
    let mut texts = world.query::<(&Text, &ComputedNode, &TextFont)>();
    let banner = texts.iter(world).find(|(text, ..)| text.0 == problem.brief());
    let (_, node, font) = banner.expect("the banner");
    let FontSize::Px(size) = font.font_size else { return Some("the banner's letters have no size".into()) };
    let height = node.size().y * node.inverse_scale_factor();
    (height > 2.0 * size).then(|| format!("the banner takes {height} pixels for letters of {size}"))
}

/// Looks at every level in every corner, and then at every page, of a picture of this size with letters so large, per cent;
/// `Err` says why nothing can be drawn here.
pub fn check(width: u32, height: u32, scale: u8) -> Result<Vec<String>, String> {
    let scale_of_text = format!("--display-scale={scale}");
    // With a cap on an hour, so that what is left of it is shown.
    let arguments = ["--difficulty=pilot", &scale_of_text, "--borrowing-cap-millidollars-per-hour=20"];
    let mut stage = Stage::open_refused(width, height, &arguments, longest_problem())?.without_renderer();
    stage.skip(30);
    let size = Vec2::new(width as f32, height as f32);
    let mut wrong = Vec::new();
    // The page of a round's end is reached by losing, below.
    for page in Page::MENUS {
        stage.go_to(page);
        // One frame to make it fit.
        stage.play(2);
        let found = faults(&shown(stage.app().world_mut()), size);
        wrong.extend(found.iter().map(|fault| format!("{width}x{height} at {scale} %, {page:?}: {fault}")));
    }
    stage.go_to(Page::Play);
    for corner in Corner::ALL {
        for level in BorrowingDetail::ALL {
            // Off and on again: the other mode's column, a toast, and the banner, since nobody can be borrowed from.
            for _ in 0..2 {
                stage.app().world_mut().resource_mut::<Settings>().borrowing.enabled ^= true;
                stage.play(2);
            }
            let settings = |settings: &mut Settings| {
                (settings.display.level, settings.display.corner) = (level, corner);
            };
            let world = stage.app().world_mut();
            settings(&mut world.resource_mut());
            world.write_message(Happened(ArenaEvent::WaveStarted { wave: 1, enemies: 12 }));
            stage.skip(FRAMES);
            let shown = shown(stage.app().world_mut());
            let words = |part: &str| shown.iter().any(|shown| shown.says.contains(part));
            let is_whole = words("WAVE") && words("SHIELD") && words(longest_problem().brief());
            assert!(is_whole, "{level:?}: the scene lacks what is to be looked at");
            if (width, height, scale) == (1_280, 720, 100) {
                wrong.extend(
                    broken(stage.app().world_mut())
                        .into_iter()
                        .map(|fault| format!("{level:?}, {corner:?}: {fault}")),
                );
            }
            let found = faults(&shown, size);
            wrong.extend(
                found
                    .iter()
                    .map(|fault| format!("{width}x{height} at {scale} %, {level:?}, {corner:?}: {fault}")),
            );
        }
    }
    let put_there = faults_of_what_is_put_there(&mut stage, "SHIELD", size);
    assert!(
        put_there.iter().any(|fault| fault.contains("in front")),
        "cannot see what is covered: {put_there:?}"
    );
    assert!(
        put_there.iter().any(|fault| fault.contains("leaves")),
        "cannot see what is cut off: {put_there:?}"
    );
    stage.app().world_mut().resource_mut::<Battlefield>().arena = lost();
    // The last ship's explosion is shown before the page.
    stage.play(100);
    let shown = shown(stage.app().world_mut());
    assert!(shown.iter().any(|shown| shown.says.contains("GAME OVER")), "no round has ended");
    let found = faults(&shown, size);
    wrong.extend(found.iter().map(|fault| format!("{width}x{height} at {scale} %, a round's end: {fault}")));
    Ok(wrong)
}
