//! `sessions heads` and `sessions branch`: the branches of a session, and which one it goes on from.

use aichat_engine::Summary;
use aichat_events::sanitise;
use aichat_message::MessageId;
use serde::Serialize;

use super::Context;
use crate::failure::Failure;
use crate::output::Output;

/// One branch.
#[derive(Serialize)]
struct Head<'a> {
    session: &'a str,
    branch: &'a str,
    /// The message it ends with; null before the first one.
    message: Option<&'a MessageId>,
    current: bool,
}

/// Prints the branches of a session by name.
pub(super) fn print(context: &Context, output: &mut Output, summary: &Summary) -> Result<(), Failure> {
    let heads = &summary.heads;
    let (session, branch) = (summary.id.as_str(), heads.branch.as_str());
    let mut all = vec![Head { session, branch, message: heads.head.as_ref(), current: true }];
    all.extend(heads.heads.iter().map(|(branch, message)| Head {
        session,
        branch,
        message: message.as_ref(),
        current: false,
    }));
    all.sort_by_key(|head| head.branch);
    if context.global.json {
        return output.list(&all);
    }
    let row = |head: &Head<'_>| {
        let message = head.message.map_or_else(|| "(nothing said)".to_owned(), MessageId::to_string);
        [if head.current { "*" } else { " " }.to_owned(), sanitise(head.branch).into_owned(), message]
    };
    output.columns(&all.iter().map(row).collect::<Vec<_>>())
}
