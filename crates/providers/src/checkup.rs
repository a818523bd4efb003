//! A check-up: what of a provider works, step by step, and why the rest does not.

use std::fmt;
use std::time::Duration;

use futures::StreamExt;
use serde::{Serialize, Serializer};
use tokio::time::Instant;

use aichat_message::{ErrorKind, FinishReason, Fold, Json, Message, PartKind, ToolSpec};

use crate::error::{Error, Obstacle};
use crate::provider::{Model, Provider};
use crate::request::{Output, Request, ToolChoice};

/// Most tokens an answer may have that only shall come.
const FEW: u64 = 64;
/// Most tokens an answer may have that must reach its point, reasoning included.
const SOME: u64 = 1024;

/// How long an answer may go on that has begun: some servers know no limit of tokens.
const LONGEST: Duration = Duration::from_secs(20);

/// A tool that a model is made to call.
const TOOL: &str = "ping";

/// What is looked at, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The host's name has an address.
    Name,
    /// Somebody listens there.
    Connection,
    /// TLS can be agreed on.
    Tls,
    /// The list of models comes: the key is taken.
    Key,
    /// The model is there.
    Model,
    /// A short answer is streamed to its end.
    Stream,
    /// A tool is called that must be called.
    Tools,
    /// An answer keeps to a schema.
    Schema,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 8] = [
        Self::Name,
        Self::Connection,
        Self::Tls,
        Self::Key,
        Self::Model,
        Self::Stream,
        Self::Tools,
        Self::Schema,
    ];

    /// Returns the step in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Connection => "connection",
            Self::Tls => "tls",
            Self::Key => "key",
            Self::Model => "model",
            Self::Stream => "stream",
            Self::Tools => "tools",
            Self::Schema => "schema",
        }
    }
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It works.
    Ok,
    /// It does not.
    Failed,
    /// It was not tried.
    Skipped,
    /// The provider or the model does not have it.
    Unsupported,
}

impl Verdict {
    /// Returns the verdict in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Why a step failed, as far as it tells what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The host's name cannot be resolved.
    Dns,
    /// Nobody listens at the port.
    Refused,
    /// The network does not lead there.
    Unreachable,
    /// The connection broke.
    Reset,
    /// The certificate is not trusted.
    Certificate,
    /// TLS cannot be agreed on.
    Tls,
    /// What answers does not speak HTTP.
    NotHttp,
    /// A proxy on the way refuses.
    Proxy,
    /// It took too long.
    Timeout,
    /// The key is missing or refused.
    Key,
    /// The key may not do this.
    Permission,
    /// The account must be paid for.
    Billing,
    /// A quota is used up.
    Quota,
    /// There are too many requests for now.
    RateLimit,
    /// The provider has no capacity for now.
    Overload,
    /// The address leads to something else: a web page, another path, a redirect.
    WrongPath,
    /// There is no such model.
    NoModel,
    /// The provider failed.
    Server,
    /// The answer is not of the protocol, or breaks off.
    Protocol,
    /// The provider refuses the request.
    Request,
    /// The address or a header cannot be used.
    Config,
}

impl Cause {
    /// Returns the cause in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Reset => "reset",
            Self::Certificate => "certificate",
            Self::Tls => "tls",
            Self::NotHttp => "not_http",
            Self::Proxy => "proxy",
            Self::Timeout => "timeout",
            Self::Key => "key",
            Self::Permission => "permission",
            Self::Billing => "billing",
            Self::Quota => "quota",
            Self::RateLimit => "rate_limit",
            Self::Overload => "overload",
            Self::WrongPath => "wrong_path",
            Self::NoModel => "no_model",
            Self::Server => "server",
            Self::Protocol => "protocol",
            Self::Request => "request",
            Self::Config => "config",
        }
    }

    /// Returns what an error comes from.
    pub fn of(error: &Error) -> Self {
        match (error.obstacle(), error.kind()) {
            (Some(Obstacle::Name), _) => Self::Dns,
            (Some(Obstacle::Refused), _) => Self::Refused,
            (Some(Obstacle::Unreachable), _) => Self::Unreachable,
            (Some(Obstacle::Certificate), _) => Self::Certificate,
            (Some(Obstacle::Tls), _) => Self::Tls,
            (Some(Obstacle::NotHttp), _) => Self::NotHttp,
            (Some(Obstacle::Proxy), _) => Self::Proxy,
            (Some(Obstacle::Reset), _) | (None, ErrorKind::Transport) => Self::Reset,
            (None, ErrorKind::Timeout) => Self::Timeout,
            (None, ErrorKind::Auth) => Self::Key,
            (None, ErrorKind::Permission) => Self::Permission,
            (None, ErrorKind::Billing) => Self::Billing,
            (None, ErrorKind::Quota) => Self::Quota,
            (None, ErrorKind::RateLimited) => Self::RateLimit,
            (None, ErrorKind::Overloaded) => Self::Overload,
            (None, _) if leads_elsewhere(error) => Self::WrongPath,
            (None, ErrorKind::NotFound) => Self::NoModel,
            (None, ErrorKind::Decode | ErrorKind::Truncated) => Self::Protocol,
            (Some(Obstacle::Address), _) | (None, ErrorKind::Config) => Self::Config,
            (None, ErrorKind::Server) => Self::Server,
            (None, _) => Self::Request,
        }
    }
}

