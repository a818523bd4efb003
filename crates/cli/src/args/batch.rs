//! What `batch` takes.

use std::path::PathBuf;

use aichat_message::Money;
use clap::{Args, ValueHint};

use super::turn::{Asked, dollars};

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
    /// What a line says itself goes before these.
    #[command(flatten)]
    pub(crate) asked: Asked,
    /// Ask for JSON, where a line does not: a JSON Schema, a file that holds one, or fields such as "name, age int"
    #[arg(long, value_name = "FILE|JSON|FIELDS")]
    pub(crate) schema: Option<String>,
    /// Do not save sessions
    #[arg(short, long)]
    pub(crate) no_save: bool,
}
