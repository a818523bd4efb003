//! What a store on disk has to say beside its results.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Something a user may want to know; nothing failed because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// Another process has held the store for two seconds; the call goes on waiting.
    Waiting {
        /// The process that holds it, where it said so.
        holder: Option<u32>,
    },
    /// The store in `path` cannot be written; it is read from a copy of it, which is removed in the end.
    Copied {
        /// The store's directory.
        path: PathBuf,
        /// Why nothing is written there.
        reason: io::ErrorKind,
    },
    /// A damaged snapshot of the log's index was moved to `path`; the index was built anew from the log.
    SnapshotSetAside {
        /// Where it is now.
        path: PathBuf,
    },
    /// A journal with damage, or with records that came after its turn was folded, was moved to `path`.
    JournalSetAside {
        /// Where it is now.
        path: PathBuf,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { holder: Some(pid) } => {
                write!(f, "waiting for the store, which process {pid} holds")
            }
            Self::Waiting { holder: None } => {
                f.write_str("waiting for the store, which another process holds")
            }
            Self::Copied { path, reason } => {
                write!(
                    f,
                    "the store in {} cannot be written ({reason}); a copy of it is read",
                    path.display()
                )
            }
            Self::SnapshotSetAside { path } => {
                write!(f, "a damaged snapshot was set aside as {}; the log is whole", path.display())
            }
            Self::JournalSetAside { path } => {
                write!(f, "a journal that could not be folded whole was set aside as {}", path.display())
            }
        }
    }
}

/// Whoever is told. Called on threads that may block.
pub(crate) type Observer = Arc<dyn Fn(&Notice) + Send + Sync>;
