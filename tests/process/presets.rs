//! The price and traffic that the game states for each preset, beside those of a minute of play at its settings.

use p2c2r_protocol::PriceList;
use p2c2r_server::config::default_prices;
use p2c2r_tasks::lightfield::Lightfield;
use p2c2r_tasks::reflection::Reflection;
use p2c2r_tasks::{Blobs, KindRegistry, Stop};
use p2c2r_tests::bench::play::{
    FieldHabit, LightHabit, PLANS, Play, Played, SECTOR, SECTORS_PER_HOUR, Varied, field_around,
    light_around, sector,
};
use p2c2r_tests::bench::presets::{PRESETS, field, is_time, mirrors};
use p2c2r_tests::programs::{Program, command};

/// Seconds of play, and its largest relative difference from what the game states: two minutes of play differ by more.
const SECONDS: u32 = 60;
const APART_MAX: f64 = 1.0 / 3.0;
/// Outcomes of each kind whose bytes are counted: their kernels take most of this test's time.
const OUTCOMES: usize = 4;

/// A line of `--presets`.
struct Told {
    name: String,
    dollars_per_hour: f64,
    kbit_per_s: f64,
    habit: LightHabit,
    light: Played<Reflection>,
    /// `None` where no field is bought.
    field: Option<(FieldHabit, Played<Lightfield>)>,
    /// Rollouts of a plan.
    rollouts: u32,
}

fn told(line: &str) -> Told {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |place: usize| words[place].parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
    let whole = |place: usize| number(place) as u64;
    let face_log2 = number(4).log2() as u8;
    let ships = (whole(9) as usize, whole(10) as u8);
    let habit = mirrors(face_log2, whole(5) as u8, whole(6) as u8, whole(7), whole(8) as usize, ships);
    let field = words[11].parse().ok().map(|paths| {
        let habit = field(paths, whole(12) as u8, whole(13), whole(14) as usize);
        let per_second = 1.0 / habit.interval.as_secs_f64();
        (habit, Played { tasks: Vec::new(), per_second })
    });
    Told {
        name: format!("{} {}", words[0], words[1]),
        dollars_per_hour: number(2),
        kbit_per_s: number(3),
        light: Played { tasks: Vec::new(), per_second: 1.0 / habit.interval.as_secs_f64() },
        habit,
        field,
        rollouts: whole(15) as u32,
    }
}

/// Dollars an hour and kilobits a second of tasks that come at their rate.
fn cost<K: Varied>(played: &Played<K>, prices: &PriceList) -> (f64, f64) {
    let count = played.tasks.len().max(1) as f64;
    let price: i64 = played
        .tasks
        .iter()
        .map(|(spec, blobs)| {
            let units = K::admit(spec, blobs).expect("what a game asks for is admissible");
            prices.price(K::ID, units).expect("it is sold").0
        })
        .sum();
    let some = played.tasks.iter().step_by((played.tasks.len() / OUTCOMES).max(1));
    let (mut bytes, mut looked_at) = (0, 0.0_f64);
    for (spec, blobs) in some {
        let outcome = K::run(spec, blobs, &Stop::never()).expect("the kernels take it");
        bytes += K::encode_spec(spec).len() + K::encode_outcome(&outcome).len();
        looked_at += 1.0;
    }
    let per_second = price as f64 / count * played.per_second;
    (per_second * 3_600.0 * 1e-9, bytes as f64 / looked_at.max(1.0) * played.per_second * 8e-3)
}

#[test]
fn the_presets_cost_what_the_game_says() {
    let mut game = command("p2c2r-game");
    game.arg("--presets");
    let said = Program::start("game", game).ended_well();
    let is_row =
        |line: &&str| line.split_whitespace().nth(1).is_some_and(|word| word == "low" || word == "high");
    let mut presets: Vec<Told> = said.lines().filter(is_row).map(told).collect();
    assert_eq!(presets.len(), PRESETS.len(), "{said}");
    for (told, copy) in presets.iter().zip(&PRESETS) {
        assert_eq!(told.name, format!("{} {}", copy.name, copy.drawn));
        assert_eq!(told.habit, copy.light, "{}: the bench's copy is another", told.name);
        let field = told.field.as_ref().map(|(habit, _)| habit);
        assert_eq!(field, copy.field.as_ref(), "{}: the bench's copy is another", told.name);
        assert_eq!(told.rollouts, copy.plans.rollouts(), "{}: the bench's copy is another", told.name);
    }
    let sold = format!(
        "{} rays, {} bounces and {} rocks, {SECTORS_PER_HOUR} times an hour",
        SECTOR.paths, SECTOR.bounces, SECTOR.rocks_max
    );
    assert!(said.contains(&sold), "{said} is not of {sold}");
    let mut of_sector = None;
    let play = Play::watched(SECONDS, |arena| {
        of_sector.get_or_insert_with(|| sector(arena, &SECTOR));
        for preset in &mut presets {
            if is_time(arena.tick(), preset.habit.interval) {
                preset.light.tasks.push((light_around(arena, &preset.habit), Blobs::default()));
            }
            if let Some((habit, field)) = &mut preset.field
                && is_time(arena.tick(), habit.interval)
            {
                field.tasks.push((field_around(arena, habit), Blobs::default()));
            }
        }
    });
    let play = play.expect("the kernels take it");
    let prices = default_prices(&KindRegistry::builtin());
    let (path, physics) = (cost(&play.path, &prices), cost(&play.physics, &prices));
    let plans = cost(&play.tactics, &prices);
    let of_sector = cost(&of_sector.expect("play has a sector"), &prices);
    println!("light of sectors: ${:.5} an hour, {:.0} kbit/s", of_sector.0, of_sector.1);
    println!("plans at the default depth: ${:.4} an hour, {:.0} kbit/s", plans.0, plans.1);
    println!("paths: ${:.5} an hour; motions: ${:.5}", path.0, physics.0);
    let mut faults = Vec::new();
    for preset in &presets {
        let light = cost(&preset.light, &prices);
        let field = preset.field.as_ref().map_or((0.0, 0.0), |(_, field)| {
            let live = cost(field, &prices);
            (live.0 + of_sector.0, live.1 + of_sector.1)
        });
        // What plans cost grows with their rollouts; their bytes hardly do.
        let deeper = f64::from(preset.rollouts) / f64::from(PLANS.rollouts());
        let dollars = light.0 + field.0 + path.0 + physics.0 + plans.0 * deeper;
        let kbit = light.1 + field.1 + path.1 + physics.1 + plans.1;
        println!("  of that for mirrors: ${:.5} an hour, {:.0} kbit/s", light.0, light.1);
        println!("  of that for the field and sectors: ${:.5} an hour, {:.0} kbit/s", field.0, field.1);
        println!("{}: ${dollars:.4} an hour, {kbit:.0} kbit/s", preset.name);
        for (what, told, is) in
            [("dollars an hour", preset.dollars_per_hour, dollars), ("kbit/s", preset.kbit_per_s, kbit)]
        {
            if (told - is).abs() > is * APART_MAX {
                faults.push(format!("{}: {told} {what}, play says {is:.4}", preset.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
