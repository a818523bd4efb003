//! Sending: from what a caller wants to a turn in flight, its beginning durable before the request leaves.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use aichat_events::{
    AgentRef, Draft, Event, Fact, Hash, Interruption, LlmRequestRerouted, LlmRequestStarted,
    LlmResponseCompleted, MessageSystem, MessageUser, Messages, SessionCreated, SessionHeadMoved,
    SessionModelSwitched, Transcript, TurnStarted, WarningRaised,
};
use aichat_message::{ErrorKind, Json, Message, MessageId, Role, SessionId, TurnId};
use aichat_providers::{Call, Output, Provider, Request};
use aichat_store::{Claim, ErrorKind as StoreErrorKind, Lease, State, TurnHeader};

use crate::answer::{Form, Gauge};
use crate::budget::{Limits, Purse};
use crate::company::Company;
use crate::context::Context;
use crate::cost::Pricing;
use crate::engine::Engine;
use crate::error::Error;
use crate::fallback::{Fallbacks, Reroute};
use crate::flight::{Flight, Running};
use crate::mend::Mender;
use crate::project::Summary;
use crate::record::Record;
use crate::turn::{After, ModelRef, Outcome, Progress, Send, TurnStream};
use crate::wire::WireJournal;
use aichat_events::Scribe;

/// How often a turn looks whether another one of its session is over.
const LEASE_POLL: Duration = Duration::from_millis(50);

/// What is said to a model whose answer was cut off. Not every provider goes on with an answer by itself.
const GO_ON: &str = "Your last answer was cut off. Go on exactly where it stops, and repeat nothing of it.";

/// A request made ready for one model.
pub(crate) struct Aim {
    pub(crate) model: ModelRef,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) call: Call,
    pub(crate) pricing: Pricing,
}

/// A request made ready, and everything the turn's first records say.
pub(crate) struct Prepared {
    pub(crate) session: SessionId,
    pub(crate) is_new: bool,
    pub(crate) base: Option<TurnId>,
    /// The model that the turn is for.
    pub(crate) model: ModelRef,
    /// Why that is not the one that is asked first.
    pub(crate) reroutes: Vec<Reroute>,
    pub(crate) aim: Aim,
    pub(crate) fallbacks: Fallbacks,
    /// Where the head goes first, unless it is there.
    pub(crate) moved: Option<SessionHeadMoved>,
    pub(crate) system: Option<(MessageId, Message)>,
    /// What the user says; nothing where an earlier message is answered.
    pub(crate) user: Option<Message>,
    /// The message that is answered.
    pub(crate) input: MessageId,
    pub(crate) parent: Option<MessageId>,
    /// Messages before it that are not sent.
    pub(crate) left_out: Vec<MessageId>,
    /// The model of the turn before, where it was another one.
    pub(crate) switched: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) agent: Option<AgentRef>,
    /// The turn whose answer is asked for once more.
    pub(crate) mends: Option<TurnId>,
    pub(crate) purse: Purse,
    /// The turns that this one goes together with.
    pub(crate) company: Option<Company>,
    /// What the answer is held to.
    pub(crate) gauge: Option<Gauge>,
}

impl Prepared {
    /// Says which messages are sent.
    fn messages(&self) -> Messages {
        Messages { last: Some(self.input.clone()), left_out: self.left_out.clone(), listed: None }
    }
}

/// A session that a turn continues.
struct Earlier {
    summary: Summary,
    rest: Before,
}

/// What there is before the message of a turn.
#[derive(Default)]
struct Before {
    /// The message that it follows.
    parent: Option<MessageId>,
    /// What kind of message that is.
    last: Last,
    context: Context,
    /// The form that the last answer was to have.
    kept: Option<Output>,
    /// The model of the turn before, `provider/model`.
    model: Option<String>,
}

/// What there is to do where nothing new is said.
#[derive(Default)]
enum Last {
    /// This message is answered.
    Question(MessageId),
    /// An answer that was cut off is gone on with.
    Half,
    /// Nothing.
    #[default]
    Whole,
}

