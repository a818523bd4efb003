//! Batches: the lines that are asked, and the results that are kept.

mod line;
mod results;
mod source;
mod spent;

pub(crate) use line::{Line, LookUp, Recipe};
pub(crate) use results::{Done, Results};
pub(crate) use source::Source;
pub(crate) use spent::Spent;
