//! Programs that know keys: what they may print, how long they may take, and what is said where they fail.

use std::fmt;
use std::io::{Read, Write, sink};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use aichat_message::ErrorKind;
use secrecy::SecretString;

use super::MAX_KEY;
use crate::directory::Entry;
use crate::failure::{Failure, phrase};

/// How long the command of a provider may take: somebody may have to unlock something first.
const LONGEST: Duration = Duration::from_secs(60);
/// How much of its complaints is repeated, in bytes.
const COMPLAINT: u64 = 2 << 10;
/// How often it is looked whether it has ended.
const POLL: Duration = Duration::from_millis(5);

/// Returns what the command of a provider prints.
///
/// # Errors
/// Fails with kind `auth` where the command fails, takes too long, or prints nothing or no text.
pub(super) fn run(entry: &Entry, words: &[String]) -> Result<SecretString, Failure> {
    let failed = |why: &dyn fmt::Display| {
        let what = format!("the key command of {} failed: {why}", entry.name);
        Failure::new(ErrorKind::Auth, what).hint("run the command by hand to see why")
    };
    let (program, arguments) = words.split_first().expect("a command has at least one word");
    let printed = ask(program, arguments, None, LONGEST).map_err(|trouble| failed(&trouble))?;
    match String::from_utf8(printed) {
        Ok(key) if !key.trim().is_empty() => Ok(SecretString::from(key)),
        Ok(_) => Err(failed(&"it printed nothing")),
        Err(_) => Err(failed(&"it printed something that is not text")),
    }
}

/// How a program failed, with what it complained of.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It could not be started.
    Missing(String),
    /// It did not end in time.
    Late(Duration, String),
    /// It printed more than any key has.
    Long,
    /// It said that it failed.
    Badly(String, String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, complaint) = match self {
            Self::Missing(why) => return f.write_str(why),
            Self::Long => return write!(f, "it printed more than {MAX_KEY} bytes"),
            Self::Late(longest, complaint) => {
                (format!("it took longer than {} s", longest.as_secs_f64()), complaint)
            }
            Self::Badly(how, complaint) => (how.clone(), complaint),
        };
        match complaint.is_empty() {
            true => f.write_str(&what),
            false => write!(f, "{what}: {complaint}"),
        }
    }
}

/// Starts a program, gives it its input, and returns what it prints. No secret is among its arguments.
pub(super) fn ask(
    program: &str,
    arguments: &[String],
    input: Option<Vec<u8>>,
    longest: Duration,
) -> Result<Vec<u8>, Trouble> {
    let end = Instant::now() + longest;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Trouble::Missing(format!("{program}: {}", phrase(&error))))?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // One that does not read says by itself what it misses.
        std::thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let printed = gather(child.stdout.take(), MAX_KEY + 1);
    let complaints = gather(child.stderr.take(), COMPLAINT);
    match watch(&mut child, &printed, end) {
        Ok(bytes) => Ok(bytes),
        Err(Ended::Late) => Err(Trouble::Late(longest, said(&complaints))),
        Err(Ended::Long) => Err(Trouble::Long),
        Err(Ended::Badly(how)) => Err(Trouble::Badly(how, said(&complaints))),
    }
}

enum Ended {
    Late,
    Long,
    Badly(String),
}

/// Waits for the end of a program, and ends it where it goes on for too long.
fn watch(child: &mut Child, printed: &Receiver<Vec<u8>>, end: Instant) -> Result<Vec<u8>, Ended> {
    let stop = |child: &mut Child| {
        // One that has ended by itself cannot be ended.
        let _ = child.kill();
        let _ = child.wait();
    };
    let Ok(bytes) = printed.recv_timeout(end.saturating_duration_since(Instant::now())) else {
        stop(child);
        return Err(Ended::Late);
    };
    if bytes.len() as u64 > MAX_KEY {
        stop(child);
        return Err(Ended::Long);
    }
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(bytes),
            Ok(Some(status)) => return Err(Ended::Badly(status.to_string())),
            Ok(None) if Instant::now() < end => std::thread::sleep(POLL),
            Ok(None) => {
                stop(child);
                return Err(Ended::Late);
            }
            Err(error) => return Err(Ended::Badly(phrase(&error))),
        }
    }
}

/// Reads the beginning of what comes, and lets the rest go by.
fn gather(from: Option<impl Read + Send + 'static>, most: u64) -> Receiver<Vec<u8>> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        let Some(mut from) = from else { return };
        let mut bytes = Vec::new();
        // What came before a failure counts, and nobody may be there to take it.
        let _ = from.by_ref().take(most).read_to_end(&mut bytes);
        let _ = sender.send(bytes);
        let _ = std::io::copy(&mut from, &mut sink());
    });
    receiver
}

/// Returns complaints in one line; something else may still hold the other end, and is not waited for.
fn said(complaints: &Receiver<Vec<u8>>) -> String {
    let said = complaints.recv_timeout(POLL * 20).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, longest: Duration) -> Result<usize, String> {
        let arguments = ["-c", script].map(str::to_owned);
        ask("sh", &arguments, None, longest).map(|bytes| bytes.len()).map_err(|trouble| trouble.to_string())
    }

    #[test]
    fn hostile_programs_are_told_apart() {
        let minute = Duration::from_secs(60);
        for (script, expected) in [
            ("echo sk-1", Ok(5)),
            ("head -c 10000000 /dev/zero", Err("it printed more than 65536 bytes")),
            ("exit 3", Err("exit status: 3")),
            ("printf 'it is\\n\\nlocked\\n' >&2; exit 1", Err("exit status: 1: it is; locked")),
            ("head -c 10000000 /dev/zero >&2; echo k", Ok(2)),
        ] {
            assert_eq!(shell(script, minute), expected.map_err(str::to_owned), "{script}");
        }
        let late = shell("echo waiting >&2; exec sleep 60", Duration::from_millis(300));
        assert_eq!(late, Err("it took longer than 0.3 s: waiting".to_owned()));
        let missing = ask("/no/such/program", &[], None, minute).unwrap_err().to_string();
        assert_eq!(missing, "/no/such/program: no such file or directory");
    }
}
