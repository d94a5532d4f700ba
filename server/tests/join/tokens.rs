//! Getting a token over HTTPS, and every way not to get one.

use p2c2r_join::api::{CHALLENGE_PATH, Instance, REQUEST_BYTES_MAX, TOKEN_PATH};
use p2c2r_join::{RefusalCode, TokenRefusal, TokenRequest};
use p2c2r_link::Grant;
use p2c2r_protocol::{Nanos, Role};
use p2c2r_server::join::{NewInvite, WallSeconds};

use super::lab::{DAY, Folder, Lab, PROTOCOL, key, read_answer, secret};

fn signed(lab: &Lab<'_>, seed: u8, invite: Option<&str>) -> TokenRequest {
    let who = (Role::Worker, "ann", Instance(1));
    TokenRequest::signed(&secret(seed), who, (PROTOCOL, "p2c2r/lab"), &lab.challenge(), invite)
}

#[test]
fn an_invite_opens_an_account_which_then_comes_without_one() {
    let folder = Folder::new();
    let lab = folder.start();
    let invite = folder.invite(Role::Worker, 1);
    let grant = lab.ask(&secret(1), Role::Worker, Some(&invite)).unwrap();
    assert_eq!(grant.name, "ann");
    assert!(grant.token_bytes().unwrap().len() > 1_000);
    let again = lab.ask_as(&secret(1), Role::Worker, "Ann \u{202e}M.", None).unwrap();
    assert_eq!(again.name, "Ann M.", "names are labels, made fit to be shown");
    assert_eq!(lab.mint.outstanding(), 2);
    let account = folder.store().account(key(1)).unwrap().unwrap();
    assert_eq!((account.credit, account.by_invite), (Nanos(7), true));
}

#[test]
fn a_lost_answer_can_be_asked_for_again_and_counts_once() {
    let folder = Folder::new();
    let lab = folder.start();
    let invite = folder.invite(Role::Gamer, 2);
    for _ in 0..3 {
        lab.ask(&secret(1), Role::Gamer, Some(&invite)).unwrap();
    }
    lab.ask(&secret(2), Role::Gamer, Some(&invite)).unwrap();
    assert_eq!(lab.ask(&secret(3), Role::Gamer, Some(&invite)), Err(RefusalCode::InviteUsedUp));
}

#[test]
fn every_refusal_has_its_code() {
    let folder = Folder::new();
    let lab = folder.start();
    let ask = |seed, role, invite: Option<&str>| lab.ask(&secret(seed), role, invite).map(|grant| grant.name);
    assert_eq!(ask(1, Role::Gamer, None), Err(RefusalCode::NoAccount));
    assert_eq!(ask(1, Role::Gamer, Some("nonsense")), Err(RefusalCode::InviteUnknown));
    let invite = folder.invite(Role::Worker, 5);
    assert_eq!(ask(1, Role::Gamer, Some(&invite)), Err(RefusalCode::WrongRole));
    ask(1, Role::Worker, Some(&invite)).unwrap();
    assert_eq!(ask(1, Role::Gamer, None), Err(RefusalCode::WrongRole), "one key is one role");
    let old = NewInvite { role: Role::Gamer, label: None, uses: 1, expires_in: DAY, credit: Nanos(0) };
    let two_days_ago = WallSeconds(WallSeconds::now().0 - 2 * DAY.as_secs() as i64);
    let old = folder.store().invite(&old, two_days_ago).unwrap();
    assert_eq!(ask(2, Role::Gamer, Some(&old)), Err(RefusalCode::InviteExpired));
    folder.store().revoke(key(1), WallSeconds::now()).unwrap();
    assert_eq!(ask(1, Role::Worker, Some(&invite)), Err(RefusalCode::Revoked));
}

