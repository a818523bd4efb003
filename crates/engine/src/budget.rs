//! Budgets: what may be spent on a turn, in a session and in a day, and the purse that keeps a turn to it.
//!
//! Before every attempt the most that it can cost is set aside, and afterwards what it did cost is taken as spent; where
//! that is not known, all of it is. The limits of a turn and of a session are kept by the turn itself, because a session
//! has one turn at a time. Those of a day are accounts of the store's ledger, on which every process draws.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use aichat_catalog::{Ceiling, Moment};
use aichat_events::{BudgetCommitted, BudgetExceeded, BudgetReleased, BudgetReserved, CostCalculated};
use aichat_message::{ErrorKind, Message, Money, Part, PartKind, TurnId};
use aichat_providers::{Call, Provider};
use aichat_store::{Account, Balance, Hold, Ledger, Verdict};

use crate::company::Company;
use crate::cost::{Pricing, is_whole};
use crate::error::{Error, Reason};
use crate::preview;
use crate::project::Summary;

/// The fewest tokens of an answer that are worth a request; several providers take no fewer.
pub(crate) const FEWEST: u64 = 16;
/// Tokens of input beside those of the body: what a provider adds of its own.
const OVERHEAD: u64 = 1_024;
/// Tokens of input for each part that is not text: its bytes say little about them.
const MEDIA: u64 = 16_384;
/// How the warning begins that an answer is limited.
const FITTED: &str = "max_tokens is ";
/// Options that multiply or lift what `max_tokens` bounds, or are billed apart.
const UNBOUNDED: [&str; 12] = [
    "n",
    "best_of",
    "candidateCount",
    "generationConfig",
    "max_completion_tokens",
    "max_output_tokens",
    "num_predict",
    "service_tier",
    "tools",
    "web_search_options",
    "plugins",
    "models",
];

/// What may be spent. Nothing is limited where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// In one turn, unless its caller or its agent says otherwise.
    pub turn: Option<Money>,
    /// In one session.
    pub session: Option<Money>,
    /// In a day, UTC, by everybody who shares the ledger.
    pub day: Option<Money>,
    /// In a day, UTC, at one provider.
    pub providers: BTreeMap<String, Money>,
}

/// What the caller of a turn says of its budget.
pub(crate) struct Limits {
    pub(crate) max_cost: Option<Money>,
    pub(crate) allows_unpriced: bool,
    /// Those who draw on a budget together with it.
    pub(crate) company: Option<Company>,
}

/// A limit that a turn keeps by itself.
struct Limit {
    /// Which budget, in words.
    what: &'static str,
    limit: Money,
    spent: Money,
}

/// What the next attempt costs at most.
#[derive(Clone, Debug)]
pub(crate) struct Worst {
    pub(crate) ceiling: Ceiling,
    pub(crate) input_tokens: u64,
    /// The most that it may write.
    pub(crate) output_tokens: Option<u64>,
}

impl Worst {
    /// Returns what a call may cost, where a price table knows the model and something bounds what it writes.
    pub(crate) fn of(call: &Call, pricing: &Pricing, now_us: i64) -> Option<Self> {
        let input_tokens = input_bound(call.body.len(), media(&call.request.messages));
        let ceiling = pricing.catalog.ceiling(&pricing.call(&pricing.model, now_us), input_tokens)?;
        let output_tokens = call.request.options.max_tokens;
        is_bounded(&call.request.options).then_some(Self { ceiling, input_tokens, output_tokens })
    }

    /// Returns the amount, where it has an end.
    pub(crate) fn bounded(&self) -> Option<Money> {
        Some(self.amount()).filter(|amount| amount.pico_dollars() != i128::MAX)
    }

    /// Returns the most that is written, where it has an end.
    pub(crate) fn most_output(&self) -> Option<u64> {
        self.output_tokens.or(self.ceiling.output_limit).or(self.ceiling.context_window)
    }

    /// Returns the amount. A model that may write without end costs without end.
    fn amount(&self) -> Money {
        match self.most_output() {
            Some(tokens) => self.ceiling.with_output(tokens),
            None if self.ceiling.output_per_million == Money::ZERO => self.ceiling.input,
            None => Money::from_pico_dollars(i128::MAX),
        }
    }
}

