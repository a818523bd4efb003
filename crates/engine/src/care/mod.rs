//! Care of the store as a whole: what is in it, whether it holds, giving back space, and copies of it.

mod copy;
mod examine;

use std::collections::BTreeSet;

use serde::Serialize;

use aichat_message::SessionId;
use aichat_store::{Scan, Table};

use crate::document::SYSTEM;
use crate::engine::Engine;
use crate::error::Error;
use crate::work::Step;

pub use copy::{Copied, Refused};
pub use examine::{Examined, Finding, Subject};

/// How many entries one read fetches.
const PAGE: usize = 500;
/// How many hex digits name a blob.
const NAME: usize = 64;

/// What a store is and how much is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// What kind of store it is, in a word.
    pub backend: String,
    /// Where it is; never a secret.
    pub place: String,
    /// The version of its layout.
    pub layout: u64,
    /// How many sessions there are, deleted ones included.
    pub sessions: u64,
    /// How many events there are.
    pub events: u64,
    /// How many blobs there are.
    pub blobs: u64,
    /// How many bytes the blobs have.
    pub blob_bytes: u64,
    /// How many bytes everything takes where it is kept; `None` where that is not known.
    pub bytes: Option<u64>,
    /// How many turns are in flight or wait to be folded.
    pub turns_in_flight: u64,
    /// What was set aside because it was damaged or late, by name.
    pub set_aside: Vec<String>,
}

/// What compacting a store did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// How many blobs that nothing referred to were removed.
    pub blobs_removed: u64,
    /// How many bytes everything took before; `None` where that is not known.
    pub bytes_before: Option<u64>,
    /// How many bytes everything takes now.
    pub bytes: Option<u64>,
}

impl Engine {
    /// Returns what the store is and how much is in it. Nothing is folded for that.
    ///
    /// # Errors
    /// Fails with kind `store`.
    pub async fn overview(&self) -> Result<Overview, Error> {
        self.using_store(async {
            let info = self.store().info().await?;
            let system = self.store().head(&SessionId::from_bits(SYSTEM)).await?;
            Ok(Overview {
                backend: info.backend,
                place: info.place,
                layout: info.schema,
                sessions: info.streams.saturating_sub(u64::from(system.is_some())),
                events: info.events,
                blobs: info.blobs,
                blob_bytes: info.blob_bytes,
                bytes: info.bytes,
                turns_in_flight: info.turns_in_flight,
                set_aside: info.set_aside,
            })
        })
        .await
    }

    /// Removes blobs that nothing refers to, and gives back the space of everything that was replaced or removed,
    /// of which no byte is left in the store's files afterwards. Turns in flight go on meanwhile.
    ///
    /// # Errors
    /// Fails with kind `busy` where somebody is keeping blobs for too long, and with kind `store`; then nothing that
    /// can be read has changed.
    pub async fn compact(&self) -> Result<Compacted, Error> {
        self.using_store(async {
            self.fold_waiting().await?;
            self.freshen().await?;
            let bytes_before = self.store().info().await?.bytes;
            let blobs_removed = self.forget_unused().await?;
            self.during(Step::Compact, self.store().compact()).await?;
            Ok(Compacted { blobs_removed, bytes_before, bytes: self.store().info().await?.bytes })
        })
        .await
    }

    /// Removes every blob that nothing refers to.
    pub(crate) async fn forget_unused(&self) -> Result<u64, Error> {
        let mut removed = 0;
        let mut steps = self.steps(Step::Blobs, None);
        let mut after: Option<String> = None;
        loop {
            let page = self.store().blobs(after.as_deref(), PAGE).await?;
            let hashes: Vec<String> = page.into_iter().map(|blob| blob.hash).collect();
            let mut unused = Vec::new();
            for hash in &hashes {
                if !self.refers_to(hash).await? {
                    unused.push(hash.clone());
                }
            }
            steps.done(hashes.len());
            // The store looks once more, with whoever relies on one kept out.
            if !unused.is_empty() {
                removed += self.store().forget_blobs(&unused).await?;
            }
            match hashes.len() < PAGE {
                true => return Ok(removed),
                false => after = hashes.into_iter().next_back(),
            }
        }
    }

    /// Tells whether something in the log refers to a blob.
    async fn refers_to(&self, hash: &str) -> Result<bool, Error> {
        let scan = Scan { prefix: hash.as_bytes().to_vec(), limit: Some(1), ..Scan::default() };
        Ok(!self.store().scan(Table::Blobs, scan).await?.is_empty())
    }

    /// Returns the names of blobs that something in the log refers to.
    async fn referred_to(&self) -> Result<BTreeSet<String>, Error> {
        let mut names = BTreeSet::new();
        let mut after = None;
        loop {
            let scan = Scan { after: after.take(), limit: Some(PAGE), ..Scan::default() };
            let page = self.store().scan(Table::Blobs, scan).await?;
            names.extend(page.iter().filter_map(|(key, _)| name_of(key)));
            match page.len() < PAGE {
                true => return Ok(names),
                false => after = page.into_iter().next_back().map(|(key, _)| key),
            }
        }
    }
}

/// Returns the name of the blob that a key of the table of blobs is about.
fn name_of(key: &[u8]) -> Option<String> {
    Some(std::str::from_utf8(key.get(..NAME)?).ok()?.to_owned())
}
