//! `sessions tree`: the messages of a session, each below the one it follows.

use aichat_events::Transcript;

use super::Context;
use crate::failure::Failure;
use crate::output::Output;

/// Prints the tree.
pub(super) fn print(context: &Context, output: &mut Output, transcript: &Transcript) -> Result<(), Failure> {
    let nodes = transcript.nodes();
    if context.global.json {
        return output.list(&nodes);
    }
    if nodes.is_empty() {
        context.talk.note("nothing has been said yet");
    }
    for node in &nodes {
        output.line(&node.line().text())?;
    }
    Ok(())
}
