//! Where the lines of a batch come from: a file, which is read twice, or standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use aichat_events::Hash;
use aichat_message::ErrorKind;

use crate::failure::{Failure, phrase};

/// Longest line, in bytes.
const LONGEST: u64 = 32 << 20;

/// Gives lines, one after another. Blank ones are left out.
pub(crate) struct Source {
    reader: Box<dyn BufRead + Send>,
    name: String,
    number: u64,
    index: u64,
}

/// One line as it was read.
pub(crate) struct Raw {
    /// Its place among the lines that are not blank, from 0.
    pub(crate) index: u64,
    /// Where it stands, for people.
    pub(crate) place: String,
    pub(crate) text: String,
    /// What tells it from another line.
    pub(crate) hash: u64,
}

impl Source {
    /// Opens a file, or standard input where it is `-`.
    ///
    /// # Errors
    /// Fails with kind `input` where it cannot be read.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let is_stdin = path == Path::new("-");
        let reader: Box<dyn BufRead + Send> = match is_stdin {
            true => Box::new(BufReader::new(io::stdin())),
            false => {
                let cannot = |error: &io::Error| Failure::file(ErrorKind::Input, "cannot read", path, error);
                let file = File::open(path).map_err(|error| cannot(&error))?;
                if file.metadata().is_ok_and(|about| about.is_dir()) {
                    return Err(Failure::new(ErrorKind::Input, format!("{} is a directory", path.display())));
                }
                Box::new(BufReader::with_capacity(1 << 16, file))
            }
        };
        let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
        Ok(Self { reader, name, number: 0, index: 0 })
    }

    /// Returns the next line, `None` at the end.
    ///
    /// # Errors
    /// Fails with kind `input`, naming the line, where it cannot be read, is too long or not UTF-8.
    pub(crate) fn next(&mut self) -> Result<Option<Raw>, Failure> {
        loop {
            let mut bytes = Vec::new();
            let read = self.reader.by_ref().take(LONGEST + 1).read_until(b'\n', &mut bytes);
            self.number += 1;
            let place = format!("{}, line {}", self.name, self.number);
            let wrong = |what: &str| Failure::new(ErrorKind::Input, format!("{place}: {what}"));
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
            return Ok(Some(Raw { index, place, text: text.to_owned(), hash }));
        }
    }
}
