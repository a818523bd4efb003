//! What is asked of providers, their models and their keys.

use clap::{Args, Subcommand};

use super::Limit;

#[derive(Subcommand)]
pub(crate) enum Models {
    /// List the models that providers offer now, or those known to this program
    List {
        /// Ask these providers; without one, every provider with a key or a section of its own
        #[arg(value_name = "PROVIDER")]
        providers: Vec<String>,
        /// List what this program knows instead, and ask nobody
        #[arg(long)]
        known: bool,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show limits, abilities and prices of a model, and where each is from
    Show {
        /// provider/model, provider:model, or a part of a known name
        model: String,
        /// Say what this program knows, and ask nobody
        #[arg(long)]
        known: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum Keys {
    /// Keep a key, read from a hidden prompt or standard input, in the keyring or else in a private file
    Set(SetKey),
    /// Say for each provider with a key where it comes from and where else there is one, never the key
    List(Limit),
    /// Forget a key that was kept
    #[command(visible_alias = "remove")]
    Delete(Provider),
    /// Say where the key of a provider comes from
    Which(Provider),
    /// Try keys by asking for lists of models, which costs nothing
    Test(TestKeys),
}

/// Which key to keep, and where.
#[derive(Args)]
pub(crate) struct SetKey {
    #[command(flatten)]
    pub(crate) provider: Provider,
    /// Keep it in the file of keys, which only you can read
    #[arg(long)]
    pub(crate) file: bool,
    /// Keep it in the keyring, and fail where there is none
    #[arg(long, conflicts_with = "file")]
    pub(crate) keyring: bool,
}

/// Which keys to try.
#[derive(Args)]
pub(crate) struct TestKeys {
    /// Names of providers; without one, every provider that has a key or is configured
    #[arg(value_name = "PROVIDER")]
    pub(crate) providers: Vec<String>,
    /// Try every provider that has a key or is configured
    #[arg(long, conflicts_with = "providers")]
    pub(crate) all: bool,
}

/// The provider a command is about.
#[derive(Args)]
pub(crate) struct Provider {
    /// The provider's name
    #[arg(value_name = "PROVIDER")]
    pub(crate) provider: String,
}

#[derive(Subcommand)]
pub(crate) enum Providers {
    /// List the providers, built in and configured
    List(Limit),
    /// Show all there is to know about a provider, but its key
    Show(Provider),
    /// Try a provider step by step, from its name to a schema; spends a few tokens
    Test(Test),
}

/// Which providers to try.
#[derive(Args)]
pub(crate) struct Test {
    /// Names of providers
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub(crate) providers: Vec<String>,
    /// Try every provider that has a key or is configured
    #[arg(long, conflicts_with = "providers")]
    pub(crate) all: bool,
    /// The model to ask, as `send` takes it or without its provider; else the default or the cheapest known one
    #[arg(short, long, value_name = "MODEL", conflicts_with = "all")]
    pub(crate) model: Option<String>,
}
