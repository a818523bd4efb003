//! The public contract, run by every backend of this crate.

use std::sync::Arc;

use aichat_store::Memory;
use aichat_store::contract::Place;

/// Asserts that a store keeps what is beside a turn, which the contract leaves to it, also beside one that runs.
async fn keeps_beside(store: &dyn aichat_store::Store) {
    let header = aichat_store::TurnHeader {
        session: aichat_message::SessionId::from_bits([1; 10]),
        turn: aichat_message::TurnId::from_bits([2; 10]),
        base: None,
    };
    let mut turn = store.begin(header.clone(), vec![b"begun".to_vec()]).await.unwrap();
    let pieces: Vec<Vec<u8>> = (0..9u8).map(|number| vec![number; 40_000]).collect();
    for piece in &pieces {
        turn.append_beside(piece.clone());
        turn.sync().await.unwrap();
    }
    let found = store.beside(&header).await.unwrap();
    assert!(pieces.starts_with(&found), "{} pieces", found.len());
    assert!(store.backlog().await.unwrap().1 >= found.iter().map(|piece| piece.len() as u64).sum());
    turn.finish().await.unwrap();
    assert!(store.beside(&header).await.unwrap() == pieces, "not all of it is there");
}

mod memory {
    use super::*;

    #[tokio::test]
    async fn what_is_beside_a_turn_is_kept() {
        keeps_beside(&Memory::new()).await;
    }

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

    #[tokio::test]
    async fn what_is_beside_a_turn_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        keeps_beside(&Sled::at(dir.path().join("data"))).await;
    }

    #[tokio::test]
    async fn what_is_beside_a_turn_and_torn_is_kept_up_to_there() {
        use aichat_store::{Store, TurnHeader};

        let dir = tempfile::tempdir().unwrap();
        let store = Sled::at(dir.path());
        let session = aichat_message::SessionId::from_bits([1; 10]);
        let header = TurnHeader { session, turn: aichat_message::TurnId::from_bits([2; 10]), base: None };
        let mut turn = store.begin(header.clone(), vec![b"begun".to_vec()]).await.unwrap();
        turn.append_beside(b"first".to_vec());
        turn.append_beside(b"second".to_vec());
        turn.finish().await.unwrap();
        let path = dir.path().join(format!("journal/{}.wire", header.turn));
        let whole = std::fs::read(&path).unwrap();
        for (cut, kept) in [(whole.len() - 1, 1), (whole.len(), 2), (12, 0), (0, 0)] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(store.beside(&header).await.unwrap().len(), kept, "{cut}");
        }
    }

    fn place() -> Place {
        let dir = tempfile::tempdir().unwrap();
        Place::new(move || Arc::new(Sled::at(dir.path().join("data"))))
    }

    aichat_store::contract!(place);

    /// Where the store can be written, a reader is the store.
    mod reader {
        use super::*;
        use aichat_store::SledReader;

        fn place() -> Place {
            let dir = tempfile::tempdir().unwrap();
            Place::new(move || Arc::new(SledReader::over(Sled::at(dir.path().join("data")), [])))
        }

        aichat_store::contract!(place);
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;
    use crate::postgres::server;
    use aichat_store::{Postgres, PostgresAddress};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_beside_a_turn_is_kept() {
        let Some(server) = server() else { return };
        keeps_beside(&Postgres::at(PostgresAddress::parse(&server.database()).unwrap())).await;
    }

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
