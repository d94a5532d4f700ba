//! What the game looks like: scripted scenes, drawn without a window, beside pictures that are stored here.
//!
//! After an intended change, look at the new pictures and store them by
//! `cargo test -p p2c2r-game --test pictures store_the_pictures -- --ignored`. Where there is no renderer, the scenes are
//! skipped and the test says why, unless `P2C2R_RENDERER=required` says that there must be one. The stored pictures are
//! compared with one another everywhere.

mod compare;
#[path = "../pages/coordinator.rs"]
mod coordinator;
#[cfg(target_os = "linux")]
mod cost;
mod keys;
mod late;
mod layout;
mod mirrors;
#[path = "../pages/refusing.rs"]
mod refusing;
mod scenes;
mod stage;

use std::path::{Path, PathBuf};
use std::process::Command;

use image::RgbImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};

use compare::{HEIGHT, WIDTH, difference, is_blank};

/// Bytes of all stored pictures together, at most: they are cloned with the code.
const BYTES_MAX: u64 = 1_000_000;

fn stored(name: &str) -> PathBuf {
    Path::new("tests/pictures").join(name).with_extension("png")
}

fn read(path: &Path) -> Result<RgbImage, String> {
    image::open(path)
        .map(image::DynamicImage::into_rgb8)
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// All stored pictures by name.
fn all_stored() -> Vec<(String, RgbImage)> {
    let folder = stored("any").parent().expect("a folder").to_path_buf();
    let mut pictures: Vec<_> = std::fs::read_dir(folder)
        .expect("stored pictures")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "png"))
        .map(|path| {
            (path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), read(&path).unwrap())
        })
        .collect();
    pictures.sort_by(|a, b| a.0.cmp(&b.0));
    pictures
}

/// Says why nothing can be drawn here, which is a failure where the environment requires a renderer.
fn skip(reason: &str) {
    let required = std::env::var_os("P2C2R_RENDERER").is_some_and(|wanted| wanted == "required");
    assert!(!required, "P2C2R_RENDERER=required, but: {reason}");
    eprintln!("skipped: {reason}");
}

/// All scenes as they are drawn here; without a renderer it says so, and there are none.
fn drawn() -> Option<Vec<(&'static str, RgbImage)>> {
    match scenes::draw() {
        Ok(pictures) => Some(pictures),
        Err(reason) => {
            skip(&reason);
            None
        }
    }
}

#[test]
fn every_scene_looks_as_it_is_stored() {
    let Some(pictures) = drawn() else { return };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    std::fs::create_dir_all(&folder).unwrap();
    let mut wrong = Vec::new();
    for (name, picture) in &pictures {
        assert!(!is_blank(picture), "{name} shows nothing");
        let fault = match read(&stored(name)) {
            Err(error) => error,
            Ok(before) => match difference(&before, picture) {
                found if found.is_small() => {
                    println!("{name}: {found}");
                    continue;
                }
                found => format!("{name} differs: {found}"),
            },
        };
        let path = folder.join(name).with_extension("png");
        picture.save(&path).unwrap();
        wrong.push(format!("{fault}; see {}", path.display()));
    }
    let names: Vec<_> = all_stored().into_iter().map(|(name, _)| name).collect();
    let mut drawn: Vec<_> = pictures.iter().map(|(name, _)| (*name).to_owned()).collect();
    drawn.sort();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(names, drawn, "pictures that no scene draws");
}

/// The environment chooses the renderer of a whole process, so the one scene is drawn by this program started anew.
#[test]
#[cfg(target_os = "linux")]
fn opengl_draws_the_lowest_preset_as_it_is_stored() {
    let mut program = Command::new(std::env::current_exe().expect("this program"));
    program.args(["--exact", "the_lowest_preset_is_drawn_as_it_is_stored", "--ignored", "--nocapture"]);
    let output = program.env("WGPU_BACKEND", "gl").env_remove("P2C2R_RENDERER").output().expect("it runs");
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    for line in said.lines().filter(|line| line.contains("skipped: ") || line.contains(scenes::LOWEST)) {
        eprintln!("OpenGL: {line}");
    }
}

