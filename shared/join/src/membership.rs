//! What a client keeps per coordinator: where it is, and the account's secret.
//!
//! One file each, in a folder that only the user can read: `ROLE-NAME-DIGITS.toml`, where the last part stands for the
//! coordinator. A start without a join link uses the file that was used last.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use p2c2r_protocol::limits::NAME_BYTES_MAX;
use p2c2r_protocol::{AccountKey, Digest, ProtocolIdentity, Role, fit_name};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::client::JoinClient;
use crate::join_link::{JoinLink, JoinLinkError, LINK_CHARS_MAX};
use crate::key::{AccountSecret, NoRandomness};

/// Name of a gamer who has not chosen one.
pub const GAMER_NAME_DEFAULT: &str = "gamer";

/// Bytes of a membership's file: a link, a name and a key fit many times.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// Why there is no membership.
#[derive(Debug, Error)]
pub enum MembershipError {
    /// The text is not a join link.
    #[error(transparent)]
    Link(#[from] JoinLinkError),
    /// The join link could not be read from where it was said to be.
    #[error("cannot read the join link from {from}: {source}")]
    LinkSource {
        /// The file, or standard input.
        from: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// No key can be made.
    #[error(transparent)]
    Key(#[from] NoRandomness),
    /// The system names no folder for a user's data.
    #[error(
        "this user has no home folder; set XDG_DATA_HOME, or P2C2R_KEYS to a folder for the account's key"
    )]
    NoHome,
    /// A file or folder cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file is damaged. It is left as it is, since the account's key is in it.
    #[error("{} is damaged ({what}); move it away to join anew, with a new account", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// A user's account at one coordinator.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Where the coordinator is; with the invite only when it was just joined.
    pub link: JoinLink,
    /// The role it joins in.
    pub role: Role,
    /// The name asked for.
    pub name: String,
    /// The account.
    pub secret: AccountSecret,
}

impl Membership {
    /// A new membership with a new key, not stored yet.
    pub fn new(link: JoinLink, role: Role, name: &str) -> Result<Self, MembershipError> {
        Ok(Self { link, role, name: fit_name(name), secret: AccountSecret::generate()? })
    }

    /// A client that gets connect tokens for this membership.
    pub fn client(&self, identity: ProtocolIdentity) -> JoinClient {
        JoinClient::new(self.link.clone(), self.secret.clone(), (self.role, &self.name), identity)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    link: String,
    role: Role,
    name: String,
    secret: String,
}

/// A user's memberships.
#[derive(Clone, Debug)]
pub struct Memberships {
    folder: PathBuf,
}

/// Reads a join link as a person gives it: the link itself, `-` for standard input, `@FILE` for a file. With the latter two
/// it does not appear in a process list.
pub fn read_link(text: &str) -> Result<JoinLink, MembershipError> {
    let limited = |source: &mut dyn io::Read| {
        let mut text = String::new();
        source.take(LINK_CHARS_MAX as u64 + 2).read_to_string(&mut text).map(|_| text)
    };
    let read = match (text, text.strip_prefix('@')) {
        ("-", _) => {
            let mut line = String::new();
            io::stdin().read_line(&mut line).map_err(|source| MembershipError::LinkSource {
                from: "standard input".to_owned(),
                source,
            })?;
            line
        }
        (_, Some(path)) => fs::File::open(path)
            .and_then(|mut file| limited(&mut file))
            .map_err(|source| MembershipError::LinkSource { from: path.to_owned(), source })?,
        _ => text.to_owned(),
    };
    Ok(read.parse()?)
}

/// The name of an account for which none was chosen; a worker gets the name of its machine.
pub fn name_default(role: Role) -> String {
    match role {
        Role::Gamer => GAMER_NAME_DEFAULT.to_owned(),
        Role::Worker => machine_name(),
    }
}

/// This machine's name as a worker's name: what the system says, cut to what a name may be.
pub fn machine_name() -> String {
    let said = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut name: String = said.trim().chars().filter(|letter| !letter.is_control()).collect();
    while name.len() > NAME_BYTES_MAX {
        name.pop();
    }
    if name.is_empty() { "worker".into() } else { name }
}

/// What a program's command line says of joining.
#[derive(Clone, Debug, Default)]
pub struct JoinChoice {
    /// The join link, as [`read_link`] takes it; needed once.
    pub link: Option<String>,
    /// The name asked for.
    pub name: Option<String>,
    /// The folder of the memberships; the user's if there is none.
    pub folder: Option<PathBuf>,
}

impl JoinChoice {
    /// The folder of the memberships, whether or not it exists yet.
    pub fn folder(&self) -> Result<PathBuf, MembershipError> {
        match &self.folder {
            Some(folder) => Ok(folder.clone()),
            None => Memberships::of_user().map(|memberships| memberships.folder),
        }
    }

