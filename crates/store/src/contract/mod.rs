//! What every backend promises, as cases that a stranger's backend can run.
//!
//! A test of a backend names its cases with [`contract!`](crate::contract!), which makes one `#[tokio::test]` of
//! each:
//!
//! ```
//! use std::sync::Arc;
//! use aichat_store::{Memory, contract::Place};
//!
//! fn memory() -> Place {
//!     let store = Memory::new();
//!     Place::new(move || Arc::new(store.clone()))
//! }
//!
//! aichat_store::contract!(memory);
//! # fn main() {}
//! ```

mod blobs;
mod ledger;
mod log;
mod samples;
mod tables;
mod turns;

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::store::Store;

pub use self::blobs::*;
pub use self::ledger::*;
pub use self::log::*;
pub use self::tables::*;
pub use self::turns::*;

/// A place that holds one store, empty at first, and can be opened more than once.
pub struct Place(Box<dyn Fn() -> Arc<dyn Store> + Send + Sync>);

impl Place {
    /// Returns a place that is opened so. What must outlive its stores, a temporary directory for one, is kept
    /// by the closure.
    pub fn new(open: impl Fn() -> Arc<dyn Store> + Send + Sync + 'static) -> Self {
        Self(Box::new(open))
    }

    /// Opens the place.
    pub fn open(&self) -> Arc<dyn Store> {
        (self.0)()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

/// Makes one test of every case, each with a fresh place from the function named, or with none where it returns an
/// `Option` and there is none to be had. Needs `tokio` with `macros` and `rt-multi-thread` among the
/// dev-dependencies.
#[macro_export]
macro_rules! contract {
    ($place:path) => {
        $crate::contract!(@ $place:
            a_stream_grows_from_its_head
            a_stale_head_is_a_conflict
            sequence_numbers_have_no_gaps
            a_commit_is_all_or_nothing
            units_of_one_commit_see_each_other
            known_events_stay_as_they_are
            an_event_has_one_place
            replaced_events_keep_their_place
            events_are_paged
            streams_are_paged
            large_values_come_back
            two_writers_lose_nothing
            a_released_store_goes_on
            a_table_is_ordered
            a_scan_keeps_to_its_bounds
            a_visit_sees_every_entry_once
            rows_come_in_the_order_asked_for
            writes_replace_and_remove
            a_key_has_an_end
            a_rebuild_replaces_projections_only
            blobs_are_named_by_their_bytes
            blobs_are_listed
            blobs_in_use_stay
            a_pin_holds_off_removal
            a_compacted_store_holds_what_it_held
            a_store_tells_what_is_in_it
            a_turn_is_pending_until_it_is_folded
            a_dropped_turn_is_an_orphan
            a_running_turn_is_seen_and_not_claimed
            a_claim_is_repeated_until_the_commit
            a_folded_turn_is_folded_once
            a_failed_commit_keeps_its_turns
            turns_follow_their_base
            a_turn_waits_for_a_running_base
            what_is_beside_a_turn_goes_with_it
            a_turn_begins_once
            the_backlog_counts_what_waits
            a_lease_has_one_holder
            a_hold_counts_until_it_is_settled
            a_limit_is_kept_to_the_last
            many_never_overdraw
        );
    };
    (@ $place:path: $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(place) = ::core::option::Option::<$crate::contract::Place>::from($place()) {
                    $crate::contract::$case(&place).await;
                }
            }
        )*
    };
}

/// Unwraps what a store must answer here.
#[track_caller]
fn ok<T>(result: Result<T, Error>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the store failed: {error:?}"),
    }
}

/// Asserts that a store refuses something so.
#[track_caller]
fn refused<T>(result: Result<T, Error>, kind: ErrorKind) {
    match result {
        Ok(_) => panic!("the store accepted what is {kind:?}"),
        Err(error) => assert_eq!(error.kind(), kind, "{error:?}"),
    }
}
