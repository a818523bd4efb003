//! What calls cost, by whatever they have in common: the table of costs, and the questions that it answers.

use std::collections::{BTreeMap, HashMap};

use aichat_events::{CostCalculated, CostRevised, Event, Fact, Hash, may_cost};
use aichat_message::{CallId, CostStatus, EventId, Money, SessionId, Total, TurnId};
use aichat_store::{Claim, Scan, Table, Write};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::Error;
use crate::fold::drafts;
use crate::project::Projection;

/// How many rows one read fetches.
const PAGE: usize = 4_096;
/// How long a day is, in microseconds.
const DAY_US: i64 = 86_400_000_000;

/// One attempt in the table of costs.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    turn: Option<TurnId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<CallId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    amount: Option<Money>,
    status: CostStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens: Option<u64>,
}

/// The rows that events make, each attempt once. A row depends on one event alone, so that it does not matter which of
/// them are committed together: the event that ends an attempt makes one without a cost, and the event that tells its
/// cost puts another in its place.
#[derive(Default)]
pub(crate) struct CostRows(BTreeMap<Vec<u8>, Row>);

impl CostRows {
    pub(crate) fn take(&mut self, event: &Event) {
        if let Some(fact) = CostCalculated::of(event) {
            self.told(event, fact);
        } else if let Some(fact) = CostRevised::of(event) {
            self.told(event, fact.cost);
        } else if may_cost(event) {
            self.untold(event);
        }
    }

    fn told(&mut self, event: &Event, fact: CostCalculated) {
        let end = event.cause().unwrap_or(event.id());
        let row = Row {
            turn: event.turn().cloned(),
            call: event.call().cloned(),
            provider: Some(fact.provider),
            model: Some(fact.model),
            agent: fact.agent,
            amount: fact.amount,
            status: fact.status,
            input_tokens: fact.input_tokens,
            output_tokens: fact.output_tokens,
        };
        self.0.insert(key(fact.ended_us, event.session(), end), row);
    }

    /// Makes the row of an attempt whose cost is told by the next event, or by none, as early versions did.
    fn untold(&mut self, event: &Event) {
        let usage = usage_of(event);
        let row = Row {
            turn: event.turn().cloned(),
            call: event.call().cloned(),
            input_tokens: usage.as_ref().and_then(|usage| usage.input_tokens),
            output_tokens: usage.as_ref().and_then(|usage| usage.output_tokens),
            ..Row::default()
        };
        self.0.insert(key(event.ts(), event.session(), event.id()), row);
    }

    /// Returns the rows as writes, in the order of their keys.
    pub(crate) fn into_writes(self) -> impl Iterator<Item = Write> {
        self.0.into_iter().map(|(key, row)| {
            let value = serde_json::to_vec(&row).expect("rows have string keys only");
            Write { table: Table::Costs, key, value: Some(value) }
        })
    }
}

/// Returns what the call consumed that an event ends, as far as it says.
pub(crate) fn usage_of(event: &Event) -> Option<aichat_message::Usage> {
    use aichat_events::{LlmResponseCompleted, LlmResponseFailed, LlmResponseInterrupted};
    let completed = LlmResponseCompleted::of(event).map(|fact| fact.usage);
    let interrupted = || LlmResponseInterrupted::of(event).map(|fact| fact.usage);
    completed.or_else(interrupted).or_else(|| LlmResponseFailed::of(event).map(|fact| fact.usage)).flatten()
}

fn key(ended_us: i64, session: &SessionId, end: &EventId) -> Vec<u8> {
    let ended = u64::try_from(ended_us).unwrap_or(0).to_be_bytes();
    [&ended[..], session.as_str().as_bytes(), b"\0", end.as_str().as_bytes()].concat()
}

/// Reads when an attempt ended, and in which session.
fn place(key: &[u8]) -> Option<(i64, &str)> {
    let (ended, rest) = key.split_first_chunk::<8>()?;
    let session = rest.split(|byte| *byte == 0).next()?;
    Some((i64::try_from(u64::from_be_bytes(*ended)).ok()?, std::str::from_utf8(session).ok()?))
}

/// What costs are taken together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CostBy {
    /// The day, UTC.
    Day,
    /// The provider and the model asked for.
    Model,
    /// The provider.
    Provider,
    /// The session.
    Session,
    /// The agent.
    Agent,
    /// The turn.
    Turn,
    /// The call: a request with its attempts.
    Call,
}

/// Which costs to take together, and by what.
#[derive(Clone, Debug, Default)]
pub struct CostQuery {
    /// By what; where empty, all of them.
    pub by: Vec<CostBy>,
    /// Only what ended at this time or later, in microseconds since 1970 UTC.
    pub since_us: Option<i64>,
    /// Only what ended before this time, in microseconds since 1970 UTC.
    pub until_us: Option<i64>,
    /// Only what was asked in this session.
    pub session: Option<SessionId>,
}

/// What calls cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Costs {
    /// All of them together.
    pub total: CostGroup,
    /// The groups: the latest first where they are days, turns or calls, and the dearest first otherwise.
    pub groups: Vec<CostGroup>,
}

/// Calls that have something in common, and what they cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CostGroup {
    /// The day, UTC, such as `2026-11-27`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// The provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model asked for, `provider/model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnId>,
    /// The call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// What they cost.
    #[serde(flatten)]
    pub cost: Total,
    /// The sum of the input tokens that were reported.
    pub input_tokens: u64,
    /// The sum of the output tokens that were reported.
    pub output_tokens: u64,
    /// How many of them did not report both.
    pub calls_without_usage: u64,
    /// When the latest of them ended, in microseconds since 1970 UTC.
    pub latest_us: i64,
}

