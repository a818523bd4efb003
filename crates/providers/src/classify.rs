//! What an error body means: kind, code, message, request id and when to come back, for every provider alike.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use aichat_message::ErrorKind;

use crate::error::Error;

/// Longest wait believed; what is longer, or does not fit a clock, is cut to it.
const MAX_WAIT: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Longest message taken from a provider, in bytes.
const MAX_MESSAGE: usize = 8 << 10;

/// Returns the error that a refusing status and its body stand for. `now` is what an HTTP date is counted from.
pub fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Error {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    // Some gateways refuse with what would have been the first event of a stream.
    let event = text.strip_prefix("data:").and_then(|rest| rest.lines().next());
    let facts = Facts::read(event.unwrap_or(text).trim());
    let kind = kind(Some(status.as_u16()), &facts);
    let message = match facts.message {
        Some(message) => clip(&message),
        None => describe(status, text),
    };
    let error = Error::new(kind, message)
        .with_status(status.as_u16())
        .with_request_id(request_id(headers).or_else(|| facts.request_id.as_deref().map(clip)))
        .with_retry_after(retry_after(headers, now).or(facts.details.wait))
        .with_rate_limits(rate_limits(headers));
    let error = match headers.get("x-should-retry").is_some_and(|value| value == "false") {
        true => error.with_retryable(false),
        false => error,
    };
    let error = match facts.code.or(facts.type_name) {
        Some(code) => error.with_code(clip(&code)),
        None => error,
    };
    match text.is_empty() {
        true => error,
        false => error.with_raw_body(text.to_owned()),
    }
}

/// Returns the error that JSON inside an accepted answer reports.
pub fn in_band(json: &str) -> Error {
    let facts = Facts::read(json);
    let kind = kind(facts.status, &facts);
    let message = facts.message.as_deref().map_or_else(|| "the provider reports an error".to_owned(), clip);
    let error = Error::new(kind, message)
        .with_request_id(facts.request_id.as_deref().map(clip))
        .with_retry_after(facts.details.wait)
        .with_raw_body(clip_to(json, 64 << 10).to_owned());
    match facts.code.or(facts.type_name) {
        Some(code) => error.with_code(clip(&code)),
        None => error,
    }
}

/// Returns the error for an accepted answer that is not JSON, an HTML page for example.
pub fn not_json(body: &str) -> Error {
    let message = match title(body) {
        Some(title) => format!("the server answered with a web page: {title}"),
        None => "the answer is not JSON".to_owned(),
    };
    Error::new(ErrorKind::Decode, message).with_raw_body(clip_to(body, 64 << 10).to_owned())
}

/// Returns the provider's id of a request, from whichever header it uses.
pub fn request_id(headers: &HeaderMap) -> Option<String> {
    ["x-request-id", "request-id", "apim-request-id", "x-ms-request-id", "mistral-correlation-id", "cf-ray"]
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok())
        .map(clip)
}

/// Returns the headers about rate limits, by name, in alphabetical order.
pub fn rate_limits(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut limits: Vec<_> = headers
        .iter()
        .filter(|(name, _)| name.as_str().contains("ratelimit"))
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    limits.sort_unstable();
    limits
}

/// Returns how long the server asks to wait: `retry-after-ms`, or `retry-after` in seconds or as an HTTP date.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name| text(name)?.parse::<f64>().ok().filter(|n| *n >= 0.0);
    let seconds = |n: f64| Duration::try_from_secs_f64(n).unwrap_or(MAX_WAIT).min(MAX_WAIT);
    if let Some(milliseconds) = number("retry-after-ms") {
        return Some(seconds(milliseconds / 1000.0));
    }
    if let Some(whole) = number("retry-after") {
        return Some(seconds(whole));
    }
    let date = httpdate::parse_http_date(text("retry-after")?).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(MAX_WAIT))
}

