//! What ends by itself. A token that has ended is refused at once; this removes its record, and its family, in steps.

use super::revoke::Doomed;
use crate::error::Result;
use crate::secrets::core::View;
use crate::secrets::layout;
use crate::secrets::lock::{Gate, Lock};
use crate::secrets::vault::Vault;
use crate::state::{Class, Op};
use crate::storage::ScanLimit;

/// How many ended tokens one step looks at.
const ENDED_MAX: usize = 200;

impl Vault {
    /// Removes some of the tokens that have ended. Whether there may be more. For the leader of a primary region.
    pub async fn sweep_tokens(&self) -> Result<bool> {
        // Most of the time there is nothing to do: no reason to stop everybody else.
        let any = |view: &View| Ok(!ended(view, 1)?.is_empty());
        if !self.core.read_local(any)? {
            return Ok(false);
        }
        let sweep = |view: &View| {
            let mut doomed = Doomed::default();
            let mut ops = Vec::new();
            let mut whole = true;
            let found = ended(view, ENDED_MAX)?;
            let all_seen = found.len() < ENDED_MAX;
            for key in found {
                if doomed.is_full() {
                    whole = false;
                    break;
                }
                let hash = layout::ended_token(&key)?;
                if !view.has(&layout::Record::Token(hash).key(&view.barrier)?)? {
                    ops.push(Op::Delete { key });
                    continue;
                }
                whole &= doomed.add_family(view, hash)?;
            }
            let (removed, took_all) = doomed.ops(view)?;
            ops.extend(removed);
            Ok((!whole || !took_all || !all_seen, ops))
        };
        Ok(self.core.write(Class::TokenRevoke, Lock::Whole(Gate::Tokens), sweep).await?.value)
    }
}

fn ended(view: &View, limit: usize) -> Result<Vec<bytes::Bytes>> {
    let found = view.state.scan_data(&layout::ended_by(view.now.ms()), ScanLimit::entries(limit))?;
    Ok(found.into_iter().map(|(key, _)| key).collect())
}