/// Tells whether an answer looks like that of something else than the provider: a page, a redirect, or a path that
/// nobody serves. A provider that misses a model says so in JSON, and in more than two words.
fn leads_elsewhere(error: &Error) -> bool {
    let body = error.raw_body().unwrap_or_default().trim_start();
    let is_json = body.starts_with(['{', '[']);
    match error.status() {
        Some(300..=399 | 405) => true,
        Some(404) => !is_json || error.message().eq_ignore_ascii_case("not found"),
        _ => body.starts_with('<') && error.kind() != ErrorKind::Server,
    }
}

macro_rules! words {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    )*};
}
words!(Step, Verdict, Cause);

/// What came of one step, and why.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The step.
    pub step: Step,
    /// What came of it.
    pub verdict: Verdict,
    /// How long it took, where it was tried.
    pub took: Option<Duration>,
    /// What else there is to say, in a phrase.
    pub note: Option<String>,
    /// Why it failed.
    pub cause: Option<Cause>,
    /// What it failed with, or what the provider said of what it does not support.
    pub error: Option<Error>,
}

impl Finding {
    fn new(step: Step, verdict: Verdict) -> Self {
        Self { step, verdict, took: None, note: None, cause: None, error: None }
    }

    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "only a transport goes the first steps"))]
    pub(crate) fn ok(step: Step, took: Duration) -> Self {
        Self { took: Some(took), ..Self::new(step, Verdict::Ok) }
    }

    pub(crate) fn skipped(step: Step, why: impl Into<String>) -> Self {
        Self { note: Some(why.into()), ..Self::new(step, Verdict::Skipped) }
    }

    pub(crate) fn failed(step: Step, error: Error, took: Option<Duration>) -> Self {
        let cause = match (step, Cause::of(&error)) {
            // There is no model in the list of models that could be missing.
            (Step::Key, Cause::NoModel) => Cause::WrongPath,
            (_, cause) => cause,
        };
        Self { took, cause: Some(cause), error: Some(error), ..Self::new(step, Verdict::Failed) }
    }

    fn noting(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// What a check-up looks at.
pub struct Checkup<'a> {
    provider: &'a dyn Provider,
    model: Option<String>,
    choose: &'a (dyn Fn(&[Model]) -> Option<String> + Sync),
    findings: Vec<Finding>,
}

impl<'a> Checkup<'a> {
    /// Returns a check-up that asks the first model of the provider's list.
    pub fn new(provider: &'a dyn Provider) -> Self {
        Self {
            provider,
            model: None,
            choose: &|models| models.first().map(|model| model.id.clone()),
            findings: Vec::new(),
        }
    }

    /// Asks this model.
    #[must_use]
    pub fn with_model(self, model: impl Into<String>) -> Self {
        Self { model: Some(model.into()), ..self }
    }

    /// Asks the model that `choose` takes from the list, unless one is named.
    #[must_use]
    pub fn with_choice(self, choose: &'a (dyn Fn(&[Model]) -> Option<String> + Sync)) -> Self {
        Self { choose, ..self }
    }

    /// Takes over the first steps, as [`Http::reach`](crate::Http::reach) found them.
    #[must_use]
    pub fn after(self, findings: Vec<Finding>) -> Self {
        Self { findings, ..self }
    }

    /// Takes every step, and returns which model was asked and what came of each step. After one that failed the
    /// rest is skipped, but for a model that has no tools.
    ///
    /// It asks for the list of models and for three short answers, which costs a few tokens. Nothing is tried twice.
    pub async fn run(mut self) -> (Option<String>, Vec<Finding>) {
        for step in [Step::Name, Step::Connection, Step::Tls] {
            if self.is_open() && self.findings.iter().all(|finding| finding.step != step) {
                self.findings.push(Finding::skipped(step, "not looked at on its own"));
            }
        }
        if self.is_open() && self.key().await {
            self.stream().await;
        }
        if self.is_open() {
            self.tools().await;
        }
        if self.is_open() {
            self.schema().await;
        }
        for step in Step::ALL {
            if self.findings.iter().all(|finding| finding.step != step) {
                self.findings.push(Finding::skipped(step, "a step before it failed"));
            }
        }
        (self.model, self.findings)
    }

