//! Everything about one event, in tabs: what it says, its payload, the raw exchange, what it cost, what led to it.

use std::collections::HashSet;

use aichat_message::{Json, Message, Money};
use serde::Serialize;

use super::json::{outline, pretty};
use super::line::{Line, Tone, flow};
use super::{EventRow, View};
use crate::columns::{fit, wrap};
use crate::envelope::Event;
use crate::fact::{
    CostCalculated, CostRevised, Fact, MessageAssistant, MessageEdited, MessageSystem, MessageTool,
    MessageUser,
};
use crate::markdown;
use crate::sanitise::{label, sanitise};

/// How many causes are followed.
const MAX_CAUSES: usize = 256;

/// Everything about one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// Its row.
    pub event: EventRow,
    /// The names and numbers around its payload.
    pub envelope: Vec<(&'static str, String)>,
    /// What it says, for people.
    pub rendered: String,
    /// Its payload as it was written; `None` where it was erased.
    pub payload: Option<Json>,
    /// The request of its call, as it was sent; `None` where it is not recorded.
    pub request: Option<String>,
    /// The answer to it, as it came; `None` where it is not recorded.
    pub response: Option<String>,
    /// What its call cost, as far as it was calculated.
    pub cost: Vec<CostCalculated>,
    /// The events that led to it, the one before it first.
    pub causes: Vec<EventRow>,
}

/// One aspect of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tab {
    /// What it says.
    #[default]
    Rendered,
    /// Its payload.
    Payload,
    /// The request as it was sent.
    Request,
    /// The answer as it came.
    Response,
    /// What it cost.
    Cost,
    /// What led to it.
    Causes,
}

impl Tab {
    /// Every tab, from left to right.
    pub const ALL: [Self; 6] =
        [Self::Rendered, Self::Payload, Self::Request, Self::Response, Self::Cost, Self::Causes];

    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rendered => "rendered",
            Self::Payload => "payload",
            Self::Request => "request",
            Self::Response => "response",
            Self::Cost => "cost",
            Self::Causes => "causes",
        }
    }

    /// Returns the tab so many steps further right; after the last comes the first.
    #[must_use]
    pub fn step(self, steps: isize) -> Self {
        let at = Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0);
        let count = Self::ALL.len() as isize;
        Self::ALL[(at as isize + steps).rem_euclid(count) as usize]
    }
}

impl Detail {
    pub(super) fn of(view: &View, at: usize) -> Option<Self> {
        let event = view.events.get(at)?;
        Some(Self {
            event: view.rows[at].clone(),
            envelope: envelope(event),
            rendered: rendered(event),
            payload: event.payload().cloned(),
            request: None,
            response: None,
            cost: costs(view, event),
            causes: causes(view, at),
        })
    }

    /// Returns a tab as lines of at most `width` columns, safe to show.
    pub fn lines(&self, tab: Tab, width: usize) -> Vec<Line> {
        match tab {
            Tab::Rendered => {
                let mut lines = flow(self.event.head(), width, 0);
                for (name, value) in &self.envelope {
                    let name = Line::plain("").and(Tone::Soft, format!("{name:<12}"));
                    lines.push(name.and(Tone::Plain, sanitise(value).into_owned()).cut(width));
                }
                lines.push(Line::default());
                lines.extend(plain(&self.rendered, width));
                lines
            }
            Tab::Payload => match &self.payload {
                Some(payload) => plain(&pretty(payload.get()), width),
                None => said("the payload was erased"),
            },
            Tab::Request => raw(self.request.as_deref(), width),
            Tab::Response => raw(self.response.as_deref(), width),
            Tab::Cost if self.cost.is_empty() => said("no cost was calculated for this call"),
            Tab::Cost => self.cost.iter().flat_map(|cost| priced(cost, width)).collect(),
            Tab::Causes if self.causes.is_empty() => said("nothing led to it"),
            Tab::Causes => self.causes.iter().flat_map(|row| row.lines(width)).collect(),
        }
    }
}

fn said(text: &str) -> Vec<Line> {
    vec![Line::default().and(Tone::Soft, text)]
}

