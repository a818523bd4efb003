//! What `chat` takes.

use clap::Args;

use super::Turn;

#[derive(Args, Clone)]
#[command(after_help = HABITS)]
pub(crate) struct Chat {
    /// The first message; words are joined by a space
    #[arg(value_name = "PROMPT")]
    pub(crate) prompt: Vec<String>,
    #[command(flatten)]
    pub(crate) turn: Turn,
}

/// What help says beside the flags.
const HABITS: &str = "\
At the prompt, .help lists the commands: .model, .session, .fork, .undo, .retry, .edit, .attach, .copy, .cost, .quit.
A prompt of several lines: end a line with \\, press Alt-Enter, paste it, or write it between two \"\"\".
Ctrl-C stops an answer or clears the line, Ctrl-D ends. Where standard input is no terminal, each line is a prompt.";
