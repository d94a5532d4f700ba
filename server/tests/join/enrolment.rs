//! Which newcomers get an account, and that a stolen store of accounts lets nobody in.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use p2c2r_join::{AccountSecret, RefusalCode};
use p2c2r_protocol::{AccountKey, Nanos, Role};
use p2c2r_server::config::LEDGER_FILE;
use p2c2r_server::core::state::gamers::HourCap;
use p2c2r_server::join::enrol::Registrar;
use p2c2r_server::join::store::Newcomer;
use p2c2r_server::join::{AccountStore, JoinError, NewInvite, OpenRegistration, OperatorChange, WallSeconds};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::lab::{DAY, Folder, key, secret};
use super::pay;

const NOW: WallSeconds = WallSeconds(1_800_000_000);

fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(203, 0, 113, last).into()
}

struct Town {
    registrar: Registrar,
    changes: Receiver<OperatorChange>,
    folder: Folder,
}

impl Town {
    fn open(open: OpenRegistration) -> Self {
        let folder = Folder::new();
        std::fs::create_dir(folder.path()).unwrap();
        Self::open_in(folder, open)
    }

    fn open_in(folder: Folder, open: OpenRegistration) -> Self {
        let (changed, changes) = unbounded();
        let ledger = folder.path().join(LEDGER_FILE);
        let registrar = Registrar::new(folder.store(), (open, Nanos(5)), ledger, changed);
        Self { registrar, changes, folder }
    }

    /// `key(number)` asks for an account, this many hours after the start by the wall clock.
    fn ask_after(&mut self, number: u8, role: Role, hours: i64) -> Result<(), RefusalCode> {
        let newcomer = Newcomer { key: key(number), role, name: "x", invite: None };
        let now = (WallSeconds(NOW.0 + 3_600 * hours), Duration::ZERO);
        self.registrar.enrol_or_find(&newcomer, address(1), now).unwrap().map(|_| ())
    }

    /// The news that an account has just made place, if one has.
    fn gone(&self) -> Option<OperatorChange> {
        self.changes.try_recv().ok()
    }

    fn ask(&mut self, number: u32, from: u8, seconds: u64) -> Result<Nanos, RefusalCode> {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_le_bytes());
        let newcomer = Newcomer { key: AccountKey(key), role: Role::Gamer, name: "x", invite: None };
        let now = (NOW, Duration::from_secs(seconds));
        self.registrar.enrol_or_find(&newcomer, address(from), now).unwrap().map(|account| account.credit)
    }
}

#[test]
fn open_registration_is_for_the_roles_it_names() {
    let mut town = Town::open(OpenRegistration { gamers: true, ..OpenRegistration::default() });
    assert_eq!(town.ask(1, 1, 0), Ok(Nanos(5)));
    let newcomer = Newcomer { key: key(9), role: Role::Worker, name: "x", invite: None };
    let now = (NOW, Duration::ZERO);
    let refused = town.registrar.enrol_or_find(&newcomer, address(1), now).unwrap();
    assert_eq!(refused, Err(RefusalCode::NoAccount));
}

#[test]
fn open_registration_is_bounded_per_address_per_hour_and_in_all() {
    let open = OpenRegistration {
        gamers: true,
        accounts_max: 6,
        accounts_per_hour: 4,
        accounts_per_prefix_hour: 2,
        ..OpenRegistration::default()
    };
    let mut town = Town::open(open);
    assert_eq!([town.ask(1, 1, 0), town.ask(2, 1, 0)], [Ok(Nanos(5)); 2]);
    assert_eq!(town.ask(3, 1, 0), Err(RefusalCode::TooMany), "this address has had its two");
    assert_eq!([town.ask(4, 2, 0), town.ask(5, 2, 0)], [Ok(Nanos(5)); 2]);
    assert_eq!(town.ask(6, 3, 0), Err(RefusalCode::TooMany), "four an hour");
    assert_eq!(town.ask(1, 1, 0), Ok(Nanos(5)), "who is known is not counted");
    assert_eq!([town.ask(6, 3, 3_600), town.ask(7, 3, 3_600)], [Ok(Nanos(5)); 2]);
    assert_eq!(town.ask(8, 4, 3_600), Err(RefusalCode::RegistrationFull), "six in all");
}

#[test]
fn the_books_are_opened_for_a_newcomer_only_when_somebody_has_to_make_place() {
    let mut town = Town::open(room_for(1));
    std::fs::create_dir(town.folder.path().join(LEDGER_FILE)).unwrap();
    assert_eq!(town.ask(1, 1, 0), Ok(Nanos(5)), "what is no ledger is not looked at");
    let newcomer = Newcomer { key: key(9), role: Role::Worker, name: "x", invite: None };
    let failed = town.registrar.enrol_or_find(&newcomer, address(1), (NOW, Duration::ZERO));
    assert!(matches!(failed, Err(JoinError::Books(_))), "{failed:?}");
}

