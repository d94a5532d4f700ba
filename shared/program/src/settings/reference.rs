//! The reference of settings in `docs/settings.md`.

use std::fmt::Write as _;

use super::format::Arity;
use super::{ProgramSettings, SettingRow, SettingsFile};

/// The file, seen from the folder of a program's package, in which Cargo runs its tests.
const FILE: &str = "../docs/settings.md";

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Every setting of `C` as rows of a Markdown table.
fn reference<C: ProgramSettings>() -> String {
    let defaults = C::default();
    let has_file = C::FILE != SettingsFile::None;
    let mut text = if has_file { "| file " } else { "" }.to_owned();
    text.push_str("| flag | variable | default | range | meaning |\n");
    text.push_str(if has_file { "|---" } else { "" });
    text.push_str("|---|---|---|---|---|\n");
    for row in C::rows() {
        let default = match row.shape.arity {
            Arity::Switch if row.shape.default_is.is_none() => "no".to_owned(),
            _ => row.default_in_words(&defaults).unwrap_or_else(|| "none".to_owned()),
        };
        // Writing to a string does not fail.
        if has_file {
            let _ = write!(text, "| `{}` ", row.key);
        }
        let (flag, variable) = if row.shape.is_in_file_alone {
            ("none".to_owned(), "none".to_owned())
        } else {
            (format!("`--{}`", row.flag), format!("`{}`", row.variable))
        };
        let _ = writeln!(
            text,
            "| {flag} | {variable} | {} | {} | {} |",
            cell(&default),
            cell(&range(row)),
            cell(&row.meaning),
        );
    }
    text
}

fn range<C>(row: &SettingRow<C>) -> String {
    match (&row.shape.range, row.shape.choices.is_empty(), row.shape.arity) {
        (Some(range), ..) => range.clone(),
        (None, false, _) => row
            .shape
            .choices
            .iter()
            .map(|choice| format!("`{}`", choice.get_name()))
            .collect::<Vec<_>>()
            .join(", "),
        (None, true, Arity::Switch) => "yes, no".to_owned(),
        (None, true, _) => row.shape.value_name.to_owned(),
    }
}

/// For a program's tests: fails unless the part of `docs/settings.md` between `<!-- NAME -->` and `<!-- end of NAME -->` is
/// the table of `C`'s settings. With the environment variable `P2C2R_WRITE_REFERENCE` set, the part is written instead.
///
/// # Panics
/// If the file cannot be read, lacks the marks, or says something else.
pub fn assert_reference<C: ProgramSettings>(name: &str) {
    let whole = std::fs::read_to_string(FILE).unwrap_or_else(|error| panic!("{FILE}: {error}"));
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let parts = whole.split_once(&begin).and_then(|(before, rest)| {
        let (part, after) = rest.split_once(&end)?;
        Some((before, part, after))
    });
    let Some((before, part, after)) = parts else { panic!("{FILE} lacks `{begin}` or `{end}`") };
    let wanted = format!("\n{}\n", reference::<C>());
    if std::env::var_os("P2C2R_WRITE_REFERENCE").is_some() {
        std::fs::write(FILE, format!("{before}{begin}{wanted}{end}{after}"))
            .expect("the file can be written");
    } else {
        assert!(
            part == wanted,
            "{FILE} is out of date: run the same test with P2C2R_WRITE_REFERENCE=1, and commit it.\n{wanted}"
        );
    }
}
