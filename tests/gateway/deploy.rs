//! The files under `deploy/` say what the gateway understands and measures.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use openclaw::telemetry::names::{Kind, TABLE};
use serde_json::json;

use crate::support::gateway::{TOKEN, TestGateway, config};

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)
}

/// Series that one metric of the table gives.
fn series() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for metric in TABLE {
        match metric.kind {
            Kind::Counter | Kind::Gauge => drop(all.insert(metric.name.to_owned())),
            // Everything else is a histogram.
            _ => all.extend(["bucket", "sum", "count"].map(|part| format!("{}_{part}", metric.name))),
        }
    }
    all
}

/// Words of `text` that start like a metric of ours.
fn named_metrics(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("openclaw_"))
        .collect()
}

#[test]
fn dashboards_and_alerts_ask_only_for_metrics_that_exist() {
    let known = series();
    for (file, at_least) in [
        ("grafana/dashboards/openclaw-gateway.json", 15),
        ("prometheus/rules.yml", 7),
    ] {
        let text = fs::read_to_string(deploy(file)).unwrap();
        let used = named_metrics(&text);
        let unknown: Vec<_> = used.iter().filter(|name| !known.contains(**name)).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
        assert!(used.len() >= at_least, "{file} uses only {used:?}");
    }
}

#[test]
fn shipped_gateway_configurations_are_valid() {
    let folder = deploy("compose/gateway");
    let mut checked = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let mut gateway = TestGateway::prepare(&json!({}));
        gateway.config_path.clone_from(&path);
        for name in ["OPENCLAW_PROXY_IP", "OPENCLAW_SSO_IP"] {
            gateway.env.push((name.to_owned(), "192.0.2.7".to_owned()));
        }
        let shown = gateway.command().args(["config", "validate"]).output().unwrap();
        let text = String::from_utf8_lossy(&shown.stdout).into_owned() + &String::from_utf8_lossy(&shown.stderr);
        assert!(shown.status.success(), "{}: {text}", path.display());
        assert!(!text.contains("without effect"), "{}: {text}", path.display());
        checked += 1;
    }
    assert!(checked >= 3, "{checked} files in {}", folder.display());
}

#[test]
fn the_systemd_unit_of_the_docs_is_understood_and_closed() {
    let page = fs::read_to_string(deploy("../docs/systemd.md")).unwrap();
    let unit = page.split("```ini\n").nth(1).unwrap().split("```").next().unwrap();
    for line in [
        "DynamicUser=yes",
        "ProtectSystem=strict",
        "RestartPreventExitStatus=75 78",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line} in:\n{unit}");
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("openclaw.service");
    // A program that is there: a missing one is a finding.
    fs::write(
        &file,
        unit.replace("/usr/local/bin/openclaw", env!("CARGO_BIN_EXE_openclaw")),
    )
    .unwrap();
    let Ok(found) = Command::new("systemd-analyze").arg("verify").arg(&file).output() else {
        eprintln!("no systemd here: its own opinion was not asked");
        return;
    };
    let text = String::from_utf8_lossy(&found.stderr);
    assert!(found.status.success() && !text.contains("openclaw.service"), "{text}");
}

#[tokio::test]
async fn what_alerts_and_panels_watch_is_there_before_anything_happens() {
    let gateway = TestGateway::start(&config("http://127.0.0.1:9/v1")).await;
    let client = reqwest::Client::builder().build().unwrap();
    let asked = client
        .get(gateway.url("/api/diagnostics/prometheus"))
        .bearer_auth(TOKEN);
    let page = asked.send().await.unwrap().text().await.unwrap();
    for line in [
        "openclaw_config_generation 1",
        "openclaw_config_reloads_total{result=\"rejected\"} 0",
        "openclaw_config_reloads_total{result=\"applied\"} 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} in:\n{page}");
    }
}
