//! `batch`: many prompts, so many at a time, and a result for each.

use std::collections::{BTreeMap, HashMap};
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use aichat_engine::{
    Agent, Company, Engine, Form, ModelRef, Outcome, Report, Send, Status, Template, TurnResult, Versioned,
};
use aichat_events::Interruption;
use aichat_message::{ErrorKind, Json, Message, Total};
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use super::Context;
use super::documents::find;
use super::turn::end_at_once;
use crate::args;
use crate::assemble::{self, Providers};
use crate::batch::{Done, Line, LookUp, Recipe, Results, Source, Spent};
use crate::directory::Directory;
use crate::exit;
use crate::failure::{Failure, advised};
use crate::fallback;
use crate::meter::Meter;
use crate::options;
use crate::output::json;
use crate::prompt;
use crate::schema;
use crate::signals::{Signals, Stop};
use crate::talk::Talk;

pub(crate) fn run(context: &Context, args: &args::Batch) -> Result<u8, Failure> {
    let directory = context.directory()?;
    let providers = Providers::new(context, directory.clone(), args.asked.timeouts(), false)?;
    let finder = Finder {
        context: context.clone(),
        directory: directory.clone(),
        providers: providers.clone(),
        has_fallbacks: !args.asked.fallback.is_empty(),
    };
    let mut recipe = recipe(context, args, finder)?;
    let engine = assemble::patient(context, providers.clone(), !args.no_save)?;
    engine.check_form(&recipe.usual.form)?;
    let (mut results, done) = match &args.output {
        Some(path) => Results::open(path)?,
        None => (Results::stdout()?, Done::default()),
    };
    let is_file = args.file != std::path::Path::new("-");
    let lines = match is_file {
        true => Some(look_over(&args.file, &mut recipe, &engine, &done, |recipe| {
            choose(context, &providers, &directory, recipe)
        })?),
        false => None,
    };
    if done.failed > 0 {
        results.forget_failures()?;
    }
    let batch = Batch { context, args, engine, lines, answered: done.answered.len() as u64 };
    context.runtime()?.block_on(async {
        if !is_file && recipe.usual.model.is_none() {
            // Lines may name one each.
            recipe.usual.model = fallback::choose(&providers, &directory, &context.talk).await.ok();
        }
        batch.run(recipe, done, results).await
    })
}

/// Names a model where nobody else did.
fn choose(
    context: &Context,
    providers: &Providers,
    directory: &Directory,
    recipe: &mut Recipe,
) -> Result<(), Failure> {
    let chosen = context.runtime()?.block_on(fallback::choose(providers, directory, &context.talk));
    recipe.usual.model = Some(chosen?);
    Ok(())
}

/// Reads all lines before anything is sent, so that what is wrong with one of them costs nothing. Returns how many they
/// are.
fn look_over(
    path: &std::path::Path,
    recipe: &mut Recipe,
    engine: &Engine,
    done: &Done,
    mut choose: impl FnMut(&mut Recipe) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let mut source = Source::open(path)?;
    let mut count = 0;
    while let Some(raw) = source.next()? {
        done.check(&raw)?;
        let line = recipe.read(raw)?;
        if line.send.form != recipe.usual.form {
            engine.check_form(&line.send.form).map_err(|error| Failure::from(error).at(&line.place))?;
        }
        if line.lacks_model() && recipe.usual.model.is_none() {
            choose(recipe)?;
        }
        count += 1;
    }
    Ok(count)
}

