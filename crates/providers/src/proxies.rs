//! The proxies that the environment names: through which one a request goes, and which variable says so.

use http::{Extensions, StatusCode, Uri};
use hyper_util::client::proxy::matcher::{Builder, Matcher};

use aichat_message::ErrorKind;

use crate::error::{Error, Obstacle};

/// What a proxy does that lets nobody in without a password.
const LOCKED: &str = "wants a user name and a password";

/// What one does that refuses a tunnel.
const SHUT: &str = "makes no connection to the host";

/// Hosts that are reached without a proxy.
const NONE_FOR: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Gives a proxy to what it is for.
type For = fn(Builder, String) -> Builder;

/// Variables that name a proxy, what for, and in which order they count; of two ways of writing one, the first that
/// is set.
const VARIABLES: [([&str; 2], For); 3] = [
    (["HTTPS_PROXY", "https_proxy"], Builder::https),
    (["HTTP_PROXY", "http_proxy"], Builder::http),
    (["ALL_PROXY", "all_proxy"], Builder::all),
];

/// The proxies of the environment, as the client of http finds them, and who named them.
pub(crate) struct Proxies {
    /// What the client itself goes by.
    all: Matcher,
    named: Vec<(&'static str, Matcher)>,
}

impl Proxies {
    /// Reads the variables.
    pub(crate) fn from_env() -> Self {
        Self::of(Matcher::from_system(), |name| std::env::var(name).ok())
    }

    fn of(all: Matcher, value: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, value(name)?)));
        let none_for = first(NONE_FOR).map(|(_, hosts)| hosts).unwrap_or_default();
        let named = VARIABLES.into_iter().filter_map(|(names, for_these)| {
            let (name, proxy) = first(names)?;
            Some((name, for_these(Matcher::builder().no(none_for.clone()), proxy).build()))
        });
        Self { all, named: named.collect() }
    }

    /// Returns the proxy that a request to this address goes through, if it does: host, port, and whose word that is.
    /// Its user and password are not told.
    pub(crate) fn between(&self, address: &Uri) -> Option<String> {
        let proxy = self.all.intercept(address)?;
        let says_so =
            |matcher: &Matcher| matcher.intercept(address).is_some_and(|other| other.uri() == proxy.uri());
        let name = self.named.iter().find(|(_, matcher)| says_so(matcher)).map(|(name, _)| *name);
        let place = proxy.uri().authority()?;
        Some(format!("{place} of {}", name.unwrap_or("the system")))
    }
}

/// The proxy that a response came through, as it is told.
#[derive(Clone)]
pub(crate) struct Between(pub(crate) String);

/// Says of a refusal that came through a proxy which one it was, where the proxy may have been the one who refused.
pub(crate) fn blamed(refusal: Error, status: StatusCode, extensions: &Extensions) -> Error {
    let Some(Between(proxy)) = extensions.get() else { return refusal };
    match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Error::new(ErrorKind::Transport, format!("the proxy {proxy} {LOCKED}"))
                .with_obstacle(Obstacle::Proxy)
                .with_status(status.as_u16())
                .with_retryable(false)
        }
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            let what = format!("{}; it went through the proxy {proxy}", refusal.message());
            refusal.with_message(what)
        }
        _ => refusal,
    }
}

/// Returns what a proxy did, where this is what a client says of a tunnel.
pub(crate) fn did(text: &str) -> Option<&'static str> {
    let text = text.strip_prefix("tunnel error: ")?;
    match text {
        "proxy authorization required" => Some(LOCKED),
        "unsuccessful" => Some(SHUT),
        _ => None,
    }
}

/// Says of a connection that failed that it was to a proxy, or through one.
pub(crate) fn stopped_at(proxy: &str, error: Error) -> Error {
    match error.obstacle() {
        Some(Obstacle::Refused) => error
            .with_message(format!("the proxy {proxy} refuses the connection; is it running?"))
            .with_obstacle(Obstacle::Proxy),
        Some(Obstacle::Proxy) => {
            let (what, is_locked) =
                (format!("the proxy {proxy} {}", error.message()), error.message() == LOCKED);
            let error = error.with_message(what);
            if is_locked { error.with_retryable(false) } else { error }
        }
        _ => {
            let what = format!("through the proxy {proxy}: {}", error.message());
            error.with_message(what)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says through which proxy an address is reached where these variables are set.
    fn between(variables: &[(&str, &str)], address: &str) -> String {
        let value = |name: &str| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        };
        let first = |upper: &str, lower: &str| value(upper).or_else(|| value(lower)).unwrap_or_default();
        let client = Matcher::builder()
            .all(first("ALL_PROXY", "all_proxy"))
            .http(first("HTTP_PROXY", "http_proxy"))
            .https(first("HTTPS_PROXY", "https_proxy"))
            .no(first("NO_PROXY", "no_proxy"));
        let proxies = Proxies::of(client.build(), value);
        proxies.between(&address.parse().unwrap()).unwrap_or_else(|| "nobody".to_owned())
    }

    #[test]
    fn the_variable_that_counts_is_named_and_no_password() {
        let all = ("ALL_PROXY", "socks5://me:CANARY@all:1");
        let https = ("https_proxy", "http://CANARY@secure:2");
        let http = ("HTTP_PROXY", "plain:3");
        let (plain, secure) = ("http://far/v1", "https://far/v1");
        for (variables, address, expected) in [
            (&[][..], secure, "nobody"),
            (&[all, https, http], secure, "secure:2 of https_proxy"),
            (&[all, https, http], plain, "plain:3 of HTTP_PROXY"),
            (&[all, https], plain, "all:1 of ALL_PROXY"),
            (&[https], plain, "nobody"),
            (&[https, ("HTTPS_PROXY", "first:4")], secure, "first:4 of HTTPS_PROXY"),
            (&[all, ("HTTPS_PROXY", "ftp://none")], secure, "all:1 of ALL_PROXY"),
            (&[all, ("no_proxy", "near, far")], secure, "nobody"),
            (&[all, ("NO_PROXY", ""), ("no_proxy", "far")], secure, "all:1 of ALL_PROXY"),
        ] {
            assert_eq!(between(variables, address), expected, "{variables:?} {address}");
        }
        let system = Matcher::builder().all("http://set:5").build();
        let proxies = Proxies::of(system, |_| None);
        assert_eq!(proxies.between(&secure.parse().unwrap()).unwrap(), "set:5 of the system");
    }
}
