//! The built-in table: a text that is searched where it lies, and of which only the line that was asked for is read.

use aichat_message::Money;

use crate::address::covers;
use crate::entry::{Entry, Modality, Reasoning};
use crate::names::{Hit, MatchedBy, Names, hit};
use crate::price::Price;
use crate::rate::{Bucket, Condition, Prices, Rate, Tier};

/// The table; its format is described in `data/README.md`.
static BUILTIN: &str = include_str!("../data/models.txt");
/// What every expectation here rests on.
const SANE: &str = "the built-in table is well-formed, as its test shows";

/// A table in the format of the built-in one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    /// Everything up to the first provider.
    head: &'static str,
    /// A line for every provider.
    providers: &'static str,
    /// The lines of the models, one provider after another.
    body: &'static str,
}

/// A provider's line in the table: name, place in the body, other names, addresses, lenders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Provider {
    pub(crate) name: &'static str,
    range: &'static str,
    called: &'static str,
    addresses: &'static str,
    lenders: &'static str,
}

/// A model's line in the table: name, other names, facts, rates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) provider: &'static str,
    pub(crate) id: &'static str,
    names: &'static str,
    /// Facts and rates.
    rest: &'static str,
}

impl Table {
    /// Returns the table that comes with the crate, looking at its head alone.
    pub(crate) fn builtin() -> Self {
        Self::over(BUILTIN)
    }

    fn over(text: &'static str) -> Self {
        let (rest, body) = text.split_once("\n\n").expect(SANE);
        let (head, providers) = rest.split_once("\nprovider ").expect(SANE);
        Self { head, providers, body }
    }

    /// Returns what stands behind the word at the beginning of a line of the head.
    pub(crate) fn said(&self, word: &str) -> impl Iterator<Item = &'static str> {
        self.head.lines().filter_map(move |line| line.strip_prefix(word)?.strip_prefix(' '))
    }

    /// Returns the providers.
    pub(crate) fn providers(self) -> impl Iterator<Item = Provider> {
        self.providers.lines().map(Provider::read)
    }

    /// Returns the provider of that name, in whatever case it is written.
    pub(crate) fn provider(self, name: &str) -> Option<Provider> {
        let is = |one: &&str| one.eq_ignore_ascii_case(name);
        self.providers().find(|provider| is(&provider.name)).or_else(|| {
            self.providers().find(|provider| provider.called.split_ascii_whitespace().any(|one| is(&one)))
        })
    }

    /// Returns the models of a provider, in the table's order.
    pub(crate) fn rows(self, provider: Provider) -> impl Iterator<Item = Row> {
        let (begin, length) = provider.range.split_once('+').expect(SANE);
        let (begin, length): (usize, usize) = (begin.parse().expect(SANE), length.parse().expect(SANE));
        self.body[begin..begin + length].lines().map(move |line| Row::read(provider.name, line))
    }

    /// Finds a provider's model by a lower-case name: the best way wins, then the longest rule, then the first.
    pub(crate) fn find(self, provider: Provider, name: &str) -> Option<(Row, Hit<'static>)> {
        let mut best: Option<(Row, Hit<'static>)> = None;
        for row in self.rows(provider) {
            let Some(hit) = row.hit(name) else { continue };
            if hit.by == MatchedBy::Exact {
                return Some((row, hit));
            }
            if best.as_ref().is_none_or(|(_, old)| hit.rank() < old.rank()) {
                best = Some((row, hit));
            }
        }
        best
    }
}

impl Provider {
    fn read(line: &'static str) -> Self {
        let mut fields = line.strip_prefix("provider ").unwrap_or(line).split('\t');
        let mut next = || fields.next().expect(SANE);
        Self { name: next(), range: next(), called: next(), addresses: next(), lenders: next() }
    }

    /// Tells whether the provider passes on models of others beside those it lists.
    pub(crate) fn is_router(self) -> bool {
        !self.lenders.is_empty()
    }

    /// Tells whether an address is the provider's.
    pub(crate) fn is_at(self, address: &str) -> bool {
        self.addresses.split_ascii_whitespace().any(|pattern| covers(pattern, address))
    }

