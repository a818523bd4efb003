//! What tests of the command line share: a home and a mock upstream for each, and a cleared environment.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use aichat_mock::Mock;
use tempfile::TempDir;

/// A person's machine: an empty home, and a server of their own that `openai` stands for.
pub(crate) struct Home {
    dir: TempDir,
    pub(crate) mock: Mock,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), mock: Mock::start().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where sessions are kept.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join(".local/share/aichat")
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.path().join(".config/aichat/aichat.toml")
    }

    /// Writes the configuration file.
    pub(crate) fn configure(&self, text: &str) {
        std::fs::create_dir_all(self.config_file().parent().unwrap()).unwrap();
        std::fs::write(self.config_file(), text).unwrap();
    }

    /// Returns a command in this home: nothing of the surroundings reaches it, and standard input is empty.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aichat"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", "/usr/bin:/bin")
            .env("AICHAT_SCOPE", "test")
            .env("OPENAI_BASE_URL", self.mock.url())
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the words of a line, split at blanks.
    pub(crate) fn run(&self, line: &str) -> Done {
        Done::from(self.command(line.split_whitespace()).output().unwrap())
    }

    /// Runs the words of a line with data on standard input.
    pub(crate) fn pipe(&self, line: &str, input: &[u8]) -> Done {
        let mut child = self.command(line.split_whitespace()).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that does not read is no failure of the test.
        let _ = stdin.write_all(input);
        drop(stdin);
        Done::from(child.wait_with_output().unwrap())
    }

    /// Replaces what differs from run to run: ids, ports, paths, times.
    pub(crate) fn plain(&self, text: &str) -> String {
        let text = text.replace(&self.path().display().to_string(), "~");
        let mut plain = digits_after(&text, "127.0.0.1:", "PORT");
        for kind in ["ses_", "trn_", "msg_", "evt_", "cal_"] {
            plain = letters_after(&plain, kind);
        }
        for field in ["_ms\":", "_us\":", "first token: ", "total: "] {
            plain = digits_after(&plain, field, "N");
        }
        plain
    }
}

impl Done {
    /// Returns code, standard output and standard error in one text.
    pub(crate) fn all(&self) -> String {
        format!("{}\n{}{}", self.code, self.out, self.err)
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: code(output.status),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Returns the exit code, as a shell would show it.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap()
}

/// Sends a signal to a process, by its name.
pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
}

fn digits_after(text: &str, mark: &str, name: &str) -> String {
    replace_after(text, mark, name, |c| c.is_ascii_digit())
}

fn letters_after(text: &str, mark: &str) -> String {
    replace_after(text, mark, "ID", |c| c.is_ascii_alphanumeric())
}

fn replace_after(text: &str, mark: &str, name: &str, is: impl Fn(char) -> bool) -> String {
    let mut parts = text.split(mark);
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(&is);
        all.push_str(mark);
        if rest.len() < part.len() {
            all.push_str(name);
        }
        all.push_str(rest);
    }
    all
}
