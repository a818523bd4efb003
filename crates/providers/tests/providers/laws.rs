//! What the driver guarantees for every adapter.

use std::sync::Arc;
use std::time::Duration;

use aichat_message::{Delta, ErrorKind, FinishReason, Protocol};
use aichat_providers::{
    Adapter, Decoder, Driver, Encoded, Endpoint, Error, Info, OpenaiChat, Page, Profile, Provider, Redactor,
    Request, Timeout,
};
use futures::StreamExt;
use http::HeaderName;
use insta::assert_snapshot;
use secrecy::SecretString;

use crate::canned::{Canned, Tail, ask, chat, driver, endpoint, open, play};

const HELLO: &str = r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"hello"}}]}"#;
const STOP: &str = r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;

#[tokio::test]
async fn usage_after_the_finish_reason_comes_before_the_finish() {
    let provider = chat(Canned::sse(&[HELLO, STOP, USAGE, "[DONE]"]).tail(Tail::Hang));
    let deltas: Vec<_> = open(&provider).await.unwrap().map(Result::unwrap).collect().await;
    let at = |wanted: fn(&Delta) -> bool| deltas.iter().position(wanted).unwrap();
    assert!(at(|d| matches!(d, Delta::Usage(_))) < at(|d| matches!(d, Delta::Finish(_))));
    assert_eq!(at(|d| matches!(d, Delta::Finish(_))), deltas.len() - 1);
}

