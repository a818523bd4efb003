//! `keys`: keep keys, try them, and say where each comes from, never what it is.

use std::time::{Duration, Instant};

use aichat_engine::Report;
use aichat_message::ErrorKind;
use futures::future::join_all;
use serde::Serialize;

use super::Context;
use crate::args;
use crate::assemble::{Providers, Timeouts};
use crate::directory::{Directory, Entry};
use crate::exit;
use crate::failure::{Failure, millis};
use crate::keys::{self, Keys, Place, Source};
use crate::output::Output;
use crate::paths::Paths;

/// How long a provider may take to list its models.
const WAITS: Timeouts = Timeouts {
    connect: Some(Duration::from_secs(10)),
    first_byte: Some(Duration::from_secs(20)),
    idle: Some(Duration::from_secs(20)),
};

/// Where the key of a provider comes from.
#[derive(Serialize)]
struct Row {
    provider: String,
    source: Option<&'static str>,
    detail: Option<String>,
    /// The end of the key, where it is at hand and the key is long.
    ends_with: Option<String>,
    /// Where else there is one, which does not count.
    others: Vec<Other>,
}

#[derive(Serialize)]
struct Other {
    source: &'static str,
    detail: String,
}

pub(crate) fn run(context: &Context, args: args::Keys) -> Result<u8, Failure> {
    let paths = context.paths()?;
    let keys = Keys { env: &context.env, file: &paths.keys };
    let directory = context.directory()?;
    match args {
        args::Keys::Set(args) => set(context, &keys, &directory, &args),
        args::Keys::Delete(args) => {
            let name = &args.provider;
            match keys.forget(name)? {
                None => {
                    let what = format!("no key for {name:?} is kept in {}", paths.keys.display());
                    Err(Failure::new(ErrorKind::Input, what).hint("`aichat keys list` shows the keys"))
                }
                Some(_) => {
                    context.talk.note(&format!("the key for {name} is forgotten"));
                    Ok(exit::OK)
                }
            }
        }
        args::Keys::Which(args) => which(context, &keys, &paths, directory.find(&args.provider)?),
        args::Keys::List(limit) => {
            let rows = directory.entries().iter().map(|entry| row(&keys, &paths, entry));
            let rows = rows.filter(|row| row.as_ref().map_or(true, |row| row.source.is_some()));
            let rows = rows.take(limit.limit.unwrap_or(usize::MAX)).collect::<Result<Vec<_>, _>>()?;
            list(context, &rows)
        }
        args::Keys::Test(args) => test(context, &keys, directory, &args),
    }
}

fn set(
    context: &Context,
    keys: &Keys<'_>,
    directory: &Directory,
    args: &args::SetKey,
) -> Result<u8, Failure> {
    let entry = directory.find(&args.provider.provider)?;
    let name = &entry.name;
    let place = match (args.keyring, args.file) {
        (true, _) => Place::Keyring,
        (_, true) => Place::File,
        _ => Place::Any,
    };
    let key = keys::read(|text| context.talk.prompt(text), &format!("key for {name}: "))?;
    let (kept, why) = keys.keep(name, key, place)?;
    let place = match kept {
        Source::Keyring => "the keyring".to_owned(),
        _ => keys.file.display().to_string(),
    };
    let why = why.map(|why| format!("; {why}")).unwrap_or_default();
    context.talk.note(&format!("the key for {name} is kept in {place}{why}"));
    if let Some(first) = keys.source(entry)?.filter(|first| *first != kept) {
        context.talk.warning(&format!("{} goes before it: {}", first.word(), detail(&first, keys.file)));
    }
    Ok(exit::OK)
}

fn which(context: &Context, keys: &Keys<'_>, paths: &Paths, entry: &Entry) -> Result<u8, Failure> {
    let row = row(keys, paths, entry)?;
    if row.source.is_none() && entry.needs_key {
        return Err(Failure::new(ErrorKind::Auth, format!("there is no key for {}", entry.name))
            .hint(keys::missing(entry)));
    }
    let mut output = Output::stdout()?;
    match (context.global.json, row.source, &row.detail) {
        (true, ..) => output.object("aichat.key/1", &row)?,
        (false, Some(source), Some(detail)) => output.line(&format!("{source} {detail}"))?,
        _ => output.line("no key, and none needed")?,
    }
    output.finish()?;
    Ok(exit::OK)
}

fn list(context: &Context, rows: &[Row]) -> Result<u8, Failure> {
    let mut output = Output::stdout()?;
    if context.global.json {
        output.list(&rows)?;
    } else {
        let cells = |row: &Row| {
            let others: Vec<&str> = row.others.iter().map(|other| other.source).collect();
            [
                row.provider.clone(),
                row.source.unwrap_or_default().to_owned(),
                row.detail.clone().unwrap_or_default(),
                row.ends_with.as_ref().map(|end| format!("…{end}")).unwrap_or_default(),
                if others.is_empty() { String::new() } else { format!("before {}", others.join(", ")) },
            ]
        };
        output.columns(&rows.iter().map(cells).collect::<Vec<_>>())?;
    }
    output.finish()?;
    Ok(exit::OK)
}

