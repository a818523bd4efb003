//! Programs that know keys: what they may print, how long they may take, and what is said where they fail.

use std::fmt;
use std::io::{IsTerminal, Read, Write, sink};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aichat_engine::{Secrets, phrase};
use aichat_message::ErrorKind;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use secrecy::SecretString;

use super::MAX_KEY;
use crate::directory::Entry;
use crate::failure::Failure;
use crate::signals;

/// How long the command of a provider may take: somebody may have to unlock something first.
const LONGEST: Duration = Duration::from_secs(60);
/// How much of its complaints is repeated, in bytes.
const COMPLAINT: u64 = 2 << 10;
/// How often it is looked whether it has ended.
const POLL: Duration = Duration::from_millis(5);
/// How long what it printed may take to arrive once it has ended: something else may still hold the other end.
const ARRIVAL: Duration = Duration::from_millis(100);

/// The programs that run.
static RUNNING: Mutex<Vec<Running>> = Mutex::new(Vec::new());

/// A program that runs.
#[derive(Clone)]
struct Running {
    pid: Pid,
    /// Whether what it starts ends with it.
    leads: bool,
    stopped: Arc<AtomicBool>,
}

impl Running {
    fn end(&self) {
        // One that has ended by itself cannot be ended.
        let _ = match self.leads {
            true => kill_process_group(self.pid, Signal::KILL),
            false => kill_process(self.pid, Signal::KILL),
        };
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        running().retain(|other| !Arc::ptr_eq(&other.stopped, &self.0.stopped));
    }
}

/// A program that is listed among those that run for as long as it is waited for.
struct Listed(Running);

fn running() -> std::sync::MutexGuard<'static, Vec<Running>> {
    RUNNING.lock().expect("no panic while the list is held")
}

/// Ends every program that is being asked: nobody waits for what it knows any more.
pub(crate) fn stop() {
    for program in running().iter() {
        program.stopped.store(true, Ordering::Relaxed);
        program.end();
    }
}

/// Returns what the command of a provider prints.
///
/// # Errors
/// Fails with kind `auth` where the command fails, takes too long, or prints nothing or no text, and with kind
/// `cancelled` where nobody waits for it any more.
pub(super) fn run(entry: &Entry, words: &[String]) -> Result<SecretString, Failure> {
    let failed = |why: &dyn fmt::Display| {
        let what = format!("the key command of {} failed: {why}", entry.name);
        Failure::new(ErrorKind::Auth, what).hint("run the command by hand to see why")
    };
    let (program, arguments) = words.split_first().expect("a command has at least one word");
    let printed = ask(program, arguments, None, LONGEST).map_err(|trouble| match trouble {
        Trouble::Stopped => Failure::new(ErrorKind::Cancelled, "interrupted"),
        trouble => failed(&trouble),
    })?;
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
    /// Nobody waits for it any more.
    Stopped,
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
            Self::Stopped => return f.write_str("interrupted"),
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
    // Somebody at a terminal may be asked for a password there, and Ctrl-C on it reaches whatever this starts, as it
    // does where it ends this process, too.
    let leads = signals::are_heard() && !std::io::stderr().is_terminal();
    let mut command = Command::new(program);
    if leads {
        command.process_group(0);
    }
    let mut child = command
        .args(arguments)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Trouble::Missing(format!("{program}: {}", phrase(&error))))?;
    let listed = Listed(Running { pid: Pid::from_child(&child), leads, stopped: Arc::default() });
    running().push(listed.0.clone());
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // One that does not read says by itself what it misses.
        std::thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let printed = gather(child.stdout.take(), MAX_KEY + 1);
    let complaints = gather(child.stderr.take(), COMPLAINT);
    match watch(&mut child, &listed.0, &printed, end) {
        Ok(bytes) => Ok(bytes),
        Err(_) if listed.0.stopped.load(Ordering::Relaxed) => Err(Trouble::Stopped),
        Err(Ended::Late) => {
            let printed = printed.recv_timeout(ARRIVAL).ok();
            Err(Trouble::Late(
                longest,
                printed.map(|printed| said(&complaints, &printed)).unwrap_or_default(),
            ))
        }
        Err(Ended::Long) => Err(Trouble::Long),
        Err(Ended::Badly(how, printed)) => Err(Trouble::Badly(how, said(&complaints, &printed))),
    }
}

enum Ended {
    Late,
    Long,
    Badly(String, Vec<u8>),
}

/// Waits for the end of a program, and ends it where it goes on for too long.
fn watch(
    child: &mut Child,
    running: &Running,
    printed: &Receiver<Vec<u8>>,
    end: Instant,
) -> Result<Vec<u8>, Ended> {
    let stop = |child: &mut Child| {
        running.end();
        // There is nothing more to learn of it.
        let _ = child.wait();
    };
    let bytes = loop {
        match printed.recv_timeout(ARRIVAL) {
            Ok(bytes) => break bytes,
            Err(RecvTimeoutError::Timeout)
                if Instant::now() < end && !running.stopped.load(Ordering::Relaxed) => {}
            Err(_) => {
                stop(child);
                return Err(Ended::Late);
            }
        }
    };
    if bytes.len() as u64 > MAX_KEY {
        stop(child);
        return Err(Ended::Long);
    }
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(bytes),
            Ok(Some(status)) => return Err(Ended::Badly(status.to_string(), bytes)),
            Ok(None) if Instant::now() < end => std::thread::sleep(POLL),
            Ok(None) => {
                stop(child);
                return Err(Ended::Late);
            }
            Err(error) => return Err(Ended::Badly(phrase(&error), bytes)),
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

/// Returns complaints in one line, without anything that was printed: that may be the key all the same.
fn said(complaints: &Receiver<Vec<u8>>, printed: &[u8]) -> String {
    let said = complaints.recv_timeout(ARRIVAL).unwrap_or_default();
    let is_cut = said.len() as u64 == COMPLAINT;
    let mut said = &*String::from_utf8_lossy(&said);
    if is_cut {
        // The beginning of a key would not be known as one.
        said = said.rfind(char::is_whitespace).map_or("", |end| &said[..end]);
    }
    let secrets = Secrets::new();
    for line in String::from_utf8_lossy(printed).lines() {
        secrets.learn("key", line.trim());
    }
    let redactor = secrets.redactor();
    let said = redactor.redact_str(said);
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
        let leak = shell("echo sk-0123456789abcdef; echo no sk-0123456789abcdef >&2; exit 1", minute);
        assert_eq!(leak, Err("exit status: 1: no ‹secret:key›".to_owned()));
        let long = "echo sk-0123456789abcdef; head -c 2040 /dev/zero | tr '\\0' x >&2; echo ' sk-0123456789abcdef' >&2; exit 1";
        assert!(!shell(long, minute).unwrap_err().contains("sk-0"), "a part of it is not shown either");
        let slow = "echo sk-0123456789abcdef; echo no sk-0123456789abcdef >&2; exec sleep 60";
        let slow = shell(slow, Duration::from_millis(300));
        assert_eq!(slow, Err("it took longer than 0.3 s: no ‹secret:key›".to_owned()));
        let late = shell("echo waiting >&2; exec sleep 60", Duration::from_millis(300));
        assert_eq!(late, Err("it took longer than 0.3 s: waiting".to_owned()));
        let missing = ask("/no/such/program", &[], None, minute).unwrap_err().to_string();
        assert_eq!(missing, "/no/such/program: no such file or directory");
    }
}
