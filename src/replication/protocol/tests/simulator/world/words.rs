//! Commands and inputs in the words of a trace.

use crate::replication::protocol::*;
use crate::state::Command;

pub fn kind(command: &Command) -> String {
    match command {
        Command::Write { batches, .. } => format!("{} writes", batches.len()),
        Command::Follow { entries } => {
            format!("follow {}", entries.first().map(|entry| entry.position).unwrap_or_default())
        }
        Command::Copy(chunk) => format!("copy after {:?}", chunk.after),
        Command::Region(change) => match &change.path {
            Some(step) => format!("{step:?}").split([' ', '{']).next().unwrap_or_default().to_owned(),
            None => "records".into(),
        },
        Command::TrimWal { below } => format!("trim below {below}"),
        Command::Patch(patch) => {
            let keys: Vec<_> = patch.puts.iter().map(|(key, _)| key).chain(&patch.deletes).collect();
            format!("patch {} of {keys:?}, {} put, {:?}", patch.number, patch.puts.len(), patch.then)
        }
        Command::KeepDiverged(keep) => format!("keep behind {}", keep.fork),
        Command::Review { reviews } => format!("{} reviews", reviews.len()),
        Command::Accept(accept) => format!("accept {}", accept.entries.len()),
    }
}

pub fn describe(input: &Input) -> String {
    match input {
        Input::Tick => "tick".into(),
        Input::Applied => "applied".into(),
        Input::Peers { .. } => "peers".into(),
        Input::Activation { result, .. } => format!("activation {}", result.is_ok()),
        Input::Request { request, .. } => {
            let what = match &request.ask {
                Ask::Hello(_) => "hello".into(),
                Ask::Append { entries } => format!("append {} from {}", entries.len(), entries[0].position),
                Ask::Copy(chunk) => format!("copy after {:?} at {}", chunk.after, chunk.read_at),
                Ask::Heartbeat { .. } => "heartbeat".into(),
                Ask::Compare { nodes, read_at, .. } => format!("compare {} nodes at {read_at}", nodes.len()),
                Ask::Verify { step, .. } => format!("verify {step:?}"),
                Ask::Patch(part) => format!("part {} at {}", part.part, part.read_at),
            };
            format!("<- {what} in {} head {}", request.header.epoch, request.header.head)
        }
        Input::Answer { call, answer, .. } => {
            format!("-> answer {} at {}: {:?}", call.0, answer.standing.applied, answer.want)
        }
        Input::Failed { call, .. } => format!("-> failed {}", call.0),
        Input::Proposed { id, result } => format!("proposed {} {}", id.0, result.is_ok()),
        Input::WalRead { result, .. } => format!("log read {:?}", result.as_ref().map(Vec::len)),
        Input::RangeRead { result, .. } => format!("range read {:?}", result.as_ref().map(|it| it.entries.len())),
        Input::NodesRead { result, .. } => format!("nodes read {:?}", result.as_ref().map(|(_, nodes)| nodes.len())),
        Input::HeldRead { result, .. } => format!("held read {:?}", result.as_ref().map(|it| it.buckets.len())),
        Input::UnnamedRead { result, .. } => format!("unnamed read {:?}", result.as_ref().map(|it| it.entries.len())),
        Input::Frozen { result, .. } => format!("frozen {result:?}"),
        Input::Scrubbed { result, .. } => format!("scrubbed {result:?}"),
        Input::FrozenNodesRead { result, .. } => format!("frozen nodes read {}", result.is_ok()),
        Input::FrozenHeldRead { result, .. } => format!("frozen entries read {}", result.is_ok()),
        Input::Verify { id } => format!("verify {id}"),
        Input::Root(root) => format!("root {}", root.at),
        Input::Open { epoch, by, .. } => format!("open in {epoch}: {by:?}"),
        Input::Promote(order) => format!("promote {}", order.id),
        Input::Switchover(order) => format!("switchover {}", order.id),
        Input::CancelSwitchover { id, .. } => format!("cancel {id}"),
    }
}
