//! The prompt: words, standard input and what is attached become the parts of one message.

use std::path::Path;

use aichat_engine::{Piece, block};
use aichat_message::{ErrorKind, Part, PartKind};

use crate::args;
use crate::attach;
use crate::failure::Failure;
use crate::stdin::{self, Kind, Patience};
use crate::talk::Talk;

/// Where standard input goes in a prompt.
const PLACE: &str = "{{stdin}}";

/// Puts the message together: the prompt first, made from a template where there is one, then what is attached, then
/// the data on standard input, text in a block of its own. Text that stands together is one part.
///
/// # Errors
/// Fails with kind `input` where something attached or standard input cannot be read or sent or nothing is asked,
/// and with kind `usage` where standard input is asked for twice.
pub(crate) fn assemble(
    args: &args::Send,
    template: Option<Vec<Piece>>,
    talk: &Talk,
) -> Result<Vec<Part>, Failure> {
    let read =
        |patience| stdin::read(std::io::stdin(), patience, || talk.note("waiting for standard input …"));
    gather(args, template, Kind::of_process(), read, talk)
}

fn gather(
    args: &args::Send,
    template: Option<Vec<Piece>>,
    kind: Kind,
    read: impl FnOnce(Patience) -> Result<Vec<u8>, Failure>,
    talk: &Talk,
) -> Result<Vec<Part>, Failure> {
    let words = args.prompt.join(" ");
    let whole = args.prompt.len() == 1 && words == "-";
    let attached = args.turn.files.iter().filter(|file| *file == Path::new("-")).count();
    let is_templated = template.is_some();
    let said = if whole { vec![Piece::Stdin] } else { pieces(&words) };
    let prompt = match template {
        Some(template) => filled(template, said),
        None => said,
    };
    let placed = prompt.contains(&Piece::Stdin);
    if attached + usize::from(placed) > 1 {
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
    if (placed || attached == 1) && piped.is_none() {
        return Err(Failure::new(ErrorKind::Input, "there is nothing on standard input")
            .hint("pipe the data in, or leave it out of the prompt"));
    }

    let mut parts = Parts::default();
    // Who names standard input as an attachment may pipe an image in; anywhere else it is text.
    let image = piped.take_if(|_| attached == 1).map(|bytes| attach::piped(&bytes)).transpose()?;
    let hint = |failure: Failure| failure.hint("`-f -` takes an image, sound, video or a PDF");
    let mut rest = piped.map(stdin::text).transpose().map_err(hint)?;
    let data = if placed { rest.take() } else { None };
    let prompt: String = prompt
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Prompt => "",
            Piece::Stdin => data.as_deref().unwrap_or_default(),
        })
        .collect();
    if !prompt.trim().is_empty() {
        parts.text(prompt);
    } else if !is_templated && attached == 0 {
        rest.take().into_iter().for_each(|text| parts.text(text));
    }
    for file in &args.turn.files {
        match file == Path::new("-") {
            true => image.iter().cloned().for_each(|part| parts.push(part)),
            false => attach::read(file, talk, |part| parts.push(part))?,
        }
    }
    rest.into_iter().for_each(|text| parts.text(block("stdin", None, &text)));
    match parts.0.as_slice() {
        [Part { kind: PartKind::Text { text, .. }, .. }] if text.trim().is_empty() => nothing(args),
        [] => nothing(args),
        _ => Ok(parts.0),
    }
}

/// Puts a message together that was typed: the prompt first, made from a template where there is one, then what is
/// attached.
///
/// # Errors
/// Fails with kind `usage` where the template wants standard input, and with kind `input` where nothing is asked.
#[cfg(feature = "chat")]
pub(crate) fn typed(
    text: String,
    template: Option<Vec<Piece>>,
    attached: impl IntoIterator<Item = Part>,
) -> Result<Vec<Part>, Failure> {
    let said = vec![Piece::Text(text)];
    let prompt = template.map_or_else(|| said.clone(), |template| filled(template, said.clone()));
    let mut whole = String::new();
    for piece in prompt {
        match piece {
            Piece::Text(text) => whole.push_str(&text),
            Piece::Prompt => {}
            Piece::Stdin => {
                return Err(Failure::new(ErrorKind::Usage, "the template wants standard input")
                    .hint("`aichat send` reads what is piped in"));
            }
        }
    }
    let mut parts = Parts::default();
    parts.text(whole);
    attached.into_iter().for_each(|part| parts.push(part));
    Ok(parts.0)
}

