//! Heads: the named tips of a session's message tree, and which of them the next turn goes on from.

use std::collections::BTreeMap;

use aichat_message::{MessageId, Role, TurnId};
use serde::{Deserialize, Serialize};

use crate::fact::SessionHeadMoved;

/// How many turns without an end are remembered. More than a few come only from a log that somebody made up.
const MAX_OPEN: usize = 16;

/// Where the branches of a session end, as far as they have names.
///
/// A fold of its own: whoever reads events tells it what they say, in the order of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heads {
    /// The message that the next one follows; `None` before the first one.
    pub head: Option<MessageId>,
    /// The name of the branch that it ends.
    pub branch: String,
    /// The other branches by name, with the message that ends each.
    pub heads: BTreeMap<String, Option<MessageId>>,
    /// The latest turn of the branch, which may move its head.
    #[serde(skip_serializing_if = "Option::is_none")]
    tip: Option<TurnId>,
    /// The head before each turn that has not ended, for one that ends without an answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    open: Vec<(TurnId, Option<MessageId>)>,
    /// The message of the latest turn of the branch, where it stayed without an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    unanswered: Option<MessageId>,
}

impl Default for Heads {
    fn default() -> Self {
        Self::at(None)
    }
}

impl Heads {
    /// The name of the branch that every session begins with.
    pub const MAIN: &'static str = "main";

    /// Returns the heads of a session that begins after a message.
    pub fn at(head: Option<MessageId>) -> Self {
        Self {
            head,
            branch: Self::MAIN.to_owned(),
            heads: BTreeMap::new(),
            tip: None,
            open: Vec::new(),
            unanswered: None,
        }
    }

    /// Returns the last message to show of the branch: the head, or the message that nothing answered after it.
    pub fn shown(&self) -> Option<&MessageId> {
        self.unanswered.as_ref().or(self.head.as_ref())
    }

    /// Returns the message that a branch ends with, this one or another; `None` where there is no such branch.
    pub fn find(&self, branch: &str) -> Option<Option<&MessageId>> {
        match branch == self.branch {
            true => Some(self.head.as_ref()),
            false => self.heads.get(branch).map(Option::as_ref),
        }
    }

    /// Takes in that a head was moved, by a turn or between turns.
    pub fn moved(&mut self, turn: Option<&TurnId>, fact: SessionHeadMoved) {
        if let Some(turn) = turn {
            self.open(turn, self.head.clone());
        }
        if fact.branch != self.branch {
            let left = std::mem::replace(&mut self.branch, fact.branch);
            self.heads.insert(left, self.head.take());
            self.heads.remove(&self.branch);
        }
        self.head = fact.head;
        self.tip = turn.cloned();
        self.unanswered = None;
    }

    /// Takes in that a turn began, with the message that it is to answer.
    pub fn started(&mut self, turn: &TurnId, input: &MessageId) {
        if self.head.as_ref() == Some(input) {
            self.tip = Some(turn.clone());
        }
    }

    /// Takes in that something was said.
    pub fn said(&mut self, turn: Option<&TurnId>, role: Role, id: &MessageId, parent: Option<&MessageId>) {
        if let Some(turn) = turn.filter(|_| [Role::System, Role::User].contains(&role)) {
            self.open(turn, parent.cloned());
            if self.head.as_ref() == parent {
                self.tip = Some(turn.clone());
            }
        }
        if self.head.as_ref() == parent {
            self.head = Some(id.clone());
            self.unanswered = None;
        }
    }

    /// Takes in that another message stands in the place of one, or none.
    pub fn replaced(&mut self, old: &MessageId, new: Option<&MessageId>) {
        let tips = [&mut self.head, &mut self.unanswered].into_iter();
        let all = tips.chain(self.heads.values_mut()).chain(self.open.iter_mut().map(|(_, before)| before));
        all.filter(|tip| tip.as_ref() == Some(old)).for_each(|tip| *tip = new.cloned());
    }

    /// Takes in that a message stands after one now, before what followed that.
    pub fn inserted(&mut self, id: &MessageId, parent: Option<&MessageId>) {
        if self.head.as_ref() == parent {
            self.head = Some(id.clone());
        }
    }

    /// Takes in that a turn ended, with the answer it came to. One without leaves the head where it was before.
    pub fn ended(&mut self, turn: &TurnId, answer: Option<&MessageId>) {
        let open = self.open.iter().position(|(open, _)| open == turn).map(|at| self.open.remove(at).1);
        if self.tip.as_ref() != Some(turn) {
            return;
        }
        match (answer, open) {
            (Some(answer), _) => self.head = Some(answer.clone()),
            (None, Some(before)) => {
                self.unanswered = std::mem::replace(&mut self.head, before);
            }
            (None, None) => {}
        }
    }

