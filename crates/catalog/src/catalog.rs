//! The catalogue: tables of models that answer what a name stands for and what a call cost.

use std::sync::Arc;

use aichat_message::Usage;

use crate::cost::{Cost, PriceRef};
use crate::entry::Entry;
use crate::error::Error;
use crate::evaluate::evaluate;
use crate::found::{Assumption, Call, Match, ProviderBy, TableRef};
use crate::given::{Given, GivenEntry};
use crate::moment::Day;
use crate::names::{MatchedBy, hyphenated, undated};
use crate::table::{Provider, Table, name_and_version};

/// Models and prices: the built-in table, tables that are given, or both; cheap to make and to clone.
#[derive(Clone, Debug)]
pub struct Catalog {
    has_builtin: bool,
    /// The last one goes before the others.
    given: Vec<Arc<Given>>,
}

impl Catalog {
    /// Returns the catalogue that comes with the crate. Of its table only those lines are read that are asked for.
    pub fn builtin() -> Self {
        Self { has_builtin: true, given: Vec::new() }
    }

    /// Returns a catalogue that knows no model.
    pub fn empty() -> Self {
        Self { has_builtin: false, given: Vec::new() }
    }

    /// Returns a catalogue of one given table alone; see [`with_json`](Self::with_json).
    ///
    /// # Errors
    ///
    /// Those of [`with_json`](Self::with_json).
    pub fn from_json(json: &str) -> Result<Self, Error> {
        Self::empty().with_json(json)
    }

    /// Returns the catalogue with a table that goes before what it knew.
    ///
    /// The table has a `date`, perhaps a `source`, and `entries` with a `provider` (as it is called in the
    /// configuration, or here) and an `id`, the model's own name. What else an entry says replaces what was known of
    /// that model, under every name it has; what it does not say stays as it was. It may have
    ///
    /// - `context_window` and `output_limit` in tokens, `input` and `output` as lists of `text`, `image`, `audio`,
    ///   `video` and `pdf`, `tools`, `structured_output` and `deprecated` as truth values, `reasoning` as `none`,
    ///   `some`, `effort`, `budget` or `adaptive`, `retires` as a day;
    /// - `prices` by bucket ([`Bucket`](crate::Bucket)) in dollars per million, as strings, with `tiers` of
    ///   `over_input_tokens` and `prices`; or `rates` of `when` ([`Condition`](crate::Condition)), `prices`,
    ///   `tiers` and `uncounted`, of which the last that holds applies;
    /// - other names in lower case: `aliases`, and the patterns `dated`, `prefixes`, `suffixes`, `infixes` and
    ///   `except` ([`Names`](crate::Names)).
    ///
    /// ```
    /// use aichat_catalog::{Call, Catalog, Moment};
    ///
    /// let ours = r#"{"date": "2026-11-01", "source": "our contract", "entries": [
    ///     {"provider": "openai", "id": "gpt-4.1", "prices": {"input": "1.5", "output": "6"}},
    ///     {"provider": "azure", "id": "gpt-4.1-mini", "aliases": ["our-deployment"]}]}"#;
    /// let catalog = Catalog::builtin().with_json(ours)?;
    ///
    /// let found = catalog.model("azure", "our-deployment").unwrap();
    /// assert_eq!(found.entry.context_window, Some(1_047_576));
    /// println!("{found}");
    ///
    /// let at = Moment::from_unix_seconds(1_795_000_000);
    /// let price = catalog.model("openai", "gpt-4.1").unwrap().entry.rate(at).unwrap().prices.clone();
    /// assert_eq!(price.of(aichat_catalog::Bucket::Input).unwrap().to_string(), "1.5");
    /// # Ok::<(), aichat_catalog::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Table`](crate::ErrorKind::Table), naming entry and field, when the text is not such a table,
    /// when a field is unknown (it might change what a price means), when two entries claim one name, when tiers
    /// are not ascending, or when a price is not a plain decimal between zero and a million dollars with at most six
    /// decimals.
    pub fn with_json(mut self, json: &str) -> Result<Self, Error> {
        self.given.push(Arc::new(Given::parse(json)?));
        Ok(self)
    }

    /// Returns where the catalogue has its knowledge from, the first to be asked first.
    pub fn tables(&self) -> Vec<TableRef> {
        let given = self.given.iter().rev().map(|given| given.described());
        given.chain(self.table().map(|table| described(&table))).collect()
    }

    /// Returns every entry, by provider: thousands, each read anew.
    pub fn entries(&self) -> Vec<Entry> {
        let read = |table: Table| {
            table.providers().flat_map(move |provider| table.rows(provider)).map(move |row| row.entry(&table))
        };
        self.with_given(self.table().into_iter().flat_map(read).collect(), |_| true)
    }

