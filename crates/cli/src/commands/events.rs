//! `events`: what happened in a session, listed, drawn and verified.

use aichat_events::{Event, Timeline};
use serde_json::value::RawValue;

use super::{Context, chains};
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
            args::Events::Head(chains) => code = chains::head(context, &mut output, &engine, chains).await?,
            args::Events::Verify { chains, against } => {
                code = chains::verify(context, &mut output, &engine, chains, against.as_deref()).await?;
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

fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.map(|size| usize::from(size.ws_col)).ok().filter(|columns| *columns > 0).unwrap_or(WIDTH)
}
