//! Folding: turns in flight that are over, or whose writer died, enter the log.

use std::collections::HashSet;

use aichat_events::{
    BudgetCommitted, BudgetReleased, BudgetReserved, CostCalculated, Draft, Fact, Interruption,
    LlmRequestStarted, LlmResponseCompleted, LlmResponseFailed, LlmResponseInterrupted, MessageAssistant,
    Salt, TurnCompleted, TurnFailed, TurnInterrupted, TurnRecovered, TurnStarted,
};
use aichat_message::{EventId, Fold, Json, MessageId, Money, Origin};
use aichat_store::{Claim, ErrorKind as StoreErrorKind, Pending, State};

use crate::budget::{self, Settled, hold_id};
use crate::cost::Pricing;
use crate::engine::Engine;
use crate::error::Error;
use crate::flight::kept;
use crate::record::Record;
use crate::tail::Tail;

/// How many turns one commit takes in.
const BATCH: usize = 64;
/// How often a batch is tried again because another process folded at the same time.
const CONFLICTS: usize = 8;

impl Engine {
    /// Brings every turn that is over into the log, and returns how many there were. A turn whose writer died
    /// is closed as interrupted, with the text that had arrived.
    ///
    /// # Errors
    /// Fails with kind `store`; what could not be folded stays where it is.
    pub async fn fold(&self) -> Result<usize, Error> {
        self.using_store(self.fold_waiting()).await
    }

    /// Folds, and keeps the store for what the caller does next.
    pub(crate) async fn fold_waiting(&self) -> Result<usize, Error> {
        if self.store().backlog().await?.0 == 0 {
            return Ok(0);
        }
        self.freshen().await?;
        let (mut total, mut conflicts) = (0, 0);
        loop {
            let pending = self.store().pending(Claim::Fold(BATCH)).await?;
            if pending.is_empty() {
                return Ok(total);
            }
            match self.fold_batch(&pending).await {
                Ok(()) => total += pending.len(),
                Err(FoldError::Conflict) if conflicts < CONFLICTS => conflicts += 1,
                Err(FoldError::Conflict) => {
                    return Err(Error::new(
                        aichat_message::ErrorKind::Busy,
                        "other processes keep folding the same turns",
                    ));
                }
                Err(FoldError::Other(error)) => return Err(error),
            }
        }
    }

    async fn fold_batch(&self, pending: &[Pending]) -> Result<(), FoldError> {
        let mut tails: Vec<Tail> = Vec::new();
        let mut known = Vec::new();
        let mut pins = Vec::new();
        for turn in pending {
            let header = &turn.header;
            let drafts = drafts(self, turn);
            self.settle_holds(turn, &drafts).await?;
            let at = match tails.iter().position(|tail| *tail.stream() == header.session) {
                Some(at) => at,
                None => {
                    tails.push(Tail::read(self, &header.session).await?);
                    tails.len() - 1
                }
            };
            let folded = self.store().folded(&header.turn).await?;
            let in_log = match drafts.first() {
                Some(first) => folded || self.store().find(&first.id).await?.is_some(),
                None => folded,
            };
            for draft in &drafts {
                // Either a fold died before it cleaned up, or a writer that was taken for dead completed late, or the
                // log came from a copy: whatever is new is appended.
                if !in_log || self.store().find(&draft.id).await?.is_none() {
                    tails[at].append(draft);
                }
            }
            if !in_log && let Some(kept) = self.keep_wire(turn, &drafts).await {
                tails[at].append(&kept.draft);
                pins.extend(kept.pin);
            }
            match folded {
                // It is forgotten afterwards.
                true => known.push((at, header.turn.clone())),
                false => tails[at].folds(&header.turn),
            }
        }
        let forgets: Vec<_> = known.iter().map(|(at, turn)| tails[*at].forget(turn)).collect();
        self.store().commit(tails.into_iter().map(Tail::into_unit).collect()).await?;
        drop(pins);
        if !forgets.is_empty() {
            self.store().commit(forgets).await?;
        }
        Ok(())
    }
}

impl Engine {
    /// Settles what a turn that is over still has set aside: at what its events say, and all of it where they do not.
    async fn settle_holds(&self, turn: &Pending, drafts: &[Draft]) -> Result<(), Error> {
        let attempts = drafts.iter().filter(|draft| draft.kind == LlmRequestStarted::TYPE).count();
        let was_killed = drafts.iter().any(|draft| draft.kind == TurnRecovered::TYPE);
        let has_reserved = drafts.iter().any(|draft| draft.kind == BudgetReserved::TYPE);
        if !was_killed && !has_reserved {
            return Ok(());
        }
        // One more may have been set aside than was written down.
        for attempt in 1..=u32::try_from(attempts).unwrap_or(u32::MAX).saturating_add(1) {
            let committed = drafts.iter().filter_map(BudgetCommitted::of_draft);
            let committed =
                committed.filter(|fact| fact.attempt == attempt).map(|fact| fact.amount).next_back();
            let released =
                drafts.iter().filter_map(BudgetReleased::of_draft).any(|fact| fact.attempt == attempt);
            let spent = committed.or(released.then_some(Money::ZERO)).map(Money::nano_dollars_up);
            self.0.ledger.settle(&hold_id(&turn.header.turn, attempt), spent).await?;
        }
        Ok(())
    }
}

