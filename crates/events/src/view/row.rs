//! One row for each event: where and when it happened, what it says in one line, how long what it ends took.

use std::collections::HashMap;

use aichat_message::{EventId, TurnId};
use serde::Serialize;

use super::line::{Line, Piece, Tone};
use super::phrase::phrase;
use crate::columns::{columns, fit};
use crate::envelope::{Draft, Event};
use crate::hex::{Hash, Span};
use crate::sanitise::label;
use crate::time;

/// Longest one-line summary, in characters.
const SUMMARY: usize = 240;
/// From so many columns on a row shows the whole date, and the event's id.
const WIDE: usize = 132;
/// From so many columns on durations have a column, and times their milliseconds.
const ROOMY: usize = 100;
/// Below so many columns a row takes two lines.
const NARROW: usize = 72;

/// An event as one row of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventRow {
    /// Its place in the log; `None` while its turn is in flight.
    pub seq: Option<u64>,
    /// Names the event.
    pub id: EventId,
    /// When it happened, in microseconds since 1970 UTC.
    pub ts: i64,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// The turn it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnId>,
    /// How long what it ends took, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// How bad it is.
    pub level: Level,
    /// What it says, in one line that is safe to show.
    pub summary: String,
}

/// How bad an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// All is well.
    Info,
    /// Somebody should know of it.
    Warning,
    /// Something went wrong.
    Error,
}

impl Level {
    fn of(kind: &str) -> Self {
        let ends = |ends: &[&str]| ends.iter().any(|end| kind.ends_with(end));
        match kind {
            _ if ends(&[".failed", ".retried", ".interrupted", ".exceeded"]) => Self::Error,
            _ if kind.starts_with("warning.") || ends(&[".recovered", ".erased"]) => Self::Warning,
            _ => Self::Info,
        }
    }

    /// Returns the tone that shows it.
    pub const fn tone(self) -> Tone {
        match self {
            Self::Info => Tone::Plain,
            Self::Warning => Tone::Warning,
            Self::Error => Tone::Bad,
        }
    }
}

/// Makes rows out of events that come one after another.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// What began each span.
    begun: HashMap<Span, Event>,
}

impl Rows {
    /// Returns the row of the next event.
    pub fn take(&mut self, event: &Event) -> EventRow {
        EventRow {
            seq: Some(event.seq()),
            id: event.id().clone(),
            ts: event.ts(),
            kind: event.kind().to_owned(),
            turn: event.turn().cloned(),
            duration_us: self.duration(event),
            level: Level::of(event.kind()),
            summary: label(&phrase(event), SUMMARY),
        }
    }

    /// Returns the row of the next event, which has no place yet.
    pub fn take_draft(&mut self, draft: &Draft) -> EventRow {
        EventRow { seq: None, ..self.take(&draft.seal(0, &Hash::ZERO)) }
    }

    /// Returns how long it is since what the event ends began, where the same process saw both.
    fn duration(&mut self, event: &Event) -> Option<u64> {
        let span = event.span()?;
        let ends = [".completed", ".failed", ".interrupted", ".first_chunk"];
        if !ends.iter().any(|end| event.kind().ends_with(end)) {
            self.begun.entry(span).or_insert_with(|| event.clone());
            return None;
        }
        let begun = self.begun.get(&span).filter(|begun| begun.writer() == event.writer())?;
        event.mono_us().checked_sub(begun.mono_us())
    }
}

impl EventRow {
    /// Returns how many lines each row takes at a width.
    pub const fn height(width: usize) -> usize {
        if width < NARROW { 2 } else { 1 }
    }

    /// Returns the row as lines of at most `width` columns: [`height`](Self::height) of them.
    pub fn lines(&self, width: usize) -> Vec<Line> {
        let seq = self.seq.map_or_else(|| "…".to_owned(), |seq| seq.to_string());
        let took = self.duration_us.map(time::duration).unwrap_or_default();
        if width < NARROW {
            let first = Line::plain("").and(Tone::Soft, format!("{seq:>4} "));
            let room = width.saturating_sub(first.columns() + 1 + columns(&took));
            let first =
                first.and(self.level.tone(), fit(&self.kind, room)).and(Tone::Soft, format!(" {took}"));
            let second = Line::plain("     ").and(Tone::Plain, self.summary.clone());
            return vec![first.cut(width), second.cut(width)];
        }
        let mut line = Line::default();
        line.push(Tone::Soft, format!("{seq:>5}  {}  ", self.time(width)));
        if width >= WIDE {
            line.push(Tone::Soft, format!("{}  ", self.id));
        }
        line.push(self.level.tone(), fit(&self.kind, 24));
        match width >= ROOMY {
            true => line.push(Tone::Soft, format!(" {took:>9}  ")),
            false if took.is_empty() => line.push(Tone::Plain, "  "),
            false => line.push(Tone::Soft, format!("  {took}  ")),
        }
        line.push(Tone::Plain, self.summary.clone());
        vec![line.cut(width)]
    }

    fn time(&self, width: usize) -> String {
        let exact = time::exact(self.ts);
        let clock = exact.split_once(' ').map_or("", |(_, clock)| clock.trim_end_matches('Z'));
        match width {
            WIDE.. => exact,
            ROOMY..WIDE => clock.to_owned(),
            _ => clock.split('.').next().unwrap_or_default().to_owned(),
        }
    }

    /// Returns what is to be said of the event besides its summary, as pieces.
    pub(super) fn head(&self) -> Vec<Piece> {
        let piece = |text: String, tone| Piece { text, tone };
        let seq = self.seq.map_or_else(|| "not in the log yet".to_owned(), |seq| format!("event {seq}"));
        let mut pieces = vec![
            piece(
                self.kind.clone(),
                if self.level == Level::Info { Tone::Strong } else { self.level.tone() },
            ),
            piece(seq, Tone::Soft),
            piece(time::exact(self.ts), Tone::Soft),
        ];
        pieces.extend(self.duration_us.map(|us| piece(format!("took {}", time::duration(us)), Tone::Soft)));
        pieces
    }
}