#[tokio::test(start_paused = true)]
async fn an_open_socket_after_the_answer_is_not_waited_for() {
    for events in [&[HELLO, STOP, "[DONE]"][..], &[HELLO, STOP, USAGE]] {
        let (began, provider) = (tokio::time::Instant::now(), chat(Canned::sse(events).tail(Tail::Hang)));
        let (fold, error) = play(&provider).await;
        assert!(error.is_none());
        assert_eq!(fold.finish().unwrap().reason, FinishReason::Stop);
        assert!(began.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn a_broken_connection_is_truncated_unless_the_answer_was_over() {
    let (_, error) = play(&chat(Canned::sse(&[HELLO]).tail(Tail::Reset))).await;
    let error = error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Truncated);
    assert_eq!(error.partial().unwrap().text(), "hello");
    let (fold, error) = play(&chat(Canned::sse(&[HELLO, STOP, USAGE]).tail(Tail::Reset))).await;
    assert!(error.is_none() && fold.usage().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_stall_is_a_timeout_and_comments_are_no_stall() {
    let began = tokio::time::Instant::now();
    let (_, error) = play(&chat(Canned::sse(&[HELLO]).tail(Tail::Hang))).await;
    let error = error.unwrap();
    assert!(began.elapsed() < Duration::from_secs(130), "the limit for the first byte is over with it");
    assert_eq!((error.timeout(), error.partial().unwrap().text()), (Some(Timeout::Idle), "hello".to_owned()));

    let mut silent = Canned::new(200, "text/event-stream", "");
    (silent.chunks, silent.tail) = (Vec::new(), Tail::Hang);
    let (_, error) = play(&chat(silent)).await;
    assert_eq!(error.unwrap().timeout(), Some(Timeout::FirstByte));

    let mut slow = Canned::sse(&[HELLO, STOP, "[DONE]"]);
    let rest = slow.chunks.pop().unwrap();
    slow.chunks = std::iter::repeat_n(": ping\n\n".into(), 20).chain([rest]).collect();
    slow.pause = Duration::from_secs(8);
    let (fold, error) = play(&chat(slow)).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(fold.message().text(), "hello");
}

#[tokio::test(start_paused = true)]
async fn comments_alone_are_not_believed_for_ever() {
    let streamed = "text/event-stream";
    for (kind, sign) in [
        (streamed, ": OPENROUTER PROCESSING\n\n"),
        (streamed, "data: {\"choices\":[]}\n\n"),
        ("application/json", "\n"),
    ] {
        for greeting in [vec![], vec![format!("data: {HELLO}\n\n").into()]] {
            let greeted = !greeting.is_empty();
            let mut alive = Canned::new(200, kind, "").tail(Tail::Hang);
            alive.chunks = [greeting, vec![sign.into(); 100]].concat();
            alive.pause = Duration::from_secs(8);
            let began = tokio::time::Instant::now();
            let (_, error) = play(&chat(alive)).await;
            let (error, took) = (error.unwrap(), began.elapsed().as_secs());
            assert_eq!((error.kind(), error.timeout()), (ErrorKind::Timeout, Some(Timeout::Idle)));
            assert_eq!(error.message(), "nothing but keep-alives for 180 s", "{sign:?}");
            assert!((180..200).contains(&took), "{sign:?}: {took} s");
            assert_eq!(error.partial().map(|part| part.text()), greeted.then(|| "hello".to_owned()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_taken_whole_may_take_its_time() {
    let body = r#"{"choices":[{"index":0,"message":{"content":"hello"},"finish_reason":"stop"}]}"#;
    let mut slow = Canned::new(200, "application/json", "");
    slow.chunks = body.as_bytes().chunks(2).map(|two| two.to_vec().into()).collect();
    slow.pause = Duration::from_secs(8);
    let (fold, error) = play(&chat(slow)).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(fold.message().text(), "hello");
}

#[tokio::test]
async fn a_huge_error_body_is_bounded_and_a_redirect_is_an_error() {
    let (_, error) = play(&chat(Canned::new(500, "text/plain", vec![b'x'; 10 << 20]))).await;
    assert_eq!(error.unwrap().raw_body().unwrap().len(), 64 << 10);
    let (_, error) = play(&chat(Canned::new(307, "text/html", ""))).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_web_page_or_bad_utf8_in_an_accepted_answer_is_a_decode_error() {
    let (_, error) = play(&chat(Canned::new(200, "text/html", "<html><title>Log in</title></html>"))).await;
    let error = error.unwrap();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Decode, "the server answered with a web page: Log in")
    );
    let body = [b"data: ".as_slice(), HELLO.as_bytes(), b"\n\ndata: \xff\n\n"].concat();
    let (_, error) = play(&chat(Canned::new(200, "text/event-stream", body))).await;
    let error = error.unwrap();
    assert_eq!((error.kind(), error.partial().unwrap().text()), (ErrorKind::Decode, "hello".to_owned()));
}

#[tokio::test]
async fn lines_under_another_content_type_are_read_as_lines() {
    let lines = async |stop: &str| {
        let body = format!("{HELLO}\n\n{stop}");
        play(&chat(Canned::new(200, "application/json; charset=utf-8", body))).await
    };
    let (fold, error) = lines(&format!("{STOP}\n")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(
        (fold.message().text().as_str(), fold.finish().unwrap().reason),
        ("hello", FinishReason::Stop)
    );
    let error = lines(&STOP[..20]).await.1.unwrap();
    assert_eq!((error.kind(), error.partial().unwrap().text()), (ErrorKind::Truncated, "hello".to_owned()));
    let error = lines("<html>").await.1.unwrap();
    assert_eq!(error.partial().unwrap().text(), "hello");
    let error = play(&chat(Canned::new(200, "application/json", "{\n{}\n}"))).await.1.unwrap();
    assert_eq!((error.kind(), error.partial()), (ErrorKind::Decode, None));
}

#[tokio::test]
async fn headers_are_in_the_start() {
    let mut canned = Canned::sse(&[HELLO, STOP, "[DONE]"]);
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    canned.headers.extend([header("x-request-id", "req_1"), header("x-ratelimit-remaining-tokens", "9")]);
    let (fold, _) = play(&chat(canned)).await;
    let start = fold.started();
    assert_eq!((start.request_id.as_deref(), start.response_id.as_deref()), (Some("req_1"), Some("c")));
    assert_eq!(start.rate_limits, [header("x-ratelimit-remaining-tokens", "9")]);

    let mut canned = Canned::new(429, "application/json", "{}");
    canned.headers.extend([header("x-ratelimit-remaining-tokens", "0"), header("retry-after", "7")]);
    let error = play(&chat(canned)).await.1.unwrap();
    assert_eq!(error.rate_limits(), [header("x-ratelimit-remaining-tokens", "0")]);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn error_texts() {
    let quota = r#"{"error":{"message":"You exceeded your current quota.","code":"insufficient_quota"}}"#;
    let mut canned = Canned::new(429, "application/json", quota);
    canned.headers.push(("x-request-id".to_owned(), "req_9".to_owned()));
    let texts = [
        play(&chat(canned)).await.1,
        play(&chat(Canned::new(503, "text/plain", ""))).await.1,
        play(&chat(Canned::new(502, "text/html", "<title>502 Bad Gateway</title>"))).await.1,
        play(&chat(Canned::sse(&[HELLO]))).await.1,
        play(&chat(Canned::sse(&[HELLO, r#"{"error":"out of memory"}"#]))).await.1,
        play(&chat(Canned::sse(&["{broken"]))).await.1,
    ];
    let texts: Vec<_> = texts.map(|error| error.unwrap().to_string()).into();
    assert_snapshot!(texts.join("\n"), @r"
    test/m: You exceeded your current quota. (status 429, code insufficient_quota, request req_9)
    test/m: the server answered: service unavailable (status 503)
    test/m: the server answered with a web page: 502 Bad Gateway (status 502)
    test/m: the stream ended before the answer did (status 200)
    test/m: out of memory (status 200)
    test/m: an event of the answer is not what the protocol allows (status 200)
    ");
}

#[tokio::test]
async fn the_key_is_nowhere_but_in_a_sensitive_header() {
    const KEY: &str = "sk-CANARY-0123456789";
    let echoed = format!(r#"{{"error":{{"message":"bad key {KEY}, {KEY}","code":"{KEY}"}}}}"#);
    for (status, body) in
        [(401, echoed.clone()), (200, echoed.clone()), (502, format!("<title>{KEY}</title>"))]
    {
        let mut canned = Canned::new(status, "application/json", body);
        canned.headers.push(("x-request-id".to_owned(), KEY.to_owned()));
        canned.headers.push(("x-ratelimit-by".to_owned(), KEY.to_owned()));
        let transport = Arc::new(canned);
        let endpoint = endpoint(transport.clone()).with_key(SecretString::from(KEY));
        let mut shown = format!("{endpoint:?}");
        let provider = Driver::new(endpoint, OpenaiChat::new(Profile::generic())).unwrap();
        let (fold, error) = play(&provider).await;
        let error = error.unwrap();
        shown += &format!("{error} {error:?} {:?} {:?} {:?}", error.raw_body(), error.code(), fold.started());
        shown += &format!("{:?} {:?}", provider.info(), provider.prepare(ask()).unwrap());
        let requests = transport.seen.lock().unwrap();
        shown += &format!("{requests:?}");
        assert_eq!(requests[0].headers()["authorization"], format!("Bearer {KEY}"));
        assert!(!shown.contains("CANARY"), "{shown}");
    }
    let bad = endpoint(Arc::new(Canned::sse(&[]))).with_key(SecretString::from(format!("{KEY}\n")));
    let error = Driver::new(bad, OpenaiChat::new(Profile::generic())).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(!format!("{error} {error:?}").contains("CANARY"));
}

#[tokio::test]
async fn what_a_header_holds_is_masked_without_its_scheme_too() {
    let body = r#"{"error":{"message":"bad keys: sk-header-secret, sk-header-secret-longer"}}"#;
    let canned = Arc::new(Canned::new(401, "application/json", body));
    let endpoint = endpoint(canned)
        .with_header(http::header::AUTHORIZATION, SecretString::from("Bearer sk-header-secret"))
        .with_header(http::HeaderName::from_static("x-gate"), SecretString::from("sk-header-secret-longer"));
    let error = play(&Driver::new(endpoint, OpenaiChat::new(Profile::generic())).unwrap()).await.1.unwrap();
    assert_eq!(error.message(), "bad keys: ‹secret›, ‹secret›");
    assert!(!format!("{error:?} {:?}", error.raw_body()).contains("sk-header"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_list_of_models_says_how_long_it_was_waited_for() {
    let fault = Arc::new(aichat_providers::Fault::new([aichat_providers::Plan::silent()]));
    let error = driver(fault, OpenaiChat::new(Profile::generic())).models().await.unwrap_err();
    assert_eq!(error.message(), "no answer for 10 s");
}

/// Sends its key as a part of what its header says.
struct Gate(OpenaiChat);

impl Adapter for Gate {
    fn protocol(&self) -> Protocol {
        self.0.protocol()
    }

    fn encode(&self, info: &Info, request: &Request) -> Result<Encoded, Error> {
        self.0.encode(info, request)
    }

    fn decoder(&self, info: &Info) -> Box<dyn Decoder> {
        self.0.decoder(info)
    }

    fn path(&self, request: &Request) -> String {
        self.0.path(request)
    }

    fn models_path(&self, after: Option<&str>) -> Option<String> {
        self.0.models_path(after)
    }

    fn models(&self, body: &str) -> Result<Page, Error> {
        self.0.models(body)
    }

    fn key_header(&self, key: &str) -> (HeaderName, String) {
        (HeaderName::from_static("x-gate"), format!("Token token={key}, v=1"))
    }
}

#[tokio::test]
async fn a_key_within_a_header_and_every_form_of_user_info_is_masked() {
    for (user_info, key, echoed) in [
        ("", Some("sk-CANARY-1"), "sk-CANARY-1"),
        ("me:CANARY%40-pw@", None, "CANARY%40-pw"),
        ("me:CANARY%40-pw@", None, "CANARY@-pw"),
        ("me:CANARY%40-pw:more@", None, "CANARY%40-pw:more"),
        ("CANARY-token@", None, "CANARY-token"),
        ("CANARY%2Dtoken:@", None, "CANARY%2Dtoken"),
    ] {
        let body = format!(r#"{{"error":{{"message":"not {echoed}"}}}}"#);
        let transport = Arc::new(Canned::new(401, "application/json", body));
        let mut endpoint = Endpoint::new("p", format!("http://{user_info}h:9/v1"), transport);
        if let Some(key) = key {
            endpoint = endpoint.with_key(SecretString::from(key));
        }
        let provider = Driver::new(endpoint, Gate(OpenaiChat::new(Profile::generic()))).unwrap();
        let error = play(&provider).await.1.unwrap();
        assert_eq!(error.message(), "not ‹secret›", "{user_info} {key:?}");
        assert!(!error.raw_body().unwrap().contains("CANARY"));
    }
}

#[tokio::test]
async fn the_caller_s_redactor_is_asked_too() {
    let redactor =
        Redactor::new(|bytes| String::from_utf8_lossy(bytes).replace("hunter2", "***").into_bytes().into());
    let body = r#"{"error":{"message":"no hunter2"}}"#;
    let endpoint = endpoint(Arc::new(Canned::new(400, "application/json", body))).with_redactor(redactor);
    let provider = Driver::new(endpoint, OpenaiChat::new(Profile::generic())).unwrap();
    let error = play(&provider).await.1.unwrap();
    assert_eq!(error.message(), "no ***");
    assert!(!error.raw_body().unwrap().contains("hunter2"));
}

#[tokio::test]
async fn user_info_becomes_a_basic_header() {
    let transport = Arc::new(Canned::sse(&["[DONE]"]));
    let mut endpoint = aichat_providers::Endpoint::new("p", "http://u:CANARY-pw@h:9/v1", transport.clone());
    endpoint = endpoint.with_local(true);
    let provider = Driver::new(endpoint, OpenaiChat::new(Profile::generic())).unwrap();
    let call = provider.prepare(ask()).unwrap();
    assert_eq!((provider.info().host.as_str(), call.url.as_str()), ("h:9", "http://h:9/v1/chat/completions"));
    play(&provider).await;
    let requests = transport.seen.lock().unwrap();
    assert_eq!(requests[0].headers()["authorization"], "Basic dTpDQU5BUlktcHc=");
    assert!(!format!("{requests:?}").contains("CANARY"));
}

#[tokio::test]
async fn dropping_a_stream_drops_the_exchange() {
    let transport = Arc::new(Canned::sse(&[HELLO]).tail(Tail::Hang));
    let provider = driver(transport.clone(), OpenaiChat::new(Profile::generic()));
    let mut stream = open(&provider).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(Delta::Start(_)))));
    drop((stream, provider));
    assert_eq!(Arc::strong_count(&transport), 1);
}

#[tokio::test]
async fn a_compressed_answer_is_refused_and_not_retried() {
    let mut packed = Canned::sse(&[HELLO, STOP, "[DONE]"]);
    packed.headers.push(("content-encoding".into(), "gzip".into()));
    let (_, error) = play(&chat(packed)).await;
    let error = error.unwrap();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Decode, false));
    assert!(error.to_string().contains("gzip"), "{error}");
}
