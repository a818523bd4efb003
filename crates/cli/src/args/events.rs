//! What is asked about events.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Limit, Session};

#[derive(Subcommand)]
pub(crate) enum Events {
    /// List the events of a session
    List {
        #[command(flatten)]
        session: Session,
        #[command(flatten)]
        limit: Limit,
    },
    /// Draw the turns of a session over time
    Timeline(Session),
    /// Print where the log of a session ends, to be written down elsewhere
    Head(Chains),
    /// Check the hash chain of a session, or of all
    Verify {
        #[command(flatten)]
        chains: Chains,
        /// Lines that `events head` printed once, which must hold still
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
    },
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
