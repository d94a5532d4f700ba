//! Joins for the examination, under the account that the game or the worker has or will have.

use std::path::PathBuf;
use std::time::Duration;

use p2c2r_join::{
    FETCH_MAX, JoinClient, JoinLink, Membership, MembershipError, Memberships, RefusalCode, name_default,
};
use p2c2r_link::{NoToken, fetch};
use p2c2r_protocol::{ProtocolIdentity, Role};

/// How long getting one connect token may take: longer than a try, whose answer says who was asked.
const TOKEN_MAX: Duration = FETCH_MAX.saturating_add(Duration::from_secs(5));

/// Why joining failed.
#[derive(Debug)]
pub enum NoWayIn {
    /// The coordinator answered and refused.
    Refused {
        /// Why, for programs; `None` if it was not the coordinator's word.
        code: Option<RefusalCode>,
        /// Why, for a person.
        reason: String,
    },
    /// No answer.
    Unreachable(String),
    /// This machine cannot keep the account's key.
    Keys(MembershipError),
}

/// Joins in the first of these roles in which the coordinator lets us in. The account is the one of this name or, without a
/// name, the one that game or worker used last at this coordinator. If there is none, the link's invite makes one, under the
/// name that game or worker would take. A new account's key is kept only once the coordinator has accepted it, so that a
/// link for the other role leaves nothing behind.
pub fn join(
    link: &JoinLink,
    roles: &[Role],
    name: Option<&str>,
    keys: Option<PathBuf>,
    identity: &ProtocolIdentity,
) -> Result<(Role, JoinClient), NoWayIn> {
    let memberships = match keys {
        Some(folder) => Memberships::in_folder(folder),
        None => Memberships::of_user().map_err(NoWayIn::Keys)?,
    };
    let mut refused: Option<(Option<RefusalCode>, String)> = None;
    for role in roles {
        let known = match name {
            Some(name) => memberships.known(link, *role, name),
            None => memberships.latest_at(link, *role),
        };
        let known = known.map_err(NoWayIn::Keys)?;
        let is_new = known.is_none();
        let membership = if let Some(membership) = known {
            membership
        } else {
            let name = name.map_or_else(|| name_default(*role), str::to_owned);
            Membership::new(link.clone(), *role, &name).map_err(NoWayIn::Keys)?
        };
        let client = membership.client(identity.clone());
        match fetch(&client, TOKEN_MAX) {
            Ok(_) => {
                if is_new {
                    memberships.adopt(&membership).map_err(NoWayIn::Keys)?;
                }
                return Ok((*role, client));
            }
            Err(NoToken::Refused { reason }) => {
                // That a link is not for the other role says nothing if it is refused in its own role too.
                if refused.as_ref().is_none_or(|(code, _)| *code == Some(RefusalCode::WrongRole)) {
                    refused = Some((client.refusal(), reason.detail));
                }
            }
            Err(NoToken::Unreachable { reason }) => return Err(NoWayIn::Unreachable(reason.detail)),
        }
    }
    let (code, reason) = refused.unwrap_or_else(|| (None, "no role was asked for".to_owned()));
    Err(NoWayIn::Refused { code, reason })
}
