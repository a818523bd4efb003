//! Standard input: when it is read, and how long a silent one is waited for.

use std::io::{IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use aichat_engine::phrase;
use aichat_message::ErrorKind;

use crate::failure::Failure;

/// How long a silent pipe is waited for.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    /// After so long a note is due.
    pub(crate) note: Duration,
    /// After so much longer it is given up; `None` waits for ever.
    pub(crate) limit: Option<Duration>,
}

impl Patience {
    /// Returns the documented waits: a note after 1 s, the end after 30 s.
    pub(crate) const USUAL: Self =
        Self { note: Duration::from_secs(1), limit: Some(Duration::from_secs(29)) };
    /// Returns patience without an end.
    pub(crate) const ENDLESS: Self = Self { note: Duration::from_secs(1), limit: None };
}

/// What standard input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A pipe, a file or a socket: there may be data.
    Data,
    /// A terminal: a person.
    Terminal,
    /// A device, `/dev/null` for example, or nothing at all.
    Nothing,
}

impl Kind {
    /// Looks at standard input of this process.
    pub(crate) fn of_process() -> Self {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            return Self::Terminal;
        }
        let copy = stdin.as_fd().try_clone_to_owned().map(std::fs::File::from);
        match copy.and_then(|file| file.metadata()).map(|metadata| metadata.file_type()) {
            Ok(kind) if kind.is_fifo() || kind.is_socket() || kind.is_file() => Self::Data,
            _ => Self::Nothing,
        }
    }
}

/// Reads everything, giving up on an input that stays silent; after the first byte it waits for the end.
///
/// # Errors
/// Fails with kind `input` where nothing comes in time and where reading fails.
pub(crate) fn read(
    mut input: impl Read + Send + 'static,
    patience: Patience,
    note: impl FnOnce(),
) -> Result<Vec<u8>, Failure> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = vec![0; 64 << 10];
        let first = loop {
            match input.read(&mut bytes) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        // The receiver is gone only where the process is about to end.
        let _ = sender.send(first.as_ref().map(|_| Vec::new()).map_err(phrase));
        if let Ok(count) = first {
            bytes.truncate(count);
            let rest = if count == 0 { Ok(0) } else { input.read_to_end(&mut bytes) };
            let _ = sender.send(rest.map(|_| bytes).map_err(|error| phrase(&error)));
        }
    });
    let broken = |why: String| Failure::new(ErrorKind::Input, format!("cannot read standard input: {why}"));
    let gone = |_| broken("the reader ended early".to_owned());
    let first = match receiver.recv_timeout(patience.note) {
        Err(RecvTimeoutError::Timeout) => {
            note();
            match patience.limit {
                Some(limit) => receiver.recv_timeout(limit),
                None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            }
        }
        first => first,
    };
    match first {
        Ok(first) => first.map_err(broken)?,
        Err(RecvTimeoutError::Timeout) => {
            return Err(Failure::new(ErrorKind::Input, "standard input stayed silent")
                .hint("pass --no-stdin to go on without it, or --stdin to wait for ever"));
        }
        Err(RecvTimeoutError::Disconnected) => return Err(gone(RecvTimeoutError::Disconnected)),
    };
    receiver.recv().map_err(|_| gone(RecvTimeoutError::Disconnected))?.map_err(broken)
}

/// Returns what was read as text.
///
/// # Errors
/// Fails with kind `input` where it is not text.
pub(crate) fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    if bytes.contains(&0) {
        return Err(Failure::new(ErrorKind::Input, "standard input is binary"));
    }
    String::from_utf8(bytes).map_err(|_| Failure::new(ErrorKind::Input, "standard input is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(5);
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_silent_pipe_is_noted_and_given_up() {
        let (silent, _held) = std::io::pipe().unwrap();
        let mut noted = false;
        let patience = Patience { note: SHORT, limit: Some(SHORT) };
        let failure = read(silent, patience, || noted = true).err();
        let Some(Failure::Error(report)) = failure else { panic!("read") };
        assert!(noted && report.kind == ErrorKind::Input);
        let hint = report.hint.unwrap();
        assert!(hint.contains("--no-stdin") && hint.contains("--stdin "), "{hint}");
    }

    #[test]
    fn after_the_first_byte_it_waits_for_the_end() {
        use std::io::Write;
        let (input, mut output) = std::io::pipe().unwrap();
        let (noted, note) = mpsc::channel();
        let writer = std::thread::spawn(move || {
            output.write_all(b"a").unwrap();
            // Longer than the limit, and only then the end.
            assert_eq!(note.recv_timeout(SHORT * 4), Err(RecvTimeoutError::Timeout));
            output.write_all(b"b").unwrap();
        });
        let patience = Patience { note: LONG, limit: Some(SHORT) };
        let text = read(input, patience, || noted.send(()).unwrap());
        assert!(matches!(text.as_deref(), Ok(b"ab")));
        writer.join().unwrap();
    }

    #[test]
    fn endless_patience_outlasts_the_note() {
        use std::io::Write;
        let (input, mut output) = std::io::pipe().unwrap();
        let patience = Patience { note: SHORT, limit: None };
        let text = read(input, patience, move || output.write_all(b"late").unwrap());
        assert!(matches!(text.as_deref(), Ok(b"late")));
    }

    #[test]
    fn what_is_not_text_is_refused() {
        for bytes in [&b"\xff\xfe"[..], b"a\0b"] {
            let failure = read(bytes, Patience::USUAL, || ()).and_then(text).err();
            assert_eq!(failure.map(|failure| failure.code()), Some(66), "{bytes:?}");
        }
    }
}
