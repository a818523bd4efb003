//! What `send` takes.

use std::path::PathBuf;
use std::time::Duration;

use aichat_message::Money;
use clap::{Args, ValueEnum, ValueHint};

use crate::fenced::Which;

#[derive(Args, Clone)]
pub(crate) struct Send {
    /// The prompt; words are joined by a space, `-` is standard input, {{stdin}} is replaced by it
    #[arg(value_name = "PROMPT")]
    pub(crate) prompt: Vec<String>,
    /// Model: provider/model, provider:model or a unique part of a known model's name
    #[arg(short, long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Agent to give the turn to; flags go before what it says. A session goes on with its agent as it was then
    #[arg(short, long, value_name = "AGENT")]
    pub(crate) agent: Option<String>,
    /// Template to make the prompt from; the words go where it says {{prompt}}, or after it
    #[arg(short, long, value_name = "TEMPLATE")]
    pub(crate) template: Option<String>,
    /// Value of a parameter of the template
    #[arg(short, long, value_name = "KEY=VALUE", requires = "template", value_parser = param)]
    pub(crate) param: Vec<(String, String)>,
    /// Session to continue: name, id, prefix of an id or @last; a new name begins a session
    #[arg(short, long, value_name = "SESSION")]
    pub(crate) session: Option<String>,
    /// Continue the last session of this terminal
    #[arg(short, long = "continue", conflicts_with = "session")]
    pub(crate) continue_last: bool,
    /// With -c: the last session anywhere
    #[arg(long, requires = "continue_last")]
    pub(crate) global: bool,
    /// Attach text, an image, sound, video or a PDF; all files of a directory; the address of media, which the
    /// provider fetches; `-` for standard input; may be repeated
    #[arg(short, long = "file", visible_alias = "attach", short_alias = 'i', value_name = "FILE|DIR|URL|-", value_hint = ValueHint::AnyPath)]
    pub(crate) files: Vec<PathBuf>,
    /// Standing instruction, or @FILE that holds it
    #[arg(long, value_name = "TEXT|@FILE")]
    pub(crate) system: Option<String>,
    /// Model option: max_tokens, temperature, top_p, top_k, stop, seed, reasoning, or one of the provider's own
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) option: Vec<(String, String)>,
    /// Print only the first fenced code block of the answer; all of it is kept
    #[arg(short = 'x', long = "extract", conflicts_with = "schema")]
    pub(crate) extract: bool,
    /// Print only the last fenced code block of the answer
    #[arg(long = "xl", visible_alias = "extract-last", conflicts_with_all = ["schema", "extract"])]
    pub(crate) extract_last: bool,
    /// Ask for JSON: a JSON Schema, a file that holds one, or fields such as "name, age int"; kept on continued turns
    #[arg(long, value_name = "FILE|JSON|FIELDS")]
    pub(crate) schema: Option<String>,
    /// Ask for free text in a session whose answers were JSON
    #[arg(long, conflicts_with = "schema")]
    pub(crate) no_schema: bool,
    /// Write the answer to a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Ask for the whole answer at once
    #[arg(short = 'S', long)]
    pub(crate) no_stream: bool,
    /// Do not show the model's reasoning
    #[arg(short = 'R', long)]
    pub(crate) hide_reasoning: bool,
    /// Most that the turn may cost, in USD; a request that could cost more is not sent
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub(crate) max_cost: Option<Money>,
    /// Ask a model whose price is not known, although a budget is set
    #[arg(long)]
    pub(crate) allow_unpriced: bool,
    /// Print usage and cost on standard error
    #[arg(short, long)]
    pub(crate) usage: bool,
    /// Do not save the session
    #[arg(short, long, conflicts_with_all = ["session", "continue_last", "fork_at", "continue_partial"])]
    pub(crate) no_save: bool,
    /// Begin a session that goes on from this message, an id, prefix of an id or, of a session, @last or @last~1;
    /// without a prompt a user's message is answered once more
    #[arg(long, value_name = "MESSAGE", conflicts_with = "continue_partial")]
    pub(crate) fork_at: Option<String>,
    /// Go on with the last answer, which was cut off; without a prompt exactly where it stops
    #[arg(long)]
    pub(crate) continue_partial: bool,
    /// The answer, one object when all is over, or one a line as it happens; --json is short for json
    #[arg(long, value_name = "FORM")]
    pub(crate) output_format: Option<Form>,
    /// Print what would be sent, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not read standard input
    #[arg(long, conflicts_with = "stdin")]
    pub(crate) no_stdin: bool,
    /// Wait for standard input, however long it stays silent
    #[arg(long)]
    pub(crate) stdin: bool,
    /// Wait while another turn of the session is in flight
    #[arg(long)]
    pub(crate) wait: bool,
    /// Go on in a fork of the session where another turn of it is in flight
    #[arg(long, conflicts_with = "wait")]
    pub(crate) fork: bool,
    /// Longest wait for a connection
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout_connect: Option<Duration>,
    /// Longest wait for the first byte of the answer
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout_first_byte: Option<Duration>,
    /// Longest silence in the middle of an answer
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout_idle: Option<Duration>,
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

pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("write the value after an equals sign: -o {text}=VALUE")),
    }
}

fn param(text: &str) -> Result<(String, String), String> {
    key_value(text).map_err(|_| format!("write the value after an equals sign: -p {text}=VALUE"))
}

pub(super) fn dollars(text: &str) -> Result<Money, String> {
    match text.parse::<Money>() {
        Ok(amount) if amount > Money::ZERO => Ok(amount),
        Ok(_) => Err("not an amount of more than nothing".to_owned()),
        Err(_) => Err("write dollars as a plain decimal, 0.50 for example".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("not a time of more than zero seconds".to_owned()),
    }
}
