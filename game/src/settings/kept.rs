//! The player's files: settings and scores, as TOML in the folders that the XDG specification names.
//!
//! A file that is damaged, or that a newer game wrote, is never overwritten: it is renamed, the player is
//! told, and the game goes on with defaults.

use std::path::{Path, PathBuf};

use bevy::prelude::*;

/// The version this game writes into a file, and the newest that it understands. Raised when an older game
/// would misunderstand a file.
const VERSION: i64 = 1;
/// The key of a file's version.
const VERSION_KEY: &str = "version";
/// Names that are tried for a file that is renamed.
const ASIDE_TRIES: u32 = 100;

/// Data kept in one of the player's files.
pub(crate) trait PlayerFile: Default {
    /// The file's name.
    const FILE: &'static str;
    /// A description of its content.
    const WHAT: &'static str;

    /// The content of a file, without values that an edited file may hold and the game cannot use; or why it
    /// is damaged.
    fn read(file: &toml::Table) -> Result<Self, String>;

    /// The content to write.
    fn written(&self) -> Result<toml::Table, String>;
}

/// The folder of the player's files, if any are kept, and messages about them.
#[derive(Resource, Clone, Debug, Default)]
pub(crate) struct UserFiles {
    folder: Option<PathBuf>,
    /// Sentences for the player, such as that a file was damaged.
    pub(crate) said: Vec<String>,
}

/// Why a file is not used: what is wrong with it, and the suffix of its new name.
struct Unfit {
    why: String,
    suffix: &'static str,
}

impl UserFiles {
    /// Files in this folder.
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self { folder: Some(folder), said: Vec::new() }
    }

    /// Files in the folder for this user's configuration, if the system says where that is.
    pub(crate) fn of_this_user() -> Self {
        Self { folder: dirs::config_dir().map(|folder| folder.join("p2c2r")), said: Vec::new() }
    }

    /// The stored data, or the default.
    pub(crate) fn load<T: PlayerFile>(&mut self) -> T {
        let Some(path) = self.path::<T>() else { return T::default() };
        read(&path).unwrap_or_else(|Unfit { why, suffix }| {
            self.set_aside::<T>(&path, &why, suffix);
            T::default()
        })
    }

    /// Like [`Self::load`], but renames nothing: a problem with the file is the error.
    pub(crate) fn look<T: PlayerFile>(&self) -> Result<T, String> {
        let Some(path) = self.path::<T>() else { return Ok(T::default()) };
        read(&path).map_err(|Unfit { why, .. }| format!("{}: {why}", path.display()))
    }

    /// Writes the data atomically; returns whether they are written.
    pub(crate) fn save<T: PlayerFile>(&mut self, kept: &T) -> bool {
        let Some(path) = self.path::<T>() else { return false };
        let written = write(&path, kept);
        if let Err(error) = &written {
            tracing::warn!(path = %path.display(), %error, "not saved");
            self.say(format!("Your {} were not saved: {error}", T::WHAT));
        }
        written.is_ok()
    }

    /// Tells the player, once: a full disk refuses every change with the same message.
    pub(crate) fn say(&mut self, sentence: String) {
        if !self.said.contains(&sentence) {
            self.said.push(sentence);
        }
    }

    /// The folder, if any files are kept.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    fn path<T: PlayerFile>(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(T::FILE))
    }

    fn set_aside<T: PlayerFile>(&mut self, path: &Path, why: &str, suffix: &str) {
        let free = (1..=ASIDE_TRIES)
            .map(|number| path.with_file_name(format!("{}.{suffix}-{number}", T::FILE)))
            .find(|aside| !aside.exists());
        let kept = free.filter(|aside| std::fs::rename(path, aside).is_ok());
        let sentence = if let Some(aside) = &kept {
            format!("Your {} could not be read ({why}); they are kept as {}", T::WHAT, aside.display())
        } else {
            // From now on nothing is written, so that the file which could not be moved is not overwritten.
            self.folder = None;
            format!("Your {} could not be read ({why}); nothing is saved this time", T::WHAT)
        };
        tracing::warn!("{sentence}");
        self.said.push(sentence);
    }
}

