//! `events otel`: sessions as spans and metrics, sent to a collector after the fact.

use crate::args;
use crate::commands::Context;
use crate::failure::Failure;
use crate::output::Output;

#[cfg(feature = "otel")]
pub(super) use there::send;

/// Says that this program was built without it.
#[cfg(not(feature = "otel"))]
pub(super) async fn send(
    _: &Context,
    _: &mut Output,
    _: &aichat_engine::Engine,
    _: args::Otel,
) -> Result<(), Failure> {
    let what = "this program was built without OpenTelemetry; build it with `--features otel`";
    Err(Failure::new(aichat_message::ErrorKind::Unsupported, what))
}

#[cfg(feature = "otel")]
mod there {
    use std::time::Duration;

    use aichat_engine::Engine;
    use aichat_events::Telemetry;
    use aichat_message::{ErrorKind, SessionId};
    use aichat_providers::Transport;
    use futures::TryStreamExt;
    use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
    use http::{Request, StatusCode};
    use serde::Serialize;
    use tokio::time::timeout;

    use super::{Context, Failure, Output, args};
    use crate::assemble;
    use crate::directory::is_here;

    /// The variables that every exporter knows.
    const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
    /// How long a collector may take for one request.
    const PATIENCE: Duration = Duration::from_secs(30);
    /// The longest answer that is read, in bytes.
    const MAX_ANSWER: usize = 64 << 10;

    /// What was sent.
    #[derive(Default, Serialize)]
    struct Sent {
        sessions: usize,
        spans: usize,
        metrics: bool,
    }

    /// Sends what happened in sessions, one after another: a session that is sent again is the same once more.
    pub(in crate::commands) async fn send(
        context: &Context,
        output: &mut Output,
        engine: &Engine,
        args: args::Otel,
    ) -> Result<(), Failure> {
        let collector = Collector::of(context, args.endpoint.as_deref())?;
        let mut sent = Sent { metrics: true, ..Sent::default() };
        for session in sessions(engine, &args).await? {
            let mut telemetry = Telemetry::default();
            let events = engine.events(&session).await?;
            telemetry.add(events.iter().filter(|event| *event.session() == session), args.content);
            for body in telemetry.traces() {
                collector.post(context, "v1/traces", body).await?;
            }
            if let Some(body) = telemetry.metrics().filter(|_| sent.metrics) {
                // Many know traces only, and say so in this way.
                sent.metrics = collector.post(context, "v1/metrics", body).await?;
            }
            sent.sessions += 1;
            sent.spans += telemetry.spans();
        }
        match context.global.json {
            true => output.object("aichat.otel/1", &sent)?,
            false => {
                context.talk.note(&format!("{} spans of {} sessions sent", sent.spans, sent.sessions));
            }
        }
        Ok(())
    }

    async fn sessions(engine: &Engine, args: &args::Otel) -> Result<Vec<SessionId>, Failure> {
        if let Some(session) = &args.chains.session {
            return Ok(vec![engine.resolve(session).await?]);
        }
        let since = args.since.map_or(i64::MIN, |since| since.at(jiff::Timestamp::now()));
        let listed = engine.list(None).await?.into_iter().filter(|session| session.updated_us >= since);
        Ok(listed.map(|session| session.id).collect())
    }

    /// Who takes telemetry, by OTLP over HTTP.
    struct Collector {
        transport: std::sync::Arc<dyn Transport>,
        base: String,
        headers: HeaderMap,
    }

    impl Collector {
        fn of(context: &Context, endpoint: Option<&str>) -> Result<Self, Failure> {
            let wrong = |what: &str| Failure::new(ErrorKind::Usage, what.to_owned());
            let base =
                endpoint.map(str::to_owned).or_else(|| context.env.text(ENDPOINT)).ok_or_else(|| {
                    wrong("no collector is named: give --endpoint or set OTEL_EXPORTER_OTLP_ENDPOINT")
                })?;
            let base = base.trim_end_matches('/').to_owned();
            let rest = base.strip_prefix("http://").or_else(|| base.strip_prefix("https://"));
            let rest = rest.ok_or_else(|| wrong("the endpoint must begin with http:// or https://"))?;
            if rest.contains(['@', '?', '#']) {
                let what = "the endpoint is an address alone; a key goes into OTEL_EXPORTER_OTLP_HEADERS";
                return Err(wrong(what));
            }
            let host = rest.split('/').next().unwrap_or_default();
            let transport = assemble::collector(context, is_here(host))?;
            Ok(Self { transport, headers: headers(context)?, base })
        }

        /// Sends a request, and tells whether the collector knows what to do with it.
        async fn post(&self, context: &Context, path: &str, body: Vec<u8>) -> Result<bool, Failure> {
            let mut request = Request::post(format!("{}/{path}", self.base))
                .header(CONTENT_TYPE, "application/x-protobuf")
                .header(ACCEPT, "application/x-protobuf")
                .body(body.into())
                .map_err(|_| Failure::new(ErrorKind::Usage, "the endpoint is no address"))?;
            request.headers_mut().extend(self.headers.clone());
            let exchange = async {
                let response = self.transport.send(request).await.map_err(aichat_engine::Error::from)?;
                let status = response.status();
                let mut answer = Vec::new();
                let mut pieces = response.into_body();
                while let Some(piece) = pieces.try_next().await.map_err(aichat_engine::Error::from)? {
                    if answer.len() + piece.len() > MAX_ANSWER {
                        break;
                    }
                    answer.extend_from_slice(&piece);
                }
                Ok::<_, Failure>((status, answer))
            };
            let late = |_| Failure::new(ErrorKind::Timeout, "the collector did not answer in time");
            let (status, answer) = timeout(PATIENCE, exchange).await.map_err(late)??;
            if path == "v1/metrics"
                && matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
            {
                context.talk.note("the collector takes no metrics");
                return Ok(false);
            }
            if !status.is_success() {
                let kind = match status.as_u16() {
                    401 => ErrorKind::Auth,
                    403 => ErrorKind::Permission,
                    404 => ErrorKind::NotFound,
                    429 => ErrorKind::RateLimited,
                    500.. => ErrorKind::Server,
                    _ => ErrorKind::InvalidRequest,
                };
                let what = format!("the collector answered {} to /{path}", status.as_u16());
                return Err(Failure::new(kind, what));
            }
            if let Some(refused) = Telemetry::refused(&answer) {
                context.talk.warning(&format!("the collector took not all: {refused}"));
            }
            Ok(true)
        }
    }

    /// Reads the headers that every request shall have, `name=value` with commas between them; each may be a key.
    fn headers(context: &Context) -> Result<HeaderMap, Failure> {
        let wrong = || Failure::new(ErrorKind::Config, format!("{HEADERS} is not of the form name=value,…"));
        let mut headers = HeaderMap::new();
        let text = context.env.text(HEADERS).unwrap_or_default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
            let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
            context.secrets.learn(HEADERS, value.trim());
            let mut value: HeaderValue = value.trim().parse().map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }
}
