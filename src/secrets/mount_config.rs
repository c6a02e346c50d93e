//! What a mount is told besides its options: leases, who may see it, what audit devices show of it, headers.
//!
//! Of the headers, and of `force_no_cache`, nothing comes here: no engine asks for a header, and nothing is cached. They are
//! kept and told, since tools that set them look whether they were set.

use super::mounts::{Mount, Table};
use super::tokens::Leases;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// So many names each of the lists may hold: the table of mounts is one record.
const NAMES_MAX: usize = 128;
/// … and so long each of them, and a description, an option, a plugin's version.
const TEXT_BYTES_MAX: usize = 4096;

/// Vault's `config` of a mount.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct MountConfig {
    /// Zero: the region's.
    pub default_ttl: Duration,
    pub max_ttl: Duration,
    pub force_no_cache: bool,
    /// `None`: nothing was said, which is as good as `Hidden`.
    pub listing: Option<Listing>,
    /// Names at the top of a request's and of an answer's data that audit devices show as they are.
    pub audit_request_keys: Vec<String>,
    pub audit_response_keys: Vec<String>,
    pub passthrough_request_headers: Vec<String>,
    pub allowed_response_headers: Vec<String>,
}

/// Who learns of a mount by `sys/internal/ui/mounts`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Listing {
    /// Whose policies allow something in it.
    Hidden,
    /// Whoever asks, without a token.
    Unauth,
}

impl Listing {
    pub fn name(self) -> &'static str {
        match self {
            Listing::Hidden => "hidden",
            Listing::Unauth => "unauth",
        }
    }

    /// Nothing said is no listing.
    pub fn from_name(name: &str) -> Result<Option<Listing>> {
        match name {
            "" => Ok(None),
            "hidden" => Ok(Some(Listing::Hidden)),
            "unauth" => Ok(Some(Listing::Unauth)),
            other => Err(Error::invalid(format!("invalid listing_visibility {other}"))),
        }
    }
}

/// What to change; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct MountConfigChange {
    pub default_ttl: Option<Duration>,
    pub max_ttl: Option<Duration>,
    pub force_no_cache: Option<bool>,
    pub listing: Option<Option<Listing>>,
    pub audit_request_keys: Option<Vec<String>>,
    pub audit_response_keys: Option<Vec<String>>,
    pub passthrough_request_headers: Option<Vec<String>>,
    pub allowed_response_headers: Option<Vec<String>>,
}

impl MountConfigChange {
    pub(super) fn apply(self, to: &mut MountConfig) -> Result<()> {
        to.default_ttl = self.default_ttl.unwrap_or(to.default_ttl);
        to.max_ttl = self.max_ttl.unwrap_or(to.max_ttl);
        to.force_no_cache = self.force_no_cache.unwrap_or(to.force_no_cache);
        to.listing = self.listing.unwrap_or(to.listing);
        for (into, names) in [
            (&mut to.audit_request_keys, self.audit_request_keys),
            (&mut to.audit_response_keys, self.audit_response_keys),
            (&mut to.passthrough_request_headers, self.passthrough_request_headers),
            (&mut to.allowed_response_headers, self.allowed_response_headers),
        ] {
            let Some(names) = names else { continue };
            if names.len() > NAMES_MAX {
                return Err(Error::invalid(format!("a list of a mount's settings has at most {NAMES_MAX} names")));
            }
            names.iter().try_for_each(|name| expect_short(name))?;
            *into = names;
        }
        Ok(())
    }
}

impl MountConfig {
    /// Fails where a new mount's leases could not be kept, in Vault's words.
    pub(super) fn expect_leases_of_new(&self, region: Leases) -> Result<()> {
        if self.max_ttl.is_zero() && self.default_ttl > region.max_ttl {
            let max = region.max_ttl.as_secs();
            return Err(Error::invalid(format!("given default lease TTL greater than system max lease TTL of {max}")));
        }
        if !self.max_ttl.is_zero() && self.default_ttl > self.max_ttl {
            return Err(Error::invalid("given default lease TTL greater than given max lease TTL"));
        }
        Ok(())
    }

    /// … and where tuned ones could not.
    pub(super) fn expect_leases(&self) -> Result<()> {
        if self.max_ttl.is_zero() || self.default_ttl <= self.max_ttl {
            return Ok(());
        }
        let (max, default) = (self.max_ttl.as_secs(), self.default_ttl.as_secs());
        Err(Error::invalid(format!(
            "backend max lease TTL of {max} would be less than backend default lease TTL of {default}"
        )))
    }
}

impl Mount {
    /// Whether whoever asks may learn of it.
    pub fn is_listed_for_all(&self) -> bool {
        self.config.listing == Some(Listing::Unauth)
    }

    /// Where Vault says which versions an engine has: of `sys/` and its like there is nothing to say.
    pub fn is_engine(&self) -> bool {
        self.table == Table::Secret && self.kv().is_some()
    }
}

/// Fails for what would make the table of mounts too large.
pub(super) fn expect_short(text: &str) -> Result<()> {
    if text.len() <= TEXT_BYTES_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!("a text of a mount's settings has at most {TEXT_BYTES_MAX} bytes")))
}

pub(super) fn expect_short_options(options: &BTreeMap<String, String>) -> Result<()> {
    if options.len() > NAMES_MAX {
        return Err(Error::invalid(format!("a mount has at most {NAMES_MAX} options")));
    }
    options.iter().flat_map(|(name, value)| [name, value]).try_for_each(|text| expect_short(text))
}
