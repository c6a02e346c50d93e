//! What keeps secrets in this process: no core dumps, and no memory in the swap.

use crate::error::{Error, Result};
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tracing::{info, warn};

/// Neither a crash nor another process of the same user writes this one's memory anywhere.
pub fn forbid_dumps() {
    let none = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    if let Err(error) = none.and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable)) {
        warn!("core dumps can't be switched off: {error}");
    }
}

/// Keeps all memory, present and future, out of the swap. Pages are locked as they come into use: a thread's stack that
/// is never touched takes no memory.
pub fn lock_memory() -> Result<()> {
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    // A bound that is reached later would be a failed allocation in the middle of work.
    let limit = rustix::process::getrlimit(Resource::Memlock);
    if limit.maximum.is_some() && !rustix::process::geteuid().is_root() {
        return Err(not_locked("the limit on locked memory is set"));
    }
    mlockall(flags).map_err(|error| not_locked(&error.to_string()))?;
    // Without a bound of its own, root's is lifted by its capability.
    info!("memory is locked: secrets stay out of the swap");
    Ok(())
}

fn not_locked(why: &str) -> Error {
    Error::invalid(format!(
        "memory is not locked ({why}), so secrets may reach the swap: allow it (systemd: LimitMEMLOCK=infinity), switch \
         swap off or encrypt it and say `disable_mlock = true`"
    ))
}
