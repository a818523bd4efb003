//! What models there are and what they cost.
//!
//! A [`Catalog`] is a dated table of models. It finds the [`Entry`] a name stands for and prices the token counts
//! of a call, in exact decimals: what is not known stays unknown, and every [`Cost`] names the table, the entry
//! and the tier it was computed from.
//!
//! ```
//! use aichat_catalog::{Catalog, CostStatus};
//! use aichat_message::Usage;
//!
//! let catalog = Catalog::builtin();
//! let usage = Usage { input_tokens: Some(1_000), output_tokens: Some(200), ..Usage::default() };
//! let cost = catalog.cost("anthropic", "claude-haiku-4-5-20251001", Some(&usage));
//! assert_eq!(cost.status, CostStatus::Exact);
//! assert_eq!(cost.amount.unwrap().to_string(), "0.002");
//!
//! let cost = catalog.cost("anthropic", "no-such-model", Some(&usage));
//! assert_eq!(cost.amount, None);
//! ```
//!
//! The built-in table is derived from [genai-prices](https://github.com/pydantic/genai-prices), copyright Pydantic
//! Services Inc., under the MIT licence that lies beside it in `data/`.

mod catalog;
mod cost;
mod entry;
mod error;
mod evaluate;
mod money;
mod table;

pub use catalog::{Catalog, Found};
pub use cost::{Bucket, Cost, CostStatus, Currency, Line, PriceRef};
pub use entry::{Entry, MatchedBy, Prices, Tier};
pub use error::{Error, ErrorKind};
pub use money::Money;
