//! A session that is looked into: its turns, its events, what was said, and the event that is looked at.

use std::collections::HashMap;

use aichat_engine::Looked;
use aichat_events::{Detail, Event, Filter, Line, Tab, Timeline, Transcript, View, has};
use aichat_message::{MessageId, SessionId, TurnId};

use super::list::List;
use super::model::Screen;

/// A session that is looked into.
pub(super) struct Opened {
    pub(super) id: SessionId,
    pub(super) label: String,
    pub(super) view: View,
    /// How many of its events are in the log.
    pub(super) logged: usize,
    pub(super) timeline: Timeline,
    /// What was said to begin each turn.
    said: HashMap<TurnId, String>,
    /// What was said, once it is asked for.
    pub(super) transcript: Option<Transcript>,
    /// Which turns are shown, and the text they are searched for.
    pub(super) turns: Vec<usize>,
    pub(super) wanted: String,
    pub(super) turn_list: List,
    /// The turn whose events are shown; all of the session where absent.
    pub(super) only: Option<TurnId>,
    pub(super) filter: Filter,
    pub(super) events: Vec<usize>,
    pub(super) event_list: List,
    pub(super) tree_list: List,
    pub(super) tree_text: String,
    pub(super) detail: Option<Looking>,
}

/// An event that is looked at.
pub(super) struct Looking {
    pub(super) at: usize,
    pub(super) detail: Detail,
    pub(super) tab: Tab,
    pub(super) top: usize,
    pub(super) wanted: String,
    /// The lines of the tab at a width.
    pub(super) lines: Vec<Line>,
    pub(super) width: usize,
    pub(super) back: Screen,
}

impl Opened {
    pub(super) fn new(id: SessionId, label: String) -> Self {
        Self {
            id,
            label,
            view: View::default(),
            logged: 0,
            timeline: Timeline::default(),
            said: HashMap::new(),
            transcript: None,
            turns: Vec::new(),
            wanted: String::new(),
            turn_list: List::default(),
            only: None,
            filter: Filter::default(),
            events: Vec::new(),
            event_list: List::default(),
            tree_list: List::default(),
            tree_text: String::new(),
            detail: None,
        }
    }

    pub(super) fn take(&mut self, looked: Looked) {
        self.view.truncate(self.logged);
        self.view.extend(looked.events);
        self.logged = self.view.events().len();
        self.view.extend_flying(looked.flying);
        self.timeline = self.view.timeline();
        let begun = self.view.rows().iter().filter(|row| row.kind == "message.user");
        self.said = begun.filter_map(|row| Some((row.turn.clone()?, row.summary.clone()))).collect();
        self.list_turns();
        self.list_events();
    }

    pub(super) fn list_turns(&mut self) {
        let text = self.wanted.to_lowercase();
        let turns = &self.timeline.turns;
        let is_shown = |at: &usize| has(&turns[*at].model, &text) || has(self.said(&turns[*at].turn), &text);
        self.turns = (0..turns.len()).filter(is_shown).collect();
    }

    pub(super) fn list_events(&mut self) {
        self.events = self.view.shown(self.only.as_ref(), &self.filter);
    }

    /// Returns what was said to begin a turn.
    pub(super) fn said(&self, turn: &TurnId) -> &str {
        self.said.get(turn).map_or("", String::as_str)
    }

    /// Returns how many messages the tree has.
    pub(super) fn messages(&self) -> usize {
        self.transcript.as_ref().map_or(0, |transcript| transcript.entries.len())
    }

    /// Returns the place of the event in which something was said.
    pub(super) fn place(&self, transcript: &Transcript, message: &MessageId) -> Option<usize> {
        let entry = transcript.entry(message)?;
        let is_it = |event: &Event| event.seq() == entry.seq && event.turn() == entry.turn.as_ref();
        self.view.events().iter().position(is_it)
    }

    /// Goes on to the next family of types, and after the last to all.
    pub(super) fn next_kind(&mut self) {
        let mut families: Vec<&str> = Vec::new();
        for row in self.view.rows().iter().filter(|row| self.only.is_none() || row.turn == self.only) {
            let family = row.kind.split('.').next().unwrap_or_default();
            if !families.contains(&family) {
                families.push(family);
            }
        }
        let now = self.filter.kinds.first().and_then(|kind| families.iter().position(|it| it == kind));
        let next = families.get(now.map_or(0, |at| at + 1)).map(|family| (*family).to_owned());
        self.filter.kinds = next.into_iter().collect();
        self.list_events();
    }
}

impl Looking {
    /// Makes the lines of the tab, unless they are there for this width.
    pub(super) fn lay_out(&mut self, width: usize) {
        if self.width != width {
            self.lines = self.detail.lines(self.tab, width);
            self.width = width;
        }
    }
}
