//! A reverse proxy as its user runs it: the configuration of `deploy/compose`, with addresses and folders of this test.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::eventually;
use crate::support::port::Port;

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Haproxy,
    Caddy,
}

/// People that every proxy here knows by the password [`PASSWORD`]. The gateway allows only `ann`.
pub const PEOPLE: [&str; 2] = ["ann", "eve"];
pub const PASSWORD: &str = "sesame";
/// Key of the program `bot`.
pub const KEY: &str = "3f9c0a77be";
/// bcrypt of [`PASSWORD`] at the lowest cost.
const PASSWORD_HASH: &str = "$2b$04$4jBzYpqpFmkQgBu1PFPaY.B.dwuSCcnh2.csZknElBcr3yquqXFCS";

/// Where connections of [`Proxy::connect`] come from and go to: this machine's own address, which differs from the one that
/// the proxy asks the gateway from. Loopback on a machine that has no other.
pub fn client_address() -> IpAddr {
    let found = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        // Nothing is sent: the kernel only picks the address it would send from.
        socket.connect("198.51.100.1:9")?;
        socket.local_addr()
    });
    found.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

/// Value of `Authorization` for one of [`PEOPLE`].
pub fn person(name: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{PASSWORD}")))
}

/// A running proxy. Its site is `https://localhost:PORT`.
pub struct Proxy {
    pub port: u16,
    dir: TempDir,
    root: PathBuf,
    child: Child,
    _ports: [Port; 2],
}

impl Proxy {
    /// Starts it in front of the gateway at `upstream` and waits until it serves.
    pub async fn start(kind: Kind, upstream: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports = [Port::reserve(), Port::reserve()];
        let [port, plain] = [ports[0].number(), ports[1].number()];
        let site = Site {
            folder: dir.path(),
            port,
            plain,
            upstream,
        };
        let root = match kind {
            Kind::Caddy => dir.path().join("data/caddy/pki/authorities/local/root.crt"),
            Kind::Nginx | Kind::Haproxy => dir.path().join("site.crt"),
        };
        let mut command = match kind {
            Kind::Nginx => site.nginx(),
            Kind::Haproxy => site.haproxy(),
            Kind::Caddy => site.caddy(),
        };
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let child = command
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("the proxy is installed: run this suite with bash .ci/dev proxies");
        let mut proxy = Self {
            port,
            dir,
            root,
            child,
            _ports: ports,
        };
        eventually("the proxy serves", async || {
            if let Some(status) = proxy.child.try_wait().unwrap() {
                panic!("{kind:?} ended with {status}:\n{}", proxy.log());
            }
            proxy.try_connect(b"http/1.1").await
        })
        .await;
        proxy
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// An HTTP client that trusts the proxy's certificate and speaks HTTP/2 as browsers do.
    pub fn client(&self) -> reqwest::ClientBuilder {
        let root = reqwest::Certificate::from_pem(&fs::read(&self.root).unwrap()).unwrap();
        reqwest::Client::builder()
            .tls_certs_only([root])
            .resolve("localhost", self.address())
            .no_proxy()
    }

    /// A TLS connection for one protocol.
    pub async fn connect(&self, protocol: &[u8]) -> TlsStream<TcpStream> {
        self.try_connect(protocol).await.expect("a TLS connection")
    }

    async fn try_connect(&self, protocol: &[u8]) -> Option<TlsStream<TcpStream>> {
        let certificate = CertificateDer::from_pem_file(&self.root).ok()?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect((client_address(), self.port)).await.ok()?;
        let name = ServerName::try_from("localhost").unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .ok()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- proxy log ---\n{}", self.log());
        }
    }
}

/// What a configuration is filled with.
struct Site<'a> {
    folder: &'a Path,
    port: u16,
    /// Port for plain HTTP, where the proxy insists on one.
    plain: u16,
    upstream: u16,
}

impl Site<'_> {
    /// Copies a file of `deploy/compose` with this test's addresses, and its own folder in place of `folder`.
    fn configuration(&self, file: &str, folder: &str) -> PathBuf {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/compose").join(file);
        let text = fs::read_to_string(shipped)
            .unwrap()
            .replace("gateway:18789", &format!("127.0.0.1:{}", self.upstream))
            .replace(folder, self.folder.to_str().unwrap())
            .replace("8443", &self.port.to_string());
        let name = Path::new(file).file_name().unwrap();
        self.write(name.to_str().unwrap(), &text)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes one line per person.
    fn people(&self, name: &str, head: &str, line: impl Fn(&str) -> String) -> PathBuf {
        let lines: Vec<String> = PEOPLE.iter().map(|person| line(person)).collect();
        self.write(name, &format!("{head}{}\n", lines.join("\n")))
    }

    /// A certificate that nobody signed, as a chain and a key.
    fn certificate(&self) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn nginx(&self) -> Command {
        let (chain, key) = self.certificate();
        self.write("site.crt", &chain);
        self.write("site.key", &key);
        self.people("users", "", |name| format!("{name}:{{PLAIN}}{PASSWORD}"));
        self.write("keys.map", &format!("\"Bearer {KEY}\" bot;\n"));
        let site = self.configuration("nginx/openclaw.conf", "/etc/nginx/openclaw");
        let folder = self.folder.display();
        let scratch: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|name| format!("    {name}_temp_path {folder}/{name};\n"))
            .collect();
        let main = format!(
            "pid {folder}/pid;\ndaemon off;\nmaster_process off;\nerror_log stderr warn;\nevents {{}}\nhttp {{\n    access_log off;\n{scratch}    include {};\n}}\n",
            site.display()
        );
        let main = self.write("nginx.conf", &main);
        let mut command = Command::new("nginx");
        command.arg("-p").arg(self.folder).arg("-c").arg(main);
        command
    }

    fn haproxy(&self) -> Command {
        let (chain, key) = self.certificate();
        self.write("site.crt", &chain);
        self.write("site.pem", &format!("{chain}{key}"));
        let people = self.people("users.cfg", "userlist people\n", |name| {
            format!("    user {name} insecure-password {PASSWORD}")
        });
        self.write("keys.map", &format!("{KEY} bot\n"));
        let main = self.configuration("haproxy/haproxy.cfg", "/usr/local/etc/haproxy");
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(people).arg("-f").arg(main);
        command
    }

    fn caddy(&self) -> Command {
        self.people("users.caddy", "", |name| format!("{name} {PASSWORD_HASH}"));
        self.write("keys.caddy", &format!("\"Bearer {KEY}\" bot\n"));
        let main = self.configuration("caddy/Caddyfile", "/etc/caddy");
        let mut command = Command::new("caddy");
        command
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(main)
            .env("OPENCLAW_SITE", format!("https://localhost:{}", self.port))
            .env("OPENCLAW_HTTP_PORT", self.plain.to_string())
            .env("XDG_DATA_HOME", self.folder.join("data"))
            .env("XDG_CONFIG_HOME", self.folder.join("config"));
        command
    }
}
