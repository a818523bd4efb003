//! The transports that wrap others: recording, replay, faults, limits.

use std::error::Error as _;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aichat_message::ErrorKind;
use aichat_providers::{
    Difference, Diverged, Error, Exchange, Fault, How, HttpRequest, HttpResponse, Limits, Obstacle,
    OpenaiChat, Pace, Piece, Plan, Profile, Provider, Recording, Redactor, Replay, Tape, Throttled, Timeout,
    Transport, labelled,
};
use bytes::Bytes;
use futures::StreamExt;
use insta::assert_snapshot;
use tokio::time::Instant;

use crate::canned::{ask, driver, open, outcome, play};

const HELLO: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hel\"}}]}\n\n\
                     data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n\
                     data: [DONE]\n\n";

fn sse() -> Plan {
    Plan::body("text/event-stream", HELLO)
}

fn adapter() -> OpenaiChat {
    OpenaiChat::new(Profile::generic())
}

fn post(path: &str, body: &'static str) -> HttpRequest {
    http::Request::post(format!("http://user.invalid{path}")).body(Bytes::from(body)).unwrap()
}

fn with_key(mut request: HttpRequest, key: &str) -> HttpRequest {
    let mut value = http::HeaderValue::from_str(&format!("Bearer {key}")).unwrap();
    value.set_sensitive(true);
    request.headers_mut().insert("x-vendor-token", value);
    request
}

/// Reads an answer's body: its pieces, and the error it ended with.
async fn read(
    transport: &dyn Transport,
    request: HttpRequest,
) -> (Vec<Bytes>, Option<aichat_providers::Error>) {
    let mut body = transport.send(request).await.unwrap().into_body();
    let mut pieces = Vec::new();
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => pieces.push(piece),
            Err(error) => return (pieces, Some(error)),
        }
    }
    (pieces, None)
}

