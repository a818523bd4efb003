//! The embedded store of aichat.

use std::error::Error;
use std::path::Path;

use aichat_message::SessionId;
use aichat_store::{Scan, Sled, Store, Table, Unit};
use tokio::runtime::{Builder, Runtime};

/// How many events one read fetches, as the engine does it.
const PAGE: usize = 1_000;

/// A store and the runtime its calls are made on.
pub(super) struct Ours {
    store: Sled,
    runtime: Runtime,
}

impl Ours {
    pub(super) fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        let ours = Self { store: Sled::at(path), runtime: Builder::new_current_thread().build()? };
        ours.runtime.block_on(ours.store.stale())?;
        Ok(ours)
    }

    pub(super) fn commit(&self, units: Vec<Unit>) -> Result<(), Box<dyn Error>> {
        Ok(self.runtime.block_on(self.store.commit(units))?)
    }

    /// Reads a stream; returns how many bytes its events have.
    pub(super) fn read(&self, stream: &SessionId) -> Result<usize, Box<dyn Error>> {
        self.runtime.block_on(async {
            let (mut bytes, mut next) = (0, 1);
            loop {
                let rows = self.store.events(stream, next, PAGE).await?;
                bytes += rows.iter().map(|row| row.bytes.len()).sum::<usize>();
                next += rows.len() as u64;
                if rows.len() < PAGE {
                    return Ok(bytes);
                }
            }
        })
    }

    /// Reads the rows of the latest sessions; returns how many bytes they have.
    pub(super) fn list(&self, count: usize) -> Result<usize, Box<dyn Error>> {
        self.runtime.block_on(async {
            let scan = Scan { limit: Some(count), ..Scan::default() };
            let recent = self.store.scan(Table::Recent, scan).await?;
            let ids = recent.into_iter().map(|(key, _)| key[8..].to_vec()).collect();
            let rows = self.store.rows(Table::Sessions, ids).await?;
            let bytes = rows.iter().flatten().map(Vec::len).sum();
            Ok(bytes)
        })
    }
}