    /// Returns the providers whose prices it asks for a model it has no price of, and the name under which each
    /// knows the model.
    pub(crate) fn lenders(self, table: Table, name: &str) -> impl Iterator<Item = (Provider, &str)> {
        // A variant, such as one for nothing or one that searches, has a price of its own.
        let vendor = name.split_once('/').filter(|_| self.lenders == "*" && !name.contains(':'));
        let vendor = vendor.and_then(|(vendor, rest)| Some((table.provider(vendor)?, rest)));
        let listed = self
            .lenders
            .split_ascii_whitespace()
            .filter_map(move |lender| Some((table.provider(lender)?, name)));
        vendor.into_iter().chain(listed)
    }
}

impl Row {
    fn read(provider: &'static str, line: &'static str) -> Self {
        let (id, rest) = line.split_once('\t').expect(SANE);
        let (names, rest) = rest.split_once('\t').expect(SANE);
        Self { provider, id, names, rest }
    }

    fn hit(&self, name: &str) -> Option<Hit<'static>> {
        let rules = self.names.split(' ').filter_map(|rule| Some((kind(rule)?, &rule[1..])));
        let except = || {
            self.names.split(' ').any(|rule| rule.strip_prefix('!').is_some_and(|part| name.contains(part)))
        };
        hit(self.id, rules, except, name)
    }

    /// Reads the line.
    pub(crate) fn entry(&self, table: &Table) -> Entry {
        let (facts, rates) = self.rest.split_once('\t').expect(SANE);
        let mut entry = Entry::new(self.provider, self.id, "");
        for rule in self.names.split_ascii_whitespace() {
            let names = &mut entry.names;
            let Names { aliases, dated, prefixes, suffixes, infixes, except } = names;
            let into = match kind(rule) {
                Some(MatchedBy::Exact | MatchedBy::Alias) => aliases,
                Some(MatchedBy::Dated) => dated,
                Some(MatchedBy::Prefix) => prefixes,
                Some(MatchedBy::Suffix) => suffixes,
                Some(MatchedBy::Infix) => infixes,
                None => except,
            };
            into.push(rule[1..].to_owned());
        }
        let mut source = "genai-prices";
        for fact in facts.split_ascii_whitespace() {
            let (key, value) = fact.split_at(1);
            let truth = || Some(value == "1");
            match key {
                "c" => entry.context_window = value.parse().ok(),
                "o" => entry.output_limit = value.parse().ok(),
                "i" => entry.input = value.chars().filter_map(modality).collect(),
                "g" => entry.output = value.chars().filter_map(modality).collect(),
                "T" => entry.tools = truth(),
                "J" => entry.structured_output = truth(),
                "R" => entry.reasoning = reasoning(value),
                "u" => entry.retires = value.parse().ok(),
                "d" => entry.deprecated = true,
                "l" => source = "litellm",
                _ => {}
            }
        }
        let named = |line: &&str| line.starts_with(source);
        entry.source = table.said("source").find(named).map_or("", name_and_version).to_owned();
        entry.rates = rates.split_terminator('|').map(rate).collect();
        entry
    }
}

/// Cuts the hash off a line about a source.
pub(crate) fn name_and_version(line: &str) -> &str {
    line.rsplit_once(' ').map_or(line, |(name, _)| name)
}

fn kind(rule: &str) -> Option<MatchedBy> {
    match rule.as_bytes().first()? {
        b'=' => Some(MatchedBy::Alias),
        b'#' => Some(MatchedBy::Dated),
        b'^' => Some(MatchedBy::Prefix),
        b'$' => Some(MatchedBy::Suffix),
        b'*' => Some(MatchedBy::Infix),
        _ => None,
    }
}

fn modality(letter: char) -> Option<Modality> {
    Some(match letter {
        't' => Modality::Text,
        'i' => Modality::Image,
        'a' => Modality::Audio,
        'v' => Modality::Video,
        'p' => Modality::Pdf,
        _ => return None,
    })
}

fn reasoning(letter: &str) -> Option<Reasoning> {
    Some(match letter {
        "n" => Reasoning::None,
        "y" => Reasoning::Some,
        "e" => Reasoning::Effort,
        "b" => Reasoning::Budget,
        "a" => Reasoning::Adaptive,
        _ => return None,
    })
}

