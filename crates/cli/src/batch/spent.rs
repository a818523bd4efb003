//! The file beside the results of a batch that says what it may have spent.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use aichat_engine::{Draw, Error, phrase};
use aichat_message::{ErrorKind, Money};

use crate::failure::Failure;

/// The file. Whoever has the results has it.
pub(crate) struct Spent {
    file: File,
    path: PathBuf,
}

impl Spent {
    /// Opens the file beside results and returns what was spent, with what was set aside and never settled. Beside
    /// results that are new it begins anew.
    ///
    /// # Errors
    /// Fails with kind `store` where it cannot be read or written, and with kind `input` where it holds anything else.
    pub(crate) fn open(results: &Path, is_new: bool) -> Result<(Self, Money), Failure> {
        let mut name = results.file_name().unwrap_or_default().to_owned();
        name.push(".spent");
        let path = results.with_file_name(name);
        let cannot = |error: io::Error| Failure::file(ErrorKind::Store, "cannot write", &path, &error);
        let mut file = File::options().read(true).append(true).create(true).open(&path).map_err(cannot)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(cannot)?;
        let (mut sum, mut whole) = Draw::sum(&text).map_err(|number| {
            let what = format!("{}, line {number}: this is not what a batch has spent", path.display());
            Failure::new(ErrorKind::Input, what).hint("name another --output; nothing in it was changed")
        })?;
        if is_new {
            (sum, whole) = (Money::ZERO, 0);
        }
        file.set_len(whole as u64).map_err(cannot)?;
        let mut this = Self { file, path };
        if whole == 0 {
            this.write(&Draw::head())
                .map_err(|error| Failure::file(ErrorKind::Store, "cannot write", &this.path, &error))?;
        }
        Ok((this, sum))
    }

    /// Writes down what becomes of the budget.
    ///
    /// # Errors
    /// Fails with kind `store` where it cannot be written.
    pub(crate) fn note(&mut self, draw: Draw) -> Result<(), Error> {
        self.write(&draw.line()).map_err(|error| {
            Error::new(ErrorKind::Store, format!("cannot write {}: {}", self.path.display(), phrase(&error)))
        })
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        // In one piece, so that no crash leaves less than a line and more behind it.
        let length = self.file.metadata()?.len();
        let written = self.file.write_all(line.as_bytes());
        if written.is_err() {
            // What arrived of it would tear the next one.
            let _ = self.file.set_len(length);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn usd(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn what_was_never_settled_is_taken_as_spent() {
        let dir = tempfile::tempdir().unwrap();
        let results = dir.path().join("results.jsonl");
        let (mut spent, before) = Spent::open(&results, true).ok().unwrap();
        assert_eq!(before, Money::ZERO);
        spent.note(Draw::Held(usd("0.5"))).unwrap();
        spent.note(Draw::Held(usd("0.25"))).unwrap();
        spent.note(Draw::Settled { held: usd("0.5"), spent: usd("0.1") }).unwrap();
        let path = dir.path().join("results.jsonl.spent");
        let whole = fs::read_to_string(&path).unwrap();
        assert_eq!(Spent::open(&results, false).ok().unwrap().1, usd("0.35"));
        // A line that was torn off is cut, and the next one is whole.
        fs::write(&path, format!("{whole}{{\"held\":\"0.")).unwrap();
        let (mut spent, before) = Spent::open(&results, false).ok().unwrap();
        assert_eq!(before, usd("0.35"));
        spent.note(Draw::Held(usd("1"))).unwrap();
        assert_eq!(Spent::open(&results, false).ok().unwrap().1, usd("1.35"));
        for wrong in [
            "my notes\n",
            "{\"held\":\"1\"}\n",
            "{\"schema\":\"aichat.spent/1\"}\n{\"held\":\"1\",\"x\":1}\n",
        ] {
            fs::write(&path, wrong).unwrap();
            for is_new in [false, true] {
                assert!(Spent::open(&results, is_new).is_err(), "{wrong}");
                assert_eq!(fs::read_to_string(&path).unwrap(), wrong);
            }
        }
        fs::write(&path, whole).unwrap();
        assert_eq!(Spent::open(&results, true).ok().unwrap().1, Money::ZERO, "new results begin anew");
        assert_eq!(Spent::open(&results, false).ok().unwrap().1, Money::ZERO);
    }
}
