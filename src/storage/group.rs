//! Group commit: callers that want a flush at the same time share one.
//!
//! A caller's flush must *begin* after the call, since one that runs already may have looked at the data before the
//! caller wrote. So whoever comes while a flush runs waits for the next one, and one of those who wait runs it for all.
//!
//! A flush that failed once fails for good: after a failed fsync the kernel may have dropped the dirty pages, so that
//! a second one would succeed without having saved anything. Only a restart reads what is really there.

use crate::error::{Error, Result};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub struct FlushGroup {
    progress: Mutex<Progress>,
    ended: Condvar,
}

#[derive(Default)]
struct Progress {
    /// How many flushes began and ended. They differ by one while one runs.
    began: u64,
    ended: u64,
    failure: Option<Error>,
}

impl FlushGroup {
    /// Returns when a flush that began after this call has ended; runs `flush` itself if nobody else does.
    pub fn run(&self, flush: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut progress = self.progress();
        let wanted = progress.began + 1;
        while progress.began > progress.ended && progress.ended < wanted {
            progress = self.ended.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        if progress.ended < wanted && progress.failure.is_none() {
            progress.began += 1;
            drop(progress);
            let running = Running { group: self, result: Some(Err(Error::Storage("a flush panicked".into()))) };
            return running.end(flush());
        }
        match &progress.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A flush under way. Dropped without an `end`, it panicked: those who wait must hear of it.
struct Running<'a> {
    group: &'a FlushGroup,
    result: Option<Result<()>>,
}

impl Running<'_> {
    fn end(mut self, result: Result<()>) -> Result<()> {
        self.result = Some(result.clone());
        result
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut progress = self.group.progress();
        progress.ended += 1;
        if let Some(Err(failure)) = self.result.take() {
            progress.failure.get_or_insert(failure);
        }
        self.group.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Barrier, mpsc};
    use std::thread;

    #[test]
    fn nobody_relies_on_a_flush_that_began_before_the_call() {
        const CALLERS: usize = 8;
        let group = Arc::new(FlushGroup::default());
        let flushes = Arc::new(AtomicUsize::new(0));
        let (entered, first_entered) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let first = thread::spawn({
            let group = group.clone();
            move || {
                group.run(|| {
                    entered.send(()).expect("the test waits for this");
                    released.recv().expect("the test releases this");
                    Ok(())
                })
            }
        });
        first_entered.recv().expect("the first flush began");
        let arrived = Arc::new(Barrier::new(CALLERS + 1));
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (group, flushes, arrived) = (group.clone(), flushes.clone(), arrived.clone());
                thread::spawn(move || {
                    arrived.wait();
                    group.run(|| {
                        flushes.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    })
                })
            })
            .collect();
        arrived.wait();
        release.send(()).expect("the first flush still runs");
        first.join().expect("no panic").expect("the first flush succeeds");
        for caller in callers {
            caller.join().expect("no panic").expect("each caller's flush succeeds");
        }
        assert_ne!(flushes.load(Ordering::SeqCst), 0, "the flush that began before served none of them");
    }

    #[test]
    fn a_failed_flush_fails_every_later_one() {
        let group = FlushGroup::default();
        assert!(group.run(|| Ok(())).is_ok());
        assert!(group.run(|| Err(Error::Storage("no space".into()))).is_err());
        assert!(group.run(|| Ok(())).is_err());
    }
}
