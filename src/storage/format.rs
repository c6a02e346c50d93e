//! Opening a data directory.
use super::{Engine, SharedStore};
use crate::error::Result;
use std::path::Path;
pub fn open(_path: &Path, _engine: Engine) -> Result<SharedStore> {
    Err(crate::error::Error::internal("not built"))
}
