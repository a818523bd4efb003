//! What `cost` takes.

use clap::{Args, ValueEnum};

use crate::since::Since;

#[derive(Args)]
pub(crate) struct Cost {
    /// What to take costs together by; several, separated by commas
    #[arg(long, value_name = "WHAT", value_delimiter = ',', default_value = "model")]
    pub(crate) by: Vec<By>,
    /// Only calls made since a time, a date or so long ago (12h, 7d)
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<Since>,
    /// Only calls made before a time, a date or so long ago
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<Since>,
    /// Only calls made in this session: name, id, prefix of an id or @last
    #[arg(short, long, value_name = "SESSION")]
    pub(crate) session: Option<String>,
    /// Most groups to print; the total is of all
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// First price calls whose price was not known, and is by now
    #[arg(long)]
    pub(crate) reprice: bool,
}

/// What costs are taken together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    Model,
    Day,
    Session,
    Agent,
    Provider,
    Turn,
    Call,
}
