//! What calls cost, taken together: how far one amount can be trusted, and sums that say what is missing from them.

use std::fmt;
use std::iter::Sum;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::money::{Currency, Money};

/// How far an amount can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CostStatus {
    /// Every token was counted and priced.
    Exact,
    /// Every token was priced, but the counts contradict or overlap each other, something is billed that was not
    /// counted, or the price is an assumption.
    Estimated,
    /// Some tokens have no known price; the amount is the sum of the others, a lower bound.
    Partial,
    /// The provider is local and asks for nothing.
    LocalFree,
    /// The provider named the amount itself.
    ProviderReported,
    /// There is no amount. What a later version calls otherwise is read as this.
    #[default]
    #[serde(other)]
    Unknown,
}

impl CostStatus {
    /// Returns the status as it is written in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Estimated => "estimated",
            Self::Partial => "partial",
            Self::LocalFree => "local_free",
            Self::ProviderReported => "provider_reported",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for CostStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What some calls cost together. What is not known is counted, never added as zero.
///
/// ```
/// use aichat_message::{CostStatus, Total};
///
/// let mut total = Total::default();
/// total.count(Some("0.42".parse()?), CostStatus::Exact);
/// assert_eq!(total.to_string(), "$0.42");
/// total.count(None, CostStatus::Unknown);
/// assert_eq!(total.to_string(), "at least $0.42 (1 call unpriced)");
/// # Ok::<(), aichat_message::MoneyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Total {
    /// The sum of the amounts that are known, in dollars: a lower bound unless the total [is whole](Self::is_whole).
    pub amount: Money,
    /// How many calls were counted.
    pub calls: u64,
    /// How many of them have no amount.
    pub unpriced: u64,
    /// How many of them have the price of a part only.
    pub partial: u64,
    /// How many of them have an amount that is an estimate.
    pub estimated: u64,
}

/// A total as JSON: without an amount where nothing is known of it.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Written {
    amount: Option<Money>,
    currency: Currency,
    calls: u64,
    unpriced: u64,
    partial: u64,
    estimated: u64,
}

impl From<Total> for Written {
    fn from(total: Total) -> Self {
        let Total { calls, unpriced, partial, estimated, .. } = total;
        Self { amount: total.known(), currency: Currency::Usd, calls, unpriced, partial, estimated }
    }
}

impl From<Written> for Total {
    fn from(written: Written) -> Self {
        let Written { amount, calls, unpriced, partial, estimated, .. } = written;
        Self { amount: amount.unwrap_or_default(), calls, unpriced, partial, estimated }
    }
}

impl Total {
    /// Returns the amount, unless nothing is known of it: where there are calls and none has one.
    pub fn known(&self) -> Option<Money> {
        (self.calls == 0 || self.calls > self.unpriced || self.amount != Money::ZERO).then_some(self.amount)
    }

    /// Counts one call.
    pub fn count(&mut self, amount: Option<Money>, status: CostStatus) {
        self.calls += 1;
        match amount {
            Some(amount) => self.amount = self.amount + amount,
            None => self.unpriced += 1,
        }
        match status {
            CostStatus::Partial if amount.is_some() => self.partial += 1,
            CostStatus::Estimated => self.estimated += 1,
            _ => {}
        }
    }

    /// Puts another amount in the place of one that was counted.
    pub fn revise(&mut self, was: (Option<Money>, CostStatus), now: (Option<Money>, CostStatus)) {
        let mut old = Self::default();
        old.count(was.0, was.1);
        self.amount = self.amount + Money::from_pico_dollars(-old.amount.pico_dollars());
        self.calls = self.calls.saturating_sub(old.calls);
        self.unpriced = self.unpriced.saturating_sub(old.unpriced);
        self.partial = self.partial.saturating_sub(old.partial);
        self.estimated = self.estimated.saturating_sub(old.estimated);
        self.count(now.0, now.1);
    }

    /// Says whether every call has its whole amount in it.
    pub fn is_whole(&self) -> bool {
        self.unpriced == 0 && self.partial == 0
    }
}

impl AddAssign for Total {
    fn add_assign(&mut self, other: Self) {
        self.amount = self.amount + other.amount;
        self.calls += other.calls;
        self.unpriced += other.unpriced;
        self.partial += other.partial;
        self.estimated += other.estimated;
    }
}

