//! The catalogue: a table of models that answers what a name stands for and what a call cost.

use std::sync::{Arc, LazyLock};

use aichat_message::Usage;

use crate::cost::{Cost, PriceRef};
use crate::entry::{Entry, MatchedBy};
use crate::error::Error;
use crate::evaluate::evaluate;
use crate::table::Table;

static BUILTIN: LazyLock<Table> = LazyLock::new(|| {
    Table::parse(include_str!("../data/models.json"))
        .expect("the built-in table is well-formed, as its test shows")
});

/// A table of models and prices; cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalog(Origin);

#[derive(Clone, Debug)]
enum Origin {
    Builtin,
    Given(Arc<Table>),
}

/// An entry, and how a name led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// How the name led to it.
    pub matched_by: MatchedBy,
}

impl Catalog {
    /// Returns the catalogue that comes with the crate, whose table is read on first use.
    pub fn builtin() -> Self {
        Self(Origin::Builtin)
    }

    /// Reads a table of the form of the built-in one, `data/models.json`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Table`](crate::ErrorKind::Table) when the text is not such a table, when a field is unknown
    /// (it might change what a price means), when two entries claim one name, when tiers are not ascending, or
    /// when a price is not between zero and a million dollars with at most six decimals.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        Table::parse(json).map(|table| Self(Origin::Given(Arc::new(table))))
    }

    /// Returns the day whose prices the table holds, as `2026-01-31`.
    pub fn table_date(&self) -> &str {
        &self.table().date
    }

    /// Returns the BLAKE3 hash of the table's bytes, in hexadecimal.
    pub fn table_hash(&self) -> &str {
        &self.table().hash
    }

    /// Returns the name and version of what the table was derived from.
    pub fn table_source(&self) -> &str {
        &self.table().source
    }

    /// Returns every entry, in the table's order.
    pub fn entries(&self) -> &[Entry] {
        &self.table().entries
    }

    /// Finds the model that `model` stands for at `provider`, in whatever case it is written.
    ///
    /// The model's own name wins over its other names, these over a name followed by a date, and these over
    /// prefixes, of which the longest wins.
    pub fn model(&self, provider: &str, model: &str) -> Option<Found<'_>> {
        self.table().find(provider, model)
    }

    /// Returns what a call cost at standard rates: no batch or priority processing, no fees per request.
    ///
    /// The tier is chosen by all input, cached tokens included, and applies to the whole request. Reasoning
    /// costs what output costs unless priced apart. Amounts are exact for any counts. The cost is
    ///
    /// - unknown, without an amount, for an unknown model, without usage, without either total, or when no
    ///   bucket that holds tokens has a price;
    /// - partial when some bucket that holds tokens has no price;
    /// - estimated when all have one, but a subset is larger than its total, or cached and audio tokens may
    ///   overlap.
    pub fn cost(&self, provider: &str, model: &str, usage: Option<&Usage>) -> Cost {
        let table = self.table();
        let priced = || {
            let Found { entry, matched_by } = table.find(provider, model)?;
            let (cost, tier) = evaluate(entry, usage?)?;
            let price = PriceRef {
                table_date: table.date.clone(),
                table_hash: table.hash.clone(),
                entry: format!("{}/{}", entry.provider, entry.id),
                tier,
                matched_by,
            };
            Some(Cost { price: Some(price), ..cost })
        };
        priced().unwrap_or_else(Cost::unknown)
    }

    fn table(&self) -> &Table {
        match &self.0 {
            Origin::Builtin => &BUILTIN,
            Origin::Given(table) => table,
        }
    }
}
