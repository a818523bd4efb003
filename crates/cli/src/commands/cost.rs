//! `cost`: what calls cost, added up.

use aichat_engine::{CostBy, CostGroup, CostQuery, Costs};
use serde::Serialize;

use super::Context;
use crate::args;
use crate::assemble;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;

/// The groups as a list, with the sum of all of them, those left out by `--limit` too.
#[derive(Serialize)]
struct Listed<'a> {
    items: &'a [CostGroup],
    next: Option<()>,
    total: &'a CostGroup,
}

pub(crate) fn run(context: &Context, args: args::Cost) -> Result<u8, Failure> {
    let engine = match args.reprice {
        true => assemble::editor(context)?,
        false => assemble::reader(context)?,
    };
    let mut output = Output::stdout()?;
    context.runtime()?.block_on(async {
        if args.reprice {
            let revised = engine.reprice().await?;
            context.talk.note(&match revised {
                1 => "1 call has a price now that had none".to_owned(),
                _ => format!("{revised} calls have a price now that had none"),
            });
        }
        let session = match &args.session {
            Some(text) => Some(engine.resolve_deleted(text).await?),
            None => None,
        };
        let now = jiff::Timestamp::now();
        let query = CostQuery {
            by: args.by.iter().copied().map(by).collect(),
            since_us: args.since.map(|since| since.at(now)),
            until_us: args.until.map(|until| until.at(now)),
            session,
        };
        let Costs { total, mut groups } = engine.costs(&query).await?;
        if let Some(limit) = args.limit.filter(|limit| groups.len() > *limit) {
            groups.truncate(limit);
            let what =
                if limit == 1 { "this is 1 group".to_owned() } else { format!("these are {limit} groups") };
            context.talk.note(&format!("{what}; --limit asks for more"));
        }
        match context.global.json {
            true => output.object("aichat.list/1", &Listed { items: &groups, next: None, total: &total })?,
            false => {
                let mut rows: Vec<_> =
                    groups.iter().map(|group| row(&name(group, &query.by), group)).collect();
                rows.push(row("total", &total));
                output.columns(&rows)?;
            }
        }
        engine.shutdown().await?;
        output.finish()?;
        Ok(exit::OK)
    })
}

fn by(by: args::By) -> CostBy {
    match by {
        args::By::Model => CostBy::Model,
        args::By::Day => CostBy::Day,
        args::By::Session => CostBy::Session,
        args::By::Agent => CostBy::Agent,
        args::By::Provider => CostBy::Provider,
        args::By::Turn => CostBy::Turn,
        args::By::Call => CostBy::Call,
    }
}

/// Returns what the calls of a group have in common, in the order that was asked for.
fn name(group: &CostGroup, by: &[CostBy]) -> String {
    let one = |by: &CostBy| {
        let name = match by {
            CostBy::Day => group.day.clone(),
            CostBy::Model => group.model.clone(),
            CostBy::Provider => group.provider.clone(),
            CostBy::Session => group.session.as_ref().map(ToString::to_string),
            CostBy::Agent => group.agent.clone(),
            CostBy::Turn => group.turn.as_ref().map(ToString::to_string),
            CostBy::Call => group.call.as_ref().map(ToString::to_string),
            _ => None,
        };
        name.unwrap_or_else(|| "-".to_owned())
    };
    by.iter().map(one).collect::<Vec<_>>().join("  ")
}

fn row(name: &str, group: &CostGroup) -> [String; 4] {
    let calls = match group.cost.calls {
        1 => "1 call".to_owned(),
        calls => format!("{calls} calls"),
    };
    let bound = if group.calls_without_usage > 0 { "at least " } else { "" };
    let tokens = format!("{bound}{} in, {} out", group.input_tokens, group.output_tokens);
    [name.to_owned(), group.cost.to_string(), calls, tokens]
}
