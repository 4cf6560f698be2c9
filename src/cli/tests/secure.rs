use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

use super::Instance;
use super::double::Double;

struct Certificate {
    pem: String,
    fingerprint: String,
    acceptor: TlsAcceptor,
}

fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    Certificate {
        pem: made.cert.pem(),
        fingerprint: hex::encode_upper(Sha256::digest(made.cert.der())),
        acceptor: TlsAcceptor::from(Arc::new(config)),
    }
}

fn local_tls(port: u16) -> Instance {
    Instance::with_config(&format!(
        r#"{{ gateway: {{ mode: "local", port: {port}, auth: {{ token: "test-token-value" }}, tls: {{ enabled: true }} }} }}"#
    ))
}

fn write_certificate(state_dir: &Path, pem: &str) {
    let dir = state_dir.join("gateway").join("tls");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("gateway-cert.pem"), pem).unwrap();
}

#[test]
fn the_local_gateways_own_certificate_is_trusted_and_no_other() {
    let certificate = certificate();
    let double = Double::secure(certificate.acceptor.clone());
    let here = local_tls(double.port);
    write_certificate(here.state_dir(), &certificate.pem);
    let ran = here.run(&["gateway", "health"]);
    assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""));

    write_certificate(here.state_dir(), &self::certificate().pem);
    let ran = here.run(&["gateway", "health"]);
    assert_eq!(ran.exit, Some(1));
    assert!(
        ran.err.contains("\nReason: TLS handshake with 127.0.0.1 failed: "),
        "{}",
        ran.err
    );
}

#[test]
fn a_remote_gateway_is_known_by_its_fingerprint_or_by_an_extra_ca_file() {
    let certificate = certificate();
    let double = Double::secure(certificate.acceptor.clone());
    let remote = |extra: &str| {
        Instance::with_config(&format!(
            r#"{{ gateway: {{ mode: "remote", remote: {{ url: "wss://localhost:{}", token: "t"{extra} }} }} }}"#,
            double.port
        ))
    };
    let pinned = remote(&format!(r#", tlsFingerprint: "sha256:{}""#, certificate.fingerprint));
    assert_eq!(pinned.run(&["gateway", "call", "health"]).exit, Some(0));

    let here = remote("");
    let file = here.state_dir().join("ca.pem");
    std::fs::write(&file, &certificate.pem).unwrap();
    let here = here.with_env("SSL_CERT_FILE", file.to_str().unwrap());
    let ran = here.run(&["gateway", "call", "health"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.err);

    let other = here.state_dir().join("other.pem");
    std::fs::write(&other, self::certificate().pem).unwrap();
    let stranger = here.with_env("SSL_CERT_FILE", other.to_str().unwrap());
    assert_eq!(stranger.run(&["gateway", "call", "health"]).exit, Some(1));
}
