//! Makes public names, and other text from strangers, fit to be shown on a console.

use crate::limits::NAME_BYTES_MAX;

/// The name of an account whose requested name has no printable character.
const NAMELESS: &str = "anonymous";

/// The name as it may be kept and shown: at most [`NAME_BYTES_MAX`] bytes, no unprintable characters, words apart by one
/// plain space, never empty: names that look alike because of what cannot be seen in them are made the same.
pub fn fit_name(name: &str) -> String {
    let seen: String = name.chars().filter(|character| is_printable(*character)).collect();
    let mut fit = String::new();
    for word in seen.split_whitespace() {
        let gap = if fit.is_empty() { "" } else { " " };
        for character in gap.chars().chain(word.chars()) {
            if fit.len() + character.len_utf8() > NAME_BYTES_MAX {
                return fit.trim_end().to_owned();
            }
            fit.push(character);
        }
    }
    if fit.is_empty() { NAMELESS.to_owned() } else { fit }
}

/// Refuses a name of which nothing can be seen, and one with control characters; the error says what the name must.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    if name.chars().any(char::is_control) {
        return Err("must not contain control characters");
    }
    if !name.chars().any(|character| is_printable(character) && !character.is_whitespace()) {
        return Err("must contain something that can be seen");
    }
    Ok(())
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

/// Whether a character may stand in a name or a reason: no control characters, none of those that Unicode calls ignorable
/// (they are not drawn, or they reorder text on a console), and none that looks like nothing although it is no space.
pub fn is_printable(character: char) -> bool {
    let is_ignorable = matches!(character,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}');
    // The Braille pattern without dots, the Khitan filler, the musical null notehead.
    let is_blank = matches!(character, '\u{2800}' | '\u{16FE4}' | '\u{1D159}');
    !(character.is_control() || is_ignorable || is_blank)
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
        let blanks = "\u{34F}\u{115F}\u{1160}\u{17B4}\u{17B5}\u{180B}\u{180F}\u{2800}\u{3164}\u{FE00}\u{FE0F}\u{FFA0}\u{1BCA0}\
                      \u{1D159}\u{1D173}\u{16FE4}\u{E0101}\u{3000}\u{A0}\u{2003}";
        for blank in blanks.chars() {
            assert_eq!(fit_name(&blank.to_string().repeat(3)), NAMELESS, "{blank:?}");
            assert!(check_name(&blank.to_string()).is_err() && check_name(&format!("{blank}a")).is_ok());
            assert_eq!(fit_name(&format!("{blank}ada{blank}")), "ada", "{blank:?}");
        }
        for blank in ['\u{3164}', '\u{2800}', '\u{FE0F}', '\u{34F}'] {
            assert_eq!(fit_name(&format!("a{blank}da")), "ada", "{blank:?}");
        }
        for same in [
            "ada lovelace",
            "ada\u{A0}lovelace",
            "ada  lovelace",
            "ada \u{3000}lovelace",
            "ada \u{3164} lovelace",
        ] {
            assert_eq!(fit_name(same), "ada lovelace", "{same:?}");
        }
        for name in ["ada", &"x".repeat(200), "\u{feff}"] {
            assert_eq!(fit_name(&fit_name(name)), fit_name(name), "fit names stay as they are");
        }
        assert_eq!(mark_unprintable("\u{1b}a\u{202E}ä\n"), "\u{fffd}a\u{fffd}ä\u{fffd}");
        assert_eq!(printable("\u{1b}a\u{202E}äb\nc", 3), "aäb", "what cannot be shown does not count");
    }
}
