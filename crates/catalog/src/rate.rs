//! What a model costs, and when: prices by bucket, tiers by input size, conditions by day and hour.

use std::fmt;
use std::str::FromStr;

use aichat_message::Money;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind};
use crate::moment::{Day, Moment};
use crate::price::Price;

/// What a model costs under one condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rate {
    /// When it holds; always, where absent.
    pub when: Option<Condition>,
    /// The prices, unless a tier applies.
    pub prices: Prices,
    /// The prices from certain input sizes on, ascending.
    pub tiers: Vec<Tier>,
    /// Whether something is billed beside it that token counts do not show: images, seconds, pages.
    pub uncounted: bool,
}

impl Rate {
    /// Returns the tier that applies to a request with so much input, if one does.
    pub fn tier(&self, input_tokens: u64) -> Option<&Tier> {
        self.tiers.iter().rev().find(|tier| input_tokens > tier.over_input_tokens)
    }
}

/// Prices for the whole of a request whose input is larger than a bound.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Tier {
    /// The bound: the tier applies to requests with more input tokens than this, cached ones counted.
    pub over_input_tokens: u64,
    /// The prices, which replace those of the rate altogether.
    pub prices: Prices,
}

/// When a rate holds; written `2026-01-31`, `01:00-04:00` or `01:00-04:00 weekdays`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// From that day on, in UTC.
    Since(Day),
    /// At certain times of the day, in UTC.
    Hours {
        /// The first minute after midnight.
        from: u16,
        /// The minute before which it ends; on the next day, where not after `from`.
        to: u16,
        /// Whether Saturdays and Sundays are left out.
        weekdays: bool,
    },
}

impl Condition {
    /// Tells whether it holds at an instant.
    pub fn holds(self, at: Moment) -> bool {
        match self {
            Self::Since(day) => at.day() >= day,
            Self::Hours { from, to, weekdays } => {
                let minute = at.minute();
                let within = match from < to {
                    true => (from..to).contains(&minute),
                    false => minute >= from || minute < to,
                };
                within && !(weekdays && at.is_weekend())
            }
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Since(day) => day.fmt(f),
            Self::Hours { from, to, weekdays } => {
                write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)?;
                f.write_str(if *weekdays { " weekdays" } else { "" })
            }
        }
    }
}

impl FromStr for Condition {
    type Err = Error;

    /// Reads a day, or hours in UTC; `24:00` is midnight.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Condition`] for anything else.
    fn from_str(text: &str) -> Result<Self, Error> {
        let hours = || {
            let (hours, weekdays) = match text.strip_suffix(" weekdays") {
                Some(hours) => (hours, true),
                None => (text, false),
            };
            let (from, to) = hours.split_once('-')?;
            Some(Self::Hours { from: minute(from)?, to: minute(to)?, weekdays })
        };
        let wrong = "neither a day such as 2026-01-31 nor hours such as 01:00-04:00 or 01:00-04:00 weekdays";
        match text.parse() {
            Ok(day) => Ok(Self::Since(day)),
            Err(_) => hours().ok_or_else(|| Error::new(ErrorKind::Condition, wrong)),
        }
    }
}

/// Reads a time of day as minutes after midnight.
fn minute(text: &str) -> Option<u16> {
    let digits = text.bytes().enumerate().all(|(at, byte)| at == 2 || byte.is_ascii_digit());
    let (hours, minutes) = text.split_once(':').filter(|_| digits && text.len() == 5)?;
    let (hours, minutes) = (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok()?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= 1_440).then_some(all)
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A kind of tokens, or of something else, that is counted and priced on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Bucket {
    /// Input that is in no other bucket.
    Input,
    /// Input read from a cache.
    CacheRead,
    /// Input written to a cache with the short lifetime.
    CacheWrite,
    /// Input written to a cache with a lifetime of an hour.
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    /// Audio input.
    AudioInput,
    /// Output that is in no other bucket.
    Output,
    /// Reasoning.
    Reasoning,
    /// Audio output.
    AudioOutput,
    /// Searches of the web that the provider made during the call.
    WebSearch,
    /// The call itself, where it has a fee.
    Request,
}

impl Bucket {
    /// Every bucket, in the order of lines and prices.
    pub const ALL: [Self; 10] = [
        Self::Input,
        Self::CacheRead,
        Self::CacheWrite,
        Self::CacheWrite1h,
        Self::AudioInput,
        Self::Output,
        Self::Reasoning,
        Self::AudioOutput,
        Self::WebSearch,
        Self::Request,
    ];

    /// Returns its name in tables: what it serializes as.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CacheRead => "cache_read",
            Self::CacheWrite => "cache_write",
            Self::CacheWrite1h => "cache_write_1h",
            Self::AudioInput => "audio_input",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioOutput => "audio_output",
            Self::WebSearch => "web_search",
            Self::Request => "request",
        }
    }
}

