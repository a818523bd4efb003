//! The results of a batch: a line for each, in a file that says by itself what is done.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use aichat_message::{ErrorKind, Money};
use rustix::fs::{FlockOperation, flock};
use serde::Deserialize;

use super::source::Raw;
use crate::failure::{Failure, phrase};
use crate::pen::Pen;

/// What is read of a result that is there.
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
#[derive(Default)]
pub(crate) struct Done {
    /// The lines that have an answer, by their place, and what tells each from another one.
    pub(crate) answered: HashMap<u64, u64>,
    /// How many have a result without an answer; they are asked again.
    pub(crate) failed: u64,
    /// What all of them cost, as far as it is known.
    pub(crate) cost: Money,
    /// Whether there was no file of results.
    pub(crate) is_new: bool,
}

impl Done {
    /// Sees to it that a line with an answer is still the one that was asked.
    ///
    /// # Errors
    /// Fails with kind `input` where it is another one.
    pub(crate) fn check(&self, raw: &Raw) -> Result<(), Failure> {
        if self.answered.get(&raw.index).is_none_or(|hash| *hash == raw.hash) {
            return Ok(());
        }
        let what = format!("{}: the results have an answer to another prompt in its place", raw.place);
        Err(Failure::new(ErrorKind::Input, what)
            .hint("name another --output for other prompts; add new ones at the end"))
    }
}

/// Where results go.
pub(crate) enum Results {
    File { file: File, path: PathBuf },
    Stdout(Box<Pen>),
}

impl Results {
    /// Returns standard output, which remembers nothing.
    ///
    /// # Errors
    /// Fails where there is none.
    pub(crate) fn stdout() -> Result<Self, Failure> {
        Ok(Self::Stdout(Box::new(Pen::new(None)?)))
    }

    /// Returns once when nobody reads results any more, and never while somebody does; [`finish`](Self::finish) says
    /// why.
    pub(crate) async fn broken(&mut self) {
        match self {
            Self::File { .. } => std::future::pending().await,
            Self::Stdout(pen) => pen.broken().await,
        }
    }

    /// Opens a file of results, and reads what is done. A last line that was cut off by a crash is removed.
    ///
    /// # Errors
    /// Fails with kind `store` where it cannot be read or written, with kind `busy` where another process writes it,
    /// and with kind `input` where it holds anything else than results of a batch.
    pub(crate) fn open(path: &Path) -> Result<(Self, Done), Failure> {
        let cannot = |error: io::Error| Failure::file(ErrorKind::Store, "cannot write", path, &error);
        let is_new = !path.exists();
        let file = File::options().read(true).append(true).create(true).open(path).map_err(cannot)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let what = format!("another batch writes {}", path.display());
            return Err(Failure::new(ErrorKind::Busy, what).hint("wait for it, or name another --output"));
        }
        let (done, whole) = survey(&file, path)?;
        let done = Done { is_new, ..done };
        if file.metadata().map_err(cannot)?.len() > whole {
            file.set_len(whole).map_err(cannot)?;
        }
        Ok((Self::File { file, path: path.to_owned() }, done))
    }

    /// Removes the results without an answer; their lines are asked again.
    ///
    /// # Errors
    /// Fails with kind `store` where the file cannot be written; it is as it was then.
    pub(crate) fn forget_failures(&mut self) -> Result<(), Failure> {
        let Self::File { file, path } = self else { return Ok(()) };
        let cannot = |error: io::Error| Failure::file(ErrorKind::Store, "cannot write", path, &error);
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let beside = path.with_file_name(name);
        let copy = || -> io::Result<File> {
            let new = File::options().read(true).append(true).create(true).open(&beside)?;
            new.set_len(0)?;
            // Whoever opens it once it has its name finds it taken.
            flock(&new, FlockOperation::NonBlockingLockExclusive)?;
            let mut reader = BufReader::new(File::open(&*path)?);
            let mut writer = BufWriter::new(&new);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line)? > 0 {
                if serde_json::from_slice::<Known>(&line).is_ok_and(|known| known.error.is_none()) {
                    writer.write_all(&line)?;
                }
                line.clear();
            }
            writer.flush()?;
            drop(writer);
            new.set_permissions(file.metadata()?.permissions())?;
            new.sync_data()?;
            fs::rename(&beside, &*path)?;
            Ok(new)
        };
        *file = copy().map_err(cannot)?;
        Ok(())
    }

    /// Writes a result, which is there when this returns, whatever becomes of this process.
    ///
    /// # Errors
    /// Fails where it cannot be written.
    pub(crate) fn write(&mut self, mut line: String) -> Result<(), Failure> {
        line.push('\n');
        match self {
            Self::File { file, path } => file
                .write_all(line.as_bytes())
                .map_err(|error| Failure::file(ErrorKind::Store, "cannot write", path, &error)),
            Self::Stdout(pen) => {
                pen.write(&line);
                pen.flush();
                Ok(())
            }
        }
    }

    /// Sees to it that what was written survives the machine, too.
    ///
    /// # Errors
    /// Fails with kind `store` where that cannot be had.
    pub(crate) async fn finish(self) -> Result<(), Failure> {
        match self {
            Self::File { file, path } => file
                .sync_data()
                .map_err(|error| Failure::file(ErrorKind::Store, "cannot write", &path, &error)),
            Self::Stdout(pen) => Ok(pen.finish().await?),
        }
    }
}

/// Reads results, and says how many bytes of them are whole lines.
fn survey(file: &File, path: &Path) -> Result<(Done, u64), Failure> {
    let (mut done, mut whole, mut number) = (Done::default(), 0, 0u64);
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().read_until(b'\n', &mut line);
        let read = read.map_err(|error| {
            Failure::new(ErrorKind::Store, format!("cannot read {}: {}", path.display(), phrase(&error)))
        })?;
        // The last line may be half of one: it ends without a line break.
        if read == 0 || line.last() != Some(&b'\n') {
            // But what was never a result is nothing to cut.
            if number == 0 && !line.is_empty() && !line.starts_with(b"{\"schema\":\"aichat.result/1\"") {
                return Err(foreign(path, 1));
            }
            return Ok((done, whole));
        }
        number += 1;
        whole += read as u64;
        let known =
            serde_json::from_slice::<Known>(&line).ok().filter(|known| known.schema == "aichat.result/1");
        let known = known.ok_or_else(|| foreign(path, number))?;
        done.cost = done.cost + known.cost.amount.unwrap_or(Money::ZERO);
        match known.error {
            None => {
                let hash = u64::from_str_radix(&known.input_hash, 16).map_err(|_| foreign(path, number))?;
                done.answered.insert(known.index, hash);
            }
            Some(_) => done.failed += 1,
        }
    }
}

fn foreign(path: &Path, number: u64) -> Failure {
    let what = format!("{}, line {number}: this is no result of a batch", path.display());
    Failure::new(ErrorKind::Input, what).hint("name another --output; nothing in it was changed")
}
