//! What is shown of a session, as data: rows of events, the detail of one, the tree of what was said.
//!
//! Text, JSON, the inspector and the report in HTML show this and format nothing themselves.

mod detail;
mod filter;
mod json;
mod line;
mod phrase;
mod row;
mod session;
mod tree;

use std::collections::HashMap;

use aichat_message::{EventId, TurnId};

pub use self::detail::{Detail, Tab};
pub use self::filter::{Filter, has};
pub use self::json::pretty;
pub use self::line::{Line, Piece, Tone};
pub(crate) use self::line::{flow, text};
pub use self::row::{EventRow, Level, Rows};
pub use self::session::SessionRow;
pub use self::tree::Node;
use crate::envelope::Event;
use crate::fact::{Fact, LlmWireKept};
use crate::hex::Span;
use crate::timeline::Timeline;

/// The events of a session with a row for each.
#[derive(Clone, Debug, Default)]
pub struct View {
    events: Vec<Event>,
    rows: Vec<EventRow>,
    maker: Rows,
    /// Where each event is.
    places: HashMap<EventId, usize>,
    /// Where the events of each turn are.
    turns: HashMap<TurnId, Vec<usize>>,
}

impl View {
    /// Returns the view of a session's events, in order.
    pub fn of(events: impl IntoIterator<Item = Event>) -> Self {
        let mut view = Self::default();
        view.extend(events);
        view
    }

    /// Adds the events that follow.
    pub fn extend(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            let at = self.events.len();
            self.places.insert(event.id().clone(), at);
            if let Some(turn) = event.turn() {
                self.turns.entry(turn.clone()).or_default().push(at);
            }
            self.rows.push(self.maker.take(&event));
            self.events.push(event);
        }
    }

    /// Adds events of turns in flight, whose places are not final.
    pub fn extend_flying(&mut self, events: impl IntoIterator<Item = Event>) {
        let from = self.rows.len();
        self.extend(events);
        self.rows[from..].iter_mut().for_each(|row| row.seq = None);
    }

    /// Forgets every event after the first `count`.
    pub fn truncate(&mut self, count: usize) {
        self.events.truncate(count);
        self.rows.truncate(count);
        self.places.retain(|_, at| *at < count);
        self.turns.values_mut().for_each(|places| places.retain(|at| *at < count));
    }

    /// Returns the events.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Returns the row of each event.
    pub fn rows(&self) -> &[EventRow] {
        &self.rows
    }

    /// Returns where the time of the turns went.
    pub fn timeline(&self) -> Timeline {
        Timeline::of(&self.events)
    }

    /// Returns the places of the events of a turn.
    pub fn in_turn(&self, turn: &TurnId) -> &[usize] {
        self.turns.get(turn).map_or(&[], Vec::as_slice)
    }

    /// Returns the places of the events to show: of one turn or of all, as far as the filter lets them through.
    pub fn shown(&self, turn: Option<&TurnId>, filter: &Filter) -> Vec<usize> {
        let is_shown = |at: &usize| filter.shows(&self.events[*at], &self.rows[*at]);
        match turn {
            Some(turn) => self.in_turn(turn).iter().copied().filter(is_shown).collect(),
            None => (0..self.events.len()).filter(is_shown).collect(),
        }
    }

    /// Returns the event that keeps what went over the network for the attempt that the event at a place is of, and the
    /// attempt's span.
    pub fn wire(&self, at: usize) -> Option<(&Event, Span)> {
        let event = self.events.get(at)?;
        let span = event.span().filter(|_| event.call().is_some())?;
        let mut of_turn = self.in_turn(event.turn()?).iter().map(|at| &self.events[*at]);
        Some((of_turn.rfind(|event| event.kind() == LlmWireKept::TYPE)?, span))
    }

    /// Returns everything about the event at a place.
    pub fn detail(&self, at: usize) -> Option<Detail> {
        Detail::of(self, at)
    }
}
