//! What is different in a fork from what it shares, as facts of the fork.

use aichat_events::{Entry, MessageDropped, MessageEdited, SessionSettingsChanged};
use aichat_message::{Extra, Message, MessageId, Part, PartKind, Role};

use crate::error::Error;
use crate::turn::ModelRef;

/// Something that is different in a fork.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It goes on with this model.
    Model(ModelRef),
    /// This standing instruction goes before everything, in place of all that were shared; none where it is empty.
    System(String),
    /// This message says something else. Attachments and calls of tools stay; reasoning, and what only a provider
    /// understands, do not.
    Edit(MessageId, String),
    /// This message is left out.
    Drop(MessageId),
}

/// A change, as an event of the fork says it.
pub(super) enum Fact {
    Settings(SessionSettingsChanged),
    Edited(MessageEdited),
    Dropped(MessageDropped),
}

/// What a message of the branch becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate<'a> {
    Stays,
    Says(&'a str),
    Goes,
}

/// Returns what a fork's events say of its changes, and the branch as it is with them.
///
/// # Errors
/// Fails with kind `input` where a message is not on the branch, or cannot say anything else, and with kind `usage`
/// where two changes are of the same thing.
pub(super) fn facts(
    branch: &[Entry],
    changes: &[Change],
    mut fresh: impl FnMut() -> MessageId,
) -> Result<(Vec<Fact>, Vec<Message>), Error> {
    let twice =
        |what: &str| Err(Error::new(aichat_message::ErrorKind::Usage, format!("{what} is changed twice")));
    let mut fates = vec![Fate::Stays; branch.len()];
    let mut facts = Vec::new();
    let (mut model, mut system) = (None, None);
    for change in changes {
        let (id, fate) = match change {
            Change::Model(new) => match model.replace(new) {
                None => continue,
                Some(_) => return twice("the model"),
            },
            Change::System(text) => match system.replace(text) {
                None => continue,
                Some(_) => return twice("the standing instruction"),
            },
            Change::Edit(id, text) => (id, Fate::Says(text)),
            Change::Drop(id) => (id, Fate::Goes),
        };
        let Some(at) = branch.iter().position(|entry| entry.id == *id && !entry.erased) else {
            return Err(Error::input(format!("there is no message {id} before the place of the fork")));
        };
        if std::mem::replace(&mut fates[at], fate) != Fate::Stays {
            return twice(&format!("message {id}"));
        }
    }
    if let Some(model) = model {
        facts.push(Fact::Settings(SessionSettingsChanged { model: Some(model.to_string()) }));
    }
    let (mut messages, mut parent) = (Vec::new(), None);
    if let Some(text) = system {
        let standing = || branch.iter().zip(&fates).filter(|(entry, _)| entry.role == Role::System);
        if standing().any(|(_, fate)| *fate != Fate::Stays) {
            return twice("a standing instruction");
        }
        if !text.is_empty() {
            let (id, message) = (fresh(), Message::system(text));
            messages.push(message.clone());
            facts.push(Fact::Edited(MessageEdited { id: id.clone(), parent: None, replaces: None, message }));
            parent = Some(id);
        }
        for (entry, fate) in branch.iter().zip(&mut fates) {
            if entry.role == Role::System {
                *fate = Fate::Goes;
            }
        }
    }
    for (entry, fate) in branch.iter().zip(fates) {
        match fate {
            Fate::Stays => {
                messages.push(entry.message.clone());
                parent = Some(entry.id.clone());
            }
            Fate::Goes => {
                let (id, parent) = (entry.id.clone(), parent.clone());
                facts.push(Fact::Dropped(MessageDropped { id, parent }));
            }
            Fate::Says(text) => {
                let (id, message) = (fresh(), saying(entry, text)?);
                messages.push(message.clone());
                let (parent, replaces) = (parent.replace(id.clone()), Some(entry.id.clone()));
                facts.push(Fact::Edited(MessageEdited { id, parent, replaces, message }));
            }
        }
    }
    Ok((facts, messages))
}

/// Returns a message that says something else.
pub(crate) fn saying(entry: &Entry, text: &str) -> Result<Message, Error> {
    let is_text = |part: &Part| matches!(part.kind, PartKind::Text { .. } | PartKind::Refusal { .. });
    let mut parts = Vec::new();
    let mut new = (!text.is_empty()).then(|| Part::text(text));
    let mut results = 0;
    for part in &entry.message.parts {
        let mut kind = part.kind.clone();
        match &mut kind {
            _ if is_text(part) => {
                parts.extend(new.take());
                continue;
            }
            PartKind::ToolResult { content, .. } => {
                results += 1;
                *content = new.take().into_iter().collect();
            }
            PartKind::Media { .. } | PartKind::ToolCall { .. } => {}
            _ => continue,
        }
        parts.push(Part { kind, id: None, opaque: Vec::new(), extra: Extra::new() });
    }
    if results > 1 {
        let what = format!("message {} has the results of several calls", entry.id);
        return Err(Error::input(format!("{what}, and one text cannot stand for them")));
    }
    // Words go before what is called, and after what is attached.
    if let Some(new) = new {
        let called = parts.iter().position(|part| matches!(part.kind, PartKind::ToolCall { .. }));
        parts.insert(called.unwrap_or(parts.len()), new);
    }
    if parts.is_empty() {
        return Err(Error::input(format!("message {} would say nothing; leave it out instead", entry.id)));
    }
    Ok(Message::new(entry.role, parts))
}
