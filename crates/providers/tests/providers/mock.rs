//! Every adapter against one server that plays all their vendors: `AICHAT_MOCK_URL`, an `aimock` with the answers
//! named here.

use std::sync::Arc;
use std::time::Duration;

use aichat_message::{
    ErrorKind, Executor, FinishReason, Fold, Json, Message, Part, PartKind, Role, ToolSpec,
};
use aichat_providers::{
    Adapter, Anthropic, Azure, Driver, Endpoint, Error, Gemini, Http, Ollama, OpenaiChat, Profile, Provider,
    Request,
};
use futures::StreamExt;

use crate::azure::{chat, responses};

fn speaking(url: &str) -> Vec<(&'static str, Box<dyn Provider>)> {
    vec![
        ("anthropic", at(format!("{url}/v1"), Anthropic::new())),
        ("openai-chat", at(format!("{url}/v1"), OpenaiChat::new(Profile::generic()))),
        ("openai-responses", at(format!("{url}/v1"), responses())),
        ("gemini", at(format!("{url}/v1beta"), Gemini::new())),
        ("azure-chat", at(url.to_owned(), Azure::v1(chat()))),
        ("azure-chat, dated", at(url.to_owned(), Azure::dated(chat(), "2024-10-21"))),
        ("azure-responses", at(url.to_owned(), Azure::v1(responses()))),
        ("ollama", at(url.to_owned(), Ollama::new())),
    ]
}

fn at(base: String, adapter: impl Adapter + 'static) -> Box<dyn Provider> {
    let endpoint = Endpoint::new("mock", base, Arc::new(Http::new())).with_key("none".to_owned().into());
    Box::new(Driver::new(endpoint, adapter).unwrap())
}

fn ask(messages: Vec<Message>, stream: bool) -> Request {
    let parameters = Json::new(r#"{"type":"object","properties":{"city":{"type":"string"}}}"#).unwrap();
    let tool = ToolSpec { name: "get_weather".to_owned(), description: None, parameters, strict: None };
    Request { tools: vec![tool], stream, ..Request::new("m", messages) }
}

async fn answer(provider: &dyn Provider, request: Request) -> Result<Fold, Error> {
    let mut fold = Fold::new();
    let mut deltas = provider.stream(provider.prepare(request)?).await?;
    while let Some(delta) = deltas.next().await {
        fold.apply(&delta?);
    }
    Ok(fold)
}

#[tokio::test]
async fn a_mock_of_every_vendor_is_understood() {
    let Ok(url) = std::env::var("AICHAT_MOCK_URL") else {
        return eprintln!("skipped: no AICHAT_MOCK_URL");
    };
    for (name, provider) in speaking(&url) {
        for stream in [true, false] {
            let hello = answer(&*provider, ask(vec![Message::user("hello")], stream)).await.unwrap();
            assert_eq!(hello.message().text(), "Hello from the mock, nice to meet you.", "{name}");
            assert_eq!(hello.finish().unwrap().reason, FinishReason::Stop, "{name}");
            weather(name, &*provider, stream).await;
        }
        let failed = |text: &str| answer(&*provider, ask(vec![Message::user(text)], true));
        let limited = failed("rate me").await.unwrap_err();
        assert_eq!(
            (limited.kind(), limited.retry_after()),
            (ErrorKind::RateLimited, Some(Duration::from_secs(2)))
        );
        assert_eq!(failed("fail 500").await.unwrap_err().kind(), ErrorKind::Server, "{name}");
        let cut = failed("cut me").await.unwrap_err();
        assert_eq!(cut.kind(), ErrorKind::Truncated, "{name}: {cut:?}");
        // Some protocols say more than one thing before the first word.
        let came = cut.partial().map(Message::text).unwrap_or_default();
        assert!("This long answer will be cut short".starts_with(&came), "{name}: {came}");
        eprintln!("{name}: understood, cut after {came:?}");
    }
}

/// Two calls at once, and the answer to their results.
async fn weather(name: &str, provider: &dyn Provider, stream: bool) {
    let mut messages = vec![Message::user("weather")];
    let fold = answer(provider, ask(messages.clone(), stream)).await.unwrap();
    assert_eq!(fold.finish().unwrap().reason, FinishReason::ToolCalls, "{name}");
    let origin = provider.info().origin("m", fold.started());
    let message = Message { origin: Some(origin), ..fold.message() };
    let calls = message.parts.iter().filter_map(|part| match &part.kind {
        PartKind::ToolCall { call_id, arguments, executor: Executor::Client, .. } => {
            Some((call_id.clone(), arguments.as_str().replace(' ', "")))
        }
        _ => None,
    });
    let calls: Vec<_> = calls.collect();
    let arguments: Vec<_> = calls.iter().map(|(_, arguments)| arguments.as_str()).collect();
    assert_eq!(arguments, [r#"{"city":"Paris"}"#, r#"{"city":"Rome"}"#], "{name}");
    let results = calls.iter().map(|(id, _)| Part::tool_result(id.as_str(), "sunny")).collect();
    messages.extend([message, Message::new(Role::Tool, results)]);
    let fold = answer(provider, ask(messages, stream)).await.unwrap();
    assert_eq!(fold.message().text(), "Sunny in both.", "{name}");
}
