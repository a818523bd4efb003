//! Attachments at rest: in the log a medium is the name of a blob, in a request it is its bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use serde::Deserialize;

use aichat_events::{Event, Fact, LlmWireKept};
use aichat_message::{Json, Message, Part, PartKind, Source};
use aichat_store::{ErrorKind as StoreErrorKind, Lease};

use crate::engine::Engine;
use crate::error::Error;

impl Engine {
    /// Keeps the media of a message as blobs, each once however often it is attached, and returns the message with
    /// their names. Where there are any, `pin` is to be held until the message is in a journal or in the log.
    pub(crate) async fn keep_media(
        &self,
        message: &Message,
        pin: &mut Option<Box<dyn Lease>>,
    ) -> Result<Message, Error> {
        let mut kept = message.clone();
        for source in sources(&mut kept.parts) {
            // Base64 that would not come back byte for byte stays as it is.
            let bytes = match &*source {
                Source::Base64(text) => {
                    STANDARD.decode(text).ok().filter(|bytes| STANDARD.encode(bytes) == *text)
                }
                _ => None,
            };
            if let Some(bytes) = bytes {
                if pin.is_none() {
                    *pin = Some(self.0.store.pin().await?);
                }
                *source = Source::Blob(self.0.store.put_blob(&bytes).await?);
            }
        }
        Ok(kept)
    }

    /// Returns the bytes of a blob, unless they are gone or damaged.
    pub(crate) async fn whole_blob(&self, hash: &str) -> Result<Option<Vec<u8>>, Error> {
        if !is_name(hash) {
            return Ok(None);
        }
        match self.0.store.blob(hash).await {
            Err(error) if error.kind() == StoreErrorKind::Corrupt => Ok(None),
            read => Ok(read?),
        }
    }

    /// Puts the bytes of blobs into messages that are to be sent. A medium whose blob is gone or damaged is left out,
    /// with a warning.
    pub(crate) async fn fetch_media(&self, messages: &mut [Message]) -> Result<Vec<String>, Error> {
        let mut gone = Vec::new();
        for message in messages {
            for source in sources(&mut message.parts) {
                let Source::Blob(hash) = &*source else { continue };
                match self.whole_blob(hash).await? {
                    Some(bytes) => *source = Source::Base64(STANDARD.encode(bytes)),
                    None => gone.push(hash.clone()),
                }
            }
            retain(&mut message.parts, &gone);
        }
        let warning =
            |hash: &String| format!("an attachment is left out: its blob {hash} is not whole in the store");
        Ok(gone.iter().map(warning).collect())
    }
}

/// Returns the names of the blobs that parts refer to; a name that cannot be one is none.
pub(crate) fn names(parts: &[Part]) -> Vec<&str> {
    let mut found = Vec::new();
    for part in parts {
        match &part.kind {
            PartKind::Media { source: Source::Blob(hash), .. } if is_name(hash) => found.push(hash.as_str()),
            PartKind::ToolResult { content, .. } => found.extend(names(content)),
            _ => {}
        }
    }
    found
}

/// Returns the names of the blobs that an event refers to.
pub(crate) fn of(event: &Event) -> Vec<String> {
    #[derive(Deserialize)]
    struct Said {
        message: Message,
    }
    if let Some(wire) = LlmWireKept::of(event) {
        return vec![wire.blob.to_string()];
    }
    let may = |payload: &&Json| event.kind().starts_with("message.") && payload.get().contains("\"blob\"");
    let said = event.payload().filter(may).and_then(|_| event.payload_as::<Said>().ok());
    said.map(|said| names(&said.message.parts).into_iter().map(str::to_owned).collect()).unwrap_or_default()
}

/// Tells whether a text can be the name of a blob.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Returns where the bytes of every medium are, those within results of tools included.
fn sources(parts: &mut [Part]) -> Vec<&mut Source> {
    let mut found = Vec::new();
    for part in parts {
        match &mut part.kind {
            PartKind::Media { source, .. } => found.push(source),
            PartKind::ToolResult { content, .. } => found.extend(sources(content)),
            _ => {}
        }
    }
    found
}

fn retain(parts: &mut Vec<Part>, gone: &[String]) {
    parts.retain_mut(|part| match &mut part.kind {
        PartKind::Media { source: Source::Blob(hash), .. } => !gone.contains(hash),
        PartKind::ToolResult { content, .. } => {
            retain(content, gone);
            true
        }
        _ => true,
    });
}
