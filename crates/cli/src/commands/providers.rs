//! `providers`: who can be asked, and how.

use serde::Serialize;

use super::Context;
use crate::args;
use crate::exit;
use crate::failure::Failure;
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

/// Everything there is to know about a provider, but its key.
#[derive(Serialize)]
struct Sheet<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    /// Whether it cannot be used without a key.
    needs_key: bool,
    key_variables: &'a [String],
    profile: Option<&'a str>,
    api_version: Option<&'a str>,
    /// The names of headers that go with every request.
    headers: Vec<&'a str>,
    default_model: Option<&'a str>,
}

pub(crate) fn run(context: &Context, args: args::Providers) -> Result<u8, Failure> {
    match args {
        args::Providers::List(limit) => told(|output| list(context, limit.limit, output)),
        args::Providers::Show(provider) => told(|output| show(context, &provider.provider, output)),
        args::Providers::Test(test) => super::checkup::run(context, &test),
    }
}

fn told(tell: impl FnOnce(&mut Output) -> Result<(), Failure>) -> Result<u8, Failure> {
    let mut output = Output::stdout()?;
    tell(&mut output)?;
    output.finish()?;
    Ok(exit::OK)
}

fn row<'a>(entry: &'a crate::directory::Entry, keys: &Keys<'_>) -> Result<Row<'a>, Failure> {
    Ok(Row {
        name: &entry.name,
        protocol: entry.protocol.as_str(),
        base_url: entry.place(),
        key: keys.source(entry)?.as_ref().map(Source::word),
        local: entry.local,
        origin: entry.origin.to_string(),
    })
}

fn list(context: &Context, limit: Option<usize>, output: &mut Output) -> Result<(), Failure> {
    let paths = context.paths()?;
    let directory = context.directory()?;
    let keys = Keys { env: &context.env, file: &paths.keys };
    let entries = directory.entries().iter().take(limit.unwrap_or(usize::MAX));
    let rows = entries.map(|entry| row(entry, &keys)).collect::<Result<Vec<_>, _>>()?;
    if context.global.json {
        return output.list(&rows);
    }
    let cells =
        |row: &Row<'_>| [row.name.to_owned(), row.protocol.to_owned(), row.base_url.clone(), key(row)];
    output.columns(&rows.iter().map(cells).collect::<Vec<_>>())
}

fn key(row: &Row<'_>) -> String {
    match row.key {
        Some(source) => format!("key from {source}"),
        None => "no key".to_owned(),
    }
}

fn show(context: &Context, name: &str, output: &mut Output) -> Result<(), Failure> {
    let paths = context.paths()?;
    let directory = context.directory()?;
    let entry = directory.find(name)?;
    let sheet = Sheet {
        row: row(entry, &Keys { env: &context.env, file: &paths.keys })?,
        needs_key: entry.needs_key,
        key_variables: &entry.key_variables,
        profile: entry.profile.as_deref(),
        api_version: entry.api_version.as_deref(),
        headers: entry.headers.iter().map(|(name, _)| name.as_str()).collect(),
        default_model: entry.default_model.as_deref(),
    };
    if context.global.json {
        return output.object("aichat.provider/1", &sheet);
    }
    let mut lines = vec![
        ["name", sheet.row.name],
        ["protocol", sheet.row.protocol],
        ["base_url", &sheet.row.base_url],
        ["origin", &sheet.row.origin],
    ];
    let key = match (key(&sheet.row), entry.needs_key) {
        (key, false) if sheet.row.key.is_none() => format!("{key}, and none needed"),
        (key, _) => key,
    };
    let headers = sheet.headers.join(", ");
    let optional = [
        ("key", Some(key.as_str())),
        ("profile", sheet.profile),
        ("api_version", sheet.api_version),
        ("headers", Some(headers.as_str()).filter(|headers| !headers.is_empty())),
        ("default model", sheet.default_model),
        ("cost", Some("none, as declared").filter(|_| entry.local)),
    ];
    lines.extend(optional.into_iter().filter_map(|(name, value)| Some([name, value?])));
    output.columns(&lines.into_iter().map(|line| line.map(str::to_owned)).collect::<Vec<_>>())
}
