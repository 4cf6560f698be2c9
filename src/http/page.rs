//! The page at `/`: what this is, for somebody who opens the address in a browser. No secrets, no state, no scripts.

use http::{HeaderValue, Response, header};

use super::{Body, reply};

const PAGE: &str = concat!(
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
    "<title>OpenClaw Gateway</title>\n",
    "<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem;",
    "color:#222;background:#fff}code{background:#eee;padding:.1em .3em;border-radius:.2em;",
    "overflow-wrap:anywhere}@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}",
    "code{background:#2a2a2a}a{color:#8ab4f8}}</style>\n</head>\n<body>\n",
    "<h1>OpenClaw Gateway</h1>\n<p>Version ",
    env!("CARGO_PKG_VERSION"),
    ". This address is for programs: chat channels, control clients over WebSocket, gRPC, ",
    "and any OpenAI client with the base URL <code>/v1</code>.</p>\n",
    "<p>Probes: <a href=\"/healthz\">/healthz</a>, <a href=\"/readyz\">/readyz</a>, ",
    "<a href=\"/startupz\">/startupz</a>.</p>\n",
    "<p>Documentation: <a href=\"https://docs.openclaw.ai/\">docs.openclaw.ai</a></p>\n",
    "</body>\n</html>\n",
);

/// The page.
pub(super) fn home() -> Response<Body> {
    let mut response = reply::html(PAGE);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    );
    response
}
