//! Previews: what a turn would ask, what that may cost, and what its budgets say, with nothing sent or written.

use aichat_catalog::CostStatus;
use aichat_message::{Message, Money, Part, PartKind, Usage};
use aichat_providers::{Call, Info};

use crate::budget::{Purse, Worst};
use crate::cost::Pricing;
use crate::engine::Engine;
use crate::error::Error;
use crate::send::Aim;
use crate::turn::{ModelRef, Send};

/// How many letters of English a token is, roughly.
const LETTERS: u64 = 4;
/// How many tokens a message takes beside its words, roughly.
const AROUND: u64 = 4;

/// What a turn would ask of one model.
#[derive(Debug)]
pub struct Preview {
    /// The model.
    pub model: ModelRef,
    /// What would be asked, or why that cannot be done.
    pub ask: Result<Ask, Error>,
}

/// A request as it would be sent, and what may come of it.
#[derive(Debug)]
pub struct Ask {
    /// Who would be asked.
    pub provider: Info,
    /// What would be sent.
    pub call: Call,
    /// About how many tokens would be read, by the length of the text; `None` where there is more than text.
    pub input_tokens: Option<u64>,
    /// The most that could be read, where a price table bounds it.
    pub input_most: Option<u64>,
    /// The most that could be written, where anything bounds it.
    pub output_most: Option<u64>,
    /// What it would cost without a word of answer, about.
    pub least: Option<Money>,
    /// What it would cost at most, where anything bounds it.
    pub most: Option<Money>,
    /// How sure the costs are.
    pub status: CostStatus,
    /// What the budgets would say.
    pub verdict: Verdict,
}

/// What the budgets that apply say of a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// There is none.
    Unlimited,
    /// It may be sent.
    Allowed {
        /// What is left of the tightest one before it is.
        remaining: Money,
    },
    /// It may not.
    Refused(Error),
}

impl Engine {
    /// Returns what [`send`](Self::send) would ask of its model and then of each fallback, and sends and records nothing.
    ///
    /// # Errors
    /// Fails as `send` does before it sends. What keeps a fallback from being asked is said of it.
    pub async fn preview(&self, send: Send) -> Result<Vec<Preview>, Error> {
        self.using_store(async {
            let mut prepared = self.prepare(send).await?;
            let mut previews: Vec<Preview> = Vec::new();
            for reroute in prepared.reroutes {
                previews.push(Preview { model: reroute.from, ask: Err(reroute.error) });
            }
            let Aim { model, provider, call, pricing } = prepared.aim;
            let request = prepared.fallbacks.request(&call);
            let info = provider.info().clone();
            previews.push(Preview { model, ask: self.judged(info, call, &pricing, &prepared.purse).await });
            while let Some(model) = prepared.fallbacks.models.pop_front() {
                let aimed = self.provider(&model.provider).await.and_then(|provider| {
                    self.aim(model.clone(), provider, request.clone(), pricing.agent.as_deref())
                });
                let ask = match aimed {
                    Ok(Aim { provider, mut call, pricing, .. }) => {
                        let (purse, now_us) = (&mut prepared.purse, self.0.effects.clock.now_us());
                        purse.pass_to(&pricing);
                        if purse.is_limited() {
                            call = purse.fit(&*provider, call, &pricing, now_us).await?;
                        }
                        self.judged(provider.info().clone(), call, &pricing, purse).await
                    }
                    Err(error) => Err(error),
                };
                previews.push(Preview { model, ask });
            }
            Ok(previews)
        })
        .await
    }

    async fn judged(
        &self,
        provider: Info,
        call: Call,
        pricing: &Pricing,
        purse: &Purse,
    ) -> Result<Ask, Error> {
        let now_us = self.0.effects.clock.now_us();
        let worst = Worst::of(&call, pricing, now_us);
        let input_tokens = tokens(&call.request.messages);
        let usage = Usage { input_tokens, output_tokens: Some(0), ..Usage::default() };
        let cost = pricing.catalog.cost(&pricing.call(&pricing.model, now_us), Some(&usage));
        let (least, most, status) = match (provider.local, cost.amount.filter(|_| input_tokens.is_some())) {
            (true, _) => (Some(Money::ZERO), Some(Money::ZERO), CostStatus::LocalFree),
            (false, least) => {
                let most = worst.as_ref().and_then(Worst::bounded);
                let is_known = least.is_some() || most.is_some();
                (least, most, if is_known { CostStatus::Estimated } else { CostStatus::Unknown })
            }
        };
        let output_most = worst.as_ref().map_or(call.request.options.max_tokens, Worst::most_output);
        let verdict = purse.verdict().await?;
        let input_most = worst.map(|worst| worst.input_tokens);
        Ok(Ask { provider, call, input_tokens, input_most, output_most, least, most, status, verdict })
    }
}

/// Returns about how many tokens messages are; `None` where they hold more than text.
fn tokens(messages: &[Message]) -> Option<u64> {
    fn words(part: &Part) -> Option<u64> {
        match &part.kind {
            PartKind::Text { text, .. } | PartKind::Refusal { text } => Some(length(text)),
            PartKind::Reasoning { blocks } => Some(blocks.iter().map(|block| length(block.text())).sum()),
            PartKind::ToolCall { name, arguments, .. } => Some(length(name) + length(arguments.as_str())),
            PartKind::ToolResult { content, .. } => content.iter().map(words).sum(),
            _ => None,
        }
    }
    let words = |message: &Message| Some(AROUND + message.parts.iter().map(words).sum::<Option<u64>>()?);
    messages.iter().map(words).sum()
}

/// Returns about how many tokens a text is: letters outside ASCII are tokens of their own more often than not.
fn length(text: &str) -> u64 {
    let ascii = text.bytes().filter(u8::is_ascii).count() as u64;
    let others = text.chars().filter(|letter| !letter.is_ascii()).count() as u64;
    ascii.div_ceil(LETTERS) + others
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_about_as_many_as_the_text_is_long() {
        assert_eq!(tokens(&[Message::user("twelve chars")]), Some(4 + 3));
        assert_eq!(tokens(&[Message::user("日本語")]), Some(4 + 3));
        assert_eq!(tokens(&[]), Some(0));
    }
}