impl CostGroup {
    fn count(&mut self, ended_us: i64, row: &Row) {
        self.cost.count(row.amount, row.status);
        self.input_tokens = self.input_tokens.saturating_add(row.input_tokens.unwrap_or(0));
        self.output_tokens = self.output_tokens.saturating_add(row.output_tokens.unwrap_or(0));
        self.calls_without_usage += u64::from(row.input_tokens.is_none() || row.output_tokens.is_none());
        self.latest_us = self.latest_us.max(ended_us);
    }
}

/// What calls of one group have in common.
type Common = (Option<i64>, [Option<String>; 6]);

/// Costs that are being added up.
struct Adding<'a> {
    query: &'a CostQuery,
    total: CostGroup,
    groups: HashMap<Common, CostGroup>,
}

impl Adding<'_> {
    /// Counts a row of the table; `false` where nothing that comes later can count.
    fn take(&mut self, key: &[u8], value: &[u8]) -> bool {
        let Some((ended_us, session)) = place(key) else { return true };
        if self.query.until_us.is_some_and(|until| ended_us >= until) {
            return false;
        }
        let is_earlier = self.query.since_us.is_some_and(|since| ended_us < since);
        if is_earlier || self.query.session.as_ref().is_some_and(|asked| asked.as_str() != session) {
            return true;
        }
        let Ok(row) = serde_json::from_slice::<Row>(value) else { return true };
        self.total.count(ended_us, &row);
        if !self.query.by.is_empty() {
            let common = self.common(ended_us, session, &row);
            self.groups.entry(common).or_default().count(ended_us, &row);
        }
        true
    }

    fn common(&self, ended_us: i64, session: &str, row: &Row) -> Common {
        let by = |by| self.query.by.contains(&by);
        let when = |is_asked: bool, value: Option<String>| value.filter(|_| is_asked);
        let day = by(CostBy::Day).then(|| ended_us.div_euclid(DAY_US));
        let model = by(CostBy::Model)
            .then(|| Some(format!("{}/{}", row.provider.as_deref()?, row.model.as_deref()?)))
            .flatten();
        let text = |id: &str| Some(id.to_owned());
        let common = [
            when(by(CostBy::Provider), row.provider.clone()),
            model,
            when(by(CostBy::Session), text(session)),
            when(by(CostBy::Agent), row.agent.clone()),
            when(by(CostBy::Turn), row.turn.as_ref().and_then(|turn| text(turn.as_str()))),
            when(by(CostBy::Call), row.call.as_ref().and_then(|call| text(call.as_str()))),
        ];
        (day, common)
    }

    fn done(self) -> Costs {
        let by = &self.query.by;
        let mut groups: Vec<CostGroup> = self
            .groups
            .into_iter()
            .map(|((day, [provider, model, session, agent, turn, call]), group)| CostGroup {
                day: day.map(|day| {
                    aichat_catalog::Moment::from_unix_micros(day.saturating_mul(DAY_US)).day().to_string()
                }),
                provider,
                model,
                session: session.and_then(|id| id.parse().ok()),
                agent,
                turn: turn.and_then(|id| id.parse().ok()),
                call: call.and_then(|id| id.parse().ok()),
                ..group
            })
            .collect();
        let named = |group: &CostGroup| {
            let session = group.session.as_ref().map(SessionId::to_string);
            (group.provider.clone(), group.model.clone(), session, group.agent.clone())
        };
        groups.sort_by(|a, b| {
            let latest = b.day.cmp(&a.day).then_with(|| {
                match by.contains(&CostBy::Turn) || by.contains(&CostBy::Call) {
                    true => b.latest_us.cmp(&a.latest_us),
                    false => std::cmp::Ordering::Equal,
                }
            });
            let dearest = || b.cost.amount.cmp(&a.cost.amount).then_with(|| b.cost.calls.cmp(&a.cost.calls));
            latest.then_with(dearest).then_with(|| named(a).cmp(&named(b)))
        });
        Costs { total: self.total, groups }
    }
}

impl Engine {
    /// Adds up what calls cost. Those of deleted sessions count, those of purged ones are not known any more.
    ///
    /// # Errors
    /// Fails with kind `store`.
    pub async fn costs(&self, query: &CostQuery) -> Result<Costs, Error> {
        self.using_store(async {
            self.settle().await?;
            let mut adding = Adding { query, total: CostGroup::default(), groups: HashMap::new() };
            for (key, value) in self.unfolded_costs().await? {
                adding.take(&key, &value);
            }
            let since = u64::try_from(query.since_us.unwrap_or(0)).unwrap_or(0);
            // No key is as short as this one, so that it is before the first that counts.
            let mut scan =
                Scan { after: Some(since.to_be_bytes().to_vec()), limit: Some(PAGE), ..Scan::default() };
            loop {
                let rows = self.store().scan(Table::Costs, scan.clone()).await?;
                let goes_on = rows.iter().all(|(key, value)| adding.take(key, value));
                match rows.into_iter().nth(PAGE - 1) {
                    Some((last, _)) if goes_on => scan.after = Some(last),
                    _ => return Ok(adding.done()),
                }
            }
        })
        .await
    }

    /// Returns the rows of turns that wait: of those that are running, and of all where the store cannot be written.
    async fn unfolded_costs(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
        let mut rows = Vec::new();
        for pending in self.store().pending(Claim::Look).await? {
            if self.store().folded(&pending.header.turn).await? {
                continue;
            }
            let mut projection = Projection::after(None);
            // Their places do not matter to what they cost.
            drafts(self, &pending).iter().for_each(|draft| projection.apply(&draft.seal(1, &Hash::ZERO)));
            let writes = projection.finish().1.into_iter().filter(|write| write.table == Table::Costs);
            rows.extend(writes.filter_map(|write| Some((write.key, write.value?))));
        }
        Ok(rows)
    }
}
