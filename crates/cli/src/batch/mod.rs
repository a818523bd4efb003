//! Batches: the lines that are asked, and the results that are kept.

mod finder;
mod line;
mod results;
mod source;
mod spent;

pub(crate) use finder::Finder;
pub(crate) use line::{Line, Recipe};
pub(crate) use results::Results;
pub(crate) use source::open;
pub(crate) use spent::Spent;
