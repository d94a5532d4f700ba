//! Makes public names, and other text from strangers, fit to be shown on a console.

use crate::limits::NAME_BYTES_MAX;

/// The name of an account whose requested name has no printable character.
const NAMELESS: &str = "anonymous";

/// The name as it may be kept and shown: at most [`NAME_BYTES_MAX`] bytes, no unprintable characters, no space around
/// it, never empty.
pub fn fit_name(name: &str) -> String {
    let mut fit = String::new();
    for character in name.trim().chars().filter(|character| is_printable(*character)) {
        if fit.len() + character.len_utf8() > NAME_BYTES_MAX {
            break;
        }
        fit.push(character);
    }
    let fit = fit.trim();
    if fit.is_empty() { NAMELESS.to_owned() } else { fit.to_owned() }
}

/// The first `chars_max` printable characters of text from somebody else's program.
pub fn printable(text: &str, chars_max: usize) -> String {
    text.chars().filter(|character| is_printable(*character)).take(chars_max).collect()
}

/// The text with U+FFFD in place of every character that is not [printable](is_printable), so that names of older files
/// neither control a terminal nor hide in a table.
pub fn mark_unprintable(text: &str) -> String {
    text.chars().map(|character| if is_printable(character) { character } else { '\u{fffd}' }).collect()
}

/// Whether a character may stand in a name or a reason: no control characters, and none of the invisible ones
/// that reorder or hide text on a console.
pub fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_words_are_cut_and_cleaned_and_names_are_never_empty() {
        assert_eq!(fit_name("  ada lovelace "), "ada lovelace");
        assert_eq!(fit_name("a\u{1b}[31m\u{202E}b\n"), "a[31mb");
        assert!(fit_name(&"ä".repeat(100)).len() <= NAME_BYTES_MAX);
        for empty in ["", "  ", "\u{200B}\u{7}"] {
            assert_eq!(fit_name(empty), NAMELESS);
        }
        for name in ["ada", &"x".repeat(200), "\u{feff}"] {
            assert_eq!(fit_name(&fit_name(name)), fit_name(name), "fit names stay as they are");
        }
        assert_eq!(mark_unprintable("\u{1b}a\u{202E}ä\n"), "\u{fffd}a\u{fffd}ä\u{fffd}");
        assert_eq!(printable("\u{1b}a\u{202E}äb\nc", 3), "aäb", "what cannot be shown does not count");
    }
}
