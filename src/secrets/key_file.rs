//! The key file of `seal "file"`: the unseal key in base64, readable by its owner only. Whoever can read the file and
//! the data directory can read all secrets, so keep them on different disks or hosts.

use super::aead;
use crate::error::{Error, Result};
use crate::sensitive::Key;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// The unseal key in the file at `path`.
pub fn read(path: &Path) -> Result<Key> {
    let shown = path.display();
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::invalid(format!(
            "the key file {shown} of `seal \"file\"` is missing: copy it from the node where the region was initialised"
        )),
        _ => Error::Storage(format!("the key file {shown}: {error}")),
    })?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(Error::invalid(format!("others may read the key file {shown}: run `chmod 600 {shown}`")));
    }
    let text = fs::read_to_string(path).map_err(|error| Error::Storage(format!("the key file {shown}: {error}")))?;
    let text = Zeroizing::new(text);
    let bytes = BASE64.decode(text.trim()).map(Zeroizing::new).ok();
    let key = bytes.as_ref().and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
    key.map(Key::new).ok_or_else(|| Error::invalid(format!("the key file {shown} does not hold 32 bytes in base64")))
}

/// The key in the file at `path`, which is made if there is none. It is on disk when this returns.
pub fn read_or_create(path: &Path) -> Result<Key> {
    let shown = path.display();
    let failed = |error: std::io::Error| Error::Storage(format!("the key file {shown} can't be made: {error}"));
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return read(path),
        Err(error) => return Err(failed(error)),
    };
    let key = aead::new_key();
    let text = Zeroizing::new(BASE64.encode(key.as_slice()) + "\n");
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(key)
}
