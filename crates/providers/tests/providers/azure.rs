//! Azure OpenAI: addresses, keys, and what its filters add to OpenAI's protocols.

use std::sync::Arc;

use aichat_message::{ErrorKind, FinishReason, Message, Protocol};
use aichat_providers::{
    Adapter, Azure, Driver, Endpoint, HttpRequest, OpenaiChat, OpenaiResponses, Profile, Provider, Request,
    ResponsesProfile,
};
use secrecy::SecretString;

use crate::canned::{Canned, driver, open, outcome, play};
use crate::recordings::{fixtures, in_folder, spoken};

pub(crate) fn chat() -> OpenaiChat {
    OpenaiChat::new(Profile::named("azure").unwrap())
}

pub(crate) fn responses() -> OpenaiResponses {
    OpenaiResponses::new(ResponsesProfile::named("azure").unwrap())
}

/// Returns the request that a call is, at this base address.
async fn asked(base: &str, adapter: impl Adapter) -> HttpRequest {
    let canned = Arc::new(Canned::sse(&["[DONE]"]));
    let endpoint = Endpoint::new("azure", base, canned.clone()).with_key(SecretString::from("CANARY"));
    let provider = Driver::new(endpoint, adapter).unwrap();
    let call = provider.prepare(Request::new("my deployment", vec![Message::user("hi")])).unwrap();
    assert!(!call.url.contains('?'), "{}", call.url);
    provider.stream(call).await.err();
    canned.seen.lock().unwrap().remove(0)
}

#[tokio::test]
async fn a_deployment_has_two_addresses() {
    for base in ["", "/", "/openai", "/openai/v1", "/openai/v1/"] {
        let base = format!("https://mine.openai.azure.com{base}");
        let uri = asked(&base, Azure::v1(chat())).await.uri().to_string();
        assert_eq!(uri, "https://mine.openai.azure.com/openai/v1/chat/completions", "{base}");
        let uri = asked(&base, Azure::dated(chat(), "2024-10-21")).await.uri().to_string();
        assert_eq!(
            uri,
            "https://mine.openai.azure.com/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21",
            "{base}"
        );
    }
    let uri = asked("https://gateway.example/llm/v1", Azure::v1(chat())).await.uri().to_string();
    assert_eq!(uri, "https://gateway.example/llm/v1/chat/completions");
    let uri = asked("https://gateway.example/llm", Azure::dated(chat(), "v&1")).await.uri().to_string();
    assert!(
        uri.starts_with("https://gateway.example/llm/openai/deployments/") && uri.ends_with("=v%261"),
        "{uri}"
    );
}

#[tokio::test]
async fn responses_have_their_deployment_in_the_body() {
    for (adapter, address) in [
        (Azure::v1(responses()), "/openai/v1/responses"),
        (Azure::dated(responses(), "2025-04-01-preview"), "/openai/responses?api-version=2025-04-01-preview"),
    ] {
        assert_eq!(adapter.protocol(), Protocol::AzureResponses);
        let request = asked("https://mine.openai.azure.com", adapter).await;
        assert_eq!(request.uri().path_and_query().unwrap(), address);
        assert_eq!(request.headers()["api-key"], "CANARY");
        let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(body["model"], "my deployment");
    }
}

/// What Azure answered once, and what it means here: that the folder is understood at all is shown where OpenAI's
/// own answers are.
#[tokio::test]
async fn recorded_responses_mean_what_they_mean_at_openai() {
    let Some(root) = fixtures() else { return eprintln!("skipped: no folder of recordings") };
    let recordings = in_folder(spoken("openai-responses"), &root.join("azure-responses"));
    assert!(recordings.len() >= 5);
    for recording in recordings {
        let provider = driver(Arc::new(recording.canned()), Azure::v1(responses()));
        let (here, error) = play(&provider).await;
        assert!(error.is_none(), "{}: {error:?}", recording.name);
        let (there, _) = play(&driver(Arc::new(recording.canned()), responses())).await;
        assert_eq!(outcome(&here, None), outcome(&there, None), "{}", recording.name);
        let origin = provider.info().origin("m", here.started());
        assert_eq!(origin.protocol, Protocol::AzureResponses);
    }
}

#[tokio::test]
async fn a_key_and_a_token_go_into_headers_of_their_own() {
    let base = "https://mine.openai.azure.com";
    let request = asked(base, Azure::v1(chat())).await;
    assert_eq!(request.headers()["api-key"], "CANARY");
    assert!(request.headers()["api-key"].is_sensitive() && !request.headers().contains_key("authorization"));
    let request = asked(base, Azure::dated(chat(), "2024-10-21").with_token()).await;
    assert_eq!(request.headers()["authorization"], "Bearer CANARY");
    assert!(!request.headers().contains_key("api-key") && !request.uri().to_string().contains("CANARY"));
}

#[tokio::test]
async fn an_early_date_has_an_early_profile() {
    let early = OpenaiChat::new(Profile::named("azure-early").unwrap());
    let body = |request: HttpRequest| String::from_utf8(request.body().to_vec()).unwrap();
    let base = "https://mine.openai.azure.com";
    assert!(!body(asked(base, Azure::dated(early, "2024-02-01")).await).contains("stream_options"));
    assert!(body(asked(base, Azure::v1(chat())).await).contains("stream_options"));
    assert_eq!(Profile::for_host("mine.openai.azure.com:443").name(), "azure");
    assert_eq!(Profile::for_host("openai.azure.com.example").name(), "generic");
}

