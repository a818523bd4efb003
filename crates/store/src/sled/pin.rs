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
        take(blobs, File::try_lock_shared, "blobs are being removed")
    }

    /// Removes blobs.
    pub(super) fn alone(blobs: &Blobs) -> Result<Self, Error> {
        take(blobs, File::try_lock, "blobs are being kept or removed")
    }
}

fn take(
    blobs: &Blobs,
    lock: impl Fn(&File) -> Result<(), TryLockError>,
    meanwhile: &str,
) -> Result<Pin, Error> {
    let (path, file) = blobs.lock_file()?;
    let begun = Instant::now();
    loop {
        match lock(&file) {
            Ok(()) => return Ok(Pin(file)),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(ErrorKind::Busy, format!("{meanwhile} by another process")));
            }
            Err(TryLockError::Error(source)) => return Err(disk::lock_failed(&path, source)),
        }
    }
}
