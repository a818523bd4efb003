//! What is done with the place where sessions are kept.

use clap::{Subcommand, ValueHint};

#[derive(Subcommand)]
pub(crate) enum Store {
    /// Show what is kept, how much of it there is, and what was set aside
    Info,
    /// Check everything: every log, attachment and document, and all that is derived from them
    Verify,
    /// Make everything that is derived from the logs again
    Rebuild,
    /// Give back the space of what was erased or replaced, and leave no byte of it in any file
    Compact,
    /// Copy everything to a directory; done again, it adds what is new
    Backup {
        /// A new or empty directory, or an earlier backup
        #[arg(value_name = "DEST", value_hint = ValueHint::DirPath)]
        dest: String,
    },
    /// Bring back what a backup has and this store does not
    Restore {
        /// The backup
        #[arg(value_name = "SOURCE", value_hint = ValueHint::DirPath)]
        source: String,
    },
    /// Copy everything from one place to another, adding to what is there
    Copy {
        /// Where sessions are kept now
        #[arg(value_name = "FROM", value_hint = ValueHint::DirPath)]
        from: String,
        /// Where they shall be kept as well
        #[arg(value_name = "TO", value_hint = ValueHint::DirPath)]
        to: String,
    },
}