    /// The membership to use: that of the link, or the one used last. `None` if this user has not joined any
    /// coordinator in this role (and under this name).
    pub fn settle(&self, role: Role, name_default: &str) -> Result<Option<Membership>, MembershipError> {
        let memberships = match &self.folder {
            Some(folder) => Memberships::in_folder(folder.clone()),
            None => Memberships::of_user()?,
        };
        match &self.link {
            Some(link) => {
                let name = self.name.as_deref().unwrap_or(name_default);
                memberships.join(read_link(link)?, role, name).map(Some)
            }
            None => memberships.latest(role, self.name.as_deref()),
        }
    }
}

impl Memberships {
    /// The memberships in this folder, which is made when something is kept.
    pub fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// This user's memberships, in the folder for a user's data.
    pub fn of_user() -> Result<Self, MembershipError> {
        let folder = dirs::data_dir().ok_or(MembershipError::NoHome)?;
        Ok(Self { folder: folder.join("p2c2r").join("memberships") })
    }

    /// The membership of `name` at the coordinator of `link`, made if there is none. One that exists keeps its account
    /// and learns where the coordinator now is.
    pub fn join(&self, link: JoinLink, role: Role, name: &str) -> Result<Membership, MembershipError> {
        let name = fit_name(name);
        let path = self.path(&link, role, &name);
        if let Some(kept) = read(&path)? {
            let is_known = kept.link == link.without_invite();
            let membership = Membership { link, ..kept };
            if is_known {
                mark_used(&path);
            } else {
                self.keep(&path, &membership, true)?;
            }
            return Ok(membership);
        }
        let membership = Membership::new(link, role, &name)?;
        if self.keep(&path, &membership, false)? {
            return Ok(membership);
        }
        // Another program of this user made the membership first; its key is the account's.
        let link = membership.link.clone();
        match read(&path)? {
            Some(kept) => Ok(Membership { link, ..kept }),
            None => {
                Err(MembershipError::Damaged { path, what: "it was removed while it was read".to_owned() })
            }
        }
    }

    /// The membership of `name` at the coordinator of `link`, if there is one, with this link.
    pub fn known(
        &self,
        link: &JoinLink,
        role: Role,
        name: &str,
    ) -> Result<Option<Membership>, MembershipError> {
        let kept = read(&self.path(link, role, &fit_name(name)))?;
        Ok(kept.map(|kept| Membership { link: link.clone(), ..kept }))
    }

    /// The membership that was used last at the coordinator of `link`, under whatever name, with this link.
    pub fn latest_at(&self, link: &JoinLink, role: Role) -> Result<Option<Membership>, MembershipError> {
        let found = self.newest(|kept| kept.role == role && place(&kept.link) == place(link))?;
        Ok(found.map(|(_, kept)| Membership { link: link.clone(), ..kept }))
    }

    /// The folder in which a game of this membership keeps the tasks that it waits for; it need not exist.
    pub fn tasks_folder(&self, membership: &Membership) -> PathBuf {
        self.path(&membership.link, membership.role, &membership.name).with_extension("tasks")
    }

    /// Keeps a new membership, unless there is one of this name at this coordinator; returns whether it did.
    pub fn adopt(&self, membership: &Membership) -> Result<bool, MembershipError> {
        self.keep(&self.path(&membership.link, membership.role, &membership.name), membership, false)
    }