/// Cuts words where standard input goes.
fn pieces(words: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (at, text) in words.split(PLACE).enumerate() {
        if at > 0 {
            pieces.push(Piece::Stdin);
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
    }
    pieces
}

/// Puts what was said where the template wants it, or after it. Where nothing was said and the template does not place
/// standard input itself, that is what is asked.
fn filled(template: Vec<Piece>, said: Vec<Piece>) -> Vec<Piece> {
    let is_silent = said.iter().all(|piece| matches!(piece, Piece::Text(text) if text.trim().is_empty()));
    let wants_prompt = template.contains(&Piece::Prompt);
    if !wants_prompt {
        let after = if is_silent { Vec::new() } else { said };
        let gap = (!after.is_empty()).then(|| Piece::Text("\n\n".to_owned()));
        return template.into_iter().chain(gap).chain(after).collect();
    }
    let said = match is_silent && !template.contains(&Piece::Stdin) {
        true => vec![Piece::Stdin],
        false => said,
    };
    let mut all = Vec::new();
    for piece in template {
        match piece {
            Piece::Prompt => all.extend(said.iter().cloned()),
            piece => all.push(piece),
        }
    }
    all
}

/// Returns a message that says nothing, where there may be something to answer already.
fn nothing(args: &args::Send) -> Result<Vec<Part>, Failure> {
    let may_be = args.fork_at.is_some()
        || args.continue_partial
        || args.turn.session.is_some()
        || args.turn.continue_last;
    match may_be {
        true => Ok(Vec::new()),
        false => Err(Failure::new(ErrorKind::Input, "there is no prompt")
            .hint("write it after `aichat send`, or pipe it in")),
    }
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
    use aichat_engine::Template;
    use clap::Parser;

    fn prompt(words: &[&str], kind: Kind, data: &str) -> Result<String, u8> {
        made(None, words, kind, data)
    }

    /// Makes a prompt from a template whose parameter `x` has a value that looks like a place.
    fn made(template: Option<&str>, words: &[&str], kind: Kind, data: &str) -> Result<String, u8> {
        let template = template.map(|text| {
            let template = Template { text: text.to_owned(), ..Template::default() };
            let has_x = template.parameters().contains(&"x");
            let values = has_x.then(|| ("x".to_owned(), "{{stdin}}{{prompt}}".to_owned()));
            template.fill(&Vec::from_iter(values)).unwrap()
        });
        let cli = args::Cli::parse_from(["aichat", "send"].iter().chain(words));
        let args::Command::Send(send) = cli.command else { panic!("not send") };
        let parts = gather(&send, template, kind, |_| Ok(data.as_bytes().to_vec()), &silent());
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
        assert!(gather(&send, None, Kind::Data, read, &silent()).is_ok());
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
    fn a_template_takes_words_and_data_where_it_says_so() {
        let made = |template, words: &[&str], data: &str| {
            made(Some(template), words, if data.is_empty() { Kind::Nothing } else { Kind::Data }, data)
        };
        assert_eq!(made("Say {{prompt}}!", &["a", "b"], ""), Ok("Say a b!".into()));
        assert_eq!(made("Say {{prompt}}!", &["a"], "1"), Ok("Say a!\n\n<stdin>\n1\n</stdin>".into()));
        assert_eq!(made("{{prompt}} of {{stdin}}", &["a"], "1"), Ok("a of 1".into()));
        assert_eq!(made("Be brief.", &["a"], ""), Ok("Be brief.\n\na".into()));
        assert_eq!(made("Be brief.", &[], "1"), Ok("Be brief.\n\n<stdin>\n1\n</stdin>".into()));
        assert_eq!(made("Be brief.", &["-"], "1"), Ok("Be brief.\n\n1".into()));
        assert_eq!(made("Be brief.", &[], ""), Ok("Be brief.".into()));
        assert_eq!(made("Say {{prompt}}!", &["a {{stdin}}"], "1"), Ok("Say a 1!".into()));
        assert_eq!(made("Say {{prompt}}!", &["-"], "1"), Ok("Say 1!".into()));
        assert_eq!(made("Say {{prompt}}!", &[], "1"), Ok("Say 1!".into()), "a pipe alone is the prompt");
        assert_eq!(made("Say {{prompt}}!", &[], ""), Err(66));
        assert_eq!(made("Of {{stdin}}", &["a"], ""), Err(66));
        assert_eq!(made("Of {{stdin}}", &["--no-stdin"], "1"), Err(2));
        assert_eq!(
            made("{{x}} {{prompt}}", &["a"], ""),
            Ok("{{stdin}}{{prompt}} a".into()),
            "a value is text"
        );
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
