//! The transport over the network: reqwest on rustls, TLS set up on the first https request.
//!
//! The cryptography is ring, which builds in a fraction of the time of aws-lc and needs no cmake. Roots come from
//! the operating system (rustls-platform-verifier, which reqwest's rustls support builds anyway), so that a
//! company's own authority works.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use http::Uri;
use reqwest::{Client, ClientBuilder, Proxy};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use aichat_message::ErrorKind;

use crate::checkup::{Finding, Step};
use crate::error::{Error, Obstacle, Timeout};
use crate::proxies::{self, Between, Proxies};
use crate::reach::reach;
use crate::transport::{HttpRequest, HttpResponse, Transport};

/// How long a connection may take to be made, unless another limit is given.
const CONNECT: Duration = Duration::from_secs(20);

/// Carries requests over the network. Cheap to clone; clones share their connections.
///
/// Needs a tokio runtime.
#[derive(Clone)]
pub struct Http(Arc<Shared>);

struct Shared {
    route: Route,
    connect: Duration,
    /// For `http://`: no roots are loaded.
    plain: OnceLock<Client>,
    secure: OnceLock<Client>,
}

/// Which way requests go out.
#[derive(Clone)]
enum Route {
    Direct,
    /// Through this one, and its host and port.
    Proxy(Box<Proxy>, Arc<str>),
    /// As `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    Environment(Arc<Proxies>),
}

