//! Branches: the heads of a session's message tree are put on messages, named, switched between and taken back.

use std::time::Duration;

use aichat_events::{Entry, Heads, SessionHeadMoved, Transcript};
use aichat_message::{Message, MessageId, Role, SessionId};
use aichat_store::{Scan, Table};

use crate::engine::Engine;
use crate::error::Error;
use crate::fork::saying;
use crate::name;
use crate::project::{Place, Summary};

impl Engine {
    /// Begins a branch at a message and goes on from there. Without a name it gets the next free one of the form
    /// `branch-2`.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such message in the session, or the name is taken or cannot be one,
    /// with `busy` where one of its turns is in flight, and with kind `store`.
    pub async fn branch(
        &self,
        session: &SessionId,
        at: &MessageId,
        name: Option<&str>,
    ) -> Result<Summary, Error> {
        // A turn that began meanwhile would follow a head that is another one by then.
        let _lease = self.store().lease(session, Duration::ZERO).await?;
        self.using_store(async {
            let (heads, transcript) = self.messages_of(session).await?;
            if transcript.entry(at).is_none_or(|entry| entry.erased) {
                return Err(Error::input(format!("there is no message {at} in session {session}")));
            }
            let branch = match name {
                Some(name) => {
                    name::check("a branch", name, &["msg_", "@"])?;
                    if heads.find(name).is_some() {
                        return Err(Error::input(format!("session {session} has a branch {name:?} already")));
                    }
                    name.to_owned()
                }
                None => free_name(&heads),
            };
            self.change(session, &SessionHeadMoved { branch, head: Some(at.clone()) }).await?;
            self.summary(session).await
        })
        .await
    }

    /// Goes on from another branch.
    ///
    /// # Errors
    /// Fails with kind `input` where the session has no such branch, with `busy` where one of its turns is in
    /// flight, and with kind `store`.
    pub async fn switch(&self, session: &SessionId, branch: &str) -> Result<Summary, Error> {
        let _lease = self.store().lease(session, Duration::ZERO).await?;
        self.using_store(async {
            self.settle().await?;
            self.check_idle(session).await?;
            let summary = self.summary(session).await?;
            if branch == summary.heads.branch {
                return Ok(summary);
            }
            let Some(head) = summary.heads.heads.get(branch).cloned() else {
                let names: Vec<&str> = summary.heads.heads.keys().map(String::as_str).collect();
                let others = if names.is_empty() { "no other".to_owned() } else { names.join(", ") };
                return Err(Error::input(format!(
                    "session {session} has no branch {branch:?}; it is on {:?} and has {others}",
                    summary.heads.branch
                )));
            };
            self.change(session, &SessionHeadMoved { branch: branch.to_owned(), head }).await?;
            self.summary(session).await
        })
        .await
    }

    /// Takes the last turn back, with those that had its answer mended: the next one goes on from before its message,
    /// which is returned. What was said stays,
    /// and has a branch that ends with it: where no other one does, a new branch begins.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session or nothing was asked in it, with `busy` where one of its
    /// turns is in flight, and with kind `store`.
    pub async fn undo(&self, session: &SessionId) -> Result<Entry, Error> {
        let last = |asked: &[&Entry]| {
            let entry = asked.last().map(|entry| (*entry).clone());
            entry.ok_or_else(|| Error::input(format!("there is nothing to take back in session {session}")))
        };
        self.go_back(session, last).await
    }

    /// Goes back to before a message of the user, as [`undo`](Self::undo) does before the last one, and returns the
    /// message with another text, ready to be sent. What is attached to it stays.
    ///
    /// # Errors
    /// Fails as `undo` does, and with kind `input` where the message is not the user's or not on the branch that the
    /// session goes on from, or would say nothing.
    pub async fn edit(&self, session: &SessionId, message: &MessageId, text: &str) -> Result<Message, Error> {
        let mut edited = None;
        let named = |asked: &[&Entry]| {
            let entry = asked.iter().find(|entry| entry.id == *message).map(|entry| (*entry).clone());
            let entry = entry
                .ok_or_else(|| Error::input(format!("{message} is no message of the user on this branch")))?;
            edited = Some(saying(&entry, text)?);
            Ok(entry)
        };
        self.go_back(session, named).await?;
        let mut edited = edited.expect("whoever went back has found the message");
        self.fetch_media(std::slice::from_mut(&mut edited)).await?;
        Ok(edited)
    }

    /// Returns the branches and messages of a session of which no turn is in flight.
    async fn messages_of(&self, session: &SessionId) -> Result<(Heads, Transcript), Error> {
        self.settle().await?;
        self.check_idle(session).await?;
        let heads = self.summary(session).await?.heads;
        Ok((heads, Transcript::fold(&self.lineage(session).await?)))
    }

