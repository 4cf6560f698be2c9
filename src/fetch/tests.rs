//! Fetching from a server of our own, with and without leave to connect to it.

use super::testing::{answer, redirect as to, serve};
use super::*;

fn rules() -> FetchRules {
    FetchRules {
        hosts: None,
        max_bytes: 1000,
        max_redirects: 2,
        timeout: Duration::from_secs(5),
    }
}

fn ok(body: &str) -> Vec<u8> {
    answer(200, "text/csv; charset=utf-8", body)
}

fn lenient() -> Fetcher {
    Fetcher::with_rule(|_| true)
}

#[tokio::test]
async fn content_comes_with_its_type() {
    let port = serve(|_| ok("a,b")).await;
    let fetched = lenient()
        .get(&format!("http://localhost:{port}/x.csv"), &rules())
        .await
        .unwrap();
    assert_eq!(
        (fetched.mime.as_str(), &*fetched.bytes),
        ("text/csv", b"a,b".as_slice())
    );
}

#[tokio::test]
async fn private_addresses_are_refused_by_number_by_name_and_in_every_spelling() {
    let port = serve(|_| ok("secret")).await;
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
    ] {
        let url = format!("http://{host}:{port}/");
        let refused = Fetcher::default().get(&url, &rules()).await.unwrap_err();
        assert_eq!(refused, FetchError::Private, "{host}");
    }
}

#[tokio::test]
async fn other_schemes_and_credentials_are_refused() {
    for url in [
        "file:///etc/passwd",
        "ftp://example.org/",
        "gopher://example.org/",
        "data:text/plain,x",
        "http://user:pass@example.org/",
        "http://user@example.org/",
        "/relative",
        "http://",
        "",
    ] {
        assert_eq!(
            lenient().get(url, &rules()).await.unwrap_err(),
            FetchError::Address,
            "{url}"
        );
    }
}

#[tokio::test]
async fn every_redirect_is_checked_and_counted() {
    // The rule lets the first server through and not where it leads.
    let strict = Fetcher::with_rule(|address| address != IpAddr::from([127, 0, 0, 2]));
    let port = serve(|asked| match asked.path.as_str() {
        "/inside" => to("http://127.0.0.2:1/metadata"),
        "/file" => to("file:///etc/passwd"),
        "/1" => to("/2"),
        "/2" => to("/3"),
        "/loop" => to("/loop"),
        _ => ok("there"),
    })
    .await;
    let get = async |path: &str| strict.get(&format!("http://127.0.0.1:{port}{path}"), &rules()).await;
    assert_eq!(get("/inside").await.unwrap_err(), FetchError::Private);
    assert_eq!(get("/file").await.unwrap_err(), FetchError::Address);
    assert_eq!(get("/1").await.unwrap().bytes, "there");
    assert_eq!(get("/loop").await.unwrap_err(), FetchError::Redirects);
}

#[tokio::test]
async fn size_is_capped_announced_or_not() {
    let port = serve(|asked| match asked.path.as_str() {
        "/announced" => ok(&"x".repeat(1001)),
        _ => format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(1001)).into_bytes(),
    })
    .await;
    for path in ["/announced", "/silent"] {
        let url = format!("http://127.0.0.1:{port}{path}");
        assert_eq!(
            lenient().get(&url, &rules()).await.unwrap_err(),
            FetchError::TooLarge(1000)
        );
    }
}

#[tokio::test]
async fn time_is_capped() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let rules = FetchRules {
        timeout: Duration::from_millis(50),
        ..rules()
    };
    let slow = lenient().get(&url, &rules).await.unwrap_err();
    assert_eq!(slow, FetchError::TooSlow(rules.timeout));
}

#[tokio::test]
async fn only_listed_hosts_are_asked() {
    let port = serve(|_| ok("x")).await;
    let rules = FetchRules {
        hosts: Some(vec!["*.example.org".to_owned(), "LOCALHOST".to_owned()]),
        ..rules()
    };
    assert!(
        lenient()
            .get(&format!("http://localhost:{port}/"), &rules)
            .await
            .is_ok()
    );
    for host in ["127.0.0.1", "example.org", "evilexample.org", "localhost.evil.example"] {
        let url = format!("http://{host}:{port}/");
        assert_eq!(
            lenient().get(&url, &rules).await.unwrap_err(),
            FetchError::Host,
            "{host}"
        );
    }
    assert!(matches_host("*.example.org", &Host::Domain("a.b.example.org")));
}

#[tokio::test]
async fn a_refusal_of_the_server_is_reported() {
    let port = serve(|_| answer(404, "text/plain", "")).await;
    let url = format!("http://127.0.0.1:{port}/");
    assert_eq!(
        lenient().get(&url, &rules()).await.unwrap_err(),
        FetchError::Status(404)
    );
}