    /// Returns the entries of a provider.
    pub fn entries_of(&self, provider: &str) -> Vec<Entry> {
        let listed = self.table().and_then(|table| Some((table, table.provider(provider)?)));
        let read =
            |(table, provider): (Table, Provider)| table.rows(provider).map(move |row| row.entry(&table));
        self.with_given(listed.into_iter().flat_map(read).collect(), |entry| {
            entry.provider.eq_ignore_ascii_case(provider)
                || listed.is_some_and(|(_, listed)| entry.provider.eq_ignore_ascii_case(listed.name))
        })
    }

    /// Lays what given tables say of chosen models over what is known of them.
    fn with_given(&self, mut entries: Vec<Entry>, chosen: impl Fn(&GivenEntry) -> bool) -> Vec<Entry> {
        for given in &self.given {
            for new in given.entries.iter().filter(|entry| chosen(entry)) {
                match entries.iter_mut().find(|old| is_named(new, &old.provider, &old.id)) {
                    Some(old) => *old = overlaid(new, given, Some(old.clone())),
                    None => entries.push(overlaid(new, given, None)),
                }
            }
        }
        entries
    }

    /// Returns provider and name of every model, without reading more of it.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        let given = self.given.iter().flat_map(|given| &given.entries);
        let given = given.map(|entry| (entry.provider.as_str(), entry.id.as_str()));
        let rows = |table: Table| table.providers().flat_map(move |provider| table.rows(provider));
        let listed = self.table().into_iter().flat_map(rows).map(|row| (row.provider, row.id));
        listed.chain(given)
    }

    /// Tells whether a provider of the built-in table passes on other providers' models beside those it lists.
    pub fn is_router(&self, provider: &str) -> bool {
        self.table().and_then(|table| table.provider(provider)).is_some_and(Provider::is_router)
    }

    /// Finds the model that `model` stands for at `provider`; see [`find`](Self::find).
    pub fn model(&self, provider: &str, model: &str) -> Option<Match> {
        self.lookup(provider, model, None)
    }

    /// Finds the model that a call names, in whatever case.
    ///
    /// The provider is the one whose address is called, or else the one of that name. Tables that were given go
    /// before the built-in one. The model's own name wins over its other names, these over a name followed by a
    /// date, and these over patterns, of which the longest wins. Where a provider does not list a model that it
    /// passes on, the maker's entry is taken, and where no rule fits a name that ends in a date, that of the name
    /// without it; the match says so.
    pub fn find(&self, call: &Call<'_>) -> Option<Match> {
        self.lookup(call.provider, call.model, call.address)
    }

    /// Returns what a call cost at standard rates: no batch or priority processing.
    ///
    /// Prices are those of the day and hour of the call. The tier is chosen by all input, cached tokens included,
    /// and applies to the whole request. Reasoning costs what output costs unless priced apart. Amounts are exact
    /// for any counts. The cost is
    ///
    /// - unknown, without an amount, for an unknown model, without usage, without either total, or when no bucket
    ///   that holds tokens has a price;
    /// - partial when some bucket that holds tokens has no price;
    /// - estimated when all have one, but a subset is larger than its total, cached and audio tokens may overlap,
    ///   the model is billed for what tokens do not show, or the price is an assumption.
    pub fn cost(&self, call: &Call<'_>, usage: Option<&Usage>) -> Cost {
        let priced = || {
            let usage = usage?;
            let Match { entry, matched_by, assumed, table, .. } = self.find(call)?;
            let rate = entry.rate(call.at)?;
            let (cost, tier) = evaluate(rate, usage, call.web_searches, assumed.is_empty())?;
            let price = PriceRef {
                table_date: table.date,
                table_hash: table.hash,
                entry: format!("{}/{}", entry.provider, entry.id),
                when: rate.when,
                tier,
                matched_by,
                assumed,
            };
            Some(Cost { price: Some(price), ..cost })
        };
        priced().unwrap_or_else(Cost::unknown)
    }

    fn table(&self) -> Option<Table> {
        self.has_builtin.then(Table::builtin)
    }

    fn lookup(&self, provider: &str, model: &str, address: Option<&str>) -> Option<Match> {
        let name = model.to_ascii_lowercase();
        let place = self.table().and_then(|table| Place::of(table, provider, address));
        let listed = place.as_ref().map(|place| place.provider.name);
        let is_asked = |entry: &GivenEntry| {
            let is = |name: &str| entry.provider.eq_ignore_ascii_case(name);
            is(provider) || listed.is_some_and(is)
        };
        let mut given = self.given.iter().rev();
        let mut found = match given.find_map(|given| Some((given, given.find(is_asked, &name)?))) {
            Some((given, (new, hit))) => {
                let known = place.and_then(|place| place.find(&new.id.to_ascii_lowercase()));
                let known = known.filter(|known| known.matched_by <= MatchedBy::Alias);
                let mut found = known.unwrap_or_else(|| Match {
                    entry: Entry::new(&*new.provider, &*new.id, &*given.source),
                    matched_by: hit.by,
                    rule: String::new(),
                    provider_by: ProviderBy::Name,
                    assumed: Vec::new(),
                    table: given.described(),
                    overridden: true,
                });
                found.entry.id.clone_from(&new.id);
                (found.matched_by, found.rule) = (hit.by, hit.rule.to_owned());
                found
            }
            None => place?.find(&name)?,
        };
        // Whatever its name was, tables speak of the model by its own.
        for given in &self.given {
            let is_it = |new: &&GivenEntry| is_asked(new) && new.id.eq_ignore_ascii_case(&found.entry.id);
            let Some(new) = given.entries.iter().find(is_it) else { continue };
            if new.has_prices() {
                (found.table, found.assumed) = (given.described(), Vec::new());
            }
            found.entry = overlaid(new, given, Some(found.entry));
            found.overridden = true;
        }
        Some(found)
    }
}

