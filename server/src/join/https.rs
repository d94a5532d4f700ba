//! HTTPS connections: counted, encrypted and under time-outs before a request is read.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::limits::{Buckets, JoinLimits, Prefix, Rate};
use super::places::{Connected, Connections};
use super::routes::{Front, Sender, router};

/// The first byte of a TLS connection: a handshake record.
const TLS_HANDSHAKE: u8 = 0x16;
/// Bytes of a request's headers; ours have some 200.
const HEADER_BYTES_MAX: usize = 8_192;
/// Header lines of a request.
const HEADERS_MAX: usize = 32;
/// Pause after the system could not accept a connection, for example because all file descriptors are in use.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes read of a request without TLS before it is answered.
const PLAIN_BYTES_MAX: usize = 4_096;

/// Accepts connections for ever.
pub(super) async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    front: Arc<Front>,
    pages: Router,
) -> Infallible {
    let connections = Connections::default();
    let rate = Rate { burst: front.limits.connects_per_minute, per: Duration::from_mins(1) };
    let mut rates = Buckets::new(rate);
    let router = router(Arc::clone(&front), pages);
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (prefix, now) = (Prefix::of(address.ip()), front.now());
        // Closed without a reply: only a flooding peer would receive it.
        if !rates.take(prefix, now) {
            continue;
        }
        let Some(connected) = connections.enter(prefix, now, &front.limits) else { continue };
        let number = connected.number();
        let visit = Visit { tls: tls.clone(), router: router.clone(), limits: front.limits.clone(), address };
        let ends = tokio::spawn(visit.run(stream, connected)).abort_handle();
        connections.begin(number, ends, now, &front.limits);
    }
}

/// One connection.
struct Visit {
    tls: TlsAcceptor,
    router: Router,
    limits: JoinLimits,
    address: SocketAddr,
}

impl Visit {
    async fn run(self, stream: TcpStream, connected: Connected) {
        let _ = stream.set_nodelay(true);
        let begun = timeout(self.limits.handshake, async {
            let mut first = [0];
            let heard = stream.peek(&mut first).await;
            connected.spoke();
            match heard {
                Ok(1) if first[0] == TLS_HANDSHAKE => self.tls.accept(stream).await.ok(),
                Ok(1) if first[0].is_ascii_alphabetic() => {
                    point_to_https(stream).await;
                    None
                }
                _ => None,
            }
        });
        let Ok(Some(stream)) = begun.await else { return };
        let Self { router, limits, address, .. } = self;
        let served = AtomicU32::new(0);
        let inner = TowerToHyperService::new(router);
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(Sender(address));
            let is_last = served.fetch_add(1, Ordering::Relaxed) + 1 >= limits.requests_per_connection_max;
            let answer = inner.call(request);
            async move {
                let mut response: Response<_> = answer.await?;
                if is_last {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.headers)
            .max_buf_size(HEADER_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(stream), service);
        match timeout(limits.connection, connection).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, %address, "an HTTPS connection broke off"),
            Err(_) => debug!(%address, "an HTTPS connection was closed because it took too long"),
        }
    }
}

/// Answers a request without TLS in one line, for the person who typed http for https.
async fn point_to_https(mut stream: TcpStream) {
    // Unread bytes would make the system reset the connection before the answer is read.
    let mut request = [0; PLAIN_BYTES_MAX];
    let _ = stream.read(&mut request).await;
    let line = "this port speaks HTTPS: ask for https:// instead of http://\n";
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{line}",
        line.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
    while matches!(stream.read(&mut request).await, Ok(read) if read > 0) {}
}
