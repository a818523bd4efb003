//! One row for each session: what it is called, how much it is, how it stands.

use aichat_message::SessionId;
use serde::Serialize;

use super::filter::has;
use super::line::{Line, Tone};
use crate::columns::fit;
use crate::sanitise::label;
use crate::time;

/// Below so many columns a row has only what tells sessions apart.
const NARROW: usize = 64;
/// From so many columns on there is room for the model.
const ROOMY: usize = 100;
/// From so many columns on there is room for the id.
const WIDE: usize = 120;
/// Longest label taken over from the log, in characters.
const LABEL: usize = 200;

/// A session as one row of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionRow {
    /// Names the session.
    pub id: SessionId,
    /// Its name.
    pub name: Option<String>,
    /// The beginning of its first message.
    pub title: Option<String>,
    /// The model it goes on with, `provider/model`.
    pub model: Option<String>,
    /// How many turns it has.
    pub turns: u64,
    /// How many branches it has.
    pub branches: usize,
    /// What its calls read and wrote, as far as they said so.
    pub tokens: (u64, u64),
    /// How many calls did not say.
    pub calls_without_usage: u64,
    /// What it cost, in words; `None` where nothing was calculated.
    pub cost: Option<String>,
    /// How its latest turn ended, in a word; `None` while none has.
    pub status: Option<&'static str>,
    /// When it was last used, in microseconds since 1970 UTC.
    pub updated_us: i64,
}

impl SessionRow {
    /// Returns what it is called: its name, or its title in quotes, or its id.
    pub fn label(&self) -> String {
        match (&self.name, &self.title) {
            (Some(name), _) => label(name, LABEL),
            (None, Some(title)) => format!("“{}”", label(title, LABEL)),
            (None, None) => self.id.to_string(),
        }
    }

    /// Tells whether a text, in lower case, is in anything that names it.
    pub fn has(&self, lower: &str) -> bool {
        let words = [self.name.as_deref(), self.title.as_deref(), self.model.as_deref()];
        has(self.id.as_str(), lower) || words.into_iter().flatten().any(|word| has(word, lower))
    }

    /// Returns what stands above the rows.
    pub fn head(width: usize) -> Line {
        let mut text = format!("  {}", fit("session", room(width)));
        if width >= WIDE {
            text.push_str(&format!("  {:<20}", "id"));
        }
        if width >= ROOMY {
            text.push_str(&format!("  {:<20}", "model"));
        }
        text.push_str(&format!("  {:>5}", "turns"));
        if width >= NARROW {
            text.push_str(&format!("  {:>11}  {:>9}", "tokens", "cost"));
        }
        text.push_str(&format!("  {:>6}", "age"));
        Line::default().and(Tone::Soft, text).cut(width)
    }

    /// Returns the row as a line of at most `width` columns; `now_us` is the time it is.
    pub fn line(&self, width: usize, now_us: i64) -> Line {
        let (mark, tone) = match self.status {
            Some("failed") => ("✗ ", Tone::Bad),
            Some("interrupted") => ("! ", Tone::Warning),
            None if self.turns > 0 => ("… ", Tone::Warning),
            _ => ("  ", Tone::Plain),
        };
        let age = time::age(now_us.saturating_sub(self.updated_us));
        let name = if self.name.is_some() { Tone::Strong } else { Tone::Plain };
        let label = match self.branches {
            0 | 1 => self.label(),
            branches => format!("⑂{branches} {}", self.label()),
        };
        let mut line = Line::default().and(tone, mark).and(name, fit(&label, room(width)));
        if width >= WIDE {
            line.push(Tone::Soft, format!("  {:<20}", self.id.as_str()));
        }
        if width >= ROOMY {
            let model = self.model.as_deref().unwrap_or("-");
            line.push(Tone::Plain, format!("  {}", fit(&self::label(model, LABEL), 20)));
        }
        line.push(Tone::Plain, format!("  {:>5}", self.turns));
        if width >= NARROW {
            let tokens = match (self.tokens, self.calls_without_usage) {
                ((0, 0), 1..) => "?".to_owned(),
                ((input, output), 0) => format!("{}/{}", short(input), short(output)),
                ((input, output), _) => format!("≥{}/{}", short(input), short(output)),
            };
            line.push(Tone::Plain, format!("  {tokens:>11}"));
            line.push(Tone::Plain, format!("  {:>9}", self.cost.as_deref().unwrap_or("-")));
        }
        line.push(Tone::Soft, format!("  {age:>6}"));
        line.cut(width)
    }
}

/// Returns how many columns there are for what a session is called.
fn room(width: usize) -> usize {
    let columns = match width {
        0..NARROW => 15,
        NARROW..ROOMY => 15 + 24,
        ROOMY..WIDE => 15 + 24 + 22,
        _ => 15 + 24 + 22 + 22,
    };
    width.saturating_sub(2 + columns).max(8)
}

/// Returns a count in few characters.
fn short(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..10_000_000 => format!("{}k", count / 1_000),
        _ => format!("{}M", count / 1_000_000),
    }
}
