//! Tokens are good once, and nobody can use up those of others.

use super::*;

const FROM: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

fn grant(account: u8) -> Grant {
    Grant { account: AccountKey([account; 32]), ..Grant::of_name(Role::Gamer, "ann") }
}

fn mint() -> Mint {
    let mint = Mint::new(&ProtocolIdentity { id: 7, text: String::new() });
    mint.set_time(EPOCH);
    mint
}

fn seal_in(token: &[u8]) -> Seal {
    seal_of(&ConnectToken::read(&mut &token[..]).unwrap().private_data).unwrap()
}

/// The seal of a new token.
fn issued(mint: &Mint, account: u8) -> Seal {
    seal_in(&mint.issue(grant(account)).unwrap())
}

#[test]
fn a_token_is_good_once_and_from_the_address_it_first_came_from() {
    let mint = mint();
    let seal = issued(&mint, 1);
    let elsewhere = SocketAddr::new(FROM.ip(), 10);
    assert_eq!(mint.admits(&seal, FROM), Ok((AccountKey([1; 32]), 0)));
    assert!(mint.admits(&seal, FROM).is_ok(), "a request may be repeated");
    assert_eq!(mint.admits(&seal, elsewhere), Err(PacketRefusal::MisusedToken));
    assert_eq!(mint.redeem(&seal, elsewhere), Err(PacketRefusal::MisusedToken));
    assert_eq!(mint.redeem(&seal, FROM).unwrap().account, AccountKey([1; 32]));
    assert!(mint.admits(&seal, FROM).is_err() && mint.redeem(&seal, FROM).is_err());
    assert_eq!(mint.outstanding(), 0);
}

#[test]
fn a_token_is_over_after_its_seconds_and_bound_to_its_ip_version() {
    let mint = mint();
    let seal = issued(&mint, 1);
    mint.admits(&seal, FROM).unwrap();
    mint.set_time(EPOCH + Duration::from_secs(TOKEN_SECONDS));
    assert_eq!(mint.admits(&seal, FROM), Err(PacketRefusal::OutOfDate));
    assert_eq!(mint.redeem(&seal, FROM), Err(PacketRefusal::OutOfDate));
    let asked_from = Some("2001:db8::2".parse().unwrap());
    let seal = seal_in(&mint.issue(Grant { asked_from, ..grant(1) }).unwrap());
    assert!(mint.admits(&seal, FROM).is_err());
    assert!(mint.admits(&seal, "[2001:db8::1]:1".parse().unwrap()).is_ok());
    let [mapped, plain] = ["::ffff:1.2.3.4", "1.2.3.5"].map(|address| address.parse().unwrap());
    assert!(is_same_version(mapped, plain));
}

#[test]
fn an_accounts_tokens_are_void_together_and_a_closed_account_gets_no_more() {
    let mint = mint();
    let (fetched, (spare, _), others) =
        (issued(&mint, 1), mint.spare(None, grant(1)).unwrap(), issued(&mint, 2));
    mint.admits(&fetched, FROM).unwrap();
    mint.void(AccountKey([1; 32]));
    assert_eq!(mint.redeem(&fetched, FROM), Err(PacketRefusal::UnknownToken), "also in mid-handshake");
    assert_eq!(mint.admits(&spare, FROM), Err(PacketRefusal::UnknownToken));
    assert!(mint.admits(&others, FROM).is_ok() && mint.outstanding() == 1);
    let again = issued(&mint, 1);
    mint.close(AccountKey([1; 32]));
    assert_eq!(mint.admits(&again, FROM), Err(PacketRefusal::UnknownToken));
    assert_eq!(mint.issue(grant(1)), Err(MintRefusal::AccountClosed));
    assert!(mint.admits(&others, FROM).is_ok() && mint.issue(grant(2)).is_ok());
}

fn account(number: usize) -> AccountKey {
    AccountKey(std::array::from_fn(|at| (number >> (8 * (at % 4))) as u8))
}

/// A state without tokens, which are made without ciphers.
fn state() -> State {
    Arc::into_inner(mint().state).unwrap().into_inner().unwrap()
}

/// A token of this account for this address; its seal is its number.
fn add(state: &mut State, number: usize, address: [u8; 4], of: AccountKey) -> Seal {
    let mut seal = [0; SEAL_BYTES];
    seal[..8].copy_from_slice(&number.to_le_bytes());
    let grant = Grant { account: of, asked_from: Some(IpAddr::from(address)), ..grant(1) };
    state.count_made(EPOCH, of);
    state.add(seal, Outstanding { number: 0, grant, expires_at: EPOCH, from: None, is_spare: false });
    seal
}

#[test]
fn tokens_are_bounded_per_account_and_in_sum_and_forgotten_in_time() {
    let mint = mint();
    for _ in 0..TOKENS_PER_ACCOUNT_MAX {
        issued(&mint, 1);
    }
    assert_eq!(mint.issue(grant(1)), Err(MintRefusal::AccountFull));
    mint.set_time(EPOCH + Duration::from_secs(TOKEN_SECONDS));
    issued(&mint, 1);
    let state = mint.lock();
    assert_eq!((state.by_seal.len(), state.made.len(), state.made_for.len()), (1, 1, 1));
    assert_eq!(state.by_number.len(), 1);
}

