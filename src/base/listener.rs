//! Who listens on a port of this machine, read from `/proc` without other programs.
//!
//! Other systems, and processes of other users, give `None` or an entry without a pid: the caller must not conclude that
//! nobody listens.

use std::fs;
use std::path::Path;

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its process, if it may be seen.
    pub pid: Option<u32>,
    /// The process's command line, if it may be seen.
    pub command_line: Option<String>,
    /// Address and port as text.
    pub address: String,
}

/// The sockets that listen on `port`; `None` when this system does not tell.
pub fn on_port(port: u16) -> Option<Vec<Listener>> {
    let v4 = fs::read_to_string("/proc/net/tcp").ok()?;
    let v6 = fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
    let mut sockets = listening(&v4, port);
    sockets.extend(listening(&v6, port));
    Some(
        sockets
            .into_iter()
            .map(|(address, inode)| {
                let pid = owner(&inode);
                Listener {
                    command_line: pid.and_then(command_line),
                    pid,
                    address,
                }
            })
            .collect(),
    )
}

/// Address and inode of each listening line of a `/proc/net/tcp` table.
fn listening(table: &str, port: u16) -> Vec<(String, String)> {
    const LISTEN: &str = "0A";
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let local = fields.next()?;
            let state = fields.nth(1)?;
            let inode = fields.nth(5)?;
            let (address, hex_port) = local.split_once(':')?;
            let matches = state == LISTEN && u16::from_str_radix(hex_port, 16).ok()? == port;
            matches.then(|| (format!("{}:{port}", readable(address)), inode.to_owned()))
        })
        .collect()
}

fn readable(hex: &str) -> String {
    if let Ok(word) = u32::from_str_radix(hex, 16) {
        return std::net::Ipv4Addr::from(word.swap_bytes()).to_string();
    }
    match hex {
        "00000000000000000000000000000000" => "[::]".to_owned(),
        "00000000000000000000000001000000" => "[::1]".to_owned(),
        other => format!("[{other}]"),
    }
}

fn owner(inode: &str) -> Option<u32> {
    let wanted = format!("socket:[{inode}]");
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(files) = fs::read_dir(entry.path().join("fd")) else {
            continue;
        };
        let holds = files
            .flatten()
            .any(|file| fs::read_link(file.path()).is_ok_and(|target| target == Path::new(&wanted)));
        if holds {
            return Some(pid);
        }
    }
    None
}

fn command_line(pid: u32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> = bytes
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    // Arguments may carry secrets; the program's name is enough to recognise it.
    words.first().map(|program| program.clone().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_line_gives_address_and_inode() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:4965 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0\n\
            1: 0100007F:4965 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0\n";
        assert_eq!(
            listening(table, 0x4965),
            vec![("127.0.0.1:18789".to_owned(), "4242".to_owned())]
        );
        assert!(listening(table, 1).is_empty());
    }

    #[test]
    fn an_own_listener_is_found_with_its_pid() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        if let Some(found) = on_port(port) {
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].pid, Some(std::process::id()));
        }
    }
}
