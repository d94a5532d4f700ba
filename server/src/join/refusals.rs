//! Refusals over HTTPS: an HTTP status for proxies, a code for the client's program, a sentence for its user.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use p2c2r_join::{RefusalCode, TokenRefusal};

/// Seconds after which a rate-limited client may retry.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("10");

/// A refusal as it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRefusal {
    status: StatusCode,
    code: RefusalCode,
    message: String,
    protocol: Option<String>,
}

impl JoinRefusal {
    /// A refusal with the sentence of its code.
    pub fn of(code: RefusalCode) -> Self {
        Self::saying(code, sentence(code))
    }

    /// A refusal with a custom sentence.
    pub fn saying(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { status: status(code), code, message: message.into(), protocol: None }
    }

    /// A refusal of a program whose protocol is not the coordinator's `protocol`.
    pub fn of_another_protocol(protocol: &str, message: impl Into<String>) -> Self {
        Self { protocol: Some(protocol.to_owned()), ..Self::saying(RefusalCode::Incompatible, message) }
    }

    /// A malformed request, with its own status.
    pub fn malformed(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, ..Self::saying(RefusalCode::Malformed, message) }
    }
}

impl IntoResponse for JoinRefusal {
    fn into_response(self) -> Response {
        let body = Json(TokenRefusal { code: self.code, message: self.message, protocol: self.protocol });
        let mut response = (self.status, body).into_response();
        if self.code.is_passing() {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }
}

fn status(code: RefusalCode) -> StatusCode {
    match code {
        RefusalCode::Malformed | RefusalCode::Unknown => StatusCode::BAD_REQUEST,
        RefusalCode::BadSignature | RefusalCode::StaleChallenge => StatusCode::UNAUTHORIZED,
        RefusalCode::NoAccount
        | RefusalCode::InviteUnknown
        | RefusalCode::WrongRole
        | RefusalCode::RegistrationFull
        | RefusalCode::Revoked => StatusCode::FORBIDDEN,
        RefusalCode::Incompatible => StatusCode::CONFLICT,
        RefusalCode::InviteUsedUp | RefusalCode::InviteExpired => StatusCode::GONE,
        RefusalCode::TooMany => StatusCode::TOO_MANY_REQUESTS,
        RefusalCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn sentence(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::Malformed | RefusalCode::Unknown => "the coordinator does not understand this request",
        RefusalCode::BadSignature => {
            "the request is not signed by the account's key; delete the account's file and join again"
        }
        RefusalCode::StaleChallenge => "the challenge is too old or was used before; ask for another",
        RefusalCode::Incompatible => "this program and the coordinator speak different protocols",
        RefusalCode::NoAccount => {
            "this coordinator does not know you and lets people in by invite; ask its operator for a join link"
        }
        RefusalCode::InviteUnknown => {
            "this coordinator does not know the invite in the join link; ask its operator for a new link"
        }
        RefusalCode::InviteUsedUp => {
            "the invite in the join link was used as often as it may be; ask the operator for a new link"
        }
        RefusalCode::InviteExpired => {
            "the invite in the join link is too old; ask the coordinator's operator for a new link"
        }
        RefusalCode::WrongRole => {
            "the join link or the account is for the other role; gamers and workers need a link each"
        }
        RefusalCode::Revoked => {
            "the coordinator's operator has closed this account for good; ask them why. With a new invite you can join under \
             another name"
        }
        RefusalCode::RegistrationFull => {
            "this coordinator has as many accounts without an invite as it may, and all are in use; ask its operator for an \
             invite, or to allow more"
        }
        RefusalCode::TooMany => "too many requests from this address or account; try again in a minute",
        RefusalCode::Unavailable => "the coordinator is full, busy or closing; try again in a minute",
    }
}
