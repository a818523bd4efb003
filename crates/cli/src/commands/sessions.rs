//! `sessions`: everything that is done with a session besides sending to it.

use aichat_engine::{Engine, Fork, ModelRef, Purged, Summary};
use aichat_message::{ErrorKind, SessionId};
use serde::Serialize;

use super::{Context, diff, fork, heads, search, transfer, tree};
use crate::args;
use crate::assemble;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::plural::plural;
use crate::scope;

pub(crate) fn run(context: &Context, args: args::Sessions) -> Result<u8, Failure> {
    let model = match &args {
        args::Sessions::Create { model: Some(model), .. } => Some(model_of(context, model)?),
        args::Sessions::Export(args) => return transfer::export(context, args),
        args::Sessions::Import { files } => return transfer::import(context, files),
        args::Sessions::Fork(args) => return fork::run(context, args),
        _ => None,
    };
    let engine = match &args {
        args::Sessions::Create { .. } => assemble::archive(context)?,
        args::Sessions::Rename { .. }
        | args::Sessions::Branch { .. }
        | args::Sessions::Heads { switch: Some(_), .. }
        | args::Sessions::Clone { .. }
        | args::Sessions::Archive { .. }
        | args::Sessions::Purge { .. }
        | args::Sessions::Delete(_) => assemble::editor(context)?,
        _ => assemble::reader(context)?,
    };
    let mut output = Output::stdout()?;
    context.runtime()?.block_on(async {
        let mut code = exit::OK;
        match args {
            args::Sessions::Create { name, .. } => {
                let scope = scope::current(&context.env);
                let id = engine.create(name.as_deref(), model.as_ref(), scope.as_deref()).await?;
                print(context, &mut output, &engine, &id).await?;
            }
            args::Sessions::List { limit, archived } => {
                let sessions = match archived {
                    true => engine.archived(limit.limit).await?,
                    false => engine.list(limit.limit).await?,
                };
                match context.global.json {
                    true => output.list(&sessions)?,
                    false => output.columns(&sessions.iter().map(row).collect::<Vec<_>>())?,
                }
            }
            args::Sessions::Show(args) => {
                let id = engine.resolve(&args.session).await?;
                let transcript = engine.transcript(&id).await?;
                match context.global.json {
                    true => output.object("aichat.transcript/1", &transcript)?,
                    false => output.line(&transcript.to_markdown())?,
                }
            }
            args::Sessions::Search(args) => search::run(context, &mut output, &engine, args).await?,
            args::Sessions::Rename { session, name } => {
                let id = engine.resolve(&session.session).await?;
                engine.rename(&id, name.as_deref()).await?;
                print(context, &mut output, &engine, &id).await?;
            }
            args::Sessions::Tree(args) => {
                let id = engine.resolve(&args.session).await?;
                tree::print(context, &mut output, &engine.transcript(&id).await?)?;
            }
            args::Sessions::Branch { session, at, name } => {
                let id = engine.resolve(&session.session).await?;
                let at = engine.message(&id, &at).await?;
                let summary = engine.branch(&id, &at, name.as_deref()).await?;
                heads::print(context, &mut output, &summary)?;
            }
            args::Sessions::Heads { session, switch } => {
                let id = engine.resolve(&session.session).await?;
                let summary = match switch {
                    Some(branch) => engine.switch(&id, &branch).await?,
                    None => engine.session(&id).await?,
                };
                heads::print(context, &mut output, &summary)?;
            }
            args::Sessions::Clone { session, name } => {
                let id = engine.resolve(&session.session).await?;
                let scope = scope::current(&context.env);
                let id = engine.fork(&id, &Fork { name, scope, ..Fork::default() }).await?;
                print(context, &mut output, &engine, &id).await?;
            }
            args::Sessions::Diff { a, b } => {
                code = diff::print(context, &mut output, &engine, &a, &b).await?;
            }
            args::Sessions::Archive { session, undo } => {
                let id = engine.resolve(&session.session).await?;
                engine.archive(&id, !undo).await?;
                print(context, &mut output, &engine, &id).await?;
            }
            args::Sessions::Purge { session, with_forks, yes } => {
                let id = engine.resolve_deleted(&session.session).await?;
                if !yes {
                    let what = format!("what was said in {id} would be gone for good");
                    return Err(Failure::new(ErrorKind::Usage, what).hint("pass --yes to purge it"));
                }
                let purged = engine.purge(&id, with_forks).await?;
                match context.global.json {
                    true => output.list(&purged)?,
                    false => output.columns(&purged.iter().map(purged_row).collect::<Vec<_>>())?,
                }
                context.talk.note("`aichat store compact` takes its bytes out of the store's files");
            }
            args::Sessions::Delete(args) => {
                let id = engine.resolve(&args.session).await?;
                engine.delete(&id).await?;
                match context.global.json {
                    true => output.object("aichat.deleted/1", &Deleted { id: &id })?,
                    false => output.line(id.as_str())?,
                }
            }
            args::Sessions::Export(_) | args::Sessions::Import { .. } | args::Sessions::Fork(_) => {}
        }
        engine.shutdown().await?;
        output.finish()?;
        Ok(code)
    })
}

#[derive(Serialize)]
struct Deleted<'a> {
    id: &'a SessionId,
}

fn model_of(context: &Context, text: &str) -> Result<ModelRef, Failure> {
    context.model(text, &context.directory()?)
}

/// Prints a session, its id where a person asks.
pub(super) async fn print(
    context: &Context,
    output: &mut Output,
    engine: &Engine,
    id: &SessionId,
) -> Result<(), Failure> {
    match context.global.json {
        true => output.object("aichat.summary/1", &engine.session(id).await?),
        false => output.line(id.as_str()),
    }
}

fn purged_row(purged: &Purged) -> [String; 3] {
    [purged.id.to_string(), plural(purged.events, "event"), plural(purged.blobs, "attachment")]
}

/// Returns what a session is called in a list: its name, or its title in quotes.
pub(super) fn label(name: Option<&str>, title: Option<&str>) -> String {
    let label = name.or(title).and_then(|text| text.lines().next()).unwrap_or_default();
    let label: String = label.chars().take(48).collect();
    if name.is_none() && !label.is_empty() { format!("“{label}”") } else { label }
}

fn row(session: &Summary) -> [String; 5] {
    [
        session.id.to_string(),
        time(session.updated_us),
        plural(session.turns, "turn"),
        session.model.clone().unwrap_or_default(),
        label(session.name.as_deref(), session.title.as_deref()),
    ]
}

/// Returns a time of microseconds since 1970 to the minute, UTC.
pub(super) fn time(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros)
        .map(|time| time.strftime("%Y-%m-%d %H:%MZ").to_string())
        .unwrap_or_default()
}
