//! `models`: what providers offer now, what this program knows of it, and where each is from.

use std::time::Duration;

use aichat_catalog::{Catalog, Entry, Match, Modality, Moment, Prices, Rate, Reasoning};
use aichat_engine::{ModelRef, Report};
use aichat_message::ErrorKind;
use aichat_providers::Model;
use futures::future::join_all;
use serde::Serialize;

use super::Context;
use crate::args;
use crate::assemble::{Providers, Timeouts};
use crate::directory;
use crate::exit;
use crate::failure::{Failure, advised};
use crate::output::Output;

/// How long a list of models may take, which is nothing a model thinks about.
const LISTING: Timeouts = Timeouts {
    connect: Some(Duration::from_secs(10)),
    first_byte: Some(Duration::from_secs(30)),
    idle: Some(Duration::from_secs(30)),
};

pub(crate) fn run(context: &Context, args: args::Models) -> Result<u8, Failure> {
    match args {
        args::Models::List { providers, known, limit } => list(context, &providers, known, limit.limit),
        args::Models::Show { model, known } => show(context, &model, known),
    }
}

#[derive(Serialize)]
struct Row {
    provider: String,
    id: String,
    name: Option<String>,
    context_window: Option<u64>,
    output_limit: Option<u64>,
}

fn list(context: &Context, names: &[String], known: bool, limit: Option<usize>) -> Result<u8, Failure> {
    let (catalog, directory) = (context.catalog()?, context.directory()?);
    let providers = Providers::new(context, directory.clone(), LISTING, false)?;
    let mut chosen = Vec::new();
    for name in names {
        chosen.push(directory.find(name)?);
    }
    if names.is_empty() {
        for entry in directory.entries() {
            if known || entry.configured || providers.has_key(entry)? {
                chosen.push(entry);
            }
        }
    }
    if chosen.is_empty() {
        return Err(Failure::new(ErrorKind::Config, "no provider has a key or a section of its own").hint(
            "`aichat models list --known` lists the known models; `aichat keys set NAME` keeps a key",
        ));
    }
    let mut code = exit::OK;
    let mut rows = Vec::new();
    if known {
        rows.extend(chosen.iter().flat_map(|provider| catalog.entries_of(&provider.name)).map(row));
    } else {
        let lists = join_all(chosen.iter().map(|entry| list_of(&providers, entry)));
        let lists = context.attend(async { Ok(lists.await) })?;
        for (entry, list) in chosen.iter().zip(lists) {
            match list {
                Ok(models) => {
                    rows.extend(models.into_iter().map(|model| offered(context, entry, model, &catalog)))
                }
                // Alone it is the command's failure; among others it is only told.
                Err(failure) if chosen.len() == 1 => return Err(failure),
                Err(failure) => {
                    if let Some(report) = failure.into_report() {
                        code = code.max(exit::code(report.kind));
                        context.talk.error(&report);
                    }
                }
            }
        }
    }
    rows.truncate(limit.unwrap_or(usize::MAX));
    let mut output = Output::stdout()?;
    match context.global.json {
        true => output.list(&rows)?,
        false => {
            let cells = |row: &Row| {
                let window = row.context_window.map(|tokens| format!("{tokens} tokens")).unwrap_or_default();
                [format!("{}/{}", row.provider, row.id), window]
            };
            output.columns(&rows.iter().map(cells).collect::<Vec<_>>())?;
        }
    }
    output.finish()?;
    Ok(code)
}

fn row(entry: Entry) -> Row {
    Row {
        provider: entry.provider,
        id: entry.id,
        name: None,
        context_window: entry.context_window,
        output_limit: entry.output_limit,
    }
}

/// Returns a model that a provider offers, with what is known about it beside what the provider says.
fn offered(context: &Context, provider: &directory::Entry, model: Model, catalog: &Catalog) -> Row {
    let known = context.known(catalog, provider, &model.id).map(|found| found.entry);
    let known = known.as_ref();
    Row {
        provider: provider.name.clone(),
        context_window: model.context_window.or(known.and_then(|entry| entry.context_window)),
        output_limit: model.output_limit.or(known.and_then(|entry| entry.output_limit)),
        id: model.id,
        name: model.name,
    }
}

/// Asks a provider which models it offers.
async fn list_of(providers: &Providers, entry: &directory::Entry) -> Result<Vec<Model>, Failure> {
    let asked = ModelRef::new(&*entry.name, "");
    let provider = providers.find(entry).await.map_err(|failure| failure.about(&asked))?;
    provider.models().await.map_err(|error| failed(error, asked))
}

fn failed(error: aichat_providers::Error, model: ModelRef) -> Failure {
    let mut report = Report::from(&aichat_engine::Error::from(error));
    // A list is neither waited for by flags nor found in itself.
    if model.model.is_empty() && matches!(report.kind, ErrorKind::Timeout | ErrorKind::NotFound) {
        report.hint = Some(format!("`aichat providers test {}` tries it step by step", model.provider));
    }
    Failure::Error(Box::new(advised(report, Some(&model))))
}

/// What is said of one model, in the order in which it is shown.
#[derive(Serialize)]
struct Shown {
    provider: String,
    id: String,
    /// What the provider says, if it was asked and has such a model.
    offered: Option<Model>,
    known: Option<Known>,
}

