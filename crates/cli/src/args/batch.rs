//! What `batch` takes.

use std::path::PathBuf;
use std::time::Duration;

use aichat_message::Money;
use clap::{Args, ValueHint};

use super::turn::{dollars, key_value, param, seconds};

/// Most prompts that may be asked at once.
const MOST_JOBS: i64 = 1000;

#[derive(Args, Clone)]
pub(crate) struct Batch {
    /// Prompts, one JSON object a line: {"prompt": …} and perhaps id, model, system, agent, template, params, options,
    /// schema; `-` for standard input
    #[arg(value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// How many are asked at once
    #[arg(short, long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=MOST_JOBS))]
    pub(crate) jobs: u16,
    /// Write the results to a file; where it holds some already, the prompts that have an answer are not asked again
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Most that all of them may cost together, in USD; a request that could cost more than is left is not sent
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub(crate) max_cost: Option<Money>,
    /// Model, where a line names none: provider/model, provider:model or a unique part of a known model's name
    #[arg(short, long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Models to ask, one after another, where the model gives no answer at all; with commas between them
    #[arg(long, value_name = "MODEL,…", value_delimiter = ',')]
    pub(crate) fallback: Vec<String>,
    /// Agent to give the prompts to, where a line names none
    #[arg(short, long, value_name = "AGENT")]
    pub(crate) agent: Option<String>,
    /// Template to make the prompts from, where a line names none; a line's prompt goes where it says {{prompt}}
    #[arg(short, long, value_name = "TEMPLATE")]
    pub(crate) template: Option<String>,
    /// Value of a parameter of the template; those of a line go first
    #[arg(short, long, value_name = "KEY=VALUE", requires = "template", value_parser = param)]
    pub(crate) param: Vec<(String, String)>,
    /// Standing instruction, or @FILE that holds it, where a line says none
    #[arg(long, value_name = "TEXT|@FILE")]
    pub(crate) system: Option<String>,
    /// Model option; those of a line go first
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) option: Vec<(String, String)>,
    /// Ask for JSON, where a line does not: a JSON Schema, a file that holds one, or fields such as "name, age int"
    #[arg(long, value_name = "FILE|JSON|FIELDS")]
    pub(crate) schema: Option<String>,
    /// Ask models whose price is not known, although a budget is set
    #[arg(long)]
    pub(crate) allow_unpriced: bool,
    /// Ask for whole answers at once
    #[arg(short = 'S', long)]
    pub(crate) no_stream: bool,
    /// Do not save sessions
    #[arg(short, long)]
    pub(crate) no_save: bool,
    /// Longest wait for a connection
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout_connect: Option<Duration>,
    /// Longest wait for the first byte of an answer
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout_first_byte: Option<Duration>,
    /// Longest silence in the middle of an answer
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout_idle: Option<Duration>,
}
