//! What tests of the command line share: a home and a mock upstream for each, and a cleared environment.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};

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

    /// Returns an address where nobody listens, and nobody will as long as the connection that has it is there.
    pub(crate) fn nobody(&self) -> (SocketAddr, TcpStream) {
        let connection = TcpStream::connect(self.mock.address()).unwrap();
        (connection.local_addr().unwrap(), connection)
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

/// A server that answers every request as it is told to, for what the mock does not play.
pub(crate) struct Server {
    /// Scheme, host and port.
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts a server; `answer` takes request line and body, and gives status, media type and body.
    pub(crate) fn start(answer: impl Fn(&str, &str) -> (u16, &'static str, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                // A client that goes away early is no failure of the test.
                let _ = exchange(socket, &answer, &kept);
            }
        });
        Self { url, seen }
    }

    /// Returns every request so far: its first line, a line break, its body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn exchange(
    socket: TcpStream,
    answer: &impl Fn(&str, &str) -> (u16, &'static str, String),
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(socket);
    let Some((line, body)) = received(&mut reader)? else { return Ok(()) };
    seen.lock().unwrap().push(format!("{line}\n{body}"));
    let (status, kind, text) = answer(&line, &body);
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nconnection: close");
    write!(reader.get_mut(), "{head}\r\ncontent-length: {}\r\n\r\n{text}", text.len())
}

/// Reads a request, its line and its body; `None` where somebody only looked whether the server is there.
pub(crate) fn received(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<(String, String)>> {
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line)?;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header == "\r\n" {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).unwrap();
    Ok((!line.is_empty()).then(|| (line.trim_end().to_owned(), body)))
}
