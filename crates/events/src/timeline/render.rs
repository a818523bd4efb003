//! A timeline as lines: what is to be said of each turn, and its waterfall below.

use super::{Row, RowKind, Timeline, TurnTimeline};
use crate::columns::{columns, cut, wrap};
use crate::sanitise::label;
use crate::time;
use crate::tokens::Sum;
use crate::transcript::TurnStatus;
use crate::view::{Line, Piece, Tone, flow, text};

/// The narrowest drawing that can still be read, in columns.
const MIN_WIDTH: usize = 40;
/// The place for the name of a row, in columns: the longest name.
const NAME: usize = 13;
/// The place for a duration, in columns.
const TIME: usize = 9;
/// From so many columns on there is room for the offset into the turn, and for notes beside the bars.
const ROOMY: usize = 64;
/// Longest note taken over from the log, in characters.
const NOTE: usize = 400;

impl Timeline {
    /// Returns the waterfall of every turn as text, lines of at most `width` columns; 40 at the least.
    ///
    /// Text from outside is neutralised.
    pub fn render(&self, width: usize) -> String {
        self.turns.iter().map(|turn| text(&turn.lines(width))).collect::<Vec<_>>().join("\n")
    }
}

impl RowKind {
    /// Returns what it means that a turn spends its time so.
    pub const fn tone(self) -> Tone {
        match self {
            Self::Queue | Self::Wait | Self::Redaction | Self::Opaque => Tone::Soft,
            Self::FirstByte | Self::FirstContent | Self::Request => Tone::Plain,
            Self::Stream => Tone::Good,
            Self::Retry | Self::Reroute | Self::Recovery | Self::Warning => Tone::Warning,
            Self::Failure | Self::Interruption => Tone::Bad,
        }
    }
}

impl TurnStatus {
    /// Returns the tone that shows it.
    pub const fn tone(&self) -> Tone {
        match self {
            Self::Open => Tone::Warning,
            Self::Completed { .. } => Tone::Good,
            Self::Failed { .. } | Self::Interrupted { .. } => Tone::Bad,
        }
    }
}

impl TurnTimeline {
    /// Returns the turn as lines of at most `width` columns, 40 at the least: what is to be said of it, and a line or
    /// more for each row.
    pub fn lines(&self, width: usize) -> Vec<Line> {
        let width = width.max(MIN_WIDTH);
        let mut lines = flow(self.head(), width, 2);
        lines.extend(self.waterfall(width));
        lines
    }

    /// Returns what is to be said of the turn.
    fn head(&self) -> Vec<Piece> {
        let piece = |text: String, tone| Piece { text, tone };
        let mut pieces = vec![
            piece(self.turn.to_string(), Tone::Soft),
            piece(time::rfc3339(self.ts), Tone::Soft),
            piece(format!("{} {}", self.status.as_str(), time::duration(self.total_us)), self.status.tone()),
            piece(label(&self.model, NOTE), Tone::Plain),
        ];
        if self.tokens.calls > 0 {
            let tokens = format!("tokens: {} in, {} out", self.tokens.input, self.tokens.output);
            pieces.push(piece(tokens, Tone::Plain));
        }
        if self.cost.calls > 0 {
            pieces.push(piece(format!("cost: {}", self.cost), Tone::Plain));
        }
        pieces
    }

    /// Returns the turn as one line of a list: its number, when it was, how it ended, how long it took, what it read and
    /// wrote, and what was `said` to begin it.
    pub fn line(&self, number: usize, said: &str, width: usize) -> Line {
        let mut line = Line::default().and(Tone::Soft, format!("{number:>4} "));
        let took = time::duration(self.total_us);
        if width >= ROOMY {
            line.push(Tone::Soft, format!("{}  ", time::minute(self.ts)));
        }
        line.push(self.status.tone(), format!("{:<11} ", self.status.as_str()));
        line.push(Tone::Plain, format!("{took:>9}  "));
        if width >= ROOMY && self.tokens.calls > 0 {
            let known = |sum: Sum| sum.known.map_or_else(|| "?".to_owned(), |known| known.to_string());
            let tokens = format!("{}/{}", known(self.tokens.input), known(self.tokens.output));
            line.push(Tone::Soft, format!("{tokens:>11}  "));
        } else if width >= ROOMY {
            line.push(Tone::Soft, format!("{:>11}  ", "-"));
        }
        line.push(Tone::Plain, label(said, NOTE));
        line.cut(width)
    }

