//! Reads the operator's certificate again when it was renewed, as happens every few months, without a restart, and
//! warns of one that ends soon.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tracing::{info, warn};
use webpki::{EndEntityCert, Error, KeyUsage};

use super::certificate::read_operators;
use super::error::JoinError;
use super::limits::LastComplaint;
use super::store::WallSeconds;

/// How often the files' times are looked at: a renewed certificate is in use at most this late.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Days before its end from which the operator is warned. Authorities' programs renew a certificate a month before it ends, so
/// one that lasts this long or less was not renewed.
const WARN_DAYS: i64 = 14;
/// Between two warnings in the log.
const WARN_EVERY: Duration = Duration::from_hours(24);

/// When the chain and the key were written, as far as that can be told.
type Times = [Option<SystemTime>; 2];

/// The certificate in the operator's files, as it was when they were last read whole.
#[derive(Debug)]
pub struct RenewedCertificate {
    chain: PathBuf,
    key: PathBuf,
    current: RwLock<Current>,
    read: Mutex<Times>,
}

impl RenewedCertificate {
    /// Reads it for the first time.
    pub(super) fn load(chain: &Path, key: &Path) -> Result<Self, JoinError> {
        let read = times(chain, key);
        let current = RwLock::new(Current::read(chain, key)?);
        Ok(Self { chain: chain.to_owned(), key: key.to_owned(), current, read: Mutex::new(read) })
    }

    /// Reads it again if the files have changed; returns whether they have. Files that cannot be used, for example because only
    /// one of the two is new yet, leave the former certificate in use and are read again the next time.
    pub fn look(&self) -> Result<bool, JoinError> {
        let found = times(&self.chain, &self.key);
        if *self.read.lock().unwrap_or_else(PoisonError::into_inner) == found {
            return Ok(false);
        }
        let renewed = Current::read(&self.chain, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(true)
    }

    /// When the certificate in use ends; `None` if it does not say so in a way that can be read.
    pub fn ends(&self) -> Option<WallSeconds> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).ends
    }
}

/// The certificate in use.
#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    ends: Option<WallSeconds>,
}

impl Current {
    fn read(chain: &Path, key: &Path) -> Result<Self, JoinError> {
        let key = read_operators(chain, key)?;
        let ends = key.cert.first().and_then(end_of);
        Ok(Self { key: Arc::new(key), ends })
    }
}

/// When a certificate ends. webpki says so if it is asked about a time after that.
fn end_of(certificate: &CertificateDer<'_>) -> Option<WallSeconds> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let late = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    let usage = KeyUsage::server_auth();
    match certificate.verify_for_usage(&[], &[], &[], late, usage, None, None).map(drop) {
        Err(Error::CertExpired { not_after, .. }) => i64::try_from(not_after.as_secs()).ok().map(WallSeconds),
        _ => None,
    }
}

/// Whole days from `now` until the certificate ends, if that is soon; negative once it has ended.
pub fn days_left(ends: WallSeconds, now: WallSeconds) -> Option<i64> {
    let days = ends.0.saturating_sub(now.0).div_euclid(24 * 60 * 60);
    (days < WARN_DAYS).then_some(days)
}

impl ResolvesServerCert for RenewedCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

fn times(chain: &Path, key: &Path) -> Times {
    [chain, key].map(|path| path.metadata().and_then(|data| data.modified()).ok())
}

/// Follows the certificate's renewals for ever; does nothing without one.
pub(super) async fn follow(certificate: Option<Arc<RenewedCertificate>>) -> Infallible {
    let Some(certificate) = certificate else { return std::future::pending().await };
    let (began, mut complained, mut warned) = (Instant::now(), LastComplaint::default(), None);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let days = certificate.ends().and_then(|ends| days_left(ends, WallSeconds::now()));
        if let Some(days) = days.filter(|_| warned.is_none_or(|at: Instant| at.elapsed() >= WARN_EVERY)) {
            warned = Some(Instant::now());
            warn!(
                days,
                "the certificate of --cert ends soon or has ended, and was not renewed: clients will refuse it"
            );
        }
        let looked_at = Arc::clone(&certificate);
        // On the thread that may wait for the disk.
        match tokio::task::spawn_blocking(move || looked_at.look()).await {
            Ok(Ok(true)) => info!("the renewed certificate is in use"),
            Ok(Err(cause)) if complained.is_due(began.elapsed()) => {
                warn!(%cause, "the renewed certificate is not in use");
            }
            _ => {}
        }
    }
}
