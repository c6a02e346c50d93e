//! Reading what one has written, on any node of any region: `X-Vault-Index`.
//!
//! A write is answered with the position that holds it. A request that carries such a position is answered by a region
//! that holds it as well: a standby waits a moment for what is on its way, and else the answer is 412, as Vault's. A
//! position that a failover lost is 412 for good, however far the new primary has come: it lies on another line. Two
//! regions that were promoted at once write different things at the same positions of one epoch, so the header says
//! besides the position whose line it is.
//!
//! Within a region nothing more is needed. Whatever a client reads is read by the leader, which holds all that was
//! acknowledged; so what `X-Vault-Inconsistent: forward-active-node` and `X-Vault-Forward: active-node` ask for is done
//! for every request.

use super::answer::Answer;
use super::call::Call;
use super::node::Node;
use crate::consensus::Consensus;
use crate::error::{Error, Result};
use crate::ids::{DatasetId, Position};
use crate::state::{EpochStart, line};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The header that carries the position of a write.
const INDEX_HEADER: &str = "x-vault-index";
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
            match Reached::of(&wanted, path.applied, path.dataset, &path.history) {
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

/// The answer to a write with the header that says where it is.
pub fn told(node: &Node, answer: Answer) -> Answer {
    let Some(position) = answer.position() else { return answer };
    let path = node.state.path();
    let index = Index { position, line: LineTag::of(path.dataset, &path.history, position) };
    answer.with_header(INDEX_HEADER, &index.to_string())
}

/// What the header says: `epoch:index:line`. For clients it is opaque; one without a line is understood as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Index {
    position: Position,
    line: Option<LineTag>,
}

/// Tells the data sets and the regions that opened an epoch apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct LineTag([u8; 4]);

impl LineTag {
    /// `None` where the history does not know the position's epoch.
    fn of(dataset: DatasetId, history: &[EpochStart], position: Position) -> Option<LineTag> {
        let start = history.iter().find(|start| start.epoch == position.epoch)?;
        let hash = blake3::Hasher::new().update(&dataset.0).update(&start.by.0).finalize();
        let [a, b, c, d, ..] = *hash.as_bytes();
        Some(LineTag([a, b, c, d]))
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.position)?;
        self.line.map_or(Ok(()), |line| write!(f, ":{}", hex::encode(line.0)))
    }
}

impl FromStr for Index {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Index, String> {
        let Some((position, line)) = text.rsplit_once(':').filter(|(position, _)| position.contains(':')) else {
            return Ok(Index { position: text.parse()?, line: None });
        };
        let mut tag = [0; 4];
        hex::decode_to_slice(line, &mut tag).map_err(|_| format!("`{text}` does not end as the server wrote it"))?;
        Ok(Index { position: position.parse()?, line: Some(LineTag(tag)) })
    }
}

fn positions(call: &Call) -> Result<Vec<Index>> {
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
    fn of(wanted: &[Index], applied: Position, dataset: DatasetId, history: &[EpochStart]) -> Reached {
        let lost = |Index { position, line }: &Index| {
            let here = LineTag::of(dataset, history, *position);
            let of_another = line.is_some() && here.is_some() && *line != here;
            let passed = match position.index <= applied.index {
                true => !line::holds(history, *position),
                false => position.epoch < applied.epoch,
            };
            of_another || passed
        };
        if wanted.iter().any(lost) {
            Reached::Never
        } else if wanted.iter().all(|wanted| wanted.position.index <= applied.index) {
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
        let dataset = DatasetId([1; 16]);
        for (wanted, reached) in [
            (vec![at(1, 50)], Reached::Yes),
            (vec![at(2, 60), at(0, 0)], Reached::Yes),
            (vec![at(2, 60), at(2, 61)], Reached::NotYet),
            (vec![at(1, 51)], Reached::Never),
            (vec![at(1, 70)], Reached::Never),
            (vec![at(2, 70), at(1, 55)], Reached::Never),
        ] {
            let wanted: Vec<Index> = wanted.into_iter().map(|position| Index { position, line: None }).collect();
            assert_eq!(Reached::of(&wanted, at(2, 60), dataset, &history), reached, "{wanted:?}");
        }
    }

    #[test]
    fn one_position_of_two_primaries_is_two() {
        let start = |epoch, first_index, by| EpochStart { epoch: Epoch(epoch), first_index, by: RegionId([by; 16]) };
        let at = |index| Position::new(Epoch(2), index);
        let dataset = DatasetId([1; 16]);
        let (ours, theirs) = ([start(1, 1, 0), start(2, 51, 2)], [start(1, 1, 0), start(2, 51, 3)]);
        let told = |dataset, history: &[EpochStart], position| {
            let index = Index { position, line: LineTag::of(dataset, history, position) };
            assert_eq!(index.to_string().parse(), Ok(index), "what was told is understood");
            [index]
        };
        let reached = |wanted: [Index; 1]| Reached::of(&wanted, at(60), dataset, &ours);
        assert_eq!(reached(told(dataset, &ours, at(55))), Reached::Yes);
        assert_eq!(reached(told(dataset, &ours, at(65))), Reached::NotYet);
        assert_eq!(reached(told(dataset, &theirs, at(55))), Reached::Never);
        assert_eq!(reached(told(dataset, &theirs, at(65))), Reached::Never, "it would come, and be another write");
        assert_eq!(reached(told(DatasetId([2; 16]), &ours, at(55))), Reached::Never, "other data");
        for wrong in ["soon", "2:60:", "2:60:xyz", "2:60:0011223344", ":60", "2:60:00112233:4"] {
            assert!(wrong.parse::<Index>().is_err(), "{wrong}");
        }
    }
}
