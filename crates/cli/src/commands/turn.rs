//! One turn, from what is said to what came of it: what `send` does once, and `chat` again and again.

use std::time::Duration;

use aichat_engine::{
    After, Engine, Fork, Form as AnswerForm, ModelRef, Outcome, Piece, Reason, Report, Send, Status,
    TurnResult, TurnStream,
};
use aichat_events::Interruption;
use aichat_message::{ErrorKind, Message, PartKind, SessionId};
use futures::{FutureExt, StreamExt};

use super::Context;
use super::documents::Chosen;
use crate::args::{self, Form};
use crate::assemble::{self, Providers};
use crate::directory::Directory;
use crate::display::Display;
use crate::exit;
use crate::failure::{Failure, advised};
use crate::fallback;
use crate::fenced::Which;
use crate::options;
use crate::pen::Pen;
use crate::place::Place;
use crate::prompt;
use crate::scope;
use crate::signals::{Signals, Stop};

/// How long `--wait` waits.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Who asks, and how.
pub(crate) struct Asker<'a> {
    pub(crate) context: &'a Context,
    pub(crate) args: &'a args::Turn,
    pub(crate) engine: Engine,
    pub(crate) directory: Directory,
    /// What every turn is sent with, but for what is said and where it goes.
    pub(crate) usual: Send,
    /// In which form the answer is shown.
    form: Form,
    /// Which code block is shown instead of the answer.
    block: Option<Which>,
    /// Whether Ctrl-C stops the turn only, however often it is pressed.
    goes_on: bool,
    providers: Providers,
    default: Option<ModelRef>,
}

/// How a turn ended.
pub(crate) struct Ended {
    /// The exit code that says so.
    pub(crate) code: u8,
    /// Who stopped it, where it did not end before that.
    #[cfg_attr(
        not(feature = "chat"),
        expect(dead_code, reason = "only a conversation has something to do then")
    )]
    pub(crate) stopped: Option<Stop>,
    /// What came of it.
    #[cfg_attr(not(feature = "chat"), expect(dead_code, reason = "only a conversation goes on from there"))]
    pub(crate) outcome: Outcome,
}

impl<'a> Asker<'a> {
    /// Looks up what the flags name, and returns with it what the template says. What is wrong with the provider is
    /// said before anything is read or asked; one who only looks needs no keys.
    pub(crate) fn new(
        context: &'a Context,
        args: &'a args::Turn,
        form: Form,
        only_looks: bool,
    ) -> Result<(Self, Option<Vec<Piece>>), Failure> {
        let directory = context.directory()?;
        let providers = Providers::new(context, directory.clone(), args.asked.timeouts(), only_looks)?;
        let default = context.default_model()?;
        let chosen = Chosen::of(context, args)?;
        let model = match &args.asked.model {
            Some(text) => Some(context.model(text, &directory)?),
            None => chosen.model()?,
        };
        let Chosen { agent, template } = chosen;
        let ready = || {
            if let Some(model) = &model {
                let entry = directory.find(&model.provider)?;
                // A program is asked for its key once Ctrl-C can stop that, and others may stand in for one that
                // cannot be used.
                if !providers.must_ask(entry) && args.asked.fallback.is_empty() {
                    providers.open(entry)?;
                }
            }
            let fallbacks = args.asked.fallback.iter().map(|text| context.model(text, &directory));
            let usual = Send {
                session: None,
                company: None,
                agent,
                model: model.clone(),
                fallbacks: fallbacks.collect::<Result<_, _>>()?,
                system: args.asked.system.as_deref().map(prompt::system).transpose()?,
                message: Message::user(""),
                after: After::Head,
                form: AnswerForm::Kept,
                options: options::parse(&args.asked.option, &context.talk)?,
                max_cost: args.max_cost,
                allow_unpriced: args.asked.allow_unpriced,
                stream: !args.asked.no_stream,
                scope: scope::current(&context.env),
                wait: if args.wait { FOR_EVER } else { Duration::ZERO },
            };
            let engine = match (args.no_save, only_looks) {
                (true, _) => assemble::forgetful(context, providers.clone())?,
                (false, true) => assemble::onlooker(context, providers.clone())?,
                (false, false) => assemble::engine(context, providers.clone())?,
            };
            Ok((usual, engine))
        };
        let (usual, engine) = ready().map_err(|failure: Failure| about(failure, model.as_ref()))?;
        let goes_on = false;
        let this =
            Self { context, args, engine, directory, usual, form, block: None, goes_on, providers, default };
        Ok((this, template))
    }

