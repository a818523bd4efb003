//! `sessions diff`: what was said in two sessions, side by side.

use aichat_engine::Engine;
use aichat_events::Diff;

use super::Context;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;

/// Prints how two sessions compare, and returns the exit code: 0 where both say the same.
pub(super) async fn print(
    context: &Context,
    output: &mut Output,
    engine: &Engine,
    a: &str,
    b: &str,
) -> Result<u8, Failure> {
    let (a, b) = (engine.resolve(a).await?, engine.resolve(b).await?);
    let diff = Diff::of(&engine.history(&a).await?, &engine.history(&b).await?);
    match context.global.json {
        true => output.object("aichat.diff/1", &diff)?,
        false => {
            let colour = context.global.color.applies(&context.env, output.is_terminal());
            for line in diff.lines() {
                output.toned(&line, colour)?;
            }
        }
    }
    Ok(if diff.differs { exit::OTHER } else { exit::OK })
}
