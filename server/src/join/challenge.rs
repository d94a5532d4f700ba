//! Challenges: fresh data for a client to sign, stored only once it is signed.
//!
//! A challenge is 16 random bytes, its expiry, and a keyed BLAKE3 hash of both under a key known only to this process.
//! A valid signature spends the challenge: its random bytes are stored until its expiry, so that a replayed request is
//! refused.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p2c2r_protocol::SeededHash;
use ring::rand::{SecureRandom, SystemRandom};

use super::error::JoinError;

/// How long a challenge is good for: a signature and one round trip on a slow link. The longer, the more spent challenges
/// have to be stored.
pub const CHALLENGE_LIFE: Duration = Duration::from_secs(30);
/// Spent challenges that are kept, 2 MiB or so.
pub const SPENT_MAX: usize = 65_536;

const NONCE_BYTES: usize = 16;
const BYTES: usize = NONCE_BYTES + 8 + 32;
const CONTEXT: &[u8] = b"p2c2r challenge 1";

const _: () = assert!(BYTES * 4 / 3 + 4 <= p2c2r_join::api::CHALLENGE_CHARS_MAX);

/// A genuine challenge that has not expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveChallenge {
    nonce: [u8; NONCE_BYTES],
    ends_at_ms: u64,
}

/// Makes challenges and recognises its own. Times are durations since a fixed moment of this process, not wall-clock
/// times.
pub struct Challenges {
    key: [u8; 32],
    /// By the second in which they end, the oldest first.
    spent: VecDeque<(u64, HashSet<[u8; NONCE_BYTES], SeededHash>)>,
    spent_count: usize,
    /// Challenges that expire before this second count as spent, because the record of the spent ones was dropped.
    forgotten_until: u64,
}

impl Challenges {
    /// Makes challenges under a new random key.
    pub fn new() -> Result<Self, JoinError> {
        Ok(Self { key: random()?, spent: VecDeque::new(), spent_count: 0, forgotten_until: 0 })
    }

    /// A challenge that is good for [`CHALLENGE_LIFE`] from `now`.
    pub fn issue(&self, now: Duration) -> Result<String, JoinError> {
        let live = LiveChallenge { nonce: random()?, ends_at_ms: (now + CHALLENGE_LIFE).as_millis() as u64 };
        let mut bytes = [0; BYTES];
        let (body, mac) = bytes.split_at_mut(NONCE_BYTES + 8);
        body[..NONCE_BYTES].copy_from_slice(&live.nonce);
        body[NONCE_BYTES..].copy_from_slice(&live.ends_at_ms.to_le_bytes());
        mac.copy_from_slice(self.mac(body).as_bytes());
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Verifies a challenge; `None` if it is not this process's, or has expired.
    pub fn check(&self, text: &str, now: Duration) -> Option<LiveChallenge> {
        let bytes: [u8; BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (body, mac) = bytes.split_at(NONCE_BYTES + 8);
        // `blake3::Hash` compares in constant time.
        if self.mac(body) != blake3::Hash::from_bytes(mac.try_into().ok()?) {
            return None;
        }
        let (nonce, ends_at) = body.split_first_chunk::<NONCE_BYTES>()?;
        let ends_at_ms = u64::from_le_bytes(ends_at.try_into().ok()?);
        (u128::from(ends_at_ms) > now.as_millis()).then_some(LiveChallenge { nonce: *nonce, ends_at_ms })
    }

    /// Spends the challenge; `false` if it was spent before. When [`SPENT_MAX`] are stored, all that expire soonest are
    /// dropped and count as spent, so none is accepted twice.
    pub fn spend(&mut self, live: LiveChallenge, now: Duration) -> bool {
        let second = live.ends_at_ms / 1_000;
        while let Some((_, gone)) = self.spent.pop_front_if(|(ends, _)| *ends < now.as_secs()) {
            self.spent_count -= gone.len();
        }
        if self.spent_count >= SPENT_MAX
            && let Some((ends, gone)) = self.spent.pop_front()
        {
            self.spent_count -= gone.len();
            self.forgotten_until = ends + 1;
        }
        if second < self.forgotten_until {
            return false;
        }
        let at = self.spent.partition_point(|(ends, _)| *ends < second);
        if self.spent.get(at).is_none_or(|(ends, _)| *ends != second) {
            self.spent.insert(at, (second, HashSet::default()));
        }
        let is_new = self.spent[at].1.insert(live.nonce);
        self.spent_count += usize::from(is_new);
        is_new
    }

    fn mac(&self, body: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(CONTEXT).update(body);
        hasher.finalize()
    }
}

fn random<const N: usize>() -> Result<[u8; N], JoinError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| JoinError::Randomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    #[test]
    fn a_challenge_is_good_once_for_its_life_and_here_alone() {
        let mut ours = Challenges::new().unwrap();
        let text = ours.issue(START).unwrap();
        let last = START + CHALLENGE_LIFE.checked_sub(Duration::from_millis(1)).unwrap();
        let live = ours.check(&text, last).unwrap();
        assert_eq!(ours.check(&text, START + CHALLENGE_LIFE), None);
        assert_eq!(Challenges::new().unwrap().check(&text, START), None);
        assert!(ours.spend(live, START));
        assert!(!ours.spend(live, START));
        assert!(!ours.spend(live, last));
    }

    #[test]
    fn no_character_can_be_changed() {
        let ours = Challenges::new().unwrap();
        let text = ours.issue(START).unwrap();
        for at in 0..text.len() {
            let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
            let mut changed = text.clone();
            changed.replace_range(at..=at, other);
            assert_eq!(ours.check(&changed, START), None, "character {at}");
        }
        for wrong in ["", "x", &text[1..], &format!("{text}A")] {
            assert_eq!(ours.check(wrong, START), None);
        }
    }

    #[test]
    fn a_flood_of_spent_ones_is_bounded_and_makes_none_good_twice() {
        let mut ours = Challenges::new().unwrap();
        let live = |number: u64, ends_at: Duration| {
            let mut nonce = [0; NONCE_BYTES];
            nonce[..8].copy_from_slice(&number.to_le_bytes());
            LiveChallenge { nonce, ends_at_ms: ends_at.as_millis() as u64 }
        };
        let early = START + Duration::from_secs(20);
        assert!(ours.spend(live(0, early), START));
        for number in 1..=SPENT_MAX as u64 {
            assert!(ours.spend(live(number, START + CHALLENGE_LIFE), START), "{number}");
        }
        assert!(ours.spent_count <= SPENT_MAX);
        assert!(!ours.spend(live(0, early), START), "refused though it is forgotten");
        assert!(!ours.spend(live(1, START + CHALLENGE_LIFE), START));
        let later = START + CHALLENGE_LIFE + Duration::from_secs(2);
        assert!(ours.spend(live(9, later + CHALLENGE_LIFE), later));
        assert_eq!(ours.spent_count, 1, "what would be over anyway is not kept");
    }
}
