//! The JSON object of a request, written field by field: the same request gives the same bytes.

use serde::Serialize;

use aichat_message::{ErrorKind, Extra};

use crate::error::Error;
use crate::history::Warnings;
use crate::request::{Request, ToolChoice};

/// A JSON object under way.
///
/// What the caller passes through in `Options::other` comes last and takes the place of a field of the same
/// name, except of those that are the adapter's own.
pub(crate) struct Body<'a> {
    out: Vec<u8>,
    other: &'a Extra,
    own: &'static [&'static str],
    failed: bool,
}

impl<'a> Body<'a> {
    /// Returns an object without fields. `own` names those that `other` cannot replace.
    pub(crate) fn new(other: &'a Extra, own: &'static [&'static str]) -> Self {
        Self { out: Vec::with_capacity(1024), other, own, failed: false }
    }

    /// Writes a field, unless the caller passes one of this name through.
    pub(crate) fn set(&mut self, name: &str, value: impl Serialize) {
        if self.is_ours(name) {
            self.write(name, &value);
        }
    }

    /// Tells whether a field of this name is written by the adapter.
    pub(crate) fn is_ours(&self, name: &str) -> bool {
        self.own.contains(&name) || self.other.get(name).is_none()
    }

    fn write(&mut self, name: &str, value: &impl Serialize) {
        self.out.push(if self.out.is_empty() { b'{' } else { b',' });
        self.failed |= serde_json::to_writer(&mut self.out, name).is_err();
        self.out.push(b':');
        self.failed |= serde_json::to_writer(&mut self.out, value).is_err();
    }

    /// Returns the object, and what of the caller's own fields was left out.
    ///
    /// # Errors
    /// Fails with kind `invalid_request` where a value cannot be written as JSON.
    pub(crate) fn finish(mut self, warnings: &mut Warnings) -> Result<Vec<u8>, Error> {
        for (name, value) in self.other.iter() {
            match self.own.contains(&name) {
                true => warnings.add(format!("{name} cannot be replaced by an extra field")),
                false => self.write(name, value),
            }
        }
        if self.out.is_empty() {
            self.out.push(b'{');
        }
        self.out.push(b'}');
        match self.failed {
            false => Ok(self.out),
            true => Err(Error::new(ErrorKind::InvalidRequest, "the request cannot be written as JSON")),
        }
    }
}

/// Returns the choice among the tools, which servers refuse where there are none.
pub(crate) fn tool_choice<'a>(
    request: &'a Request,
    has_tools: bool,
    warnings: &mut Warnings,
) -> Option<&'a ToolChoice> {
    if !has_tools && is_forced(request) {
        warnings.add("there is no tool to choose from");
    }
    request.tool_choice.as_ref().filter(|_| has_tools)
}

/// Tells whether a call of a tool is demanded.
pub(crate) fn is_forced(request: &Request) -> bool {
    matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Tool(_)))
}