fn raw(text: Option<&str>, width: usize) -> Vec<Line> {
    text.map_or_else(|| said("not recorded"), |text| plain(text, width))
}

fn plain(text: &str, width: usize) -> Vec<Line> {
    wrap(&sanitise(&text.replace("\r\n", "\n")), width).into_iter().map(Line::plain).collect()
}

/// Returns a cost with what it is made of, a line each.
fn priced(cost: &CostCalculated, width: usize) -> Vec<Line> {
    let dollars =
        |amount: Option<Money>| amount.map_or_else(|| "unknown".to_owned(), |amount| format!("${amount}"));
    let asked = label(&format!("{}/{}", cost.provider, cost.model), 80);
    let mut lines = vec![
        Line::default()
            .and(Tone::Strong, dollars(cost.amount))
            .and(Tone::Plain, format!("  {}", cost.status))
            .and(Tone::Soft, format!("  {asked}")),
    ];
    if let Some(calculated) = cost.calculated {
        lines.push(Line::plain(format!("  by the price table ${calculated}")));
    }
    for line in &cost.lines {
        let (price, amount) = (dollars(line.price_per_million), dollars(line.amount));
        let bucket = fit(&label(&line.bucket, 40), 16);
        lines.push(
            Line::plain(format!("  {bucket} {:>10}", line.quantity))
                .and(Tone::Soft, format!("  × {price} / 1M")),
        );
        lines.push(Line::plain(format!("  {:>27}  = {amount}", "")));
    }
    if let Some(price) = &cost.price {
        lines.push(Line::default());
        lines.extend(plain(&outline(price), width));
    }
    lines.into_iter().map(|line| line.cut(width)).collect()
}

fn envelope(event: &Event) -> Vec<(&'static str, String)> {
    let mut fields = vec![("id", event.id().to_string())];
    let mut field = |name, value: Option<String>| fields.extend(value.map(|value| (name, value)));
    field("turn", event.turn().map(ToString::to_string));
    field("call", event.call().map(ToString::to_string));
    field("cause", event.cause().map(ToString::to_string));
    field("writer", Some(event.writer().to_string()));
    field("version", (event.tv() > 1).then(|| event.tv().to_string()));
    fields
}

fn rendered(event: &Event) -> String {
    let Some(payload) = event.payload() else { return "the payload was erased".to_owned() };
    match message(event) {
        Some(message) => markdown::said(&message),
        None => outline(payload),
    }
}

fn message(event: &Event) -> Option<Message> {
    match event.kind() {
        MessageSystem::TYPE => MessageSystem::of(event).map(|fact| fact.message),
        MessageUser::TYPE => MessageUser::of(event).map(|fact| fact.message),
        MessageEdited::TYPE => MessageEdited::of(event).map(|fact| fact.message),
        MessageTool::TYPE => MessageTool::of(event).map(|fact| fact.message),
        MessageAssistant::TYPE => MessageAssistant::of(event).map(|fact| fact.message),
        _ => None,
    }
}

/// Finds what was calculated for the call of an event, or for its turn where it belongs to no call.
fn costs(view: &View, event: &Event) -> Vec<CostCalculated> {
    let Some(turn) = event.turn() else { return Vec::new() };
    let is_of = |other: &&Event| event.call().is_none() || other.call() == event.call();
    let read = |cost: &Event| CostCalculated::of(cost).or_else(|| Some(CostRevised::of(cost)?.cost));
    view.in_turn(turn).iter().map(|at| &view.events[*at]).filter(is_of).filter_map(read).collect()
}

fn causes(view: &View, at: usize) -> Vec<EventRow> {
    let (mut seen, mut causes) = (HashSet::from([at]), Vec::new());
    let mut next = view.events[at].cause();
    while let Some(at) = next.and_then(|id| view.places.get(id).copied()) {
        // A log that was made up may run in circles.
        if !seen.insert(at) || causes.len() == MAX_CAUSES {
            break;
        }
        causes.push(view.rows[at].clone());
        next = view.events[at].cause();
    }
    causes
}
