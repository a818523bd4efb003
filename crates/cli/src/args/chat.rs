//! What `chat` takes.

use clap::Args;

use super::Turn;

#[derive(Args, Clone)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Chat {
    /// The first message; words are joined by a space
    #[arg(value_name = "PROMPT")]
    pub(crate) prompt: Vec<String>,
    #[command(flatten)]
    pub(crate) turn: Turn,
}

const EXAMPLES: &str = "\
At the prompt, .help lists the commands: .model, .session, .fork, .undo, .retry, .edit, .attach, .copy, .cost, .quit.
A prompt of several lines: end a line with \\, press Alt-Enter, paste it, or write it between two \"\"\".
Ctrl-C stops an answer or clears the line, Ctrl-D ends. Where standard input is no terminal, each line is a prompt.

Examples:
  aichat chat
  aichat chat -c                          go on with the last session of this terminal
  aichat chat -m gpt-4o -s holiday        in a session of that name
  aichat chat -f notes.md \"what is missing?\"
  printf 'one\\ntwo\\n' | aichat chat -q    two prompts in one session";
