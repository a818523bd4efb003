//! Replay without a network: the turns of a session run again over what went over the network for them, and what comes
//! of it is held against what was recorded.

mod compare;
mod plan;
mod play;
mod raw;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use aichat_catalog::Catalog;
use aichat_events::{
    Event, Fact, Hash, LlmRequestRerouted, LlmRequestStarted, LlmWireKept, MessageSystem, MessageUser,
    SessionHeadMoved, SessionModelSwitched, Transcript, TurnCompleted, TurnRecovered, TurnStarted,
    WarningRaised,
};
use aichat_message::{ErrorKind, Message, Role, SessionId, TurnId};
use aichat_providers::{Call, Exchange, Provider, Replay, Request, RetryPolicy, Transport};
use aichat_store::{Claim, Memory, MemoryLedger};

pub use self::compare::Divergence;
use self::plan::Plan;
use self::play::{Known, Playing, Standins, Stop};
pub use self::raw::RawRequest;
use crate::budget::{self, Budget, Limits, Purse};
use crate::context::Context;
use crate::cost::Pricing;
use crate::engine::Engine;
use crate::error::Error;
use crate::fallback::{Fallbacks, Reroute};
use crate::fold::drafts;
use crate::secrets::Secrets;
use crate::send::{Aim, Prepared};
use crate::turn::ModelRef;
use crate::wire::{PLACEHOLDER, RecordWire};

/// How long a replay tries again, for what says that it shall not be waited for.
const A_DAY: Duration = Duration::from_secs(24 * 3600);

/// Makes providers as requests were written for: without a key, over whatever carries their requests.
pub trait Adapters: Send + Sync {
    /// Returns a provider that writes this request as it was written, and reads its answer.
    ///
    /// # Errors
    /// Fails with kind `unsupported` where nothing here speaks the protocol.
    fn provider(
        &self,
        asked: &LlmRequestStarted,
        transport: Arc<dyn Transport>,
    ) -> Result<Arc<dyn Provider>, Error>;
}

/// What came of replaying a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// The session.
    pub session: SessionId,
    /// Its own turns, in the order in which they began; those that it shares with its parent are the parent's.
    pub turns: Vec<TurnReplay>,
}

/// What came of replaying one turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TurnReplay {
    /// The turn.
    pub turn: TurnId,
    /// The place of its first event.
    pub seq: u64,
    /// How it compares.
    #[serde(flatten)]
    pub outcome: ReplayOutcome,
}

/// How a replayed turn compares to what was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ReplayOutcome {
    /// The same messages and events came of it, but for ids, times and costs.
    Same {
        /// What could not be compared.
        notes: Vec<String>,
    },
    /// Something else came of it.
    Different {
        /// What differs first.
        difference: Divergence,
    },
    /// It cannot be replayed.
    NotReplayable {
        /// Why not.
        why: String,
    },
}

impl Replayed {
    /// Returns the first difference, and its turn.
    pub fn difference(&self) -> Option<(&TurnReplay, &Divergence)> {
        self.turns.iter().find_map(|turn| match &turn.outcome {
            ReplayOutcome::Different { difference } => Some((turn, difference)),
            _ => None,
        })
    }
}

impl Engine {
    /// Runs the turns of a session again over what went over the network for them, with the real adapters and without a
    /// network, a key or a cent, and compares what comes of it with what was recorded. Nothing is written.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session, with kind `unsupported` where the engine was given no
    /// [`Adapters`], and with kind `store`.
    pub async fn replay(&self, session: &SessionId) -> Result<Replayed, Error> {
        self.using_store(async {
            self.settle().await?;
            let adapters = self.adapters()?;
            let inherited = self.inherited(session).await?;
            let own = self.read(session).await?;
            if own.is_empty() {
                return Err(Error::input(format!("there is no session {session}")));
            }
            let mut turns: Vec<TurnReplay> = Vec::new();
            for (at, first) in own.iter().enumerate().filter(|(_, event)| event.kind() == TurnStarted::TYPE) {
                let Some(turn) = first.turn() else { continue };
                if turns.iter().any(|done| done.turn == *turn) {
                    continue;
                }
                let events: Vec<&Event> = own.iter().filter(|event| event.turn() == Some(turn)).collect();
                let before = inherited.iter().chain(&own[..at]);
                let outcome = self.replay_turn(adapters, before, &events).await?;
                turns.push(TurnReplay { turn: turn.clone(), seq: first.seq(), outcome });
            }
            Ok(Replayed { session: session.clone(), turns })
        })
        .await
    }

