//! What can be done to the demo, by key, by name and from a script.

use super::load::RATE_MAX;
use crate::error::{Error, Result};
use std::fmt;
use std::time::Duration;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The link loses everything, both ways.
    Cut,
    Heal,
    /// The link's round trip.
    Latency(Duration),
    KillLeader(Which),
    KillRegion(Which),
    /// Starts whatever was killed.
    Restart(Which),
    /// The region's clock goes wrong by so many milliseconds.
    Skew(Which, i64),
    /// Writes a second.
    Load(u32),
}

/// Which region is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Which {
    /// That takes writes, or took them last.
    Primary,
    /// The other one.
    Standby,
    Named(String),
    /// Both.
    All,
}

impl std::str::FromStr for Which {
    type Err = Error;

    fn from_str(text: &str) -> Result<Which> {
        Ok(match text {
            "primary" => Which::Primary,
            "standby" => Which::Standby,
            "all" => Which::All,
            name if super::REGIONS.contains(&name) => Which::Named(name.to_owned()),
            other => {
                let names = super::REGIONS.join(", ");
                return Err(Error::invalid(format!("`{other}` is no region: expected primary, standby, all, {names}")));
            }
        })
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::Primary => f.write_str("primary"),
            Which::Standby => f.write_str("standby"),
            Which::All => f.write_str("all"),
            Which::Named(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Cut => f.write_str("cut"),
            Fault::Heal => f.write_str("heal"),
            Fault::Latency(trip) => write!(f, "latency {}", trip.as_millis()),
            Fault::KillLeader(which) => write!(f, "kill-leader {which}"),
            Fault::KillRegion(which) => write!(f, "kill-region {which}"),
            Fault::Restart(which) => write!(f, "restart {which}"),
            Fault::Skew(which, ms) => write!(f, "skew {which} {ms}"),
            Fault::Load(rate) => write!(f, "load {rate}"),
        }
    }
}

impl std::str::FromStr for Fault {
    type Err = Error;

    /// As it is displayed.
    fn from_str(text: &str) -> Result<Fault> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |text: &str| {
            let wrong = |_| Error::invalid(format!("`{text}` is no number"));
            text.parse::<i64>().map_err(wrong)
        };
        Ok(match words.as_slice() {
            ["cut"] => Fault::Cut,
            ["heal"] => Fault::Heal,
            ["latency", ms] => {
                let ms = number(ms)?;
                let ms = u64::try_from(ms).ok().filter(|ms| *ms <= 60_000);
                Fault::Latency(Duration::from_millis(ms.ok_or_else(|| Error::invalid("latency: 0 to 60000 ms"))?))
            }
            ["kill-leader", which] => Fault::KillLeader(which.parse()?),
            ["kill-region", which] => Fault::KillRegion(which.parse()?),
            ["restart", which] => Fault::Restart(which.parse()?),
            ["skew", which, ms] => Fault::Skew(which.parse()?, number(ms)?),
            ["load", rate] => {
                let rate = u32::try_from(number(rate)?).ok().filter(|rate| *rate <= RATE_MAX);
                Fault::Load(rate.ok_or_else(|| Error::invalid(format!("load: 0 to {RATE_MAX} writes a second")))?)
            }
            _ => {
                return Err(Error::invalid(format!(
                    "`{text}` is no fault: expected cut, heal, latency MS, kill-leader REGION, kill-region REGION, \
                     restart REGION, skew REGION MS or load WRITES"
                )));
            }
        })
    }
}

impl Fault {
    /// Whether it takes the primary, or the way to it, away: a drill is counted from there.
    pub fn begins_a_drill(&self) -> bool {
        matches!(self, Fault::Cut | Fault::KillLeader(_) | Fault::KillRegion(_))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_fault_is_read_as_it_is_written_and_mistakes_are_named() {
        for text in [
            "cut",
            "heal",
            "latency 300",
            "kill-leader us-east-1",
            "kill-region primary",
            "restart standby",
            "skew eu-west-1 -5000",
            "load 100",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        let wrong = |text: &str| text.parse::<Fault>().unwrap_err().to_string();
        assert!(wrong("kill-region mars").contains("`mars` is no region"));
        assert!(wrong("burn").contains("`burn` is no fault"));
        assert!(wrong("load 9999999").contains("writes a second"));
    }
}