fn recipe(context: &Context, args: &args::Batch, finder: Finder) -> Result<Recipe, Failure> {
    let agent = args.asked.agent.as_deref().map(|name| finder.agent(name)).transpose()?;
    let template = args.asked.template.as_deref().map(|name| finder.template(name)).transpose()?;
    let own = agent.as_ref().map(Versioned::read).transpose()?.and_then(|agent| agent.model);
    let model = match (&args.asked.model, own) {
        (Some(text), _) => Some(finder.model(text)?),
        // The engine takes the agent's.
        (None, Some(_)) => None,
        (None, None) => context.default_model()?,
    };
    let fallbacks = args.asked.fallback.iter().map(|text| context.model(text, &finder.directory));
    let usual = Send {
        agent,
        model,
        fallbacks: fallbacks.collect::<Result<_, _>>()?,
        system: args.asked.system.as_deref().map(prompt::system).transpose()?,
        message: Message::user(""),
        form: match &args.schema {
            Some(text) => Form::Of(schema::parse(text)?),
            None => Form::Kept,
        },
        allow_unpriced: args.asked.allow_unpriced,
        stream: !args.asked.no_stream,
        ..Send::new(ModelRef::new("", ""), "")
    };
    // What is wrong with them, and what is passed on as it is, is said once.
    options::parse(&args.asked.option, &context.talk)?;
    let talk = Talk::new(true, args::Color::Never, &context.env, context.secrets.clone());
    Ok(Recipe {
        usual,
        template,
        params: args.asked.param.clone(),
        options: args.asked.option.clone(),
        talk,
        look_up: Box::new(finder),
        agents: HashMap::new(),
        templates: HashMap::new(),
        models: HashMap::new(),
    })
}

/// Finds what lines name.
struct Finder {
    context: Context,
    directory: Directory,
    providers: Providers,
    has_fallbacks: bool,
}

impl LookUp for Finder {
    fn model(&self, text: &str) -> Result<ModelRef, Failure> {
        let model = self.context.model(text, &self.directory)?;
        // What is wrong with a provider is said before anything is asked, unless others may stand in for it. A
        // program is asked for its key once Ctrl-C can stop that.
        let entry = self.directory.find(&model.provider)?;
        if !self.has_fallbacks && !self.providers.must_ask(entry) {
            self.providers.open(entry)?;
        }
        Ok(model)
    }

    fn agent(&self, name: &str) -> Result<Versioned<Agent>, Failure> {
        let engine = assemble::archive(&self.context)?;
        self.context.runtime()?.block_on(find(&engine, name, None))
    }

    fn template(&self, name: &str) -> Result<Template, Failure> {
        let engine = assemble::archive(&self.context)?;
        let found: Versioned<Template> = self.context.runtime()?.block_on(find(&engine, name, None))?;
        Ok(found.read()?)
    }
}

struct Batch<'a> {
    context: &'a Context,
    args: &'a args::Batch,
    engine: Engine,
    /// How many lines there are, where that is known.
    lines: Option<u64>,
    /// How many of them have an answer from before.
    answered: u64,
}

/// What a result says besides what came of the turn.
struct Tag {
    index: u64,
    id: Option<Json>,
    hash: u64,
    model: Option<ModelRef>,
}

