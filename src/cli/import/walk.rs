//! All secrets of a mount, folder after folder: in memory are the names of one folder a level.

use super::mounts::{Kind, Place};
use super::trouble::{Trouble, patiently};
use crate::client::Client;
use futures::stream::{Stream, try_unfold};

/// Deeper than any server takes paths: who lists such folders does so without end.
const DEPTH_MAX: usize = 128;

/// A folder on the way: its path with a slash at its end, and the names in it that are still to come.
struct Level {
    folder: String,
    names: std::vec::IntoIter<String>,
}

/// The paths of the secrets in the mount.
pub fn secrets<'a>(source: &'a Client, place: &'a Place) -> impl Stream<Item = Result<String, Trouble>> + 'a {
    try_unfold(None::<Vec<Level>>, move |levels| async move {
        let mut levels = match levels {
            Some(levels) => levels,
            None => vec![level(source, place, String::new()).await?],
        };
        while let Some(innermost) = levels.last_mut() {
            let Some(name) = innermost.names.next() else {
                levels.pop();
                continue;
            };
            let path = format!("{}{name}", innermost.folder);
            if !name.ends_with('/') {
                return Ok(Some((path, Some(levels))));
            }
            if levels.len() >= DEPTH_MAX {
                return Err(Trouble::Refused(format!("{}{path}: folders in folders without end", place.path)));
            }
            levels.push(level(source, place, path).await?);
        }
        Ok(None)
    })
}

async fn level(source: &Client, place: &Place, folder: String) -> Result<Level, Trouble> {
    let keys = patiently(async || {
        Ok(match place.kind {
            Kind::Versioned => source.kv_list(&place.path, &folder).await?,
            Kind::Plain => source.plain_list(&place.path, &folder).await?,
        })
    })
    .await?;
    let names = keys.unwrap_or_default().keys.into_iter();
    Ok(Level { folder, names })
}
