//! Reading what one has written, on any node of any region: `X-Vault-Index`.
//!
//! A write is answered with the position that holds it. A request that carries such a position is answered by a region
//! that holds it as well: a standby waits a moment for what is on its way, and else the answer is 412, as Vault's. A
//! position that a failover lost is 412 for good, however far the new primary has come: it lies on another line.
//!
//! Within a region nothing more is needed. Whatever a client reads is read by the leader, which holds all that was
//! acknowledged; so what `X-Vault-Inconsistent: forward-active-node` and `X-Vault-Forward: active-node` ask for is done
//! for every request.

use super::answer::Answer;
use super::call::Call;
use super::node::Node;
use crate::consensus::Consensus;
use crate::error::{Error, Result};
use crate::ids::Position;
use crate::state::{EpochStart, line};
use std::time::Duration;

/// The header that carries the position of a write.
pub const INDEX_HEADER: &str = "x-vault-index";
/// How long a request waits for a position that is on its way: as long as in Vault.
const ARRIVAL_WAIT: Duration = Duration::from_secs(2);

/// Whether this region holds every position that a request names, waiting for them if need be.
pub async fn is_reached(call: &Call) -> Result<bool> {
    let wanted = positions(call)?;
    if wanted.is_empty() {
        return Ok(true);
    }
    let node = &call.node;
    let mut standing = node.raft.standing();
    let arrival = async {
        loop {
            standing.borrow_and_update();
            let path = node.state.path();
            match Reached::of(&wanted, path.applied, &path.history) {
                Reached::Yes => return true,
                Reached::Never => return false,
                Reached::NotYet if standing.changed().await.is_err() => return false,
                Reached::NotYet => {}
            }
        }
    };
    Ok(tokio::time::timeout(ARRIVAL_WAIT, arrival).await.unwrap_or(false))
}

/// Vault's words, and how far this region is.
pub fn not_reached(node: &Node) -> Answer {
    let applied = node.state.path().applied;
    Answer::error(412, &format!("required index state not present: this region is at {applied}"))
}

fn positions(call: &Call) -> Result<Vec<Position>> {
    let parse = |value: &axum::http::HeaderValue| {
        let text = value.to_str().unwrap_or_default().trim();
        text.parse().map_err(|why| Error::invalid(format!("X-Vault-Index: {why}")))
    };
    call.headers.get_all(INDEX_HEADER).iter().map(parse).collect()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reached {
    Yes,
    NotYet,
    /// This line of history passed the index without it.
    Never,
}

impl Reached {
    fn of(wanted: &[Position], applied: Position, history: &[EpochStart]) -> Reached {
        let lost = |wanted: &Position| match wanted.index <= applied.index {
            true => !line::holds(history, *wanted),
            false => wanted.epoch < applied.epoch,
        };
        if wanted.iter().any(lost) {
            Reached::Never
        } else if wanted.iter().all(|wanted| wanted.index <= applied.index) {
            Reached::Yes
        } else {
            Reached::NotYet
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Epoch, RegionId};

    #[test]
    fn a_position_of_another_line_is_never_reached() {
        let start = |epoch, first_index| EpochStart { epoch: Epoch(epoch), first_index, by: RegionId::default() };
        let at = |epoch, index| Position::new(Epoch(epoch), index);
        let history = [start(1, 1), start(2, 51)];
        for (wanted, reached) in [
            (vec![at(1, 50)], Reached::Yes),
            (vec![at(2, 60), at(0, 0)], Reached::Yes),
            (vec![at(2, 60), at(2, 61)], Reached::NotYet),
            (vec![at(1, 51)], Reached::Never),
            (vec![at(1, 70)], Reached::Never),
            (vec![at(2, 70), at(1, 55)], Reached::Never),
        ] {
            assert_eq!(Reached::of(&wanted, at(2, 60), &history), reached, "{wanted:?}");
        }
    }
}
