//! One entry for each decoder of what a client is given, for the fuzz targets: join links and answers over HTTPS. Each
//! takes any bytes, returns whether an honest person or coordinator could have sent them, and panics if what the decoder
//! promises does not hold.

use crate::api::{Challenge, RefusalCode, TokenGrant, TokenRefusal};
use crate::client::{CLIENT_SENTENCE_CHARS_MAX, sentence};
use crate::join_link::{HOSTS_MAX, JoinLink, LINK_CHARS_MAX};

/// A join link: what it is written as reads back as the same link.
pub fn join_link(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(link) = text.parse::<JoinLink>() else { return false };
    assert!((1..=HOSTS_MAX).contains(&link.hosts.len()));
    let written = link.to_string();
    assert!(written.len() <= LINK_CHARS_MAX + 8 * HOSTS_MAX, "a port that was left out is written");
    assert!(written.parse::<JoinLink>().is_ok_and(|again| again == link), "one link, one form");
    if link.invite.is_some() {
        // The same with another invite is compared, because a host's name may contain the invite's letters.
        let other = JoinLink { invite: Some("another".to_owned()), ..link.clone() };
        assert!(format!("{link:?}") == format!("{other:?}"), "no log shows an invite");
    }
    true
}

/// The body of any answer.
pub fn https_answer(bytes: &[u8]) -> bool {
    if let Ok(grant) = serde_json::from_slice::<TokenGrant>(bytes) {
        return grant.token_bytes().is_some();
    }
    if let Ok(refusal) = serde_json::from_slice::<TokenRefusal>(bytes) {
        let said = sentence(&refusal);
        assert!(
            said.chars().count() <= CLIENT_SENTENCE_CHARS_MAX
                && said.chars().all(p2c2r_protocol::is_printable)
        );
        return refusal.code != RefusalCode::Unknown;
    }
    serde_json::from_slice::<Challenge>(bytes).is_ok()
}

/// Seed inputs for each entry, by its name.
pub fn seeds(entry: &str) -> Vec<Vec<u8>> {
    match entry {
        "join_link" => [
            "p2c2r://play.example.org:8765/abcdefghijklmnopqrstuv#AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "p2c2r://203.0.113.7,[2001:db8::7]:9/",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec(),
        "https_answer" => {
            let refusal = TokenRefusal { code: RefusalCode::TooMany, message: "later".to_owned(), protocol: None };
            let written = [
                serde_json::to_vec(&TokenGrant::new(&[7; 40], "ann")),
                serde_json::to_vec(&refusal),
                serde_json::to_vec(&Challenge { challenge: "AAAA".to_owned() }),
            ];
            written.into_iter().flatten().collect()
        }
        _ => Vec::new(),
    }
}
