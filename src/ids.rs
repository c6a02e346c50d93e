//! Names of things as types: regions, nodes, paths, epochs, positions.
//!
//! A bare `u64` or `String` never travels between layers; these do.

use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;

/// No epoch and no index gets this far. A peer that names a higher one lies: believed, it would leave no number for the
/// next promotion or write.
const COUNT_MAX: u64 = 1 << 56;

/// A number that rises by one at a time, as it was stored or sent.
pub fn counted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    if number < COUNT_MAX { Ok(number) } else { Err(de::Error::custom("no epoch and no index is so high")) }
}

/// A promotion's number and the fencing token of a path. It rises by one at every promotion and never goes down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(#[serde(deserialize_with = "counted")] pub u64);

impl Epoch {
    /// The epoch of a region that was just initialised.
    pub const FIRST: Epoch = Epoch(1);

    /// The epoch that a promotion opens.
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A point in the write-ahead log of a path. Ordered by epoch, then by index.
///
/// Within one data set the index rises by one with each batch and is never reused inside an epoch, so a
/// position names one state. Index 0 is the empty data set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Position {
    pub epoch: Epoch,
    #[serde(deserialize_with = "counted")]
    pub index: u64,
}

impl Position {
    pub const ZERO: Position = Position { epoch: Epoch(0), index: 0 };

    pub fn new(epoch: Epoch, index: u64) -> Position {
        Position { epoch, index }
    }

    /// 16 bytes, big-endian, so that the order of bytes is the order of positions.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.epoch.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.index.to_be_bytes());
        bytes
    }

    pub fn from_bytes(bytes: [u8; 16]) -> Position {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_be_bytes(word)
        };
        Position { epoch: Epoch(word(0)), index: word(8) }
    }
}

/// `epoch:index`, as the console and the logs write it.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch.0, self.index)
    }
}

impl std::str::FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Position, String> {
        let wrong = || format!("`{text}` is not a position: expected EPOCH:INDEX, like 3:1042");
        let (epoch, index) = text.split_once(':').ok_or_else(wrong)?;
        Ok(Position { epoch: Epoch(epoch.parse().map_err(|_| wrong())?), index: index.parse().map_err(|_| wrong())? })
    }
}

/// Sixteen bytes as Vault writes ids: groups of 8, 4, 4, 4 and 12 hexadecimal digits.
pub fn uuid(bytes: [u8; 16]) -> String {
    let digits = hex::encode(bytes);
    let [a, b, c, d, e] = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| &digits[range]);
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// Sixteen random bytes, shown as 32 hexadecimal digits.
macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<$name, String> {
                let mut id = [0; 16];
                hex::decode_to_slice(text, &mut id)
                    .map_err(|_| format!("`{text}` is not an id: expected 32 hexadecimal digits"))?;
                Ok($name(id))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                if to.is_human_readable() { to.collect_str(self) } else { self.0.serialize(to) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<$name, D::Error> {
                if from.is_human_readable() {
                    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
                } else {
                    Ok($name(<[u8; 16]>::deserialize(from)?))
                }
            }
        }
    };
}

random_id! {
    /// A region, made at `operator init` and kept for good. The name (`cluster_name`) is for people, the id for machines.
    RegionId
}
random_id! {
    /// The line of history that a region's data belongs to. A standby takes over its primary's when a full
    /// sync begins; positions of two data sets are never comparable.
    DatasetId
}
random_id! {
    /// One attempt at a full or diff sync, so that a chunk of an earlier attempt is known as such.
    SyncId
}
random_id! {
    /// One promotion, chosen by who asks for it, so that asking twice promotes once.
    PromotionId
}

/// A node of a region: the first eight bytes of the BLAKE3 hash of its configured `node_id`, since openraft
/// wants a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl NodeId {
    pub fn of(name: &str) -> NodeId {
        let hash = blake3::hash(name.as_bytes());
        let mut word = [0; 8];
        word.copy_from_slice(&hash.as_bytes()[..8]);
        NodeId(u64::from_be_bytes(word))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_order_by_epoch_first_in_values_and_in_bytes() {
        let older = Position::new(Epoch(1), 900);
        let newer = Position::new(Epoch(2), 3);
        assert!(older < newer);
        assert!(older.to_bytes() < newer.to_bytes());
        assert_eq!(Position::from_bytes(newer.to_bytes()), newer);
        assert_eq!("2:3".parse::<Position>(), Ok(newer));
        assert!("2-3".parse::<Position>().is_err());
    }
}
