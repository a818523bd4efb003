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

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;
    use crate::postgres::server;
    use aichat_store::{Postgres, PostgresAddress};

    /// One store, opened again and again by its clones.
    fn place() -> Option<Place> {
        let store = Postgres::at(PostgresAddress::parse(&server()?.database()).unwrap());
        Some(Place::new(move || Arc::new(store.clone())))
    }

    aichat_store::contract!(place);

    /// The cases that open a place twice, each time as another process would.
    mod apart {
        use super::*;

        fn place() -> Option<Place> {
            let address = PostgresAddress::parse(&server()?.database()).unwrap();
            Some(Place::new(move || Arc::new(Postgres::at(address.clone()))))
        }

        aichat_store::contract!(@ place:
            large_values_come_back
            a_released_store_goes_on
            a_claim_is_repeated_until_the_commit
            a_pin_holds_off_removal
            a_compacted_store_holds_what_it_held
        );
    }
}