/// What the tables say.
#[derive(Serialize)]
struct Known {
    context_window: Option<u64>,
    output_limit: Option<u64>,
    input: Vec<Modality>,
    output: Vec<Modality>,
    tools: Option<bool>,
    structured_output: Option<bool>,
    reasoning: Option<Reasoning>,
    retires: Option<String>,
    deprecated: bool,
    /// What holds now, in dollars per million; the largest bound that the input exceeds decides.
    prices: Vec<Priced>,
    /// How the name led there, in a sentence.
    matched: String,
    source: String,
    table_date: String,
    table_hash: String,
}

#[derive(Serialize)]
struct Priced {
    over_input_tokens: u64,
    #[serde(serialize_with = "pairs")]
    prices: Vec<(&'static str, String)>,
}

fn pairs<S: serde::Serializer>(pairs: &[(&'static str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, price)| (name, price)))
}

fn show(context: &Context, name: &str, known: bool) -> Result<u8, Failure> {
    let (catalog, directory) = (context.catalog()?, context.directory()?);
    let model = context.model(name, &directory)?;
    let entry = directory.find(&model.provider)?.clone();
    let found = context.known(&catalog, &entry, &model.model);
    let providers = Providers::new(context, directory, LISTING, false)?;
    let told = if known || !(entry.configured || providers.has_key(&entry)?) {
        None
    } else {
        let asked = async {
            let provider = providers.find(&entry).await.map_err(|failure| failure.about(&model))?;
            Ok(provider.model(&model.model).await)
        };
        match context.attend(asked)? {
            Ok(told) => Some(told),
            Err(error) if found.is_none() => return Err(failed(error, model)),
            Err(error) => {
                context.talk.warning(&error.to_string());
                None
            }
        }
    };
    if told.is_none() && found.is_none() {
        let what = format!("nothing is known of {model}");
        let hint = format!("`aichat models list {}` lists what it offers", model.provider);
        return Err(Failure::new(ErrorKind::NotFound, what).hint(hint));
    }
    let known = found.as_ref().map(|found| described(found, context.now()));
    let shown = Shown { provider: model.provider, id: model.model, offered: told, known };
    let mut output = Output::stdout()?;
    match context.global.json {
        true => output.object("aichat.model/1", &shown)?,
        false => output.columns(&lines(&shown))?,
    }
    output.finish()?;
    Ok(exit::OK)
}

fn described(found: &Match, now: Moment) -> Known {
    let entry = &found.entry;
    Known {
        context_window: entry.context_window,
        output_limit: entry.output_limit,
        input: entry.input.clone(),
        output: entry.output.clone(),
        tools: entry.tools,
        structured_output: entry.structured_output,
        reasoning: entry.reasoning,
        retires: entry.retires.map(|day| day.to_string()),
        deprecated: entry.deprecated,
        prices: entry.rate(now).map(priced).unwrap_or_default(),
        matched: found.to_string(),
        source: found.table.source.clone(),
        table_date: found.table.date.to_string(),
        table_hash: found.table.hash.clone(),
    }
}

fn priced(rate: &Rate) -> Vec<Priced> {
    let prices = |over_input_tokens, prices: &Prices| {
        let prices = prices.iter().map(|(bucket, price)| (bucket.name(), price.to_string()));
        Priced { over_input_tokens, prices: prices.collect() }
    };
    let tiers = rate.tiers.iter().map(|tier| prices(tier.over_input_tokens, &tier.prices));
    std::iter::once(prices(0, &rate.prices)).chain(tiers).collect()
}

/// Returns what is shown to a person: a word and what it says, line by line.
fn lines(shown: &Shown) -> Vec<[String; 2]> {
    let mut lines = Vec::new();
    let mut say = |word: &str, said: Option<String>| {
        lines.extend(said.filter(|said| !said.is_empty()).map(|said| [word.to_owned(), said]));
    };
    say("model", Some(format!("{}/{}", shown.provider, shown.id)));
    let (offered, known) = (shown.offered.as_ref(), shown.known.as_ref());
    say("name", offered.and_then(|model| model.name.clone()));
    say("offered", Some(if offered.is_some() { "yes" } else { "not asked, or not found" }.to_owned()));
    let tokens = |count: Option<u64>| count.map(|count| format!("{count} tokens"));
    let either = |told: Option<u64>, known: Option<u64>| tokens(told.or(known));
    say("context", either(offered.and_then(|m| m.context_window), known.and_then(|k| k.context_window)));
    say("output", either(offered.and_then(|m| m.output_limit), known.and_then(|k| k.output_limit)));
    let word = |value: bool| if value { "yes" } else { "no" }.to_owned();
    say("tools", offered.and_then(|m| m.tools).or(known.and_then(|k| k.tools)).map(word));
    if let Some(known) = known {
        let plain = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let named = |value: &Modality| serde_json::to_value(value).map(plain).unwrap_or_default();
        say("reads", Some(known.input.iter().map(named).collect::<Vec<_>>().join(", ")));
        say("writes", Some(known.output.iter().map(named).collect::<Vec<_>>().join(", ")));
        say("schema", known.structured_output.map(word));
        say("reasoning", known.reasoning.and_then(|value| serde_json::to_value(value).ok()).map(plain));
        say("retires", known.retires.clone());
        say("deprecated", known.deprecated.then(|| "yes".to_owned()));
        for tier in &known.prices {
            let bound = match tier.over_input_tokens {
                0 => String::new(),
                bound => format!(" for an input over {bound} tokens"),
            };
            for (bucket, price) in &tier.prices {
                say("price", Some(format!("{bucket} ${price} per million{bound}")));
            }
        }
        say("matched", Some(known.matched.clone()));
        say("table", Some(format!("{} of {}, {}", known.source, known.table_date, known.table_hash)));
    }
    lines
}