/// What Google's errors say in their list of details, <https://google.aip.dev/193>.
#[derive(Default)]
struct Details {
    /// The reason in one word.
    reason: Option<String>,
    wait: Option<Duration>,
    /// What was exceeded, each limit by its name, in lower case.
    limits: Vec<String>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct Detail {
    reason: Option<String>,
    retry_delay: Option<String>,
    violations: Vec<Violation>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct Violation {
    quota_id: Option<String>,
    quota_metric: Option<String>,
}

impl Details {
    fn read(raw: Option<&RawValue>) -> Self {
        let mut details = Self::default();
        let list = raw.and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok());
        for raw in list.into_iter().flatten() {
            let detail: Detail = serde_json::from_str(raw.get()).unwrap_or_default();
            details.reason = details.reason.or(detail.reason);
            let seconds = detail.retry_delay.and_then(|delay| delay.strip_suffix('s')?.parse::<f64>().ok());
            let wait = seconds.filter(|seconds| *seconds >= 0.0);
            let wait = wait.map(|s| Duration::try_from_secs_f64(s).unwrap_or(MAX_WAIT).min(MAX_WAIT));
            details.wait = details.wait.or(wait);
            let names = detail.violations.into_iter().filter_map(|v| v.quota_id.or(v.quota_metric));
            details.limits.extend(names.map(|name| name.to_ascii_lowercase()));
        }
        details
    }

    /// Tells whether a limit is reached that waiting a moment does not help with.
    fn is_used_up(&self) -> bool {
        self.limits.iter().any(|limit| limit.contains("perday") || limit.contains("per_day"))
    }

    /// Tells whether the provider says itself that it is enough to wait.
    fn is_momentary(&self) -> bool {
        (self.wait.is_some() || !self.limits.is_empty()) && !self.is_used_up()
    }
}

/// What error bodies of all shapes have in common.
#[derive(Default)]
struct Facts<'a> {
    message: Option<Cow<'a, str>>,
    code: Option<Cow<'a, str>>,
    type_name: Option<Cow<'a, str>>,
    /// A status named in the body, where there is one.
    status: Option<u16>,
    /// The id of the request, where the body names it.
    request_id: Option<Cow<'a, str>>,
    details: Details,
    /// Everything, in lower case, for the few signs that have no code.
    lower: String,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Object<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    status_code: Option<&'a RawValue>,
    #[serde(borrow)]
    request_id: Option<&'a RawValue>,
    #[serde(borrow)]
    details: Option<&'a RawValue>,
}

impl<'a> Object<'a> {
    /// Returns the status in one word, which Google gives beside the number of it.
    fn word(&self) -> Option<Cow<'a, str>> {
        let word = self.status.filter(|_| self.r#type.is_none()).and_then(scalar)?;
        word.starts_with(|first: char| first.is_ascii_uppercase()).then_some(word)
    }
}