/// Returns what is known of a model with what a table says of it.
fn overlaid(new: &GivenEntry, given: &Given, known: Option<Entry>) -> Entry {
    let known = known.unwrap_or_else(|| Entry::new(&*new.provider, &*new.id, &*given.source));
    let source = if new.has_prices() { given.source.clone() } else { known.source.clone() };
    Entry { source, ..new.over(known) }
}

fn is_named(entry: &GivenEntry, provider: &str, id: &str) -> bool {
    entry.provider.eq_ignore_ascii_case(provider) && entry.id.eq_ignore_ascii_case(id)
}

fn described(table: &Table) -> TableRef {
    let word = |word| table.said(word).next().unwrap_or_default();
    let sources: Vec<&str> = table.said("source").map(name_and_version).collect();
    TableRef {
        builtin: true,
        source: sources.join(", "),
        date: word("date").parse::<Day>().expect("the built-in table has a date, as its test shows"),
        hash: word("hash").to_owned(),
    }
}

/// A provider of the built-in table, and how it was recognised.
struct Place {
    table: Table,
    provider: Provider,
    by: ProviderBy,
    is_elsewhere: bool,
}

impl Place {
    fn of(table: Table, name: &str, address: Option<&str>) -> Option<Self> {
        let named = table.provider(name);
        let (provider, by, is_elsewhere) = match (named, address) {
            (Some(provider), None) => (provider, ProviderBy::Name, false),
            (Some(provider), Some(address)) if provider.is_at(address) => (provider, ProviderBy::Name, false),
            (named, Some(address)) => match table.providers().find(|provider| provider.is_at(address)) {
                Some(provider) => (provider, ProviderBy::Address, false),
                None => (named?, ProviderBy::Name, true),
            },
            (None, None) => return None,
        };
        Some(Self { table, provider, by, is_elsewhere })
    }

    /// Finds a model by a lower-case name.
    fn find(&self, name: &str) -> Option<Match> {
        if let Some(found) = self.at(self.provider, name, None) {
            return Some(found);
        }
        let lenders = || self.provider.lenders(self.table, name);
        let lent =
            lenders().find_map(|(lender, name)| self.at(lender, name, Some(Assumption::OtherProvider)));
        if lent.is_some() {
            return lent;
        }
        let stem = undated(name)?;
        self.at(self.provider, stem, Some(Assumption::OtherSnapshot))
    }

    fn at(&self, provider: Provider, name: &str, assumption: Option<Assumption>) -> Option<Match> {
        let find = |name: &str| self.table.find(provider, name);
        // A name may repeat its provider, and its date may be written without hyphens.
        let bare = || name.strip_prefix(provider.name)?.strip_prefix('/');
        let (row, hit) = find(name).or_else(|| find(&hyphenated(name)?)).or_else(|| find(bare()?))?;
        let elsewhere = self.is_elsewhere.then_some(Assumption::OtherHost);
        Some(Match {
            entry: row.entry(&self.table),
            matched_by: hit.by,
            rule: hit.rule.to_owned(),
            provider_by: self.by,
            assumed: elsewhere.into_iter().chain(assumption).collect(),
            table: described(&self.table),
            overridden: false,
        })
    }
}
