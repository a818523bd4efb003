//! The terminal while the inspector has it, and how it is given back whatever happens.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui_crossterm::crossterm::cursor::{Hide, Show};
use ratatui_crossterm::crossterm::execute;
use ratatui_crossterm::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

/// Whether the terminal is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Has the terminal until it is dropped.
pub(crate) struct Screen(());

impl Screen {
    /// Takes the terminal: every key comes at once, and what was on the screen comes back afterwards.
    pub(crate) fn take() -> io::Result<Self> {
        TAKEN.store(true, Ordering::SeqCst);
        let screen = Self(());
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, if it is ours; a panic does so before it says anything.
pub(crate) fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Where the terminal is gone there is nothing to give back.
        let _ = disable_raw_mode();
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = io::stdout().flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Output};

    const ROLE: &str = "AICHAT_TEST_SCREEN";

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_says_anything() {
        if std::env::var_os(ROLE).is_some() {
            crate::panics::install(aichat_engine::Secrets::new());
            let _screen = Screen::take().unwrap();
            panic!("out of order");
        }
        let socket = format!("aichat-test-screen-{}", std::process::id());
        let tmux = |args: &[&str]| -> std::io::Result<Output> {
            Command::new("tmux").args(["-u", "-L", &socket]).args(args).output()
        };
        if tmux(&["-V"]).is_err() {
            eprintln!("skipped: there is no tmux on this machine");
            return;
        }
        let test = "inspect::screen::tests::a_panic_gives_the_terminal_back_before_it_says_anything";
        let line = format!(
            "env -u RUST_BACKTRACE -u RUST_LIB_BACKTRACE {ROLE}=1 {} {test} --exact --nocapture; echo gone; sleep 600",
            std::env::current_exe().unwrap().display()
        );
        tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "24", &line]).unwrap();
        let shown = |args: &[&str]| String::from_utf8(tmux(args).unwrap().stdout).unwrap();
        let screen =
            (0..3_000).map(|_| shown(&["capture-pane", "-p"])).find(|screen| screen.contains("gone"));
        let state = shown(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]);
        tmux(&["kill-server"]).unwrap();
        let screen = screen.expect("it ends");
        assert!(screen.contains("internal error: out of order"), "{screen}");
        assert_eq!(state, "0 1\n", "{screen}");
    }
}
