//! `providers`: who can be asked, and whether they answer.

use std::time::Instant;

use serde::Serialize;

use super::Context;
use crate::args;
use crate::exit;
use crate::failure::{Failure, millis};
use crate::keys::{Keys, Source};
use crate::output::Output;

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    protocol: &'a str,
    base_url: String,
    key: Option<&'static str>,
    local: bool,
    origin: String,
}

#[derive(Serialize)]
struct Test<'a> {
    provider: &'a str,
    ok: bool,
    models: usize,
    total_ms: u64,
}

pub(crate) fn run(context: &Context, args: args::Providers) -> Result<u8, Failure> {
    let mut output = Output::stdout()?;
    match args {
        args::Providers::List(limit) => list(context, limit.limit, &mut output)?,
        args::Providers::Test(args) => {
            let begun = Instant::now();
            let models = super::models::ask(context, &args.provider)?.len();
            let total_ms = millis(begun.elapsed());
            match context.global.json {
                true => {
                    let test = Test { provider: &args.provider, ok: true, models, total_ms };
                    output.object("aichat.provider_test/1", &test)?;
                }
                false => {
                    output.line(&format!("{} answers: {models} models in {total_ms} ms", args.provider))?
                }
            }
        }
    }
    output.finish()?;
    Ok(exit::OK)
}

fn list(context: &Context, limit: Option<usize>, output: &mut Output) -> Result<(), Failure> {
    let paths = context.paths()?;
    let directory = context.directory()?;
    let keys = Keys { env: &context.env, file: &paths.keys };
    let mut rows = Vec::new();
    for entry in directory.entries().iter().take(limit.unwrap_or(usize::MAX)) {
        rows.push(Row {
            name: &entry.name,
            protocol: entry.protocol.as_str(),
            base_url: entry.place(),
            key: keys.source(entry)?.as_ref().map(Source::word),
            local: entry.local,
            origin: entry.origin.to_string(),
        });
    }
    if context.global.json {
        return output.list(&rows);
    }
    let cells = |row: &Row<'_>| {
        let key = match row.key {
            Some(source) => format!("key from {source}"),
            None => "no key".to_owned(),
        };
        [row.name.to_owned(), row.protocol.to_owned(), row.base_url.clone(), key]
    };
    output.columns(&rows.iter().map(cells).collect::<Vec<_>>())
}
