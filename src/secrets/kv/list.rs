//! The names in a folder, by skipping from child to child: what lies deeper is passed over, not read.

use crate::error::{Error, Result};
use crate::secrets::barrier::first_segment;
use crate::secrets::core::View;
use crate::secrets::layout::{self, Folder, Tree};
use crate::storage::{KeyRange, ScanLimit, after_prefix};

/// No more paths are listed at once.
const BELOW_MAX: usize = 100_000;
/// One stretch of the scan. Where folders alternate with secrets, the rest of a stretch is read in vain.
const STRETCH: ScanLimit = ScanLimit { entries: 128, bytes: 1 << 20 };

/// All paths below `folder`, however deep, without its own: those in a folder come before those in its folders.
pub fn below(view: &View, tree: Tree, folder: &Folder) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(inner) = folders.pop() {
        for name in names(view, tree, &folder.inner(&inner)?)? {
            let path = format!("{inner}{name}");
            if name.ends_with('/') { folders.push(path) } else { paths.push(path) }
        }
        if paths.len() > BELOW_MAX {
            return Err(Error::invalid(format!("more than {BELOW_MAX} secrets lie below this path: list its folders")));
        }
    }
    Ok(paths)
}

pub fn names(view: &View, tree: Tree, folder: &Folder) -> Result<Vec<String>> {
    let (prefix, above) = layout::folder_prefix(&view.barrier, tree, folder)?;
    let mut range = KeyRange::prefix(&prefix);
    let mut names = Vec::new();
    loop {
        let stretch = view.state.scan_data(&range, STRETCH)?;
        let Some((newest, _)) = stretch.last() else { break };
        let mut next = [newest.as_ref(), &[0]].concat();
        // The folder that was named last: all other keys below it are passed over.
        let mut passed: Option<Vec<u8>> = None;
        for (key, _) in &stretch {
            if passed.as_ref().is_some_and(|passed| key.starts_with(passed)) {
                continue;
            }
            let path = key.get(prefix.len()..).unwrap_or_default();
            if path.is_empty() {
                continue;
            }
            let segment = first_segment(path).ok_or_else(|| Error::corrupt("a stored path does not decode"))?;
            let mut name = view.barrier.open_segment(&above, segment)?;
            if segment.len() < path.len() {
                name.push('/');
                let below = key[..prefix.len() + segment.len()].to_vec();
                next = after_prefix(&below).ok_or_else(|| Error::internal("a key without a successor"))?.max(next);
                passed = Some(below);
            }
            names.push(name);
        }
        range.start = next;
        if range.is_empty() {
            break;
        }
    }
    names.sort_unstable();
    Ok(names)
}
