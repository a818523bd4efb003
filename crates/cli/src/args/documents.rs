//! What is done with agents and templates.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::Limit;
use super::turn::key_value;

#[derive(Subcommand)]
pub(crate) enum Agents {
    /// Keep a new agent
    Create {
        /// Its name
        name: String,
        #[command(flatten)]
        fields: AgentFields,
    },
    /// Change what is given and keep the rest; an empty value takes something away
    Edit {
        /// Its name
        name: String,
        #[command(flatten)]
        fields: AgentFields,
    },
    #[command(flatten)]
    Kept(Kept),
}

/// What there is to say of an agent.
#[derive(Args)]
pub(crate) struct AgentFields {
    /// Model: provider/model, provider:model or a unique part of a known model's name
    #[arg(short, long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Standing instruction, or @FILE that holds it
    #[arg(long, value_name = "TEXT|@FILE")]
    pub(crate) system: Option<String>,
    /// Model option: max_tokens, temperature, top_p, top_k, stop, seed, reasoning, or one of the provider's own
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) option: Vec<(String, String)>,
    /// Form of its answers: a JSON Schema, a file that holds one, or fields such as "name, age int"
    #[arg(long, value_name = "FILE|JSON|FIELDS")]
    pub(crate) schema: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// The most a turn shall cost; kept and shown, and not enforced by this version
    #[arg(long, value_name = "USD")]
    pub(crate) max_cost: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Templates {
    /// Keep a new template
    Create {
        /// Its name
        name: String,
        /// Its text, @FILE that holds it, or `-` for standard input; {{key}} is filled in by `send -p key=VALUE`,
        /// {{prompt}} by the words, {{stdin}} by standard input
        #[arg(value_name = "TEXT|@FILE|-")]
        text: String,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Change what is given and keep the rest
    Edit {
        /// Its name
        name: String,
        /// Its new text, @FILE that holds it, or `-` for standard input
        #[arg(value_name = "TEXT|@FILE|-")]
        text: Option<String>,
        /// What it is for; an empty text takes it away
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    #[command(flatten)]
    Kept(Kept),
}

/// What is done with agents and templates alike.
#[derive(Subcommand)]
pub(crate) enum Kept {
    /// List all, by name
    List(Limit),
    /// Show one, in its latest version
    Show {
        /// Its name
        name: String,
        /// Show this version
        #[arg(long, value_name = "N")]
        version: Option<u64>,
        /// List its versions, the latest first
        #[arg(long, conflicts_with = "version")]
        history: bool,
    },
    /// Hide one and free its name; its versions stay
    Delete {
        /// Its name
        name: String,
    },
    /// Print one as a JSON object that holds all there is to import it elsewhere
    Export {
        /// Its name
        name: String,
    },
    /// Take in one that was exported; doing so again changes nothing
    Import {
        /// The exported file; `-` is standard input
        #[arg(value_name = "FILE|-", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}
