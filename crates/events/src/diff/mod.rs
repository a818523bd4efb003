//! Two sessions beside each other, as data: what they share, where they part, and what each turn took.

mod align;
mod lines;
mod side;
mod words;

use aichat_message::{MessageId, Role};
use serde::Serialize;

use crate::envelope::Event;
use crate::json::json_difference;

use self::side::{Called, Spoken};
pub use self::side::{Figures, Said, Side};
pub use self::words::{Passage, Whose};

/// Two sessions beside each other: the branch that each goes on from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diff {
    /// One session.
    pub a: Side,
    /// The other one.
    pub b: Side,
    /// What both begin with.
    pub shared: Shared,
    /// Whether what was said differs: roles, text, and calls of tools. What it took never counts.
    pub differs: bool,
    /// The messages that follow, those that stand for each other side by side.
    pub steps: Vec<Step>,
}

/// What two sessions begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shared {
    /// How many messages are the very same events, as those are that a fork has from its parent.
    pub messages: usize,
    /// The last one of them.
    pub last: Option<MessageId>,
    /// How many messages follow that say the same.
    pub alike: usize,
}

/// One message, or two that stand for each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Who speaks.
    pub role: Role,
    /// How the two compare.
    pub change: Change,
    /// The message of one session.
    pub a: Option<Said>,
    /// The message of the other one.
    pub b: Option<Said>,
    /// The text, in pieces that both have or one has.
    pub text: Vec<Passage>,
    /// The calls of tools, those that stand for each other together.
    pub calls: Vec<CallPair>,
}

/// How two messages compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Both say the same.
    Same,
    /// They say different things.
    Changed,
    /// Only one session has it.
    OnlyA,
    /// Only the other one has it.
    OnlyB,
}

/// One call of a tool, or two that stand for each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallPair {
    /// The name of the tool.
    pub name: String,
    /// Whether both call it with the same arguments.
    pub same: bool,
    /// The arguments in one session, as they came.
    pub a: Option<String>,
    /// The arguments in the other one.
    pub b: Option<String>,
}

impl Diff {
    /// Compares two sessions, each given by its events with those of the sessions that it was forked from before
    /// them.
    ///
    /// What is the same event in both is shared exactly. Then come messages that say the same, and then messages are
    /// put side by side by role, by the tools they call and with what, and by what they say. Reasoning and what only a
    /// provider understands are left out.
    pub fn of(a: &[Event], b: &[Event]) -> Self {
        let ((a, said_a), (b, said_b)) = (side::read(a), side::read(b));
        let pairs = || said_a.iter().zip(&said_b);
        let messages = pairs().take_while(|(a, b)| a.hash.is_some() && a.hash == b.hash).count();
        let alike = pairs().skip(messages).take_while(|(a, b)| a.is_same(b)).count();
        let last = messages.checked_sub(1).map(|at| said_a[at].said.id.clone());
        let start = messages + alike;
        let steps: Vec<Step> = align::align(&said_a[start..], &said_b[start..])
            .into_iter()
            .map(|(a, b)| Step::of(a, b))
            .collect();
        let differs = steps.iter().any(|step| step.change != Change::Same);
        Self { a, b, shared: Shared { messages, last, alike }, differs, steps }
    }
}

impl Step {
    fn of(a: Option<&Spoken>, b: Option<&Spoken>) -> Self {
        let change = match (a, b) {
            (Some(a), Some(b)) if a.is_same(b) => Change::Same,
            (Some(_), Some(_)) => Change::Changed,
            (Some(_), None) => Change::OnlyA,
            (None, _) => Change::OnlyB,
        };
        let text = |side: Option<&Spoken>| side.map(|spoken| spoken.text.clone()).unwrap_or_default();
        let calls = |side: Option<&Spoken>| side.map(|spoken| spoken.calls.clone()).unwrap_or_default();
        Self {
            role: a.or(b).map_or(Role::User, |spoken| spoken.role),
            change,
            text: words::parts(&text(a), &text(b)),
            calls: pair_calls(&calls(a), &calls(b)),
            a: a.map(|spoken| spoken.said.clone()),
            b: b.map(|spoken| spoken.said.clone()),
        }
    }
}

impl Called {
    /// Tells whether a call is of the same tool with the same arguments, however these are written.
    fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && json_difference(&self.arguments, &other.arguments, |_| false).is_none()
    }
}

/// Puts calls together: first those that are the same, then those of the same tool, in order.
fn pair_calls(a: &[Called], b: &[Called]) -> Vec<CallPair> {
    let mut partners: Vec<Option<usize>> = vec![None; a.len()];
    let matches: [fn(&Called, &Called) -> bool; 2] = [Called::is_same, |a, b| a.name == b.name];
    for is_partner in matches {
        for (at, call) in a.iter().enumerate() {
            if partners[at].is_none() {
                let free = |other: &usize| !partners.contains(&Some(*other)) && is_partner(call, &b[*other]);
                partners[at] = (0..b.len()).find(free);
            }
        }
    }
    let mut pairs: Vec<CallPair> = a
        .iter()
        .zip(&partners)
        .map(|(call, partner)| CallPair {
            name: call.name.clone(),
            same: partner.is_some_and(|other| call.is_same(&b[other])),
            a: Some(call.arguments.clone()),
            b: partner.map(|other| b[other].arguments.clone()),
        })
        .collect();
    pairs.extend(b.iter().enumerate().filter(|(at, _)| !partners.contains(&Some(*at))).map(|(_, call)| {
        CallPair { name: call.name.clone(), same: false, a: None, b: Some(call.arguments.clone()) }
    }));
    pairs
}
