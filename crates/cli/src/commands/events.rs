//! `events`: what happened in a session, listed, drawn and verified.

use aichat_engine::Raw;
use aichat_events::{Detail, Filter, Tab, Timeline, View};
use aichat_message::{ErrorKind, SessionId};
use serde_json::value::RawValue;

use super::{Context, chains, otel, replay, tail};
use crate::args;
use crate::assemble;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;

/// Columns of what is drawn where there is no terminal to ask.
const WIDTH: usize = 100;
/// Columns of a list that nobody reads on a terminal: nothing is cut.
pub(super) const ENDLESS: usize = 100_000;

pub(crate) fn run(context: &Context, args: args::Events) -> Result<u8, Failure> {
    if let args::Events::Tail { session, follow, limit } = args {
        return tail::run(context, session.as_deref(), follow, limit);
    }
    let engine = assemble::reader(context)?;
    let mut output = Output::stdout()?;
    context.runtime()?.block_on(async {
        let mut code = exit::OK;
        match args {
            args::Events::List { session, filter, limit } => {
                let id = engine.resolve(&session.session).await?;
                let view = View::of(engine.events(&id).await?);
                let filter = Filter { kinds: filter.kinds, text: filter.text, errors: filter.errors };
                let mut shown = view.shown(None, &filter);
                shown.truncate(limit.limit.unwrap_or(usize::MAX));
                list(context, &mut output, &view, &shown)?;
            }
            args::Events::Show { session, event } => {
                let id = engine.resolve(&session.session).await?;
                let view = View::of(engine.events(&id).await?);
                let at = find(&view, &id, &event)?;
                let mut detail = view.detail(at).expect("the place is one of the view");
                if let Some((kept, span)) = view.wire(at) {
                    let Raw { request, response } = engine.raw(kept, span).await?;
                    (detail.request, detail.response) = (request, response);
                }
                show(context, &mut output, &detail)?;
            }
            args::Events::Timeline(args) => {
                let id = engine.resolve(&args.session).await?;
                let timeline = Timeline::of(&engine.events(&id).await?);
                match context.global.json {
                    true => output.object("aichat.timeline/1", &timeline)?,
                    false if timeline.turns.is_empty() => context.talk.note("no turn has begun yet"),
                    false => output.line(&timeline.render(terminal().unwrap_or(WIDTH)))?,
                }
            }
            args::Events::Report { session, output: None } => {
                output.text(engine.report(&engine.resolve(&session).await?).await?).await?;
            }
            args::Events::Report { session, output: Some(file) } => {
                let page = engine.report(&engine.resolve(&session).await?).await?;
                std::fs::write(&file, page)
                    .map_err(|error| Failure::file(ErrorKind::Store, "cannot write", &file, &error))?;
            }
            args::Events::Tail { .. } => {}
            args::Events::Otel(args) => otel::send(context, &mut output, &engine, args).await?,
            args::Events::Replay { session, offline } => {
                let id = engine.resolve(&session.session).await?;
                code = replay::print(context, &mut output, &engine, &id, offline).await?;
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

fn list(context: &Context, output: &mut Output, view: &View, shown: &[usize]) -> Result<(), Failure> {
    if context.global.json {
        let lines: Result<Vec<&RawValue>, _> =
            shown.iter().map(|at| serde_json::from_str(view.events()[*at].line())).collect();
        return output.list(&lines.expect("an event is one JSON value"));
    }
    let width = terminal().unwrap_or(ENDLESS);
    for line in shown.iter().flat_map(|at| view.rows()[*at].lines(width)) {
        output.line(&line.text())?;
    }
    Ok(())
}

/// Finds the event that a place or an id stands for.
fn find(view: &View, session: &SessionId, text: &str) -> Result<usize, Failure> {
    let seq = text.parse().ok();
    let is_it = |at: &usize| {
        let row = &view.rows()[*at];
        (seq.is_some() && row.seq == seq)
            || (text.len() > "evt_".len() && text.starts_with("evt_") && row.id.as_str().starts_with(text))
    };
    let found: Vec<usize> = (0..view.rows().len()).filter(is_it).collect();
    let failure = match found[..] {
        [at] => return Ok(at),
        [] => format!("no event of session {session} matches {text:?}"),
        _ => format!("{text:?} is ambiguous in session {session}"),
    };
    Err(Failure::new(ErrorKind::Input, failure).hint("`aichat events list` shows the events"))
}

fn show(context: &Context, output: &mut Output, detail: &Detail) -> Result<(), Failure> {
    if context.global.json {
        return output.object("aichat.event/1", detail);
    }
    for tab in Tab::ALL {
        if tab != Tab::Rendered {
            output.line(&format!("\n{}", tab.name()))?;
        }
        for line in detail.lines(tab, terminal().unwrap_or(WIDTH)) {
            output.line(&line.text())?;
        }
    }
    Ok(())
}

/// Returns the columns of the terminal that standard output is.
pub(super) fn terminal() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.map(|size| usize::from(size.ws_col)).ok().filter(|columns| *columns > 0)
}
