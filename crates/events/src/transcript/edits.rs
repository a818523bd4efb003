//! Edits: messages that stand in the place of others, and messages that are left out.

use aichat_message::MessageId;

use super::{Entry, Folding};
use crate::envelope::Event;
use crate::fact::{MessageDropped, MessageEdited};

impl Folding {
    /// Puts a message in the place of another one, or between the one that it follows and what followed that.
    pub(super) fn edit(&mut self, event: &Event, fact: MessageEdited) {
        if self.entries.contains_key(&fact.id) {
            return self.warn(event, format!("event {} repeats a message", event.seq()));
        }
        let MessageEdited { id, parent, replaces, message } = fact;
        let mut entry = Entry {
            id: id.clone(),
            parent,
            turn: event.turn().cloned(),
            seq: event.seq(),
            ts: event.ts(),
            role: message.role,
            message,
            partial: false,
            erased: false,
            replaces,
        };
        let Some(old) = &entry.replaces else {
            let follows = |other: &Entry| other.parent == entry.parent;
            let next = self.done.entries.iter().position(follows);
            self.done.heads.inserted(&id, entry.parent.as_ref());
            self.follow(&entry.parent.clone(), Some(&id));
            let at = next.unwrap_or(self.done.entries.len());
            self.done.entries.insert(at, entry);
            return self.count_places();
        };
        let Some(at) = self.entries.remove(old) else {
            let what = format!("event {} edits a message that is not here", event.seq());
            return self.warn(event, what);
        };
        self.follow(&Some(old.clone()), Some(&id));
        self.rename(old, Some(&id));
        entry.parent.clone_from(&self.done.entries[at].parent);
        entry.turn.clone_from(&self.done.entries[at].turn);
        self.done.entries[at] = entry;
        self.entries.insert(id, at);
    }

    /// Leaves a message out; what followed it follows what it followed.
    pub(super) fn leave_out(&mut self, event: &Event, fact: &MessageDropped) {
        let Some(at) = self.entries.remove(&fact.id) else {
            let what = format!("event {} leaves out a message that is not here", event.seq());
            return self.warn(event, what);
        };
        let parent = self.done.entries.remove(at).parent;
        self.follow(&Some(fact.id.clone()), parent.as_ref());
        self.done.heads.replaced(&fact.id, parent.as_ref());
        self.turns_of(&fact.id, None);
        self.count_places();
    }

    /// Makes the messages that follow one follow another.
    fn follow(&mut self, before: &Option<MessageId>, after: Option<&MessageId>) {
        for entry in self.done.entries.iter_mut().filter(|entry| entry.parent == *before) {
            entry.parent = after.cloned();
        }
    }

    fn rename(&mut self, old: &MessageId, new: Option<&MessageId>) {
        self.done.heads.replaced(old, new);
        self.turns_of(old, new);
    }

    fn turns_of(&mut self, old: &MessageId, new: Option<&MessageId>) {
        let named = self.done.turns.iter_mut().flat_map(|turn| [&mut turn.input, &mut turn.answer]);
        named.filter(|named| named.as_ref() == Some(old)).for_each(|named| *named = new.cloned());
    }

    pub(super) fn count_places(&mut self) {
        let places = self.done.entries.iter().enumerate();
        self.entries = places.map(|(at, entry)| (entry.id.clone(), at)).collect();
    }
}
