//! One secret of KV version 1.

use super::mounts::{Place, Presence};
use super::report::Copied;
use super::trouble::Trouble;
use super::versioned::same;
use super::{Mode, Sides};

/// Writes what is not here. Between the look and the write another client may write the same secret: version 1 has no way to
/// notice.
pub async fn copy(sides: &Sides, place: &Place, path: &str) -> Result<Copied, Trouble> {
    let Some(theirs) = sides.source.plain_text(&place.path, path).await? else { return Ok(Copied::Vanished) };
    let ours = match place.presence {
        Presence::There => sides.here.plain_text(&place.path, path).await?,
        Presence::Planned => None,
    };
    match ours {
        Some(ours) if same(&theirs, &ours) => Ok(Copied::Equal),
        Some(_) => Err(Trouble::Conflict("it is here already, with other data".into())),
        None => {
            if sides.mode == Mode::Copy {
                sides.here.plain_put_text(&place.path, path, &theirs).await?;
            }
            Ok(Copied::Written { versions: 1, markers: 0 })
        }
    }
}
