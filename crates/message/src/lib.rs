//! The vocabulary of aichat: what is said to a model, what it answers, and the one function that turns
//! increments into a whole.
//!
//! Every other crate of the project meets in these types. They are plain data with pure functions: no I/O, no
//! async. JSON that came from somewhere else (unknown fields, unknown parts, tool arguments) is kept as the
//! bytes that came, so that 30-digit integers and odd key orders survive a round trip.
//!
//! ```
//! use aichat_message::{Delta, Fold, Message, Part};
//!
//! let mut fold = Fold::new();
//! fold.apply(&Delta::Text { index: 0, text: "Because of ".into() });
//! fold.apply(&Delta::Text { index: 0, text: "Rayleigh scattering.".into() });
//! let answer: Message = fold.message();
//! assert_eq!(answer.text(), "Because of Rayleigh scattering.");
//! assert_eq!(answer.parts, vec![Part::text("Because of Rayleigh scattering.")]);
//! ```

mod cost;
mod delta;
mod error;
mod finish;
mod fold;
mod id;
mod json;
mod message;
mod money;
mod origin;
mod part;
mod tool;
mod usage;

pub use cost::{CostStatus, Total};
pub use delta::{Delta, Start};
pub use error::ErrorKind;
pub use finish::{Finish, FinishReason};
pub use fold::Fold;
pub use id::{CallId, EventId, IdError, MessageId, SessionId, TurnId, WriterId};
pub use json::{Extra, Json, JsonError};
pub use message::{Message, Role};
pub use money::{Currency, Money, MoneyError};
pub use origin::{Origin, Protocol};
pub use part::{Executor, MediaKind, Opaque, OpaqueKind, Part, PartKind, ReasoningBlock, Source};
pub use tool::{Arguments, ToolSpec};
pub use usage::{Buckets, Usage};
