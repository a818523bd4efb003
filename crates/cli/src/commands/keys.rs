//! `keys`: keep keys, and say where each comes from, never what it is.

use serde::Serialize;

use super::Context;
use crate::args;
use crate::directory::Entry;
use crate::exit;
use crate::failure::Failure;
use crate::keys::{self, Keys, Source};
use crate::output::Output;
use aichat_message::ErrorKind;

/// Where the key of a provider comes from.
#[derive(Serialize)]
struct Row<'a> {
    provider: &'a str,
    source: Option<&'static str>,
    detail: Option<String>,
}

pub(crate) fn run(context: &Context, args: args::Keys) -> Result<u8, Failure> {
    let paths = context.paths()?;
    let keys = Keys { env: &context.env, file: &paths.keys };
    let directory = context.directory()?;
    let row = |entry: &'_ Entry| -> Result<(Option<Source>, Option<String>), Failure> {
        let source = keys.source(entry)?;
        let detail = source.as_ref().map(|source| match source {
            Source::Variable(name) => name.clone(),
            Source::Command(program) => program.clone(),
            Source::File => paths.keys.display().to_string(),
        });
        Ok((source, detail))
    };
    let mut output = Output::stdout()?;
    match args {
        args::Keys::Set(args) => {
            let name = &directory.find(&args.provider)?.name;
            let key = keys::read(|| context.talk.prompt(&format!("key for {name}: ")))?;
            keys.keep(name, key)?;
            context.talk.note(&format!("the key for {name} is kept in {}", paths.keys.display()));
        }
        args::Keys::Delete(args) => {
            if !keys.forget(&args.provider)? {
                let what = format!("no key for {:?} is kept in {}", args.provider, paths.keys.display());
                return Err(Failure::new(ErrorKind::Input, what).hint("`aichat keys list` shows the keys"));
            }
            context.talk.note(&format!("the key for {} is forgotten", args.provider));
        }
        args::Keys::Which(args) => {
            let entry = directory.find(&args.provider)?;
            let (source, detail) = row(entry)?;
            if source.is_none() && entry.needs_key {
                return Err(Failure::new(ErrorKind::Auth, format!("there is no key for {}", entry.name))
                    .hint(keys::missing(entry)));
            }
            if context.global.json {
                let row = Row { provider: &entry.name, source: source.as_ref().map(Source::word), detail };
                output.object("aichat.key/1", &row)?;
            } else {
                match (&source, detail) {
                    (Some(source), Some(detail)) => output.line(&format!("{} {detail}", source.word()))?,
                    _ => output.line("no key, and none needed")?,
                }
            }
        }
        args::Keys::List(limit) => {
            let mut rows = Vec::new();
            for entry in directory.entries() {
                if let (Some(source), detail) = row(entry)? {
                    rows.push(Row { provider: &entry.name, source: Some(source.word()), detail });
                }
            }
            rows.truncate(limit.limit.unwrap_or(usize::MAX));
            match context.global.json {
                true => output.list(&rows)?,
                false => {
                    let cells = |row: &Row<'_>| {
                        [
                            row.provider,
                            row.source.unwrap_or_default(),
                            row.detail.as_deref().unwrap_or_default(),
                        ]
                        .map(str::to_owned)
                    };
                    output.columns(&rows.iter().map(cells).collect::<Vec<_>>())?;
                }
            }
        }
    }
    output.finish()?;
    Ok(exit::OK)
}
