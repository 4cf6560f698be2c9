//! TLS on the listener: certificate files, a self-signed pair if none exist.
//!
//! A renewed certificate is a change of configuration like any other: the files are among those that are watched. A pair
//! that does not load changes nothing.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::base::fs::create_private_dir;
use crate::config::TlsFiles;

const SELF_SIGNED_DAYS: u64 = 3_650;

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing and may not be made.
    #[error("gateway tls: cert/key missing ({cert}, {key}): provide both files, or set gateway.tls.autoGenerate")]
    Missing {
        /// The certificate's path.
        cert: String,
        /// The key's path.
        key: String,
    },
    /// The self-signed pair could not be made or written.
    #[error("gateway tls: failed to generate cert ({0})")]
    Generate(String),
    /// The files are there but of no use.
    #[error("gateway tls: failed to load cert ({0})")]
    Load(String),
}

/// TLS as the listener uses it.
pub struct Tls {
    files: TlsFiles,
    acceptor: TlsAcceptor,
    current: Arc<Current>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    /// Loads the pair, making one first if allowed. Reads and writes files: call it off the async workers.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        match (files.cert.exists(), files.key.exists()) {
            (true, true) => {}
            (false, false) if files.auto_generate => {
                generate(&files)?;
                tracing::info!(target: "tls", cert = %files.cert.display(), "generated a self-signed certificate");
            }
            _ => {
                return Err(TlsError::Missing {
                    cert: files.cert.display().to_string(),
                    key: files.key.display().to_string(),
                });
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let current = Arc::new(Current(ArcSwap::from_pointee(load(&files, &provider)?)));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&current);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| TlsError::Load(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            files,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            current,
        })
    }

    /// The files it was opened with.
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// SHA-256 of the certificate in use, lower-case hex; what clients pin.
    pub fn fingerprint(&self) -> String {
        use sha2::Digest;
        let key = self.current.0.load();
        key.cert
            .first()
            .map(|cert| hex::encode(sha2::Sha256::digest(cert.as_ref())))
            .unwrap_or_default()
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Loads the files again. On failure the present certificate stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = load(&self.files, &rustls::crypto::aws_lc_rs::default_provider())?;
        self.current.0.store(Arc::new(fresh));
        Ok(())
    }
}

fn load(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let at = |path: &Path, error: &dyn std::fmt::Display| TlsError::Load(format!("{}: {error}", path.display()));
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| at(&files.cert, &error))?;
    if chain.is_empty() {
        return Err(at(&files.cert, &"no certificate in the file"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| at(&files.key, &error))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| at(&files.key, &error))
}

fn generate(files: &TlsFiles) -> Result<(), TlsError> {
    let failed = |error: &dyn std::fmt::Display| TlsError::Generate(error.to_string());
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = rcgen::CertificateParams::new(names).map_err(|error| failed(&error))?;
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "openclaw-gateway");
    let now = SystemTime::now();
    params.not_before = now.into();
    params.not_after = (now + Duration::from_secs(SELF_SIGNED_DAYS * 86_400)).into();
    let key = rcgen::KeyPair::generate().map_err(|error| failed(&error))?;
    let cert = params.self_signed(&key).map_err(|error| failed(&error))?;
    for path in [&files.cert, &files.key] {
        if let Some(dir) = path.parent() {
            create_private_dir(dir).map_err(|error| failed(&error))?;
        }
    }
    // The key first: a certificate without its key would block the next attempt.
    write_private(&files.key, &key.serialize_pem()).map_err(|error| failed(&error))?;
    write_private(&files.cert, &cert.pem()).map_err(|error| failed(&error))
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_missing_pair_is_generated_once_and_reloaded() {
        let dir = tempfile::tempdir().unwrap();
        let files = TlsFiles::in_state_dir(dir.path(), true);
        let tls = Tls::open(files.clone()).unwrap();
        let first = tls.fingerprint();
        assert_eq!(Tls::open(files.clone()).unwrap().fingerprint(), first);

        fs::remove_file(&files.cert).unwrap();
        assert!(matches!(Tls::open(files.clone()), Err(TlsError::Missing { .. })));
        fs::remove_file(&files.key).unwrap();
        generate(&files).unwrap();
        tls.reload().unwrap();
        assert_ne!(tls.fingerprint(), first);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused_and_the_old_pair_stays() {
        let dir = tempfile::tempdir().unwrap();
        let files = TlsFiles::in_state_dir(dir.path(), true);
        let tls = Tls::open(files.clone()).unwrap();
        let other = TlsFiles::in_state_dir(&dir.path().join("other"), true);
        let before = tls.fingerprint();
        generate(&other).unwrap();
        fs::copy(&other.key, &files.key).unwrap();
        assert!(matches!(tls.reload(), Err(TlsError::Load(_))));
        assert_eq!(tls.fingerprint(), before);
    }

    #[cfg(unix)]
    #[test]
    fn generated_files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let files = TlsFiles::in_state_dir(dir.path(), true);
        Tls::open(files.clone()).unwrap();
        for path in [&files.cert, &files.key] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let folder = files.key.parent().unwrap();
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
