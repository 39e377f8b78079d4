//! Owns reading the public addresses that parameters let in. Pure.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::properties::Properties;

/// The addresses and ranges that a parameter has, none of them too wide.
pub(super) fn ranges<'a>(read: &mut Properties<'a>, parameter: &'static str) -> Vec<&'a str> {
    let texts = read.list(parameter);
    for text in &texts {
        if let Err(problem) = public_range(text) {
            let shown: String = text.chars().take(50).collect();
            read.problem(parameter, format!("has '{shown}', which {problem}"));
        }
    }
    texts
}

fn public_range(text: &str) -> Result<(), &'static str> {
    const WIDEST: u8 = 24;
    let network: Ipv4Net = match text.parse() {
        Ok(network) => network,
        Err(_) => text
            .parse::<Ipv4Addr>()
            .map(Ipv4Net::from)
            .map_err(|_| "is not an IPv4 address or range such as 203.0.113.10/32")?,
    };
    if network.prefix_len() < WIDEST {
        return Err(
            "is wider than /24: it would let in more than those who need it. Give single addresses, or ranges of /24 to /32",
        );
    }
    if network.network() != network.addr() {
        return Err("has address bits set behind its prefix. Write the first address of the range");
    }
    let ip = network.addr();
    if ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_unspecified()
        || ip.is_broadcast()
    {
        return Err("is not a public address: AWS sees the public one");
    }
    Ok(())
}