impl Batch<'_> {
    async fn run(&self, recipe: Recipe, done: Done, mut results: Results) -> Result<u8, Failure> {
        let mut signals = Signals::listen()?;
        let company = self.company(&done)?;
        let wrong = Arc::new(Mutex::new(None));
        let items = self.items(recipe, done, Arc::clone(&wrong))?;
        let mut batch = self.engine.batch(items, self.args.jobs.into(), company.clone());
        let mut tally = Tally::default();
        let mut stopped: Option<Stop> = None;
        let mut failure: Option<Failure> = None;
        let meter = Meter::new(self.context.talk.clone());
        // Results that scroll by on a terminal show by themselves how far it is.
        let is_shown = self.args.output.is_none() && std::io::stdout().is_terminal();
        loop {
            tokio::select! {
                biased;
                stop = signals.stop() => match stopped {
                    None => {
                        stopped = Some(stop);
                        batch.interrupt(Interruption::User);
                    }
                    Some(_) => end_at_once(stop),
                },
                () = results.broken() => batch.interrupt(Interruption::User),
                next = batch.next() => {
                    let Some((tag, ended)) = next else { break };
                    let (result, end) = self.result(tag, ended);
                    if end.is_final() {
                        batch.close();
                    }
                    tally.count(end);
                    if !is_shown {
                        meter.tell("asking", tally.ended() + self.answered, self.lines);
                    }
                    if failure.is_none() && let Err(error) = results.write(json(&result)) {
                        failure = Some(error);
                        batch.interrupt(Interruption::User);
                    }
                }
            }
        }
        meter.clear();
        drop(batch);
        let written = tokio::select! {
            biased;
            stop = signals.stop() => end_at_once(stop),
            written = results.finish() => written,
        };
        tokio::select! {
            biased;
            stop = signals.stop() => end_at_once(stop),
            over = self.engine.shutdown() => if let Err(error) = over {
                self.context.talk.warning(&error.to_string());
            },
        }
        let failure = failure.or(written.err());
        if !matches!(failure, Some(Failure::BrokenPipe)) {
            self.context.talk.note(&self.summary(&tally));
        }
        let wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (stopped, failure.or(wrong)) {
            (Some(stop), _) => Ok(stop.code()),
            (None, Some(failure)) => Err(failure),
            _ if company.is_exhausted() => {
                self.context
                    .talk
                    .warning("the budget allows no more; run it again with a larger one to go on");
                Ok(exit::code(ErrorKind::Budget))
            }
            _ => Ok(tally.code()),
        }
    }

    /// Returns those who draw on the budget together. What they draw is written down beside the results, for whoever
    /// goes on after this process was killed.
    fn company(&self, done: &Done) -> Result<Company, Failure> {
        // What is no file remembers nothing.
        let path = self.args.output.as_ref().filter(|path| path.is_file());
        let (Some(limit), Some(path)) = (self.args.max_cost, path) else {
            return Ok(Company::new(self.args.max_cost, done.cost));
        };
        let (spent, before) = Spent::open(path, done.is_new)?;
        let spent = Mutex::new(spent);
        let record = move |draw| spent.lock().unwrap_or_else(PoisonError::into_inner).note(draw);
        // What was asked without a budget is in the results only.
        Ok(Company::recorded(Some(limit), before.max(done.cost), record))
    }

    /// Reads lines beside everything else, so that input which dawdles holds up nothing. Where one is wrong it says so in
    /// `wrong`, and none comes after it.
    fn items(
        &self,
        mut recipe: Recipe,
        done: Done,
        wrong: Arc<Mutex<Option<Failure>>>,
    ) -> Result<impl stream::Stream<Item = (Tag, Send)> + std::marker::Send + 'static, Failure> {
        let mut source = Source::open(&self.args.file)?;
        let (sender, receiver) = mpsc::channel::<Line>(self.args.jobs.into());
        std::thread::spawn(move || {
            let mut read = || -> Result<(), Failure> {
                while let Some(raw) = source.next()? {
                    done.check(&raw)?;
                    if done.answered.contains_key(&raw.index) {
                        continue;
                    }
                    let line = recipe.read(raw)?;
                    if line.lacks_model() {
                        let what = format!("{}: no model is named", line.place);
                        let failure = Failure::new(ErrorKind::Usage, what);
                        return Err(failure.hint("name one for all lines with -m provider/model"));
                    }
                    if sender.blocking_send(line).is_err() {
                        break;
                    }
                }
                Ok(())
            };
            if let Err(failure) = read() {
                *wrong.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
            }
        });
        Ok(stream::unfold(receiver, |mut receiver| async move {
            let Line { index, id, hash, send, .. } = receiver.recv().await?;
            Some(((Tag { index, id, hash, model: send.model.clone() }, send), receiver))
        }))
    }

    /// Returns the result of a line, and what it counts as.
    fn result(&self, tag: Tag, ended: Result<Outcome, aichat_engine::Error>) -> (TurnResult, End) {
        let redactor = self.context.secrets.redactor();
        let Tag { index, id, hash, model } = tag;
        let (result, end) = match ended {
            Ok(outcome) => {
                let error = outcome.report().map(|report| advised(report, Some(&outcome.model)));
                let end = End {
                    failure: error.as_ref().map(|error| error.kind),
                    is_refused: outcome.status == Status::Completed && outcome.is_refused(),
                    taken: (!outcome.costs.is_empty()).then(|| Taken::of(&outcome)),
                };
                (TurnResult::of(&outcome, error, !self.args.no_save, &redactor), end)
            }
            Err(error) => {
                let report = advised(Report::from(&error), model.as_ref());
                let end = End { failure: Some(report.kind), is_refused: false, taken: None };
                (TurnResult::failed(report, &redactor), end)
            }
        };
        (result.of_line(index, id, hash), end)
    }

    /// Returns what came of everything, in one line.
    fn summary(&self, tally: &Tally) -> String {
        let mut text = tally.counts();
        if self.answered > 0 {
            text.push_str(&format!(", {} answered before", self.answered));
        }
        let left = self.lines.map_or(0, |lines| lines.saturating_sub(self.answered + tally.ended()));
        if left > 0 {
            text.push_str(&format!(", {left} not sent"));
        }
        format!(
            "{text}; tokens: {}{} in, {} out; cost: {}; time: {:.1} s",
            if tally.uncounted > 0 { "at least " } else { "" },
            tally.input_tokens,
            tally.output_tokens,
            tally.cost,
            tally.begun.elapsed().as_secs_f64(),
        )
    }
}

