//! Files that the console writes: into its own folder, for this user alone.

use super::options::state_dir;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// Writes a file of that name, in place of the one before. Its path, or why it could not be.
pub fn save(name: &str, text: &str) -> Result<PathBuf, String> {
    let folder = state_dir().ok_or("neither XDG_STATE_HOME nor HOME is set")?;
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(told)?;
    let mut file = tempfile::Builder::new().prefix(".").tempfile_in(&folder).map_err(told)?;
    file.write_all(text.as_bytes()).map_err(told)?;
    let path = folder.join(name);
    file.persist(&path).map_err(|error| told(error.error))?;
    Ok(path)
}
