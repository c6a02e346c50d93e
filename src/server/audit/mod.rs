//! The audit log: one JSON line for each request, before anything is done, and one for its answer, on disk before the client
//! has it. `entry` says what stands in them, `options` what a device may be told, `strangers` how much of those who prove
//! nothing is written.
//!
//! A request that no device can take down is refused, as in Vault; one that a device with `blocking=true` can't take down is
//! refused even if others can, and a device with `blocking=false` keeps nobody from anything.

mod entry;
pub mod options;
mod strangers;

pub use entry::Outcome;
pub use strangers::Tell;

use self::entry::Entry;
use self::options::{Blocking, Target};
use self::strangers::Strangers;
use super::call::Call;
use super::node::{Node, blocking};
use super::routes::Route;
use crate::clock;
use crate::error::{Error, Result};
use crate::secrets::Operation;
use crate::secrets::audit::{AuditDevice, AuditHasher};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::{File, Permissions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long standard output, which may be a pipe that nobody reads, has for a line.
const STANDARD_OUTPUT_MAX: Duration = Duration::from_secs(5);
/// How long it may take to tell what was left out.
const TELL_MAX: Duration = Duration::from_secs(2);

/// The audit log of one node.
#[derive(Default)]
pub struct Audit {
    /// The files that are open, by their names.
    files: Mutex<HashMap<PathBuf, Arc<File>>>,
    /// Held while a line goes to standard output: if that stands still, one thread does, and no more.
    standard_output: Arc<tokio::sync::Mutex<()>>,
    strangers: Strangers,
    failed_requests: AtomicU64,
    failed_answers: AtomicU64,
}

/// What devices could not take down, and what was left out, since the node started.
#[derive(Clone, Copy)]
pub struct Failed {
    pub requests: u64,
    pub answers: u64,
    pub left_out: u64,
}

/// Whose request it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Somebody who proved who he is.
    Caller,
    Stranger,
}

/// The devices of one request, and what is known of it.
pub struct Trail {
    devices: Vec<(AuditDevice, AuditHasher)>,
    entry: Entry,
}

impl Trail {
    /// `None` where there is no device, or where a stranger has written enough. `allowed` is what the caller's policies
    /// said, if there is a caller.
    pub fn of(
        route: &Route,
        call: &Call,
        of: Of,
        operation: Option<Operation>,
        allowed: Option<bool>,
    ) -> Result<Option<Trail>> {
        let devices = call.node.vault.audit_hashers()?;
        if devices.is_empty() || (of == Of::Stranger && !call.node.audit.strangers.is_written(call.address())) {
            return Ok(None);
        }
        Ok(Some(Trail { devices, entry: Entry::of(route, call, of, operation, allowed) }))
    }

    /// Takes a request down. What can't be is refused.
    pub async fn request(&self, call: &Call) -> Result<()> {
        let line = |device: &AuditDevice, hasher: &AuditHasher| self.entry.request(call, device, hasher);
        let written = write(&call.node, &self.devices, line, Durable::No).await;
        note(written, &call.node.audit.failed_requests)
    }

    /// Takes an answer down, durably.
    pub async fn answer(&self, call: &Call, outcome: Outcome<'_>) -> Result<()> {
        let line = |device: &AuditDevice, hasher: &AuditHasher| self.entry.response(call, &outcome, device, hasher);
        let written = write(&call.node, &self.devices, line, Durable::Yes).await;
        note(written, &call.node.audit.failed_answers)
    }
}

/// How a line was taken down.
struct Written {
    /// By as many devices not at all.
    failed: u64,
    result: Result<()>,
}

fn note(written: Written, failed: &AtomicU64) -> Result<()> {
    failed.fetch_add(written.failed, Ordering::Relaxed);
    written.result
}

/// One line to each device.
async fn write(
    node: &Arc<Node>,
    devices: &[(AuditDevice, AuditHasher)],
    line: impl Fn(&AuditDevice, &AuditHasher) -> Value,
    durable: Durable,
) -> Written {
    let (mut must, mut any_must, mut done, mut failed) = (false, false, false, 0);
    for (device, hasher) in devices {
        let mut text = line(device, hasher).to_string();
        text.push('\n');
        match append(node, Target::of(&device.options), text, durable).await {
            Ok(()) => done = true,
            Err(error) => {
                failed += 1;
                match options::blocks(&device.options) {
                    Blocking::Always => must = true,
                    Blocking::Together => any_must = true,
                    Blocking::Never => {}
                }
                tracing::error!(device = device.path, "the audit device can't write: {error}");
            }
        }
    }
    let refused = || Error::internal("no audit device could take the request down: it was refused");
    let alone = || Error::internal("an audit device that blocks could not take the request down: it was refused");
    let result = match (must, any_must && !done) {
        (true, _) => Err(alone()),
        (_, true) => Err(refused()),
        _ => Ok(()),
    };
    Written { failed, result }
}

