//! What the pages say about a coordinator that does not let the game in.

use p2c2r_link::LinkProblem;

use super::refusing::refusing;
use super::*;

fn refused_with(problem: LinkProblem) -> App {
    let cli = GameCli::try_parse_from(["p2c2r-game", "--headless", "--local", "--page=title"]).unwrap();
    let mut offload = app::offload_config(&cli).unwrap();
    offload.link = Some(refusing(problem));
    let mut app = app::build(&cli, offload).unwrap();
    app.insert_resource(TimeUpdateStrategy::ManualDuration(FRAME));
    app.finish();
    app.cleanup();
    play(&mut app, 30);
    app
}

#[test]
fn the_title_says_on_one_line_what_is_wrong_and_the_settings_say_all_of_it() {
    let brief = "What is wrong: what to do";
    let mut app = refused_with(LinkProblem::new(brief, "all that is known, and what to look at"));
    assert!(menu(&app).lines.iter().any(|line| line == brief), "{:?}", menu(&app).lines);
    choose(&mut app, MenuAction::Go(Page::Settings));
    choose(&mut app, MenuAction::Go(Page::Borrowing));
    let lines = &menu(&app).lines;
    assert!(lines[0] == brief && lines[1].ends_with("all that is known, and what to look at"), "{lines:?}");
}
