//! Who a region is: what `operator init` stores under `Key::RegionIdentity`, for good.

use super::apply::State;
use crate::error::{Error, Result};
use crate::ids::RegionId;
use crate::storage::keys::Key;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A region's id, for machines, and its `cluster_name`, for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RegionIdentity {
    pub id: RegionId,
    pub name: String,
}

impl RegionIdentity {
    /// As stored: postcard.
    pub fn to_bytes(&self) -> Result<Bytes> {
        Ok(postcard::to_stdvec(self)?.into())
    }
}

impl State {
    /// `None` before `operator init`.
    pub fn identity(&self) -> Result<Option<RegionIdentity>> {
        let Some(bytes) = self.region(&Key::RegionIdentity)? else { return Ok(None) };
        let identity =
            postcard::from_bytes(&bytes).map_err(|_| Error::corrupt("the region's identity does not decode"))?;
        Ok(Some(identity))
    }
}
