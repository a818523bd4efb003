//! `sessions search`: messages that hold what is looked for, the latest first.

use aichat_engine::{Engine, Hit, Search};
use aichat_message::Role;

use super::Context;
use super::sessions::{label, time};
use crate::args;
use crate::failure::Failure;
use crate::output::Output;

/// How far a snippet is set in.
const INDENT: usize = 4;

pub(crate) async fn run(
    context: &Context,
    output: &mut Output,
    engine: &Engine,
    args: args::Search,
) -> Result<(), Failure> {
    let session = match &args.session {
        Some(text) => Some(engine.resolve(text).await?),
        None => None,
    };
    let now = jiff::Timestamp::now();
    let search = Search {
        query: args.query.join(" "),
        session,
        role: args.role.map(role),
        model: args.model,
        since_us: args.since.map(|since| since.at(now)),
        until_us: args.until.map(|until| until.at(now)),
        // One more tells whether there are more.
        limit: Some(args.limit.saturating_add(1)),
    };
    let mut hits = engine.search(&search).await?;
    if hits.len() > args.limit {
        hits.truncate(args.limit);
        let what = match args.limit {
            1 => "this is the latest".to_owned(),
            limit => format!("these are the latest {limit}"),
        };
        context.talk.note(&format!("{what}; --limit asks for more"));
    }
    if context.global.json {
        return output.list(&hits);
    }
    let bold = context.global.color.applies(&context.env, output.is_terminal());
    for hit in &hits {
        output.line(&head(hit))?;
        let marks: Vec<_> =
            hit.found.matches.iter().map(|(start, end)| (start + INDENT, end + INDENT)).collect();
        output.marked(&format!("{:INDENT$}{}", "", hit.found.snippet), &marks, bold)?;
    }
    Ok(())
}

/// Returns where a hit is, in a line.
fn head(hit: &Hit) -> String {
    let mut cells = vec![hit.session.to_string(), time(hit.ts)];
    cells.push(hit.role.map_or("name", Role::as_str).to_owned());
    cells.extend(hit.model.clone());
    cells.push(label(hit.name.as_deref(), hit.title.as_deref()));
    if hit.archived {
        cells.push("(archived)".to_owned());
    }
    if hit.partial {
        cells.push("(not whole)".to_owned());
    }
    cells.retain(|cell| !cell.is_empty());
    cells.join("  ")
}

fn role(role: args::Role) -> Role {
    match role {
        args::Role::User => Role::User,
        args::Role::Assistant => Role::Assistant,
        args::Role::System => Role::System,
        args::Role::Tool => Role::Tool,
    }
}
