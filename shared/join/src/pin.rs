//! Fingerprints of public keys, and the certificate check that pins one.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use thiserror::Error;

/// SHA-256 of a certificate's public key (its `SubjectPublicKeyInfo` in DER). It stays the same when a certificate is
/// made again with the same key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// This certificate cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the certificate cannot be read")]
pub struct BadCertificate;

/// This text is no fingerprint: 43 characters of URL-safe base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a fingerprint: it has 43 characters of A-Z, a-z, 0-9, - and _")]
pub struct BadFingerprint;

impl Fingerprint {
    /// The fingerprint of a certificate's public key.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, BadCertificate> {
        let parsed = webpki::EndEntityCert::try_from(certificate).map_err(|_| BadCertificate)?;
        let digest = digest(&SHA256, &parsed.subject_public_key_info());
        digest.as_ref().try_into().map(Self).map_err(|_| BadCertificate)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadFingerprint)?;
        bytes.try_into().map(Self).map_err(|_| BadFingerprint)
    }
}

/// TLS settings of a client that trusts the key with this fingerprint and no other; without one, those whose
/// certificate a public authority signed for the name.
pub fn client_config(pinned: Option<Fingerprint>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    Ok(match pinned {
        Some(pinned) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pin { pinned, provider }))
            .with_no_client_auth(),
        None => builder
            .with_root_certificates(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
            .with_no_client_auth(),
    })
}

/// Trusts one public key, whatever name, issuer and dates its certificate has: the link names the key itself, and a
/// client's clock may be wrong.
#[derive(Debug)]
struct Pin {
    pinned: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match Fingerprint::of_certificate(end_entity) {
            Ok(found) if found == self.pinned => Ok(ServerCertVerified::assertion()),
            Ok(_) => Err(CertificateError::ApplicationVerificationFailure.into()),
            Err(BadCertificate) => Err(CertificateError::BadEncoding.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_back_what_it_shows_and_nothing_else() {
        let print = Fingerprint(std::array::from_fn(|at| at as u8 * 5));
        assert_eq!(print.to_string().parse(), Ok(print));
        for wrong in ["", "abc", &"A".repeat(42), &"A".repeat(44), &"+".repeat(43)] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(BadFingerprint), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_fingerprint() {
        assert_eq!(
            Fingerprint::of_certificate(&CertificateDer::from(vec![0x30, 3, 1, 2])),
            Err(BadCertificate)
        );
    }
}