/// What keeps a turn to its budgets.
pub(crate) struct Purse {
    ledger: Arc<dyn Ledger>,
    limits: Vec<Limit>,
    /// That of the day, and that of the provider in it.
    accounts: Vec<Account>,
    /// What may be spent at providers in a day.
    providers: BTreeMap<String, u64>,
    /// What an attempt costs at most; `None` where nobody knows.
    worst: Option<Worst>,
    allows_unpriced: bool,
    is_local: bool,
    model: String,
    /// What is set aside for the attempt under way.
    held: Option<Held>,
    /// What was spent and no ledger knows of.
    untold: u64,
    /// Those who draw on a budget together with this turn.
    company: Option<Company>,
    /// The same of the providers that were asked before.
    untold_before: Vec<(Vec<Account>, u64)>,
}

struct Held {
    attempt: u32,
    amount: Money,
    /// The name of the hold in the ledger, where there is one.
    id: Option<String>,
}

/// A refusal, and what it is told by.
pub(crate) struct Refusal {
    pub(crate) fact: BudgetExceeded,
    pub(crate) error: Error,
}

impl Purse {
    pub(crate) fn new(
        ledger: Arc<dyn Ledger>,
        budget: &Budget,
        given: Limits,
        summary: Option<&Summary>,
        pricing: &Pricing,
        now_us: i64,
    ) -> Self {
        let day = Moment::from_unix_micros(now_us).day();
        let mut limits = Vec::new();
        if let Some(limit) = given.max_cost.or(budget.turn) {
            limits.push(Limit { what: "budget of this turn", limit, spent: Money::ZERO });
        }
        if let Some(limit) = budget.session {
            let spent = summary.map_or(Money::ZERO, |summary| summary.cost.amount + summary.unproven);
            limits.push(Limit { what: "budget of this session", limit, spent });
        }
        let nano = |limit: Money| u64::try_from(limit.pico_dollars().max(0) / 1_000).unwrap_or(u64::MAX);
        let providers = budget.providers.iter().map(|(name, limit)| (name.clone(), nano(*limit))).collect();
        let accounts = vec![Account { key: format!("day/{day}"), limit: budget.day.map(nano) }];
        let mut this = Self {
            ledger,
            limits,
            accounts,
            providers,
            worst: None,
            allows_unpriced: given.allows_unpriced,
            is_local: false,
            model: String::new(),
            held: None,
            untold: 0,
            company: given.company,
            untold_before: Vec::new(),
        };
        this.pass_to(pricing);
        this
    }

    /// Keeps the turn to the budgets of the one who is asked from now on; what was spent so far stays spent.
    pub(crate) fn pass_to(&mut self, pricing: &Pricing) {
        if self.untold > 0 {
            self.untold_before.push((self.accounts.clone(), std::mem::take(&mut self.untold)));
        }
        self.accounts.truncate(1);
        let key = format!("{}/{}", self.accounts[0].key, short(&pricing.provider));
        self.accounts.push(Account { key, limit: self.providers.get(&pricing.provider).copied() });
        self.worst = None;
        self.is_local = pricing.is_local;
        self.model = format!("{}/{}", pricing.provider, pricing.model);
    }

    /// Tells whether anything limits the turn.
    pub(crate) fn is_limited(&self) -> bool {
        !self.is_local
            && (!self.limits.is_empty()
                || self.is_shared()
                || self.company.as_ref().is_some_and(Company::is_limited))
    }

    /// Tells whether a limit is kept in the ledger.
    fn is_shared(&self) -> bool {
        self.accounts.iter().any(|account| account.limit.is_some())
    }

