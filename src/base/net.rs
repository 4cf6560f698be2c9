//! Addresses: CIDR notation, classes of addresses, what this host can bind.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use ipnet::IpNet;

/// Parses an address or CIDR block; a bare address is a block of one.
pub fn parse_block(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// An IPv4-mapped IPv6 address as IPv4; anything else unchanged.
pub const fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => address,
        },
        IpAddr::V4(_) => address,
    }
}

/// Whether any block contains the address; mapped IPv4 counts as IPv4.
pub fn contains(blocks: &[IpNet], address: IpAddr) -> bool {
    let address = unmapped(address);
    blocks.iter().any(|block| block.contains(&address))
}

/// Loopback, private, link-local, unique-local or carrier-grade NAT: addresses that the internet does not route.
pub const fn is_private(address: IpAddr) -> bool {
    match unmapped(address) {
        IpAddr::V4(v4) => {
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || is_tailnet(v4) || v4.is_unspecified()
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// Whether the address is in 100.64.0.0/10, which Tailscale uses.
pub const fn is_tailnet(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && second >= 64 && second < 128
}

/// Whether this host owns the address, found by binding a throw-away port.
pub fn can_bind(address: IpAddr) -> bool {
    TcpListener::bind(SocketAddr::new(address, 0)).is_ok()
}

/// The first Tailscale address in the text of Linux's `/proc/net/fib_trie`.
pub fn tailnet_address(fib_trie: &str) -> Option<Ipv4Addr> {
    let mut candidate = None;
    for line in fib_trie.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            candidate = address.trim().parse::<Ipv4Addr>().ok();
        } else if line.contains("host LOCAL")
            && let Some(address) = candidate.filter(|address| is_tailnet(*address))
        {
            return Some(address);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_bare_addresses_are_understood() {
        assert_eq!(parse_block(" 10.0.0.0/8 "), "10.0.0.0/8".parse().ok());
        assert_eq!(parse_block("::1"), "::1/128".parse().ok());
        assert_eq!(parse_block("proxy"), None);
        let blocks = [parse_block("127.0.0.1").unwrap()];
        assert!(contains(&blocks, "::ffff:127.0.0.1".parse().unwrap()));
        assert!(!contains(&blocks, "127.0.0.2".parse().unwrap()));
    }

    #[test]
    fn a_tailscale_address_counts_only_if_this_host_owns_it() {
        let table =
            "  +-- 0.0.0.0/0\n  |-- 100.100.1.2\n     /32 link UNICAST\n  |-- 100.64.7.9\n     /32 host LOCAL\n";
        assert_eq!(tailnet_address(table), Some(Ipv4Addr::new(100, 64, 7, 9)));
        assert_eq!(tailnet_address("  |-- 10.0.0.1\n  /32 host LOCAL\n"), None);
    }
}
