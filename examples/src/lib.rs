//! Nothing but a place for the examples beside it: one program a crate, the crates composed, a provider and a
//! store of one's own.
