//! Repricing: calls whose price was not known when they ended are priced once it is, at the prices of their own time.

use std::collections::HashMap;

use aichat_events::{
    CostCalculated, CostRevised, Draft, Event, Fact, LlmRequestStarted, LlmResponseCompleted, TurnStarted,
    may_cost,
};
use aichat_message::{CostStatus, EventId, SessionId, TurnId};
use aichat_store::{ErrorKind as StoreErrorKind, Scan, Table};

use crate::cost::Pricing;
use crate::costs::usage_of;
use crate::engine::Engine;
use crate::error::Error;
use crate::project::Summary;
use crate::session::CONFLICTS;
use crate::tail::Tail;

impl Engine {
    /// Prices every call that has no amount, or that of a part only, and says so in the log of its session. Returns how
    /// many there were.
    ///
    /// # Errors
    /// Fails with kind `store`.
    pub async fn reprice(&self) -> Result<u64, Error> {
        self.using_store(async {
            self.fold_waiting().await?;
            self.freshen().await?;
            let rows = self.store().scan(Table::Sessions, Scan::default()).await?;
            let mut revised = 0;
            for summary in rows.iter().filter_map(|(_, row)| Summary::decode(row)) {
                if !summary.erased && !summary.cost.is_whole() {
                    revised += self.reprice_one(&summary.id).await?;
                }
            }
            Ok(revised)
        })
        .await
    }

    async fn reprice_one(&self, session: &SessionId) -> Result<u64, Error> {
        for _ in 0..CONFLICTS {
            let events = self.log(session).await?;
            let drafts = self.revisions(session, &events);
            if drafts.is_empty() {
                return Ok(0);
            }
            let mut tail = Tail::read(self, session).await?;
            if !tail.is_after(&events) {
                continue;
            }
            drafts.iter().for_each(|draft| tail.append(draft));
            match self.store().commit(vec![tail.into_unit()]).await {
                Err(error) if error.kind() == StoreErrorKind::Conflict => {}
                done => {
                    done?;
                    return Ok(drafts.len() as u64);
                }
            }
        }
        Ok(0)
    }

    /// Returns what is to be said of the calls of a session.
    fn revisions(&self, session: &SessionId, events: &[Event]) -> Vec<Draft> {
        let mut known: HashMap<&EventId, CostCalculated> = HashMap::new();
        for event in events {
            let cost = CostCalculated::of(event).or_else(|| CostRevised::of(event).map(|fact| fact.cost));
            if let (Some(cost), Some(end)) = (cost, event.cause()) {
                known.insert(end, cost);
            }
        }
        let mut requests: HashMap<TurnId, (LlmRequestStarted, i64)> = HashMap::new();
        let mut agents: HashMap<TurnId, Option<String>> = HashMap::new();
        let mut scribe = self.scribe(session);
        let mut drafts = Vec::new();
        for event in events {
            let Some(turn) = event.turn() else { continue };
            if let Some(fact) = TurnStarted::of(event) {
                agents.insert(turn.clone(), fact.agent.map(|agent| agent.name));
            } else if let Some(fact) = LlmRequestStarted::of(event) {
                requests.insert(turn.clone(), (fact, event.ts()));
            }
            let Some((request, sent_us)) = requests.get(turn).filter(|_| may_cost(event)) else { continue };
            let was = known.remove(event.id()).unwrap_or_default();
            let is_open = matches!(was.status, CostStatus::Unknown | CostStatus::Partial);
            let asked_us = if was.asked_us == 0 { *sent_us } else { was.asked_us };
            let pricing = Pricing {
                catalog: self.0.catalog.clone(),
                provider: request.provider.clone(),
                model: request.model.clone(),
                address: request.host.clone(),
                is_local: request.local,
                agent: agents.get(turn).cloned().flatten(),
            };
            let completed = LlmResponseCompleted::of(event);
            let served = completed.as_ref().and_then(|fact| fact.model.as_deref());
            let mut cost = pricing.cost(asked_us, served, usage_of(event).as_ref(), completed.is_some());
            cost.ended_us = event.ts();
            if !is_open || cost.amount.is_none() || (cost.amount, cost.status) == (was.amount, was.status) {
                continue;
            }
            let mut draft = scribe.fact(&CostRevised { was: was.amount, was_status: was.status, cost });
            (draft.turn, draft.call) = (event.turn().cloned(), event.call().cloned());
            draft.span = event.span();
            draft.cause = Some(event.id().clone());
            drafts.push(draft);
        }
        drafts
    }
}