enum FoldError {
    Conflict,
    Other(Error),
}

impl From<aichat_store::Error> for FoldError {
    fn from(error: aichat_store::Error) -> Self {
        match error.kind() {
            StoreErrorKind::Conflict => Self::Conflict,
            _ => Self::Other(error.into()),
        }
    }
}

impl From<Error> for FoldError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Returns the events of a turn: those it recorded, and those that close it where its writer could not. One
/// that is still being written stays open.
///
/// What recovery adds is derived from what is there, ids included, so that doing it twice changes nothing.
pub(crate) fn drafts(engine: &Engine, pending: &Pending) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    let mut seen = HashSet::new();
    let mut attempt = 0;
    for (n, record) in pending.records.iter().enumerate().filter(|(_, record)| !Record::is_delta(record)) {
        let Some(Record::Event(draft)) = Record::decode(record) else { continue };
        if draft.session == pending.header.session && seen.insert(draft.id.clone()) {
            if draft.kind == LlmRequestStarted::TYPE {
                attempt = n;
            }
            drafts.push(*draft);
        }
    }
    let ended = [TurnCompleted::TYPE, TurnFailed::TYPE, TurnInterrupted::TYPE];
    if pending.state == State::Over && drafts.iter().all(|draft| !ended.contains(&draft.kind.as_str())) {
        let mut fold = Fold::new();
        for record in &pending.records[attempt..] {
            if let Some(Record::Delta(delta)) = Record::decode(record) {
                fold.apply(&delta);
            }
        }
        close(engine, pending, &mut drafts, &fold);
    }
    drafts
}

/// Tells whether a turn was closed by another than its writer.
pub(crate) fn is_recovered(drafts: &[Draft]) -> bool {
    drafts.iter().any(|draft| draft.kind == TurnRecovered::TYPE)
}

/// Closes what a dead writer left open.
fn close(engine: &Engine, pending: &Pending, drafts: &mut Vec<Draft>, fold: &Fold) {
    let Some(last) = drafts.last().cloned() else { return };
    let mut derived = Derived::new(pending, &last, 1);
    let bytes = pending.records.iter().map(Vec::len).sum::<usize>() as u64;
    let recovered = TurnRecovered { records: pending.records.len() as u64, bytes };
    drafts.push(derived.draft(&recovered));

    let last_of = |kind: &str| drafts.iter().rposition(|draft| draft.kind == kind);
    let started = last_of(LlmRequestStarted::TYPE);
    let answered = [LlmResponseCompleted::TYPE, LlmResponseFailed::TYPE, LlmResponseInterrupted::TYPE]
        .iter()
        .filter_map(|kind| last_of(kind))
        .max();
    if started > answered {
        let usage = fold.usage().cloned();
        let request = &drafts[started.expect("it is greater than another option")];
        // What an earlier version began is closed as that version would have closed it, byte for byte.
        let kept = kept(fold).filter(|_| request.tv > 1);
        let interrupted = LlmResponseInterrupted { reason: Interruption::Kill, usage, timing: None, kept };
        let mut draft = derived.draft(&interrupted);
        (draft.call, draft.span, draft.parent_span) =
            (request.call.clone(), request.span, request.parent_span);
        drafts.push(draft);
    }
    close_money(engine, &mut derived, drafts, fold);
    let answer = match drafts.iter().find_map(MessageAssistant::of_draft) {
        Some(answer) => Some(answer.id),
        None if fold.message().is_empty() => None,
        None => {
            let parent = drafts.iter().find_map(TurnStarted::of_draft).map(|turn| turn.input);
            let id = MessageId::from_bits(derive(pending, "answer"));
            let mut message = fold.message();
            message.origin = started.and_then(|at| origin(&drafts[at], fold));
            drafts.push(derived.draft(&MessageAssistant { id: id.clone(), parent, message, partial: true }));
            Some(id)
        }
    };
    drafts.push(derived.draft(&TurnInterrupted { reason: Interruption::Kill, answer }));
}