impl Engine {
    /// Sends a message. When this returns, the message survives the end of the process, and the request is on
    /// its way.
    ///
    /// # Errors
    /// Fails, before anything is sent, with kind `input` where the session does not exist, `busy` where another
    /// turn of it is in flight, `usage` where no model is known, `store` where the turn could not be recorded,
    /// and with what the registry or the provider say of the model and the request. What fails later is in the
    /// turn's outcome.
    pub async fn send(&self, send: Send) -> Result<TurnStream, Error> {
        let lease = match &send.session {
            Some(session) => Some(match self.0.store.lease(session, send.wait).await {
                Err(error) if error.kind() == StoreErrorKind::Busy => return Err(Error::in_flight(session)),
                lease => lease?,
            }),
            None => None,
        };
        // The store keeps other processes out while it is open; no provider call is worth that.
        let prepared = self.using_store(self.prepare(send)).await?;
        self.launch(prepared, lease).await
    }

    pub(crate) async fn prepare(&self, mut send: Send) -> Result<Prepared, Error> {
        let says_nothing = send.message.parts.is_empty();
        if says_nothing && send.system.is_some() {
            return Err(Error::new(
                ErrorKind::Usage,
                "a standing instruction goes before a message, and there is none",
            ));
        }
        let (session, earlier) = match send.session.take() {
            None => (SessionId::from_bits(self.0.effects.bits()), None),
            Some(session) => {
                let earlier = self.continued(&session, &send).await?;
                (session, Some(earlier))
            }
        };
        let (summary, earlier) = earlier.map(|Earlier { summary, rest }| (summary, rest)).unzip();
        let Before { parent, last, mut context, kept, model: before } = earlier.unwrap_or_default();
        let answered = match last {
            _ if !says_nothing => None,
            Last::Question(id) => Some(id),
            Last::Half => {
                send.message = Message::user(GO_ON);
                None
            }
            Last::Whole => {
                return Err(Error::input("there is no message, and none of the user's to answer"));
            }
        };
        let says_nothing = answered.is_some();
        let (acting, lost) = self.acting(&send, summary.as_ref()).await?;
        if let Some(acting) = &acting {
            acting.complete(&mut send, &context);
        }
        let begun_with = || summary.as_ref().and_then(|s| ModelRef::parse(s.model.as_deref()?));
        let model = send.model.or_else(begun_with).ok_or_else(|| {
            Error::new(ErrorKind::Usage, "no model was given, and the session does not remember one")
        })?;
        let switched = before.filter(|before| *before != model.to_string());
        let moved = summary
            .as_ref()
            .map(|s| &s.heads)
            .filter(|heads| heads.head != parent)
            .map(|heads| SessionHeadMoved { branch: heads.branch.clone(), head: parent.clone() });
        let gone = self.fetch_media(&mut context.messages).await?;
        let fresh = || MessageId::from_bits(self.0.effects.bits());
        let system = send.system.filter(|_| !says_nothing).map(|text| (fresh(), Message::system(text)));
        let user = (!says_nothing).then_some(send.message);
        let input = answered.unwrap_or_else(fresh);
        context.messages.extend(system.iter().map(|(_, message)| message).chain(&user).cloned());
        let mut request = Request::new("", context.messages);
        request.options = send.options;
        request.stream = send.stream;
        request.output = match send.form {
            Form::Kept => kept,
            Form::Free => None,
            Form::Of(output) => Some(output),
        };
        let gauge = self.gauge(request.output.as_ref())?;
        let mut fallbacks =
            Fallbacks { models: send.fallbacks.into(), max_tokens: request.options.max_tokens };
        let agent = acting.as_ref().map(|acting| acting.named.name.as_str());
        let (aim, reroutes) = self.first_aim(model.clone(), request, &mut fallbacks, agent).await?;
        let Aim { model: asked, provider, mut call, pricing } = aim;
        let now_us = self.0.effects.clock.now_us();
        let company = send.company;
        let limits = Limits {
            max_cost: send.max_cost,
            allows_unpriced: send.allow_unpriced,
            company: company.clone(),
        };
        let ledger = Arc::clone(&self.0.ledger);
        let mut purse = Purse::new(ledger, &self.0.budget, limits, summary.as_ref(), &pricing, now_us);
        if purse.is_limited() {
            call = purse.fit(&*provider, call, &pricing, now_us).await?;
        }
        call.warnings.extend(gone.into_iter().chain(lost));
        Ok(Prepared {
            session,
            is_new: summary.is_none(),
            base: summary.and_then(|s| s.last_turn),
            model,
            reroutes,
            aim: Aim { model: asked, provider, call, pricing },
            fallbacks,
            moved,
            system,
            user,
            input,
            parent,
            left_out: context.left_out,
            switched,
            scope: send.scope,
            agent: acting.map(|acting| acting.named),
            mends: None,
            purse,
            company,
            gauge,
        })
    }