#[test]
#[ignore = "run with OpenGL by another test"]
fn the_lowest_preset_is_drawn_as_it_is_stored() {
    match scenes::lowest() {
        Ok(picture) => {
            assert!(!is_blank(&picture), "it shows nothing");
            let found = difference(&read(&stored(scenes::LOWEST)).unwrap(), &picture);
            assert!(found.is_small(), "{found}");
            println!("{}: {found}", scenes::LOWEST);
        }
        Err(reason) => skip(&reason),
    }
}

#[test]
fn nothing_on_the_screen_covers_anything_else_at_any_level_in_any_corner() {
    for (width, height, scale) in [
        (1_280, 720, 100),
        (1_920, 1_080, 100),
        (1_280, 720, 200),
        (1_366, 768, 150),
        (800, 600, 100),
        (1_024, 768, 75),
    ] {
        match layout::check(width, height, scale) {
            Ok(wrong) => assert!(wrong.is_empty(), "{}", wrong.join("\n")),
            Err(reason) => return skip(&reason),
        }
    }
}

#[test]
fn every_text_names_keys_and_buttons_as_they_are_bound() {
    match keys::check() {
        Ok(wrong) => assert!(wrong.is_empty(), "{}", wrong.join("\n")),
        Err(reason) => skip(&reason),
    }
}

#[test]
fn a_coordinator_that_starts_late_is_missed_within_two_seconds_and_joined_when_it_answers() {
    if let Err(reason) = late::check() {
        skip(&reason);
    }
}

#[test]
fn a_ship_beside_the_players_mirrors_what_is_around_itself() {
    match mirrors::check() {
        Ok(wrong) => assert!(wrong.is_empty(), "{}", wrong.join("\n")),
        Err(reason) => skip(&reason),
    }
}

#[test]
fn no_stored_picture_passes_for_another_or_is_blank() {
    let pictures = all_stored();
    assert!(pictures.len() >= 20, "{} pictures", pictures.len());
    for (place, (name, picture)) in pictures.iter().enumerate() {
        assert_eq!(picture.dimensions(), (WIDTH, HEIGHT), "{name}");
        assert!(!is_blank(picture), "{name} shows nothing");
        for (other, shown) in &pictures[place + 1..] {
            let found = difference(picture, shown);
            assert!(!found.is_small(), "{name} would pass for {other}: {found}");
        }
        for colour in [[0; 3], [255; 3], [2, 3, 6]] {
            let found = difference(picture, &RgbImage::from_pixel(WIDTH, HEIGHT, image::Rgb(colour)));
            assert!(!found.is_small(), "a blank screen would pass for {name}: {found}");
        }
    }
}

#[test]
fn stored_pictures_are_small() {
    let bytes = |name: &str| std::fs::metadata(stored(name)).expect("a stored picture").len();
    let sum: u64 = all_stored().iter().map(|(name, _)| bytes(name)).sum();
    assert!(sum <= BYTES_MAX, "{sum} bytes");
}

#[test]
#[ignore = "writes the pictures that the scenes are compared with"]
fn store_the_pictures() {
    let pictures = drawn().expect("a renderer to draw them");
    for (name, _) in all_stored() {
        if !pictures.iter().any(|(drawn, _)| *drawn == name) {
            std::fs::remove_file(stored(&name)).unwrap();
        }
    }
    for (name, picture) in pictures {
        assert!(!is_blank(&picture), "{name} shows nothing");
        let file = std::fs::File::create(stored(name)).unwrap();
        let encoder = PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::Adaptive);
        picture.write_with_encoder(encoder).unwrap();
    }
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "measures what the display takes of a frame"]
fn the_display_costs() {
    cost::measure().expect("a renderer");
}
