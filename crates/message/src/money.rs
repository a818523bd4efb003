//! Exact amounts of dollars: integers of a millionth of a millionth, written as plain decimals.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Decimal places of an amount.
const PLACES: usize = 12;
/// Pico-dollars of one dollar.
const PER_DOLLAR: u128 = 1_000_000_000_000;
/// Pico-dollars of one nano-dollar.
const PER_NANO: i128 = 1_000;

/// An exact amount of dollars, in steps of one pico-dollar.
///
/// It is written, in text and in JSON, as a plain decimal string: no exponent, no trailing zeros.
///
/// ```
/// use aichat_message::Money;
///
/// let sum = "0.000123".parse::<Money>()? + "1.20".parse()?;
/// assert_eq!(sum.to_string(), "1.200123");
/// # Ok::<(), aichat_message::MoneyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i128);

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// Returns an amount of so many pico-dollars.
    pub const fn from_pico_dollars(amount: i128) -> Self {
        Self(amount)
    }

    /// Returns the amount in pico-dollars.
    pub const fn pico_dollars(self) -> i128 {
        self.0
    }

    /// Returns an amount of so many nano-dollars.
    pub const fn from_nano_dollars(amount: u64) -> Self {
        Self(amount as i128 * PER_NANO)
    }

    /// Reads an amount that came as a JSON number, exponent and all; what is finer than a pico-dollar is rounded up.
    /// `None` for what is no number, is negative or too large.
    pub fn from_number(text: &str) -> Option<Self> {
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
        let mut amount: i128 = 0;
        // How many decimal places the amount is short of a pico-dollar.
        let mut shift = i64::from(exponent) + PLACES as i64 - places.len() as i64;
        let mut rest = false;
        if whole.is_empty() || whole.len() + places.len() > 64 {
            return None;
        }
        for byte in whole.bytes().chain(places.bytes()) {
            let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
            amount = amount.checked_mul(10)?.checked_add(digit)?;
        }
        while shift > 0 && amount != 0 {
            (amount, shift) = (amount.checked_mul(10)?, shift - 1);
        }
        while shift < 0 && amount != 0 {
            rest |= amount % 10 != 0;
            (amount, shift) = (amount / 10, shift + 1);
        }
        amount.checked_add(i128::from(rest)).map(Self)
    }

    /// Returns the amount in nano-dollars, rounded up: what is at least enough to pay it. A negative amount is none,
    /// and one beyond 18 thousand million dollars stays at the largest number there is.
    pub fn nano_dollars_up(self) -> u64 {
        let up = self.0.max(0).saturating_add(PER_NANO - 1) / PER_NANO;
        u64::try_from(up).unwrap_or(u64::MAX)
    }
}

impl Add for Money {
    type Output = Self;

    /// Adds exactly; a sum beyond 10^26 dollars stays at the largest amount there is.
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0.unsigned_abs() / PER_DOLLAR, self.0.unsigned_abs() % PER_DOLLAR);
        let mut text = whole.to_string();
        if rest != 0 {
            text.push('.');
            text.push_str(format!("{rest:0PLACES$}").trim_end_matches('0'));
        }
        f.pad_integral(self.0 >= 0, "", &text)
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    /// Reads a plain decimal with at most twelve places.
    ///
    /// # Errors
    /// Fails for anything else, such as an exponent, a plus sign, a bare point, or an amount beyond 10^26 dollars.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        parse(text).map(Self).ok_or(MoneyError(()))
    }
}

/// Text that is not a plain decimal amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoneyError(());

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a plain decimal amount")
    }
}

impl std::error::Error for MoneyError {}

/// A currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Currency {
    /// United States dollars.
    #[default]
    #[serde(rename = "USD")]
    Usd,
}

/// Reads a decimal as pico-dollars, digit by digit towards its sign, so that the smallest amount can be read too.
fn parse(text: &str) -> Option<i128> {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
    let (whole, places) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (text, ""),
    };
    if whole.is_empty() || places.len() > PLACES {
        return None;
    }
    let zeros = std::iter::repeat_n(b'0', PLACES - places.len());
    whole.bytes().chain(places.bytes()).chain(zeros).try_fold(0_i128, |amount, byte| {
        let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
        amount.checked_mul(10)?.checked_add(sign * digit)
    })
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_plain_and_short() {
        for text in ["0", "0.000123", "1", "10", "-0.5", "0.000000000001", "123456789.000000000001"] {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), text);
        }
        for (text, short) in [("1.50", "1.5"), ("000.100", "0.1"), ("-0", "0"), ("7.000000000000", "7")] {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), short);
        }
        assert_eq!(format!("{:>8}|{:<6}|", Money(PER_DOLLAR as i128 / 2), Money::ZERO), "     0.5|0     |");
    }

    #[test]
    fn anything_else_is_refused() {
        let long = "9".repeat(400);
        for text in [
            "",
            "-",
            ".",
            ".5",
            "5.",
            "+5",
            "1e3",
            "1,5",
            " 1",
            "1.2.3",
            "--1",
            "٣",
            "0.0000000000001",
            &long,
        ] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Money>("0.5").is_err(), "a JSON number may have been rounded");
    }

    #[test]
    fn nano_dollars_are_never_too_few() {
        for (text, nano) in
            [("0", 0), ("-1", 0), ("0.000000000001", 1), ("0.000000001", 1), ("1.5", 1_500_000_000)]
        {
            assert_eq!(text.parse::<Money>().unwrap().nano_dollars_up(), nano, "{text}");
        }
        assert_eq!(Money(i128::MAX).nano_dollars_up(), u64::MAX);
        assert_eq!(Money::from_nano_dollars(u64::MAX).nano_dollars_up(), u64::MAX);
    }

    #[test]
    fn numbers_of_others_are_read_exactly_or_rounded_up() {
        let read = |text: &str| Money::from_number(text).map(|money| money.to_string());
        for (text, amount) in [
            ("0", "0"),
            ("0.00014", "0.00014"),
            ("1.4e-05", "0.000014"),
            ("1.4E2", "140"),
            ("12", "12"),
            ("0.0000000000011", "0.000000000002"),
            ("1e-400", "0.000000000001"),
            ("0e999999", "0"),
        ] {
            assert_eq!(read(text).as_deref(), Some(amount), "{text}");
        }
        let long = "9".repeat(400);
        for text in ["", "-1", "null", "\"1\"", ".5", "1e", "1e30", "1e999999999999", "NaN", &long] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn sums_saturate() {
        assert_eq!(Money(i128::MAX) + Money(1), Money(i128::MAX));
        assert_eq!([Money(1), Money(2)].into_iter().sum::<Money>(), Money(3));
    }

    proptest! {
        #[test]
        fn text_and_json_give_the_amount_back(amount in any::<i128>()) {
            let money = Money(amount);
            prop_assert_eq!(money.to_string().parse::<Money>().unwrap(), money);
            let json = serde_json::to_string(&money).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
        }
    }
}
