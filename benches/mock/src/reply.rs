//! The bytes of an answer, as OpenAI Chat Completions writes them.

use crate::json::quote;

/// Returns one SSE event as one HTTP chunk.
fn event(data: &[u8]) -> Vec<u8> {
    let mut out = format!("{:x}\r\ndata: ", data.len() + "data: \n\n".len()).into_bytes();
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n\r\n");
    out
}

fn chunk(model: &str, delta: &str, finish: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-mock","object":"chat.completion.chunk","created":1700000000,"model":{},"system_fingerprint":"fp_mock","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]}}"#,
        quote(model)
    )
}

fn usage(prompt: &str, chunks: usize) -> String {
    let read = prompt.split_whitespace().count();
    format!(r#"{{"prompt_tokens":{read},"completion_tokens":{chunks},"total_tokens":{}}}"#, read + chunks)
}

/// Returns the event that names the role.
pub(crate) fn opening(model: &str) -> Vec<u8> {
    event(chunk(model, r#"{"role":"assistant","content":""}"#, "null").as_bytes())
}

/// Returns the event of one increment.
pub(crate) fn delta(model: &str, text: &str) -> Vec<u8> {
    event(chunk(model, &format!(r#"{{"content":{}}}"#, quote(text)), "null").as_bytes())
}

/// Returns the event of one increment whose text is `ff fe`.
pub(crate) fn bad_delta(model: &str) -> Vec<u8> {
    let mut data = chunk(model, r#"{"content":"??"}"#, "null").into_bytes();
    let at = data.windows(2).position(|pair| pair == b"??").expect("the text is in the chunk");
    data[at..at + 2].copy_from_slice(b"\xff\xfe");
    event(&data)
}

/// Returns the events after the last increment: the finish reason, the usage where wanted, the terminal marker.
pub(crate) fn closing(model: &str, prompt: &str, chunks: usize, with_usage: bool) -> Vec<u8> {
    let mut out = event(chunk(model, "{}", r#""stop""#).as_bytes());
    if with_usage {
        let data = format!(
            r#"{{"id":"chatcmpl-mock","object":"chat.completion.chunk","created":1700000000,"model":{},"system_fingerprint":"fp_mock","choices":[],"usage":{}}}"#,
            quote(model),
            usage(prompt, chunks)
        );
        out.extend(event(data.as_bytes()));
    }
    out.extend(event(b"[DONE]"));
    out
}

/// Returns the error object as an event.
pub(crate) fn error_event() -> Vec<u8> {
    event(error("the mock failed in mid-stream", "server_error", "mock_failure").as_bytes())
}

/// Returns the body of an answer that is not streamed; `text` is raw JSON string content, quotes included.
pub(crate) fn whole(model: &str, text: &str, prompt: &str, chunks: usize) -> String {
    format!(
        r#"{{"id":"chatcmpl-mock","object":"chat.completion","created":1700000000,"model":{},"choices":[{{"index":0,"message":{{"role":"assistant","content":{text},"refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{}}}"#,
        quote(model),
        usage(prompt, chunks)
    )
}

/// Returns an error body.
pub(crate) fn error(message: &str, kind: &str, code: &str) -> String {
    format!(
        r#"{{"error":{{"message":{},"type":{},"param":null,"code":{}}}}}"#,
        quote(message),
        quote(kind),
        quote(code)
    )
}

/// Returns the error body that OpenAI would send with `status`.
pub(crate) fn error_of(status: u16) -> String {
    let (kind, code) = match status {
        401 => ("invalid_request_error", "invalid_api_key"),
        402 => ("billing_error", "billing_hard_limit_reached"),
        403 => ("permission_error", "permission_denied"),
        404 => ("invalid_request_error", "model_not_found"),
        429 => ("rate_limit_error", "rate_limit_exceeded"),
        500.. => ("server_error", "internal_error"),
        _ => ("invalid_request_error", "invalid_request"),
    };
    error(&format!("the mock answers {status}"), kind, code)
}

/// Returns the answer of the models call.
pub(crate) fn models() -> String {
    let items: Vec<String> = ["c1", "c100-d1000", "echo"]
        .map(|id| format!(r#"{{"id":"{id}","object":"model","created":1700000000,"owned_by":"mock"}}"#))
        .to_vec();
    format!(r#"{{"object":"list","data":[{}]}}"#, items.join(","))
}