    /// Returns what stands above such lines.
    pub fn line_head(width: usize) -> Line {
        let text = match width >= ROOMY {
            true => {
                format!("   # {:<16}  {:<11} {:>9}  {:>11}  said", "began (UTC)", "ended", "took", "tokens")
            }
            false => format!("   # {:<11} {:>9}  said", "ended", "took"),
        };
        Line::default().and(Tone::Soft, text).cut(width)
    }

    /// Returns the rows as bars over the time of the turn, each with its duration; a moment has its offset.
    pub fn waterfall(&self, width: usize) -> Vec<Line> {
        let width = width.max(MIN_WIDTH);
        self.rows.iter().flat_map(|row| self.row(row, width)).collect()
    }

    fn row(&self, row: &Row, width: usize) -> Vec<Line> {
        let roomy = width >= ROOMY;
        let (indent, tone) = (if roomy { 2 } else { 0 }, row.what.tone());
        // Name, blank, frame, blank, duration.
        let left = width - indent - NAME - 4 - TIME;
        let bar = if roomy { (left * 11 / 20).max(20) } else { left };
        let when = match row.duration_us {
            Some(us) => time::duration(us),
            None => time::duration(row.offset_us),
        };
        let mut line = Line::plain(" ".repeat(indent)).and(tone, format!("{:<NAME$} ", row.what.as_str()));
        line.push(Tone::Soft, "│");
        line.push(tone, self.bar(row, bar));
        line.push(Tone::Soft, "│");
        let sign = if row.duration_us.is_some() { ' ' } else { '@' };
        line.push(Tone::Plain, format!("{sign}{when:>TIME$}"));
        if let (true, Some(_)) = (roomy, row.duration_us) {
            line.push(Tone::Soft, format!("  from {}", time::duration(row.offset_us)));
        }
        let Some(note) = &row.note else { return vec![line.cut(width)] };
        let note = label(note, NOTE);
        let room = width.saturating_sub(line.columns() + 2);
        if roomy && columns(&note) <= room {
            line.push(tone, format!("  {note}"));
            return vec![line];
        }
        // What goes wrong is never cut short: it goes on below.
        let below = indent + 2;
        let mut lines = vec![line.cut(width)];
        let notes = wrap(&note, width - below);
        lines.extend(
            notes.into_iter().map(|note| Line::plain(" ".repeat(below)).and(tone, cut(&note, width - below))),
        );
        lines
    }

    /// Draws a row into `width` columns that stand for the whole turn.
    fn bar(&self, row: &Row, width: usize) -> String {
        let (start, length) = self.extent(row, width);
        let sign = if row.duration_us.is_some() { "█" } else { "◆" };
        format!("{}{}{}", " ".repeat(start), sign.repeat(length), " ".repeat(width - start - length))
    }

    /// Returns where a row begins and how long it is, where `width` stands for the whole turn; 1 at the least.
    pub(crate) fn extent(&self, row: &Row, width: usize) -> (usize, usize) {
        let total = u128::from(self.total_us.max(1));
        let column = |us: u64| usize::try_from(u128::from(us) * width as u128 / total).unwrap_or(width);
        let start = column(row.offset_us).min(width - 1);
        let end = row.duration_us.map_or(start, |us| column(row.offset_us.saturating_add(us)).min(width));
        (start, end.saturating_sub(start).max(1))
    }
}