impl Sum for Total {
    fn sum<I: Iterator<Item = Self>>(totals: I) -> Self {
        totals.fold(Self::default(), |mut sum, total| {
            sum += total;
            sum
        })
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = |count: u64| format!("{count} call{}", if count == 1 { "" } else { "s" });
        let mut missing = Vec::new();
        if self.unpriced > 0 {
            missing.push(format!("{} unpriced", calls(self.unpriced)));
        }
        if self.partial > 0 {
            missing.push(format!("{} priced in part", calls(self.partial)));
        }
        let text = match missing.join(", ") {
            missing if missing.is_empty() => format!("${}", self.amount),
            missing if self.calls == self.unpriced => format!("unknown ({missing})"),
            missing => format!("at least ${} ({missing})", self.amount),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(calls: &[(Option<&str>, CostStatus)]) -> Total {
        let mut total = Total::default();
        for (amount, status) in calls {
            total.count(amount.map(|text| text.parse().unwrap()), *status);
        }
        total
    }

    #[test]
    fn a_sum_says_what_is_missing_from_it() {
        let (exact, unknown) = ((Some("0.4"), CostStatus::Exact), (None, CostStatus::Unknown));
        let partial = (Some("0.02"), CostStatus::Partial);
        for (calls, text) in [
            (&[][..], "$0"),
            (&[exact, exact], "$0.8"),
            (&[unknown, unknown], "unknown (2 calls unpriced)"),
            (&[exact, unknown], "at least $0.4 (1 call unpriced)"),
            (&[exact, partial], "at least $0.42 (1 call priced in part)"),
            (&[partial, unknown, unknown], "at least $0.02 (2 calls unpriced, 1 call priced in part)"),
            (&[(Some("0"), CostStatus::LocalFree), unknown], "at least $0 (1 call unpriced)"),
        ] {
            assert_eq!(total(calls).to_string(), text);
        }
    }

    #[test]
    fn sums_of_sums_are_sums() {
        let calls = [
            (Some("0.4"), CostStatus::Estimated),
            (None, CostStatus::Unknown),
            (Some("1"), CostStatus::Partial),
        ];
        let parts = calls.iter().map(|call| total(&[*call])).sum::<Total>();
        assert_eq!(parts, total(&calls));
        assert_eq!((parts.calls, parts.estimated, parts.is_whole()), (3, 1, false));
    }

    #[test]
    fn json_has_no_amount_where_none_is_known() {
        for (calls, json) in [
            (&[][..], r#"{"amount":"0","currency":"USD","calls":0,"unpriced":0,"partial":0,"estimated":0}"#),
            (
                &[(None, CostStatus::Unknown)],
                r#"{"amount":null,"currency":"USD","calls":1,"unpriced":1,"partial":0,"estimated":0}"#,
            ),
            (
                &[(None, CostStatus::Unknown), (Some("0.5"), CostStatus::Estimated)],
                r#"{"amount":"0.5","currency":"USD","calls":2,"unpriced":1,"partial":0,"estimated":1}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&total(calls)).unwrap(), json);
            assert_eq!(serde_json::from_str::<Total>(json).unwrap(), total(calls));
        }
    }

    #[test]
    fn what_is_revised_was_never_counted_otherwise() {
        let mut revised = total(&[(Some("0.4"), CostStatus::Exact), (None, CostStatus::Unknown)]);
        revised.revise((None, CostStatus::Unknown), (Some("1".parse().unwrap()), CostStatus::Estimated));
        assert_eq!(revised, total(&[(Some("0.4"), CostStatus::Exact), (Some("1"), CostStatus::Estimated)]));
    }

    #[test]
    fn a_status_is_written_as_it_is_named() {
        for status in [
            CostStatus::Exact,
            CostStatus::Estimated,
            CostStatus::Partial,
            CostStatus::LocalFree,
            CostStatus::ProviderReported,
            CostStatus::Unknown,
        ] {
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{status}\""));
        }
        assert_eq!(serde_json::from_str::<CostStatus>("\"guessed\"").unwrap(), CostStatus::Unknown);
    }
}
