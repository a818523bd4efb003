//! Pins: who relies on a blob that nothing refers to yet shares a lock; who removes blobs holds it alone.

use std::fs::{File, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use super::blobs::Blobs;
use crate::error::{Error, ErrorKind};
use crate::journal::disk;
use crate::turn::Lease;

/// How long one side waits for the other; both hold the lock for moments.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the lock is tried.
const PAUSE: Duration = Duration::from_millis(2);

/// The lock, shared or alone, until it is dropped.
pub(super) struct Pin(#[expect(dead_code, reason = "held for the effect of closing it")] File);

impl Lease for Pin {}

impl Pin {
    /// Relies on blobs.
    pub(super) fn shared(blobs: &Blobs) -> Result<Self, Error> {
        let begun = Instant::now();
        loop {
            match take(blobs, File::try_lock_shared)? {
                Some(pin) => return Ok(pin),
                None => wait(begun, "blobs are being removed")?,
            }
        }
    }

    /// Removes blobs, unless somebody relies on one or removes some.
    pub(super) fn alone(blobs: &Blobs) -> Result<Option<Self>, Error> {
        take(blobs, File::try_lock)
    }
}

/// Waits for a moment.
///
/// # Errors
/// Fails with `busy` where that has gone on for too long since `begun`.
pub(super) fn wait(begun: Instant, meanwhile: &str) -> Result<(), Error> {
    if begun.elapsed() > PATIENCE {
        return Err(Error::new(ErrorKind::Busy, format!("{meanwhile} by another process")));
    }
    thread::sleep(PAUSE);
    Ok(())
}

fn take(blobs: &Blobs, lock: impl Fn(&File) -> Result<(), TryLockError>) -> Result<Option<Pin>, Error> {
    let (path, file) = blobs.lock_file()?;
    match lock(&file) {
        Ok(()) => Ok(Some(Pin(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(disk::lock_failed(&path, source)),
    }
}