    /// Makes Ctrl-C stop a turn and nothing else.
    #[cfg(feature = "chat")]
    pub(crate) fn going_on(mut self) -> Self {
        self.goes_on = true;
        self
    }

    /// Shows one code block of the answer instead of all of it.
    pub(crate) fn only(mut self, block: Option<Which>) -> Self {
        self.block = block;
        self
    }

    /// Finds the model that a text stands for, and whether it can be asked.
    #[cfg(feature = "chat")]
    pub(crate) async fn model(&self, text: &str) -> Result<ModelRef, Failure> {
        let model = self.context.model(text, &self.directory)?;
        let found = self.providers.find(self.directory.find(&model.provider)?).await;
        found.map_err(|failure| failure.about(&model))?;
        Ok(model)
    }

    /// Says who was to be asked, where a failure does not.
    pub(crate) fn about(&self, failure: Failure) -> Failure {
        about(failure, self.usual.model.as_ref())
    }

    /// Says where a turn goes as things are now, and which model is asked where nobody named one.
    pub(crate) async fn aim(&self, send: &mut Send, place: &Place) -> Result<(), Failure> {
        let after;
        (send.session, after) = place.now();
        if send.after == After::Head {
            send.after = after;
        }
        if send.session.is_none() && send.model.is_none() {
            send.model = Some(match &self.default {
                Some(model) => model.clone(),
                None => fallback::choose(&self.providers, &self.directory, &self.context.talk).await?,
            });
        }
        Ok(())
    }

    /// Begins a turn that was aimed at this place.
    pub(crate) async fn begin(&self, mut send: Send, place: &Place) -> Result<TurnStream, Failure> {
        let (begun, is_new) = place.begin(&self.engine, &send).await?;
        if is_new {
            send.after = After::Head;
        }
        send.session = begun;
        let (session, model) = (send.session.clone(), send.model.clone());
        let sent = match (self.engine.send(send.clone()).await, &session) {
            (Err(error), Some(busy)) if error.reason() == Some(Reason::InFlight) && self.args.fork => {
                let fork =
                    self.engine.fork(busy, &Fork { scope: send.scope.clone(), ..Fork::default() }).await?;
                self.context.talk.note(&format!("{busy} is busy; this goes on in its fork {fork}"));
                send.session = Some(fork);
                self.engine.send(send).await
            }
            (sent, _) => sent,
        };
        match sent {
            Ok(turn) => Ok(turn),
            Err(error) => {
                let model = self.model_of(session.as_ref(), model).await;
                let report = advised(Report::from(&error), model.as_ref());
                // What was begun for this turn alone is not left behind without one; the error says why.
                if let Some(session) = session.filter(|_| is_new) {
                    let _ = self.engine.delete(&session).await;
                }
                Err(Failure::Error(Box::new(report)))
            }
        }
    }

    /// Returns the model a turn is for, as far as that can be found out.
    async fn model_of(&self, session: Option<&SessionId>, model: Option<ModelRef>) -> Option<ModelRef> {
        match (model, session) {
            (None, Some(session)) => {
                self.engine.session(session).await.ok()?.model.as_deref().and_then(ModelRef::parse)
            }
            (model, _) => model,
        }
    }

