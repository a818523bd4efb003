//! LLM providers behind one trait: adapters that build requests and decode answers, one driver that owns
//! everything that must be right for all of them, and the transport under it.
//!
//! ```
//! use aichat_message::{Delta, Fold, Message};
//! use aichat_providers::{Provider, Request, Scripted};
//! use futures::StreamExt;
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let provider = Scripted::echo();
//! let call = provider.prepare(Request::new("any", vec![Message::user("hello there")]))?;
//! let mut stream = provider.stream(call).await?;
//! let mut fold = Fold::new();
//! while let Some(delta) = stream.next().await {
//!     fold.apply(&delta?);
//! }
//! assert_eq!(fold.message().text(), "hello there");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A provider on the network is a [`Driver`] of an [`Adapter`] and an [`Endpoint`]; `Http` carries its
//! requests with the feature `http`. Each protocol has its adapter, behind a feature of its name: `Anthropic`,
//! `Gemini`, `Ollama`, `OpenaiChat` (with a `Profile` for every server that departs from it), `OpenaiResponses`,
//! and `Azure` around the last two.
//!
//! Between the two goes whatever wraps a [`Transport`]: [`Recording`] writes exchanges down and [`Replay`] plays
//! them again, [`Throttled`] keeps to rate limits, and [`Fault`] fails as a test wants it. An adapter of your own
//! passes the cases of the module `contract`, with the feature of that name.

#[cfg(feature = "anthropic")]
mod anthropic;
mod array;
#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "_protocol")]
#[allow(dead_code, reason = "no single protocol needs all of it")]
mod body;
mod checkup;
mod classify;
#[cfg(feature = "contract")]
pub mod contract;
mod decoder;
mod driver;
mod endpoint;
mod error;
mod exchange;
mod fault;
#[cfg(feature = "gemini")]
mod gemini;
#[cfg(feature = "_protocol")]
#[allow(dead_code, reason = "no single protocol needs all of it")]
mod history;
#[cfg(feature = "http")]
mod http;
#[cfg(any(feature = "anthropic", feature = "openai-chat"))]
mod instruct;
mod intake;
#[cfg(any(feature = "openai-chat", feature = "openai-responses"))]
mod models;
mod ndjson;
#[cfg(feature = "ollama")]
mod ollama;
#[cfg(feature = "openai-chat")]
mod openai_chat;
#[cfg(feature = "openai-responses")]
mod openai_responses;
mod packed;
mod passing;
mod provider;
#[cfg(feature = "http")]
mod proxies;
#[cfg(feature = "http")]
mod reach;
mod recording;
mod redaction;
mod replay;
mod request;
mod reset;
mod retry;
#[cfg(feature = "_protocol")]
#[allow(dead_code, reason = "no single protocol needs all of it")]
mod scalar;
mod scripted;
mod sse;
#[cfg(any(feature = "anthropic", feature = "openai-chat", feature = "openai-responses"))]
mod stencil;
mod tap;
mod throttled;
mod transport;

#[cfg(feature = "http")]
pub use self::http::Http;
#[cfg(feature = "anthropic")]
pub use anthropic::Anthropic;
pub use array::ArrayDecoder;
#[cfg(feature = "azure")]
pub use azure::Azure;
pub use checkup::{Cause, Checkup, Finding, Step, Verdict};
pub use classify::{in_band, not_json, rate_limits, refused, request_id, retry_after};
pub use decoder::{Decoder, Frame};
pub use driver::{Adapter, Driver, Encoded, Page};
pub use endpoint::{Endpoint, Timeouts};
pub use error::{Error, Obstacle, Timeout};
pub use exchange::{Chunk, End, Exchange, Head, How, Octets, Piece, Sent};
pub use fault::{Fault, Plan};
#[cfg(feature = "gemini")]
pub use gemini::Gemini;
pub use intake::Intake;
pub use ndjson::NdjsonDecoder;
#[cfg(feature = "ollama")]
pub use ollama::Ollama;
#[cfg(feature = "openai-chat")]
pub use openai_chat::{OpenaiChat, Profile};
#[cfg(feature = "openai-responses")]
pub use openai_responses::{OpenaiResponses, Profile as ResponsesProfile};
pub use packed::Outline;
pub use passing::labelled;
pub use provider::{Call, DeltaStream, Info, Model, Provider};
pub use recording::{Recorder, Recording, Tape};
pub use redaction::Redactor;
pub use replay::{Difference, Diverged, Pace, Replay};
pub use request::{Options, Output, Reasoning, Request, ToolChoice};
pub use retry::{Attempt, Retry, RetryPolicy};
pub use scripted::{Scripted, Turn};
pub use sse::{SseDecoder, SseEvent};
pub use tap::{Tap, Wire};
pub use throttled::{Limits, Throttled};
pub use transport::{Body, HttpRequest, HttpResponse, Transport};
