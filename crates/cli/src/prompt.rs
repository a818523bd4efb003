//! The prompt: words, standard input and what is attached become the parts of one message.

use std::path::Path;

use aichat_engine::block;
use aichat_message::{ErrorKind, Part, PartKind};

use crate::args;
use crate::attach;
use crate::failure::Failure;
use crate::stdin::{self, Kind, Patience};
use crate::talk::Talk;

/// Where standard input goes in a prompt.
const PLACE: &str = "{{stdin}}";

/// Puts the message together: the prompt first, then what is attached, then the data on standard input, text in a
/// block of its own. Text that stands together is one part.
///
/// # Errors
/// Fails with kind `input` where something attached or standard input cannot be read or sent or nothing is asked,
/// and with kind `usage` where standard input is asked for twice.
pub(crate) fn assemble(args: &args::Send, talk: &Talk) -> Result<Vec<Part>, Failure> {
    let read =
        |patience| stdin::read(std::io::stdin(), patience, || talk.note("waiting for standard input …"));
    gather(args, Kind::of_process(), read, talk)
}

fn gather(
    args: &args::Send,
    kind: Kind,
    read: impl FnOnce(Patience) -> Result<Vec<u8>, Failure>,
    talk: &Talk,
) -> Result<Vec<Part>, Failure> {
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
        Kind::Nothing if whole || attached == 1 => Some(Vec::new()),
        _ => None,
    };
    let mut piped = piped.filter(|bytes| !bytes.is_empty());
    if (placed || whole || attached == 1) && piped.is_none() {
        return Err(Failure::new(ErrorKind::Input, "there is nothing on standard input")
            .hint("pipe the data in, or leave it out of the prompt"));
    }

    let mut parts = Parts::default();
    // Who names standard input as an attachment may pipe an image in; anywhere else it is text.
    let image = piped.take_if(|_| attached == 1).map(|bytes| attach::piped(&bytes)).transpose()?;
    let hint = |failure: Failure| failure.hint("`-f -` takes an image, sound, video or a PDF");
    let mut rest = piped.map(stdin::text).transpose().map_err(hint)?;
    if placed {
        parts.text(words.replace(PLACE, rest.take().as_deref().unwrap_or_default()));
    } else if whole || words.trim().is_empty() && attached == 0 {
        rest.take().into_iter().for_each(|text| parts.text(text));
    } else if !words.trim().is_empty() {
        parts.text(words);
    }
    for file in &args.files {
        match file == Path::new("-") {
            true => image.iter().cloned().for_each(|part| parts.push(part)),
            false => attach::read(file, talk, |part| parts.push(part))?,
        }
    }
    rest.into_iter().for_each(|text| parts.text(block("stdin", None, &text)));
    match parts.0.as_slice() {
        [Part { kind: PartKind::Text { text, .. }, .. }] if text.trim().is_empty() => Err(nothing()),
        [] => Err(nothing()),
        _ => Ok(parts.0),
    }
}

fn nothing() -> Failure {
    Failure::new(ErrorKind::Input, "there is no prompt").hint("write it after `aichat send`, or pipe it in")
}

/// Parts of a message, texts that follow each other in one.
#[derive(Default)]
struct Parts(Vec<Part>);

impl Parts {
    fn text(&mut self, text: String) {
        self.push(Part::text(text));
    }

    fn push(&mut self, part: Part) {
        if let (Some(last), PartKind::Text { text: more, .. }) = (self.0.last_mut(), &part.kind)
            && let PartKind::Text { text, .. } = &mut last.kind
        {
            text.push_str("\n\n");
            text.push_str(more);
            return;
        }
        self.0.push(part);
    }
}

/// Reads a text file.
///
/// # Errors
/// Fails with kind `input`, naming the file, where it cannot be read or is not text.
pub(crate) fn text_of(path: &Path) -> Result<String, Failure> {
    let bytes =
        std::fs::read(path).map_err(|error| Failure::file(ErrorKind::Input, "cannot read", path, &error))?;
    let refuse = |what: &str| Failure::new(ErrorKind::Input, format!("{} {what}", path.display()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn prompt(words: &[&str], kind: Kind, data: &str) -> Result<String, u8> {
        let cli = args::Cli::parse_from(["aichat", "send"].iter().chain(words));
        let args::Command::Send(send) = cli.command else { panic!("not send") };
        let parts = gather(&send, kind, |_| Ok(data.as_bytes().to_vec()), &silent());
        let shown = |part: &Part| match &part.kind {
            PartKind::Text { text, .. } => text.clone(),
            PartKind::Media { mime, name, .. } => format!("{name:?} {mime:?}"),
            _ => panic!("neither text nor media"),
        };
        let parts = parts.map_err(|failure| failure.code())?;
        Ok(parts.iter().map(shown).collect::<Vec<_>>().join("|"))
    }

    fn silent() -> Talk {
        Talk::new(true, args::Color::Never, &crate::env::Env::of([]), aichat_engine::Secrets::new())
    }

    fn patience(words: &[&str]) -> Option<bool> {
        let cli = args::Cli::parse_from(["aichat", "send"].iter().chain(words));
        let args::Command::Send(send) = cli.command else { panic!("not send") };
        let mut endless = None;
        let read = |patience: Patience| {
            endless = Some(patience.limit.is_none());
            Ok(b"x".to_vec())
        };
        assert!(gather(&send, Kind::Data, read, &silent()).is_ok());
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
    fn media_stand_in_their_place_and_alone_are_a_prompt() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        std::fs::write(&path, b"\x89PNG\r\n\x1a\n\0").unwrap();
        let image = path.to_str().unwrap();
        let shown = r#"Some("a.png") Some("image/png")"#;
        assert_eq!(prompt(&["-f", image], Kind::Nothing, ""), Ok(shown.to_owned()));
        assert_eq!(
            prompt(&["q", "-f", image], Kind::Data, "x"),
            Ok(format!("q|{shown}|<stdin>\nx\n</stdin>"))
        );
        assert_eq!(
            prompt(&["q", "-f", "https://x.org/b.gif"], Kind::Nothing, ""),
            Ok(r#"q|Some("b.gif") Some("image/gif")"#.to_owned())
        );
        assert_eq!(
            prompt(&["-f", "-"], Kind::Data, "%PDF-1"),
            Ok(r#"Some("stdin") Some("application/pdf")"#.to_owned())
        );
    }

    #[test]
    fn files_are_named_and_must_be_of_a_known_kind() {
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
    }
}
