//! `events replay`: a conversation made from events alone, and turns run again over their recordings.

use aichat_engine::{Divergence, Engine, ReplayOutcome, Replayed, TurnReplay};
use aichat_events::{Transcript, sanitise};
use aichat_message::{ErrorKind, Json, SessionId};
use serde::Serialize;

use super::Context;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::plural::plural;

/// How much of a value that differs is shown, in characters.
const EXCERPT: usize = 200;
/// How much of it is shown before the place where it differs, in characters.
const BEFORE: usize = 40;

/// What came of replaying a session.
#[derive(Serialize)]
struct Report<'a> {
    same: bool,
    #[serde(flatten)]
    replayed: &'a Replayed,
}

/// Prints the conversation, or where a replay differs first, and returns the exit code.
pub(super) async fn print(
    context: &Context,
    output: &mut Output,
    engine: &Engine,
    session: &SessionId,
    offline: bool,
) -> Result<u8, Failure> {
    if offline {
        let replayed = engine.replay(session).await?;
        tell(context, &replayed);
        let different = replayed.difference();
        let is_any = |turn: &TurnReplay| !matches!(turn.outcome, ReplayOutcome::NotReplayable { .. });
        let code = if different.is_some() { exit::OTHER } else { exit::OK };
        if different.is_none() && !replayed.turns.is_empty() && !replayed.turns.iter().any(is_any) {
            let what = format!("no turn of session {session} can be replayed");
            return Err(Failure::new(ErrorKind::Input, what)
                .hint("what went over the network is kept with record.wire = \"on\""));
        }
        if context.global.json {
            output.object("aichat.replay/1", &Report { same: different.is_none(), replayed: &replayed })?;
            return Ok(code);
        }
        if let Some((turn, difference)) = different {
            report(output, turn, difference)?;
            return Ok(code);
        }
    }
    let transcript = Transcript::fold(&engine.history(session).await?);
    match context.global.json {
        true => output.object("aichat.transcript/1", &transcript)?,
        false => output.line(&transcript.to_markdown())?,
    }
    Ok(exit::OK)
}

/// Says on standard error how many turns were replayed, and what could not be.
fn tell(context: &Context, replayed: &Replayed) {
    let mut done = 0;
    for turn in &replayed.turns {
        match &turn.outcome {
            ReplayOutcome::NotReplayable { why } => {
                context.talk.warning(&format!("turn {} was not replayed: {why}", turn.turn));
            }
            ReplayOutcome::Same { notes } => {
                done += 1;
                notes.iter().for_each(|note| context.talk.note(&format!("turn {}: {note}", turn.turn)));
            }
            ReplayOutcome::Different { .. } => done += 1,
        }
    }
    context.talk.note(&format!("{done} of {} replayed", plural(replayed.turns.len() as u64, "turn")));
}

/// Prints where a replay differs first.
fn report(output: &mut Output, turn: &TurnReplay, difference: &Divergence) -> Result<(), Failure> {
    let place = match difference.seq {
        Some(seq) => format!("event {seq}, {}", difference.event),
        None => format!("after its last event, {}", difference.event),
    };
    output.line(&format!("turn {} differs at {place}: {}", turn.turn, sanitise(&difference.field)))?;
    let text = |json: &Option<Json>| json.as_ref().map_or("nothing", Json::get).to_owned();
    let (expected, got) = (text(&difference.expected), text(&difference.got));
    let same = expected.chars().zip(got.chars()).take_while(|(a, b)| a == b).count();
    output.line(&format!("- recorded {}", excerpt(&expected, same)))?;
    output.line(&format!("+ replayed {}", excerpt(&got, same)))
}

/// Returns the passage of a value in which it differs.
fn excerpt(text: &str, at: usize) -> String {
    let start = at.saturating_sub(BEFORE);
    let start = if start < BEFORE { 0 } else { start };
    let mut passage: String = text.chars().skip(start).take(EXCERPT).collect();
    if start > 0 {
        passage.insert(0, '…');
    }
    if text.chars().nth(start + EXCERPT).is_some() {
        passage.push('…');
    }
    sanitise(&passage).into_owned()
}
