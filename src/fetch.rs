//! Getting something from the web on behalf of somebody who is not trusted to know where our network ends.
//!
//! Only `http` and `https`, only addresses of the public internet, checked after name resolution and again for every
//! redirect; the connection goes to the very addresses that were checked, because the client asks our resolver and
//! nobody else. No proxy, no cookies, no credentials, no compression, caps on size, time and redirects.

mod address;
mod sniff;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, redirect};
use tokio::time::timeout;
use url::{Host, Url};

pub use self::address::is_public;
pub use self::sniff::media_type;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What may be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRules {
    /// Hosts, exact or `*.example.org`; `None`: any.
    pub hosts: Option<Vec<String>>,
    /// Largest content, bytes.
    pub max_bytes: usize,
    /// Most redirects.
    pub max_redirects: u32,
    /// Longest time for everything.
    pub timeout: Duration,
}

/// What was fetched.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Media type: by content where that tells, else as declared.
    pub mime: String,
    /// The content.
    pub bytes: Bytes,
}

/// Why nothing was fetched. The texts say nothing about our network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Not an address that can be fetched.
    #[error("only http and https URLs without credentials can be fetched")]
    Address,
    /// The host is not on the list.
    #[error("this host is not on the list of hosts that may be fetched from")]
    Host,
    /// The address leads into a private or special network.
    #[error("this URL leads to an address that is not on the public internet")]
    Private,
    /// More redirects than allowed.
    #[error("the URL redirects too often")]
    Redirects,
    /// The server's answer is not the content.
    #[error("the server answered HTTP {0}")]
    Status(u16),
    /// Larger than allowed.
    #[error("the content is larger than {0} bytes")]
    TooLarge(usize),
    /// Too slow.
    #[error("fetching took longer than {} s", .0.as_secs())]
    TooSlow(Duration),
    /// No connection, or it broke.
    #[error("the content could not be fetched")]
    Broken,
}

/// Whether an address may be connected to.
pub type AddressRule = fn(IpAddr) -> bool;

/// Fetches. A cheap clone of a shared client, which is made on first use.
#[derive(Debug, Clone)]
pub struct Fetcher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    may_connect: AddressRule,
    client: OnceLock<Option<Client>>,
}

impl Default for Fetcher {
    /// Public addresses only.
    fn default() -> Self {
        Self::with_rule(is_public)
    }
}

impl Fetcher {
    /// Connects only where `may_connect` says so.
    pub fn with_rule(may_connect: AddressRule) -> Self {
        Self(Arc::new(Inner {
            may_connect,
            client: OnceLock::new(),
        }))
    }

    /// Fetches `url`.
    pub async fn get(&self, url: &str, rules: &FetchRules) -> Result<Fetched, FetchError> {
        let url = Url::parse(url.trim()).map_err(|_| FetchError::Address)?;
        match timeout(rules.timeout, self.follow(url, rules)).await {
            Ok(result) => result,
            Err(_) => Err(FetchError::TooSlow(rules.timeout)),
        }
    }

    async fn follow(&self, mut url: Url, rules: &FetchRules) -> Result<Fetched, FetchError> {
        let client = self.client().await?;
        for _ in 0..=rules.max_redirects {
            self.check(&url, rules)?;
            let request = client.get(url.clone()).header(ACCEPT, "*/*");
            let response = request.send().await.map_err(|error| explain(&error))?;
            let status = response.status();
            if status.is_redirection()
                && let Some(next) = target(&response, &url)
            {
                url = next?;
                continue;
            }
            if !status.is_success() {
                return Err(FetchError::Status(status.as_u16()));
            }
            return read(response, rules.max_bytes).await;
        }
        Err(FetchError::Redirects)
    }

    fn check(&self, url: &Url, rules: &FetchRules) -> Result<(), FetchError> {
        let is_plain =
            matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
        let host = url.host().filter(|_| is_plain).ok_or(FetchError::Address)?;
        if let Some(hosts) = &rules.hosts
            && !hosts.iter().any(|pattern| matches_host(pattern, &host))
        {
            return Err(FetchError::Host);
        }
        // Literal addresses never reach the resolver.
        let literal = match host {
            Host::Ipv4(ip) => IpAddr::V4(ip),
            Host::Ipv6(ip) => IpAddr::V6(ip),
            Host::Domain(_) => return Ok(()),
        };
        if (self.0.may_connect)(literal) {
            Ok(())
        } else {
            Err(FetchError::Private)
        }
    }

    /// The client. Its first making reads certificates from disk, away from the async workers.
    async fn client(&self) -> Result<Client, FetchError> {
        if let Some(made) = self.0.client.get() {
            return made.clone().ok_or(FetchError::Broken);
        }
        let inner = Arc::clone(&self.0);
        let made = tokio::task::spawn_blocking(move || inner.client.get_or_init(|| inner.build()).clone()).await;
        made.ok().flatten().ok_or(FetchError::Broken)
    }
}

impl Inner {
    fn build(&self) -> Option<Client> {
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .pool_max_idle_per_host(0)
            .user_agent(concat!("openclaw/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Vetted(self.may_connect)))
            .build();
        client
            .inspect_err(
                |error| tracing::warn!(target: "fetch", %error, "the client for URLs in requests cannot be set up"),
            )
            .ok()
    }
}

/// Resolves names to addresses that may be connected to. A name with a single forbidden address is refused whole:
/// nobody publishes such a name by mistake.
struct Vetted(AddressRule);

/// The mark of a name that leads where nobody may go.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to an address that may not be connected to")]
struct Forbidden;

impl Resolve for Vetted {
    fn resolve(&self, name: Name) -> Resolving {
        let may_connect = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.iter().all(|address| may_connect(address.ip())) {
                Ok(Box::new(found.into_iter()) as Addrs)
            } else {
                Err(Forbidden.into())
            }
        })
    }
}

fn explain(error: &reqwest::Error) -> FetchError {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = source {
        if cause.is::<Forbidden>() {
            return FetchError::Private;
        }
        source = cause.source();
    }
    FetchError::Broken
}

/// Where a redirect leads; `None`: it does not say.
fn target(response: &Response, from: &Url) -> Option<Result<Url, FetchError>> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    Some(from.join(location).map_err(|_| FetchError::Address))
}

fn matches_host(pattern: &str, host: &Host<&str>) -> bool {
    let host = host.to_string();
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let pattern = pattern.trim().to_ascii_lowercase();
    match pattern.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None => host == pattern,
    }
}

async fn read(mut response: Response, max_bytes: usize) -> Result<Fetched, FetchError> {
    let announced = response.content_length().unwrap_or(0);
    if announced > max_bytes as u64 {
        return Err(FetchError::TooLarge(max_bytes));
    }
    let declared = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let mut bytes = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|_| FetchError::Broken)? {
        if bytes.len() + piece.len() > max_bytes {
            return Err(FetchError::TooLarge(max_bytes));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Fetched {
        mime: media_type(&declared, &bytes),
        bytes: bytes.freeze(),
    })
}
