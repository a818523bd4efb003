//! The command line in a real terminal, as far as tmux is one.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::common::Home;

/// How long a test looks for what is to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal with a program in it; it goes when it is dropped.
pub(crate) struct Terminal {
    socket: String,
}

impl Terminal {
    /// Runs a line of a shell in a terminal of so many columns and lines; `None` where there is no tmux.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    pub(crate) fn run(home: &Home, size: (u32, u32), line: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if Command::new("tmux").arg("-V").stdout(Stdio::null()).status().is_err() {
            eprintln!("skipped: there is no tmux on this machine");
            return None;
        }
        let socket = format!("aichat-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let terminal = Self { socket };
        let aichat = format!(
            "env -i HOME={0} PATH=/usr/bin:/bin TERM=${{KIND:-screen}} LC_ALL=C.UTF-8 AICHAT_SCOPE=test OPENAI_BASE_URL={1} {2}",
            home.path().display(),
            home.mock.url(),
            env!("CARGO_BIN_EXE_aichat")
        );
        let (columns, lines) = (size.0.to_string(), size.1.to_string());
        let line = line.replace("AICHAT", &aichat);
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &lines, &line]);
        Some(terminal)
    }

    pub(crate) fn tmux(&self, args: &[&str]) -> String {
        let done = Command::new("tmux").args(["-u", "-L", &self.socket]).args(args).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    pub(crate) fn press(&self, keys: &[&str]) {
        for key in keys {
            self.tmux(&["send-keys", key]);
        }
    }

    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Looks until the screen is as wanted.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
        }
        panic!("never {what}:\n{}", self.screen());
    }

    pub(crate) fn shows(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    /// Looks until the program is gone, and returns how the terminal is then: whether the other screen is shown, and
    /// whether the cursor is.
    pub(crate) fn left(&self, code: u8) -> String {
        self.shows(&format!("exit {code}"));
        self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"])
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A server that ended by itself needs no killing.
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).output();
    }
}