async fn append(node: &Arc<Node>, target: Target, text: String, durable: Durable) -> Result<()> {
    if target != Target::StandardOutput {
        let node = node.clone();
        let data = node.config.storage.path.clone();
        return blocking(move || node.audit.append(&target, &data, text.as_bytes(), durable)).await;
    }
    let late = |_| Error::unavailable("nobody reads standard output");
    let turn = node.audit.standard_output.clone().lock_owned();
    let turn = tokio::time::timeout(STANDARD_OUTPUT_MAX, turn).await.map_err(late)?;
    let writing = blocking(move || {
        let _turn = turn;
        Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
    });
    tokio::time::timeout(STANDARD_OUTPUT_MAX, writing).await.map_err(late)?
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Durable {
    Yes,
    No,
}

impl Audit {
    /// Whether a device can write there: found out when it is enabled. `data` is where this node keeps what is its own.
    pub fn try_open(&self, target: &Target, data: &Path) -> Result<()> {
        self.append(target, data, &[], Durable::No)
    }

    /// Forgets the open files, so that those that were moved away are made anew.
    pub fn reopen(&self) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub fn failed(&self) -> Failed {
        Failed {
            requests: self.failed_requests.load(Ordering::Relaxed),
            answers: self.failed_answers.load(Ordering::Relaxed),
            left_out: self.strangers.total(),
        }
    }

    /// Writes down how much of strangers was left out. A sealed node knows no devices: it tells once it is open again.
    pub async fn tell_left_out(node: &Arc<Node>, tell: Tell) {
        // A device that hangs keeps nobody from sealing a node, or from stopping it.
        if tokio::time::timeout(TELL_MAX, Audit::tell_each(node, tell)).await.is_err() {
            tracing::warn!("an audit device takes too long: not all is told of what was left out of the audit log");
        }
    }

    async fn tell_each(node: &Arc<Node>, tell: Tell) {
        let Ok(devices) = node.vault.audit_hashers() else { return };
        for (from, requests) in node.audit.strangers.to_tell(tell, clock::steady()) {
            tracing::warn!(%from, requests, "requests that proved nothing were left out of the audit log");
            let written = write(node, &devices, |_, _| left_out(from, requests), Durable::Yes).await;
            // What keeps it from being told is said, and keeps nobody from anything.
            let _told = note(written, &node.audit.failed_requests);
        }
    }

    fn append(&self, target: &Target, data: &Path, line: &[u8], durable: Durable) -> Result<()> {
        let file = match target {
            Target::StandardOutput | Target::Nowhere => return Ok(()),
            Target::File { path, mode } => self.file(path, *mode, data)?,
        };
        // One write a line, at the end of the file: lines of concurrent requests never mix.
        (&*file).write_all(line)?;
        if durable == Durable::Yes && file.metadata()?.is_file() {
            file.sync_data()?;
        }
        Ok(())
    }

    fn file(&self, path: &Path, mode: Option<u32>, data: &Path) -> Result<Arc<File>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(path) {
            return Ok(file.clone());
        }
        // The node that enabled the device knows its own directory only.
        options::expect_outside(path, data)?;
        let wrong = |error| {
            let path = path.display();
            Error::invalid(format!("sanity check failed; unable to open \"{path}\" for writing: {error}"))
        };
        let mut opening = File::options();
        // To open a pipe that nobody reads fails, rather than to wait for somebody.
        opening
            .create(true)
            .append(true)
            .mode(mode.unwrap_or(0o600))
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
        let file = opening.open(path).map_err(wrong)?;
        let is = file.metadata().map_err(wrong)?;
        if is.file_type().is_fifo() || is.file_type().is_socket() || is.file_type().is_block_device() {
            let path = path.display();
            let text = format!("sanity check failed; \"{path}\" is no file: name one, or `stdout`");
            return Err(Error::invalid(text));
        }
        if let Some(mode) = mode.filter(|mode| is.is_file() && is.permissions().mode() & 0o777 != *mode) {
            file.set_permissions(Permissions::from_mode(mode)).map_err(wrong)?;
        }
        let file = Arc::new(file);
        files.insert(path.to_owned(), file.clone());
        Ok(file)
    }
}

/// The line that says so.
fn left_out(from: IpAddr, requests: u64) -> Value {
    json!({
        "time": clock::now().rfc3339(),
        "type": "left_out",
        "request": { "remote_address": from.to_canonical() },
        "left_out": requests,
    })
}
