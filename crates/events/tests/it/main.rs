//! The public face of the crate.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic, in what it is built from too")]

mod chain;
mod cost;
mod diff;
mod envelope;
mod fact;
mod html;
mod laws;
mod log;
#[cfg(feature = "otel")]
mod otel;
mod recorder;
mod redact;
mod timeline;
mod transcript;
mod view;