/// Registration for everybody, with room for this many accounts.
fn room_for(accounts_max: u32) -> OpenRegistration {
    let accounts_per_hour = 1_000;
    OpenRegistration {
        gamers: true,
        workers: true,
        accounts_max,
        accounts_per_hour,
        accounts_per_prefix_hour: accounts_per_hour,
    }
}

#[test]
fn when_registration_is_full_the_account_of_no_use_that_was_away_for_longest_makes_place() {
    let mut town = Town::open(room_for(2));
    let full = Err(RefusalCode::RegistrationFull);
    let gamer = Role::Gamer;
    assert_eq!([town.ask_after(1, gamer, 0), town.ask_after(2, gamer, 1)], [Ok(()); 2]);
    assert_eq!(town.ask_after(3, gamer, 23), full, "nobody was away for a day");
    assert_eq!(
        (town.ask_after(3, gamer, 24), town.gone()),
        (Ok(()), Some(OperatorChange::MadePlace(key(1))))
    );
    assert_eq!(town.registrar.store().account(key(1)).unwrap(), None);
    town.registrar.store().keep_visit(key(2), "x", WallSeconds(NOW.0 + 24 * 3_600 + 1)).unwrap();
    assert_eq!((town.ask_after(1, gamer, 25), town.gone()), (full, None), "a visit counts");
    assert_eq!(
        (town.ask_after(1, gamer, 48), town.gone()),
        (Ok(()), Some(OperatorChange::MadePlace(key(3))))
    );
    assert_eq!(town.ask_after(2, gamer, 48), Ok(()), "who has an account needs no place");
    assert_eq!(town.gone(), None);
}

#[test]
fn who_is_connected_for_a_month_is_not_away_though_it_fetches_no_token() {
    let mut town = Town::open(room_for(2));
    assert_eq!([town.ask_after(1, Role::Worker, 0), town.ask_after(2, Role::Worker, 0)], [Ok(()); 2]);
    for day in 1..=31 {
        town.registrar.store().keep_visits(&[key(1)], WallSeconds(NOW.0 + day * 24 * 3_600)).unwrap();
    }
    assert_eq!(
        (town.ask_after(3, Role::Worker, 31 * 24), town.gone()),
        (Ok(()), Some(OperatorChange::MadePlace(key(2))))
    );
    assert_eq!(town.ask_after(4, Role::Worker, 31 * 24 + 1), Err(RefusalCode::RegistrationFull));
}

#[test]
fn a_clock_that_was_ahead_gives_nobody_a_place_for_good() {
    let mut town = Town::open(room_for(2));
    assert_eq!([town.ask_after(1, Role::Worker, 90_000), town.ask_after(2, Role::Worker, 0)], [Ok(()); 2]);
    assert_eq!(town.ask_after(3, Role::Worker, 1), Err(RefusalCode::RegistrationFull));
    assert_eq!([town.ask_after(3, Role::Worker, 25), town.ask_after(4, Role::Worker, 25)], [Ok(()); 2]);
}

#[test]
fn accounts_that_are_of_use_or_that_the_operator_has_acted_on_keep_their_places() {
    let folder = Folder::new();
    pay::earned_and_paid(&folder);
    let mut town = Town::open_in(folder, room_for(7));
    for gamer in [2, 3, 4, 5, 9] {
        assert_eq!(town.ask_after(gamer, Role::Gamer, 0), Ok(()));
    }
    for worker in [1, 6] {
        assert_eq!(town.ask_after(worker, Role::Worker, 0), Ok(()));
    }
    let store = town.registrar.store();
    store.rename(key(3), "cellar").unwrap();
    store.credit(key(4), Nanos(1), NOW).unwrap();
    store.cap_hour(key(5), HourCap::Unlimited).unwrap();
    store.judge(key(6), true, NOW).unwrap();
    let years = 24 * 800;
    assert_eq!(
        (town.ask_after(7, Role::Gamer, years), town.gone()),
        (Ok(()), Some(OperatorChange::MadePlace(key(2))))
    );
    let full = Err(RefusalCode::RegistrationFull);
    assert_eq!((town.ask_after(8, Role::Gamer, years), town.gone()), (full, None));
    town.registrar.store().revoke(key(5), NOW).unwrap();
    assert_eq!(town.ask_after(8, Role::Gamer, years), Ok(()), "a closed account is not counted");
    assert_eq!(town.ask_after(5, Role::Gamer, years), Err(RefusalCode::Revoked), "and stays closed");
}