#[test]
fn another_protocol_is_refused_with_both_names() {
    let folder = Folder::new();
    let lab = folder.start();
    let who = (Role::Worker, "ann", Instance(1));
    let request = TokenRequest::signed(&secret(1), who, (PROTOCOL + 1, "p2c2r/next"), &lab.challenge(), None);
    let (status, body) = lab.connect().post(TOKEN_PATH, &serde_json::to_string(&request).unwrap());
    let refusal: TokenRefusal = serde_json::from_str(&body).unwrap();
    assert_eq!((status, refusal.code), (409, RefusalCode::Incompatible));
    assert!(refusal.message.contains("p2c2r/next") && refusal.message.contains("p2c2r/lab"), "{refusal:?}");
}

#[test]
fn only_the_key_itself_can_sign_for_it() {
    let folder = Folder::new();
    let lab = folder.start();
    let invite = folder.invite(Role::Worker, 5);
    let mut request = signed(&lab, 1, Some(&invite));
    request.account = key(2).to_string();
    assert_eq!(lab.send(&request), (401, Err(RefusalCode::BadSignature)));
    let mut request = signed(&lab, 1, None);
    request.invite = Some(invite);
    assert_eq!(lab.send(&request), (401, Err(RefusalCode::BadSignature)), "the invite is signed too");
    assert!(folder.store().accounts().unwrap().is_empty());
}

#[test]
fn a_request_is_good_once_and_at_one_coordinator() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let lab = folder.start();
    let invite = folder.invite(Role::Worker, 5);
    let request = signed(&lab, 1, Some(&invite));
    assert!(lab.send(&request).1.is_ok());
    assert_eq!(lab.send(&request), (401, Err(RefusalCode::StaleChallenge)));
    let request = signed(&elsewhere.start(), 1, None);
    assert_eq!(lab.send(&request), (401, Err(RefusalCode::StaleChallenge)));
}

#[test]
fn what_is_no_request_is_said_so_and_the_connection_goes_on() {
    let folder = Folder::new();
    let lab = folder.start();
    let mut client = lab.connect();
    for body in ["", "{}", "[1]", "\u{0}", r#"{"account":"x"}"#] {
        let (status, answer) = client.post(TOKEN_PATH, body);
        assert_eq!((status, read_answer(status, &answer)), (400, Err(RefusalCode::Malformed)), "{body}");
    }
    let mut request = signed(&lab, 1, None);
    request.account = "no key".to_owned();
    assert_eq!(lab.send(&request), (400, Err(RefusalCode::Malformed)));
    let (status, answer) = client.post(TOKEN_PATH, &"x".repeat(REQUEST_BYTES_MAX + 1));
    assert_eq!((status, read_answer(status, &answer)), (413, Err(RefusalCode::Malformed)));
}

