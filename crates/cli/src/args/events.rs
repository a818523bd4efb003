//! What is asked about events.

use clap::Subcommand;

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
    /// Check the hash chain of a session, or of all
    Verify {
        /// Name, id, prefix of an id, @last or @last~1
        #[arg(value_name = "SESSION", required_unless_present = "all")]
        session: Option<String>,
        /// Check every session
        #[arg(long, conflicts_with = "session")]
        all: bool,
    },
}