/// Makes one token for a newcomer after every 99 of `flood`, each newcomer with an address of its own. Returns the smallest
/// number of tokens that were made between a newcomer's and its end.
fn newcomers_hold_out(mut flood: impl FnMut(&mut State, usize)) -> usize {
    let mut state = state();
    let (mut newcomers, mut shortest) = (Vec::new(), usize::MAX);
    for number in 0..4 * TOKENS_MAX {
        if number % 100 > 0 {
            flood(&mut state, number);
            continue;
        }
        let [c, d] = ((number / 100) as u16).to_be_bytes();
        let seal = add(&mut state, number, [203, 0, c, d], account(1 << 24 | number));
        newcomers.push((number, seal));
        newcomers.retain(|(made, seal)| {
            let is_there = state.by_seal.contains_key(seal);
            shortest = if is_there { shortest } else { shortest.min(number - made) };
            is_there
        });
    }
    assert_eq!(state.by_seal.len(), TOKENS_MAX);
    assert!(state.made.len() <= TOKENS_MADE_MAX && state.by_number.len() == TOKENS_MAX);
    shortest
}

#[test]
fn accounts_in_great_number_from_some_addresses_take_nobody_elses_tokens() {
    let flood = |state: &mut State, number: usize| {
        let last = (number % 50) as u8;
        add(state, number, [198, 51, 100, last], account(number));
    };
    assert!(newcomers_hold_out(flood) >= TOKENS_MADE_MAX, "they are kept until they are over");
}

#[test]
fn some_accounts_from_addresses_in_great_number_take_nobody_elses_tokens() {
    let flood = |state: &mut State, number: usize| {
        let [_, b, c, d] = (number as u32).to_be_bytes();
        add(state, number, [10 + b, b, c, d], account(number % 512));
    };
    assert!(newcomers_hold_out(flood) >= TOKENS_MADE_MAX);
}

#[test]
fn where_every_account_and_address_holds_one_the_oldest_goes() {
    let flood = |state: &mut State, number: usize| {
        let [_, b, c, d] = (number as u32).to_be_bytes();
        add(state, number, [10 + b, b, c, d], account(number));
    };
    assert!(newcomers_hold_out(flood) >= TOKENS_MAX, "seconds, however fast tokens are asked for");
}

#[test]
fn two_mints_have_two_keys() {
    assert_ne!(mint().key, mint().key);
}

/// The seal of a spare token.
fn spare(mint: &Mint, former: Option<Seal>) -> Option<Seal> {
    mint.spare(former, grant(1)).map(|(seal, _)| seal)
}

#[test]
fn the_next_spare_token_voids_the_one_before_once_that_is_old_or_was_shown_and_not_used() {
    let (mint, at) = (mint(), |seconds| EPOCH + Duration::from_secs(seconds));
    let first = spare(&mint, None).unwrap();
    mint.set_time(at(44));
    assert!(spare(&mint, Some(first)).is_none() && mint.outstanding() == 1);
    mint.set_time(at(45));
    mint.admits(&first, FROM).unwrap();
    mint.set_time(at(49));
    assert!(spare(&mint, Some(first)).is_none(), "a handshake may be under way with it");
    mint.set_time(at(50));
    let second = spare(&mint, Some(first)).unwrap();
    assert_eq!(mint.outstanding(), 1);
    assert!(mint.admits(&first, FROM).is_err());
    mint.admits(&second, FROM).unwrap();
    mint.set_time(at(55));
    let third = spare(&mint, Some(second)).unwrap();
    assert_eq!(mint.outstanding(), 1);
    mint.withdraw(&third);
    assert_eq!(mint.outstanding(), 0);
    spare(&mint, Some(third)).unwrap();
    mint.set_time(at(200));
    assert_eq!(mint.outstanding(), 0);
    let state = mint.lock();
    assert!(state.by_seal.is_empty() && state.by_number.is_empty() && state.made_for.is_empty());
}

#[test]
fn spare_tokens_take_nothing_of_what_an_account_may_fetch_until_they_are_used() {
    let mint = mint();
    let spares: Vec<_> = (0..TOKENS_PER_ACCOUNT_MAX).map(|_| spare(&mint, None).unwrap()).collect();
    issued(&mint, 1);
    for seal in &spares {
        mint.admits(seal, FROM).unwrap();
        assert!(mint.redeem(seal, FROM).is_ok());
        assert!(mint.redeem(seal, FROM).is_err(), "good once");
    }
    assert_eq!(mint.issue(grant(1)), Err(MintRefusal::AccountFull));
    assert!(spare(&mint, None).is_none(), "nor are there more of them");
    mint.set_time(EPOCH + Duration::from_secs(TOKEN_SECONDS));
    assert!(spare(&mint, None).is_some());
}

#[test]
fn a_renamed_account_connects_under_its_new_name_also_with_an_older_token() {
    let mint = mint();
    let (seal, others) = (spare(&mint, None).unwrap(), issued(&mint, 2));
    mint.rename(AccountKey([1; 32]), "Ada");
    assert_eq!(mint.redeem(&seal, FROM).unwrap().name, "Ada");
    assert_eq!(mint.redeem(&others, FROM).unwrap().name, "ann");
}