#[test]
fn an_invites_name_is_the_operators_word() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path()).unwrap();
    let mut store = folder.store();
    let label = Some("Kitchen \u{1b}[2JPC".to_owned());
    let invite = NewInvite { role: Role::Worker, label, uses: 1, expires_in: DAY, credit: Nanos(0) };
    let invite = store.invite(&invite, NOW).unwrap();
    let mut newcomer = Newcomer { key: key(1), role: Role::Worker, name: "boss", invite: Some(&invite) };
    let account = store.enrol_by_invite(&newcomer, &invite, NOW).unwrap().unwrap();
    assert_eq!(account.name, "Kitchen [2JPC");
    newcomer.name = "root";
    assert_eq!(store.find(&newcomer).unwrap().unwrap().unwrap().name, "Kitchen [2JPC");
}

#[test]
fn the_digits_of_a_key_without_an_account_are_nobodys_name() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path()).unwrap();
    let mut store = folder.store();
    let gone = key(9).to_string();
    for (number, name) in [(1, &gone[..]), (2, &gone[..16]), (3, &gone[..15])] {
        let newcomer = Newcomer { key: key(number), role: Role::Worker, name, invite: None };
        store.enrol_openly(&newcomer, (Nanos::ZERO, 9), None, NOW).unwrap().unwrap();
    }
    for called in [&gone, &gone.to_uppercase(), &gone[..16]] {
        match store.account_called(called, Some(Role::Worker)) {
            Err(JoinError::NoSuchAccount { like, .. }) => assert!(like.is_empty(), "{called}: {like:?}"),
            found => panic!("{called}: {found:?}"),
        }
    }
    assert_eq!(store.account_called(&gone[..15], None).unwrap().key, key(3), "so few digits can be a name");
    assert_eq!(store.account_called(&key(1).to_string(), None).unwrap().key, key(1));
}

#[test]
fn a_stolen_store_lets_nobody_in() {
    let folder = Folder::new();
    let invite = {
        let lab = folder.start();
        let invite = folder.invite(Role::Worker, 9);
        lab.ask(&secret(1), Role::Worker, Some(&invite)).unwrap();
        invite
    };
    let path = folder.path().join("accounts.db");
    let raw: Vec<u8> = [path.clone(), path.with_extension("db-wal")]
        .iter()
        .flat_map(|path| std::fs::read(path).unwrap_or_default())
        .collect();
    let stored = |wanted: &[u8]| raw.windows(wanted.len()).any(|window| window == wanted);
    assert!(stored(&key(1).0), "the search finds what is there");
    assert!(!stored(invite.as_bytes()) && !stored(&secret(1).seed()));

    let lab = folder.start();
    let stolen = everything_in(&path);
    assert!(stolen.len() > 10);
    for value in &stolen {
        for guess in spellings(value) {
            let answer = lab.ask(&secret(7), Role::Worker, Some(&guess));
            assert_eq!(answer.unwrap_err(), RefusalCode::InviteUnknown, "{guess}");
        }
        if let Value::Blob(bytes) = value
            && let Ok(seed) = <[u8; 32]>::try_from(bytes.as_slice())
            && let Some(forged) = AccountSecret::from_seed(seed)
        {
            assert_eq!(lab.ask(&forged, Role::Worker, None), Err(RefusalCode::NoAccount));
        }
    }
}

/// All values of all tables.
fn everything_in(path: &std::path::Path) -> Vec<Value> {
    let connection = Connection::open(path).unwrap();
    let tables: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut values = Vec::new();
    for table in tables {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            values.extend((0..columns).map(|at| row.get::<_, Value>(at).unwrap()));
        }
    }
    values
}

/// How a thief might write a value as an invite.
fn spellings(value: &Value) -> Vec<String> {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    match value {
        Value::Blob(bytes) => {
            let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            vec![hex, URL_SAFE_NO_PAD.encode(bytes)]
        }
        Value::Text(text) if text.len() <= 64 => vec![text.clone()],
        Value::Integer(number) => vec![number.to_string()],
        _ => Vec::new(),
    }
}

#[test]
fn a_file_that_is_no_store_is_left_as_it_is() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path()).unwrap();
    let path = folder.path().join("accounts.db");
    std::fs::write(&path, "my diary, which is much longer than any header that is looked at").unwrap();
    let said = AccountStore::open(&folder.path()).unwrap_err().to_string();
    assert!(said.contains("accounts.db") && said.contains("untouched"), "{said}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("my diary"));
    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    assert!(AccountStore::open(&folder.path()).unwrap_err().to_string().contains("another program"));
}
