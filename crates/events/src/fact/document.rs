//! Facts about documents, the versioned records outside sessions; they are in a stream of their own.

use serde::{Deserialize, Serialize};

use crate::hex::Hash;

/// A document has another version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DocumentSaved {
    /// What kind of document it is, in a word.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its version; the first is 1.
    pub version: u64,
    /// The hash of the record that is kept of this version, byte for byte.
    pub hash: Hash,
}

/// A document is hidden and its name is free again; its versions stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DocumentDeleted {
    /// What kind of document it is, in a word.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The version that says so, the last one by that count.
    pub version: u64,
    /// The hash of the record that is kept of this version, byte for byte.
    pub hash: Hash,
}

super::fact! {
    DocumentSaved = "document.saved";
    DocumentDeleted = "document.deleted";
}
