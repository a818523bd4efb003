//! Where the results of a batch go: a line for each, in a file that says by itself what is done.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use aichat_engine::Done;
use aichat_message::ErrorKind;
use rustix::fs::{FlockOperation, flock};

use crate::failure::Failure;
use crate::pen::Pen;

/// Where results go.
pub(crate) enum Results {
    File {
        file: File,
        path: PathBuf,
        /// Whether there was no such file before.
        is_new: bool,
    },
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
        let read = Done::read(BufReader::with_capacity(1 << 16, &file), &path.display().to_string());
        let (done, whole) = read.map_err(|error| {
            let failure = Failure::new(error.kind(), error.to_string());
            match error.kind() {
                ErrorKind::Input => failure.hint("name another --output; nothing in it was changed"),
                _ => failure,
            }
        })?;
        if file.metadata().map_err(cannot)?.len() > whole {
            file.set_len(whole).map_err(cannot)?;
        }
        Ok((Self::File { file, path: path.to_owned(), is_new }, done))
    }

    /// Tells whether there was no file of them before.
    pub(crate) fn is_new(&self) -> bool {
        matches!(self, Self::File { is_new: true, .. })
    }

    /// Removes the results without an answer; their lines are asked again.
    ///
    /// # Errors
    /// Fails with kind `store` where the file cannot be written; it is as it was then.
    pub(crate) fn forget_failures(&mut self) -> Result<(), Failure> {
        let Self::File { file, path, .. } = self else { return Ok(()) };
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
                if Done::is_answer(&line) {
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
            Self::File { file, path, .. } => file
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
            Self::File { file, path, .. } => file
                .sync_data()
                .map_err(|error| Failure::file(ErrorKind::Store, "cannot write", &path, &error)),
            Self::Stdout(pen) => Ok(pen.finish().await?),
        }
    }
}