    /// Shows the turn until it ends, however it ends.
    pub(crate) async fn follow(
        &self,
        mut turn: TurnStream,
        pen: Pen,
        signals: &mut Signals,
    ) -> Result<Ended, Failure> {
        let saved = !self.args.no_save;
        let context = self.context;
        let pen = match (self.form, self.block) {
            (Form::Text, None) if turn.output.is_none() => pen.rendered(context.global.color, &context.env),
            _ => pen,
        };
        let mut display = Display::new(
            self.form,
            pen,
            context.talk.clone(),
            context.secrets.clone(),
            self.args.hide_reasoning,
        )
        .only(self.block);
        // What a script follows it gets as it comes; a person gets the answer that keeps to its form, once.
        display.holds = turn.output.is_some() && self.block.is_none();
        display.start(saved.then(|| turn.session.as_str()), saved.then(|| turn.turn.as_str()));
        let mut stopped: Option<Stop> = None;
        'turn: loop {
            tokio::select! {
                biased;
                stop = signals.stop() => match stopped {
                    None => {
                        stopped = Some(stop);
                        turn.interrupt(Interruption::User);
                    }
                    Some(_) if self.goes_on && stop == Stop::Interrupt => {}
                    Some(_) => end_at_once(stop),
                },
                () = display.pen.broken() => turn.interrupt(Interruption::User),
                next = turn.next() => {
                    let mut next = next;
                    // Everything that is ready is shown at once.
                    loop {
                        match next {
                            Some(progress) => display.progress(&progress),
                            None => break 'turn,
                        }
                        next = match turn.next().now_or_never() {
                            Some(next) => next,
                            None => break,
                        };
                    }
                    display.pen.flush();
                }
            }
        }
        // Only a panic keeps a turn from having an outcome, and its hook has said why.
        let outcome = turn.outcome().await.map_err(|_| {
            Failure::new(ErrorKind::Unsupported, "the turn was lost to an internal error")
                .hint("what had arrived is kept; `aichat sessions list` shows the session")
        })?;
        if display.holds && self.form == Form::Text {
            match &outcome.formed {
                Some(Ok(json)) => display.pen.write(json),
                None if outcome.status == Status::Completed && outcome.misfit().is_none() => {
                    display.pen.write(&outcome.message.text());
                }
                _ => {}
            }
        }
        let redactor = context.secrets.redactor();
        let error = outcome.report().map(|report| advised(report, Some(&outcome.model)));
        let block = display.block();
        let lacks_block = self.block.is_some() && block.is_none();
        let error = error.or_else(|| lacks_block.then(|| no_block(&outcome, saved))?);
        display.end(|| {
            let result = TurnResult::of(&outcome, error.clone(), saved, &redactor);
            let result = if self.block.is_some() { result.with_block(block) } else { result };
            if self.form == Form::StreamJson { result.into_line() } else { result }
        });
        let written = tokio::select! {
            biased;
            stop = signals.stop() => end_at_once(stop),
            written = display.pen.finish() => written,
        };
        match written.err().map(Failure::from) {
            // Whoever went away is not talked to.
            Some(Failure::BrokenPipe) => return Err(Failure::BrokenPipe),
            Some(failure) => {
                self.tell(&outcome, error.as_ref(), saved);
                return Err(failure);
            }
            None => self.tell(&outcome, error.as_ref(), saved),
        }
        let code = match (stopped, outcome.status, &error) {
            (Some(stop), Status::Interrupted, _) => stop.code(),
            (_, _, Some(error)) => exit::code(error.kind),
            (_, Status::Interrupted, None) => exit::INTERRUPTED,
            (_, _, None) if outcome.is_refused() => exit::REFUSED,
            (_, _, None) => exit::OK,
        };
        Ok(Ended { code, stopped: stopped.filter(|_| outcome.status == Status::Interrupted), outcome })
    }

    /// Says on standard error what is to be said about the end of a turn.
    fn tell(&self, outcome: &Outcome, error: Option<&Report>, saved: bool) {
        let talk = &self.context.talk;
        if outcome.status == Status::Interrupted {
            let kept = match (&outcome.answer, saved) {
                (Some(answer), true) => {
                    format!("interrupted; what had arrived is kept: {} {answer}", outcome.session)
                }
                (None, true) => format!("interrupted before anything arrived: {}", outcome.session),
                (_, false) => "interrupted".to_owned(),
            };
            talk.note(&kept);
        } else if let Some(error) = error.filter(|_| self.form == Form::Text) {
            talk.error(error);
        } else if outcome.is_refused() {
            let what = outcome.refusal().map(|words| format!(": {words}")).unwrap_or_default();
            talk.warning(&format!("{} declined to answer{what}", outcome.model));
        } else if self.form == Form::Text {
            let names = outcome.calls();
            if !names.is_empty() {
                talk.note(&format!("{} calls {}, which is not run", outcome.model, names.join(", ")));
            } else if is_empty(outcome) {
                talk.note(&format!("{} answered with nothing", outcome.model));
            }
        }
        if self.args.usage {
            talk.raw(&usage(outcome));
        }
    }
}

