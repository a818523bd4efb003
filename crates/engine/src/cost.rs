//! What an attempt cost: priced once, when it ends, and recorded; everything else reads what was recorded.

use aichat_catalog::{Call, Catalog, Cost, CostStatus, Moment};
use aichat_events::{CostCalculated, CostLine};
use aichat_message::{Json, Money, Total, Usage};

/// Whom a call asks, and by which table that is priced.
#[derive(Clone, Debug)]
pub(crate) struct Pricing {
    pub(crate) catalog: Catalog,
    /// The name the provider is configured under.
    pub(crate) provider: String,
    /// The model asked for.
    pub(crate) model: String,
    /// Where it is sent, as closely as it is known; empty where that is nowhere.
    pub(crate) address: String,
    /// Whether the provider is declared to ask for nothing.
    pub(crate) is_local: bool,
    pub(crate) agent: Option<String>,
}

impl Pricing {
    /// Returns the call that is priced for `model`, at a time.
    pub(crate) fn call<'a>(&'a self, model: &'a str, asked_us: i64) -> Call<'a> {
        Call::new(&self.provider, model, Moment::from_unix_micros(asked_us)).to(&self.address)
    }

    /// Returns what an attempt cost that was sent at a time. What is told of one that has no end of its own may be
    /// less than it consumed.
    pub(crate) fn cost(
        &self,
        asked_us: i64,
        served: Option<&str>,
        usage: Option<&Usage>,
        has_ended: bool,
    ) -> CostCalculated {
        let known = self.table_cost(asked_us, served, usage);
        let (mut amount, mut status) = (known.amount, known.status);
        let reported = usage.and_then(|usage| usage.cost).filter(|_| !self.is_local);
        if reported.is_some() {
            (amount, status) = (reported, CostStatus::ProviderReported);
        } else if !has_ended && matches!(status, CostStatus::Exact | CostStatus::Estimated) {
            status = CostStatus::Partial;
        }
        let line = |line: aichat_catalog::Line| CostLine {
            bucket: line.bucket.name().to_owned(),
            quantity: line.quantity,
            price_per_million: line.price_per_million,
            amount: line.amount,
        };
        CostCalculated {
            amount,
            currency: known.currency,
            status,
            lines: known.lines.into_iter().map(line).collect(),
            price: known.price.map(|price| Json::from_value(&price).expect("a price has string keys only")),
            calculated: reported.and(known.amount),
            provider: self.provider.clone(),
            model: self.model.clone(),
            agent: self.agent.clone(),
            asked_us,
            ended_us: 0,
            input_tokens: usage.and_then(|usage| usage.input_tokens),
            output_tokens: usage.and_then(|usage| usage.output_tokens),
        }
    }

    fn table_cost(&self, asked_us: i64, served: Option<&str>, usage: Option<&Usage>) -> Cost {
        if self.is_local {
            return Cost::local_free();
        }
        let of = |model| self.catalog.cost(&self.call(model, asked_us), usage);
        // A gateway may answer under a name of its own for the model that was asked for.
        let served = served.map(of).filter(|cost| cost.status != CostStatus::Unknown);
        served.unwrap_or_else(|| of(&self.model))
    }
}

/// Tells whether an amount is all that an attempt cost.
pub(crate) fn is_whole(cost: &CostCalculated) -> bool {
    cost.amount.is_some() && !matches!(cost.status, CostStatus::Partial | CostStatus::Unknown)
}

/// Returns what attempts cost together, as one cost: that of the only one, or a sum without parts.
pub(crate) fn together(costs: &[CostCalculated]) -> CostCalculated {
    let [first, .., last] = costs else { return costs.first().cloned().unwrap_or_default() };
    let mut total = Total::default();
    costs.iter().for_each(|cost| total.count(cost.amount, cost.status));
    let same = costs.iter().all(|cost| cost.status == first.status);
    let status = match (total.calls == total.unpriced, total.is_whole()) {
        (true, _) => CostStatus::Unknown,
        (_, false) => CostStatus::Partial,
        _ if same => first.status,
        _ => CostStatus::Estimated,
    };
    let tokens = |of: fn(&CostCalculated) -> Option<u64>| costs.iter().map(of).sum::<Option<u64>>();
    CostCalculated {
        amount: (status != CostStatus::Unknown).then_some(total.amount),
        status,
        lines: Vec::new(),
        price: None,
        calculated: costs.iter().map(|cost| cost.calculated).sum::<Option<Money>>(),
        input_tokens: tokens(|cost| cost.input_tokens),
        output_tokens: tokens(|cost| cost.output_tokens),
        ..last.clone()
    }
}