    /// The membership that was used last, of this name if one is given. It is marked as used now.
    pub fn latest(&self, role: Role, name: Option<&str>) -> Result<Option<Membership>, MembershipError> {
        let name = name.map(fit_name);
        let is_meant =
            |kept: &Membership| kept.role == role && name.as_ref().is_none_or(|name| *name == kept.name);
        let Some((path, kept)) = self.newest(is_meant)? else { return Ok(None) };
        mark_used(&path);
        Ok(Some(kept))
    }

    /// The membership that was used last among those for which `is_meant` holds, and its file.
    fn newest(
        &self,
        is_meant: impl Fn(&Membership) -> bool,
    ) -> Result<Option<(PathBuf, Membership)>, MembershipError> {
        let mut files = self.files()?;
        files.sort_by_key(|(used_at, _)| std::cmp::Reverse(*used_at));
        for (_, path) in files {
            if let Some(kept) = read(&path)?.filter(&is_meant) {
                return Ok(Some((path, kept)));
            }
        }
        Ok(None)
    }

    fn files(&self) -> Result<Vec<(SystemTime, PathBuf)>, MembershipError> {
        let failed = |source| MembershipError::File { path: self.folder.clone(), source };
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let used_at = fs::metadata(&path).and_then(|file| file.modified()).map_err(failed)?;
                files.push((used_at, path));
            }
        }
        Ok(files)
    }

    fn path(&self, link: &JoinLink, role: Role, name: &str) -> PathBuf {
        let digest = Digest::of_parts(&[place(link).as_bytes(), name.as_bytes()]).to_string();
        let plain: String = name
            .chars()
            .map(|character| if character.is_ascii_alphanumeric() { character } else { '_' })
            .take(32)
            .collect();
        self.folder.join(format!("{role}-{plain}-{}.toml", &digest[..8]))
    }

    /// Writes a membership; false if there is one already and it may not be replaced.
    fn keep(&self, path: &Path, membership: &Membership, replace: bool) -> Result<bool, MembershipError> {
        let failed = |source| MembershipError::File { path: path.to_owned(), source };
        make_private_folder(&self.folder).map_err(failed)?;
        let kept = Kept {
            link: membership.link.without_invite().to_string(),
            role: membership.role,
            name: membership.name.clone(),
            secret: AccountKey(membership.secret.seed()).to_string(),
        };
        let text = toml::to_string(&kept).map_err(|error| failed(io::Error::other(error)))?;
        // `tempfile` makes files that only the user can read.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        let persisted = if replace { file.persist(path) } else { file.persist_noclobber(path) };
        match persisted {
            Ok(_) => Ok(true),
            Err(error) if !replace && error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(failed(error.error)),
        }
    }
}

/// What identifies a coordinator: its key, or its name if a public authority vouches for that.
fn place(link: &JoinLink) -> String {
    match &link.fingerprint {
        Some(fingerprint) => fingerprint.to_string(),
        None => link.hosts.first().map(ToString::to_string).unwrap_or_default(),
    }
}

