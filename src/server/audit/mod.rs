//! The audit log: one JSON line for each request that came with a token, before anything is done, and one for its
//! answer, on disk before the client has it. `entry` says what stands in them, `options` what a device may be told.
//!
//! A request that no device can take down is refused, unless the device was enabled with `blocking=false`.

mod entry;
pub mod options;

pub use entry::Outcome;

use self::entry::Entry;
use self::options::Target;
use super::call::Call;
use super::node::blocking;
use super::routes::Route;
use crate::error::{Error, Result};
use crate::secrets::Operation;
use crate::secrets::audit::{AuditDevice, AuditHasher};
use serde_json::Value;
use std::collections::HashMap;
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The files that are open, by their names.
#[derive(Default)]
pub struct Audit(Mutex<HashMap<PathBuf, Arc<File>>>);

/// The devices of one request, and what is known of it.
pub struct Trail {
    devices: Vec<(AuditDevice, AuditHasher)>,
    entry: Entry,
}

impl Trail {
    /// `None` where there is no device. `allowed` is what the caller's policies said, if there is a caller.
    pub fn of(
        route: &Route,
        call: &Call,
        operation: Option<Operation>,
        allowed: Option<bool>,
    ) -> Result<Option<Trail>> {
        let devices = call.node.vault.audit_hashers()?;
        if devices.is_empty() {
            return Ok(None);
        }
        Ok(Some(Trail { devices, entry: Entry::of(route, call, operation, allowed) }))
    }

    /// Takes a request down. What can't be is refused.
    pub async fn request(&self, call: &Call) -> Result<()> {
        self.write(call, |device, hasher| self.entry.request(call, device, hasher), Durable::No).await
    }

    /// Takes an answer down, durably.
    pub async fn answer(&self, call: &Call, outcome: Outcome<'_>) -> Result<()> {
        let line = |device: &AuditDevice, hasher: &AuditHasher| self.entry.response(call, &outcome, device, hasher);
        self.write(call, line, Durable::Yes).await
    }

    async fn write(
        &self,
        call: &Call,
        line: impl Fn(&AuditDevice, &AuditHasher) -> Value,
        durable: Durable,
    ) -> Result<()> {
        let mut must = false;
        let mut done = false;
        for (device, hasher) in &self.devices {
            let mut text = line(device, hasher).to_string();
            text.push('\n');
            let (node, target) = (call.node.clone(), Target::of(&device.options));
            let written = blocking(move || node.audit.append(&target, text.as_bytes(), durable)).await;
            match written {
                Ok(()) => done = true,
                Err(error) => {
                    must |= options::blocks(&device.options);
                    tracing::error!(device = device.path, "the audit device can't write: {error}");
                }
            }
        }
        if must && !done {
            return Err(Error::internal("no audit device could take the request down: it was refused"));
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Durable {
    Yes,
    No,
}

impl Audit {
    /// Whether a device can write there: found out when it is enabled.
    pub fn try_open(&self, target: &Target) -> Result<()> {
        self.append(target, &[], Durable::No)
    }

    /// Forgets the open files, so that those that were moved away are made anew.
    pub fn reopen(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn append(&self, target: &Target, line: &[u8], durable: Durable) -> Result<()> {
        let file = match target {
            Target::StandardOutput => return Ok(std::io::stdout().lock().write_all(line)?),
            Target::Nowhere => return Ok(()),
            Target::File { path, mode } => self.file(path, *mode)?,
        };
        // One write a line, at the end of the file: lines of concurrent requests never mix.
        (&*file).write_all(line)?;
        if durable == Durable::Yes && file.metadata()?.is_file() {
            file.sync_data()?;
        }
        Ok(())
    }

    fn file(&self, path: &Path, mode: Option<u32>) -> Result<Arc<File>> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(path) {
            return Ok(file.clone());
        }
        let wrong = |error| {
            let path = path.display();
            Error::invalid(format!("sanity check failed; unable to open \"{path}\" for writing: {error}"))
        };
        let file = File::options().create(true).append(true).mode(mode.unwrap_or(0o600)).open(path).map_err(wrong)?;
        let is = file.metadata().map_err(wrong)?;
        if let Some(mode) = mode.filter(|mode| is.is_file() && is.permissions().mode() & 0o777 != *mode) {
            file.set_permissions(Permissions::from_mode(mode)).map_err(wrong)?;
        }
        let file = Arc::new(file);
        files.insert(path.to_owned(), file.clone());
        Ok(file)
    }
}