    fn open(&mut self, turn: &TurnId, before: Option<MessageId>) {
        if self.open.iter().all(|(open, _)| open != turn) {
            if self.open.len() == MAX_OPEN {
                self.open.remove(0);
            }
            self.open.push((turn.clone(), before));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn msg(n: u8) -> MessageId {
        MessageId::from_bits([n; 10])
    }

    fn turn(n: u8) -> TurnId {
        TurnId::from_bits([n; 10])
    }

    fn to(branch: &str, head: Option<u8>) -> SessionHeadMoved {
        SessionHeadMoved { branch: branch.into(), head: head.map(msg) }
    }

    /// Says message `n` after `parent` in turn `n` and answers it with `n + 1`.
    fn say(heads: &mut Heads, n: u8, parent: Option<u8>) {
        heads.started(&turn(n), &msg(n));
        heads.said(Some(&turn(n)), Role::User, &msg(n), parent.map(msg).as_ref());
        heads.said(Some(&turn(n)), Role::Assistant, &msg(n + 1), Some(&msg(n)));
        heads.ended(&turn(n), Some(&msg(n + 1)));
    }

    #[test]
    fn a_branch_leaves_the_other_where_it_was() {
        let mut heads = Heads::default();
        say(&mut heads, 1, None);
        say(&mut heads, 3, Some(2));
        heads.moved(None, to("other", Some(2)));
        say(&mut heads, 5, Some(2));
        assert_eq!((heads.head.clone(), heads.branch.as_str()), (Some(msg(6)), "other"));
        assert_eq!(heads.find("main"), Some(Some(&msg(4))));
        heads.moved(None, to("main", Some(4)));
        assert_eq!((heads.head.clone(), heads.find("other")), (Some(msg(4)), Some(Some(&msg(6)))));
        assert_eq!(heads.find("never"), None);
    }

    #[test]
    fn a_turn_of_an_older_head_moves_no_head() {
        let mut heads = Heads::default();
        say(&mut heads, 1, None);
        say(&mut heads, 3, Some(2));
        say(&mut heads, 5, Some(2));
        assert_eq!(heads.head, Some(msg(4)));
        heads.started(&turn(7), &msg(7));
        heads.said(Some(&turn(7)), Role::User, &msg(7), Some(&msg(4)));
        heads.moved(None, to("other", Some(2)));
        heads.said(Some(&turn(7)), Role::Assistant, &msg(8), Some(&msg(7)));
        heads.ended(&turn(7), Some(&msg(8)));
        assert_eq!((heads.head.clone(), heads.find("main")), (Some(msg(2)), Some(Some(&msg(7)))));
    }

    #[test]
    fn a_turn_without_an_answer_goes_back_to_where_it_came_from_and_shows_what_it_asked() {
        let mut heads = Heads::default();
        say(&mut heads, 1, None);
        heads.started(&turn(3), &msg(3));
        heads.said(Some(&turn(3)), Role::User, &msg(3), Some(&msg(2)));
        heads.ended(&turn(3), None);
        assert_eq!((heads.head.as_ref(), heads.shown()), (Some(&msg(2)), Some(&msg(3))));
        // So does one with a standing instruction before its message.
        heads.started(&turn(8), &msg(9));
        heads.said(Some(&turn(8)), Role::System, &msg(8), Some(&msg(2)));
        heads.said(Some(&turn(8)), Role::User, &msg(9), Some(&msg(8)));
        heads.ended(&turn(8), None);
        assert_eq!((heads.head.as_ref(), heads.shown()), (Some(&msg(2)), Some(&msg(9))));
        // Answering once more moves the head to the question first; that fails, too.
        heads.moved(Some(&turn(4)), to("main", Some(1)));
        heads.started(&turn(4), &msg(1));
        heads.ended(&turn(4), None);
        assert_eq!((heads.head.as_ref(), heads.shown()), (Some(&msg(2)), Some(&msg(1))));
        say(&mut heads, 5, Some(2));
        assert_eq!(heads.shown(), Some(&msg(6)));
    }

    #[test]
    fn a_writer_taken_for_dead_may_complete_late() {
        let mut heads = Heads::default();
        heads.started(&turn(1), &msg(1));
        heads.said(Some(&turn(1)), Role::User, &msg(1), None);
        heads.said(Some(&turn(1)), Role::Assistant, &msg(2), Some(&msg(1)));
        heads.ended(&turn(1), Some(&msg(2)));
        heads.said(Some(&turn(1)), Role::Assistant, &msg(3), Some(&msg(1)));
        heads.ended(&turn(1), Some(&msg(3)));
        assert_eq!(heads.head, Some(msg(3)));
    }
}
