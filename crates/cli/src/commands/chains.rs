//! `events head` and `events verify`: where chains end, and whether they hold.

use std::path::Path;

use aichat_engine::{Engine, Verified};
use aichat_events::Witness;
use aichat_message::{ErrorKind, SessionId};
use serde::Deserialize;

use super::Context;
use crate::args;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::plural::plural;
use crate::prompt;

/// Prints the heads of chains that hold, and complains of the others: nobody shall vouch for those.
pub(super) async fn head(
    context: &Context,
    output: &mut Output,
    engine: &Engine,
    chains: args::Chains,
) -> Result<u8, Failure> {
    let mut heads = Vec::new();
    let mut code = exit::OK;
    for session in sessions(engine, chains).await? {
        let Verified { session, events, head, fault } = engine.verify(&session).await?;
        match fault {
            None => heads.push(Witness { session, seq: events, hash: head }),
            Some(fault) => {
                context.talk.warning(&format!("session {session} is broken: {fault}"));
                code = exit::code(ErrorKind::Store);
            }
        }
    }
    match context.global.json {
        true => output.list(&heads)?,
        false => heads.iter().try_for_each(|head| output.line(&head.to_string()))?,
    }
    Ok(code)
}

pub(super) async fn verify(
    context: &Context,
    output: &mut Output,
    engine: &Engine,
    chains: args::Chains,
    against: Option<&Path>,
) -> Result<u8, Failure> {
    let witnesses = against.map(read).transpose()?.unwrap_or_default();
    let all = chains.all;
    let mut ids = sessions(engine, chains).await?;
    if all {
        ids.extend(witnesses.iter().map(|witness| witness.session.clone()));
        ids.sort();
        ids.dedup();
    }
    let mut found = Vec::new();
    for id in ids {
        found.push(engine.verify_against(&id, &witnesses).await?);
    }
    if context.global.json {
        output.list(&found)?;
    } else {
        let cells = |one: &Verified| {
            let what = match &one.fault {
                None => "holds".to_owned(),
                Some(fault) => format!("broken: {fault}"),
            };
            [one.session.to_string(), plural(one.events, "event"), what]
        };
        output.columns(&found.iter().map(cells).collect::<Vec<_>>())?;
    }
    let broken = found.iter().filter(|one| one.fault.is_some()).count() as u64;
    if all && !context.global.json {
        let chains = plural(found.len() as u64, "chain");
        let events = plural(found.iter().map(|one| one.events).sum(), "event");
        context.talk.note(&match broken {
            0 => format!("all holds: {chains}, {events}"),
            broken => format!("broken: {broken} of {chains}; {events} hold"),
        });
    }
    Ok(if broken > 0 { exit::code(ErrorKind::Store) } else { exit::OK })
}

async fn sessions(engine: &Engine, chains: args::Chains) -> Result<Vec<SessionId>, Failure> {
    Ok(match chains.session {
        Some(session) => vec![engine.resolve(&session).await?],
        None => engine.sessions().await?,
    })
}

/// Reads what `events head` printed, in either form.
fn read(path: &Path) -> Result<Vec<Witness>, Failure> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Witness>,
    }
    let wrong = |why: String| Failure::new(ErrorKind::Input, format!("{}: {why}", path.display()));
    let text = prompt::text_of(path)?;
    if text.trim_start().starts_with('{') {
        let list: Result<List, _> = serde_json::from_str(&text);
        return Ok(list.map_err(|_| wrong("not what `events head --json` prints".to_owned()))?.items);
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(n, line)| line.parse().map_err(|e| wrong(format!("line {}: {e}", n + 1)))).collect()
}
