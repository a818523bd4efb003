//! LLM providers behind one trait: adapters that build requests and decode answers, one driver that owns
//! everything that must be right for all of them, and the transport under it.

mod error;
mod provider;
mod request;
mod transport;

pub use error::{Error, Timeout};
pub use provider::{Call, DeltaStream, Info, Model, Provider};
pub use request::{Options, Reasoning, Request, ToolChoice};
pub use transport::{Body, HttpRequest, HttpResponse, Transport};