    /// Makes a request ready for a model, or for the first of its fallbacks that can be asked at all.
    async fn first_aim(
        &self,
        mut model: ModelRef,
        request: Request,
        fallbacks: &mut Fallbacks,
        agent: Option<&str>,
    ) -> Result<(Aim, Vec<Reroute>), Error> {
        let (mut request, mut reroutes) = (Some(request), Vec::new());
        loop {
            let request = match fallbacks.models.is_empty() {
                true => request.take(),
                false => request.clone(),
            };
            let request = request.expect("it is taken for the last model only");
            let provider = self.provider(&model.provider).await;
            let aimed = provider.and_then(|provider| self.aim(model.clone(), provider, request, agent));
            let error = match aimed {
                Ok(aim) => return Ok((aim, reroutes)),
                Err(error) => error,
            };
            let Some(to) = fallbacks.next(error.kind()) else {
                let failed = reroutes.iter().map(|reroute: &Reroute| reroute.error.to_string());
                return Err(error.after(failed.collect()));
            };
            reroutes.push(Reroute { from: std::mem::replace(&mut model, to.clone()), to, error });
        }
    }

    /// Reads the session that a turn continues, once no other turn of it is in flight, and what form its last answer
    /// was to have.
    async fn continued(&self, session: &SessionId, send: &Send) -> Result<Earlier, Error> {
        let mut waited = Duration::ZERO;
        loop {
            self.fold_waiting().await?;
            // A session's first turn holds no lease: nobody else can know it but through its journal.
            match self.check_idle(session).await {
                Err(error) if error.kind() == ErrorKind::Busy && waited < send.wait => {}
                idle => {
                    idle?;
                    break;
                }
            }
            self.0.store.release().await?;
            tokio::time::sleep(LEASE_POLL).await;
            waited += LEASE_POLL;
        }
        let summary = self.summary(session).await?;
        let events = self.lineage(session).await?;
        // A form that no model could answer in is not kept.
        let completed = events.iter().filter(|event| event.kind() == LlmResponseCompleted::TYPE);
        let answered: HashSet<_> = completed.filter_map(Event::turn).collect();
        let was_answered = |event: &&Event| event.turn().is_some_and(|turn| answered.contains(turn));
        let last = events.iter().rev().filter(was_answered).find_map(LlmRequestStarted::of);
        let kept = last.and_then(|request| serde_json::from_str(request.output?.get()).ok());
        let transcript = Transcript::fold(&events);
        let parent = match &send.after {
            After::Head => summary.heads.head.clone(),
            After::Message(id) if transcript.entry(id).is_some() => Some(id.clone()),
            After::Message(id) => {
                return Err(Error::input(format!("there is no message {id} in session {session}")));
            }
            After::Nothing => None,
        };
        if let Some(origin) = transcript.parent.as_ref().filter(|_| transcript.lacks_past()) {
            let what = format!("session {session} goes on from {origin}, which is not here as it was then");
            return Err(Error::input(format!("{what}; import it first")));
        }
        let last = match parent.as_ref().and_then(|id| transcript.entry(id)).filter(|entry| !entry.erased) {
            Some(entry) if [Role::User, Role::Tool].contains(&entry.role) => Last::Question(entry.id.clone()),
            Some(entry) if entry.partial => Last::Half,
            _ => Last::Whole,
        };
        let context = Context::of(&transcript, parent.as_ref(), &send.message);
        let before =
            parent.as_ref().and_then(|id| transcript.entry(id)).and_then(|entry| entry.turn.as_ref());
        let started = events.iter().rev().filter(|event| before.is_some() && event.turn() == before);
        // Who stood in for another one is the one that answered.
        let model = started
            .filter_map(|event| match LlmRequestRerouted::of(event) {
                Some(reroute) => Some(reroute.to),
                None => TurnStarted::of(event).map(|turn| turn.model),
            })
            .next();
        Ok(Earlier { summary, rest: Before { parent, last, context, kept, model } })
    }

