//! One turn after another: the engine composes providers, a store and the event log.
//!
//! [`Engine::send`] makes the user's message durable, calls the provider, and gives a [`TurnStream`] of what
//! happens; every turn is recorded as events while it runs. Turns in flight are folded into the log by whoever
//! reads next, so that a program which sends one prompt and ends does not open the log at all. Sessions are
//! listed, found, renamed, deleted, exported and imported by the other functions of [`Engine`]. Agents and templates
//! are documents, kept in every version they had.
//!
//! ```
//! use aichat_engine::{Engine, ModelRef, Progress, Send};
//! use aichat_message::Delta;
//! use aichat_providers::Scripted;
//! use aichat_store::Memory;
//! use futures::StreamExt;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let engine = Engine::builder(Memory::new()).provider(Scripted::echo()).build();
//! let mut turn = engine.send(Send::new(ModelRef::new("scripted", "any"), "hello")).await?;
//! let mut answer = String::new();
//! while let Some(progress) = turn.next().await {
//!     if let Progress::Delta(Delta::Text { text, .. }) = progress {
//!         answer.push_str(&text);
//!     }
//! }
//! let outcome = turn.outcome().await?;
//! assert_eq!((answer.as_str(), outcome.message.text().as_str()), ("hello", "hello"));
//! assert_eq!(engine.verify(&outcome.session).await?.fault, None);
//! # Ok::<(), aichat_engine::Error>(())
//! # }).unwrap();
//! ```

mod agent;
mod answer;
mod attachment;
mod batch;
mod blobs;
mod budget;
mod care;
mod choice;
mod company;
mod context;
mod cost;
mod costs;
mod document;
mod engine;
mod error;
mod fallback;
mod fields;
mod flight;
mod fold;
mod follow;
mod foreign;
mod fork;
mod journal;
#[cfg(feature = "json-schema")]
mod json_schema;
mod look;
mod mend;
mod name;
mod options;
mod preview;
mod project;
mod purge;
mod rebuild;
mod record;
mod replay;
mod report;
mod reprice;
mod result;
mod schema;
mod search;
mod secrets;
mod send;
mod session;
mod tail;
mod template;
mod transfer;
mod tree;
mod turn;
mod wire;
mod work;

pub use agent::Agent;
pub use aichat_events::{Clock, Entropy};
pub use answer::{Form, Misfit};
pub use attachment::{MAX_ATTACHMENT, attach, block, link};
pub use batch::{Batch, Done, Found, InputLine, InputLines, Question, Tally};
pub use budget::Budget;
pub use care::{Compacted, Copied, Examined, Finding, Overview, Refused, Subject};
pub use choice::{Unnamed, nearest};
pub use company::{Company, Draw};
pub use costs::{CostBy, CostGroup, CostQuery, Costs};
pub use document::{DocumentKind, Versioned};
pub use engine::{Builder, Engine, Registry};
pub use error::{Error, Reason, phrase};
pub use fallback::Reroute;
pub use fields::{output_of_fields, output_of_schema};
pub use follow::{Follow, Happened};
pub use foreign::{Adopted, Foreign, Importer, Said, importers, recognise};
pub use fork::{Change, Fork, ForkAt};
#[cfg(feature = "json-schema")]
pub use json_schema::JsonSchema;
pub use look::{Looked, Pulse, Raw};
pub use mend::MAX_MENDS;
pub use options::{read_options, unset_option};
pub use preview::{Ask, Preview, Verdict};
pub use project::Summary;
pub use purge::Purged;
pub use rebuild::Rebuilt;
pub use replay::{Adapters, Divergence, RawRequest, ReplayOutcome, Replayed, TurnReplay};
pub use report::Report;
pub use result::TurnResult;
pub use schema::{Check, Outline, Validator, Violation};
pub use search::{Hit, Search, Snippet};
pub use secrets::Secrets;
pub use session::Verified;
pub use template::{Piece, Template};
pub use transfer::{Document, Export, ExportForm, Exporting, Imported, Importing, MAX_LINE, Rejected};
pub use turn::{After, ModelRef, Outcome, Progress, Send, Status, TurnStream};
pub use wire::RecordWire;
pub use work::{Step, Work};
