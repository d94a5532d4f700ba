//! What the pages that coordinator and worker serve to browsers have in common: plain HTML that needs no script.

use std::fmt::Display;

use maud::{DOCTYPE, Markup, html};

/// A whole page. A browser asks again after `refresh` seconds, if that is given; `style` is its style sheet, or a link
/// to it.
pub fn document(title: &str, refresh: Option<u32>, style: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if let Some(seconds) = refresh { meta http-equiv="refresh" content=(seconds); }
                title { (title) }
                (style)
            }
            body { (body) }
        }
    }
}

/// A named value, for a list of such.
pub fn tile(name: &str, value: impl Display) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}
