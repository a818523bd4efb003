//! What a batch has done already: the results that are there, a line for each.

use std::collections::HashMap;
use std::io::BufRead;

use aichat_message::{ErrorKind, Money};
use serde::Deserialize;

use super::input::InputLine;
use crate::error::{Error, phrase};
use crate::result::SCHEMA;

/// What is read of a result.
#[derive(Deserialize)]
struct Known {
    schema: String,
    index: u64,
    input_hash: String,
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    cost: Price,
}

#[derive(Default, Deserialize)]
struct Price {
    amount: Option<Money>,
}

/// What there is already.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Done {
    /// The lines that have an answer, by their place, and what tells each from another one.
    pub answered: HashMap<u64, u64>,
    /// How many have a result without an answer; they are asked again.
    pub failed: u64,
    /// What all of them cost, as far as it is known.
    pub cost: Money,
}

impl Done {
    /// Reads results, and says how many bytes of them are whole lines: the last one may have been cut off by a crash.
    /// `name` is what they are called in complaints.
    ///
    /// # Errors
    /// Fails with kind `store` where they cannot be read, and with kind `input` where there is anything else than results
    /// of a batch.
    pub fn read(mut results: impl BufRead, name: &str) -> Result<(Self, u64), Error> {
        let foreign =
            |number: u64| Error::input(format!("{name}, line {number}: this is no result of a batch"));
        let (mut done, mut whole, mut number) = (Self::default(), 0, 0u64);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = results.read_until(b'\n', &mut line);
            let read = read.map_err(|error| {
                Error::new(ErrorKind::Store, format!("cannot read {name}: {}", phrase(&error)))
            })?;
            // The last line may be half of one: it ends without a line break.
            if read == 0 || line.last() != Some(&b'\n') {
                // But what was never a result is nothing to cut.
                if number == 0 && !line.is_empty() && !begins(&line) {
                    return Err(foreign(1));
                }
                return Ok((done, whole));
            }
            number += 1;
            whole += read as u64;
            done.count(&line).ok_or_else(|| foreign(number))?;
        }
    }

    /// Counts a result; `None` where it is none.
    fn count(&mut self, line: &[u8]) -> Option<()> {
        let known = serde_json::from_slice::<Known>(line).ok().filter(|known| known.schema == SCHEMA)?;
        self.cost = self.cost + known.cost.amount.unwrap_or(Money::ZERO);
        match known.error {
            None => {
                self.answered.insert(known.index, u64::from_str_radix(&known.input_hash, 16).ok()?);
            }
            Some(_) => self.failed += 1,
        }
        Some(())
    }

    /// Tells whether a line of results has an answer. One without is left out when its line is asked again.
    pub fn is_answer(line: &[u8]) -> bool {
        serde_json::from_slice::<Known>(line).is_ok_and(|known| known.error.is_none())
    }

    /// Tells whether a line has an answer, so that it need not be asked.
    pub fn has(&self, line: &InputLine) -> bool {
        self.answered.contains_key(&line.index)
    }

    /// Sees to it that a line with an answer is still the one that was asked.
    ///
    /// # Errors
    /// Fails with kind `input` where it is another one.
    pub fn check(&self, line: &InputLine) -> Result<(), Error> {
        if self.answered.get(&line.index).is_none_or(|hash| *hash == line.hash) {
            return Ok(());
        }
        Err(Error::input(format!(
            "{}: the results have an answer to another prompt in its place",
            line.place
        )))
    }
}

/// Tells whether a line may be the beginning of a result.
fn begins(line: &[u8]) -> bool {
    line.starts_with(format!("{{\"schema\":\"{SCHEMA}\"").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str =
        r#"{"schema":"aichat.result/1","index":0,"input_hash":"0f","cost":{"amount":"0.5"},"error":null}"#;
    const FAILURE: &str =
        r#"{"schema":"aichat.result/1","index":1,"input_hash":"1","cost":{"amount":"0.25"},"error":{}}"#;

    fn read(text: &str) -> Result<(Done, u64), String> {
        Done::read(text.as_bytes(), "r").map_err(|error| format!("{}: {error}", error.kind()))
    }

    #[test]
    fn answers_are_done_and_failures_are_not() {
        let (done, whole) = read(&format!("{ANSWER}\n{FAILURE}\n{{\"schema\":")).unwrap();
        assert_eq!(whole as usize, ANSWER.len() + FAILURE.len() + 2, "what was cut off is left out");
        assert_eq!((done.failed, done.cost), (1, "0.75".parse().unwrap()), "what failed cost something, too");
        assert!(Done::is_answer(ANSWER.as_bytes()) && !Done::is_answer(FAILURE.as_bytes()));
        let line =
            |index, hash| InputLine { index, place: "f, line 7".to_owned(), text: String::new(), hash };
        assert!(done.has(&line(0, 15)) && !done.has(&line(1, 1)));
        assert!(done.check(&line(0, 15)).is_ok() && done.check(&line(1, 2)).is_ok());
        assert_eq!(
            done.check(&line(0, 16)).unwrap_err().to_string(),
            "f, line 7: the results have an answer to another prompt in its place"
        );
    }

    #[test]
    fn what_is_no_result_is_named() {
        for (text, number) in [
            ("my notes\n".to_owned(), 1),
            ("my notes".to_owned(), 1),
            (format!("{ANSWER}\n{{}}\n"), 2),
            (ANSWER.replace("/1", "/9") + "\n", 1),
            (ANSWER.replace("0f", "xy") + "\n", 1),
        ] {
            let wanted = format!("input: r, line {number}: this is no result of a batch");
            assert_eq!(read(&text).map(drop), Err(wanted), "{text}");
        }
        assert_eq!(
            read(&ANSWER[..40]).map(|(_, whole)| whole),
            Ok(0),
            "but it may have been about to be one"
        );
    }
}