#[test]
fn bodies_without_a_length_are_bounded_too() {
    let folder = Folder::new();
    let lab = folder.start();
    let mut client = lab.connect();
    let head = format!("POST {TOKEN_PATH} HTTP/1.1\r\nHost: p2c2r\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
    client.send(format!("{head}{}", chunk.repeat(5)).as_bytes()).unwrap();
    let (status, answer) = client.answer().unwrap();
    assert_eq!((status, read_answer(status, &answer)), (413, Err(RefusalCode::Malformed)));
}

#[test]
fn people_and_watchdogs_are_told_who_this_is() {
    let folder = Folder::new();
    let lab = folder.start();
    let mut client = lab.connect();
    let (status, text) = client.get("/");
    assert!(status == 200 && text.contains("P2C2R coordinator") && text.contains("p2c2r/lab"), "{text}");
    assert_eq!(client.get("/healthz"), (200, "ok\n".to_owned()));
    for (status, answer) in [client.get("/nowhere"), client.get(CHALLENGE_PATH)] {
        assert!([404, 405].contains(&status));
        assert_eq!(read_answer(status, &answer), Err(RefusalCode::Malformed));
    }
}

#[test]
fn a_closing_coordinator_lets_nobody_in() {
    let folder = Folder::new();
    let lab = folder.start();
    let request = signed(&lab, 1, None);
    lab.news.close();
    assert_eq!(lab.send(&request), (503, Err(RefusalCode::Unavailable)));
    let (status, answer) = lab.connect().post(CHALLENGE_PATH, "{}");
    assert_eq!((status, read_answer(status, &answer)), (503, Err(RefusalCode::Unavailable)));
}

#[test]
fn an_account_that_asks_for_token_after_token_is_told_to_wait() {
    let folder = Folder::new();
    let lab = folder.start();
    let invite = folder.invite(Role::Worker, 1);
    let refused = (0..1_000).find_map(|_| lab.ask(&secret(1), Role::Worker, Some(&invite)).err());
    assert_eq!(refused, Some(RefusalCode::TooMany));
    assert!(lab.mint.outstanding() > 0);
}

#[test]
fn a_new_name_is_kept_with_a_token_and_nothing_is_written_for_who_gets_none() {
    let folder = Folder::new();
    let lab = folder.start();
    let invite = folder.invite(Role::Worker, 1);
    lab.ask_as(&secret(1), Role::Worker, "first", Some(&invite)).unwrap();
    let kept = || folder.store().account(secret(1).public()).unwrap().unwrap().name;
    assert_eq!(lab.ask_as(&secret(1), Role::Worker, "second", None).unwrap().name, "second");
    assert_eq!(kept(), "second");
    let refused = (0..1_000).find_map(|_| lab.ask_as(&secret(1), Role::Worker, "second", None).err());
    assert_eq!(refused, Some(RefusalCode::TooMany));
    assert_eq!(lab.ask_as(&secret(1), Role::Worker, "third", None).err(), Some(RefusalCode::TooMany));
    assert_eq!(kept(), "second");
}

#[test]
fn a_crowd_that_takes_all_the_tokens_there_are_leaves_one_for_whoever_comes_next() {
    let folder = Folder::new();
    let lab = folder.start();
    let invite = folder.invite(Role::Worker, 1);
    lab.ask(&secret(1), Role::Worker, Some(&invite)).unwrap();
    let mut outstanding = 0;
    for crowd in 0.. {
        let asked_from = Some([10, 0, 0, crowd as u8].into());
        let grant = Grant { asked_from, ..Grant::of_name(Role::Gamer, &format!("crowd {crowd}")) };
        lab.mint.issue(grant).unwrap();
        if lab.mint.outstanding() == outstanding {
            break;
        }
        outstanding = lab.mint.outstanding();
    }
    assert!(outstanding > 10_000, "as many as there may be");
    let (status, answer) = lab.send(&signed(&lab, 1, None));
    assert!(status == 200 && answer.is_ok(), "{answer:?}");
    assert_eq!(lab.mint.outstanding(), outstanding);
}

#[test]
fn requests_that_too_many_others_wait_in_front_of_are_refused_at_once() {
    let folder = Folder::new();
    let lab = folder.start_with(|options| options.limits.store_queue_max = 1);
    let invite = folder.invite(Role::Worker, 2);
    lab.ask(&secret(1), Role::Worker, Some(&invite)).unwrap();
    // Another connection holds the store's write lock, so that opening an account waits.
    let other = rusqlite::Connection::open(folder.path().join("accounts.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|scope| {
        // It is refused itself if it comes while another is being answered.
        let waits = scope.spawn(|| {
            (0..100).map(|_| lab.send(&signed(&lab, 2, Some(&invite))).0).find(|status| *status == 200)
        });
        let refused = (0..1_000).map(|_| lab.send(&signed(&lab, 1, None))).find(|(status, _)| *status != 200);
        assert_eq!(refused, Some((503, Err(RefusalCode::Unavailable))));
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(waits.join().unwrap(), Some(200));
    });
}

#[test]
fn trouble_with_the_store_is_said_without_its_cause() {
    let folder = Folder::new();
    let lab = folder.start();
    let other = rusqlite::Connection::open(folder.path().join("accounts.db")).unwrap();
    other.execute_batch("PRAGMA foreign_keys = OFF; DROP TABLE accounts").unwrap();
    let body = serde_json::to_string(&signed(&lab, 1, None)).unwrap();
    let (status, answer) = lab.connect().post(TOKEN_PATH, &body);
    assert_eq!((status, read_answer(status, &answer)), (503, Err(RefusalCode::Unavailable)));
    assert!(!answer.contains("accounts") && !answer.contains("SQL"), "{answer}");
}
