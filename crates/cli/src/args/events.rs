//! What is asked about events.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{Limit, Session};
use crate::since::Since;

#[derive(Subcommand)]
pub(crate) enum Events {
    /// List the events of a session
    List {
        #[command(flatten)]
        session: Session,
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show everything about one event
    Show {
        #[command(flatten)]
        session: Session,
        /// The event: its place in the log, its id, or a prefix of the id
        #[arg(value_name = "EVENT")]
        event: String,
    },
    /// Draw the turns of a session over time
    Timeline(Session),
    /// Print the conversation of a session, made from its events alone
    Replay {
        #[command(flatten)]
        session: Session,
        /// Run its turns again first, over what went over the network for them and without a network, a key or a cent;
        /// exit 1 where something else comes of it, and say where
        #[arg(long)]
        offline: bool,
    },
    /// Print where the log of a session ends, to be written down elsewhere
    Head(Chains),
    /// Make a page for a browser of everything that happened in a session
    Report {
        /// Name, id, prefix of an id, @last or @last~1
        #[arg(value_name = "SESSION", default_value = "@last")]
        session: String,
        /// File to write; without it the page is printed
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
    },
    /// Print the last events of a session or of all, and go on with what happens in any process
    Tail {
        /// Name, id, prefix of an id, @last or @last~1; without one, every session
        #[arg(value_name = "SESSION")]
        session: Option<String>,
        /// Go on until Ctrl-C
        #[arg(short, long)]
        follow: bool,
        /// Most events to begin with
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Check the hash chain of a session, or of all
    Verify {
        #[command(flatten)]
        chains: Chains,
        /// Lines that `events head` printed once, which must hold still
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
    },
    /// Send sessions to a collector as spans and metrics of OpenTelemetry; sent twice, they are there once
    Otel(Otel),
}

/// Whose chains.
#[derive(Args)]
pub(crate) struct Chains {
    /// Name, id, prefix of an id, @last or @last~1
    #[arg(value_name = "SESSION", required_unless_present = "all")]
    pub(crate) session: Option<String>,
    /// Every session
    #[arg(long, conflicts_with = "session")]
    pub(crate) all: bool,
}

/// Which events to list.
#[derive(Args)]
pub(crate) struct Filter {
    /// Only this type, or a family of types such as llm; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kinds: Vec<String>,
    /// Only events with this text in them
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) text: String,
    /// Only what went wrong, warnings included
    #[arg(long)]
    pub(crate) errors: bool,
}

/// What to send where.
#[derive(Args)]
pub(crate) struct Otel {
    #[command(flatten)]
    pub(crate) chains: Chains,
    /// With --all: those used since a time, a date or so long ago (12h, 7d)
    #[arg(long, requires = "all", conflicts_with = "session", value_name = "TIME|DURATION")]
    pub(crate) since: Option<Since>,
    /// The collector's address, without /v1/traces; else OTEL_EXPORTER_OTLP_ENDPOINT
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// Send what was said, too
    #[arg(long)]
    pub(crate) content: bool,
}
