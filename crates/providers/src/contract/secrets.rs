//! Cases of keys, addresses and of what a request is before it is sent.

use aichat_message::ErrorKind;

use super::play::{ask, open, play, show};
use super::{BASE_URL, Subject};
use crate::fault::{Fault, Plan};
use crate::transport::HttpRequest;

const KEY: &str = "sk-CANARY-0123456789";

/// What no text may hold.
const CANARY: &str = "CANARY";

#[track_caller]
fn holds_no_secret(shown: &str) {
    assert!(!shown.contains(CANARY), "a secret is shown: {shown}");
}

/// Asserts that a request shows no secret, and tells whether one of its headers carries it.
#[track_caller]
fn carries(request: &HttpRequest, secret: &str) -> bool {
    holds_no_secret(&format!("{request:?}"));
    holds_no_secret(&request.uri().to_string());
    assert!(!request.body().windows(CANARY.len()).any(|bytes| bytes == CANARY.as_bytes()), "in the body");
    request.headers().values().any(|value| value.to_str().is_ok_and(|value| value.contains(secret)))
}

/// The key goes out in a header that hides it, and is in no Debug, Display, address or error, not even where the
/// server repeats it.
pub async fn a_key_is_sent_and_never_shown(subject: &Subject) {
    let echoed = format!(r#"{{"error":{{"message":"bad key {KEY}","type":"{KEY}","code":"{KEY}"}}}}"#);
    let page = format!("<title>{KEY}</title>");
    for (status, body) in [(200, &echoed), (401, &echoed), (500, &echoed), (502, &page)] {
        let mut response = http::Response::new(body.clone().into());
        *response.status_mut() = http::StatusCode::from_u16(status).expect("a status has three digits");
        let headers = response.headers_mut();
        headers.insert("content-type", http::HeaderValue::from_static("application/json"));
        headers.insert("x-request-id", http::HeaderValue::from_static(KEY));
        let fault = Fault::new([Plan::answer(response)]);
        let provider = match subject.at(BASE_URL, Some(KEY), &fault) {
            Ok(provider) => provider,
            Err(error) => panic!("a plain key is refused: {error:?}"),
        };
        let call = provider.prepare(ask());
        holds_no_secret(&format!("{:?} {call:?}", provider.info()));
        let outcome = play(&*provider, &ask()).await;
        assert!(outcome.error.is_some(), "{status}: an error is taken for an answer");
        holds_no_secret(&outcome.shown());
        holds_no_secret(&format!("{:?}", outcome.message));
        assert!(fault.requests().iter().all(|request| carries(request, KEY)), "the key is not sent");
        if let Err(error) = provider.models().await {
            holds_no_secret(&show(&error));
        }
    }
}

/// A key with a line break is refused, when the provider is made or before anything is sent, without being shown.
pub async fn a_key_that_cannot_be_sent_is_a_clean_error(subject: &Subject) {
    for key in [format!("{KEY}\n"), format!("{KEY}\r\nx-other: y"), format!("{KEY}\0")] {
        let fault = Fault::new([Plan::unreachable()]);
        let error = match subject.at(BASE_URL, Some(&key), &fault) {
            Ok(provider) => open(&*provider, &ask()).await.err(),
            Err(error) => Some(error),
        };
        let Some(error) = error else { panic!("a key that no header may hold is accepted") };
        assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
        holds_no_secret(&show(&error));
        assert!(fault.requests().is_empty(), "something is sent with a broken key");
    }
}

/// A slash at the end of the base address makes no difference.
pub async fn a_base_url_may_end_in_a_slash(subject: &Subject) {
    let mut addresses = Vec::new();
    for base_url in [BASE_URL.to_owned(), format!("{BASE_URL}/")] {
        let fault = Fault::new([subject.complete(true)[0].plan()]);
        let provider = match subject.at(&base_url, None, &fault) {
            Ok(provider) => provider,
            Err(error) => panic!("{base_url} is refused: {error:?}"),
        };
        play(&*provider, &ask()).await;
        let requests = fault.requests();
        assert_eq!(requests.len(), 1);
        let address = requests[0].uri().to_string();
        assert!(address.starts_with(BASE_URL), "{address}");
        assert!(!address[BASE_URL.len()..].contains("//"), "{address}");
        addresses.push(address);
    }
    assert_eq!(addresses[0], addresses[1]);
}

/// A password in the base address is in no address and no text.
pub async fn a_password_in_the_base_url_is_never_shown(subject: &Subject) {
    let echoed = format!(r#"{{"error":{{"message":"not {CANARY}-password"}}}}"#);
    let mut response = http::Response::new(echoed.into());
    *response.status_mut() = http::StatusCode::UNAUTHORIZED;
    let fault = Fault::new([Plan::answer(response)]);
    let base_url = BASE_URL.replace("://", &format!("://me:{CANARY}-password@"));
    match subject.at(&base_url, None, &fault) {
        Err(error) => holds_no_secret(&show(&error)),
        Ok(provider) => {
            holds_no_secret(&format!("{:?} {:?}", provider.info(), provider.prepare(ask())));
            holds_no_secret(&play(&*provider, &ask()).await.shown());
            fault.requests().iter().for_each(|request| assert!(!carries(request, CANARY)));
        }
    }
}

/// Preparing a call sends nothing, gives the same bytes each time, and those are the bytes that are sent.
pub async fn preparing_sends_nothing_and_repeats_itself(subject: &Subject) {
    for sample in &subject.samples {
        let fault = Fault::new([sample.plan()]);
        let provider = subject.provider(&fault);
        let (Ok(first), Ok(second)) =
            (provider.prepare(sample.request.clone()), provider.prepare(sample.request.clone()))
        else {
            panic!("{}: the request cannot be expressed", sample.name);
        };
        assert!(fault.requests().is_empty(), "{}: preparing sends something", sample.name);
        let facts =
            |call: &crate::provider::Call| (call.body.clone(), call.url.clone(), call.warnings.clone());
        assert_eq!(facts(&first), facts(&second), "{}", sample.name);
        let body = first.body.clone();
        drop(provider.stream(first).await);
        let requests = fault.requests();
        assert_eq!(requests.len(), 1, "{}: one call is one request", sample.name);
        assert_eq!(requests[0].body(), &body, "{}", sample.name);
        assert!(!second.url.contains(['?', '@']), "{}", second.url);
        assert!(requests[0].uri().to_string().starts_with(&second.url), "{}", second.url);
    }
}
