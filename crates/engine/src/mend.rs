//! Mending: an answer that does not keep to its form is asked for once more, in a turn of its own that follows.

use std::time::Duration;

use tokio::sync::oneshot::error::TryRecvError;

use aichat_events::AgentRef;
use aichat_message::{Message, MessageId};
use aichat_providers::Output;
use aichat_store::Lease;

use crate::answer::{Gauge, Misfit};
use crate::engine::Engine;
use crate::error::Error;
use crate::flight::Landed;
use crate::send::Prepared;
use crate::turn::{Outcome, Progress, Status};

/// How often an answer that does not keep to its form is asked for once more.
pub const MAX_MENDS: u32 = 2;
/// Most bytes of an answer that is sent back to be mended; nobody pays to send more of what is wrong.
const LONGEST: usize = 1 << 20;

/// Sees to it that a turn ends with an answer of the form that was asked for, if it can.
pub(crate) struct Mender {
    engine: Engine,
    gauge: Gauge,
    left_out: Vec<MessageId>,
    scope: Option<String>,
    agent: Option<AgentRef>,
}

impl Mender {
    /// Returns what a turn needs to be mended; nothing where its answer is free text.
    pub(crate) fn of(engine: &Engine, prepared: &mut Prepared) -> Option<Self> {
        Some(Self {
            engine: engine.clone(),
            gauge: prepared.gauge.take()?,
            left_out: prepared.left_out.clone(),
            scope: prepared.scope.clone(),
            agent: prepared.agent.clone(),
        })
    }

    /// Looks at the answer of a turn, and lets others follow while it does not keep to its form. Each of them is an
    /// ordinary turn of the session: recorded, priced and within the budget.
    pub(crate) async fn see_through(
        self,
        (mut outcome, mut landed): (Outcome, Landed),
        lease: &mut Option<Box<dyn Lease>>,
    ) -> Outcome {
        outcome.formed = self.gauge.measure(&outcome);
        for number in 1..=MAX_MENDS {
            let Some(Err(misfit)) = &outcome.formed else { break };
            let is_hopeless = misfit.is_cut || outcome.message.text().len() > LONGEST;
            // Whoever asked to stop, or has gone, does not want another answer.
            let is_wanted = matches!(landed.stop.try_recv(), Err(TryRecvError::Empty));
            if is_hopeless || !is_wanted || !self.gauge.mends {
                break;
            }
            let misfit = misfit.clone();
            let _ = landed.progress.send(Progress::Mending { number, misfit: misfit.clone() });
            match self.again(&outcome, &misfit, landed, lease).await {
                Ok((next, rest)) => {
                    let is_over = next.status == Status::Failed;
                    outcome = follow(outcome, next);
                    if is_over {
                        break;
                    }
                    outcome.formed = self.gauge.measure(&outcome);
                    landed = rest;
                }
                Err(error) => {
                    outcome.warnings.push(format!("the answer was not asked for again: {error}"));
                    break;
                }
            }
        }
        outcome
    }

    /// Asks once more.
    async fn again(
        &self,
        outcome: &Outcome,
        misfit: &Misfit,
        landed: Landed,
        lease: &mut Option<Box<dyn Lease>>,
    ) -> Result<(Outcome, Landed), Error> {
        let engine = &self.engine;
        // The first turn of a session needs none: nobody else can know it.
        if lease.is_none() {
            *lease = Some(engine.store().lease(&outcome.session, Duration::ZERO).await?);
        }
        let Landed { provider, mut request, fallbacks, progress, stop, mut purse, company } = landed;
        let user = Message::user(complaint(misfit, outcome.output.as_ref()));
        request.messages.extend([outcome.message.clone(), user.clone()]);
        request.options.max_tokens = fallbacks.max_tokens;
        let agent = self.agent.as_ref().map(|agent| agent.name.as_str());
        let mut aim = engine.aim(outcome.model.clone(), provider, request, agent)?;
        if purse.is_limited() {
            let now_us = engine.0.effects.clock.now_us();
            aim.call = purse.fit(&*aim.provider, aim.call, &aim.pricing, now_us).await?;
        }
        let prepared = Prepared {
            session: outcome.session.clone(),
            is_new: false,
            base: Some(outcome.turn.clone()),
            model: outcome.model.clone(),
            reroutes: Vec::new(),
            aim,
            fallbacks,
            moved: None,
            system: None,
            user: Some(user),
            input: MessageId::from_bits(engine.0.effects.bits()),
            parent: outcome.answer.clone(),
            left_out: self.left_out.clone(),
            switched: None,
            scope: self.scope.clone(),
            agent: self.agent.clone(),
            mends: Some(outcome.turn.clone()),
            purse,
            company,
            gauge: None,
        };
        Ok(engine.lift(prepared, progress, stop).await?.fly().await)
    }
}

/// Returns the outcome of a turn that another one followed. One that failed leaves the answer before it as the last.
fn follow(first: Outcome, next: Outcome) -> Outcome {
    let mut warnings = first.warnings;
    let costs = [first.costs, next.costs].concat();
    let total = first.total + next.total;
    if next.status == Status::Failed {
        let why = next.error.map(|error| error.to_string()).unwrap_or_default();
        warnings.push(format!("the answer was asked for again, which failed: {why}"));
        return Outcome { warnings, costs, total, ..first };
    }
    let usage = first.usage.zip(next.usage).map(|(first, next)| first.and(&next));
    for warning in next.warnings {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    let mended = first.mended + 1;
    Outcome { warnings, costs, total, usage, mended, first_content: first.first_content, ..next }
}

/// Returns what a model is told of its answer. The schema is part of it: some servers take it and tell nobody.
fn complaint(misfit: &Misfit, output: Option<&Output>) -> String {
    let mut text = match misfit.violations.as_slice() {
        [] => "Your answer is not JSON.".to_owned(),
        _ => "Your answer does not keep to the JSON Schema that was given:".to_owned(),
    };
    for violation in &misfit.violations {
        text.push_str(&format!("\n- {violation}"));
    }
    if let Some(Output::Schema { schema, .. }) = output {
        text.push_str(&format!("\n\nThe schema is:\n{schema}"));
    }
    text.push_str("\n\nAnswer once more: the whole JSON, put right, and nothing else.");
    text
}
