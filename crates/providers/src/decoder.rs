//! The seam between framing and adapters: whole frames in, deltas out.

use aichat_message::Delta;

use crate::error::Error;

/// One whole unit of a response body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A server-sent event.
    Event {
        /// The event's name; empty where the server gave none.
        name: &'a str,
        /// Its data.
        data: &'a str,
    },
    /// One value of a JSON stream: a line, or an element of an array that arrives in pieces.
    Value(&'a str),
    /// The whole body, of an answer that is not streamed.
    Whole(&'a str),
}

/// Turns the frames of one answer into deltas. Synchronous, and never called after it pushed a
/// [`Delta::Finish`] or failed.
pub trait Decoder: Send {
    /// Takes one frame and appends what it says to `out`.
    ///
    /// # Errors
    /// Fails where the frame reports an error, and with kind `decode` where it is not what the protocol allows.
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Delta>) -> Result<(), Error>;

    /// Takes the end of the body: appends a [`Delta::Finish`] if a terminal marker was seen, else nothing.
    ///
    /// # Errors
    /// Fails where what came before cannot be an answer.
    fn finish(&mut self, out: &mut Vec<Delta>) -> Result<(), Error>;

    /// Tells whether the answer is over and only trailing facts, the usage for example, may follow.
    ///
    /// From then on the driver waits a short while only, and takes a broken connection for the end.
    fn is_ending(&self) -> bool {
        false
    }
}
