//! What a model is told of the form of its answer, where the protocol has no field for it.

use std::borrow::Cow;

use aichat_message::{Message, Role};

use crate::request::{Output, Request};

/// Returns the request with the form of its answer as a standing instruction, after those that begin it.
pub(crate) fn instructed(request: &Request) -> Cow<'_, Request> {
    let text = match &request.output {
        None => return Cow::Borrowed(request),
        Some(Output::Json) => {
            "Answer with one JSON object and nothing else: no fence, no other words.".to_owned()
        }
        Some(Output::Schema { schema, .. }) => format!(
            "Answer with JSON that keeps to the JSON Schema below, and nothing else: no fence, no other words.\n\n{schema}"
        ),
    };
    let stands = |message: &&Message| matches!(message.role, Role::System | Role::Developer);
    let at = request.messages.iter().take_while(stands).count();
    let mut request = request.clone();
    request.messages.insert(at, Message::system(text));
    Cow::Owned(request)
}