impl<'a> Facts<'a> {
    fn read(body: &'a str) -> Self {
        let body = match serde_json::from_str::<Vec<&RawValue>>(body) {
            Ok(list) => list.first().map_or("", |first| first.get()),
            Err(_) => body,
        };
        let outer: Object<'a> = serde_json::from_str(body).unwrap_or_default();
        let inner: Option<Object<'a>> = outer.error.and_then(|error| serde_json::from_str(error.get()).ok());
        let text = |raw: Option<&'a RawValue>| raw.and_then(scalar);
        let found = match &inner {
            Some(inner) => Self {
                message: text(inner.message.or(inner.detail)).or_else(|| text(outer.message)),
                code: inner.word().or_else(|| text(inner.code)),
                type_name: text(inner.r#type),
                status: number(inner.status_code).or(number(inner.status)).or(number(inner.code)),
                details: Details::read(inner.details),
                ..Self::default()
            },
            None => Self {
                message: text(outer.error.or(outer.message).or(outer.detail)),
                code: text(outer.code),
                type_name: text(outer.r#type),
                status: number(outer.status_code).or(number(outer.status)).or(number(outer.code)),
                ..Self::default()
            },
        };
        let lower = clip_to(body, MAX_MESSAGE).to_ascii_lowercase();
        let request_id = text(outer.request_id);
        Self { message: found.message.filter(|message| !message.is_empty()), request_id, lower, ..found }
    }
}

/// Returns a string's content, or any other value's JSON; null is absent.
fn scalar(raw: &RawValue) -> Option<Cow<'_, str>> {
    match raw.get() {
        "null" | "\"\"" => None,
        text if text.starts_with('"') => serde_json::from_str::<String>(text).ok().map(Cow::Owned),
        other => Some(Cow::Borrowed(other)),
    }
}

fn number(raw: Option<&RawValue>) -> Option<u16> {
    raw?.get().trim_matches('"').parse().ok().filter(|status| (400..600).contains(status))
}

fn kind(status: Option<u16>, facts: &Facts<'_>) -> ErrorKind {
    let names = [facts.code.as_deref(), facts.type_name.as_deref(), facts.details.reason.as_deref()];
    let named = |signs: &[&str]| {
        names.iter().flatten().any(|name| {
            let name = name.to_ascii_lowercase();
            signs.iter().any(|sign| name.contains(sign))
        })
    };
    let says = |signs: &[&str]| signs.iter().any(|sign| facts.lower.contains(sign));
    let unsaid = matches!(status, None | Some(400 | 403 | 413 | 422 | 429 | 500));
    if status == Some(402)
        || named(&["billing", "payment_required"])
        || unsaid && says(&["credit balance is too low"])
    {
        return ErrorKind::Billing;
    }
    if facts.details.is_used_up()
        || named(&["insufficient_quota", "quota_exceeded", "usage_limit", "spend_limit"])
        || unsaid
            && says(&[
                "spending limit",
                "spend limit",
                "spend_limit",
                "spending cap",
                "spend cap",
                "available credits",
            ])
        || unsaid && says(&["exceeded your current quota"]) && !facts.details.is_momentary()
    {
        return ErrorKind::Quota;
    }
    if named(&["content_filter", "content_policy", "responsibleaipolicy", "moderation"])
        || says(&["responsibleaipolicyviolation"])
    {
        return ErrorKind::ContentFiltered;
    }
    if named(&["context_length", "exceed_context_size", "context_window"])
        || unsaid
            && says(&[
                "maximum context length",
                "context window",
                "available context size",
                "prompt is too long",
                "exceeds the context length",
                "input token count",
                "too large for model with",
                "exceed context limit",
            ])
    {
        return ErrorKind::ContextTooLong;
    }
    if named(&["model_not_found", "deploymentnotfound", "invalid_model"])
        || status == Some(400) && says(&["not a valid model id", "model not exist"])
    {
        return ErrorKind::NotFound;
    }
    if status == Some(400) && says(&["does not support tools", "does not support thinking", "think value"]) {
        return ErrorKind::Unsupported;
    }
    // Ollama says where to sign in to the models it does not run itself.
    if named(&["invalid_api_key", "api_key_invalid", "authentication", "unauthorized"]) && status != Some(403)
        || status.is_none() && says(&["\"signin_url\""])
    {
        return ErrorKind::Auth;
    }
    // The model made a call that does not parse; asked again it may do better.
    if named(&["tool_use_failed"]) {
        return ErrorKind::Server;
    }
    match status {
        Some(401) => ErrorKind::Auth,
        Some(403) => ErrorKind::Permission,
        Some(404 | 410) => ErrorKind::NotFound,
        Some(408 | 504) => ErrorKind::Timeout,
        Some(413) => ErrorKind::TooLarge,
        Some(429) => ErrorKind::RateLimited,
        Some(498 | 503 | 529) => ErrorKind::Overloaded,
        Some(501) => ErrorKind::Unsupported,
        Some(300..=399) => ErrorKind::Config,
        Some(400..=499) => ErrorKind::InvalidRequest,
        Some(_) => ErrorKind::Server,
        None if named(&["rate_limit", "too_many_requests"]) => ErrorKind::RateLimited,
        None if named(&["overloaded", "unavailable", "insufficient_system_resource"]) => {
            ErrorKind::Overloaded
        }
        None if named(&["bio_policy", "cyber_policy"]) => ErrorKind::ContentFiltered,
        None if named(&["timeout"]) => ErrorKind::Timeout,
        None if named(&["image", "base64"]) => ErrorKind::InvalidRequest,
        None if named(&["too_large"]) => ErrorKind::TooLarge,
        None if named(&["invalid_prompt", "residency_mismatch"]) => ErrorKind::InvalidRequest,
        None if named(&["not_found"]) => ErrorKind::NotFound,
        None if named(&["permission"]) => ErrorKind::Permission,
        None if named(&["invalid_request", "badrequest"]) => ErrorKind::InvalidRequest,
        None => ErrorKind::Server,
    }
}

/// Says what a body without a message means.
fn describe(status: StatusCode, body: &str) -> String {
    let reason = status.canonical_reason().unwrap_or("an unknown status").to_ascii_lowercase();
    if status.is_redirection() {
        return format!("the server redirects elsewhere ({reason}), which is not followed");
    }
    match title(body) {
        Some(title) => format!("the server answered with a web page: {title}"),
        None if body.is_empty() || body.starts_with(['<', '{', '[']) => {
            format!("the server answered: {reason}")
        }
        None => clip(body),
    }
}

/// Returns the title of an HTML page.
fn title(body: &str) -> Option<String> {
    let lower = body.to_ascii_lowercase();
    let begin = lower.find("<title>")? + "<title>".len();
    let end = begin + lower[begin..].find('<')?;
    Some(clip_to(body[begin..end].trim(), 200).to_owned())
}

fn clip(text: &str) -> String {
    clip_to(text, MAX_MESSAGE).to_owned()
}

/// Returns the beginning of a text, at most `most` bytes of it.
pub(crate) fn clip_to(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (http::HeaderName::from_static(n), v.parse().unwrap())).collect()
    }

    fn classify(status: u16, body: &str) -> Error {
        refused(
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
            SystemTime::UNIX_EPOCH,
        )
    }

    #[test]
    fn the_wait_is_read_from_every_form() {
        let now = httpdate::parse_http_date("Sat, 01 Aug 2037 11:59:00 GMT").unwrap();
        let wait = |pairs: &[(&'static str, &str)]| retry_after(&headers(pairs), now);
        assert_eq!(
            wait(&[("retry-after-ms", "1500"), ("retry-after", "9")]),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(wait(&[("retry-after", "2")]), Some(Duration::from_secs(2)));
        assert_eq!(wait(&[("retry-after", "0")]), Some(Duration::ZERO));
        assert_eq!(wait(&[("retry-after", "Sat, 01 Aug 2037 12:00:00 GMT")]), Some(Duration::from_secs(60)));
        assert_eq!(wait(&[("retry-after", "Sat, 01 Aug 2037 11:00:00 GMT")]), Some(Duration::ZERO));
        assert_eq!(wait(&[("retry-after", "1e300")]), Some(MAX_WAIT));
        let years = wait(&[("retry-after", "Thu, 01 Aug 2047 11:59:00 GMT")]).unwrap();
        assert_eq!(years.as_secs(), 3652 * 24 * 3600, "what the server says is told, whoever waits so long");
        for absurd in ["-1", "NaN", "soon", ""] {
            assert_eq!(wait(&[("retry-after", absurd)]), None, "{absurd}");
        }
    }

    #[test]
    fn kinds_follow_codes_before_statuses() {
        let cases = [
            (429, r#"{"error":{"code":"insufficient_quota","message":"m"}}"#, ErrorKind::Quota, false),
            (429, r#"{"error":{"code":"rate_limit_exceeded","message":"m"}}"#, ErrorKind::RateLimited, true),
            (400, r#"{"error":{"code":"context_length_exceeded"}}"#, ErrorKind::ContextTooLong, false),
            (
                400,
                r#"{"error":{"type":"exceed_context_size_error","code":400}}"#,
                ErrorKind::ContextTooLong,
                false,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8)."}}"#,
                ErrorKind::ContextTooLong,
                false,
            ),
            (400, r#"{"error":{"code":"content_filter"}}"#, ErrorKind::ContentFiltered, false),
            (
                403,
                r#"{"code":"x","error":"used all available credits or reached its spending limit"}"#,
                ErrorKind::Quota,
                false,
            ),
            (
                429,
                r#"{"error":{"type":"rate_limit_error","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
                ErrorKind::Quota,
                false,
            ),
            (
                400,
                r#"{"error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}"#,
                ErrorKind::Billing,
                false,
            ),
            (
                400,
                r#"{"error":{"message":"input length and `max_tokens` exceed context limit: 9 + 9 > 10"}}"#,
                ErrorKind::ContextTooLong,
                false,
            ),
            (529, r#"{"error":{"type":"overloaded_error"}}"#, ErrorKind::Overloaded, true),
            (402, "", ErrorKind::Billing, false),
            (401, r#"{"detail":"Invalid API Key"}"#, ErrorKind::Auth, false),
            (404, "", ErrorKind::NotFound, false),
            (307, "", ErrorKind::Config, false),
            (413, r#"{"error":{"code":"rate_limit_exceeded"}}"#, ErrorKind::TooLarge, false),
            (501, "", ErrorKind::Unsupported, false),
            (502, "<html></html>", ErrorKind::Server, true),
            (503, "", ErrorKind::Overloaded, true),
            (504, "", ErrorKind::Timeout, true),
            (529, "", ErrorKind::Overloaded, true),
        ];
        for (status, body, kind, retryable) in cases {
            let error = classify(status, body);
            assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{status} {body}");
        }
    }

    #[test]
    fn headers_say_who_asked_and_whether_to_ask_again() {
        let body = br#"{"error":{"type":"api_error"},"request_id":"in_body"}"#;
        let refused = |pairs: &[(&'static str, &str)]| {
            refused(StatusCode::INTERNAL_SERVER_ERROR, &headers(pairs), body, SystemTime::UNIX_EPOCH)
        };
        let (plain, told) =
            (refused(&[]), refused(&[("request-id", "in_head"), ("x-should-retry", "false")]));
        assert_eq!((plain.request_id(), plain.is_retryable()), (Some("in_body"), true));
        assert_eq!((told.request_id(), told.is_retryable()), (Some("in_head"), false));
    }

    #[test]
    fn messages_and_codes_are_read_from_every_shape() {
        let cases = [
            (r#"{"error":{"message":"m","type":"t","code":null}}"#, "m", Some("t")),
            (r#"{"error":{"message":"m","code":400,"type":"t"}}"#, "m", Some("400")),
            (
                r#"[{"error":{"message":"m","code":400,"status":"INVALID_ARGUMENT"}}]"#,
                "m",
                Some("INVALID_ARGUMENT"),
            ),
            (r#"{"error":{"message":"m","code":"c","status":400}}"#, "m", Some("c")),
            (r#"{"error":"just text","code":"c"}"#, "just text", Some("c")),
            (r#"{"object":"error","message":{"detail":[1]},"type":"t"}"#, r#"{"detail":[1]}"#, Some("t")),
            (r#"{"detail":"m"}"#, "m", None),
            ("data: {\"error\":{\"message\":\"m\",\"code\":\"c\"}}\n\ndata: [DONE]", "m", Some("c")),
            ("plain words", "plain words", None),
            (
                "<html><head><title>502 Bad Gateway</title>",
                "the server answered with a web page: 502 Bad Gateway",
                None,
            ),
            ("", "the server answered: bad request", None),
        ];
        for (body, message, code) in cases {
            let error = classify(400, body);
            assert_eq!((error.message(), error.code()), (message, code), "{body}");
        }
    }

    #[test]
    fn details_say_whether_waiting_helps() {
        let body = |details: &str| {
            let text = "You exceeded your current quota, please check your plan";
            let error = format!(
                r#"{{"code":429,"message":"{text}","status":"RESOURCE_EXHAUSTED","details":[{details}]}}"#
            );
            let error = classify(429, &format!(r#"[{{"error":{error}}}]"#));
            (error.kind(), error.retry_after().map(|wait| wait.as_millis()), error.is_retryable())
        };
        let wait = r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}"#;
        let limit = |name: &str| format!(r#"{{"@type":"q","violations":[{{"quotaId":"{name}"}}]}}"#);
        let (minute, day) = (limit("RequestsPerMinutePerProject"), limit("RequestsPerDayPerProject"));
        assert_eq!(body(""), (ErrorKind::Quota, None, false));
        assert_eq!(body(wait), (ErrorKind::RateLimited, Some(34400), true));
        assert_eq!(body(&minute), (ErrorKind::RateLimited, None, true));
        assert_eq!(body(&format!("{minute},{day},{wait}")), (ErrorKind::Quota, Some(34400), false));
        assert_eq!(body(r#"1,{"retryDelay":"-1s"},{"retryDelay":"soon"}"#), (ErrorKind::Quota, None, false));
        let key =
            r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#;
        assert_eq!(classify(400, key).kind(), ErrorKind::Auth);
    }

    #[test]
    fn an_error_in_band_takes_its_kind_from_the_body() {
        assert_eq!(in_band(r#"{"error":{"code":502,"message":"m"}}"#).kind(), ErrorKind::Server);
        assert_eq!(in_band(r#"{"error":{"code":429,"message":"m"}}"#).kind(), ErrorKind::RateLimited);
        assert_eq!(in_band(r#"{"error":{"type":"overloaded_error"}}"#).kind(), ErrorKind::Overloaded);
        assert_eq!(
            in_band(r#"{"error":{"code":"content_filter","status":400}}"#).kind(),
            ErrorKind::ContentFiltered
        );
        assert_eq!(in_band("{}").message(), "the provider reports an error");
        let named = in_band(r#"{"error":{"type":"request_too_large"},"request_id":"req_1"}"#);
        assert_eq!((named.kind(), named.request_id()), (ErrorKind::TooLarge, Some("req_1")));
    }
}
