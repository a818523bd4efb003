//! The names of a model, and how a name leads to it.

use serde::{Deserialize, Serialize};

/// Names that stand for a model beside its own; all in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Names {
    /// Whole names.
    pub aliases: Vec<String>,
    /// Beginnings that are followed by a date: `20260131` or `2026-01-31`.
    pub dated: Vec<String>,
    /// Beginnings, whatever follows.
    pub prefixes: Vec<String>,
    /// Ends, whatever goes before.
    pub suffixes: Vec<String>,
    /// What stands anywhere in the name.
    pub infixes: Vec<String>,
    /// What must not stand in a name that is matched by a beginning, an end or an infix.
    pub except: Vec<String>,
}

/// How a name led to an entry; earlier ways win over later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MatchedBy {
    /// It is the model's own name.
    Exact,
    /// It is another name of the model.
    Alias,
    /// It is a name of the model followed by a date.
    Dated,
    /// It begins as names of the model do.
    Prefix,
    /// It ends as names of the model do.
    Suffix,
    /// It holds what names of the model hold.
    Infix,
}

/// How a name leads to a model, and by what: the shorter the rule's text, the weaker the match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit<'a> {
    pub(crate) by: MatchedBy,
    pub(crate) rule: &'a str,
}

impl Hit<'_> {
    /// Returns what hits are ordered by; the smallest is the best.
    pub(crate) fn rank(&self) -> (MatchedBy, usize) {
        // Patterns of any kind compete by their length alone.
        (self.by.min(MatchedBy::Prefix), usize::MAX - self.rule.len())
    }
}

/// Matches a lower-case name against a model's own name and rules.
pub(crate) fn hit<'a>(
    id: &'a str,
    rules: impl Iterator<Item = (MatchedBy, &'a str)>,
    except: impl Fn() -> bool,
    name: &str,
) -> Option<Hit<'a>> {
    if id.eq_ignore_ascii_case(name) {
        return Some(Hit { by: MatchedBy::Exact, rule: id });
    }
    let holds = |(by, rule): &(MatchedBy, &str)| match by {
        MatchedBy::Exact | MatchedBy::Alias => name == *rule,
        MatchedBy::Dated => name.strip_prefix(*rule).is_some_and(is_date),
        MatchedBy::Prefix => name.starts_with(*rule) && !except(),
        MatchedBy::Suffix => name.ends_with(*rule) && !except(),
        MatchedBy::Infix => name.contains(*rule) && !except(),
    };
    rules.filter(holds).map(|(by, rule)| Hit { by, rule }).min_by_key(Hit::rank)
}

impl Names {
    /// Matches a lower-case name.
    pub(crate) fn hit<'a>(&'a self, id: &'a str, name: &str) -> Option<Hit<'a>> {
        let all = |by, names: &'a [String]| names.iter().map(move |rule| (by, rule.as_str()));
        let rules = all(MatchedBy::Alias, &self.aliases)
            .chain(all(MatchedBy::Dated, &self.dated))
            .chain(all(MatchedBy::Prefix, &self.prefixes))
            .chain(all(MatchedBy::Suffix, &self.suffixes))
            .chain(all(MatchedBy::Infix, &self.infixes));
        hit(id, rules, || self.except.iter().any(|part| name.contains(part.as_str())), name)
    }

    /// Returns every name and pattern.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &String> {
        [&self.aliases, &self.dated, &self.prefixes, &self.suffixes, &self.infixes, &self.except]
            .into_iter()
            .flatten()
    }
}

/// Says whether `text` has the shape of a date as providers append it.
pub(crate) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes.len() {
        8 => bytes.iter().all(u8::is_ascii_digit),
        10 => bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        }),
        _ => false,
    }
}

/// Cuts a date off the end of a name.
pub(crate) fn undated(name: &str) -> Option<&str> {
    [8, 10].into_iter().find_map(|length| {
        let (stem, date) = name.split_at_checked(name.len().checked_sub(length)?)?;
        let stem = stem.strip_suffix(['-', '@'])?;
        (is_date(date) && date.starts_with("20") && !stem.is_empty()).then_some(stem)
    })
}

/// Writes the compact date at the end of a name with hyphens, as some routers do not.
pub(crate) fn hyphenated(name: &str) -> Option<String> {
    let stem = undated(name)?;
    let date = &name[stem.len() + 1..];
    let parts = (date.len() == 8).then(|| (&date[..4], &date[4..6], &date[6..]))?;
    Some(format!("{stem}-{}-{}-{}", parts.0, parts.1, parts.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_one_of_two_shapes() {
        assert!(is_date("20260131") && is_date("2026-01-31"));
        for text in ["", "2026013", "2026-1-311", "preview1", "202601-31", "20260131a", "２０２６"] {
            assert!(!is_date(text), "{text}");
        }
    }

    #[test]
    fn dates_are_cut_and_rewritten() {
        assert_eq!(undated("gpt-5-2025-08-07"), Some("gpt-5"));
        assert_eq!(undated("claude-opus-4@20250514"), Some("claude-opus-4"));
        for name in ["gpt-5", "-20260131", "20260131", "gpt-19991231", "gpt-520260131", "é-2026013", "ééééé"]
        {
            assert_eq!(undated(name), None, "{name}");
        }
        assert_eq!(hyphenated("gpt-5.2-20251211").as_deref(), Some("gpt-5.2-2025-12-11"));
        assert_eq!(hyphenated("gpt-5.2-2025-12-11"), None);
    }
}
