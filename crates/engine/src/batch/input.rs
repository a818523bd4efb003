//! The lines that a batch asks, read one after another.

use std::io::{BufRead, Read};

use aichat_events::Hash;

use crate::error::{Error, phrase};

/// Longest line, in bytes.
const LONGEST: u64 = 32 << 20;

/// Gives the lines of a batch, one after another. Blank ones are left out.
pub struct InputLines {
    reader: Box<dyn BufRead + Send>,
    name: String,
    number: u64,
    index: u64,
}

/// One line as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputLine {
    /// Its place among the lines that are not blank, from 0.
    pub index: u64,
    /// Where it stands, for people.
    pub place: String,
    /// What it says.
    pub text: String,
    /// What tells it from another line.
    pub hash: u64,
}

impl InputLines {
    /// Returns the lines of what is called `name` in complaints.
    pub fn of(reader: impl BufRead + Send + 'static, name: impl Into<String>) -> Self {
        Self { reader: Box::new(reader), name: name.into(), number: 0, index: 0 }
    }

    /// Returns the next line, `None` at the end. It blocks while there is nothing to read.
    ///
    /// # Errors
    /// Fails with kind `input`, naming the line, where it cannot be read, is too long or not UTF-8.
    pub fn read(&mut self) -> Result<Option<InputLine>, Error> {
        loop {
            let mut bytes = Vec::new();
            let read = self.reader.by_ref().take(LONGEST + 1).read_until(b'\n', &mut bytes);
            self.number += 1;
            let place = format!("{}, line {}", self.name, self.number);
            let wrong = |what: &str| Error::input(format!("{place}: {what}"));
            if read.map_err(|error| wrong(&phrase(&error)))? == 0 {
                return Ok(None);
            }
            if bytes.len() as u64 > LONGEST {
                return Err(wrong(&format!("it is longer than {} MB", LONGEST >> 20)));
            }
            let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?;
            // What an editor may put before everything else says nothing.
            let text = if self.number == 1 { text.trim_start_matches('\u{feff}') } else { &text };
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            let index = self.index;
            self.index += 1;
            let hash = Hash::of(text.as_bytes()).0;
            let hash = u64::from_be_bytes(hash[..8].try_into().expect("a hash is longer than eight bytes"));
            return Ok(Some(InputLine { index, place, text: text.to_owned(), hash }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_do_not_count_and_complaints_do_count_them() {
        let mut lines = InputLines::of(&b"\xef\xbb\xbf{\"a\":1}\n\n  \r\n {} \n\xff\n"[..], "f");
        let first = lines.read().unwrap().unwrap();
        assert_eq!((first.index, &*first.place, &*first.text), (0, "f, line 1", "{\"a\":1}"));
        let second = lines.read().unwrap().unwrap();
        assert_eq!((second.index, &*second.place, &*second.text), (1, "f, line 4", "{}"));
        assert_ne!(first.hash, second.hash);
        assert_eq!(lines.read().unwrap_err().to_string(), "f, line 5: it is not UTF-8");
        assert_eq!(lines.read().unwrap(), None);
    }
}
