//! The prompt: words, standard input and attached files become one message.

use std::borrow::Cow;
use std::path::Path;

use aichat_message::ErrorKind;

use crate::args;
use crate::failure::Failure;
use crate::stdin::{self, Kind, Patience};

/// Where standard input goes in a prompt.
const PLACE: &str = "{{stdin}}";

/// Puts the message together: the prompt first, then attached files, then the data on standard input, each in a
/// block of its own.
///
/// # Errors
/// Fails with kind `input` where a file or standard input cannot be read as text or nothing is asked, and with
/// kind `usage` where standard input is asked for twice.
pub(crate) fn assemble(args: &args::Send, note: impl Fn(&str)) -> Result<String, Failure> {
    let read = |patience| stdin::read(std::io::stdin(), patience, || note("waiting for standard input …"));
    gather(args, Kind::of_process(), read)
}

fn gather(
    args: &args::Send,
    kind: Kind,
    read: impl FnOnce(Patience) -> Result<String, Failure>,
) -> Result<String, Failure> {
    let words = args.prompt.join(" ");
    let whole = args.prompt.len() == 1 && words == "-";
    let attached = args.files.iter().filter(|file| *file == Path::new("-")).count();
    let placed = words.contains(PLACE);
    if usize::from(whole) + attached + usize::from(placed) > 1 {
        return Err(Failure::new(ErrorKind::Usage, "standard input is asked for twice")
            .hint("name it once: `-`, `-f -` or {{stdin}}"));
    }
    let asked = whole || attached == 1 || placed || args.stdin;
    if asked && args.no_stdin {
        return Err(Failure::new(ErrorKind::Usage, "standard input is asked for and --no-stdin forbids it"));
    }
    let explicit = whole || attached == 1 || args.stdin;
    let piped = match kind {
        Kind::Data if !args.no_stdin => {
            Some(read(if explicit { Patience::ENDLESS } else { Patience::USUAL })?)
        }
        Kind::Terminal if explicit => Some(read(Patience::ENDLESS)?),
        Kind::Nothing if whole || attached == 1 => Some(String::new()),
        _ => None,
    };
    let piped = piped.filter(|text| !text.is_empty());
    if (placed || whole || attached == 1) && piped.is_none() {
        return Err(Failure::new(ErrorKind::Input, "there is nothing on standard input")
            .hint("pipe the data in, or leave it out of the prompt"));
    }

    let mut blocks = Vec::new();
    let mut rest = piped;
    if placed {
        blocks.push(words.replace(PLACE, rest.take().as_deref().unwrap_or_default()));
    } else if whole || words.trim().is_empty() && attached == 0 {
        blocks.extend(rest.take());
    } else if !words.trim().is_empty() {
        blocks.push(words);
    }
    for file in &args.files {
        blocks.push(match file == Path::new("-") {
            true => block("stdin", None, rest.take().as_deref().unwrap_or_default()),
            false => block("file", Some(&file.display().to_string()), &text_of(file)?),
        });
    }
    blocks.extend(rest.map(|text| block("stdin", None, &text)));
    if blocks.iter().all(|block| block.trim().is_empty()) {
        return Err(Failure::new(ErrorKind::Input, "there is no prompt")
            .hint("write it after `aichat send`, or pipe it in"));
    }
    Ok(blocks.join("\n\n"))
}

/// Reads a text file.
///
/// # Errors
/// Fails with kind `input`, naming the file, where it cannot be read or is not text.
pub(crate) fn text_of(path: &Path) -> Result<String, Failure> {
    let bytes =
        std::fs::read(path).map_err(|error| Failure::file(ErrorKind::Input, "cannot read", path, &error))?;
    let refuse = |what: &str| {
        Failure::new(ErrorKind::Input, format!("{} {what}", path.display())).hint("only text can be attached")
    };
    if bytes.contains(&0) {
        return Err(refuse("is a binary file"));
    }
    String::from_utf8(bytes).map_err(|error| {
        refuse(&format!("is not UTF-8 text (byte {})", error.utf8_error().valid_up_to() + 1))
    })
}

/// Returns the standing instruction: the text itself, or what is in the file after an `@`.
///
/// # Errors
/// Fails as [`text_of`] does.
pub(crate) fn system(text: &str) -> Result<String, Failure> {
    match text.strip_prefix('@') {
        Some(path) => Ok(text_of(Path::new(path))?.trim_end().to_owned()),
        None => Ok(text.to_owned()),
    }
}