#[tokio::test]
async fn what_the_filters_say_is_kept() {
    let canned = Canned::sse(&[
        r#"{"choices":[],"id":"","model":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"jailbreak":{"filtered":false}}}]}"#,
        r#"{"id":"c","model":"gpt","choices":[{"index":0,"delta":{"content":"a"},"content_filter_results":{"hate":{"severity":"low"}}}]}"#,
        r#"{"id":"c","model":"gpt","choices":[{"index":0,"delta":{},"finish_reason":"content_filter","content_filter_results":{}}]}"#,
        "[DONE]",
    ]);
    let provider = driver(Arc::new(canned), Azure::v1(chat()));
    assert_eq!(provider.info().protocol, Protocol::AzureChat);
    let (fold, error) = play(&provider).await;
    assert!(error.is_none());
    let start = fold.started();
    assert_eq!((start.response_id.as_deref(), start.model.as_deref()), (Some("c"), Some("gpt")));
    assert_eq!(fold.finish().unwrap().reason, FinishReason::ContentFilter);
    let message = fold.message();
    let kept = |name| message.extra.get(name).map(|value| value.get().to_owned());
    assert_eq!(kept("response.content_filter_results").unwrap(), r#"{"hate":{"severity":"low"}}"#);
    assert!(kept("response.prompt_filter_results").unwrap().contains("jailbreak"));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let filtered = r#"{"error":{"message":"m","code":null,"status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#;
    let cases = [
        (400, filtered, ErrorKind::ContentFiltered, false),
        (400, r#"{"error":{"code":"content_filter","message":"m"}}"#, ErrorKind::ContentFiltered, false),
        (401, r#"{"error":{"code":"401","message":"m"}}"#, ErrorKind::Auth, false),
        (
            401,
            r#"{"statusCode":401,"message":"Unauthorized. Access token is missing"}"#,
            ErrorKind::Auth,
            false,
        ),
        (404, r#"{"error":{"code":"DeploymentNotFound","message":"m"}}"#, ErrorKind::NotFound, false),
        (404, r#"{"error":{"code":"404","message":"Resource not found"}}"#, ErrorKind::NotFound, false),
        (429, r#"{"error":{"code":"429","message":"m"}}"#, ErrorKind::RateLimited, true),
        (429, r#"{"error":{"code":"insufficient_quota","message":"m"}}"#, ErrorKind::Quota, false),
        (200, filtered, ErrorKind::ContentFiltered, false),
    ];
    for (status, body, kind, retryable) in cases {
        let mut canned = Canned::new(status, "application/json", body);
        canned.headers.push(("apim-request-id".to_owned(), "a-1".to_owned()));
        let error = match open(&driver(Arc::new(canned), Azure::v1(chat()))).await {
            Ok(_) => {
                play(&driver(Arc::new(Canned::new(200, "application/json", body)), Azure::v1(chat()))).await.1
            }
            Err(error) => {
                assert_eq!(error.request_id(), Some("a-1"));
                Some(error)
            }
        };
        let error = error.unwrap();
        assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{status} {body}: {error:?}");
    }
}

#[tokio::test]
async fn models_are_listed_below_the_same_address() {
    let list = r#"{"data":[{"id":"gpt-4o","created":1}],"object":"list"}"#;
    for (adapter, address) in [
        (Azure::v1(chat()), "/openai/v1/models"),
        (Azure::dated(chat(), "2024-10-21"), "/openai/models?api-version=2024-10-21"),
    ] {
        let canned = Arc::new(Canned::new(200, "application/json", list));
        let endpoint = Endpoint::new("azure", "https://mine.openai.azure.com", canned.clone());
        let models = Driver::new(endpoint, adapter).unwrap().models().await.unwrap();
        assert_eq!(models[0].id, "gpt-4o");
        let asked = canned.seen.lock().unwrap().remove(0);
        assert_eq!(asked.uri().path_and_query().unwrap(), address);
    }
}

#[test]
fn a_provider_says_of_what_profile_and_version_it_is() {
    let said = |adapter: Box<dyn Adapter>| {
        (adapter.profile().map(str::to_owned), adapter.api_version().map(str::to_owned))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(said(Box::new(Azure::v1(chat()))), (some("azure"), None));
    assert_eq!(said(Box::new(Azure::dated(responses(), "v1"))), (some("azure"), some("v1")));
    assert_eq!(said(Box::new(aichat_providers::Anthropic::new())), (None, some("2023-06-01")));
    let endpoint = Endpoint::new("mine", "https://mine.openai.azure.com", Arc::new(Canned::sse(&[])));
    let provider = Driver::new(endpoint, Azure::dated(chat(), "2024-10-21")).unwrap();
    let info = provider.info();
    assert_eq!((info.profile.as_deref(), info.api_version.as_deref()), (Some("azure"), Some("2024-10-21")));
}
