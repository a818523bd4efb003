//! `store`: look after the place where sessions are kept.

use aichat_engine::{Compacted, Copied, Engine, Examined, Overview};
use aichat_message::ErrorKind;

use super::Context;
use crate::args;
use crate::assemble;
use crate::exit;
use crate::failure::Failure;
use crate::location::Location;
use crate::output::Output;
use crate::plural::plural;

pub(crate) fn run(context: &Context, args: args::Store) -> Result<u8, Failure> {
    let here = || assemble::location(context);
    let named = |text| assemble::named(context, text);
    match &args {
        args::Store::Backup { dest } => return copy(context, &here()?, &named(dest)?),
        args::Store::Restore { source } => return copy(context, &named(source)?, &here()?),
        args::Store::Copy { from, to } => return copy(context, &named(from)?, &named(to)?),
        _ => {}
    }
    let engine = match &args {
        args::Store::Rebuild | args::Store::Compact => assemble::editor(context)?,
        _ => assemble::reader(context)?,
    };
    let mut output = Output::stdout()?;
    context.runtime()?.block_on(async {
        let code = look_after(context, &mut output, &engine, &args).await?;
        engine.shutdown().await?;
        output.finish()?;
        Ok(code)
    })
}

async fn look_after(
    context: &Context,
    output: &mut Output,
    engine: &Engine,
    args: &args::Store,
) -> Result<u8, Failure> {
    let json = context.global.json;
    match args {
        args::Store::Verify => {
            let examined = engine.examine().await?;
            match json {
                true => output.object("aichat.verified/1", &examined)?,
                false => tell_examined(output, &examined)?,
            }
            return Ok(code(examined.findings.is_empty()));
        }
        args::Store::Rebuild => {
            let rebuilt = engine.rebuild().await?;
            match json {
                true => output.object("aichat.rebuilt/1", &rebuilt)?,
                false => output.line(&format!(
                    "rebuilt {} from {}",
                    plural(rebuilt.sessions, "session"),
                    plural(rebuilt.events, "event")
                ))?,
            }
        }
        args::Store::Compact => {
            let compacted = engine.compact().await?;
            match json {
                true => output.object("aichat.compacted/1", &compacted)?,
                false => output.line(&told(&compacted))?,
            }
        }
        _ => {
            let mut overview = engine.overview().await?;
            if let Location::Directory(path) = assemble::location(context)?
                && !assemble::is_there(&path)
            {
                (overview.backend, overview.place) = ("none yet".to_owned(), path.display().to_string());
            }
            match json {
                true => output.object("aichat.store/1", &overview)?,
                false => tell_overview(output, &overview)?,
            }
        }
    }
    Ok(exit::OK)
}

fn copy(context: &Context, from: &Location, to: &Location) -> Result<u8, Failure> {
    let [from, to] = assemble::pair(context, from, to)?;
    let mut output = Output::stdout()?;
    context.runtime()?.block_on(async {
        let copied = from.copy_to(&to).await?;
        from.shutdown().await?;
        to.shutdown().await?;
        match context.global.json {
            true => output.object("aichat.copied/1", &copied)?,
            false => tell_copied(context, &mut output, &copied)?,
        }
        output.finish()?;
        Ok(code(copied.refused.is_empty()))
    })
}

fn code(holds: bool) -> u8 {
    if holds { exit::OK } else { exit::code(ErrorKind::Store) }
}

fn tell_overview(output: &mut Output, overview: &Overview) -> Result<(), Failure> {
    let row = |name: &str, value: String| [name.to_owned(), value];
    let blobs = format!("{}, {}", overview.blobs, size(overview.blob_bytes));
    let mut rows = vec![
        row("place", overview.place.clone()),
        row("backend", format!("{}, layout {}", overview.backend, overview.layout)),
        row("sessions", overview.sessions.to_string()),
        row("events", overview.events.to_string()),
        row("blobs", blobs),
        row("size", overview.bytes.map_or_else(|| "unknown".to_owned(), size)),
        row("in flight", plural(overview.turns_in_flight, "turn")),
    ];
    rows.extend(overview.set_aside.iter().map(|name| row("set aside", format!("{name}: {}", advice(name)))));
    output.columns(&rows)
}

/// Says what became of something that was set aside, and what to do with it.
fn advice(name: &str) -> &'static str {
    if name.contains("damaged-snap") {
        "an index that was damaged and was made anew; delete it"
    } else if name.contains(".late") {
        "what came after its turn was taken for dead; the log has the turn without it; look at it, then delete it"
    } else {
        "a turn with damaged bytes; the log has what could be read; look at it, then delete it"
    }
}

fn tell_examined(output: &mut Output, examined: &Examined) -> Result<(), Failure> {
    for finding in &examined.findings {
        output.line(&format!("{} {}: {}", finding.subject, finding.place, finding.fault))?;
        output.line(&format!("  {}", finding.remedy))?;
    }
    let Examined { sessions, events, blobs, documents, .. } = examined;
    let what = format!("{}, {}", plural(*sessions, "session"), contents(*events, *blobs, *documents));
    output.line(&match examined.findings.len() {
        0 => format!("all holds: {what}"),
        faults => format!("{} in {what}", plural(faults as u64, "fault")),
    })
}

fn told(compacted: &Compacted) -> String {
    let sizes = match (compacted.bytes_before, compacted.bytes) {
        (Some(before), Some(now)) => format!("{} before, {} now", size(before), size(now)),
        _ => "done".to_owned(),
    };
    format!("{sizes}; {} removed", plural(compacted.blobs_removed, "unused blob"))
}

fn tell_copied(context: &Context, output: &mut Output, copied: &Copied) -> Result<(), Failure> {
    for refused in &copied.refused {
        context.talk.warning(&format!("{}: {}", refused.place, refused.reason));
    }
    if copied.turns_in_flight > 0 {
        let verb = if copied.turns_in_flight == 1 { "is" } else { "are" };
        let turns = plural(copied.turns_in_flight, "turn");
        context.talk.note(&format!("{turns} in flight {verb} not in the copy"));
    }
    if copied.repaired > 0 {
        context.talk.note(&format!("{} things that were damaged there are whole again", copied.repaired));
    }
    if copied.erased > 0 {
        let verb = if copied.erased == 1 { "was" } else { "were" };
        let what = format!("{} {verb} erased there as well", plural(copied.erased, "session"));
        context.talk.note(&format!(
            "{what}; `aichat store compact` of that place takes their bytes out of its files"
        ));
    }
    let Copied { sessions, sessions_added, events, blobs, documents, bytes, .. } = copied;
    output.line(&format!(
        "copied {sessions_added} of {}: {}, {}",
        plural(*sessions, "session"),
        contents(*events, *blobs, *documents),
        size(*bytes)
    ))
}

fn contents(events: u64, blobs: u64, documents: u64) -> String {
    let [events, blobs, documents] = [(events, "event"), (blobs, "blob"), (documents, "document")]
        .map(|(number, noun)| plural(number, noun));
    format!("{events}, {blobs}, {documents}")
}

/// Returns a number of bytes as people read it.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}