    fn is_open(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != Verdict::Failed)
    }

    /// Asks for the list of models, and tells whether there is a model to ask.
    async fn key(&mut self) -> bool {
        let begun = Instant::now();
        let listed = self.provider.models().await;
        let took = begun.elapsed();
        match listed {
            Ok(models) => {
                self.findings.push(Finding::ok(Step::Key, took).noting(match models.len() {
                    1 => "1 model".to_owned(),
                    count => format!("{count} models"),
                }));
                if self.model.is_none() {
                    self.model = (self.choose)(&models);
                }
                if self.model.is_none() {
                    let error = Error::new(ErrorKind::NotFound, "there is no model to ask");
                    self.findings.push(Finding::failed(Step::Model, error, None));
                }
            }
            // A server without a list may answer all the same.
            Err(error)
                if self.model.is_some()
                    && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported) =>
            {
                let finding =
                    Finding::new(Step::Key, Verdict::Unsupported).noting("there is no list of models");
                self.findings.push(Finding { took: Some(took), error: Some(error), ..finding });
            }
            Err(error) => self.findings.push(Finding::failed(Step::Key, error, Some(took))),
        }
        self.is_open()
    }

    /// Streams a short answer, which also tells whether the model is there: lists leave out aliases and deployments.
    async fn stream(&mut self) {
        let Some(model) = self.model.clone() else { return };
        let mut request = Request::new(&*model, vec![Message::user("Say hello in one word.")]);
        request.options.max_tokens = Some(FEW);
        let begun = Instant::now();
        let answer = self.ask(request).await;
        let took = begun.elapsed();
        match answer {
            Err(error) if Cause::of(&error) == Cause::NoModel => {
                self.findings.push(Finding::failed(Step::Model, error, Some(took)));
            }
            Err(error) => {
                self.findings.push(Finding::skipped(Step::Model, format!("{model} did not answer")));
                self.findings.push(Finding::failed(Step::Stream, error, Some(took)));
            }
            Ok(Answer { first, is_whole, .. }) => {
                self.findings.push(Finding::new(Step::Model, Verdict::Ok).noting(&*model));
                let finding = Finding::ok(Step::Stream, took);
                let first = first.map(|first| first.as_millis());
                self.findings.push(finding.noting(match (first, is_whole) {
                    (Some(first), true) => format!("first token after {first} ms"),
                    (Some(first), false) => {
                        format!("first token after {first} ms; cut off, for it went on and on")
                    }
                    (None, _) => "it ended without a word".to_owned(),
                }));
            }
        }
    }

    async fn tools(&mut self) {
        let Some(model) = self.model.clone() else { return };
        let mut request = Request::new(model, vec![Message::user("Call the tool.")]);
        request.tools.push(ToolSpec {
            name: TOOL.to_owned(),
            description: Some("Answers nothing and takes nothing.".to_owned()),
            parameters: Json::new(r#"{"type":"object","properties":{}}"#).expect("written as JSON"),
            strict: None,
        });
        request.tool_choice = Some(ToolChoice::Tool(TOOL.to_owned()));
        let is_call = |fold: &Fold| {
            let calls = fold.message().parts.into_iter().map(|part| part.kind);
            let mut calls = calls.filter_map(|kind| match kind {
                PartKind::ToolCall { name, arguments, .. } => Some((name, arguments)),
                _ => None,
            });
            calls.any(|(name, arguments)| name == TOOL && arguments.json().is_ok())
        };
        self.ability(Step::Tools, request, "the model did not call the tool it had to call", is_call).await;
    }

    async fn schema(&mut self) {
        let Some(model) = self.model.clone() else { return };
        let mut request = Request::new(
            model,
            vec![Message::user("Is water wet? Answer as JSON with the one field `wet`.")],
        );
        let schema = r#"{"type":"object","properties":{"wet":{"type":"boolean"}},"required":["wet"],"additionalProperties":false}"#;
        request.output = Some(Output::Schema {
            name: "water".to_owned(),
            schema: Json::new(schema).expect("written as JSON"),
            strict: Some(true),
        });
        let fits = |fold: &Fold| {
            #[derive(serde::Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Water {
                #[expect(dead_code, reason = "what counts is that it is there and a truth value")]
                wet: bool,
            }
            serde_json::from_str::<Water>(fold.message().text().trim()).is_ok()
        };
        self.ability(Step::Schema, request, "the answer did not keep to the schema", fits).await;
    }

    /// Asks for something that not every model can do.
    async fn ability(
        &mut self,
        step: Step,
        mut request: Request,
        misses: &str,
        does: impl Fn(&Fold) -> bool,
    ) {
        request.options.max_tokens = Some(SOME);
        let begun = Instant::now();
        let answer = self.ask(request).await;
        let took = begun.elapsed();
        let lacks = |note: &str| {
            Finding { took: Some(took), ..Finding::new(step, Verdict::Unsupported) }.noting(note)
        };
        self.findings.push(match answer {
            Ok(answer) if does(&answer.fold) => Finding::ok(step, took),
            Ok(Answer { is_whole: false, .. }) => lacks(&format!("{misses}, and went on and on")),
            Ok(Answer { fold, .. })
                if fold.finish().is_some_and(|finish| finish.reason == FinishReason::Length) =>
            {
                lacks(&format!("{misses} within {SOME} tokens"))
            }
            Ok(_) => lacks(misses),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::InvalidRequest | ErrorKind::Unsupported | ErrorKind::NotFound
                ) =>
            {
                Finding { error: Some(error), ..lacks("the provider refuses it") }
            }
            Err(error) => Finding::failed(step, error, Some(took)),
        });
    }

    /// Returns an answer, cut off where it goes on for too long.
    async fn ask(&self, request: Request) -> Result<Answer, Error> {
        let begun = Instant::now();
        let call = self.provider.prepare(request)?;
        let mut stream = self.provider.stream(call).await?;
        let mut answer = Answer { fold: Fold::new(), first: None, is_whole: false };
        loop {
            let left = match answer.first {
                Some(first) => (first + LONGEST).saturating_sub(begun.elapsed()),
                // Until then the provider's own limits hold.
                None => Duration::MAX,
            };
            let Ok(next) = tokio::time::timeout(left, stream.next()).await else { return Ok(answer) };
            let Some(delta) = next.transpose()? else { break };
            if delta.part().is_some() {
                answer.first.get_or_insert_with(|| begun.elapsed());
            }
            answer.fold.apply(&delta);
        }
        answer.is_whole = true;
        Ok(answer)
    }
}

