//! The public contract, run by every backend of this crate.

use std::sync::Arc;

use aichat_store::Memory;
use aichat_store::contract::Place;

mod memory {
    use super::*;

    fn place() -> Place {
        let store = Memory::new();
        Place::new(move || Arc::new(store.clone()))
    }

    aichat_store::contract!(place);
}

#[cfg(feature = "sled")]
mod sled {
    use super::*;
    use aichat_store::Sled;

    fn place() -> Place {
        let dir = tempfile::tempdir().unwrap();
        Place::new(move || Arc::new(Sled::at(dir.path().join("data"))))
    }

    aichat_store::contract!(place);
}
