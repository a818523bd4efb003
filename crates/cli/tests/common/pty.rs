//! A program in a pseudo terminal, and what a person would see of it.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use pty_process::Size;
use pty_process::blocking::{Command, Pty};
use rustix::termios::{Termios, tcgetattr};
use vt100::{Callbacks, Parser, Screen};

use crate::common::{Home, code};

/// How long a test waits for what is to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program in a pseudo terminal, and everything that it has shown.
pub(crate) struct Terminal {
    pty: Arc<Pty>,
    pub(crate) child: Child,
    shown: Arc<(Mutex<Shown>, Condvar)>,
    /// How much of what was shown a test has looked at.
    seen: usize,
}

struct Shown {
    raw: Vec<u8>,
    screen: Parser<Answers>,
    is_over: bool,
}

/// Answers a program that asks where the cursor is.
struct Answers(Arc<Pty>);

impl Callbacks for Answers {
    fn unhandled_csi(
        &mut self,
        screen: &mut Screen,
        before: Option<u8>,
        _: Option<u8>,
        words: &[&[u16]],
        end: char,
    ) {
        if (before, words, end) == (None, &[&[6]], 'n') {
            let (row, column) = screen.cursor_position();
            // A program that has gone waits for no answer.
            let _ = (&*self.0).write_all(format!("\x1b[{};{}R", row + 1, column + 1).as_bytes());
        }
    }
}

impl Terminal {
    pub(crate) fn run(home: &Home, line: &str) -> Self {
        Self::with(home, line, &[("TERM", "xterm")])
    }

    pub(crate) fn with(home: &Home, line: &str, variables: &[(&str, &str)]) -> Self {
        Self::sized(home, line.split_whitespace(), (80, 24), variables, None)
    }

    /// Runs the program on a terminal of so many columns and lines; standard output may go elsewhere.
    pub(crate) fn sized<S: AsRef<OsStr>>(
        home: &Home,
        args: impl IntoIterator<Item = S>,
        (columns, lines): (u16, u16),
        variables: &[(&str, &str)],
        output: Option<Stdio>,
    ) -> Self {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(Size::new(lines, columns)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_aichat"))
            .args(args)
            .env_clear()
            .env("HOME", home.path())
            .env("PATH", "/usr/bin:/bin")
            .env("AICHAT_SCOPE", "test")
            .env("NO_COLOR", "1")
            .env("OPENAI_BASE_URL", home.mock.url())
            .envs(variables.iter().copied())
            .current_dir(home.path());
        if let Some(output) = output {
            command = command.stdout(output);
        }
        let child = command.spawn(pts).unwrap();
        let pty = Arc::new(pty);
        let screen =
            Parser::new_with_callbacks(side(lines), side(columns), 20_000, Answers(Arc::clone(&pty)));
        let shown = Shown { raw: Vec::new(), screen, is_over: false };
        let shown = Arc::new((Mutex::new(shown), Condvar::new()));
        std::thread::spawn({
            let (pty, shown) = (Arc::clone(&pty), Arc::clone(&shown));
            move || {
                let mut bytes = [0; 4096];
                loop {
                    let read = (&*pty).read(&mut bytes).unwrap_or(0);
                    let mut held = shown.0.lock().unwrap();
                    held.raw.extend_from_slice(&bytes[..read]);
                    held.screen.process(&bytes[..read]);
                    held.is_over = read == 0;
                    shown.1.notify_all();
                    if read == 0 {
                        return;
                    }
                }
            }
        });
        Self { pty, child, shown, seen: 0 }
    }

    pub(crate) fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.press(line);
        self.press("\r");
    }

    pub(crate) fn resize(&self, (columns, lines): (u16, u16)) {
        self.pty.resize(Size::new(lines, columns)).unwrap();
        self.held().screen.screen_mut().set_size(side(lines), side(columns));
    }

    /// Waits until this is shown after what was seen so far, and returns what is between.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let (held, changed) = &*self.shown;
        let mut held = held.lock().unwrap();
        loop {
            let plain = plain(&held.raw);
            let rest = plain.get(self.seen..).unwrap_or_default();
            if let Some(at) = rest.find(text) {
                self.seen += at + text.len();
                return rest[..at].to_owned();
            }
            assert!(!held.is_over, "never {text:?}; it ended with:\n{plain}");
            let waited = changed.wait_timeout(held, PATIENCE).unwrap();
            assert!(!waited.1.timed_out(), "never {text:?}:\n{plain}");
            held = waited.0;
        }
    }

    /// Returns every byte that came.
    pub(crate) fn raw(&self) -> String {
        String::from_utf8_lossy(&self.held().raw).into_owned()
    }

    /// Returns what is on the screen.
    pub(crate) fn screen(&self) -> Screen {
        self.held().screen.screen().clone()
    }

    /// Returns how the terminal is set.
    pub(crate) fn settings(&self) -> Termios {
        tcgetattr(&*self.pty).unwrap()
    }

    /// Waits until the program ends and all it said has come, and returns its exit code.
    pub(crate) fn ended(&mut self) -> i32 {
        let code = code(self.child.wait().unwrap());
        let mut held = self.shown.0.lock().unwrap();
        while !held.is_over {
            held = self.shown.1.wait(held).unwrap();
        }
        code
    }

    /// Waits until the program ends, and returns its exit code.
    pub(crate) fn end(mut self) -> i32 {
        self.ended()
    }

    fn held(&self) -> MutexGuard<'_, Shown> {
        self.shown.0.lock().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn side(length: u16) -> NonZero<u16> {
    NonZero::new(length).unwrap()
}

/// Returns text without what steers a terminal.
fn plain(raw: &[u8]) -> String {
    let raw = String::from_utf8_lossy(raw);
    let mut plain = String::new();
    let mut rest = raw.chars();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => match rest.next() {
                Some('[') => {
                    rest.find(|c| ('@'..='~').contains(c));
                }
                Some(']') => {
                    rest.find(|c| *c == '\x07');
                }
                _ => {}
            },
            '\r' => {}
            c => plain.push(c),
        }
    }
    plain
}
