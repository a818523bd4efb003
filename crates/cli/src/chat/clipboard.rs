//! The clipboard: that of the terminal, and that of the desktop where there is one.

use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::env::Env;

/// Programs that copy what they read, with the variable that says whether they can.
const PROGRAMS: [(&str, &[&str], Option<&str>); 3] = [
    ("wl-copy", &[], Some("WAYLAND_DISPLAY")),
    ("xclip", &["-selection", "clipboard"], Some("DISPLAY")),
    ("pbcopy", &[], None),
];

/// Copies a text by every way there is, and returns which ones were taken. Whether a terminal takes what it is given
/// is not known.
pub(super) fn copy(text: &str, env: &Env, is_terminal: bool) -> Vec<&'static str> {
    let mut ways = Vec::new();
    for (program, args, variable) in PROGRAMS {
        if variable.is_none_or(|name| env.text(name).is_some()) && give(program, args, text).is_ok() {
            ways.push(program);
        }
    }
    if is_terminal {
        let sequence = format!("\x1b]52;c;{}\x07", STANDARD.encode(text));
        if std::io::stderr().lock().write_all(sequence.as_bytes()).is_ok() {
            ways.push("the terminal (OSC 52)");
        }
    }
    ways
}

fn give(program: &str, args: &[&str], text: &str) -> std::io::Result<()> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let given = child.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
    let ended = child.wait()?;
    given.transpose()?;
    match ended.success() {
        true => Ok(()),
        false => Err(std::io::Error::other("it failed")),
    }
}
