//! What is done with the configuration.

use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Settings {
    /// Print every setting
    Show {
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Print one setting
    Get {
        /// Its name, `model` or `providers.NAME.FIELD`
        key: String,
    },
    /// Change one setting in the configuration file
    Set {
        /// Its name, `model` or `providers.NAME.FIELD`
        key: String,
        /// Its new value
        value: String,
    },
}