    /// Finds out what an attempt costs at most. An answer whose length nothing limits is limited to what is left, and a
    /// warning says so.
    ///
    /// # Errors
    /// Fails where the ledger or the provider does.
    pub(crate) async fn fit(
        &mut self,
        provider: &dyn Provider,
        call: Call,
        pricing: &Pricing,
        now_us: i64,
    ) -> Result<Call, Error> {
        let Some(mut worst) = Worst::of(&call, pricing, now_us) else { return Ok(call) };
        let mut fitted = call;
        if worst.output_tokens.is_none()
            && let Some(left) = self.remaining().await?
            && let Some(affordable) = worst.ceiling.affordable(left)
        {
            let most = worst.ceiling.output_limit.or(worst.ceiling.context_window).unwrap_or(u64::MAX);
            // Fewer than these are refused rather than paid for.
            let tokens = affordable.min(most).max(FEWEST);
            let mut request = fitted.request.clone();
            request.options.max_tokens = Some(tokens);
            fitted = provider.prepare(request)?;
            let why = match affordable < most {
                true => format!("which is what the {left} USD that are left of the budget pay for"),
                false => "the most that the model writes, so that the budget holds".to_owned(),
            };
            fitted.warnings.push(format!("{FITTED}{tokens}, {why}"));
            worst.output_tokens = Some(tokens);
            let again = input_bound(fitted.body.len(), media(&fitted.request.messages));
            worst.input_tokens = worst.input_tokens.max(again);
        }
        self.worst = Some(worst);
        Ok(fitted)
    }

    /// Returns what is left of the tightest budget, `None` where there is none.
    pub(crate) async fn remaining(&self) -> Result<Option<Money>, Error> {
        let left = |limit: &Limit| minus(limit.limit, limit.spent);
        // What others have set aside they will mostly give back.
        let common = self.company.as_ref().and_then(Company::left).map(|(_, left)| left);
        let own = self.limits.iter().map(left).chain(common).min();
        if !self.is_shared() {
            return Ok(own);
        }
        let balances: BTreeMap<String, Balance> = self.ledger.balances().await?.into_iter().collect();
        let shared = self.accounts.iter().filter_map(|account| {
            let used = balances.get(&account.key).copied().unwrap_or_default().used();
            Some(Money::from_nano_dollars(account.limit?.saturating_sub(used)))
        });
        Ok(shared.chain(own).min())
    }

    /// Sets aside what an attempt costs at most, unless a budget forbids it. Tells what was set aside, where anything
    /// limits the turn. Where only others of the company keep it from that, it waits for them.
    ///
    /// # Errors
    /// Fails where the ledger does.
    pub(crate) async fn reserve(
        &mut self,
        turn: &TurnId,
        attempt: u32,
    ) -> Result<Result<Option<BudgetReserved>, Box<Refusal>>, Error> {
        if !self.is_limited() {
            return Ok(Ok(None));
        }
        let Some(company) = self.company.clone() else {
            return Ok(self.try_reserve(turn, attempt).await?.map_err(|refusal| refusal.0));
        };
        loop {
            let mut seen = pin!(company.watch());
            seen.as_mut().enable();
            let (refusal, is_common) = match self.try_reserve(turn, attempt).await? {
                Ok(reserved) => return Ok(Ok(reserved)),
                Err(refused) => refused,
            };
            if !is_common {
                return Ok(Err(refusal));
            }
            if !company.given_back(seen).await {
                company.exhaust();
                return Ok(Err(refusal));
            }
        }
    }

    /// Sets aside what an attempt costs at most, or says why not, and whether that is a budget on which others draw, too.
    async fn try_reserve(
        &mut self,
        turn: &TurnId,
        attempt: u32,
    ) -> Result<Result<Option<BudgetReserved>, (Box<Refusal>, bool)>, Error> {
        let amount = match self.judge(attempt) {
            Ok(amount) => amount,
            Err(refusal) => return Ok(Err((refusal, false))),
        };
        if let Some(company) = &self.company
            && !company.hold(amount)?
        {
            let (limit, left) = company.left().unwrap_or_default();
            let what = "budget of this batch".to_owned();
            return Ok(Err((Box::new(self.exceeded(attempt, what, limit, left, amount)), true)));
        }
        let mut id = None;
        if self.is_shared() {
            let hold = Hold {
                id: hold_id(turn, attempt),
                amount: amount.nano_dollars_up(),
                accounts: self.accounts.clone(),
            };
            let verdict = self.ledger.reserve(hold).await;
            if let (Some(company), Err(_) | Ok(Verdict::Refused { .. })) = (&self.company, &verdict) {
                company.settle(amount, Money::ZERO);
            }
            if let Verdict::Refused { account, balance } = verdict? {
                return Ok(Err((Box::new(self.overdrawn(attempt, &account, balance, amount)), true)));
            }
            id = Some(hold_id(turn, attempt));
        }
        self.held = Some(Held { attempt, amount, id });
        let (input_tokens, output_tokens) =
            self.worst.as_ref().map_or((0, None), |worst| (worst.input_tokens, worst.output_tokens));
        Ok(Ok(Some(BudgetReserved { attempt, amount, input_tokens, output_tokens })))
    }

