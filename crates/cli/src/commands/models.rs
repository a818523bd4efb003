//! `models`: the models known to this program, or those a provider offers now.

use std::time::Duration;

use aichat_catalog::{Catalog, Entry};
use aichat_engine::ModelRef;
use aichat_providers::Model;
use serde::Serialize;

use super::Context;
use crate::args;
use crate::assemble::{Providers, Timeouts};
use crate::exit;
use crate::failure::{Failure, Report};
use crate::output::Output;

#[derive(Serialize)]
struct Row {
    provider: String,
    id: String,
    name: Option<String>,
    context_window: Option<u64>,
    output_limit: Option<u64>,
}

pub(crate) fn run(context: &Context, args: args::Models) -> Result<u8, Failure> {
    let catalog = context.catalog()?;
    let mut rows: Vec<Row> = match &args.provider {
        Some(name) => ask(context, name)?.into_iter().map(|model| offered(name, model, &catalog)).collect(),
        None => {
            let directory = context.directory()?;
            let entries = directory.entries().iter().flat_map(|provider| catalog.entries_of(&provider.name));
            entries.map(|entry| known(&entry)).collect()
        }
    };
    rows.truncate(args.limit.limit.unwrap_or(usize::MAX));
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
    Ok(exit::OK)
}

fn known(entry: &Entry) -> Row {
    Row {
        provider: entry.provider.clone(),
        id: entry.id.clone(),
        name: None,
        context_window: entry.context_window,
        output_limit: entry.output_limit,
    }
}

/// Returns a model that a provider offers, with what is known about it beside what the provider says.
fn offered(provider: &str, model: Model, catalog: &Catalog) -> Row {
    let known = catalog.model(provider, &model.id).map(|found| found.entry);
    Row {
        provider: provider.to_owned(),
        context_window: model.context_window.or(known.as_ref().and_then(|entry| entry.context_window)),
        output_limit: known.and_then(|entry| entry.output_limit),
        id: model.id,
        name: model.name,
    }
}

/// How long a list of models may take, which is nothing a model thinks about.
const LISTING: Timeouts = Timeouts {
    connect: Some(Duration::from_secs(10)),
    first_byte: Some(Duration::from_secs(30)),
    idle: Some(Duration::from_secs(30)),
};

/// Asks a provider which models it offers.
pub(crate) fn ask(context: &Context, name: &str) -> Result<Vec<Model>, Failure> {
    let directory = context.directory()?;
    let entry = directory.find(name)?.clone();
    let provider = Providers::new(context, directory, LISTING, false)?.open(&entry)?;
    context.runtime()?.block_on(provider.models()).map_err(|error| {
        let mut report = Report::from(&aichat_engine::Error::from(error));
        report.advise(Some(&ModelRef::new(name, "")));
        Failure::Error(Box::new(report))
    })
}
