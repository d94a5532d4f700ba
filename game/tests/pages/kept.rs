//! What the player's files keep from one run to the next.

use super::*;

#[test]
fn settings_take_effect_at_once_and_are_there_in_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let start = || {
        let (mut app, _, _) = local_game(&["--page", "title", "--settings", &path]);
        play(&mut app, 3);
        app
    };
    let mut app = start();
    choose(&mut app, MenuAction::Go(Page::Settings));
    choose(&mut app, MenuAction::Go(Page::Borrowing));
    choose(&mut app, MenuAction::Turn(Row::Offload));
    choose(&mut app, MenuAction::Turn(Row::Physics));
    let switch = app.world().resource::<OffloadSwitch>();
    assert!(!switch.enabled);
    let before = *app.world().resource::<OffloadCaps>();
    choose(&mut app, MenuAction::Turn(Row::Cap));
    let after = *app.world().resource::<OffloadCaps>();
    assert_ne!(before.hour, after.hour);
    assert_eq!(after.hour, settings(&app).borrowing.hour_cap());
    drop(app);
    let app = start();
    assert!(!settings(&app).borrowing.enabled && !settings(&app).borrowing.physics);
    assert!(!app.world().resource::<OffloadSwitch>().enabled);
}

#[test]
fn a_palette_is_kept_and_a_file_from_before_there_were_two_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "version = 1\n[display]\ncorner = \"bottom-left\"\n").unwrap();
    let start = |arguments: &[&str]| {
        let (mut app, _, _) =
            local_game(&[&["--page", "title", "--settings", path.as_str()], arguments].concat());
        play(&mut app, 3);
        app
    };
    let palette = |app: &App| settings(app).display.palette;
    let mut app = start(&[]);
    assert_eq!(menu(&app).note, "", "nothing is wrong with the file");
    assert_eq!((palette(&app), settings(&app).display.corner), (Palette::Standard, Corner::BottomLeft));
    choose(&mut app, MenuAction::Go(Page::Settings));
    choose(&mut app, MenuAction::Go(Page::Display));
    choose(&mut app, MenuAction::Turn(Row::Palette));
    drop(app);
    assert_eq!(palette(&start(&[])), Palette::HighContrast);
    assert_eq!(palette(&start(&["--display-palette", "standard"])), Palette::Standard);
}

#[test]
fn damaged_settings_and_newer_scores_are_both_told_of_on_the_title() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("settings.toml"), "sound = [").unwrap();
    std::fs::write(folder.path().join("scores.toml"), "version = 9").unwrap();
    let (mut app, _, _) = local_game(&["--page", "title", "--settings", folder.path().to_str().unwrap()]);
    play(&mut app, 3);
    for kept in ["settings.toml.damaged-1", "scores.toml.newer-1"] {
        assert!(menu(&app).note.contains(kept), "{}", menu(&app).note);
    }
    assert_eq!(*settings(&app), Settings::default());
}

#[test]
fn a_round_that_counts_is_kept_with_all_that_a_table_of_scores_tells() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let (mut app, _, _) = local_game(&["--page", "title", "--settings", &path]);
    play(&mut app, 3);
    app.world_mut().resource_mut::<Settings>().difficulty = Difficulty::Ace;
    choose(&mut app, MenuAction::Begin);
    let seed = app.world().resource::<Battlefield>().arena.config().seed;
    score_and_lose(&mut app);
    let kept = app.world().resource::<Scores>().table(Difficulty::Ace).to_vec();
    let [round] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!((round.seed, round.borrowed().as_str()), (Some(seed), "alone"));
    assert!(round.score > 0 && round.date.is_some() && seed < 1_000_000_000, "{round:?}");
    play(&mut app, 60);
    choose(&mut app, MenuAction::Go(Page::Scores));
    let lines = menu(&app).lines.join("\n");
    for part in [seed.to_string(), round.date.clone().unwrap(), "alone".into(), "As ace".into()] {
        assert!(lines.contains(&part), "`{part}` is missing in:\n{lines}");
    }
    let columns = |line: &str| line.chars().count();
    assert!(
        menu(&app).lines[1..].iter().all(|line| columns(line) == columns(&menu(&app).lines[1])),
        "{lines}"
    );
    let file = std::fs::read_to_string(folder.path().join("scores.toml")).unwrap();
    assert!(file.contains(&format!("seed = {seed}")) && file.contains("date = \"2"), "{file}");
}

#[test]
fn scores_of_an_older_game_are_read_and_what_they_do_not_say_is_a_dash() {
    let folder = tempfile::tempdir().unwrap();
    let older = "version = 1\n[[cadet]]\nscore = 700\nwave = 2\nseconds = 61\ncost_nanos = 1234567\n";
    std::fs::write(folder.path().join("scores.toml"), older).unwrap();
    let (mut app, _, _) = local_game(&["--page", "title", "--settings", folder.path().to_str().unwrap()]);
    play(&mut app, 3);
    assert_eq!(menu(&app).note, "", "nothing is wrong with it");
    choose(&mut app, MenuAction::Go(Page::Scores));
    let row: Vec<&str> = menu(&app).lines[2].split_whitespace().collect();
    assert_eq!(row, ["1.", "700", "2", "1:01", "-", "-", "$0.001234567", "-"]);
}