fn row(keys: &Keys<'_>, paths: &Paths, entry: &Entry) -> Result<Row, Failure> {
    let mut sources = keys.sources(entry)?.into_iter();
    let first = sources.next();
    let other = |source: Source| Other { source: source.word(), detail: detail(&source, &paths.keys) };
    Ok(Row {
        provider: entry.name.clone(),
        source: first.as_ref().map(Source::word),
        detail: first.as_ref().map(|source| detail(source, &paths.keys)),
        ends_with: first.as_ref().and_then(|source| keys.ending(entry, source)),
        others: sources.map(other).collect(),
    })
}

/// Returns which variable, command or file it is.
fn detail(source: &Source, file: &std::path::Path) -> String {
    match source {
        Source::Variable(name) => name.clone(),
        Source::Command(program) => program.clone(),
        Source::Keyring => "aichat".to_owned(),
        Source::File => file.display().to_string(),
    }
}

/// What came of trying a key.
#[derive(Serialize)]
struct Tried {
    provider: String,
    source: Option<&'static str>,
    ok: bool,
    took_ms: u64,
    /// How many models there are.
    models: Option<usize>,
    error: Option<Report>,
}

fn test(
    context: &Context,
    keys: &Keys<'_>,
    directory: Directory,
    args: &args::TestKeys,
) -> Result<u8, Failure> {
    let providers = Providers::new(context, directory.clone(), WAITS, false)?;
    let mut entries = Vec::new();
    for name in &args.providers {
        entries.push(directory.find(name)?);
    }
    if args.providers.is_empty() {
        for entry in directory.entries() {
            if entry.configured || keys.source(entry)?.is_some() {
                entries.push(entry);
            }
        }
        if entries.is_empty() {
            return Err(Failure::new(ErrorKind::Auth, "no provider has a key, and none is configured")
                .hint("run `aichat keys set openai`, or name a provider"));
        }
    }
    let tried = join_all(entries.iter().map(|entry| attempt(context, &providers, keys, entry)));
    let tried = context.attend(async { Ok(tried.await) })?;
    let mut output = Output::stdout()?;
    if context.global.json {
        output.list(&tried)?;
    } else {
        let cells = |tried: &Tried| {
            let source = tried.source.unwrap_or("no key");
            let what = match (&tried.error, tried.models) {
                (Some(error), _) => error.message.clone(),
                (None, Some(1)) => "1 model".to_owned(),
                (None, Some(models)) => format!("{models} models"),
                (None, None) => "there is no list of models to try it with".to_owned(),
            };
            let verdict = if tried.ok { "ok" } else { "failed" };
            [
                tried.provider.clone(),
                verdict.to_owned(),
                source.to_owned(),
                format!("{} ms", tried.took_ms),
                what,
            ]
        };
        output.columns(&tried.iter().map(cells).collect::<Vec<_>>())?;
        for hint in tried.iter().filter_map(|tried| tried.error.as_ref()?.hint.as_ref()) {
            context.talk.note(&format!("hint: {hint}"));
        }
    }
    output.finish()?;
    let codes = tried.iter().filter_map(|tried| tried.error.as_ref()).map(|error| exit::code(error.kind));
    Ok(codes.max().unwrap_or(exit::OK))
}

async fn attempt(context: &Context, providers: &Providers, keys: &Keys<'_>, entry: &Entry) -> Tried {
    let begun = Instant::now();
    let listed = match providers.find(entry).await {
        Ok(provider) => {
            provider.models().await.map_err(|error| Failure::from(aichat_engine::Error::from(error)))
        }
        Err(failure) => Err(failure),
    };
    let (models, error) = match listed {
        Ok(models) => (Some(models.len()), None),
        Err(failure) if failure.kind() == Some(ErrorKind::Unsupported) => (None, None),
        Err(failure) => (None, failure.into_report()),
    };
    let error = error.map(|mut error| {
        error.hint = match error.kind {
            ErrorKind::Auth => {
                error.hint.filter(|hint| !hint.contains("PROVIDER")).or(Some(keys::missing(entry)))
            }
            _ => Some(format!("`aichat providers test {}` tries it step by step", entry.name)),
        };
        error.masked(&context.secrets.redactor())
    });
    Tried {
        provider: entry.name.clone(),
        source: keys.source(entry).ok().flatten().as_ref().map(Source::word),
        ok: error.is_none(),
        took_ms: millis(begun.elapsed()),
        models,
        error,
    }
}