/// What one line came to.
struct End {
    failure: Option<ErrorKind>,
    is_refused: bool,
    /// What it took, where there was a call that may have cost something.
    taken: Option<Taken>,
}

/// What the calls of one line took.
struct Taken {
    input_tokens: u64,
    output_tokens: u64,
    /// Whether these are all tokens: an answer that broke off may have the counts of its beginning.
    is_counted: bool,
    cost: Total,
}

impl Taken {
    fn of(outcome: &Outcome) -> Self {
        let usage = outcome.usage.clone().unwrap_or_default();
        let mut cost = Total::default();
        outcome.costs.iter().for_each(|call| cost.count(call.amount, call.status));
        let mut calls = outcome.costs.iter();
        Self {
            input_tokens: usage.input_tokens.unwrap_or(0),
            output_tokens: usage.output_tokens.unwrap_or(0),
            is_counted: outcome.status == Status::Completed
                && calls.all(|call| call.input_tokens.is_some() && call.output_tokens.is_some()),
            cost,
        }
    }
}

impl End {
    /// Tells whether the next line would fail in the same way.
    fn is_final(&self) -> bool {
        let kind = self.failure;
        kind.is_some_and(|kind| {
            matches!(kind, ErrorKind::Auth | ErrorKind::Billing | ErrorKind::Quota | ErrorKind::Store)
        })
    }
}

/// What all lines came to so far.
struct Tally {
    begun: Instant,
    answered: u64,
    refused: u64,
    failed: BTreeMap<&'static str, u64>,
    /// What nobody needs to try again with: the key, the account, the disk.
    ended_by: Option<ErrorKind>,
    input_tokens: u64,
    output_tokens: u64,
    /// How many did not say how many tokens they took in all.
    uncounted: u64,
    cost: Total,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            answered: 0,
            refused: 0,
            failed: BTreeMap::new(),
            ended_by: None,
            input_tokens: 0,
            output_tokens: 0,
            uncounted: 0,
            cost: Total::default(),
        }
    }
}

impl Tally {
    fn count(&mut self, end: End) {
        if end.is_final() {
            self.ended_by = self.ended_by.or(end.failure);
        }
        match end.failure {
            Some(kind) => *self.failed.entry(kind.as_str()).or_default() += 1,
            None => self.answered += 1,
        }
        self.refused += u64::from(end.is_refused);
        let Some(taken) = end.taken else { return };
        self.input_tokens += taken.input_tokens;
        self.output_tokens += taken.output_tokens;
        self.uncounted += u64::from(!taken.is_counted);
        self.cost += taken.cost;
    }

    fn ended(&self) -> u64 {
        self.answered + self.failed.values().sum::<u64>()
    }

    fn counts(&self) -> String {
        let mut text = format!("{} answered", self.answered);
        if self.refused > 0 {
            text.push_str(&format!(" ({} of them declined)", self.refused));
        }
        if !self.failed.is_empty() {
            let kinds: Vec<String> = self.failed.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
            let failed: u64 = self.failed.values().sum();
            text.push_str(&format!(", {failed} failed ({})", kinds.join(", ")));
        }
        text
    }

    fn code(&self) -> u8 {
        match self.ended_by {
            Some(kind) => exit::code(kind),
            None if self.failed.is_empty() => exit::OK,
            None => exit::OTHER,
        }
    }
}