    /// Returns what an attempt costs at most, unless a limit that is kept here forbids it.
    fn judge(&self, attempt: u32) -> Result<Money, Box<Refusal>> {
        let amount = match &self.worst {
            Some(worst) => worst.amount(),
            None if self.allows_unpriced => Money::ZERO,
            None => return Err(Box::new(self.unpriced(attempt))),
        };
        for limit in &self.limits {
            let left = minus(limit.limit, limit.spent);
            if amount > left || left == Money::ZERO {
                let what = limit.what.to_owned();
                return Err(Box::new(self.exceeded(attempt, what, limit.limit, left, amount)));
            }
        }
        Ok(amount)
    }

    /// Says what the budgets would say of the next attempt as things are now, and sets nothing aside.
    ///
    /// # Errors
    /// Fails where the ledger does.
    pub(crate) async fn verdict(&self) -> Result<preview::Verdict, Error> {
        if !self.is_limited() {
            return Ok(preview::Verdict::Unlimited);
        }
        let amount = match self.judge(1) {
            Ok(amount) => amount,
            Err(refusal) => return Ok(preview::Verdict::Refused(refusal.error)),
        };
        let balances: BTreeMap<String, Balance> = match self.is_shared() {
            true => self.ledger.balances().await?.into_iter().collect(),
            false => BTreeMap::new(),
        };
        for Account { key, limit } in &self.accounts {
            let balance = balances.get(key).copied().unwrap_or_default();
            let after = balance.used().checked_add(amount.nano_dollars_up());
            if limit.is_some_and(|limit| after.is_none_or(|after| after > limit)) {
                return Ok(preview::Verdict::Refused(self.overdrawn(1, key, balance, amount).error));
            }
        }
        let remaining = self.remaining().await?.unwrap_or_default();
        Ok(preview::Verdict::Allowed { remaining })
    }

    /// Takes what the attempt under way cost as spent, and frees the rest. `cost` is absent where it cost nothing.
    ///
    /// # Errors
    /// Gives back why the ledger failed, beside what to record; what was set aside stays so.
    pub(crate) async fn settle(&mut self, cost: Option<&CostCalculated>) -> (Option<Settled>, Option<Error>) {
        let known = cost.and_then(|cost| cost.amount).unwrap_or(Money::ZERO);
        let Some(Held { attempt, amount: reserved, id }) = self.held.take() else {
            self.untold = self.untold.saturating_add(known.nano_dollars_up());
            return (None, None);
        };
        let settled = settled(attempt, reserved, cost);
        let amount = match &settled {
            Settled::Committed(fact) => fact.amount,
            Settled::Released(_) => Money::ZERO,
        };
        self.limits.iter_mut().for_each(|limit| limit.spent = limit.spent + amount);
        if let Some(company) = &self.company {
            company.settle(reserved, amount);
        }
        let error = match &id {
            Some(id) => self.ledger.settle(id, Some(amount.nano_dollars_up())).await.err(),
            None => {
                self.untold = self.untold.saturating_add(amount.nano_dollars_up());
                None
            }
        };
        (Some(settled), error.map(Error::from))
    }

    /// Tells the ledger what was spent without being set aside, so that a budget that is set later in the day counts it.
    pub(crate) fn tell(
        &mut self,
    ) -> impl Future<Output = Result<(), aichat_store::Error>> + std::marker::Send + use<> {
        let ledger = Arc::clone(&self.ledger);
        let mut untold = std::mem::take(&mut self.untold_before);
        if self.untold > 0 {
            untold.push((self.accounts.clone(), std::mem::take(&mut self.untold)));
        }
        async move {
            for (accounts, amount) in untold {
                let keys: Vec<String> = accounts.into_iter().map(|account| account.key).collect();
                ledger.spend(&keys, amount).await?;
            }
            Ok(())
        }
    }

