//! The public contract, run by every adapter of this crate against its own recordings.

use std::sync::Arc;

use aichat_message::{ErrorKind, FinishReason};
use aichat_providers::contract::{self, Sample, Subject};
use aichat_providers::{
    Anthropic, Azure, Driver, Exchange, Gemini, Ollama, OpenaiChat, OpenaiResponses, Profile,
    ResponsesProfile,
};

use crate::azure::chat;
use crate::recordings::samples;

mod anthropic {
    use super::*;

    fn subject() -> Subject {
        let refusal = |kind: &str| format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"m"}}}}"#);
        let spent = refusal("rate_limit_error")
            .replace("\"m\"", "\"m\",\"details\":{\"error_code\":\"enforced_spend_limit_reached\"}");
        Subject::new(|endpoint| Ok(Arc::new(Driver::new(endpoint, Anthropic::new())?)))
            .samples(samples("anthropic"))
            .sample(
                Sample::new("busy", "application/json", refusal("overloaded_error"))
                    .status(529)
                    .error(ErrorKind::Overloaded),
            )
            .sample(Sample::new("spent", "application/json", spent).status(429).error(ErrorKind::Quota))
            .sample(
                Sample::new("error alone", "application/json", refusal("api_error")).error(ErrorKind::Server),
            )
    }

    aichat_providers::contract!(subject);
}

mod openai_chat {
    use super::*;

    const SSE: &str = "text/event-stream";

    fn sse(events: &[&str]) -> String {
        events.iter().map(|event| format!("data: {event}\n\n")).collect()
    }

    fn subject() -> Subject {
        let begin =
            r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;
        let usage =
            r#"{"id":"c","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":5,"total_tokens":16}}"#;
        let hello = sse(&[
            begin,
            r#"{"id":"c","choices":[{"index":0,"delta":{"reasoning_content":"wave "}}]}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{"reasoning_content":"👋"}}]}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":"Grüße, "}}]}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":"👩‍🚀"}}]}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            usage,
            "[DONE]",
        ]);
        let calls = sse(&[
            r#"{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"clock","arguments":""}}]}}]}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"zone\":"}}]}}]}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"now","arguments":"{}"}}]}}]}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"UTC\"}"}}]}}]}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
            usage,
        ]);
        let whole = r#"{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        let broke = sse(&[
            begin,
            r#"{"choices":[{"index":0,"delta":{"content":"half"}}]}"#,
            r#"{"error":{"message":"out of memory","type":"server_error","code":500}}"#,
        ]);
        let quota = r#"{"error":{"message":"You exceeded your current quota.","code":"insufficient_quota"}}"#;
        Subject::new(|endpoint| Ok(Arc::new(Driver::new(endpoint, OpenaiChat::new(Profile::generic()))?)))
            .sample(
                Sample::new("hello", SSE, hello.clone())
                    .reasoning("wave 👋")
                    .text("Grüße, 👩‍🚀")
                    .usage(Some(11), Some(5))
                    .finish(FinishReason::Stop),
            )
            .sample(
                Sample::new("line ends", SSE, hello.replace('\n', "\r\n"))
                    .reasoning("wave 👋")
                    .text("Grüße, 👩‍🚀"),
            )
            .sample(
                Sample::new("calls", SSE, calls)
                    .call("a", "clock", r#"{"zone":"UTC"}"#)
                    .call("b", "now", "{}")
                    .finish(FinishReason::ToolCalls),
            )
            .sample(
                Sample::new("whole", "application/json", whole)
                    .text("hello")
                    .usage(Some(1), Some(2))
                    .finish(FinishReason::Length),
            )
            .sample(Sample::new("broke", SSE, broke).text("half").error(ErrorKind::Server))
            .sample(
                Sample::new("error alone", "application/json", r#"{"error":"no room"}"#)
                    .error(ErrorKind::Server),
            )
            .sample(Sample::new("quota", "application/json", quota).status(429).error(ErrorKind::Quota))
            .samples(samples("openai-chat"))
    }

    aichat_providers::contract!(subject);
}

mod azure {
    use super::*;

    fn subject() -> Subject {
        Subject::new(|endpoint| Ok(Arc::new(Driver::new(endpoint, Azure::dated(chat(), "2024-10-21"))?)))
            .samples(samples("azure"))
    }

    aichat_providers::contract!(subject);
}

mod gemini {
    use super::*;

    fn subject() -> Subject {
        Subject::new(|endpoint| Ok(Arc::new(Driver::new(endpoint, Gemini::new())?)))
            .samples(samples("gemini"))
    }

    aichat_providers::contract!(subject);
}

mod ollama {
    use super::*;

    fn subject() -> Subject {
        Subject::new(|endpoint| Ok(Arc::new(Driver::new(endpoint, Ollama::new())?)))
            .samples(samples("ollama"))
    }

    aichat_providers::contract!(subject);
}

#[tokio::test(start_paused = true)]
async fn a_recorded_exchange_is_a_sample() {
    let recorded = r#"{
        "request": {"v": 1, "method": "POST", "path": "/v1/chat/completions", "body": "{}"},
        "answer": {"at_us": 9, "status": 200, "headers": [["content-type", "text/event-stream"]]},
        "chunks": [{"at_us": 10, "bytes": "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n"}]
    }"#;
    let exchange: Exchange = serde_json::from_str(recorded).unwrap();
    let subject =
        Subject::new(|endpoint| Ok(Arc::new(Driver::new(endpoint, OpenaiChat::new(Profile::generic()))?)))
            .sample(Sample::recorded("recorded", &exchange).text("hi").finish(FinishReason::Stop));
    contract::a_whole_answer_is_understood(&subject).await;
}

mod openai_responses {
    use super::*;

    fn subject() -> Subject {
        let adapter = || OpenaiResponses::new(ResponsesProfile::generic());
        let quota = r#"{"error":{"message":"You exceeded your current quota.","code":"insufficient_quota"}}"#;
        let hello = "event: response.created\n\
            data: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"m\"}}\n\n\
            data: {\"type\":\"response.reasoning_text.delta\",\"output_index\":0,\"delta\":\"wave 👋\"}\n\n\
            data: {\"type\":\"response.output_text.delta\",\"output_index\":1,\"delta\":\"Grüße, \"}\n\n\
            data: {\"type\":\"response.output_text.delta\",\"output_index\":1,\"delta\":\"👩‍🚀\"}\n\n\
            data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\
            \"usage\":{\"input_tokens\":11,\"output_tokens\":5}}}\n\n";
        Subject::new(move |endpoint| Ok(Arc::new(Driver::new(endpoint, adapter())?)))
            .sample(
                Sample::new("hello", "text/event-stream", hello)
                    .reasoning("wave 👋")
                    .text("Grüße, 👩‍🚀")
                    .usage(Some(11), Some(5))
                    .finish(FinishReason::Stop),
            )
            .sample(Sample::new("quota", "application/json", quota).status(429).error(ErrorKind::Quota))
            .samples(samples("openai-responses"))
    }

    aichat_providers::contract!(subject);
}
