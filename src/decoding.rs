//! What decodes bytes that others wrote (disks, nodes, regions, clients, operators), by name: so that property tests
//! and fuzz targets find every decoder and treat each the same way.
//!
//! A layer lists its decoders beside its types; `server::decoders` puts the lists together.

use crate::error::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};

/// One decoder. No bytes make it panic, and it takes no more memory than the bytes are worth.
#[derive(Clone, Copy)]
pub struct Decoder {
    pub name: &'static str,
    /// Decodes, and encodes what came out: decoding that gives the same again.
    pub again: fn(&[u8]) -> Result<Vec<u8>>,
    pub kind: Kind,
}

/// What an encoding looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Bytes that end by themselves: whatever is cut off is missed.
    Whole,
    /// Bytes whose last part is whatever is left.
    Open,
    /// Written for people.
    Text,
}

impl Decoder {
    /// Of a type as postcard encodes it.
    pub const fn postcard<T: Serialize + DeserializeOwned>(name: &'static str) -> Decoder {
        Decoder { name, again: postcard_again::<T>, kind: Kind::Whole }
    }

    /// Of a type as JSON.
    pub const fn json<T: Serialize + DeserializeOwned>(name: &'static str) -> Decoder {
        Decoder { name, again: json_again::<T>, kind: Kind::Text }
    }
}

fn postcard_again<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<Vec<u8>> {
    Ok(postcard::to_stdvec(&postcard::from_bytes::<T>(bytes)?)?)
}

fn json_again<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<Vec<u8>> {
    let wrong = |_| Error::invalid("no JSON of this form");
    let value: T = serde_json::from_slice(bytes).map_err(wrong)?;
    serde_json::to_vec(&value).map_err(wrong)
}
