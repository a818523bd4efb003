//! `events`: what happened in a session, listed, drawn and verified.

use aichat_engine::{Engine, Verified};
use aichat_events::{Event, Timeline};
use aichat_message::{ErrorKind, SessionId};
use serde_json::value::RawValue;

use super::Context;
use crate::args;
use crate::assemble;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;

/// Columns of a drawn timeline where there is no terminal to ask.
const WIDTH: usize = 100;

pub(crate) fn run(context: &Context, args: args::Events) -> Result<u8, Failure> {
    let engine = assemble::archive(context)?;
    let mut output = Output::stdout()?;
    context.runtime()?.block_on(async {
        let mut code = exit::OK;
        match args {
            args::Events::List { session, limit } => {
                let id = engine.resolve(&session.session).await?;
                let mut events = engine.events(&id).await?;
                events.truncate(limit.limit.unwrap_or(usize::MAX));
                list(context, &mut output, &events)?;
            }
            args::Events::Timeline(args) => {
                let id = engine.resolve(&args.session).await?;
                let timeline = Timeline::of(&engine.events(&id).await?);
                match context.global.json {
                    true => output.object("aichat.timeline/1", &timeline)?,
                    false if timeline.turns.is_empty() => context.talk.note("no turn has begun yet"),
                    false => output.line(&timeline.render(width()))?,
                }
            }
            args::Events::Verify { session, .. } => {
                let ids = match session {
                    Some(session) => vec![engine.resolve(&session).await?],
                    None => engine.sessions().await?,
                };
                code = verify(context, &mut output, &engine, &ids).await?;
            }
        }
        engine.shutdown().await?;
        output.finish()?;
        Ok(code)
    })
}

fn list(context: &Context, output: &mut Output, events: &[Event]) -> Result<(), Failure> {
    if context.global.json {
        let lines: Result<Vec<&RawValue>, _> =
            events.iter().map(|event| serde_json::from_str(event.line())).collect();
        return output.list(&lines.expect("an event is one JSON value"));
    }
    let row = |event: &Event| {
        let time = jiff::Timestamp::from_microsecond(event.ts())
            .map(|time| time.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string())
            .unwrap_or_default();
        [event.seq().to_string(), time, event.kind().to_owned(), event.id().to_string()]
    };
    output.columns(&events.iter().map(row).collect::<Vec<_>>())
}

async fn verify(
    context: &Context,
    output: &mut Output,
    engine: &Engine,
    ids: &[SessionId],
) -> Result<u8, Failure> {
    let mut found = Vec::new();
    for id in ids {
        found.push(engine.verify(id).await?);
    }
    if context.global.json {
        output.list(&found)?;
    } else {
        let cells = |one: &Verified| {
            let what = match &one.fault {
                None => "holds".to_owned(),
                Some(fault) => format!("broken: {fault}"),
            };
            [one.session.to_string(), format!("{} events", one.events), what]
        };
        output.columns(&found.iter().map(cells).collect::<Vec<_>>())?;
    }
    let broken = found.iter().any(|one| one.fault.is_some());
    Ok(if broken { exit::code(ErrorKind::Store) } else { exit::OK })
}

fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.map(|size| usize::from(size.ws_col)).ok().filter(|columns| *columns > 0).unwrap_or(WIDTH)
}
