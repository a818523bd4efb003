//! Money as a price per million: what makes a good one, and what so many cost at it.

use aichat_message::Money;

/// What a price is quoted for.
const MILLION: i128 = 1_000_000;
/// Pico-dollars of one dollar.
const PER_DOLLAR: i128 = 1_000_000_000_000;

/// What can be asked of an amount that stands for a price per million.
pub(crate) trait Price {
    /// Says whether the amount can stand for a price: neither negative nor above a million dollars, and with at most
    /// six decimals, so that the price of a single token is exact.
    fn can_be_price(self) -> bool;

    /// Returns the price of a million where this is the price of a thousand.
    fn thousandfold(self) -> Money;

    /// Returns what so many cost; exact for everything that `can_be_price`.
    fn times(self, quantity: u64) -> Money;
}

impl Price for Money {
    fn can_be_price(self) -> bool {
        let pico = self.pico_dollars();
        (0..=MILLION * PER_DOLLAR).contains(&pico) && pico % MILLION == 0
    }

    fn thousandfold(self) -> Money {
        Money::from_pico_dollars(self.pico_dollars().saturating_mul(1_000))
    }

    fn times(self, quantity: u64) -> Money {
        Money::from_pico_dollars((self.pico_dollars() / MILLION).saturating_mul(quantity.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_exact_for_one_token_or_no_price() {
        let price = |text: &str| text.parse::<Money>().unwrap();
        assert!(
            price("0.000001").can_be_price() && price("1000000").can_be_price() && Money::ZERO.can_be_price()
        );
        assert!(
            !price("0.0000001").can_be_price()
                && !price("1000000.1").can_be_price()
                && !price("-1").can_be_price()
        );
        assert_eq!(price("0.000001").times(1), Money::from_pico_dollars(1));
        assert_eq!(price("1000000").times(u64::MAX).to_string(), u64::MAX.to_string());
    }
}
