//! What a turn takes, whether it is one of many or the only one: who answers, where it is kept, what it may cost.

use std::path::PathBuf;
use std::time::Duration;

use aichat_message::Money;
use clap::builder::NonEmptyStringValueParser as Words;
use clap::{Args, ValueHint};

use crate::assemble::Timeouts;

/// Who is asked and how, whether it is once or for each line of a batch.
#[derive(Args, Clone)]
pub(crate) struct Asked {
    /// Model: provider/model, provider:model or a unique part of a known model's name
    #[arg(short, long, value_name = "MODEL", value_parser = Words::new())]
    pub(crate) model: Option<String>,
    /// Models to ask, one after another, where the model gives no answer at all: rate limited, overloaded, out of
    /// reach, no key, no such model; written as for -m, with commas between them
    #[arg(long, value_name = "MODEL,…", value_delimiter = ',', value_parser = Words::new())]
    pub(crate) fallback: Vec<String>,
    /// Agent to give the turn to; flags go before what it says. A session goes on with its agent as it was then
    #[arg(short, long, value_name = "AGENT")]
    pub(crate) agent: Option<String>,
    /// Template to make the prompt from; the words go where it says {{prompt}}, or after it
    #[arg(short, long, value_name = "TEMPLATE")]
    pub(crate) template: Option<String>,
    /// Value of a parameter of the template
    #[arg(short, long, value_name = "KEY=VALUE", requires = "template", value_parser = param)]
    pub(crate) param: Vec<(String, String)>,
    /// Standing instruction, or @FILE that holds it
    #[arg(long, value_name = "TEXT|@FILE")]
    pub(crate) system: Option<String>,
    /// Model option: max_tokens, temperature, top_p, top_k, stop, seed, reasoning, or one of the provider's own
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) option: Vec<(String, String)>,
    /// Ask for the whole answer at once
    #[arg(short = 'S', long)]
    pub(crate) no_stream: bool,
    /// Ask a model whose price is not known, although a budget is set
    #[arg(long)]
    pub(crate) allow_unpriced: bool,
    /// Longest wait for a connection
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout_connect: Option<Duration>,
    /// Longest wait for the first byte of the answer
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout_first_byte: Option<Duration>,
    /// Longest silence within the answer; keep-alives without content are believed for six times the longer limit
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout_idle: Option<Duration>,
}

impl Asked {
    /// Returns how long to wait for whoever is asked.
    pub(crate) fn timeouts(&self) -> Timeouts {
        Timeouts {
            connect: self.timeout_connect,
            first_byte: self.timeout_first_byte,
            idle: self.timeout_idle,
        }
    }
}

#[derive(Args, Clone)]
pub(crate) struct Turn {
    #[command(flatten)]
    pub(crate) asked: Asked,
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
    /// Do not show the model's reasoning
    #[arg(short = 'R', long)]
    pub(crate) hide_reasoning: bool,
    /// Most that the turn may cost, in USD; a request that could cost more is not sent
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub(crate) max_cost: Option<Money>,
    /// Print usage and cost on standard error
    #[arg(short, long)]
    pub(crate) usage: bool,
    /// Do not save the session
    #[arg(short, long, conflicts_with_all = ["session", "continue_last"])]
    pub(crate) no_save: bool,
    /// Wait while another turn of the session is in flight
    #[arg(long)]
    pub(crate) wait: bool,
    /// Go on in a fork of the session where another turn of it is in flight
    #[arg(long, conflicts_with = "wait")]
    pub(crate) fork: bool,
}

pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("write the value after an equals sign: -o {text}=VALUE")),
    }
}

pub(super) fn param(text: &str) -> Result<(String, String), String> {
    key_value(text).map_err(|_| format!("write the value after an equals sign: -p {text}=VALUE"))
}

pub(super) fn dollars(text: &str) -> Result<Money, String> {
    match text.parse::<Money>() {
        Ok(amount) if amount > Money::ZERO => Ok(amount),
        Ok(_) => Err("not an amount of more than nothing".to_owned()),
        Err(_) => Err("write dollars as a plain decimal, 0.50 for example".to_owned()),
    }
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("not a time of more than zero seconds".to_owned()),
    }
}
