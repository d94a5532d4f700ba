//! The routes of the status page: what is answered to which request, and to whom.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::Markup;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;
use ring::digest::{SHA256, digest};

use super::access::{Busy, COOKIE_NAME, OperatorAccess, SESSION};
use super::page::{About, STYLE, page, sentence};
use super::{Board, troubles};
use crate::config::MetricsFor;
use crate::join::Sender;
use crate::join::limits::{Buckets, Prefix, Rate};

/// What the answers are made from.
pub struct Status {
    /// Copies of the app's state.
    pub board: Board,
    /// The app's figures.
    pub registry: Arc<Registry>,
    /// Recognises the operator.
    pub access: OperatorAccess,
    /// What the page says of the coordinator itself.
    pub about: About,
    /// Who may read the figures.
    pub metrics: MetricsFor,
    /// Requests a minute for one address prefix.
    pub requests_per_minute: u32,
}

struct Shared {
    status: Status,
    started: Instant,
    rates: Mutex<Buckets>,
    policy: HeaderValue,
}

/// The routes: page, login, health, figures.
pub fn router(status: Status) -> Router {
    let rate = Rate { burst: status.requests_per_minute, per: Duration::from_mins(1) };
    let shared = Arc::new(Shared {
        status,
        started: Instant::now(),
        rates: Mutex::new(Buckets::new(rate)),
        policy: content_security_policy(),
    });
    Router::new()
        .route("/", get(show_page))
        .route("/readyz", get(say_ready))
        .route("/metrics", get(give_figures))
        .route("/login/{secret}", get(log_in))
        .route("/logout", post(log_out))
        .layer(from_fn_with_state(Arc::clone(&shared), guard))
        .with_state(shared)
}

/// Nothing but the style sheet that is in the page itself: no script, no picture, nothing from elsewhere, in no frame.
fn content_security_policy() -> HeaderValue {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    // Base64 and the words above are printable.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Limits how often an address may ask, and says to browsers what they may do with the answer.
async fn guard(
    State(shared): State<Arc<Shared>>,
    Extension(sender): Extension<Sender>,
    request: Request,
    next: Next,
) -> Response {
    let prefix = Prefix::of(sender.0.ip());
    let may =
        shared.rates.lock().unwrap_or_else(PoisonError::into_inner).take(prefix, shared.started.elapsed());
    let mut response = if may { next.run(request).await } else { too_many() };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, shared.policy.clone());
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn text(status: StatusCode, text: impl Into<String>) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text.into()).into_response()
}

fn html(status: StatusCode, markup: Markup) -> Response {
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], markup.into_string()).into_response()
}

fn too_many() -> Response {
    let mut response = text(StatusCode::TOO_MANY_REQUESTS, "too many requests; try again in a minute\n");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("10"));
    response
}

impl IntoResponse for Busy {
    fn into_response(self) -> Response {
        let mut response = text(StatusCode::SERVICE_UNAVAILABLE, "the coordinator is busy; try again\n");
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("10"));
        response
    }
}

async fn show_page(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let status = &shared.status;
    let is_operator = status.access.is_logged_in(&headers);
    let look = status.board.look().await;
    html(StatusCode::OK, page(&status.about, &look, is_operator))
}

async fn say_ready(State(shared): State<Arc<Shared>>) -> Response {
    let reasons = troubles::not_ready(&shared.status.board.look().await);
    if reasons.is_empty() {
        return text(StatusCode::OK, "ready\n");
    }
    text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", reasons.join("; ")))
}

async fn give_figures(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Busy> {
    let status = &shared.status;
    let may = status.metrics == MetricsFor::Everybody
        || status.access.is_logged_in(&headers)
        || status.access.shows_token(&headers).await?;
    if !may {
        let command = &status.about.command;
        let said = format!(
            "the figures are the operator's: show the token that `{command} page --metrics-token` prints\n"
        );
        let mut response = text(StatusCode::UNAUTHORIZED, said);
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return Ok(response);
    }
    status.board.look().await;
    let mut body = String::new();
    if prometheus_text::encode(&mut body, &status.registry).is_err() {
        return Err(Busy);
    }
    Ok(([(CONTENT_TYPE, prometheus_text::CONTENT_TYPE)], body).into_response())
}

async fn log_in(State(shared): State<Arc<Shared>>, Path(secret): Path<String>) -> Result<Response, Busy> {
    let Some(value) = shared.status.access.log_in(secret).await? else {
        let command = &shared.status.about.command;
        let said = format!("This login link was used or is too old. Make another: {command} page");
        return Ok(html(StatusCode::FORBIDDEN, sentence(&said)));
    };
    Ok(to_page(format!("{COOKIE_NAME}={value}; Max-Age={}", SESSION.as_secs())))
}

async fn log_out(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    shared.status.access.log_out(&headers);
    to_page(format!("{COOKIE_NAME}=; Max-Age=0"))
}

fn to_page(cookie: String) -> Response {
    let cookie = format!("{cookie}; Path=/; Secure; HttpOnly; SameSite=Strict");
    let headers: [(HeaderName, String); 2] = [(SET_COOKIE, cookie), (LOCATION, "/".to_owned())];
    (StatusCode::SEE_OTHER, headers).into_response()
}
