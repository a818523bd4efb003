//! Dot commands: what can be said at the prompt besides a prompt.

use aichat_engine::nearest;
use aichat_message::ErrorKind;

use super::lines::Said;
use crate::failure::Failure;

/// What a line at the prompt asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Nothing.
    Nothing,
    /// An answer to this.
    Answer(String),
    /// A command, with what follows it.
    Do(Verb, Option<String>),
}

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Agent,
    Attach,
    Copy,
    Cost,
    Detach,
    Edit,
    Fork,
    Help,
    Model,
    Quit,
    Retry,
    Session,
    Undo,
}

/// Every command: its name, what may follow it, and what it does.
pub(crate) const VERBS: [(&str, Verb, &str, &str); 13] = [
    ("model", Verb::Model, "[MODEL]", "go on with another model, or say which it is"),
    ("agent", Verb::Agent, "[AGENT]", "go on with an agent, or say which it is"),
    ("session", Verb::Session, "[SESSION]", "go on in another session; a new name begins one"),
    ("fork", Verb::Fork, "[MESSAGE]", "go on in a new session that shares what was said"),
    ("undo", Verb::Undo, "", "take the last message and its answer back"),
    ("retry", Verb::Retry, "[MODEL]", "have the last message answered once more"),
    ("edit", Verb::Edit, "[N]", "change the last message, or that of the prompt N>"),
    ("attach", Verb::Attach, "[FILE|URL]", "attach to the next message, or list what goes with it"),
    ("detach", Verb::Detach, "", "take back what was attached"),
    ("copy", Verb::Copy, "[code]", "copy the last answer, or its last block of code"),
    ("cost", Verb::Cost, "", "say what this session cost"),
    ("help", Verb::Help, "", "list these commands"),
    ("quit", Verb::Quit, "", "end; so does Ctrl-D"),
];

/// Reads a line. A dot and a letter begin a command, unless a backslash stands before them.
///
/// # Errors
/// Fails with kind `usage` where there is no such command, or nothing may follow it.
pub(crate) fn read(said: Said) -> Result<Wish, Failure> {
    let Said { text, is_block } = said;
    if text.trim().is_empty() {
        return Ok(Wish::Nothing);
    }
    if is_block {
        return Ok(Wish::Answer(text));
    }
    if text.starts_with("\\.") {
        return Ok(Wish::Answer(text[1..].to_owned()));
    }
    let Some(command) =
        text.trim().strip_prefix('.').filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
    else {
        return Ok(Wish::Answer(text));
    };
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = Some(rest.trim()).filter(|rest| !rest.is_empty()).map(str::to_owned);
    let known = if name == "exit" { "quit" } else { name };
    match VERBS.iter().find(|(verb, ..)| *verb == known) {
        Some((_, _, "", _)) if rest.is_some() => {
            Err(Failure::new(ErrorKind::Usage, format!("nothing may follow .{name}"))
                .hint(format!("a prompt that begins like this is written \\.{name} …")))
        }
        Some((_, verb, ..)) => Ok(Wish::Do(*verb, rest)),
        None => {
            let names = || VERBS.iter().map(|(verb, ..)| *verb);
            let near = names().find(|verb| verb.starts_with(name)).or_else(|| nearest(name, names()));
            let failure = Failure::new(ErrorKind::Usage, format!("there is no command .{name}"));
            let prompt = format!("a prompt that begins like this is written \\.{name}");
            Err(match near {
                Some(near) => failure.hint(format!("did you mean .{near}? {prompt}")),
                None => failure.hint(format!(".help lists them; {prompt}")),
            })
        }
    }
}

/// Returns what `.help` says.
pub(crate) fn help() -> String {
    let mut text = String::new();
    for (name, _, rest, what) in VERBS {
        let usage = format!(".{name} {rest}");
        text.push_str(&format!("{usage:20} {what}\n"));
    }
    text.push_str("\nSeveral lines: end one with \\, press Alt-Enter, paste them, or write \"\"\"\n");
    text.push_str("before and after them. Ctrl-C stops an answer or clears the line.\n");
    text.push_str("Nothing is lost by .undo, .retry and .edit: what was said stays as a branch.\n");
    text.push_str("A prompt that begins with a dot and a letter is written with a \\ before it.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(text: &str) -> String {
        match read(Said { text: text.into(), is_block: text.contains('\n') }) {
            Ok(wish) => format!("{wish:?}"),
            Err(failure) => {
                let report = failure.into_report().unwrap();
                format!("{}: {} | {}", report.kind, report.message, report.hint.unwrap_or_default())
            }
        }
    }

    #[test]
    fn lines_are_prompts_or_commands() {
        let lines = [
            " ",
            "hello .quit",
            ".model  gpt-4o ",
            ".exit",
            "\\.gitignore?",
            "...and?",
            "../x",
            ".5 is what?",
            ".css {\n}",
            ".modle",
            ".s",
            ".gitignore",
            ".undo twice",
        ];
        insta::assert_snapshot!(lines.map(wish).join("\n"), @r#"
        Nothing
        Answer("hello .quit")
        Do(Model, Some("gpt-4o"))
        Do(Quit, None)
        Answer(".gitignore?")
        Answer("...and?")
        Answer("../x")
        Answer(".5 is what?")
        Answer(".css {\n}")
        usage: there is no command .modle | did you mean .model? a prompt that begins like this is written \.modle
        usage: there is no command .s | did you mean .session? a prompt that begins like this is written \.s
        usage: there is no command .gitignore | .help lists them; a prompt that begins like this is written \.gitignore
        usage: nothing may follow .undo | a prompt that begins like this is written \.undo …
        "#);
    }

    #[test]
    fn help_fits_a_terminal() {
        assert!(help().lines().all(|line| line.chars().count() < 80));
    }
}
