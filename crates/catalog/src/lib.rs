//! What models there are and what they cost.
//!
//! A [`Catalog`] is a dated table of models. It finds the [`Entry`] a name stands for and prices the token counts
//! of a call, in exact decimals, at the prices of its day and hour: what is not known stays unknown, every
//! [`Match`] explains itself, and every [`Cost`] names the table, the entry, the rate and the tier it was computed
//! from.
//!
//! ```
//! use aichat_catalog::{Call, Catalog, CostStatus, Moment};
//! use aichat_message::Usage;
//!
//! let catalog = Catalog::builtin();
//! let at = Moment::from_unix_seconds(1_795_000_000);
//! let call = Call::new("anthropic", "claude-haiku-4-5-20251001", at).to("https://api.anthropic.com");
//! let usage = Usage { input_tokens: Some(1_000), output_tokens: Some(200), ..Usage::default() };
//! let cost = catalog.cost(&call, Some(&usage));
//! assert_eq!(cost.status, CostStatus::Exact);
//! assert_eq!(cost.amount.unwrap().to_string(), "0.002");
//!
//! let cost = catalog.cost(&Call::new("anthropic", "no-such-model", at), Some(&usage));
//! assert_eq!(cost.amount, None);
//! ```
//!
//! The built-in table is derived from [genai-prices](https://github.com/pydantic/genai-prices), copyright Pydantic
//! Services Inc., and from [LiteLLM](https://github.com/BerriAI/litellm), copyright Berri AI, under the MIT licences
//! that lie beside it in `data/`.

mod address;
mod catalog;
mod ceiling;
mod cost;
mod entry;
mod error;
mod evaluate;
mod found;
mod given;
mod moment;
mod names;
mod price;
mod rate;
mod table;

pub use aichat_message::{CostStatus, Currency, Money};
pub use catalog::Catalog;
pub use ceiling::Ceiling;
pub use cost::{Cost, Line, PriceRef};
pub use entry::{Entry, Modality, Reasoning};
pub use error::{Error, ErrorKind};
pub use found::{Assumption, Call, Match, ProviderBy, TableRef};
pub use moment::{Day, Moment};
pub use names::{MatchedBy, Names};
pub use rate::{Bucket, Condition, Prices, Rate, Tier};
