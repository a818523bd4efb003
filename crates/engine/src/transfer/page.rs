//! Sessions as one page of HTML: to read, with the pictures in it, or as a report of everything that happened.

use std::collections::HashMap;

use aichat_events::{
    Fact, LlmRequestStarted, LlmResponseCompleted, LlmResponseFailed, Page, Transcript, View,
};
use aichat_message::{MediaKind, Part, PartKind, SessionId, Source};

use crate::blobs;
use crate::engine::Engine;
use crate::error::Error;
use crate::look::Raw;

impl Engine {
    /// Returns sessions as a page for people to read, which needs nothing but itself.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session, and with kind `store`.
    pub async fn page(&self, sessions: &[SessionId]) -> Result<String, Error> {
        let mut page = None;
        for session in sessions {
            let transcript = self.transcript(session).await?;
            let pictures = self.using_store(self.pictures(&transcript)).await?;
            let title = transcript.name.as_deref().filter(|_| sessions.len() == 1).unwrap_or("Conversation");
            let page = page.get_or_insert_with(|| Page::new(title));
            page.transcript(&transcript, |hash| pictures.get(hash).cloned());
        }
        Ok(page.unwrap_or_else(|| Page::new("Conversation")).into_html())
    }

    /// Returns a session as a page with everything there is to see of it: where the time and the money of each turn
    /// went, every event with its payload, the tree of messages. The page needs nothing but itself.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session, and with kind `store`.
    pub async fn report(&self, session: &SessionId) -> Result<String, Error> {
        let transcript = self.transcript(session).await?;
        let view = View::of(self.events(session).await?);
        let mut page = Page::new(transcript.name.as_deref().unwrap_or("Conversation"));
        let mut raw = HashMap::new();
        for (at, event) in view.events().iter().enumerate() {
            let begins_or_ends =
                [LlmRequestStarted::TYPE, LlmResponseCompleted::TYPE, LlmResponseFailed::TYPE];
            if let (true, Some((kept, span))) = (begins_or_ends.contains(&event.kind()), view.wire(at)) {
                let Raw { request, response } = self.raw(kept, span).await?;
                let begins = event.kind() == LlmRequestStarted::TYPE;
                let pair = if begins { (request, None) } else { (None, response) };
                raw.insert(event.id().clone(), pair);
            }
        }
        page.report(&view, &transcript, |event| raw.get(event.id()).cloned().unwrap_or_default());
        Ok(page.into_html())
    }

    async fn pictures(&self, transcript: &Transcript) -> Result<HashMap<String, Vec<u8>>, Error> {
        let mut pictures = HashMap::new();
        for hash in transcript.entries.iter().flat_map(|entry| named(&entry.message.parts)) {
            if !pictures.contains_key(hash)
                && let Some(bytes) = self.whole_blob(hash).await?
            {
                pictures.insert(hash.to_owned(), bytes);
            }
        }
        Ok(pictures)
    }
}

/// Returns the names of the blobs that are pictures.
fn named(parts: &[Part]) -> Vec<&str> {
    let mut found = Vec::new();
    for part in parts {
        match &part.kind {
            PartKind::Media { media: MediaKind::Image, source: Source::Blob(hash), .. } => {
                found.extend(Some(hash.as_str()).filter(|hash| blobs::is_name(hash)));
            }
            PartKind::ToolResult { content, .. } => found.extend(named(content)),
            _ => {}
        }
    }
    found
}