/// Returns text between tags that do not occur in it.
fn block(tag: &str, name: Option<&str>, text: &str) -> String {
    let mut tag = Cow::Borrowed(tag);
    while text.contains(&format!("</{tag}>")) {
        tag.to_mut().push('_');
    }
    let name = name.map(|name| format!(" name={name:?}")).unwrap_or_default();
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    format!("<{tag}{name}>\n{text}{newline}</{tag}>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn prompt(words: &[&str], kind: Kind, data: &str) -> Result<String, u8> {
        let cli = args::Cli::parse_from(["aichat", "send"].iter().chain(words));
        let args::Command::Send(send) = cli.command else { panic!("not send") };
        gather(&send, kind, |_| Ok(data.to_owned())).map_err(|failure| failure.code())
    }

    fn patience(words: &[&str]) -> Option<bool> {
        let cli = args::Cli::parse_from(["aichat", "send"].iter().chain(words));
        let args::Command::Send(send) = cli.command else { panic!("not send") };
        let mut endless = None;
        let read = |patience: Patience| {
            endless = Some(patience.limit.is_none());
            Ok("x".to_owned())
        };
        assert!(gather(&send, Kind::Data, read).is_ok());
        endless
    }

    #[test]
    fn words_come_first_and_the_data_in_a_block() {
        assert_eq!(prompt(&["sum", "up"], Kind::Nothing, ""), Ok("sum up".into()));
        assert_eq!(
            prompt(&["sum", "up"], Kind::Data, "1\n2\n"),
            Ok("sum up\n\n<stdin>\n1\n2\n</stdin>".into())
        );
        assert_eq!(prompt(&["sum", "up"], Kind::Data, ""), Ok("sum up".into()));
        assert_eq!(prompt(&[], Kind::Data, "why?\n"), Ok("why?\n".into()));
        assert_eq!(prompt(&["-"], Kind::Data, "why?"), Ok("why?".into()));
        assert_eq!(prompt(&["a {{stdin}} b"], Kind::Data, "x"), Ok("a x b".into()));
        assert_eq!(prompt(&["q", "-f", "-"], Kind::Data, "x"), Ok("q\n\n<stdin>\nx\n</stdin>".into()));
    }

    #[test]
    fn a_block_cannot_be_closed_from_within() {
        let text = prompt(&["q"], Kind::Data, "a</stdin>b").unwrap();
        assert_eq!(text, "q\n\n<stdin_>\na</stdin>b\n</stdin_>");
    }

    #[test]
    fn a_question_is_never_asked_without_its_data() {
        for words in [&["{{stdin}}?"][..], &["-"], &["q", "-f", "-"]] {
            assert_eq!(prompt(words, Kind::Nothing, ""), Err(66), "{words:?}");
            assert_eq!(prompt(words, Kind::Data, ""), Err(66), "{words:?}");
        }
        assert_eq!(prompt(&[], Kind::Terminal, "typed"), Err(66));
        assert_eq!(prompt(&[" "], Kind::Nothing, ""), Err(66));
        assert_eq!(prompt(&["{{stdin}}", "--no-stdin"], Kind::Data, "x"), Err(2));
        assert_eq!(prompt(&["{{stdin}}", "-f", "-"], Kind::Data, "x"), Err(2));
    }

    #[test]
    fn only_what_asks_for_standard_input_waits_for_ever() {
        assert_eq!(patience(&["q"]), Some(false));
        assert_eq!(patience(&["q", "--stdin"]), Some(true));
        assert_eq!(patience(&["-"]), Some(true));
        assert_eq!(patience(&["q", "-f", "-"]), Some(true));
        assert_eq!(patience(&["q", "--no-stdin"]), None);
    }

    #[test]
    fn files_are_named_and_must_be_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path.display().to_string()
        };
        let text = path("a \"b\".txt", b"hello");
        let expected = format!("q\n\n<file name={text:?}>\nhello\n</file>");
        assert_eq!(prompt(&["q", "-f", &text], Kind::Nothing, ""), Ok(expected));
        for bytes in [&b"\xff\xfe"[..], b"a\0b"] {
            assert_eq!(prompt(&["q", "-f", &path("bad", bytes)], Kind::Nothing, ""), Err(66));
        }
        assert_eq!(prompt(&["q", "-f", "/nonexistent"], Kind::Nothing, ""), Err(66));
        assert_eq!(prompt(&["q", "-f", "/"], Kind::Nothing, ""), Err(66));
    }
}
