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

/// A token's id, user data and seal.
fn issued(mint: &Mint, account: u8) -> (u64, [u8; NETCODE_USER_DATA_BYTES], Seal) {
    let token = ConnectToken::read(&mut mint.issue(grant(account)).unwrap().as_slice()).unwrap();
    let seal = seal_of(&token.private_data).unwrap();
    let user_data = mint.lock().by_seal[&seal].user_data;
    (token.client_id, user_data, seal)
}

#[test]
fn a_token_is_good_once_and_from_the_address_it_first_came_from() {
    let mint = mint();
    let (client, user_data, seal) = issued(&mint, 1);
    let elsewhere = SocketAddr::new(FROM.ip(), 10);
    assert_eq!(mint.admits(&seal, FROM), Ok(()));
    assert_eq!(mint.admits(&seal, FROM), Ok(()), "a request may be repeated");
    assert!(mint.admits(&seal, elsewhere).is_err());
    assert_eq!(mint.redeem(client, &user_data, FROM).unwrap().account, AccountKey([1; 32]));
    assert!(mint.admits(&seal, FROM).is_err() && mint.redeem(client, &user_data, FROM).is_err());
    assert!(mint.outstanding() == 0 && mint.lock().by_client.is_empty());
}

#[test]
fn a_challenge_of_one_token_does_not_let_another_in() {
    let mint = mint();
    let (client, _, seal) = issued(&mint, 1);
    let (_, held, _) = issued(&mint, 2);
    mint.admits(&seal, FROM).unwrap();
    assert!(mint.redeem(client, &held, FROM).is_err());
    assert!(mint.redeem(client, &held, FROM).is_err(), "and its own token is used up");
}

#[test]
fn a_token_is_over_after_its_seconds_and_bound_to_its_ip_version() {
    let mint = mint();
    let (client, user_data, seal) = issued(&mint, 1);
    mint.admits(&seal, FROM).unwrap();
    mint.set_time(EPOCH + Duration::from_secs(TOKEN_SECONDS));
    assert!(mint.admits(&seal, FROM).is_err() && mint.redeem(client, &user_data, FROM).is_err());
    let asked_from = Some("2001:db8::2".parse().unwrap());
    let token = mint.issue(Grant { asked_from, ..grant(1) }).unwrap();
    let seal = seal_of(&ConnectToken::read(&mut token.as_slice()).unwrap().private_data).unwrap();
    assert!(mint.admits(&seal, FROM).is_err());
    assert!(mint.admits(&seal, "[2001:db8::1]:1".parse().unwrap()).is_ok());
    let [mapped, plain] = ["::ffff:1.2.3.4", "1.2.3.5"].map(|address| address.parse().unwrap());
    assert!(is_same_version(mapped, plain));
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
    let (client, user_data, expires_at) = (number as u64, [0; NETCODE_USER_DATA_BYTES], EPOCH);
    state.count_made(expires_at, seal, of);
    let token = Outstanding { number: 0, client, user_data, grant, expires_at, from: None, is_spare: false };
    state.add(seal, token);
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
    assert_eq!((state.by_client.len(), state.by_number.len()), (1, 1));
}

/// Everybody who asks while `flood` asks a hundred times as often, each from an address of its own: the smallest number
/// of other tokens that were made before one of theirs was gone.
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
    assert!(state.made.len() <= TOKENS_MADE_MAX && state.by_client.len() == TOKENS_MAX);
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

/// A spare token's id, user data and seal.
fn spare(mint: &Mint, former: Option<Seal>) -> Option<(u64, [u8; NETCODE_USER_DATA_BYTES], Seal)> {
    let (seal, token) = mint.spare(former, grant(1))?;
    let token = ConnectToken::read(&mut token.0.as_slice()).unwrap();
    let user_data = mint.lock().by_seal[&seal].user_data;
    Some((token.client_id, user_data, seal))
}

#[test]
fn the_next_spare_token_voids_the_one_before_once_that_is_old_or_was_shown_and_not_used() {
    let (mint, at) = (mint(), |seconds| EPOCH + Duration::from_secs(seconds));
    let (.., first) = spare(&mint, None).unwrap();
    mint.set_time(at(44));
    assert!(spare(&mint, Some(first)).is_none() && mint.outstanding() == 1);
    mint.set_time(at(45));
    mint.admits(&first, FROM).unwrap();
    mint.set_time(at(49));
    assert!(spare(&mint, Some(first)).is_none(), "a handshake may be under way with it");
    mint.set_time(at(50));
    let (.., second) = spare(&mint, Some(first)).unwrap();
    assert_eq!(mint.outstanding(), 1);
    assert!(mint.admits(&first, FROM).is_err());
    mint.admits(&second, FROM).unwrap();
    mint.set_time(at(55));
    let (.., third) = spare(&mint, Some(second)).unwrap();
    assert_eq!(mint.outstanding(), 1);
    mint.withdraw(&third);
    assert_eq!(mint.outstanding(), 0);
    spare(&mint, Some(third)).unwrap();
    mint.set_time(at(200));
    mint.lock().forget_old(at(200));
    let mut state = mint.lock();
    assert_eq!((state.by_seal.len(), state.by_client.len(), state.by_number.len()), (0, 0, 0));
    assert!(state.spares.next_over(at(900)).is_none() && state.made_for.is_empty());
}

#[test]
fn spare_tokens_take_nothing_of_what_an_account_may_fetch_until_they_are_used() {
    let mint = mint();
    let spares: Vec<_> = (0..TOKENS_PER_ACCOUNT_MAX).map(|_| spare(&mint, None).unwrap()).collect();
    issued(&mint, 1);
    for (client, user_data, seal) in &spares {
        mint.admits(seal, FROM).unwrap();
        assert!(mint.redeem(*client, user_data, FROM).is_ok());
        assert!(mint.redeem(*client, user_data, FROM).is_err(), "good once");
    }
    assert_eq!(mint.issue(grant(1)), Err(MintRefusal::AccountFull));
    assert!(spare(&mint, None).is_none(), "nor are there more of them");
    mint.set_time(EPOCH + Duration::from_secs(TOKEN_SECONDS));
    assert!(spare(&mint, None).is_some());
}

#[test]
fn a_renamed_account_connects_under_its_new_name_also_with_an_older_token() {
    let mint = mint();
    let (client, user_data, seal) = spare(&mint, None).unwrap();
    let (other, others_data, others) = issued(&mint, 2);
    mint.rename(AccountKey([1; 32]), "Ada");
    for seal in [seal, others] {
        mint.admits(&seal, FROM).unwrap();
    }
    assert_eq!(mint.redeem(client, &user_data, FROM).unwrap().name, "Ada");
    assert_eq!(mint.redeem(other, &others_data, FROM).unwrap().name, "ann");
}
