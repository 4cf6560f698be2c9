//! A web server for tests: one answer per connection.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A request as the server read it.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Request line and headers.
    pub head: String,
    /// Path and query.
    pub path: String,
    /// Body.
    pub body: String,
}

/// Serves on a port of 127.0.0.1, which is returned, until the runtime ends. Answers are raw bytes.
pub async fn serve(answer: impl Fn(&Asked) -> Vec<u8> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut read = Vec::new();
            let asked = loop {
                if socket.read_buf(&mut read).await.unwrap_or(0) == 0 {
                    break Asked::default();
                }
                if let Some(asked) = whole(&String::from_utf8_lossy(&read)) {
                    break asked;
                }
            };
            socket.write_all(&answer(&asked)).await.ok();
        }
    });
    port
}

fn whole(text: &str) -> Option<Asked> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, length)| length.trim().parse().unwrap());
    (body.len() >= length).then(|| Asked {
        head: head.to_owned(),
        path: head.split(' ').nth(1).unwrap_or("/").to_owned(),
        body: body.to_owned(),
    })
}

/// A response with a body.
pub fn answer(status: u16, mime: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} -\r\ncontent-type: {mime}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A redirect.
pub fn redirect(location: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").into_bytes()
}
