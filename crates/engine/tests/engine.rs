//! The engine over the scripted provider and the stores, as an embedding program uses it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "engine/agents.rs"]
mod agents;
#[path = "engine/attachments.rs"]
mod attachments;
#[path = "engine/batches.rs"]
mod batches;
#[path = "engine/budgets.rs"]
mod budgets;
#[path = "engine/care.rs"]
mod care;
#[path = "engine/clock.rs"]
mod clock;
#[path = "engine/costs.rs"]
mod costs;
#[path = "engine/documents.rs"]
mod documents;
#[path = "engine/embedded.rs"]
mod embedded;
#[path = "engine/fallbacks.rs"]
mod fallbacks;
#[path = "engine/follow.rs"]
mod follow;
#[path = "engine/foreign.rs"]
mod foreign;
#[path = "engine/forks.rs"]
mod forks;
#[path = "engine/mends.rs"]
mod mends;
#[path = "engine/recording.rs"]
mod recording;
#[path = "engine/replay.rs"]
mod replay;
#[path = "engine/search.rs"]
mod search;
#[path = "engine/sessions.rs"]
mod sessions;
#[path = "engine/support.rs"]
mod support;
#[path = "engine/transfer.rs"]
mod transfer;
#[path = "engine/trees.rs"]
mod trees;
#[path = "engine/turns.rs"]
mod turns;
#[path = "engine/wire.rs"]
mod wire;