    /// Refuses to touch a session while one of its turns is being written.
    pub(crate) async fn check_idle(&self, session: &SessionId) -> Result<(), Error> {
        let pending = self.0.store.pending(Claim::Look).await?;
        match pending.iter().any(|turn| turn.header.session == *session && turn.state == State::Running) {
            true => Err(Error::in_flight(session)),
            false => Ok(()),
        }
    }

    async fn launch(
        &self,
        mut prepared: Prepared,
        mut lease: Option<Box<dyn Lease>>,
    ) -> Result<TurnStream, Error> {
        let running = Running::new(self, &prepared.session);
        let mender = Mender::of(self, &mut prepared);
        let (flight, stream, outcome) = self.take_off(prepared).await?;
        tokio::spawn(async move {
            let end = flight.fly().await;
            let end = match mender {
                Some(mender) => mender.see_through(end, &mut lease).await,
                None => end.0,
            };
            drop(lease);
            drop(running);
            // A caller that dropped its stream does not want to know.
            let _ = outcome.send(end);
        });
        Ok(stream)
    }

    /// Makes the beginning of a turn durable, and returns the turn with its two ends: that of its caller, and where its
    /// outcome is told.
    pub(crate) async fn take_off(
        &self,
        prepared: Prepared,
    ) -> Result<(Flight, TurnStream, oneshot::Sender<Outcome>), Error> {
        let (progress, progress_receiver) = mpsc::unbounded_channel();
        let (stop, stop_receiver) = oneshot::channel();
        let (outcome, outcome_receiver) = oneshot::channel();
        let output = prepared.aim.call.request.output.clone();
        let flight = self.lift(prepared, progress, stop_receiver).await?;
        let stream = TurnStream {
            session: flight.session.clone(),
            turn: flight.turn_id.clone(),
            input: flight.user.clone(),
            output,
            progress: progress_receiver,
            outcome: outcome_receiver,
            stop: Some(stop),
        };
        Ok((flight, stream, outcome))
    }

    /// Makes the beginning of a turn durable, and returns the turn.
    pub(crate) async fn lift(
        &self,
        mut prepared: Prepared,
        progress: mpsc::UnboundedSender<Progress>,
        stop: oneshot::Receiver<Interruption>,
    ) -> Result<Flight, Error> {
        let begun_us = self.0.effects.clock.mono_us();
        let mut pin = None;
        if let Some(user) = &mut prepared.user {
            *user = self.keep_media(user, &mut pin).await?;
        }
        let turn_id = TurnId::from_bits(self.0.effects.bits());
        let mut scribe = self.scribe(&prepared.session);
        let drafts = first_drafts(&mut scribe, &turn_id, &prepared);
        let records = drafts.into_iter().map(|draft| Record::Event(Box::new(draft)).encode()).collect();
        let messages = prepared.messages();
        let wire = WireJournal::new(self.0.record_wire, scribe.redactor());
        let Prepared { session, base, reroutes, aim, fallbacks, input, purse, company, .. } = prepared;
        let Aim { model, provider, call, pricing } = aim;
        let header = TurnHeader { session: session.clone(), turn: turn_id.clone(), base };
        let turn = self.0.store.begin(header, records).await?;
        drop(pin);

        let mut flight = Flight {
            engine: self.clone(),
            scribe,
            turn,
            provider,
            call,
            messages,
            model,
            session,
            turn_id,
            user: input,
            progress,
            stop,
            warnings: Vec::new(),
            begun_us,
            wire,
            pricing,
            purse,
            company,
            costs: Vec::new(),
            fallbacks,
            failures: Vec::new(),
        };
        for reroute in reroutes {
            flight.tell_reroute(reroute);
        }
        for warning in std::mem::take(&mut flight.call.warnings) {
            flight.tell(warning);
        }
        Ok(flight)
    }
}

