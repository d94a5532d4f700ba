//! The coordinator's certificate: its own, made at first start and kept for good, or the operator's.
//!
//! Join links of an own certificate carry the fingerprint of its key, which clients pin. With the operator's
//! (`--cert`, `--key`) they carry none, and clients ask the public authorities they know, as browsers do: such a
//! certificate is renewed every few months, often with a new key, and [`renewal`](super::renewal) follows it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use p2c2r_join::Fingerprint;
use rcgen::{CertificateParams, DnType, KeyPair};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::ResolvesServerCert;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{self, ServerConfig};

use super::error::JoinError;
use super::renewal::RenewedCertificate;
use crate::private_file::private;

/// Name of the own key in the data folder.
pub const KEY_FILE: &str = "key.pem";
/// Name of the own certificate in the data folder.
pub const CERTIFICATE_FILE: &str = "certificate.pem";
/// The name in the own certificate; clients that pin the key do not look at it.
pub const CERTIFICATE_NAME: &str = "p2c2r";
/// Size of the largest key or certificate file that is read; a long chain has a tenth.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

const RESTORE: &str = "restore it from a copy, or move both key.pem and certificate.pem away to get new ones \
     (clients then refuse the coordinator until they get new join links)";
const CHECK_OWN: &str = "check the files given with --cert and --key";

/// Which certificate is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CertificateChoice {
    /// The coordinator's own, from its data folder.
    #[default]
    Own,
    /// The operator's.
    Files {
        /// The chain, the coordinator's certificate first, PEM.
        chain: PathBuf,
        /// Its key, PEM.
        key: PathBuf,
    },
}

/// A certificate in use.
#[derive(Clone)]
pub struct Certificate {
    /// The TLS configuration.
    pub tls: Arc<ServerConfig>,
    /// The fingerprint of the own key, which join links carry.
    pub fingerprint: Option<Fingerprint>,
    /// The operator's certificate, which may be renewed.
    pub renewed: Option<Arc<RenewedCertificate>>,
}

impl Certificate {
    /// Loads the certificate; the own one is made where the data folder `folder` has none. No file is ever changed.
    pub fn load(choice: &CertificateChoice, folder: &Path) -> Result<Self, JoinError> {
        match choice {
            CertificateChoice::Files { chain, key } => {
                let renewed = Arc::new(RenewedCertificate::load(chain, key)?);
                let tls = tls_config(renewed.clone(), chain, CHECK_OWN)?;
                Ok(Self { tls: Arc::new(tls), fingerprint: None, renewed: Some(renewed) })
            }
            CertificateChoice::Own => own(folder),
        }
    }
}

/// Makes the data folder, for its owner only, if there is none.
pub fn make_data_folder(path: &Path) -> Result<(), JoinError> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| JoinError::Folder { path: path.to_owned(), error })
}

fn own(folder: &Path) -> Result<Certificate, JoinError> {
    let (key_path, path) = (folder.join(KEY_FILE), folder.join(CERTIFICATE_FILE));
    match (key_path.exists(), path.exists()) {
        (false, true) => {
            return Err(refused(&key_path, "it is missing, and its certificate is there".into(), RESTORE));
        }
        (false, false) => {
            let key = KeyPair::generate().map_err(|error| refused(&key_path, error.to_string(), RESTORE))?;
            write_private(&key_path, &key.serialize_pem())?;
            make_certificate(&key, &path)?;
        }
        // The certificate is missing, after a crash or because it was deleted. The key is kept, because clients pin it.
        (true, false) => {
            let pem = read(&key_path)?;
            let key = KeyPair::from_pem(&pem)
                .map_err(|_| refused(&key_path, "it is not a private key in PEM".into(), RESTORE))?;
            make_certificate(&key, &path)?;
        }
        (true, true) => {}
    }
    let chain = read_chain(&path, RESTORE)?;
    let fingerprint =
        Fingerprint::of_certificate(&chain[0]).map_err(|error| refused(&path, error.to_string(), RESTORE))?;
    let certified = certified_key(chain, read_key(&key_path, RESTORE)?, &path, RESTORE)?;
    let tls = tls_config(Arc::new(SingleCertAndKey::from(certified)), &path, RESTORE)?;
    Ok(Certificate { tls: Arc::new(tls), fingerprint: Some(fingerprint), renewed: None })
}

/// Valid from 1975 to 4096: clients pin the key and look at no date.
fn make_certificate(key: &KeyPair, path: &Path) -> Result<(), JoinError> {
    let failed = |error: rcgen::Error| refused(path, error.to_string(), RESTORE);
    let mut params = CertificateParams::new([CERTIFICATE_NAME.to_owned()]).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, "P2C2R coordinator");
    write_private(path, &params.self_signed(key).map_err(failed)?.pem())
}

/// Writes under a temporary name and renames, so that a crash leaves a whole file or none; readable by its owner only.
fn write_private(path: &Path, text: &str) -> Result<(), JoinError> {
    let partial = path.with_extension("partial");
    let write = || {
        let mut file = private().truncate(true).open(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(|error| JoinError::File { path: path.to_owned(), error })
}

/// The operator's chain and key in these files; an error says which file to look at.
pub(super) fn read_operators(chain: &Path, key: &Path) -> Result<CertifiedKey, JoinError> {
    certified_key(read_chain(chain, CHECK_OWN)?, read_key(key, CHECK_OWN)?, chain, CHECK_OWN)
}

fn certified_key(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    path: &Path,
    advice: &'static str,
) -> Result<CertifiedKey, JoinError> {
    let made = CertifiedKey::from_der(chain, key, &default_provider());
    made.map_err(|error| refused(path, error.to_string(), advice))
}

fn tls_config(
    certificate: Arc<dyn ResolvesServerCert>,
    path: &Path,
    advice: &'static str,
) -> Result<ServerConfig, JoinError> {
    let build = || -> Result<ServerConfig, rustls::Error> {
        Ok(ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(certificate))
    };
    let mut config = build().map_err(|error| refused(path, error.to_string(), advice))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // No session tickets: a connection serves two short requests and is not resumed.
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn read_chain(path: &Path, advice: &'static str) -> Result<Vec<CertificateDer<'static>>, JoinError> {
    let text = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(refused(path, "there is no certificate in PEM in it".into(), advice)),
    }
}

fn read_key(path: &Path, advice: &'static str) -> Result<PrivateKeyDer<'static>, JoinError> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|_| refused(path, "it is not a private key in PEM".into(), advice))
}

fn read(path: &Path) -> Result<String, JoinError> {
    let failed = |error| JoinError::File { path: path.to_owned(), error };
    if fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(refused(path, "it is larger than any key or certificate".into(), CHECK_OWN));
    }
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(failed)
}

fn refused(path: &Path, reason: String, advice: &'static str) -> JoinError {
    JoinError::Certificate { path: path.to_owned(), reason, advice }
}
