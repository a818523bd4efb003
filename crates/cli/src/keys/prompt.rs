//! A key as it is given: typed where it is not shown, or piped in.

use std::io::{IsTerminal, Read};

use aichat_engine::phrase;
use aichat_message::ErrorKind;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

use super::{MAX_KEY, whole};
use crate::failure::Failure;
use crate::signals::Stop;

/// Reads a key from a hidden prompt where standard input is a terminal, else from standard input.
///
/// # Errors
/// Fails with kind `usage` where there is nowhere to ask, and with kind `input` where nothing, or nothing that can be a
/// key, is read.
pub(crate) fn read(prompt: impl Fn(&str), what: &str) -> Result<SecretString, Failure> {
    let stdin = std::io::stdin();
    let mut bytes = Vec::new();
    let unreadable = |error: std::io::Error| {
        Failure::new(ErrorKind::Input, format!("cannot read the key: {}", phrase(&error)))
    };
    match stdin.is_terminal() {
        true if !std::io::stderr().is_terminal() => {
            return Err(Failure::new(ErrorKind::Usage, "there is nowhere to ask for the key")
                .hint("pass the key on standard input: `aichat keys set PROVIDER <FILE`"));
        }
        true => {
            prompt(what);
            let hidden = Hidden::new(&stdin);
            let typed = typed(stdin.lock().bytes());
            drop(hidden);
            prompt("\n");
            bytes = typed.map_err(unreadable)?.ok_or(Failure::Stopped(Stop::Interrupt))?;
        }
        false => drop(stdin.lock().take(MAX_KEY).read_to_end(&mut bytes).map_err(unreadable)?),
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::new(ErrorKind::Input, "a key is text, and this is not"))?;
    if text.trim().is_empty() {
        let hint =
            "type it where aichat asks, or pass it on standard input: `aichat keys set PROVIDER <FILE`";
        return Err(Failure::new(ErrorKind::Input, "no key was given").hint(hint));
    }
    whole(&text).map_err(|what| Failure::new(ErrorKind::Input, what))
}

/// Reads a line as it is typed, with the keys that take something back; `None` where Ctrl-C ends it.
fn typed(bytes: impl Iterator<Item = std::io::Result<u8>>) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    for byte in bytes {
        match byte? {
            b'\n' | b'\r' | 0x04 => break,
            0x03 => return Ok(None),
            0x08 | 0x7f => {
                // A letter may be more than one byte.
                while line.pop().is_some_and(|byte: u8| byte & 0xc0 == 0x80) {}
            }
            0x15 => line.clear(),
            _ if line.len() as u64 > MAX_KEY => {}
            byte => line.push(byte),
        }
    }
    Ok(Some(line))
}

/// A terminal that does not show what is typed, until this is dropped. Keys that would stop the program come as letters,
/// so that it never ends without that.
struct Hidden<'a> {
    stdin: &'a std::io::Stdin,
    before: Option<Termios>,
}

impl<'a> Hidden<'a> {
    fn new(stdin: &'a std::io::Stdin) -> Self {
        let before = tcgetattr(stdin).ok();
        if let Some(before) = &before {
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
            // A terminal that refuses shows what is typed; there is nothing better to do.
            let _ = tcsetattr(stdin, OptionalActions::Flush, &hidden);
        }
        Self { stdin, before }
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // See above.
            let _ = tcsetattr(self.stdin, OptionalActions::Now, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_can_be_taken_back() {
        let line =
            |text: &str| typed(text.bytes().map(Ok)).unwrap().map(|line| String::from_utf8(line).unwrap());
        assert_eq!(line("sk-12\x7f3\nrest").as_deref(), Some("sk-13"));
        assert_eq!(line("wrong\x15right\r").as_deref(), Some("right"));
        assert_eq!(line("\x7f\x7fä\x7fb\x04").as_deref(), Some("b"));
        assert_eq!(line("sk-1\x03"), None);
    }
}
