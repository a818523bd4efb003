//! Conversations held with other tools: what an importer makes of a file, and which importers there are.
//!
//! An [`Importer`] is a pure function from text to [`Foreign`] conversations: it opens nothing, and everything it
//! cannot place it names in [`Foreign::lost`]. [`Engine::adopt`](crate::Engine::adopt) makes sessions of them. A
//! format of one's own is one `impl Importer` more; `examples/own_importer.rs` has a whole one.

mod adopt;
mod aichat_yaml;
mod llm_logs;
mod yaml;

use aichat_events::LlmResponseCompleted;
use aichat_message::{MediaKind, Message};

use crate::error::Error;

pub use adopt::Adopted;

/// Reads the conversations of one tool.
pub trait Importer: Send + Sync {
    /// Returns the name of the tool, as it is recorded. What is taken in is told apart by it, so it never changes.
    fn tool(&self) -> &'static str;

    /// Tells whether a text is of this tool; its beginning should be enough. A text that has the looks and turns out
    /// to be damaged is [`read`](Self::read)'s to refuse.
    fn recognises(&self, text: &str) -> bool;

    /// Reads every conversation in a text.
    ///
    /// # Errors
    /// Fails with kind `input`, naming the place, where the text is not what it should be. Then nothing is taken in.
    fn read(&self, text: &str) -> Result<Vec<Foreign>, Error>;
}

/// A conversation that was held with another tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// The tool's own id of the conversation. Without one, a conversation is known by its name and how it begins.
    pub id: Option<String>,
    /// What it was called. Without an id, it becomes the name of the session, where that is free.
    pub name: Option<String>,
    /// What was said, in order: instructions, questions, answers, results of tools. A turn begins with the first of
    /// the instructions or questions that follow upon anything else.
    pub said: Vec<Said>,
    /// What of it has no place here, a phrase each.
    pub lost: Vec<String>,
}

/// One message of a foreign conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The message. The origin of an answer says who was asked.
    pub message: Message,
    /// What tells it apart from every other message of the conversation. Without it, that is what was said and
    /// everything before it.
    pub id: Option<String>,
    /// When it was said, in microseconds since 1970 UTC.
    pub at: Option<i64>,
    /// How an answer came to its end, and what it took.
    pub response: Option<LlmResponseCompleted>,
}

impl Said {
    /// Returns a message of which no more is known.
    pub fn new(message: Message) -> Self {
        Self { message, id: None, at: None, response: None }
    }
}

/// Returns which kind of media a media type is.
fn media_kind(mime: &str) -> MediaKind {
    match mime.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::File,
    }
}

/// Returns the importers that come along.
pub fn importers() -> Vec<Box<dyn Importer>> {
    vec![Box::new(aichat_yaml::AichatYaml), Box::new(llm_logs::LlmLogs)]
}

/// Returns the first importer that comes along and recognises a text.
pub fn recognise(text: &str) -> Option<Box<dyn Importer>> {
    importers().into_iter().find(|importer| importer.recognises(text))
}