fn about(failure: Failure, model: Option<&ModelRef>) -> Failure {
    match model {
        Some(model) => failure.about(model),
        None => failure,
    }
}

/// Says of a completed answer that has no code block that it has none.
fn no_block(outcome: &Outcome, saved: bool) -> Option<Report> {
    if outcome.status != Status::Completed || outcome.is_refused() {
        return None;
    }
    let what = format!("{}: there is no fenced code block in the answer", outcome.model);
    let failure = Failure::new(ErrorKind::Schema, what);
    let failure = match saved {
        true => failure.hint(format!("`aichat sessions show {}` shows the whole answer", outcome.session)),
        false => failure.hint("leave out -x and --xl to see the whole answer"),
    };
    failure.into_report()
}

/// Tells whether nothing of an answer is for its reader.
fn is_empty(outcome: &Outcome) -> bool {
    outcome.message.parts.iter().all(|part| match &part.kind {
        PartKind::Text { text, .. } => text.is_empty(),
        PartKind::Reasoning { .. } => true,
        _ => false,
    })
}

/// Returns counts, cost and times in one line; what is not known is said to be unknown.
fn usage(outcome: &Outcome) -> String {
    let count = |count: Option<u64>| count.map_or_else(|| "unknown".to_owned(), |count| count.to_string());
    let usage = outcome.usage.clone().unwrap_or_default();
    let mut text = format!("tokens: {} in", count(usage.input_tokens));
    if let Some(cached) = usage.cache_read_tokens {
        text.push_str(&format!(" ({cached} cached)"));
    }
    text.push_str(&format!(", {} out", count(usage.output_tokens)));
    if let Some(reasoning) = usage.reasoning_tokens {
        text.push_str(&format!(" ({reasoning} reasoning)"));
    }
    let cost = outcome.cost();
    match cost.amount {
        Some(amount) => {
            let status = cost.status.as_str().replace('_', " ");
            text.push_str(&format!("; cost: {amount} USD ({status})"));
            if let Some(calculated) = cost.calculated {
                text.push_str(&format!(", {calculated} USD by the price table"));
            }
        }
        None => text.push_str("; cost: unknown"),
    }
    if let Some(first) = outcome.first_content {
        text.push_str(&format!("; first token: {} ms", first.as_millis()));
    }
    text.push_str(&format!("; total: {} ms", outcome.total.as_millis()));
    text
}

/// How long the journal may take with what arrived: it is written every few milliseconds.
const MOMENT: Duration = Duration::from_millis(20);

/// Ends the process without waiting for anybody, once the journal has what arrived.
pub(crate) fn end_at_once(stop: Stop) -> ! {
    std::thread::sleep(MOMENT);
    std::process::exit(stop.code().into())
}
