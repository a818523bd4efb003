//! A timeline as plain text: one line for each turn, and its waterfall below.

use super::{Row, Timeline, TurnTimeline};
use crate::sanitise::label;
use crate::time;

/// The narrowest drawing that can still be read, in characters.
const MIN_WIDTH: usize = 60;

/// The place for the name of a row, in characters.
const NAME: usize = 17;

impl Timeline {
    /// Returns the waterfall of every turn as text, lines of at most `width` characters; 60 at the least.
    ///
    /// Times stand as offset into the turn, then duration. Text from outside is neutralised.
    pub fn render(&self, width: usize) -> String {
        let width = width.max(MIN_WIDTH);
        self.turns.iter().map(|turn| turn.render(width)).collect::<Vec<_>>().join("\n")
    }
}

impl TurnTimeline {
    fn render(&self, width: usize) -> String {
        let (ts, status) = (time::rfc3339(self.ts), self.status.as_str());
        let first = format!("{}  {ts}  {status} {}", self.turn, time::duration(self.total_us));
        let tokens = (self.tokens.calls > 0)
            .then(|| format!("tokens: {} in, {} out", self.tokens.input, self.tokens.output));
        let model = (!self.model.is_empty()).then(|| self.model.clone());
        let cost = (self.cost.calls > 0).then(|| format!("cost: {}", self.cost));
        let second: Vec<String> = model.into_iter().chain(tokens).chain(cost).collect();
        let mut out = label(&first, width);
        if !second.is_empty() {
            out.push_str("\n  ");
            out.push_str(&label(&second.join("  "), width - 2));
        }
        out.push('\n');
        for row in &self.rows {
            out.push_str(label(&self.row(row, width), width).trim_end());
            out.push('\n');
        }
        out
    }

    fn row(&self, row: &Row, width: usize) -> String {
        let bar = (width - NAME - 2) / 2;
        let mut text = match row.duration_us {
            Some(us) => format!("{}  {}", time::duration(row.offset_us), time::duration(us)),
            None => time::duration(row.offset_us),
        };
        if let Some(note) = &row.note {
            text.push_str("  ");
            text.push_str(note);
        }
        format!("  {:<w$}│{}│ {text}", row.what.as_str(), self.bar(row, bar), w = NAME - 3)
    }

    /// Draws a row into `width` characters that stand for the whole turn.
    fn bar(&self, row: &Row, width: usize) -> String {
        let total = u128::from(self.total_us.max(1));
        let column = |us: u64| usize::try_from(u128::from(us) * width as u128 / total).unwrap_or(width);
        let start = column(row.offset_us).min(width - 1);
        let (sign, len) = match row.duration_us {
            Some(us) => {
                ("█", column(row.offset_us.saturating_add(us)).min(width).saturating_sub(start).max(1))
            }
            None => ("◆", 1),
        };
        format!("{}{}{}", " ".repeat(start), sign.repeat(len), " ".repeat(width - start - len))
    }
}