/// Drafts what must be durable before the request leaves.
fn first_drafts(scribe: &mut Scribe, turn: &TurnId, prepared: &Prepared) -> Vec<Draft> {
    let Prepared { input, parent, model, scope, .. } = prepared;
    let mut drafts = Vec::with_capacity(8);
    if prepared.is_new {
        let created = SessionCreated { name: None, model: Some(model.to_string()), scope: scope.clone() };
        drafts.push(scribe.fact(&created));
    }
    scribe.begin_turn(turn);
    drafts.push(scribe.fact(&TurnStarted {
        base: prepared.base.clone(),
        input: input.clone(),
        model: model.to_string(),
        scope: scope.clone(),
        agent: prepared.agent.clone(),
        mends: prepared.mends.clone(),
    }));
    if let Some(from) = &prepared.switched {
        drafts.push(scribe.fact(&SessionModelSwitched { from: from.clone(), to: model.to_string() }));
    }
    if let Some(moved) = &prepared.moved {
        drafts.push(scribe.fact(moved));
    }
    let mut parent = parent.clone();
    if let Some((id, message)) = &prepared.system {
        let message = scribe.masked(message);
        drafts.push(scribe.fact(&MessageSystem { id: id.clone(), parent, message }));
        parent = Some(id.clone());
    }
    if let Some(user) = &prepared.user {
        let message = scribe.masked(user);
        drafts.push(scribe.fact(&MessageUser { id: input.clone(), parent, message }));
    }
    for reroute in &prepared.reroutes {
        drafts.push(scribe.fact(&reroute.fact()));
    }
    for text in &prepared.aim.call.warnings {
        drafts.push(scribe.fact(&WarningRaised { text: text.clone() }));
    }
    // A request that a budget may forbid is said to be sent once it is allowed.
    if !prepared.purse.is_limited() {
        scribe.begin_attempt();
        drafts.push(scribe.fact(&request_started(
            1,
            &prepared.aim.call,
            &*prepared.aim.provider,
            &prepared.messages(),
        )));
    }
    drafts
}

/// Says what an attempt sends.
pub(crate) fn request_started(
    attempt: u32,
    call: &Call,
    provider: &dyn Provider,
    messages: &Messages,
) -> LlmRequestStarted {
    let info = provider.info();
    LlmRequestStarted {
        attempt,
        provider: info.name.clone(),
        protocol: info.protocol.clone(),
        profile: info.profile.clone(),
        api_version: info.api_version.clone(),
        host: info.host.clone(),
        local: info.local,
        path: path(&call.url).to_owned(),
        model: call.request.model.clone(),
        options: Json::from_value(&call.request.options).expect("options have string keys only"),
        output: call
            .request
            .output
            .as_ref()
            .map(|output| Json::from_value(output).expect("a form has string keys only")),
        stream: call.request.stream,
        messages: messages.clone(),
        body_hash: Hash::of(&call.body),
        body_bytes: call.body.len() as u64,
        adapter: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Returns the path of an address that has no query.
fn path(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or("", |at| &url[host + at..])
}
