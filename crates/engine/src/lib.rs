//! One turn after another: the engine composes providers, a store and the event log.

mod context;
mod effects;
mod engine;
mod error;
mod flight;
mod fold;
mod journal;
mod project;
mod record;
mod scribe;
mod secrets;
mod send;
mod session;
mod tail;
mod transfer;
mod turn;

pub use effects::{Clock, Entropy};
pub use engine::{Builder, Engine, Registry};
pub use error::Error;
pub use project::Summary;
pub use secrets::Secrets;
pub use session::{Rebuilt, Verified};
pub use transfer::{Document, Imported};
pub use turn::{ModelRef, Outcome, Progress, Send, Status, TurnStream};