/// Reads `@2026-01-31 ~ i1 o2 >200000 i2 o4`: a condition, the mark of what is not counted, prices, tiers.
fn rate(text: &str) -> Rate {
    let mut rate = Rate::default();
    for word in text.split_ascii_whitespace() {
        let (sigil, rest) = word.split_at(1);
        match sigil {
            "@" => rate.when = Some(condition(rest)),
            "~" => rate.uncounted = true,
            ">" => {
                let over_input_tokens = rest.parse().expect(SANE);
                rate.tiers.push(Tier { over_input_tokens, prices: Prices::default() });
            }
            _ => {
                let bucket = bucket(sigil).expect(SANE);
                let prices = rate.tiers.last_mut().map_or(&mut rate.prices, |tier| &mut tier.prices);
                prices.set(bucket, price(bucket, rest));
            }
        }
    }
    rate
}

fn condition(text: &str) -> Condition {
    text.replace('/', " ").parse().expect(SANE)
}

fn bucket(letter: &str) -> Option<Bucket> {
    let at = ["i", "r", "w", "W", "a", "o", "t", "A", "s", "q"].iter().position(|one| *one == letter)?;
    Bucket::ALL.get(at).copied()
}

/// Reads a price, which for searches and calls is quoted by the thousand.
fn price(bucket: Bucket, text: &str) -> Money {
    let price: Money = text.parse().expect(SANE);
    match bucket {
        Bucket::WebSearch | Bucket::Request => price.thousandfold(),
        _ => price,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "aichat-models 1\ndate 2026-01-31\nsource a 1 x\nhash h\n\
        provider p\t0+70\tq r\tp.example\ts\nprovider s\t70+20\t\ts.example\t*\n\n\
        Long\t^m- ^m-1 !x\t\t\nShort\t^m\t\t\nDated\t#m-1-\t\t\nNamed\t=m-1-20260101 $-e\t\t\nOther\t^m-2\tc5\ti1 o2\n";

    #[test]
    fn the_best_way_wins_then_the_longest_rule_then_the_first() {
        let table = Table::over(TEXT);
        let provider = table.provider("R").unwrap();
        let find = |name| table.find(provider, name).map(|(row, hit)| (row.id, hit.by, hit.rule));
        for (name, expected) in [
            ("long", Some(("Long", MatchedBy::Exact, "Long"))),
            ("m-1-20260101", Some(("Named", MatchedBy::Alias, "m-1-20260101"))),
            ("m-1-20260102", Some(("Dated", MatchedBy::Dated, "m-1-"))),
            ("m-1-e", Some(("Long", MatchedBy::Prefix, "m-1"))),
            ("m-e", Some(("Long", MatchedBy::Prefix, "m-"))),
            ("m-x", Some(("Short", MatchedBy::Prefix, "m"))),
            ("n-e", Some(("Named", MatchedBy::Suffix, "-e"))),
            ("n", None),
            ("m-2", Some(("Long", MatchedBy::Prefix, "m-"))),
        ] {
            assert_eq!(find(name), expected, "{name}");
        }
    }

    #[test]
    fn providers_are_told_apart_and_lend() {
        let table = Table::over(TEXT);
        let (p, s) = (table.provider("p").unwrap(), table.provider("s").unwrap());
        let lenders = |provider: Provider, name| -> Vec<(&str, String)> {
            provider.lenders(table, name).map(|(lender, name)| (lender.name, name.to_owned())).collect()
        };
        assert_eq!(lenders(p, "m"), [("s", "m".to_owned())]);
        assert_eq!(lenders(s, "q/m/n"), [("p", "m/n".to_owned())]);
        assert_eq!((lenders(s, "q/m:free"), lenders(s, "m"), lenders(s, "/m")), (vec![], vec![], vec![]));
        assert_eq!(table.provider(""), None);
        assert!(p.is_at("https://p.example/v1") && !p.is_at("https://s.example/v1"));
        let rows: Vec<Entry> = table.rows(s).map(|row| row.entry(&table)).collect();
        assert_eq!((rows.len(), rows[0].id.as_str(), rows[0].context_window), (1, "Other", Some(5)));
    }
}