fn diverged(error: &aichat_providers::Error) -> Diverged {
    error.source().and_then(|source| source.downcast_ref::<Diverged>()).unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn what_is_recorded_is_played_again_through_the_real_decoder() {
    let slow = sse().pieces(9).pause(30, Duration::from_millis(1500)).pause(90, Duration::from_millis(500));
    let tape = Tape::new();
    let recording = Arc::new(Recording::new(Fault::new([slow]), tape.clone()));
    let (fold, error) = play(&driver(recording.clone(), adapter())).await;
    let first = outcome(&fold, error.as_ref());
    recording.flush().await;
    let text = serde_json::to_string(&tape.exchanges()).unwrap();
    let exchanges: Vec<Exchange> = serde_json::from_str(&text).unwrap();
    assert_eq!(exchanges, tape.exchanges(), "what is written is what is read");
    assert_eq!(exchanges[0].body(), HELLO.as_bytes());

    for (pace, took) in [(Pace::Instant, 0), (Pace::Recorded, 2000), (Pace::Scaled(0.5), 1000)] {
        let began = Instant::now();
        let replay = Arc::new(Replay::new(exchanges.clone()).with_pace(pace));
        let (fold, error) = play(&driver(replay.clone(), adapter())).await;
        assert_eq!(outcome(&fold, error.as_ref()), first);
        assert_eq!((began.elapsed(), replay.remaining()), (Duration::from_millis(took), 0), "{pace:?}");
    }
    let replay = Replay::new(exchanges.clone());
    let body: Vec<_> = exchanges[0].chunks.iter().map(|chunk| chunk.bytes.to_vec()).collect();
    let request = http::Request::post("http://elsewhere/v1/chat/completions");
    let sent = Bytes::from(exchanges[0].request.body.clone().unwrap());
    let (pieces, _) = read(&replay, request.body(sent).unwrap()).await;
    assert_eq!(pieces, body);
    assert!(pieces.len() >= HELLO.len() / 9 && pieces.iter().all(|piece| piece.len() <= 9));
}

#[tokio::test]
async fn the_form_of_a_recorded_exchange() {
    let (to, pieces) = channel();
    let recorder = move |exchange, piece| to.send((exchange, piece)).unwrap();
    let raw = Plan::body("text/plain", Bytes::from_static(b"ok\n\xff")).split(3);
    let recording = Recording::new(Fault::new([raw, Plan::unreachable()]), recorder);
    read(&recording, with_key(post("/v1/x?alt=sse&key=CANARY-1", "{}"), "CANARY-2")).await;
    assert!(recording.send(post("/v1/y", "")).await.is_err());
    recording.flush().await;
    let mut lines = Vec::new();
    let mut exchange: Option<Exchange> = None;
    for (number, mut piece) in pieces.try_iter() {
        match (&mut piece, &mut exchange) {
            (Piece::Answer(head), _) => head.at_us = 1,
            (Piece::Chunk(chunk), _) => chunk.at_us = 2,
            (Piece::End(end), _) => end.at_us = 3,
            _ => {}
        }
        lines.push(format!("{number} {}", serde_json::to_string(&piece).unwrap()));
        match (&mut exchange, piece) {
            (None, Piece::Request(sent)) => exchange = Some(Exchange::new(*sent)),
            (Some(exchange), piece) if number == 0 => exchange.push(piece),
            _ => {}
        }
    }
    assert_snapshot!(lines.join("\n"), @r#"
    0 {"request":{"v":1,"method":"POST","path":"/v1/x?alt=sse&key=‹secret›","headers":[],"body":"{}"}}
    0 {"answer":{"at_us":1,"status":200,"headers":[["content-type","text/plain"]]}}
    0 {"chunk":{"at_us":2,"bytes":"ok\n"}}
    0 {"chunk":{"at_us":2,"bytes":{"base64":"/w=="}}}
    0 {"end":{"at_us":3,"how":"complete"}}
    1 {"request":{"v":1,"method":"POST","path":"/v1/y","headers":[],"body":""}}
    1 {"end":{"at_us":3,"how":{"failed":{"kind":"transport","message":"the connection was refused; is the server running?"}}}}
    "#);
    let exchange = exchange.unwrap();
    assert_eq!(exchange.body(), b"ok\n\xff");
    assert_snapshot!(serde_json::to_string(&exchange).unwrap(), @r#"{"request":{"v":1,"method":"POST","path":"/v1/x?alt=sse&key=‹secret›","headers":[],"body":"{}"},"answer":{"at_us":1,"status":200,"headers":[["content-type","text/plain"]]},"chunks":[{"at_us":2,"bytes":"ok\n"},{"at_us":2,"bytes":{"base64":"/w=="}}],"end":{"at_us":3,"how":"complete"}}"#);
    let newer = r#"{"request":{"v":2,"method":"GET","path":"/","body":""}}"#;
    assert!(serde_json::from_str::<Exchange>(newer).unwrap_err().to_string().contains("version 2"));
}

#[tokio::test]
async fn no_secret_is_recorded_wherever_it_is_and_however_it_is_cut() {
    const KEY: &str = "sk-CANARY-0123456789";
    let redactor = Redactor::new(|bytes| {
        String::from_utf8_lossy(bytes).replace("hunter2-hunter2", "***").into_bytes().into()
    });
    let body = format!("{{\"a\":\"{KEY}\"}}\nhunter2-hunter2 {KEY}{KEY}\n tail {KEY}");
    let mut response = http::Response::new(Bytes::from(body.clone()));
    for (name, value) in [("x-request-id", KEY), ("set-cookie", "id=CANARY"), ("x-by", "hunter2-hunter2")] {
        response.headers_mut().insert(name, http::HeaderValue::from_str(value).unwrap());
    }
    for size in 1..40 {
        let tape = Tape::new();
        let fault = Fault::new([Plan::answer(response.clone()).pieces(size)]);
        let recording = Recording::new(fault, tape.clone()).with_redactor(redactor.clone());
        let mut request = with_key(post("/v1?api_key=CANARY&q=hunter2-hunter2", "hunter2-hunter2 and"), KEY);
        request.headers_mut().insert("x-api-key", http::HeaderValue::from_static("CANARY"));
        let (pieces, error) = read(&recording, request).await;
        assert_eq!(
            (pieces.concat(), error.is_none()),
            (body.clone().into_bytes(), true),
            "nothing is altered"
        );
        recording.flush().await;
        let exchange = tape.exchanges().remove(0);
        let shown = serde_json::to_string(&exchange).unwrap();
        assert!(!shown.contains("CANARY") && !shown.contains("hunter2"), "{size}: {shown}");
        let kept = String::from_utf8(exchange.body()).unwrap();
        assert_eq!(kept, "{\"a\":\"‹secret›\"}\n*** ‹secret›‹secret›\n tail ‹secret›", "{size}");
        assert!(format!("{exchange:?}").contains("***"));
        let replay = Replay::new([exchange]).with_redactor(redactor.clone());
        let again = with_key(post("/v1?api_key=other&q=hunter2-hunter2", "hunter2-hunter2 and"), "sk-dummy");
        assert!(replay.send(again).await.is_ok(), "the same request matches after the same redaction");
    }
}

#[tokio::test]
async fn the_caller_does_not_wait_for_the_recorder() {
    let (open_gate, gate) = channel::<()>();
    let (to, told) = channel();
    let recorder = move |_, piece: Piece| {
        let _ = gate.recv();
        let _ = to.send(piece);
    };
    let recording = Recording::new(Fault::new([sse().pieces(5)]), recorder);
    let (pieces, _) = read(&recording, post("/", "")).await;
    assert_eq!(pieces.concat(), HELLO.as_bytes());
    assert!(told.try_recv().is_err(), "the answer is out and the recorder has not begun");
    drop(open_gate);
    recording.flush().await;
    assert!(matches!(told.try_iter().last(), Some(Piece::End(end)) if end.how == How::Complete));
}

#[tokio::test]
async fn a_recorder_hears_of_each_piece_before_the_next_and_may_die() {
    let tape = Tape::new();
    let event = HELLO.find("\n\n").unwrap() + 2;
    let plan = sse().split(event).split(event + 9).stall(HELLO.len() - 20);
    let recording = Recording::new(Fault::new([plan]), tape.clone());
    let mut body = recording.send(post("/", "")).await.unwrap().into_body();
    recording.flush().await;
    assert_eq!(tape.exchanges()[0].answer.as_ref().unwrap().status, 200);
    for (came, kept) in [(event, event), (event + 9, event), (HELLO.len() - 20, event)] {
        body.next().await.unwrap().unwrap();
        recording.flush().await;
        assert_eq!(tape.exchanges()[0].body(), HELLO.as_bytes()[..kept], "{came} bytes have come");
    }
    drop(body);
    recording.flush().await;
    assert_eq!(tape.exchanges()[0].end.as_ref().unwrap().how, How::Dropped);
    assert_eq!(tape.exchanges()[0].body().len(), HELLO.len() - 20, "what was held back is there at the end");

    let dies = Recording::new(Fault::new([sse()]), |_, _| panic!("a recorder that fails"));
    for _ in 0..2 {
        assert_eq!(read(&dies, post("/", "")).await.0.concat(), HELLO.as_bytes());
        dies.flush().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_recorded_and_played() {
    let tape = Tape::new();
    let plans = [Plan::unreachable(), sse().reset(70), sse().hold_open()];
    let recording = Arc::new(Recording::new(Fault::new(plans), tape.clone()));
    let provider = driver(recording.clone(), adapter());
    let mut first = Vec::new();
    for _ in 0..3 {
        let (fold, error) = play(&provider).await;
        first.push(outcome(&fold, error.as_ref()));
    }
    recording.flush().await;
    let hows: Vec<_> = tape.exchanges().into_iter().map(|exchange| exchange.end.unwrap().how).collect();
    assert!(matches!(&hows[0], How::Failed { kind: ErrorKind::Transport, .. }));
    assert!(matches!(&hows[1], How::Failed { kind: ErrorKind::Transport, .. }));
    assert_eq!(hows[2], How::Dropped, "the driver lets go of an answer once its last event is there");
    let cancelled = Tape::new();
    let silent = Recording::new(Fault::new([Plan::silent()]), cancelled.clone());
    assert!(tokio::time::timeout(Duration::from_secs(1), silent.send(post("/", ""))).await.is_err());
    silent.flush().await;
    assert_eq!(cancelled.exchanges()[0].end.as_ref().unwrap().how, How::Dropped);

    let provider = driver(Arc::new(Replay::new(tape.exchanges())), adapter());
    for first in first {
        let (fold, error) = play(&provider).await;
        assert_eq!(outcome(&fold, error.as_ref()), first);
    }
}

#[tokio::test]
async fn a_failure_is_played_with_all_that_tells_what_to_do() {
    /// Fails with all that a transport can say.
    struct Busy;
    #[async_trait::async_trait]
    impl Transport for Busy {
        async fn send(&self, _: HttpRequest) -> Result<HttpResponse, Error> {
            Err(Error::timed_out(Timeout::Connect, Duration::from_secs(5))
                .with_obstacle(Obstacle::Unreachable)
                .with_retry_after(Some(Duration::from_secs(7))))
        }
    }
    let tape = Tape::new();
    let recording = Recording::new(Busy, tape.clone());
    assert!(recording.send(post("/", "")).await.is_err());
    recording.flush().await;
    let mut text = serde_json::to_string(&tape.exchanges()[0].end.as_ref().unwrap().how).unwrap();
    assert_snapshot!(text, @r#"{"failed":{"kind":"timeout","message":"no connection for 5 s","obstacle":"unreachable","timeout":"connect","retry_after_us":7000000}}"#);
    let play = async || {
        let replay = Replay::new(tape.exchanges());
        replay.send(post("/", "")).await.err().unwrap()
    };
    let error = play().await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!((error.timeout(), error.obstacle()), (Some(Timeout::Connect), Some(Obstacle::Unreachable)));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));

    text = text.replace("unreachable", "a later word");
    let how: How = serde_json::from_str(&text).unwrap();
    assert!(matches!(how, How::Failed { obstacle: None, timeout: Some(Timeout::Connect), .. }));
    let plain: How = serde_json::from_str(r#"{"failed":{"kind":"transport","message":"broke"}}"#).unwrap();
    assert!(matches!(plain, How::Failed { obstacle: None, timeout: None, retry_after_us: None, .. }));
}

#[tokio::test]
async fn a_request_that_leaves_its_recording_is_told_where() {
    let tape = Tape::new();
    let recording = Recording::new(Fault::new([sse()]), tape.clone());
    read(&recording, post("/v1/a?x=1", "{\"n\":1}")).await;
    recording.flush().await;
    let replay = Replay::new(tape.exchanges());
    let mut differences = Vec::new();
    for request in [
        http::Request::put("http://h/v1/a?x=1").body(Bytes::from("{\"n\":1}")).unwrap(),
        post("/v1/a?x=2", "{\"n\":1}"),
        post("/v1/a?x=1", "{\"n\":2}"),
        post("/v1/a?x=1", "{\"n\":1}\n"),
    ] {
        let error = replay.send(request).await.err().unwrap();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::InvalidRequest, false));
        differences.push(format!("{error}: {:?}", diverged(&error).difference));
    }
    assert_snapshot!(differences.join("\n"), @r#"
    request 1 differs from the recording in its method: Method { recorded: "POST", sent: "PUT" }
    request 1 differs from the recording in its path: Path { recorded: "/v1/a?x=1", sent: "/v1/a?x=2" }
    request 1 differs from the recording in its body, at byte 5: Body { at: 5 }
    request 1 differs from the recording in its body, at byte 7: Body { at: 7 }
    "#);
    assert_eq!(replay.remaining(), 1, "what differs uses nothing up");
    assert!(replay.send(post("/v1/a?x=1", "{\"n\":1}")).await.is_ok());
    let error = replay.send(post("/v1/a?x=1", "{\"n\":1}")).await.err().unwrap();
    assert_eq!(diverged(&error), Diverged { request: 2, difference: Difference::NotRecorded });

    let provider = driver(Arc::new(Replay::new([])), adapter());
    let error = play(&provider).await.1.unwrap();
    assert_eq!(error.to_string(), "test/m: request 1 is not in the recording");
    assert!(provider.prepare(ask()).is_ok() && open(&provider).await.is_err());
}

#[tokio::test]
async fn a_label_says_whose_exchange_it_is() {
    let tape = Tape::new();
    let recording = Arc::new(Recording::new(Fault::new([sse()]), tape.clone()));
    let provider = driver(recording.clone(), adapter());
    let labels = ["turn-1 attempt 1", "turn-2 attempt 1"];
    futures::future::join_all(labels.map(|label| labelled(label, play(&provider)))).await;
    play(&provider).await;
    recording.flush().await;
    let recorded: Vec<_> = tape.exchanges().into_iter().map(|exchange| exchange.request.label).collect();
    assert_eq!(recorded, [Some(labels[0].to_owned()), Some(labels[1].to_owned()), None]);
    let replay = Replay::new(tape.exchanges());
    assert!(play(&driver(Arc::new(replay), adapter())).await.1.is_none(), "a label is not compared");
}

#[tokio::test(start_paused = true)]
async fn a_fault_does_to_a_body_what_its_plan_says() {
    let body = || Plan::body("text/plain", "0123456789");
    let pieces = |plan: Plan| async move {
        let (pieces, error) = read(&Fault::new([plan]), post("/", "")).await;
        let mut text: Vec<_> =
            pieces.iter().map(|piece| String::from_utf8_lossy(piece).into_owned()).collect();
        text.extend(error.map(|error| error.to_string()));
        text.join("|")
    };
    assert_eq!(pieces(body()).await, "0123456789");
    assert_eq!(pieces(body().pieces(4)).await, "0123|4567|89");
    assert_eq!(pieces(body().split(7).split(2).split(2)).await, "01|23456|789");
    assert_eq!(pieces(body().cut(0)).await, "");
    assert_eq!(pieces(body().cut(3).append("never")).await, "012");
    assert_eq!(pieces(body().cut(99)).await, "0123456789");
    assert_eq!(pieces(body().reset(3)).await, "012|the connection was reset");
    assert_eq!(pieces(body().insert(3, "a").insert(3, "b").insert(10, "c")).await, "012|a|b|3456789|c");
    assert_eq!(pieces(body().flip(1, 0x40).flip(9, 0x01).pieces(5)).await, "0q234|56788");
    assert_eq!(pieces(body().append("tail")).await, "0123456789|tail");
    let began = Instant::now();
    assert_eq!(
        pieces(body().pause(3, Duration::from_secs(4)).pause(0, Duration::from_secs(1))).await,
        "012|3456789"
    );
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    for endless in [body().hold_open(), body().stall(10), body().stall(4)] {
        let fault = Fault::new([endless]);
        let read = async {
            let mut body = fault.send(post("/", "")).await.unwrap().into_body();
            while body.next().await.is_some() {}
        };
        assert!(tokio::time::timeout(Duration::from_secs(9999), read).await.is_err());
        assert_eq!(fault.under_way(), 0);
    }

    let inner = Fault::new([body()]);
    let over = Fault::over(Arc::new(inner.clone()), [Plan::unreachable(), Plan::pass().cut(4)]);
    assert!(over.send(post("/", "")).await.is_err());
    for _ in 0..2 {
        assert_eq!(read(&over, post("/", "")).await.0.concat(), b"0123");
    }
    assert_eq!((inner.requests().len(), over.requests().len(), over.under_way()), (2, 3, 0));
}

/// Sends bodies of these lengths at once and returns when each went out, in seconds.
async fn seconds<T: Transport + 'static>(transport: Arc<T>, bodies: &[usize]) -> Vec<u64> {
    let (began, log) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    let sends = bodies.iter().enumerate().map(|(number, length)| {
        let (transport, log) = (transport.clone(), log.clone());
        let request = http::Request::post("/").body(Bytes::from(vec![b'x'; *length])).unwrap();
        async move {
            transport.send(request).await.unwrap();
            log.lock().unwrap().push((number, began.elapsed().as_secs()));
        }
    });
    futures::future::join_all(sends).await;
    let log = log.lock().unwrap();
    assert!(log.iter().map(|(number, _)| *number).eq(0..bodies.len()), "first come, first served");
    log.iter().map(|(_, at)| *at).collect()
}

fn limited(requests: Option<u32>, tokens: Option<u64>) -> Arc<Throttled<Fault>> {
    let limits = Limits { requests_per_minute: requests, tokens_per_minute: tokens };
    Arc::new(Throttled::new(Fault::new([sse()]), limits).with_max_wait(Duration::from_secs(9999)))
}

#[tokio::test(start_paused = true)]
async fn no_minute_holds_more_than_the_limits() {
    assert_eq!(seconds(limited(None, None), &[9; 4]).await, [0; 4]);
    assert_eq!(seconds(limited(Some(2), None), &[0; 5]).await, [0, 0, 60, 60, 120]);
    assert_eq!(seconds(limited(None, Some(10)), &[20, 20, 4, 40, 3]).await, [0, 0, 60, 120, 180]);
    assert_eq!(
        seconds(limited(None, Some(10)), &[4000, 4, 4000]).await,
        [0, 60, 120],
        "alone, but not never"
    );

    let throttled = limited(Some(3), Some(100));
    let mut times = Vec::new();
    for step in 0..60u64 {
        tokio::time::advance(Duration::from_millis(step * 7919 % 13_000)).await;
        let length = (step * 104_729 % 200) as usize;
        throttled.send(http::Request::post("/").body(Bytes::from(vec![0; length])).unwrap()).await.unwrap();
        times.push((Instant::now(), length.div_ceil(4)));
    }
    for (at, _) in &times {
        let minute = times.iter().filter(|(other, _)| (*at..*at + Duration::from_secs(60)).contains(other));
        let (requests, tokens) = minute.fold((0, 0), |(n, sum), (_, tokens)| (n + 1, sum + tokens));
        assert!(requests <= 3 && tokens <= 100, "{requests} requests, {tokens} tokens in a minute");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_waiter_leaves_its_place() {
    let throttled = limited(Some(1), None);
    throttled.send(post("/", "")).await.unwrap();
    let began = Instant::now();
    let first = tokio::spawn({
        let throttled = throttled.clone();
        async move { throttled.send(post("/first", "")).await.map(|_| ()) }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = tokio::spawn({
        let throttled = throttled.clone();
        async move { throttled.send(post("/second", "")).await.map(|_| ()) }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    first.abort();
    second.await.unwrap().unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(60), "nobody waits for one that is gone");
    let paths: Vec<_> = throttled.inner().requests().iter().map(|r| r.uri().path().to_owned()).collect();
    assert_eq!(paths, ["/", "/second"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_says_is_kept_to() {
    let date = ("date", "Sun, 01 Mar 2026 00:00:00 GMT");
    for (headers, wait) in [
        (vec![("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1m2.5s")], 62_500),
        (vec![("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "17ms")], 17),
        (vec![("x-ratelimit-remaining-requests", "1"), ("x-ratelimit-reset-requests", "1m")], 0),
        (vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1772323210000")], 10_000),
        (
            vec![
                ("anthropic-ratelimit-tokens-remaining", "0"),
                ("anthropic-ratelimit-tokens-reset", "2026-03-01T00:00:30Z"),
                ("anthropic-ratelimit-requests-remaining", "9"),
                ("anthropic-ratelimit-requests-reset", "2026-03-01T00:01:30Z"),
            ],
            30_000,
        ),
        (vec![("x-ratelimit-remaining-requests", "0")], 0),
        (vec![("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "soon")], 0),
        (vec![("retry-after", "7")], 7_000),
        (vec![("retry-after-ms", "1500")], 1_500),
        (vec![("retry-after", "Sun, 01 Mar 2026 00:00:09 GMT")], 9_000),
        (vec![("retry-after", "3"), ("x-ratelimit-remaining-x", "0"), ("x-ratelimit-reset-x", "5s")], 5_000),
    ] {
        let mut response = http::Response::new(Bytes::new());
        *response.status_mut() = http::StatusCode::TOO_MANY_REQUESTS;
        for (name, value) in headers.iter().chain([&date]) {
            response.headers_mut().insert(*name, http::HeaderValue::from_static(value));
        }
        let throttled = Throttled::new(Fault::new([Plan::answer(response), sse()]), Limits::default());
        assert_eq!(throttled.send(post("/", "")).await.unwrap().status(), 429);
        let began = Instant::now();
        throttled.send(post("/", "")).await.unwrap();
        // The runtime's timers tick in milliseconds.
        let waited = began.elapsed().as_millis();
        assert!((wait..=wait + 1).contains(&waited), "{headers:?}: {waited} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_too_long_is_an_error_that_says_how_long() {
    let mut response = http::Response::new(Bytes::new());
    response.headers_mut().insert("retry-after", http::HeaderValue::from_static("3600"));
    let throttled = Throttled::new(Fault::new([Plan::answer(response)]), Limits::default());
    throttled.send(post("/", "")).await.unwrap();
    let began = Instant::now();
    let error = throttled.send(post("/", "")).await.err().unwrap();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::RateLimited, "the rate limit asks to wait 3600 s")
    );
    assert_eq!((error.retry_after(), began.elapsed()), (Some(Duration::from_secs(3600)), Duration::ZERO));
    assert_eq!(throttled.inner().requests().len(), 1);
}
