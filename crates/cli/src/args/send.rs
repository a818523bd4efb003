//! What `send` takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::Turn;
use crate::fenced::Which;

#[derive(Args, Clone)]
pub(crate) struct Send {
    /// The prompt; words are joined by a space, `-` is standard input, {{stdin}} is replaced by it
    #[arg(value_name = "PROMPT")]
    pub(crate) prompt: Vec<String>,
    #[command(flatten)]
    pub(crate) turn: Turn,
    /// Print only the first fenced code block of the answer; all of it is kept
    #[arg(short = 'x', long = "extract", conflicts_with = "schema")]
    pub(crate) extract: bool,
    /// Print only the last fenced code block of the answer
    #[arg(long = "xl", visible_alias = "extract-last", conflicts_with_all = ["schema", "extract"])]
    pub(crate) extract_last: bool,
    /// Ask for JSON: a JSON Schema, a file that holds one, or fields such as "name, age int, tags str[]: in English" (str,
    /// int, float, bool); checked, asked for twice more where it does not fit, kept on continued turns
    #[arg(long, value_name = "FILE|JSON|FIELDS")]
    pub(crate) schema: Option<String>,
    /// Ask for free text in a session whose answers were JSON
    #[arg(long, conflicts_with = "schema")]
    pub(crate) no_schema: bool,
    /// Write the answer to a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Begin a session that goes on from this message, an id, prefix of an id or, of a session, @last or @last~1;
    /// without a prompt a user's message is answered once more
    #[arg(long, value_name = "MESSAGE", conflicts_with_all = ["continue_partial", "no_save"])]
    pub(crate) fork_at: Option<String>,
    /// Go on with the last answer, which was cut off; without a prompt exactly where it stops
    #[arg(long, conflicts_with = "no_save")]
    pub(crate) continue_partial: bool,
    /// The answer, one object when all is over, or one a line as it happens; --json is short for json
    #[arg(long, value_name = "FORM")]
    pub(crate) output_format: Option<Form>,
    /// Write the prompt in an editor, $VISUAL or $EDITOR, beginning with the words
    #[arg(short, long)]
    pub(crate) editor: bool,
    /// Print what would be sent, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not read standard input
    #[arg(long, conflicts_with = "stdin")]
    pub(crate) no_stdin: bool,
    /// Wait for standard input, however long it stays silent
    #[arg(long)]
    pub(crate) stdin: bool,
}

impl Send {
    /// Returns which code block of the answer is printed instead of all of it.
    pub(crate) fn block(&self) -> Option<Which> {
        match (self.extract, self.extract_last) {
            (true, _) => Some(Which::First),
            (_, true) => Some(Which::Last),
            _ => None,
        }
    }
}

/// The form of what `send` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Text,
    Json,
    StreamJson,
}
