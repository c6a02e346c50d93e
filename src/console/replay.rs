//! `attach --replay FILE`: the same screens, keys and files over what was recorded. Nothing is attached to, nothing can be
//! changed.

use super::flight::Film;
use super::options::AttachOptions;
use super::runtime;
use crate::error::Result;
use std::path::Path;

/// Shows a recording until the user quits.
pub async fn replay(options: AttachOptions, file: &Path) -> Result<()> {
    runtime::show_film(options, Film::open(file)?).await
}
