//! Completion by Tab in the shells themselves, set up by the one line that help tells.

use std::process::{Command, Stdio};

use crate::common::Home;
use crate::terminal::Terminal;

/// How often the screen is looked at before Tab is pressed again: a busy machine may not answer in time.
const LOOKS: usize = 300;
/// How often Tab is pressed before a test gives up.
const TABS: usize = 10;

/// A shell, the file it reads when it starts, the line in it, and what makes a prompt that a test knows.
struct Shell {
    program: &'static str,
    start: &'static str,
    file: &'static str,
    line: &'static str,
    prompt: &'static str,
}

const BASH: Shell = Shell {
    program: "bash",
    start: "bash",
    file: ".bashrc",
    line: "source <(aichat completions bash)",
    prompt: "PS1='ready> '",
};

const ZSH: Shell = Shell {
    program: "zsh",
    // What an administrator set up for everybody is not what the line needs.
    start: "zsh -d",
    file: ".zshrc",
    line: "source <(aichat completions zsh)",
    prompt: "PS1='ready> '",
};

const FISH: Shell = Shell {
    program: "fish",
    start: "fish",
    file: ".config/fish/config.fish",
    line: "aichat completions fish | source",
    prompt: "function fish_prompt; echo 'ready> '; end",
};

impl Shell {
    /// Starts the shell as a person would in a terminal; `None` where it is not installed, or no tmux.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn start(&self, home: &Home) -> Option<Terminal> {
        if Command::new(self.program).arg("--version").stdout(Stdio::null()).status().is_err() {
            eprintln!("skipped: there is no {} on this machine", self.program);
            return None;
        }
        let file = home.path().join(self.file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, format!("{}\n{}\n", self.prompt, self.line)).unwrap();
        let programs = home.path().join("bin");
        std::fs::create_dir(&programs).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_aichat"), programs.join("aichat")).unwrap();
        let line = format!(
            "env -i HOME={0} PATH={1}:/usr/bin:/bin TERM=screen LC_ALL=C.UTF-8 OPENAI_BASE_URL={2} {3}",
            home.path().display(),
            programs.display(),
            home.mock.url(),
            self.start
        );
        let terminal = Terminal::run(home, (100, 24), &line)?;
        terminal.shows("ready>");
        Some(terminal)
    }
}

/// Types the beginning of a line, presses Tab, and looks for what the line is then. Leaves the next line empty.
fn completes(terminal: &Terminal, begun: &str, whole: &str) {
    terminal.tmux(&["send-keys", "-l", begun]);
    terminal.shows(begun);
    let is_whole = (0..TABS).any(|_| {
        terminal.press(&["Tab"]);
        (0..LOOKS).any(|_| terminal.screen().contains(whole))
    });
    assert!(is_whole, "{begun} never became {whole}:\n{}", terminal.screen());
    terminal.press(&["C-u", "C-l"]);
    terminal.until("empty again", |screen| !screen.contains(begun));
}

/// Tries what is always there, what is kept, and what the catalogue knows.
fn tab_completes(shell: &Shell) {
    let home = Home::new();
    for line in ["agents create editor --system x", "sessions create rivers"] {
        assert_eq!(home.run(line).code, 0, "{line}");
    }
    let help = home.run("completions --help").out;
    assert!(help.contains(shell.line), "help tells another line than {}:\n{help}", shell.line);
    let Some(terminal) = shell.start(&home) else { return };
    completes(&terminal, "aichat sess", "aichat sessions");
    completes(&terminal, "aichat send --no-stre", "aichat send --no-stream");
    completes(&terminal, "aichat send -a ed", "aichat send -a editor");
    completes(&terminal, "aichat sessions show ri", "aichat sessions show rivers");
    completes(&terminal, "aichat send -m openai/gpt-4o-m", "aichat send -m openai/gpt-4o-mini");
    completes(&terminal, "aichat send -m openrouter/deepseek/deepseek-r1:f", "deepseek-r1:free");
    completes(&terminal, "aichat send --model=openai/gpt-4o-m", "aichat send --model=openai/gpt-4o-mini");
}

#[test]
fn bash_completes() {
    tab_completes(&BASH);
}

#[test]
fn zsh_completes() {
    tab_completes(&ZSH);
}

#[test]
fn fish_completes() {
    tab_completes(&FISH);
}