    fn adapters(&self) -> Result<&dyn Adapters, Error> {
        let none = || Error::new(ErrorKind::Unsupported, "this engine was given no adapters to replay with");
        self.0.adapters.as_deref().ok_or_else(none)
    }

    async fn replay_turn<'a>(
        &self,
        adapters: &dyn Adapters,
        before: impl Iterator<Item = &'a Event>,
        events: &[&Event],
    ) -> Result<ReplayOutcome, Error> {
        let not = |why: &str| Ok(ReplayOutcome::NotReplayable { why: why.to_owned() });
        if events.iter().any(|event| event.payload().is_none()) {
            return not("what was said in it was erased");
        }
        let is = |kind: &str| events.iter().any(|event| event.kind() == kind);
        if is(TurnRecovered::TYPE) && is(TurnCompleted::TYPE) {
            return not("it was taken for dead, and ended later");
        }
        let exchanges = match events.iter().find(|event| event.kind() == LlmWireKept::TYPE) {
            Some(kept) => self.wire(kept).await?,
            None => return not("what went over the network is not kept"),
        };
        let Some(exchanges) = exchanges else {
            return not("what went over the network is gone, or damaged");
        };
        let mut plan = match Plan::of(events, exchanges) {
            Ok(plan) => plan,
            Err(why) => return not(&why),
        };
        // Nothing is sent before it is known what would be.
        let nowhere: Arc<dyn Transport> = Arc::new(Replay::new([]));
        let written = match adapters.provider(&plan.asked, nowhere) {
            Ok(provider) => self.written(provider, &plan.asked, before, events).await?,
            Err(error) => return not(&error.to_string()),
        };
        let mut written = match written {
            Ok(written) => written,
            Err(why) => return not(&why),
        };
        let mut notes = Vec::new();
        let body_hash = Hash::of(&written.prepared.aim.call.body);
        if body_hash != plan.asked.body_hash {
            if let Some(gone) = written.gone.first() {
                return not(gone);
            }
            if memchr::memmem::find(&written.prepared.aim.call.body, PLACEHOLDER).is_none() {
                let difference = Divergence::of_body(plan.seq, &plan.asked.body_hash, &body_hash);
                return Ok(ReplayOutcome::Different { difference });
            }
            notes.push("a secret was masked in what was sent, so the request was not compared".to_owned());
            plan.asked.body_hash = body_hash;
            plan.forget_bodies();
        }
        let stop = Stop::default();
        let playing = |number: usize, asked: &LlmRequestStarted, known| {
            let (attempts, exchanges) = plan.script(number);
            let inner = adapters.provider(asked, Arc::new(Replay::new(exchanges)))?;
            Ok(Arc::new(Playing::new(inner, attempts, stop.clone(), known)) as Arc<dyn Provider>)
        };
        written.prepared.aim.provider = playing(0, &plan.asked, None)?;
        let standins = plan.standins.iter().zip(1..).map(|(standin, number)| match &standin.asked {
            Some(asked) => {
                let known = Known { asked: asked.clone(), warnings: standin.fitted.clone() };
                playing(number, asked, Some(known))
            }
            None => {
                let (kind, why) = standin.refused.clone().unwrap_or((ErrorKind::Unsupported, String::new()));
                Err(Error::new(kind, why))
            }
        });
        let standins = Standins(Mutex::new(standins.collect()));
        written.prepared.fallbacks.models =
            plan.standins.iter().filter_map(|standin| ModelRef::parse(&standin.model)).collect();
        let zero = Duration::ZERO;
        let scratch = Self::builder(Memory::new())
            .catalog(self.0.catalog.clone())
            .secrets(Secrets::new())
            .retry(RetryPolicy { max_attempts: u32::MAX, max_total: A_DAY, base: zero, cap: zero })
            .registry(standins)
            .record_wire(RecordWire::Off)
            .build();
        let (flight, mut stream, _outcome) = scratch.take_off(written.prepared).await?;
        stop.give(stream.stop.take());
        flight.fly().await;
        let pending = scratch.store().pending(Claim::Look).await?;
        let got = pending.first().map(|turn| drafts(&scratch, turn)).unwrap_or_default();
        Ok(match compare::first(events, &got, &plan) {
            Some(difference) => ReplayOutcome::Different { difference },
            None => ReplayOutcome::Same { notes },
        })
    }

    /// Makes a request ready as it was made ready for the events of a turn, whose session was as `before` says; or says
    /// why that cannot be done.
    async fn written<'a>(
        &self,
        provider: Arc<dyn Provider>,
        asked: &LlmRequestStarted,
        before: impl Iterator<Item = &'a Event>,
        events: &[&Event],
    ) -> Result<Result<Written, String>, Error> {
        fn find<F: Fact>(events: &[&Event]) -> Option<F> {
            events.iter().find_map(|event| F::of(event))
        }
        let Some(turn) = find::<TurnStarted>(events) else {
            return Ok(Err("the beginning of the turn cannot be read".to_owned()));
        };
        let system = find::<MessageSystem>(events);
        let user = find::<MessageUser>(events);
        let parent = match (&system, &user) {
            (Some(system), _) => system.parent.clone(),
            (None, Some(user)) => user.parent.clone(),
            // An earlier message is answered.
            (None, None) => Some(turn.input.clone()),
        };
        let said =
            user.as_ref().map_or_else(|| Message::new(Role::User, Vec::new()), |user| user.message.clone());
        let transcript = Transcript::fold(before);
        let mut context = Context::of(&transcript, parent.as_ref(), &said);
        let mut messages = std::mem::take(&mut context.messages);
        messages.extend(
            system.iter().map(|system| &system.message).chain(user.iter().map(|user| &user.message)).cloned(),
        );
        let gone = self.fetch_media(&mut messages).await?;
        let mut request = Request::new(asked.model.clone(), messages);
        let output = asked.output.as_ref().map(|output| output.to()).transpose();
        (request.options, request.output) = match (asked.options.to(), output) {
            (Ok(options), Ok(output)) => (options, output),
            _ => return Ok(Err("the options of the request cannot be read".to_owned())),
        };
        request.stream = asked.stream;
        let mut call: Call = match provider.prepare(request) {
            Ok(call) => call,
            Err(error) => return Ok(Err(format!("the request cannot be written any more: {error}"))),
        };
        let parsed = |text: &str| {
            ModelRef::parse(text).unwrap_or_else(|| ModelRef::new(&asked.provider, &asked.model))
        };
        let model = parsed(&turn.model);
        let first = events.iter().take_while(|event| event.kind() != LlmRequestStarted::TYPE);
        let reroutes = first.filter_map(|event| LlmRequestRerouted::of(event)).map(|fact| Reroute {
            from: parsed(&fact.from),
            to: parsed(&fact.to),
            error: Error::new(fact.kind, fact.message),
        });
        let reroutes: Vec<Reroute> = reroutes.collect();
        let asked_model = reroutes.last().map_or_else(|| model.clone(), |reroute| reroute.to.clone());
        // What a budget said of the request is in the options already.
        let before = events.iter().take_while(|event| event.kind() != LlmRequestStarted::TYPE);
        let warnings = before.filter_map(|event| WarningRaised::of(event)).map(|warning| warning.text);
        call.warnings.extend(warnings.filter(|text| budget::is_fitted(text)));
        // What is replayed costs nothing.
        let pricing = Pricing {
            catalog: Catalog::empty(),
            provider: asked.provider.clone(),
            model: asked.model.clone(),
            address: String::new(),
            is_local: true,
            agent: turn.agent.as_ref().map(|agent| agent.name.clone()),
        };
        let limits = Limits { max_cost: None, allows_unpriced: true, company: None };
        let ledger = Arc::new(MemoryLedger::default());
        let purse = Purse::new(ledger, &Budget::default(), limits, None, &pricing, 0);
        let session = events[0].session().clone();
        Ok(Ok(Written {
            gone,
            prepared: Prepared {
                session,
                is_new: false,
                base: turn.base,
                model,
                reroutes,
                fallbacks: Fallbacks { models: VecDeque::new(), max_tokens: call.request.options.max_tokens },
                aim: Aim { model: asked_model, provider, call, pricing },
                moved: find::<SessionHeadMoved>(events),
                system: system.map(|system| (system.id, system.message)),
                user: user.map(|user| user.message),
                input: turn.input,
                parent,
                left_out: context.left_out,
                switched: find::<SessionModelSwitched>(events).map(|switched| switched.from),
                scope: turn.scope,
                agent: turn.agent,
                mends: turn.mends,
                purse,
                company: None,
                gauge: None,
            },
        }))
    }
}

/// A request made ready once more.
struct Written {
    prepared: Prepared,
    /// What is said of attachments that are gone.
    gone: Vec<String>,
}

/// Returns the exchange of an attempt, by its label.
fn labelled<'a>(exchanges: &'a [Exchange], span: &str) -> Option<&'a Exchange> {
    exchanges.iter().find(|exchange| exchange.request.label.as_deref() == Some(span))
}