fn read<T: PlayerFile>(path: &Path) -> Result<T, Unfit> {
    let damaged = |why| Unfit { why, suffix: "damaged" };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(T::default()),
        // A folder, or a file that is not text: the next file could not be written.
        Err(error) => return Err(damaged(error.to_string())),
    };
    let mut file: toml::Table = toml::from_str(&text).map_err(|error| damaged(error.message().to_owned()))?;
    match file.remove(VERSION_KEY) {
        Some(toml::Value::Integer(version)) if version > VERSION => {
            return Err(Unfit { why: "a newer game wrote it".into(), suffix: "newer" });
        }
        None | Some(toml::Value::Integer(_)) => {}
        Some(_) => return Err(damaged("its version is not a number".into())),
    }
    T::read(&file).map_err(damaged)
}

/// The content to write, as text.
pub(crate) fn text_of<T: PlayerFile>(kept: &T) -> Result<String, String> {
    let mut file = kept.written()?;
    file.insert(VERSION_KEY.to_owned(), VERSION.into());
    toml::to_string(&file).map_err(|error| error.to_string())
}

fn write<T: PlayerFile>(path: &Path, kept: &T) -> std::io::Result<()> {
    let text = text_of(kept).map_err(std::io::Error::other)?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let unfinished = path.with_extension("toml.new");
    std::fs::write(&unfinished, text)?;
    std::fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn folder() -> (tempfile::TempDir, UserFiles) {
        let folder = tempfile::tempdir().unwrap();
        let files = UserFiles::in_folder(folder.path().join("p2c2r"));
        (folder, files)
    }

    fn names(files: &UserFiles) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(files.folder.as_ref().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_saved_is_there_in_the_next_run() {
        let (_folder, mut files) = folder();
        assert_eq!(files.load::<Settings>(), Settings::default(), "nothing is there at first");
        let mut settings = Settings::default();
        settings.sound.music = 5;
        settings.display.scale = 150;
        settings.borrowing.cap_millidollars_per_hour = 20;
        files.save(&settings);
        assert_eq!(files.load::<Settings>(), settings);
        assert_eq!(names(&files), ["settings.toml"]);
        assert!(files.said.is_empty(), "{:?}", files.said);
    }

    #[test]
    fn a_damaged_file_and_a_newer_one_are_told_of_and_kept() {
        for (text, suffix) in [
            ("sound = 7\n", "damaged"),
            ("][", "damaged"),
            ("version = 2\n[sound]\nmusic = \"a choir\"\n", "newer"),
        ] {
            let (_folder, mut files) = folder();
            files.save(&Settings::default());
            let path = files.path::<Settings>().unwrap();
            std::fs::write(&path, text).unwrap();
            assert_eq!(files.load::<Settings>(), Settings::default());
            assert_eq!(files.said.len(), 1, "{text}");
            let aside = format!("settings.toml.{suffix}-1");
            assert!(files.said[0].contains(&aside), "{:?}", files.said);
            files.save(&Settings::default());
            assert_eq!(names(&files), ["settings.toml".to_owned(), aside.clone()]);
            assert_eq!(std::fs::read_to_string(path.with_file_name(aside)).unwrap(), text);
        }
    }

    #[test]
    fn numbers_out_of_range_are_mended_and_what_is_missing_is_as_at_first() {
        let (_folder, mut files) = folder();
        files.save(&Settings::default());
        let text = "[sound]\nmusic = 255\n[display]\nscale = 1\n";
        std::fs::write(files.path::<Settings>().unwrap(), text).unwrap();
        let settings = files.load::<Settings>();
        assert_eq!((settings.sound.music, settings.display.scale), (100, 75));
        assert_eq!(settings.sound.master, Settings::default().sound.master);
        assert!(files.said.is_empty());
    }

    #[test]
    fn a_run_that_keeps_nothing_writes_nothing() {
        let mut files = UserFiles::default();
        files.save(&Settings::default());
        assert_eq!(files.load::<Settings>(), Settings::default());
        assert!(files.said.is_empty());
    }
}
