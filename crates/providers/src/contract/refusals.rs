//! Cases of requests that are refused, by the provider or by something on the way to it.

use std::time::Duration;

use aichat_message::ErrorKind;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

use super::Subject;
use super::play::{Outcome, ask, play};
use crate::fault::{Fault, Plan};

/// Largest part of a refusal that may be kept, in bytes.
const MAX_KEPT: usize = 128 << 10;

fn refusal(status: u16, headers: &[(&'static str, &'static str)], body: impl Into<Bytes>) -> Plan {
    let mut response = http::Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status has three digits");
    for (name, value) in headers {
        response.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Plan::answer(response)
}

/// Asserts that a call was refused before its stream and returns its error's kind, and whether a retry may help.
#[track_caller]
fn refused(outcome: &Outcome, status: u16) -> (ErrorKind, bool) {
    assert!(!outcome.opened, "{status}: a refusal opens a stream");
    let Some(error) = &outcome.error else { panic!("{status}: a refusal is no error") };
    assert_eq!(error.status(), Some(status), "{error:?}");
    assert!(!error.message().is_empty(), "{status}: a refusal says nothing");
    (error.kind(), error.is_retryable())
}

/// The status is looked at before a stream is handed out, and says what is wrong and whether to try again.
pub async fn a_refusal_comes_before_the_stream(subject: &Subject) {
    for sample in subject.samples.iter().filter(|sample| !sample.is_accepted()) {
        let outcome = subject.play(sample, |plan| plan).await;
        refused(&outcome, sample.response.status().as_u16());
    }
    let json = &[("content-type", "application/json")];
    for (status, kind, retryable) in [
        (400, ErrorKind::InvalidRequest, false),
        (401, ErrorKind::Auth, false),
        (402, ErrorKind::Billing, false),
        (403, ErrorKind::Permission, false),
        (404, ErrorKind::NotFound, false),
        (413, ErrorKind::TooLarge, false),
        (429, ErrorKind::RateLimited, true),
        (500, ErrorKind::Server, true),
        (503, ErrorKind::Overloaded, true),
        (529, ErrorKind::Overloaded, true),
    ] {
        let outcome = subject.ask(refusal(status, json, r#"{"error":{"message":"no"}}"#)).await;
        assert_eq!(refused(&outcome, status), (kind, retryable), "{status}");
    }
}

/// The wait that a provider asks for is read from seconds and from milliseconds, and nothing is made of nonsense.
pub async fn a_limit_says_when_to_come_back(subject: &Subject) {
    for (name, value, wait) in [
        ("retry-after", "7", Some(Duration::from_secs(7))),
        ("retry-after-ms", "1500", Some(Duration::from_millis(1500))),
        ("retry-after", "0", Some(Duration::ZERO)),
        ("retry-after", "soon", None),
    ] {
        let outcome = subject.ask(refusal(429, &[(name, value)], "")).await;
        assert_eq!(refused(&outcome, 429), (ErrorKind::RateLimited, true));
        let asked = outcome.error.and_then(|error| error.retry_after());
        assert_eq!(asked, wait, "{name}: {value}");
    }
}

/// A web page from something on the way is a refusal like another; under status 200 it is no answer.
pub async fn a_web_page_is_an_error(subject: &Subject) {
    let html = &[("content-type", "text/html")];
    let page = "<!doctype html>\n<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
    let outcome = subject.ask(refusal(502, html, page)).await;
    assert_eq!(refused(&outcome, 502), (ErrorKind::Server, true));
    let outcome = subject.ask(refusal(200, html, page)).await;
    assert_eq!(outcome.kind(), Some(ErrorKind::Decode), "{:?}", outcome.error);
    assert!(outcome.message.is_empty(), "a web page is taken for an answer");
}

/// A refusal without a body still says something.
pub async fn an_empty_refusal_is_an_error(subject: &Subject) {
    let outcome = subject.ask(refusal(500, &[], "")).await;
    assert_eq!(refused(&outcome, 500), (ErrorKind::Server, true));
}

/// Of a refusal that never ends, or of ten megabytes, a bounded part is kept; one that stalls is not waited for
/// beyond the idle limit.
pub async fn a_huge_refusal_is_bounded(subject: &Subject) {
    let huge = Bytes::from(vec![b'x'; 10 << 20]);
    let json = [b"{\"error\":{\"message\":\"".as_slice(), &huge, b"\"}}"].concat();
    for plan in [
        refusal(500, &[], huge.clone()).pieces(16 << 10),
        refusal(500, &[("content-type", "application/json")], json),
        refusal(500, &[], huge).stall(1000),
        refusal(500, &[], "half an err").reset(4),
    ] {
        let outcome = subject.ask(plan).await;
        assert_eq!(refused(&outcome, 500), (ErrorKind::Server, true));
        let Some(error) = outcome.error else { unreachable!("refused") };
        let kept = error.message().len() + error.raw_body().map_or(0, str::len);
        assert!(kept <= MAX_KEPT, "{kept} bytes of a refusal are kept");
    }
}

/// A redirect is an error, and nothing is sent to where it points.
pub async fn a_redirect_is_not_followed(subject: &Subject) {
    for status in [301, 302, 307, 308] {
        let plan = refusal(status, &[("location", "http://elsewhere.invalid/v1")], "");
        let fault = Fault::new([plan]);
        let outcome = play(&*subject.provider(&fault), &ask()).await;
        assert!(!refused(&outcome, status).1, "{status}: a redirect is no reason to try again");
        assert_eq!(fault.requests().len(), 1, "{status}: a redirect is followed");
    }
}

/// A compressed answer, which no request asks for, is refused rather than read as if it were not.
pub async fn a_compressed_answer_is_refused(subject: &Subject) {
    for encoding in ["gzip", "br"] {
        let sample = subject.complete(true)[0].clone().header("content-encoding", encoding);
        let outcome = subject.play(&sample, |plan| plan).await;
        assert_eq!(outcome.kind(), Some(ErrorKind::Decode), "{:?}", outcome.error);
        assert!(outcome.message.is_empty(), "a compressed answer is read");
    }
    let sample = subject.complete(true)[0].clone().header("content-encoding", "identity");
    assert!(subject.play(&sample, |plan| plan).await.error.is_none(), "identity is no compression");
}

/// A connection that cannot be made is a transport error, which a retry may help.
pub async fn a_failed_connection_is_a_transport_error(subject: &Subject) {
    let outcome = subject.ask(Plan::unreachable()).await;
    assert!(!outcome.opened);
    let Some(error) = outcome.error else { panic!("a failed connection is no error") };
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Transport, true));
}

/// A list of models that is refused, is a web page, cannot be reached or stands still is that error, too; a
/// provider without one says so, and sends nothing.
pub async fn a_list_of_models_fails_as_a_call_does(subject: &Subject) {
    let html = &[("content-type", "text/html")];
    for (plan, kind) in [
        (refusal(401, &[], ""), ErrorKind::Auth),
        (refusal(503, &[], ""), ErrorKind::Overloaded),
        (refusal(307, &[("location", "http://elsewhere.invalid/v1")], ""), ErrorKind::Config),
        (refusal(200, html, "<html><title>Log in</title></html>"), ErrorKind::Decode),
        (Plan::unreachable(), ErrorKind::Transport),
        (Plan::silent(), ErrorKind::Timeout),
        (Plan::body("application/json", "{").stall(1), ErrorKind::Timeout),
    ] {
        let fault = Fault::new([plan]);
        let Err(error) = subject.provider(&fault).models().await else {
            panic!("a list of models that is {kind} is taken for one");
        };
        if error.kind() == ErrorKind::Unsupported {
            assert!(fault.requests().is_empty(), "a list that is not there is asked for");
            continue;
        }
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!((fault.requests().len(), fault.under_way()), (1, 0), "{kind}");
    }
}