/// Dollars per million of what each bucket counts.
///
/// In tables it is an object of decimal strings, such as `{"input": "0.25", "output": "2"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices([Option<Money>; Bucket::ALL.len()]);

impl Prices {
    /// Returns the price of a bucket; `None` if it is not known. Reasoning is known to cost what output does
    /// where no other price is given.
    pub fn of(&self, bucket: Bucket) -> Option<Money> {
        match bucket {
            Bucket::Reasoning => self.0[bucket as usize].or(self.0[Bucket::Output as usize]),
            _ => self.0[bucket as usize],
        }
    }

    /// Returns every price given.
    pub fn iter(&self) -> impl Iterator<Item = (Bucket, Money)> + '_ {
        Bucket::ALL.into_iter().filter_map(|bucket| Some((bucket, self.0[bucket as usize]?)))
    }

    pub(crate) fn set(&mut self, bucket: Bucket, price: Money) {
        self.0[bucket as usize] = Some(price);
    }
}

impl<'de> Deserialize<'de> for Prices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadPrices)
    }
}

/// Reads prices so that a complaint names the bucket.
struct ReadPrices;

impl<'de> Visitor<'de> for ReadPrices {
    type Value = Prices;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of prices")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Prices, A::Error> {
        let mut prices = Prices::default();
        while let Some(name) = map.next_key::<String>()? {
            let wrong = |what: &dyn fmt::Display| A::Error::custom(format_args!("price {name:?}: {what}"));
            let bucket = Bucket::ALL.into_iter().find(|bucket| bucket.name() == name);
            let bucket = bucket.ok_or_else(|| {
                let names: Vec<&str> = Bucket::ALL.iter().map(|bucket| bucket.name()).collect();
                wrong(&format_args!("there is no such bucket, only {}", names.join(", ")))
            })?;
            let price: Money = map.next_value().map_err(|error| wrong(&error))?;
            if !price.can_be_price() {
                return Err(wrong(&"is negative, above a million dollars, or has more than six decimals"));
            }
            if prices.0[bucket as usize].replace(price).is_some() {
                return Err(wrong(&"is given twice"));
            }
        }
        Ok(prices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u16, day: &str) -> Moment {
        day.parse::<Day>().unwrap().at_minute(minute)
    }

    #[test]
    fn conditions_are_read_as_they_are_written() {
        for text in ["2026-01-31", "01:00-04:00", "16:30-00:30 weekdays", "00:00-24:00"] {
            assert_eq!(text.parse::<Condition>().unwrap().to_string(), text);
        }
        for text in
            ["", "1:00-4:00", "01:00", "01:60-02:00", "24:01-01:00", "01:00-04:00 weekends", "0100-+4:0"]
        {
            assert_eq!(text.parse::<Condition>().unwrap_err().kind(), ErrorKind::Condition, "{text}");
        }
    }

    #[test]
    fn hours_may_cross_midnight_and_leave_out_the_weekend() {
        // 2026-11-20 is a Friday.
        let holds = |text: &str, at| text.parse::<Condition>().unwrap().holds(at);
        for (minute, plain, crossing) in
            [(59, false, true), (60, true, true), (239, true, false), (240, false, false)]
        {
            assert_eq!(holds("01:00-04:00", at(minute, "2026-11-20")), plain, "{minute}");
            assert_eq!(holds("23:00-02:00", at(minute, "2026-11-20")), crossing || minute < 120, "{minute}");
        }
        assert!(holds("23:00-02:00", at(1_380, "2026-11-20")));
        assert!(holds("01:00-04:00 weekdays", at(60, "2026-11-20")));
        assert!(!holds("01:00-04:00 weekdays", at(60, "2026-11-21")));
        assert!(!holds("2026-11-20", at(1_439, "2026-11-19")) && holds("2026-11-20", at(0, "2026-11-20")));
    }

    #[test]
    fn a_bucket_is_named_as_it_serializes() {
        for (index, bucket) in Bucket::ALL.into_iter().enumerate() {
            assert_eq!(serde_json::to_string(&bucket).unwrap(), format!("{:?}", bucket.name()));
            assert_eq!(bucket as usize, index);
        }
    }
}
