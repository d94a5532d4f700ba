//! The numbers on the screen: read from [`Figures`](crate::figures::Figures), never from the tasks
//! themselves.

mod announce;
mod charts;
mod chip;
mod details;
mod ghost;
mod level;
mod messages;
mod middle;
mod palette;
mod panel;
mod pointing;
mod scale;
mod score;
mod ship;
mod stages;
mod warnings;
mod wingman;

use bevy::prelude::*;

pub(crate) use palette::{
    BLUISH_GREEN, BRIGHT, CHOSEN, CLEAR, DIM, EDGE, Ground, Ink, Letters, ORANGE, PAGE, Rim, SHADE, SKY_BLUE,
};

pub(super) fn plugin(app: &mut App) {
    app.add_plugins((
        scale::plugin,
        level::plugin,
        chip::plugin,
        panel::plugin,
        charts::plugin,
        details::plugin,
        stages::plugin,
        warnings::plugin,
        ghost::plugin,
        middle::plugin,
        messages::plugin,
        score::plugin,
        ship::plugin,
        announce::plugin,
        pointing::plugin,
    ))
    .add_plugins((wingman::plugin, palette::plugin));
}

/// Writes `new` into a text only if it differs, because a changed text is laid out again.
fn write(text: &mut Mut<Text>, new: &str) {
    if text.0 != new {
        new.clone_into(&mut text.0);
    }
}

/// Writes `new` into the text directly inside a box.
fn write_inside(children: &Children, texts: &mut Query<&mut Text>, new: &str) {
    for child in children {
        if let Ok(mut text) = texts.get_mut(*child) {
            write(&mut text, new);
        }
    }
}

/// Includes a node in the layout or not; written only if it differs, because a changed node is laid out
/// again.
fn show(node: &mut Mut<Node>, shown: bool) {
    let display = if shown { Display::Flex } else { Display::None };
    if node.display != display {
        node.display = display;
    }
}

/// The smallest text, pixels at a window height of 720: 18 at 1080, the minimum in guidelines for computer
/// games.
const TEXT_MIN: f32 = 12.0;

/// Text of this size (pixels at a window height of 720) and colour, without wrapping.
pub(crate) fn text(content: impl Into<String>, size: f32, colour: Ink) -> impl Bundle {
    laid_out(content, size, colour, TextLayout { linebreak: LineBreak::NoWrap, ..default() })
}

/// The same with wrapping, each line centred.
pub(crate) fn wrapped(content: impl Into<String>, size: f32, colour: Ink) -> impl Bundle {
    laid_out(content, size, colour, TextLayout::new(Justify::Center, LineBreak::WordBoundary))
}

fn laid_out(content: impl Into<String>, size: f32, colour: Ink, layout: TextLayout) -> impl Bundle {
    debug_assert!(size >= TEXT_MIN, "text of {size} pixels cannot be read");
    (
        Text::new(content),
        TextFont::from_font_size(size),
        Letters(colour),
        layout,
        TextShadow { offset: Vec2::splat(1.0), color: Color::BLACK },
    )
}
