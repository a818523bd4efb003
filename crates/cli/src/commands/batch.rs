//! `batch`: many prompts, so many at a time, and a result for each.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aichat_engine::{
    Company, Done, Engine, Error, InputLine, ModelRef, Outcome, Report, Send, Tally, TurnResult,
};
use aichat_events::Interruption;
use aichat_message::{ErrorKind, Json};
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use super::Context;
use super::turn::end_at_once;
use crate::args;
use crate::assemble::{self, Providers};
use crate::batch::{self, Finder, Line, Recipe, Results, Spent};
use crate::directory::Directory;
use crate::exit;
use crate::failure::{Failure, advised};
use crate::fallback;
use crate::meter::Meter;
use crate::output::json;
use crate::signals::{Signals, Stop};

pub(crate) fn run(context: &Context, args: &args::Batch) -> Result<u8, Failure> {
    let directory = context.directory()?;
    let providers = Providers::new(context, directory.clone(), args.asked.timeouts(), false)?;
    let finder = Finder {
        context: context.clone(),
        directory: directory.clone(),
        providers: providers.clone(),
        has_fallbacks: !args.asked.fallback.is_empty(),
    };
    let mut recipe = finder.recipe(args)?;
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
    let mut lines = batch::open(path)?;
    let mut count = 0;
    while let Some(line) = lines.read()? {
        check(done, &line)?;
        let line = recipe.read(line)?;
        if line.send.form != recipe.usual.form {
            engine.check_form(&line.send.form).map_err(|error| Failure::from(error).at(&line.place))?;
        }
        if line.send.lacks_model() && recipe.usual.model.is_none() {
            choose(recipe)?;
        }
        count += 1;
    }
    Ok(count)
}

/// Sees to it that a line with an answer is still the one that was asked.
fn check(done: &Done, line: &InputLine) -> Result<(), Failure> {
    let hint = "name another --output for other prompts; add new ones at the end";
    done.check(line).map_err(|error| Failure::from(error).hint(hint))
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
        let company = self.company(&done, results.is_new())?;
        let wrong = Arc::new(Mutex::new(None));
        let items = self.items(recipe, done, Arc::clone(&wrong))?;
        let mut batch = self.engine.batch(items, self.args.jobs.into(), company.clone());
        let (begun, mut tally) = (Instant::now(), Tally::default());
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
                    tally.count(&ended);
                    if tally.ended_by.is_some() {
                        batch.close();
                    }
                    let result = self.result(tag, ended);
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
            self.context.talk.note(&self.summary(&tally, begun.elapsed()));
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
            _ => Ok(code(&tally)),
        }
    }

    /// Returns those who draw on the budget together. What they draw is written down beside the results, for whoever
    /// goes on after this process was killed.
    fn company(&self, done: &Done, is_new: bool) -> Result<Company, Failure> {
        // What is no file remembers nothing.
        let path = self.args.output.as_ref().filter(|path| path.is_file());
        let (Some(limit), Some(path)) = (self.args.max_cost, path) else {
            return Ok(Company::new(self.args.max_cost, done.cost));
        };
        let (spent, before) = Spent::open(path, is_new)?;
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
        let mut lines = batch::open(&self.args.file)?;
        let (sender, receiver) = mpsc::channel::<Line>(self.args.jobs.into());
        std::thread::spawn(move || {
            let mut read = || -> Result<(), Failure> {
                while let Some(line) = lines.read()? {
                    check(&done, &line)?;
                    if done.has(&line) {
                        continue;
                    }
                    let line = recipe.read(line)?;
                    if line.send.lacks_model() {
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

    /// Returns the result of a line.
    fn result(&self, tag: Tag, ended: Result<Outcome, Error>) -> TurnResult {
        let redactor = self.context.secrets.redactor();
        let result = match ended {
            Ok(outcome) => {
                let error = outcome.report().map(|report| advised(report, Some(&outcome.model)));
                TurnResult::of(&outcome, error, !self.args.no_save, &redactor)
            }
            Err(error) => TurnResult::failed(advised(Report::from(&error), tag.model.as_ref()), &redactor),
        };
        result.of_line(tag.index, tag.id, tag.hash)
    }

    /// Returns what came of everything, in one line.
    fn summary(&self, tally: &Tally, time: Duration) -> String {
        let mut text = counts(tally);
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
            time.as_secs_f64(),
        )
    }
}

fn counts(tally: &Tally) -> String {
    let mut text = format!("{} answered", tally.answered);
    if tally.refused > 0 {
        text.push_str(&format!(" ({} of them declined)", tally.refused));
    }
    if !tally.failed.is_empty() {
        let kinds: Vec<String> = tally.failed.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        let failed: u64 = tally.failed.values().sum();
        text.push_str(&format!(", {failed} failed ({})", kinds.join(", ")));
    }
    text
}

fn code(tally: &Tally) -> u8 {
    match tally.ended_by {
        Some(kind) => exit::code(kind),
        None if tally.failed.is_empty() => exit::OK,
        None => exit::OTHER,
    }
}
