//! Rate-limit quotas as an operator sets them: how many requests one address may make below a path, in a while.

use super::mounts;
use super::settings::Settings;
use super::vault::Vault;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// As in Vault: what must be reachable when all else is refused.
const EXEMPT: &[&str] =
    &["sys/generate-root/attempt", "sys/generate-root/update", "sys/health", "sys/seal-status", "sys/unseal"];

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Quotas {
    /// By name.
    pub rate_limits: BTreeMap<String, RateLimit>,
    /// Beginnings of paths that no quota counts.
    pub exempt: Vec<String>,
    /// Whether answers say how much is left.
    pub tells: bool,
    /// Whether what is refused stands in the audit log.
    pub audits: bool,
}

impl Eq for Quotas {}

impl Default for Quotas {
    fn default() -> Quotas {
        Quotas {
            rate_limits: BTreeMap::new(),
            exempt: EXEMPT.iter().map(|path| (*path).to_owned()).collect(),
            tells: false,
            audits: false,
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RateLimit {
    /// Empty: every path. A mount, which ends in a slash; a path in one; the beginnings of paths, which end in a star.
    pub path: String,
    /// Requests of one address in an interval; a fraction counts as one.
    pub rate: f64,
    pub interval: Duration,
    /// How long an address that exceeds it is refused; zero: until the interval ends.
    pub block: Duration,
}

impl RateLimit {
    /// How exactly it names `path`; `None`: not at all.
    fn fits(&self, path: &str) -> Option<usize> {
        let fits = match self.path.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None if self.path.is_empty() || self.path.ends_with('/') => path.starts_with(&self.path),
            None => path.trim_end_matches('/') == self.path,
        };
        // Of those that are as long, the one that names no more than this path.
        fits.then(|| 2 * self.path.trim_end_matches('*').len() + usize::from(!self.path.ends_with('*')))
    }
}

impl Quotas {
    /// The limit that counts a request of `path`, with its name: of several the one that says most of it.
    pub fn of(&self, path: &str) -> Option<(&str, &RateLimit)> {
        if self.rate_limits.is_empty() || self.exempt.iter().any(|exempt| path.starts_with(exempt)) {
            return None;
        }
        let fitting = self.rate_limits.iter().filter_map(|(name, limit)| Some((limit.fits(path)?, name, limit)));
        fitting.max_by_key(|(fit, _, _)| *fit).map(|(_, name, limit)| (name.as_str(), limit))
    }
}

impl Settings {
    /// Takes a limit in, or says which other one counts the same already.
    pub fn put_rate_limit(&mut self, name: String, limit: RateLimit) -> Result<()> {
        let limits = &mut self.quotas.rate_limits;
        if let Some((other, _)) = limits.iter().find(|(other, known)| **other != name && known.path == limit.path) {
            return Err(Error::invalid(format!(
                "quota rule with similar properties exists under the name \"{other}\""
            )));
        }
        limits.insert(name, limit);
        Ok(())
    }
}

impl Vault {
    /// The path as a limit names it, or an error if it lies in no mount.
    pub fn quota_path(&self, path: &str) -> Result<String> {
        let path = path.trim_start_matches('/');
        if path.is_empty() {
            return Ok(String::new());
        }
        let bare = path.trim_end_matches(['*', '/']);
        self.core.read_local(|view| {
            let table = mounts::table(view)?;
            let Some((mount, _)) = table.find(bare) else {
                return Err(Error::invalid(format!("invalid mount path \"{bare}/\"")));
            };
            let route = mount.route();
            Ok(if route.trim_end_matches('/') == bare && !path.ends_with('*') { route } else { path.to_owned() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(path: &str) -> RateLimit {
        RateLimit { path: path.into(), rate: 1.0, interval: Duration::from_secs(1), block: Duration::ZERO }
    }

    #[test]
    fn the_limit_that_says_most_of_a_path_counts_it() {
        let mut settings = Settings::default();
        for path in ["", "secret/", "secret/data/a*", "secret/data/ab", "secret/data/ab*"] {
            settings.put_rate_limit(format!("of {path}"), limit(path)).expect("no other counts it");
        }
        for (path, name) in [
            ("sys/mounts", Some("of ")),
            ("secret/data/x", Some("of secret/")),
            ("secret/data/ac", Some("of secret/data/a*")),
            ("secret/data/ab", Some("of secret/data/ab")),
            ("secret/data/abc", Some("of secret/data/ab*")),
            ("sys/health", None),
            ("sys/unseal", None),
        ] {
            assert_eq!(settings.quotas.of(path).map(|(name, _)| name), name, "{path}");
        }
        let twice = settings.put_rate_limit("other".into(), limit("secret/")).expect_err("another counts it");
        assert!(twice.to_string().contains("\"of secret/\""), "{twice}");
        settings.put_rate_limit("of secret/".into(), limit("secret/")).expect("the same one, again");
    }
}