    /// Goes back to before the message that is chosen from what was asked on the branch that the next turn goes on from,
    /// a question that nothing answered included, and returns it.
    async fn go_back(
        &self,
        session: &SessionId,
        choose: impl FnOnce(&[&Entry]) -> Result<Entry, Error>,
    ) -> Result<Entry, Error> {
        let _lease = self.store().lease(session, Duration::ZERO).await?;
        self.using_store(async {
            let (heads, transcript) = self.messages_of(session).await?;
            let branch = heads.shown().map(|tip| transcript.branch(tip)).unwrap_or_default();
            let entry = choose(&transcript.asked(heads.shown()))?;
            // A standing instruction that was said with it goes with it.
            let said = branch.iter().rev().skip_while(|other| other.id != entry.id).skip(1);
            let stays = |other: &&&Entry| other.role != Role::System || other.turn != entry.turn;
            let before = said.into_iter().find(stays).map(|other| other.id.clone());
            let is_kept = heads.head == before
                || heads.heads.values().flatten().any(|tip| {
                    transcript.branch(tip).iter().any(|other| Some(&other.id) == heads.head.as_ref())
                });
            let branch = if is_kept { heads.branch.clone() } else { free_name(&heads) };
            self.change(session, &SessionHeadMoved { branch, head: before }).await?;
            Ok(entry)
        })
        .await
    }

    /// Finds a message of a session by its id, a unique beginning of it, or `@last` and `@last~N`, counted back from
    /// the end of the branch that the session goes on from.
    ///
    /// # Errors
    /// Fails with kind `input` where nothing or more than one message matches, and with kind `store`.
    pub async fn message(&self, session: &SessionId, text: &str) -> Result<MessageId, Error> {
        let transcript = self.transcript(session).await?;
        let nothing = || Error::input(format!("no message of session {session} matches {text:?}"));
        if let Some(rest) = text.strip_prefix("@last") {
            let back = match rest.strip_prefix('~') {
                None if rest.is_empty() => 0,
                Some(digits) => digits.parse::<usize>().map_err(|_| nothing())?,
                None => return Err(nothing()),
            };
            let head = transcript.heads.head.as_ref().ok_or_else(nothing)?;
            let branch = transcript.branch(head);
            let at = branch.len().checked_sub(1).and_then(|last| last.checked_sub(back));
            return at.map(|at| branch[at].id.clone()).ok_or_else(nothing);
        }
        let ids = transcript.entries.iter().map(|entry| &entry.id);
        one(text, ids.filter(|id| is_beginning(text, id)).cloned().collect())
    }

    /// Finds a message of any session by its id or a unique beginning of it, and its session.
    ///
    /// # Errors
    /// Fails with kind `input` where nothing or more than one message matches, and with kind `store`.
    pub async fn find_message(&self, text: &str) -> Result<(SessionId, MessageId), Error> {
        self.using_store(async {
            self.settle().await?;
            if !text.starts_with("msg_") || text.len() <= "msg_".len() {
                return Err(Error::input(format!("{text:?} is no beginning of the id of a message")));
            }
            let scan = Scan { prefix: text.into(), limit: Some(10), ..Scan::default() };
            let rows = self.store().scan(Table::Places, scan).await?;
            let mut found: Vec<(MessageId, SessionId)> = Vec::new();
            for (key, row) in &rows {
                let id = std::str::from_utf8(key).ok().and_then(|key| key.split('\0').next()?.parse().ok());
                let place = serde_json::from_slice::<Place>(row).ok();
                if let Some((id, place)) = id.zip(place) {
                    self.summary(&place.session).await?;
                    found.push((id, place.session));
                }
            }
            let id = one(text, found.iter().map(|(id, _)| id.clone()).collect())?;
            let session = found.into_iter().find(|(found, _)| *found == id).map(|(_, session)| session);
            Ok((session.expect("the message is one of those found"), id))
        })
        .await
    }
}

/// Returns the first name of the form `branch-2` that no branch has.
fn free_name(heads: &Heads) -> String {
    (2..)
        .map(|number| format!("branch-{number}"))
        .find(|name| heads.find(name).is_none())
        .expect("there are more numbers than branches")
}

fn is_beginning(text: &str, id: &MessageId) -> bool {
    text.len() > "msg_".len() && id.as_str().starts_with(text)
}

/// Returns the one message that a text stands for.
fn one(text: &str, found: Vec<MessageId>) -> Result<MessageId, Error> {
    match &found[..] {
        [] => Err(Error::input(format!("no message matches {text:?}"))),
        [one] => Ok(one.clone()),
        several => match several.iter().find(|id| id.as_str() == text) {
            Some(exact) => Ok(exact.clone()),
            None => {
                let candidates: Vec<&str> = several.iter().take(5).map(MessageId::as_str).collect();
                Err(Error::input(format!("{text:?} is ambiguous: {}", candidates.join(", "))))
            }
        },
    }
}