/// Says what the last attempt cost and settles its budget, where the writer had no time to.
fn close_money(engine: &Engine, derived: &mut Derived<'_>, drafts: &mut Vec<Draft>, fold: &Fold) {
    let sent = drafts.iter().rposition(|draft| draft.kind == LlmRequestStarted::TYPE);
    let reserved = drafts.iter().rposition(|draft| draft.kind == BudgetReserved::TYPE);
    let Some(at) = sent.or(reserved) else { return };
    let about = (drafts[at].call.clone(), drafts[at].span, drafts[at].parent_span);
    let since =
        |kind: &str| drafts[at..].iter().rposition(|draft| draft.kind == kind).map(|place| at + place);
    let mut cost = since(CostCalculated::TYPE).and_then(|place| CostCalculated::of_draft(&drafts[place]));
    let mut added = Vec::new();
    let failed = since(LlmResponseFailed::TYPE);
    let may_cost = failed
        .and_then(|place| LlmResponseFailed::of_draft(&drafts[place]))
        .is_none_or(|fact| fact.may_cost());
    if cost.is_none()
        && may_cost
        && let Some(request) = LlmRequestStarted::of_draft(&drafts[at])
        // What an earlier version began is closed as that version would have closed it.
        && drafts[at].tv > 1
    {
        let completed = since(LlmResponseCompleted::TYPE);
        let turn = drafts.iter().find_map(TurnStarted::of_draft);
        let pricing = Pricing {
            catalog: engine.0.catalog.clone(),
            provider: request.provider,
            model: request.model,
            address: request.host,
            is_local: request.local,
            agent: turn.and_then(|turn| turn.agent).map(|agent| agent.name),
        };
        let served = fold.started().model.as_deref();
        let mut fact = pricing.cost(drafts[at].ts, served, fold.usage(), completed.is_some());
        // The event that ends the attempt is what its cost is known by.
        let end = [completed, failed, since(LlmResponseInterrupted::TYPE)].into_iter().flatten().max();
        fact.ended_us = end.map_or(0, |place| drafts[place].ts);
        let mut draft = derived.draft(&fact);
        draft.cause = end.map(|place| drafts[place].id.clone());
        added.push(draft);
        cost = Some(fact);
    }
    let settled = |attempt: u32| {
        let committed = drafts.iter().filter_map(BudgetCommitted::of_draft).map(|fact| fact.attempt);
        let released = drafts.iter().filter_map(BudgetReleased::of_draft).map(|fact| fact.attempt);
        committed.chain(released).any(|settled| settled == attempt)
    };
    if reserved > sent {
        // Nobody knows whether the attempt was sent for which it was set aside.
        cost = Some(CostCalculated::default());
    }
    if let Some(reserved) = reserved.and_then(|place| BudgetReserved::of_draft(&drafts[place]))
        && !settled(reserved.attempt)
    {
        added.push(match budget::settled(reserved.attempt, reserved.amount, cost.as_ref()) {
            Settled::Committed(fact) => derived.draft(&fact),
            Settled::Released(fact) => derived.draft(&fact),
        });
    }
    for mut draft in added {
        (draft.call, draft.span, draft.parent_span) = about.clone();
        drafts.push(draft);
    }
}

fn origin(request: &Draft, fold: &Fold) -> Option<Origin> {
    let request = LlmRequestStarted::of_draft(request)?;
    let start = fold.started();
    Some(Origin {
        provider: request.provider,
        protocol: request.protocol,
        model: start.model.clone().unwrap_or(request.model),
        response_id: start.response_id.clone(),
    })
}

/// Makes events out of nothing but what is in the turn already.
pub(crate) struct Derived<'a> {
    pending: &'a Pending,
    last: Draft,
    /// The number of the next one.
    n: u32,
}

impl<'a> Derived<'a> {
    /// Goes on after the event `last`. What closes a turn is numbered from 1.
    pub(crate) fn new(pending: &'a Pending, last: &Draft, n: u32) -> Self {
        Self { pending, last: last.clone(), n }
    }

    pub(crate) fn draft<F: Fact>(&mut self, fact: &F) -> Draft {
        let id = EventId::from_bits(derive(self.pending, &format!("event {}", self.n)));
        let draft = Draft {
            id: id.clone(),
            kind: F::TYPE.to_owned(),
            tv: F::VERSION,
            call: None,
            span: if self.last.call.is_some() { self.last.parent_span } else { self.last.span },
            parent_span: None,
            cause: Some(self.last.id.clone()),
            salt: Salt(derive(self.pending, &format!("salt {}", self.n))),
            payload: Json::from_value(fact).expect("facts have string keys only"),
            ..self.last.clone()
        };
        self.n += 1;
        self.last = draft.clone();
        draft
    }
}

/// Returns bits that depend on the turn and on how much of it there is: a writer that was taken for dead and
/// then really died closes what it added under ids of their own.
fn derive<const N: usize>(pending: &Pending, what: &str) -> [u8; N] {
    let mut hasher = blake3::Hasher::new_derive_key("aichat recovery v1");
    hasher.update(format!("{}\0{}\0", pending.header.turn, pending.records.len()).as_bytes());
    hasher.update(what.as_bytes());
    let mut bits = [0; N];
    hasher.finalize_xof().fill(&mut bits);
    bits
}
