//! Where a token may come from: blocks of addresses, as a role names them. None means from anywhere.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// A role has at most so many.
const BLOCKS_MAX: usize = 64;

/// One block, with the address as it was written: `10.0.0.1/8` is all that begins with 10.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cidr {
    address: IpAddr,
    /// `None`: this address alone, and it is shown without its length.
    bits: Option<u8>,
}

impl Cidr {
    pub fn parse_all(texts: &[String]) -> Result<Vec<Cidr>> {
        if texts.len() > BLOCKS_MAX {
            return Err(Error::invalid(format!("a token is bound to at most {BLOCKS_MAX} blocks of addresses")));
        }
        texts.iter().map(|text| Cidr::parse(text)).collect()
    }

    fn parse(text: &str) -> Result<Cidr> {
        let wrong = || {
            Error::invalid(format!(
                "error parsing role fields: error parsing address \"{text}\": expected an IPv4 or IPv6 address, or a \
                 block of them like 10.0.0.0/8"
            ))
        };
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        if bits.is_some_and(|bits| bits > all) { Err(wrong()) } else { Ok(Cidr { address, bits }) }
    }

    fn holds(&self, address: IpAddr) -> bool {
        let same = |own: u128, other: u128, all: u8| {
            let rest = u32::from(all - self.bits.unwrap_or(all));
            own.checked_shr(rest) == other.checked_shr(rest)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => same(own.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => same(own.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bits {
            Some(bits) => write!(f, "{}/{bits}", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

/// Whether a token bound to `blocks` may come from there. An address that is not known lies in none of them.
pub fn allow(blocks: &[Cidr], from: Option<IpAddr>) -> bool {
    blocks.is_empty() || from.is_some_and(|from| blocks.iter().any(|block| block.holds(from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(blocks: &[&str], from: &str) -> bool {
        let blocks = blocks.iter().map(|block| (*block).to_owned()).collect::<Vec<_>>();
        let blocks = Cidr::parse_all(&blocks).expect("blocks of addresses");
        allow(&blocks, Some(from.parse().expect("an address")))
    }

    #[test]
    fn a_block_holds_what_begins_like_it() {
        let blocks = ["10.0.0.1/8", "192.168.1.7", "2001:db8::/32", "::1"];
        for inside in ["10.255.0.9", "192.168.1.7", "::ffff:10.1.1.1", "2001:db8:1::5", "::1"] {
            assert!(allowed(&blocks, inside), "{inside}");
        }
        for outside in ["11.0.0.1", "192.168.1.8", "2001:db9::1", "::2", "127.0.0.1"] {
            assert!(!allowed(&blocks, outside), "{outside}");
        }
        assert!(allowed(&["0.0.0.0/0"], "1.2.3.4") && !allowed(&["0.0.0.0/0"], "::1") && allowed(&["::/0"], "::1"));
        assert!(allowed(&[], "1.2.3.4") && allow(&[], None));
        assert!(!allow(&Cidr::parse_all(&["::/0".to_owned()]).expect("a block"), None), "unknown is never good");
    }

    #[test]
    fn what_is_no_block_is_refused_by_name() {
        for wrong in ["bogus", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", ""] {
            let error = Cidr::parse_all(&[wrong.to_owned()]).expect_err(wrong);
            assert!(error.to_string().contains(&format!("\"{wrong}\"")), "{error}");
        }
    }
}
