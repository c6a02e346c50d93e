//! `sys/tools/*`: random bytes and hashes.

use super::fields;
use crate::clock;
use crate::error::{Error, Result};
use crate::server::answer::Answer;
use crate::server::call::Call;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rand::RngCore;
use serde_json::json;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512};

/// Vault's bound of random bytes in one answer.
const RANDOM_BYTES_MAX: usize = 128 << 10;
const RANDOM_BYTES_DEFAULT: usize = 32;

/// `random[/SOURCE][/BYTES]`. There is one source: the operating system's.
pub async fn random(call: Call) -> Result<Answer> {
    let body = call.object()?;
    let named: Vec<&str> = call.param("rest").split('/').filter(|name| !name.is_empty()).collect();
    let source = fields::text(&body, "source")?;
    let (source, bytes) = match named[..] {
        [] => (source.as_str(), None),
        [one] if one.bytes().all(|byte| byte.is_ascii_digit()) => (source.as_str(), Some(one)),
        [one] => (one, None),
        [one, bytes] => (one, Some(bytes)),
        _ => return super::no_route(call).await,
    };
    if !matches!(source, "" | "platform" | "seal" | "all") {
        return Err(Error::invalid(format!(
            "unsupported entropy source \"{source}\"; must be \"platform\" or \"seal\", or \"all\""
        )));
    }
    let bytes = match bytes {
        Some(text) => text.parse().map_err(|_| Error::invalid(format!("error parsing url-set byte count: {text}")))?,
        None => fields::number(&body, "bytes")?.unwrap_or(RANDOM_BYTES_DEFAULT),
    };
    if bytes == 0 {
        return Err(Error::invalid("\"bytes\" cannot be less than 1"));
    }
    if bytes > RANDOM_BYTES_MAX {
        return Err(Error::invalid(format!("\"bytes\" should be less than {RANDOM_BYTES_MAX}")));
    }
    let mut random = vec![0; bytes];
    clock::rng().fill_bytes(&mut random);
    Ok(Answer::data(&json!({ "random_bytes": written_as(&fields::text(&body, "format")?, "base64", &random)? })))
}

/// `hash[/ALGORITHM]` of what came in base64.
pub async fn hash(call: Call) -> Result<Answer> {
    let body = call.object()?;
    let algorithm = match call.param("algorithm") {
        "" => fields::text(&body, "algorithm")?,
        named => named.to_owned(),
    };
    let input = BASE64.decode(fields::text(&body, "input")?);
    let input = input.map_err(|_| Error::invalid("unable to decode input as base64"))?;
    let sum = match algorithm.as_str() {
        "" | "sha2-256" => Sha256::digest(&input).to_vec(),
        "sha2-224" => Sha224::digest(&input).to_vec(),
        "sha2-384" => Sha384::digest(&input).to_vec(),
        "sha2-512" => Sha512::digest(&input).to_vec(),
        "sha3-224" => Sha3_224::digest(&input).to_vec(),
        "sha3-256" => Sha3_256::digest(&input).to_vec(),
        "sha3-384" => Sha3_384::digest(&input).to_vec(),
        "sha3-512" => Sha3_512::digest(&input).to_vec(),
        other => return Err(Error::invalid(format!("unsupported algorithm {other}"))),
    };
    Ok(Answer::data(&json!({ "sum": written_as(&fields::text(&body, "format")?, "hex", &sum)? })))
}

fn written_as(format: &str, default: &str, bytes: &[u8]) -> Result<String> {
    match if format.is_empty() { default } else { format } {
        "hex" => Ok(hex::encode(bytes)),
        "base64" => Ok(BASE64.encode(bytes)),
        other => Err(Error::invalid(format!("unsupported encoding format \"{other}\"; must be \"hex\" or \"base64\""))),
    }
}