impl Route {
    /// Returns the proxy on the way to an address, as it is told.
    fn between(&self, address: &Uri) -> Option<String> {
        match self {
            Self::Direct => None,
            Self::Proxy(_, place) => Some(place.to_string()),
            Self::Environment(proxies) => proxies.between(address),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Http {
    /// Shows nothing: a proxy's address may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

impl Http {
    /// Returns a transport that connects directly.
    pub fn new() -> Self {
        Self::by(Route::Direct, CONNECT)
    }

    /// Returns a transport that sends everything through this proxy.
    ///
    /// # Errors
    /// Fails with kind `config` where the address is not one; the error does not repeat it.
    pub fn with_proxy(url: &str) -> Result<Self, Error> {
        let proxy =
            Proxy::all(url).map_err(|_| Error::new(ErrorKind::Config, "the proxy's address is not valid"))?;
        let place = url.split_once("://").map_or(url, |(_, rest)| rest);
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        let place = place.split(['/', '?', '#']).next().unwrap_or_default();
        Ok(Self::by(Route::Proxy(Box::new(proxy), place.into()), CONNECT))
    }

    /// Returns a transport that takes its proxy from the environment (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`,
    /// `NO_PROXY`), read here and on first use.
    pub fn from_env() -> Self {
        Self::by(Route::Environment(Arc::new(Proxies::from_env())), CONNECT)
    }

    /// Returns a transport of the same route that gives up connecting after `limit`, 20 seconds otherwise. It
    /// shares no connections with this one.
    #[must_use]
    pub fn with_connect_timeout(&self, limit: Duration) -> Self {
        Self::by(self.0.route.clone(), limit)
    }

    /// Goes the way to a base address step by step, without asking anything: name, connection, TLS. Through a proxy
    /// there is no such way, and the steps are skipped.
    pub async fn reach(&self, base_url: &str) -> Vec<Finding> {
        let steps = [Step::Name, Step::Connection, Step::Tls];
        let address = base_url.parse::<Uri>().ok();
        if let Some(proxy) = address.and_then(|address| self.0.route.between(&address)) {
            return steps
                .map(|step| Finding::skipped(step, format!("it goes through the proxy {proxy}")))
                .into();
        }
        let (base_url, limit) = (base_url.to_owned(), self.0.connect);
        let (tell, told) = futures::channel::oneshot::channel();
        // Not one of the runtime's threads: a system that looks for a name for minutes would hold up its end.
        let look = move || tell.send(reach(&base_url, || tls(true), limit));
        if std::thread::Builder::new().name("aichat-reach".to_owned()).spawn(look).is_err() {
            return Vec::new();
        }
        match tokio::time::timeout(limit * 3, told).await {
            // What cannot be looked at on its own is found out by asking.
            Ok(went) => went.unwrap_or_default(),
            Err(_) => {
                let late = Error::timed_out(Timeout::Connect, limit * 3);
                vec![Finding::failed(Step::Name, late, Some(limit * 3))]
            }
        }
    }

    fn by(route: Route, connect: Duration) -> Self {
        Self(Arc::new(Shared { route, connect, plain: OnceLock::new(), secure: OnceLock::new() }))
    }

    fn client(&self, secure: bool) -> Result<&Client, Error> {
        let cell = if secure { &self.0.secure } else { &self.0.plain };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let builder = match &self.0.route {
            Route::Direct => Client::builder().no_proxy(),
            Route::Proxy(proxy, _) => Client::builder().no_proxy().proxy((**proxy).clone()),
            Route::Environment { .. } => Client::builder(),
        };
        let client = build(builder.connect_timeout(self.0.connect), tls(secure)?)?;
        Ok(cell.get_or_init(|| client))
    }
}

fn build(builder: ClientBuilder, tls: ClientConfig) -> Result<Client, Error> {
    builder
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .tcp_nodelay(true)
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(32)
        .build()
        .map_err(|error| {
            Error::new(ErrorKind::Transport, "the http client cannot be set up").with_source(error)
        })
}

/// Said where the system has no roots of trust, as an empty container has none.
const ROOTLESS: &str = "this system has no certificates of authorities to trust; install them (the package \
    ca-certificates), or name a file of them in SSL_CERT_FILE";

fn tls(secure: bool) -> Result<ClientConfig, Error> {
    let failed =
        |error: rustls::Error| Error::new(ErrorKind::Transport, "tls cannot be set up").with_source(error);
    // Without roots of trust no certificate is good, however often it is tried.
    let rootless = |error: rustls::Error| {
        Error::new(ErrorKind::Transport, ROOTLESS)
            .with_source(error)
            .with_obstacle(Obstacle::Certificate)
            .with_retryable(false)
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    Ok(match secure {
        true => builder.with_platform_verifier().map_err(rootless)?.with_no_client_auth(),
        false => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
    })
}

#[async_trait]
impl Transport for Http {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let proxy = self.0.route.between(request.uri());
        // A proxy may itself be reached over https.
        let secure = request.uri().scheme_str() == Some("https") || proxy.is_some();
        let client = self.client(secure)?;
        let request = request
            .try_into()
            .map_err(|_: reqwest::Error| Error::new(ErrorKind::InvalidRequest, "the address is not valid"))?;
        let response = client.execute(request).await.map_err(|error| match &proxy {
            Some(proxy) if error.is_connect() => proxies::stopped_at(proxy, failure(error, self.0.connect)),
            _ => failure(error, self.0.connect),
        })?;
        let mut head = http::Response::builder().status(response.status());
        if let Some(proxy) = proxy {
            head = head.extension(Between(proxy));
        }
        if let Some(headers) = head.headers_mut() {
            *headers = response.headers().clone();
        }
        let connect = self.0.connect;
        let body =
            response.bytes_stream().map(move |chunk| chunk.map_err(|error| failure(error, connect))).boxed();
        head.body(body).map_err(|_| Error::new(ErrorKind::Transport, "the answer's head is not valid"))
    }
}

fn failure(error: reqwest::Error, connect: Duration) -> Error {
    let error = error.without_url();
    if error.is_timeout() && error.is_connect() {
        return Error::timed_out(Timeout::Connect, connect).with_source(error);
    }
    let (message, obstacle) = phrase(&error);
    let failed = Error::new(ErrorKind::Transport, message).with_source(error);
    match obstacle {
        Some(obstacle) => failed.with_obstacle(obstacle),
        None => failed,
    }
}

/// Returns what an I/O error says about the way.
pub(crate) fn obstacle(kind: std::io::ErrorKind) -> Option<Obstacle> {
    use std::io::ErrorKind as Io;
    Some(match kind {
        Io::ConnectionRefused => Obstacle::Refused,
        Io::ConnectionReset | Io::BrokenPipe | Io::ConnectionAborted | Io::UnexpectedEof => Obstacle::Reset,
        Io::HostUnreachable | Io::NetworkUnreachable => Obstacle::Unreachable,
        _ => return None,
    })
}

/// Says which step failed, from the chain of causes.
fn phrase(error: &reqwest::Error) -> (String, Option<Obstacle>) {
    let told = |obstacle: Obstacle| (obstacle.phrase().to_owned(), Some(obstacle));
    let closed = || ("the connection was closed".to_owned(), Some(Obstacle::Reset));
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(at) = cause {
        if let Some(tls) = at.downcast_ref::<rustls::Error>() {
            let (what, obstacle) = describe(tls);
            return (format!("tls failed: {what}"), Some(obstacle));
        }
        if let Some(io) = at.downcast_ref::<std::io::Error>() {
            match obstacle(io.kind()) {
                Some(_) if io.kind() == std::io::ErrorKind::UnexpectedEof => return closed(),
                Some(obstacle) => return told(obstacle),
                None => {}
            }
        }
        let text = at.to_string();
        if let Some(did) = proxies::did(&text) {
            return (did.to_owned(), Some(Obstacle::Proxy));
        }
        if text.contains("dns error") {
            return told(Obstacle::Name);
        }
        if text.contains("invalid HTTP") {
            return told(Obstacle::NotHttp);
        }
        if text.contains("connection closed before message completed") || text.contains("end of file") {
            return closed();
        }
        // An io error's own cause is not in its source chain.
        let inner = at.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = inner.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| at.source());
    }
    let what = if error.is_connect() { "the connection failed" } else { "the exchange failed" };
    (what.to_owned(), None)
}

/// Says what went wrong with TLS.
pub(crate) fn describe(error: &rustls::Error) -> (&'static str, Obstacle) {
    match error {
        rustls::Error::InvalidMessage(_) => ("the server does not speak tls", Obstacle::Tls),
        rustls::Error::InvalidCertificate(_) => {
            ("the server's certificate is not trusted", Obstacle::Certificate)
        }
        _ => ("the handshake was refused", Obstacle::Tls),
    }
}
