//! `schema`: the JSON Schemas of everything printed as JSON.

use crate::exit;
use crate::failure::Failure;
use crate::output::Output;

/// Every schema in one document.
pub(crate) const SCHEMAS: &str = include_str!("../../data/schema.json");

pub(crate) fn run() -> Result<u8, Failure> {
    let mut output = Output::stdout()?;
    output.line(SCHEMAS)?;
    output.finish()?;
    Ok(exit::OK)
}