/// What came of a request.
struct Answer {
    fold: Fold,
    /// When its first content came.
    first: Option<Duration>,
    is_whole: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::{not_json, refused};
    use http::{HeaderMap, StatusCode};
    use std::time::SystemTime;

    #[test]
    fn a_cause_tells_a_missing_model_from_a_wrong_path() {
        let cause = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            Cause::of(&refused(status, &HeaderMap::new(), body.as_bytes(), SystemTime::UNIX_EPOCH)).as_str()
        };
        for (status, body, expected) in [
            (
                404,
                r#"{"error":{"message":"the model x does not exist","code":"model_not_found"}}"#,
                "no_model",
            ),
            (404, r#"{"error":"model 'x' not found"}"#, "no_model"),
            (404, r#"{"detail":"Not Found"}"#, "wrong_path"),
            (404, "<html><title>404</title></html>", "wrong_path"),
            (404, "404 page not found", "wrong_path"),
            (404, "", "wrong_path"),
            (405, r#"{"detail":"Method Not Allowed"}"#, "wrong_path"),
            (301, "", "wrong_path"),
            (401, r#"{"error":{"message":"no"}}"#, "key"),
            (401, "<html></html>", "key"),
            (403, "{}", "permission"),
            (402, "{}", "billing"),
            (429, "{}", "rate_limit"),
            (
                429,
                r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}"#,
                "quota",
            ),
            (503, "{}", "overload"),
            (502, "<html>bad gateway</html>", "server"),
            (400, "{}", "request"),
        ] {
            assert_eq!(cause(status, body), expected, "{status} {body}");
        }
        assert_eq!(Cause::of(&not_json("<!doctype html>")), Cause::WrongPath);
        assert_eq!(Cause::of(&not_json("{")), Cause::Protocol);
    }

    #[test]
    fn a_list_of_models_misses_no_model() {
        let error = Error::new(ErrorKind::NotFound, "no").with_status(404).with_raw_body("{}".to_owned());
        assert_eq!(Finding::failed(Step::Key, error, None).cause, Some(Cause::WrongPath));
    }
}
