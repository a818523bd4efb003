//! Export and import: sessions as JSON that carries every event byte for byte, as it is written and read.

mod document;
mod export;
mod import;
mod input;
mod line;
mod page;
mod read;

pub use self::document::{Document, Rejected};
pub use self::export::{Export, ExportForm, Exporting};
pub use self::import::{Imported, Importing};
pub use self::input::MAX_LINE;

use std::time::Duration;

/// What every export says it is.
const SCHEMA: &str = "aichat.session/1";

/// How long the store is held while the other side of a pipe dawdles.
const PATIENCE: Duration = Duration::from_millis(200);
