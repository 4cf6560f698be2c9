//! Forwarding headers: nobody becomes local or trusted by sending one.
#![no_main]

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use openclaw::auth::Authenticator;
use openclaw::config::{Env, Snapshot, snapshot_from_json5};

const NAMES: [&str; 5] = [
    "x-forwarded-for",
    "x-real-ip",
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-proto",
];

static WORLD: LazyLock<Arc<Snapshot>> = LazyLock::new(|| {
    let text = "{gateway: {mode: 'local', auth: {mode: 'token', token: 'fuzz-token-0123456789'}, \
                trustedProxies: ['10.0.0.0/8', '127.0.0.1', '::1'], allowRealIpFallback: true}}";
    snapshot_from_json5(text, &std::env::temp_dir(), &Env::default()).expect("a configuration")
});

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(8) {
        if let Some((first, value)) = line.split_first()
            && let Some(name) = NAMES.get(usize::from(*first) % NAMES.len())
            && let Ok(value) = HeaderValue::from_bytes(value)
        {
            headers.append(*name, value);
        }
    }
    let auth = &WORLD.auth;
    for peer in ["127.0.0.1:1", "10.1.2.3:1", "[::1]:1", "203.0.113.9:1", "[::ffff:10.0.0.1]:1"] {
        let peer: SocketAddr = peer.parse().expect("an address");
        let facts = Authenticator::client_facts(auth, peer, &headers);
        assert_eq!(facts.forwarded, !headers.is_empty());
        assert!(!(facts.local_direct && facts.forwarded));
        if peer.ip().to_string().starts_with("203.") {
            assert_eq!(facts.client_ip, peer.ip(), "a stranger chose his own address");
        }
    }
});
