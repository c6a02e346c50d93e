//! Applying a patch of a diff sync.

use super::apply::Draft;
use super::batch::Stored;
use super::command::{Outcome, Patch, Refusal, Then};
use super::path::{Role, SyncKind};
use crate::error::Result;
use bytes::Bytes;

impl Draft<'_> {
    /// Puts the primary's entries in the place of the region's own, whatever their positions: what differs may belong to
    /// a line of history that the region left.
    pub(super) fn patch(&mut self, patch: &Patch) -> Result<Outcome> {
        if self.path.role != Role::Standby {
            return Ok(self.wrong_role());
        }
        let sync = self.path.sync.as_ref().filter(|sync| sync.id == patch.sync && sync.kind == SyncKind::Diff);
        let cursor = sync.and_then(|sync| sync.cursor.clone());
        // A copy that is done takes nothing more; neither does one whose turn it is not, which an earlier proposal of the
        // same patch is when it is agreed on late.
        if !sync.is_some_and(|it| it.cursor.is_some() && it.patches == patch.number && patch.read_at >= it.start) {
            return Ok(Outcome::Refused(Refusal::Sync { cursor }));
        }
        for key in &patch.deletes {
            self.set(key, None)?;
        }
        for (key, stored) in &patch.puts {
            self.set(key, Some(stored))?;
        }
        let patches = patch.number + 1;
        self.count(patch, patches);
        self.finish_sync_if_whole();
        Ok(Outcome::Patched { patches })
    }

    fn set(&mut self, key: &Bytes, new: Option<&Stored>) -> Result<()> {
        let old = self.current(key)?;
        if old.as_ref() != new {
            self.replace(key, old.as_ref(), new);
            self.data.insert(key.clone(), new.cloned());
        }
        Ok(())
    }

    fn count(&mut self, patch: &Patch, patches: u64) {
        let put_bytes = |(key, stored): &(Bytes, Stored)| key.len() + stored.value.len();
        let bytes = patch.puts.iter().map(put_bytes).chain(patch.deletes.iter().map(Bytes::len)).sum::<usize>() as u64;
        let usual_bytes = self.path.bytes.checked_div(self.path.entries).unwrap_or_default();
        let Some(sync) = &mut self.path.sync else { return };
        sync.patches = patches;
        sync.whole_at = sync.whole_at.max(patch.read_at);
        sync.entries_done += (patch.puts.len() + patch.deletes.len()) as u64;
        sync.bytes_done += bytes;
        let each = sync.bytes_done.checked_div(sync.entries_done).unwrap_or(usual_bytes);
        sync.entries_total = sync.entries_done + patch.left;
        sync.bytes_total = sync.bytes_done + patch.left * each;
        if patch.then == Then::Log {
            sync.cursor = None;
        }
    }
}
