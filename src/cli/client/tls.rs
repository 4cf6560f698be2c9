//! TLS for `wss://`: system roots, extra CA files, or one pinned certificate.
//!
//! A pinned fingerprint replaces the chain check, never the proof that the peer holds the key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::error::CallError;

/// Where distributions keep their CA bundle; the first that exists is used.
const SYSTEM_BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/opt/homebrew/etc/ca-certificates/cert.pem",
];

/// Who may answer on `wss://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// A chain to a system CA or to one in `extra`.
    Roots {
        /// Replaces the system bundle (`SSL_CERT_FILE`).
        bundle: Option<PathBuf>,
        /// Added to it (`NODE_EXTRA_CA_CERTS`).
        extra: Vec<PathBuf>,
    },
    /// Exactly the certificate with this SHA-256.
    Fingerprint([u8; 32]),
}

impl Default for Trust {
    fn default() -> Self {
        Self::Roots {
            bundle: None,
            extra: Vec::new(),
        }
    }
}

impl Trust {
    /// A fingerprint as people write it: hex, any case, with or without colons and a `sha256:` or `SHA256 ` prefix.
    pub fn parse_fingerprint(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let digits = text
            .strip_prefix("sha256")
            .map_or(text.as_str(), |rest| rest.trim_start_matches([':', ' ', '=']));
        let digits: String = digits.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Self::Fingerprint(bytes))
    }

    /// Trusts the first certificate of a PEM file, if it can be read.
    pub fn of_certificate_file(path: &Path) -> Option<Self> {
        let certificate = CertificateDer::from_pem_file(path).ok()?;
        Some(Self::Fingerprint(Sha256::digest(&certificate).into()))
    }
}

/// Starts TLS on `tcp`.
///
/// # Errors
/// `Local` when the roots cannot be read, `Unreachable` when the handshake fails.
pub async fn wrap(tcp: TcpStream, host: &Host<&str>, trust: &Trust) -> Result<TlsStream<TcpStream>, CallError> {
    let name = match host {
        Host::Domain(name) => ServerName::try_from((*name).to_owned())
            .map_err(|_| CallError::Local(format!("{name} is not a valid TLS server name")))?,
        Host::Ipv4(ip) => ServerName::IpAddress(std::net::IpAddr::from(*ip).into()),
        Host::Ipv6(ip) => ServerName::IpAddress(std::net::IpAddr::from(*ip).into()),
    };
    let connector = TlsConnector::from(Arc::new(client_config(trust)?));
    connector
        .connect(name, tcp)
        .await
        .map_err(|error| CallError::Unreachable(format!("TLS handshake with {host} failed: {error}")))
}

fn client_config(trust: &Trust) -> Result<ClientConfig, CallError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| CallError::Local(format!("TLS cannot be set up: {error}")))?;
    Ok(match trust {
        Trust::Roots { bundle, extra } => builder
            .with_root_certificates(roots(bundle.as_deref(), extra)?)
            .with_no_client_auth(),
        Trust::Fingerprint(expected) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned {
                expected: *expected,
                provider,
            }))
            .with_no_client_auth(),
    })
}

fn roots(bundle: Option<&Path>, extra: &[PathBuf]) -> Result<RootCertStore, CallError> {
    let mut store = RootCertStore::empty();
    let system = bundle.or_else(|| SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.is_file()));
    for path in system.into_iter().chain(extra.iter().map(PathBuf::as_path)) {
        let unreadable =
            |error| CallError::Local(format!("cannot read CA certificates from {}: {error}", path.display()));
        for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            // Bundles may hold certificates that are of no use as roots; they do not spoil the others.
            let _added = store.add(certificate.map_err(unreadable)?).is_ok();
        }
    }
    if store.is_empty() {
        return Err(CallError::Local(
            "no CA certificates found: set NODE_EXTRA_CA_CERTS or SSL_CERT_FILE to a PEM file, or gateway.remote.tlsFingerprint"
                .to_owned(),
        ));
    }
    Ok(store)
}

/// Accepts one certificate, known by its hash.
#[derive(Debug)]
struct Pinned {
    expected: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let actual: [u8; 32] = Sha256::digest(end_entity).into();
        if actual == self.expected {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