    /// Says that an account of the ledger forbids an attempt.
    fn overdrawn(&self, attempt: u32, account: &str, balance: Balance, amount: Money) -> Refusal {
        let limit = self.accounts.iter().find(|known| known.key == account).and_then(|known| known.limit);
        let limit = limit.unwrap_or_default();
        let left = Money::from_nano_dollars(limit.saturating_sub(balance.used()));
        let what = match account.splitn(3, '/').nth(2) {
            Some(provider) => format!("budget of this day for {provider}"),
            None => "budget of this day".to_owned(),
        };
        self.exceeded(attempt, what, Money::from_nano_dollars(limit), left, amount)
    }

    fn exceeded(
        &self,
        attempt: u32,
        budget: String,
        limit: Money,
        remaining: Money,
        needed: Money,
    ) -> Refusal {
        let most = match needed.pico_dollars() == i128::MAX {
            true => "this request has no bound".to_owned(),
            false => format!("this request may cost up to {needed} USD"),
        };
        let what =
            format!("{}: {remaining} USD of {limit} USD is left of the {budget}, and {most}", self.model);
        let needed = (needed.pico_dollars() != i128::MAX).then_some(needed);
        let error = Error::new(ErrorKind::Budget, what);
        Refusal { fact: BudgetExceeded { attempt, budget, limit, remaining, needed }, error }
    }

    fn unpriced(&self, attempt: u32) -> Refusal {
        let what = format!("{}: what it costs is not known, and a budget is set", self.model);
        let limit = self.limits.iter().map(|limit| limit.limit).min();
        let shared =
            self.accounts.iter().filter_map(|account| account.limit).map(Money::from_nano_dollars).min();
        let limit = limit.into_iter().chain(shared).min().unwrap_or_default();
        let fact = BudgetExceeded {
            attempt,
            budget: "budget, because the model has no known price".to_owned(),
            limit,
            remaining: limit,
            needed: None,
        };
        Refusal { fact, error: Error::new(ErrorKind::Budget, what).with_reason(Reason::Unpriced) }
    }
}

/// How an attempt was settled.
pub(crate) enum Settled {
    Committed(BudgetCommitted),
    Released(BudgetReleased),
}

/// Returns how an attempt is settled for which an amount was set aside: at what it cost, or at all of it where that is
/// not known whole.
pub(crate) fn settled(attempt: u32, reserved: Money, cost: Option<&CostCalculated>) -> Settled {
    let Some(cost) = cost else { return Settled::Released(BudgetReleased { attempt, amount: reserved }) };
    let known = cost.amount.unwrap_or(Money::ZERO);
    let amount = if is_whole(cost) { known } else { known.max(reserved) };
    Settled::Committed(BudgetCommitted { attempt, reserved, amount, unproven: minus(amount, known) })
}

/// Returns an upper bound of the tokens that a body holds.
///
/// No tokenizer makes more tokens than there are bytes. What is not in the body is counted apart: instructions that a
/// provider adds, and media, whose bytes do not bound their tokens.
pub(crate) fn input_bound(body: usize, media: usize) -> u64 {
    (body as u64).saturating_add(OVERHEAD).saturating_add(MEDIA.saturating_mul(media as u64))
}

/// Tells whether a warning says that an answer is limited to what a budget pays for.
pub(crate) fn is_fitted(warning: &str) -> bool {
    warning.starts_with(FITTED)
}

/// Returns how many parts are not text.
fn media(messages: &[Message]) -> usize {
    fn count(parts: &[Part]) -> usize {
        let one = |part: &Part| match &part.kind {
            PartKind::Media { .. } => 1,
            PartKind::ToolResult { content, .. } => count(content),
            _ => 0,
        };
        parts.iter().map(one).sum()
    }
    messages.iter().map(|message| count(&message.parts)).sum()
}

/// Tells whether `max_tokens` bounds what a call with these options writes.
pub(crate) fn is_bounded(options: &aichat_providers::Options) -> bool {
    !options.other.iter().any(|(name, _)| UNBOUNDED.contains(&name))
}

/// Returns what the amount set aside for an attempt is called in the ledger.
pub(crate) fn hold_id(turn: &TurnId, attempt: u32) -> String {
    format!("{turn}/{attempt}")
}

fn minus(amount: Money, less: Money) -> Money {
    Money::from_pico_dollars(amount.pico_dollars().saturating_sub(less.pico_dollars()).max(0))
}

/// Returns a provider's name as a part of a key, which has an end.
fn short(name: &str) -> &str {
    let end = (0..=name.len().min(200)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    &name[..end]
}
