//! What a batch may have spent, in lines that outlive it: what was in flight when it was killed counts when it goes on.

use aichat_message::Money;
use serde::{Deserialize, Serialize};

use crate::company::Draw;

const SCHEMA: &str = "aichat.spent/1";

/// A line: the head, what was set aside, or how that was settled.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settled: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spent: Option<Money>,
}

impl From<Draw> for Line {
    fn from(draw: Draw) -> Self {
        match draw {
            Draw::Held(held) => Self { held: Some(held), ..Self::default() },
            Draw::Settled { held, spent } => {
                Self { settled: Some(held), spent: Some(spent), ..Self::default() }
            }
        }
    }
}

impl Line {
    fn written(&self) -> String {
        let mut text = serde_json::to_string(self).expect("a line has string keys only");
        text.push('\n');
        text
    }
}

impl Draw {
    /// Returns the line that all others follow, line break included.
    pub fn head() -> String {
        Line { schema: Some(SCHEMA.to_owned()), ..Line::default() }.written()
    }

    /// Returns the draw as a line, line break included. It is to be written in one piece.
    pub fn line(self) -> String {
        Line::from(self).written()
    }

    /// Returns what was spent after all these lines, with what was set aside and never settled, and how many bytes of
    /// the text are whole lines.
    ///
    /// # Errors
    /// Fails with the number of the first line that is no draw.
    pub fn sum(text: &str) -> Result<(Money, usize), u64> {
        // A line that was cut off by a crash came before what it speaks of.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let (mut held, mut spent) = (Money::ZERO, Money::ZERO);
        for (number, line) in (1..).zip(text[..whole].lines()) {
            let line: Line = serde_json::from_str(line).map_err(|_| number)?;
            match (number, line) {
                (1, Line { schema: Some(schema), held: None, settled: None, spent: None })
                    if schema == SCHEMA => {}
                (2.., Line { schema: None, held: Some(amount), settled: None, spent: None }) => {
                    held = held + amount
                }
                (2.., Line { schema: None, held: None, settled: Some(free), spent: Some(amount) }) => {
                    held = Money::from_pico_dollars(held.pico_dollars() - free.pico_dollars());
                    spent = spent + amount;
                }
                _ => return Err(number),
            }
        }
        Ok((held + spent, whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_settled_is_taken_as_spent() {
        let usd = |text: &str| -> Money { text.parse().unwrap() };
        let draws = [
            Draw::Held(usd("0.5")),
            Draw::Held(usd("0.25")),
            Draw::Settled { held: usd("0.5"), spent: usd("0.1") },
        ];
        let text = draws.into_iter().fold(Draw::head(), |text, draw| text + &draw.line());
        insta::assert_snapshot!(text, @r#"
        {"schema":"aichat.spent/1"}
        {"held":"0.5"}
        {"held":"0.25"}
        {"settled":"0.5","spent":"0.1"}
        "#);
        assert_eq!(Draw::sum(&text), Ok((usd("0.35"), text.len())));
        assert_eq!(Draw::sum(&format!("{text}{{\"held\":\"0.")), Ok((usd("0.35"), text.len())));
        assert_eq!(Draw::sum(""), Ok((Money::ZERO, 0)));
    }

    #[test]
    fn what_is_no_draw_is_named() {
        let head = Draw::head();
        assert_eq!(Draw::sum("my notes\n"), Err(1));
        assert_eq!(Draw::sum("{\"held\":\"1\"}\n"), Err(1));
        assert_eq!(Draw::sum(&format!("{head}{head}")), Err(2));
        assert_eq!(Draw::sum(&format!("{head}{{\"held\":\"1\",\"x\":1}}\n")), Err(2));
    }
}