/// Makes this the membership that was used last. Only the file's time changes, which needs no room on the disk; if that
/// fails, the membership can be used all the same.
fn mark_used(path: &Path) {
    let _ = fs::File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

fn make_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn read(path: &Path) -> Result<Option<Membership>, MembershipError> {
    let failed = |source| MembershipError::File { path: path.to_owned(), source };
    let damaged = |what: &str| MembershipError::Damaged { path: path.to_owned(), what: what.to_owned() };
    let mut text = String::new();
    match fs::File::open(path) {
        Ok(file) => file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // The parser's message would quote the file, which holds a secret.
    let kept: Kept = toml::from_str(&text).map_err(|_| damaged("it is not a membership"))?;
    let seed = AccountKey::from_hex(&kept.secret).ok_or_else(|| damaged("its key is cut short"))?;
    let secret = AccountSecret::from_seed(seed.0).ok_or_else(|| damaged("its key is not valid"))?;
    let link = kept.link.parse().map_err(|_| damaged("its link is not a join link"))?;
    Ok(Some(Membership { link, role: kept.role, name: kept.name, secret }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(port: u16) -> JoinLink {
        format!("p2c2r://127.0.0.1:{port}/sesame#{}", crate::Fingerprint([port as u8; 32])).parse().unwrap()
    }

    #[test]
    fn a_membership_keeps_its_account_and_the_last_one_used_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Memberships::in_folder(folder.path().join("deep/er"));
        assert!(kept.latest(Role::Worker, None).unwrap().is_none());
        let first = kept.join(link(1), Role::Worker, "ada").unwrap();
        assert_eq!(first.link.invite.as_deref(), Some("sesame"));
        let again = kept.join(link(1), Role::Worker, " ada ").unwrap();
        assert_eq!(again.secret.public(), first.secret.public());
        for other in [
            kept.join(link(2), Role::Worker, "ada").unwrap(),
            kept.join(link(1), Role::Worker, "bob").unwrap(),
            kept.join(link(1), Role::Gamer, "ada").unwrap(),
        ] {
            assert_ne!(other.secret.public(), first.secret.public());
        }
        let found = kept.latest(Role::Worker, Some("ada")).unwrap().unwrap();
        assert!(found.link.invite.is_none() && found.name == "ada");
        assert_eq!(kept.latest(Role::Worker, Some("eve")).unwrap().map(|found| found.name), None);
        let at = |port, role| kept.latest_at(&link(port), role).unwrap().map(|found| found.name);
        assert_eq!(
            (at(2, Role::Worker).as_deref(), at(1, Role::Gamer).as_deref()),
            (Some("ada"), Some("ada"))
        );
        assert_eq!((at(3, Role::Worker), at(2, Role::Gamer)), (None, None));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let kept = Memberships::in_folder(folder.path().join("keys"));
        kept.join(link(1), Role::Gamer, "ada").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (_, file) = kept.files().unwrap().remove(0);
        assert_eq!((mode(&folder.path().join("keys")), mode(&file)), (0o700, 0o600));
        assert!(!fs::read_to_string(&file).unwrap().contains("sesame"), "the invite is not kept");
    }

    #[cfg(unix)]
    #[test]
    fn a_membership_can_be_used_where_nothing_can_be_written() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let folder = tempfile::tempdir().unwrap();
        let kept = Memberships::in_folder(folder.path().to_owned());
        let joined = kept.join(link(1), Role::Worker, "ada").unwrap();
        let (_, file) = kept.files().unwrap().remove(0);
        let made = fs::metadata(&file).unwrap().ino();
        kept.latest(Role::Worker, None).unwrap().unwrap();
        kept.join(link(1), Role::Worker, "ada").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().ino(), made, "no other file is written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
        let found = kept.latest(Role::Worker, None).unwrap().unwrap();
        assert_eq!(found.secret.public(), joined.secret.public());
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn a_damaged_file_is_named_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Memberships::in_folder(folder.path().to_owned());
        let secret = kept.join(link(1), Role::Gamer, "ada").unwrap().secret;
        let (_, file) = kept.files().unwrap().remove(0);
        let whole = fs::read_to_string(&file).unwrap();
        for damage in [
            &whole[..whole.len() / 2],
            "",
            &whole.replace("secret", "sacred"),
            &whole.replace("p2c2r:", "x:"),
        ] {
            fs::write(&file, damage).unwrap();
            let error = kept.join(link(1), Role::Gamer, "ada").unwrap_err();
            assert!(matches!(error, MembershipError::Damaged { .. }), "{error}");
            let seed = AccountKey(secret.seed()).to_string();
            assert!(!error.to_string().contains(&seed), "the key is not shown");
            assert_eq!(fs::read_to_string(&file).unwrap(), damage);
        }
    }

    #[test]
    fn a_link_may_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("link");
        fs::write(&file, format!("{}\n", link(3))).unwrap();
        assert_eq!(read_link(&format!("@{}", file.display())).unwrap(), link(3));
        assert_eq!(read_link(&link(3).to_string()).unwrap(), link(3));
        assert!(matches!(read_link("@/nowhere/at/all"), Err(MembershipError::LinkSource { .. })));
        assert!(matches!(read_link("play.example.org"), Err(MembershipError::Link(_))));
    }
}
