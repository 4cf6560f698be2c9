//! What the binary is built from: licences, crates that must not be there, crates that must be there once.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

const ALLOWED: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "MPL-2.0",
    "Unlicense",
    "0BSD",
    "OpenSSL",
    "MIT-0",
    "BSL-1.0",
];

/// rustls with aws-lc-rs is the one TLS stack, tokio the one runtime.
const BANNED: &[&str] = &["ring", "openssl-sys", "openssl", "native-tls", "async-std", "smol"];

/// Two versions of these have types that do not fit each other, or state that nobody sees.
const SINGLE: &[&str] = &[
    "axum",
    "h2",
    "http",
    "http-body",
    "hyper",
    "k8s-openapi",
    "kube",
    "metrics",
    "opentelemetry",
    "opentelemetry-otlp",
    "opentelemetry_sdk",
    "prost",
    "reqwest",
    "rusqlite",
    "rustls",
    "tokio",
    "tokio-rustls",
    "tonic",
    "tower",
    "tracing",
];

struct Package {
    name: String,
    version: String,
    licence: Option<String>,
}

/// Everything that is wrong with a set of packages.
fn objections(packages: &[Package]) -> Vec<String> {
    let mut wrong = Vec::new();
    for Package { name, licence, .. } in packages {
        if BANNED.contains(&name.as_str()) {
            wrong.push(format!("{name} is banned"));
        }
        match licence {
            None => wrong.push(format!("{name} declares no licence")),
            Some(licence) if !is_allowed(licence) => wrong.push(format!("{name} has licence {licence}")),
            Some(_) => {}
        }
    }
    for single in SINGLE {
        let versions: BTreeSet<&str> = packages
            .iter()
            .filter(|package| package.name == *single)
            .map(|package| package.version.as_str())
            .collect();
        if versions.len() > 1 {
            wrong.push(format!("{single} is there {} times: {versions:?}", versions.len()));
        }
    }
    wrong
}

/// `A OR B` needs one allowed side, `A AND B` all; slashes are an old form of OR.
fn is_allowed(licence: &str) -> bool {
    licence.replace('/', " OR ").split(" OR ").any(|choice| {
        choice
            .split(" AND ")
            .all(|part| ALLOWED.contains(&part.trim().trim_matches(['(', ')'])))
    })
}

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What is really built; the metadata also names optional dependencies that no feature switches on.
fn built() -> BTreeSet<(String, String)> {
    let tree = cargo(&[
        "tree",
        "--locked",
        "--prefix",
        "none",
        "--edges",
        "normal,build",
        "--format",
        "{p}",
    ]);
    String::from_utf8(tree)
        .unwrap()
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (name, version) = (words.next()?, words.next()?);
            Some((name.to_owned(), version.trim_start_matches('v').to_owned()))
        })
        .collect()
}

#[test]
fn dependencies_have_allowed_licences_and_no_banned_or_doubled_crate() {
    let built = built();
    assert!(built.len() > 100, "the dependency tree was not read");
    let metadata: Value = serde_json::from_slice(&cargo(&["metadata", "--format-version", "1", "--locked"])).unwrap();
    let packages: Vec<Package> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| Package {
            name: package["name"].as_str().unwrap().to_owned(),
            version: package["version"].as_str().unwrap().to_owned(),
            licence: package["license"].as_str().map(str::to_owned),
        })
        .filter(|package| built.contains(&(package.name.clone(), package.version.clone())))
        .collect();
    assert_eq!(
        packages.len(),
        built.len(),
        "the metadata does not name everything that is built"
    );
    let wrong = objections(&packages);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn whatever_is_wrong_with_a_dependency_is_named() {
    let package = |name: &str, version: &str, licence: Option<&str>| Package {
        name: name.to_owned(),
        version: version.to_owned(),
        licence: licence.map(str::to_owned),
    };
    let packages = [
        package("fine", "1.0.0", Some("MIT OR GPL-3.0-only")),
        package("fine", "2.0.0", Some("(MIT OR Apache-2.0) AND Unicode-3.0")),
        package("ring", "0.17.0", Some("Apache-2.0 AND ISC")),
        package("copyleft", "1.0.0", Some("MIT AND AGPL-3.0-only")),
        package("silent", "1.0.0", None),
        package("hyper", "0.14.0", Some("MIT")),
        package("hyper", "1.12.0", Some("MIT")),
    ];
    assert_eq!(
        objections(&packages),
        [
            "ring is banned",
            "copyleft has licence MIT AND AGPL-3.0-only",
            "silent declares no licence",
            "hyper is there 2 times: {\"0.14.0\", \"1.12.0\"}",
        ]
    );
    for name in BANNED {
        assert_eq!(objections(&[package(name, "1.0.0", Some("MIT"))]).len(), 1);
    }
    for name in SINGLE {
        let twice = [package(name, "1.0.0", Some("MIT")), package(name, "2.0.0", Some("MIT"))];
        assert_eq!(objections(&twice).len(), 1);
    }
}
