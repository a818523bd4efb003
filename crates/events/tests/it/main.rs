//! The public face of the crate.

mod chain;
mod envelope;
mod log;
mod redact;
