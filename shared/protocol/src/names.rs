//! Names that people see: what may stand in one, and how one is made to fit.

use crate::limits::NAME_BYTES_MAX;

/// The name of whoever gives none.
pub const ANONYMOUS: &str = "anonymous";

/// A name fit to travel and to be shown: unprintable characters and what is over [`NAME_BYTES_MAX`] bytes are left out;
/// nothing left is [`ANONYMOUS`]. A name that fits stays as it is.
pub fn fit_name(name: &str) -> String {
    let mut fit = String::new();
    for character in name.trim().chars().filter(|character| is_printable(*character)) {
        if fit.len() + character.len_utf8() > NAME_BYTES_MAX {
            break;
        }
        fit.push(character);
    }
    let fit = fit.trim();
    if fit.is_empty() { ANONYMOUS.to_owned() } else { fit.to_owned() }
}

/// Whether a name is as [`fit_name`] makes it.
pub fn is_fit_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.trim() == name && name.chars().all(is_printable)
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_console_would_obey_or_hide_is_left_out() {
        assert_eq!(fit_name(" a\u{1b}[2Jb\u{202E}\n "), "a[2Jb");
        assert_eq!(fit_name("\u{200B}"), ANONYMOUS);
        assert!(fit_name(&"ä".repeat(100)).len() <= NAME_BYTES_MAX);
        assert_eq!(fit_name("ann"), "ann");
    }

    proptest! {
        #[test]
        fn every_text_becomes_a_fit_name_and_fit_names_stay(text in "\\PC{0,80}|[\u{0}-\u{2100}]{0,80}") {
            let fit = fit_name(&text);
            prop_assert!(is_fit_name(&fit));
            prop_assert_eq!(fit_name(&fit), fit);
        }
    }
}
