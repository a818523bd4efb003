//! Where a provider is reached and with what: address, key, transport, time-outs, redactor.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Uri};
use secrecy::{ExposeSecret, SecretString};

use aichat_message::ErrorKind;

use crate::error::{Error, Obstacle};
use crate::redaction::Redactor;
use crate::transport::Transport;

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the first byte of the body, from the moment the request is sent. Long: a model may reason first.
    pub first_byte: Duration,
    /// For the next byte, once one has arrived; comments and pings count. Where nothing else comes, they are
    /// believed for six times the longer of the two.
    pub idle: Duration,
}

impl Default for Timeouts {
    /// Ten minutes for the first byte, two for the next; an hour where the server only keeps the connection alive.
    fn default() -> Self {
        Self { first_byte: Duration::from_secs(600), idle: Duration::from_secs(120) }
    }
}

/// Where a provider is reached and with what. Cheap to clone; never shows the key.
#[derive(Clone)]
pub struct Endpoint {
    pub(crate) name: String,
    pub(crate) base_url: String,
    pub(crate) key: Option<SecretString>,
    pub(crate) headers: Vec<(HeaderName, SecretString)>,
    pub(crate) local: bool,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) redactor: Option<Redactor>,
    pub(crate) timeouts: Timeouts,
}

impl Endpoint {
    /// Returns an endpoint without a key. `base_url` goes up to and includes the version, `/v1` for example.
    pub fn new(name: impl Into<String>, base_url: impl Into<String>, transport: Arc<dyn Transport>) -> Self {
        Self {
            name: name.into(),
            base_url: base_url.into(),
            key: None,
            headers: Vec::new(),
            local: false,
            transport,
            redactor: None,
            timeouts: Timeouts::default(),
        }
    }

    /// Sets the key.
    #[must_use]
    pub fn with_key(self, key: SecretString) -> Self {
        Self { key: Some(key), ..self }
    }

    /// Adds a header to every request, an organization's for example; one of the same name is replaced. Its
    /// value is treated as a secret.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: SecretString) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Declares that calls cost nothing.
    #[must_use]
    pub fn with_local(self, local: bool) -> Self {
        Self { local, ..self }
    }

    /// Sets what error texts, bodies and headers go through before anyone sees them. The endpoint's own
    /// secrets are masked without it.
    #[must_use]
    pub fn with_redactor(self, redactor: Redactor) -> Self {
        Self { redactor: Some(redactor), ..self }
    }

    /// Sets how long to wait.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// Returns the name, for a provider that is no [`Driver`](crate::Driver), as are the following.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the address, which may hold a password.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Returns the key.
    pub fn key(&self) -> Option<&SecretString> {
        self.key.as_ref()
    }

    /// Returns what carries the requests.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    /// Returns how long to wait.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("has_key", &self.key.is_some())
            .field("local", &self.local)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// A base address taken apart, its user info out of sight.
pub(crate) struct Base {
    /// Scheme, host, port and path, without a trailing slash.
    pub(crate) url: String,
    /// Host and port.
    pub(crate) host: String,
    pub(crate) user_info: Option<SecretString>,
}

impl Base {
    /// Takes a base address apart.
    ///
    /// # Errors
    /// Fails with kind `config`; the error does not repeat the address, which may hold a secret.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let bad = |what: &str| {
            Error::new(ErrorKind::Config, format!("the base url {what}")).with_obstacle(Obstacle::Address)
        };
        let uri: Uri = url.trim().parse().map_err(|_| bad("is not a valid address"))?;
        let scheme = match uri.scheme_str() {
            Some(scheme @ ("http" | "https")) => scheme,
            _ => return Err(bad("must begin with http:// or https://")),
        };
        if uri.query().is_some() {
            return Err(bad("must not have a query"));
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let (user_info, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(SecretString::from(user.to_owned())), host.to_owned()),
            None => (None, authority.to_owned()),
        };
        if host.is_empty() || host.starts_with(':') {
            return Err(bad("has no host"));
        }
        let path = uri.path().trim_end_matches('/');
        Ok(Self { url: format!("{scheme}://{host}{path}"), host, user_info })
    }

    /// Returns the header that carries the user info.
    pub(crate) fn basic(user_info: &SecretString) -> Result<HeaderValue, Error> {
        let pair = percent_decode(user_info.expose_secret());
        let pair = if pair.contains(&b':') { pair } else { [pair.as_slice(), b":"].concat() };
        secret_header(&format!("Basic {}", STANDARD.encode(pair)))
    }
}

/// Returns a header value that `Debug` does not show.
///
/// # Errors
/// Fails with kind `auth` where the secret holds a line break or another character no header may have.
pub(crate) fn secret_header(value: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        Error::new(ErrorKind::Auth, "the key holds a line break or another character that no header may have")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

pub(crate) fn percent_decode(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, tail @ ..] = rest {
        let hex = |digit: &u8| char::from(*digit).to_digit(16);
        match rest {
            [b'%', a, b, tail @ ..] if hex(a).is_some() && hex(b).is_some() => {
                out.push((hex(a).unwrap_or(0) * 16 + hex(b).unwrap_or(0)) as u8);
                rest = tail;
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

/// Writes a text as one segment of a path or one value of a query: all but unreserved characters, and those of
/// `also`, are encoded.
#[cfg(feature = "_protocol")]
#[allow(dead_code, reason = "not every protocol has names in its addresses")]
pub(crate) fn percent_encode(text: &str, also: &[u8]) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || also.contains(&byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "_protocol")]
    #[test]
    fn what_is_encoded_is_decoded() {
        assert_eq!(percent_encode("a/b c?é-._~", b""), "a%2Fb%20c%3F%C3%A9-._~");
        assert_eq!(percent_encode("models/é", b"/"), "models/%C3%A9");
        let all: String = ('\0'..'\u{1ff}').collect();
        assert_eq!(percent_decode(&percent_encode(&all, b"")), all.as_bytes());
    }

    #[test]
    fn a_base_address_is_taken_apart() {
        for url in ["http://me:p%40ss@localhost:8080/v1/", "http://me:p%40ss@localhost:8080/v1"] {
            let base = Base::parse(url).unwrap();
            assert_eq!(
                (base.url.as_str(), base.host.as_str()),
                ("http://localhost:8080/v1", "localhost:8080")
            );
            let basic = Base::basic(&base.user_info.unwrap()).unwrap();
            assert_eq!(basic.to_str().unwrap(), "Basic bWU6cEBzcw==");
            assert!(basic.is_sensitive());
        }
        for bad in ["", "localhost", "ftp://x/v1", "http://", "http://x/v1?key=CANARY", "http://a b/"] {
            let error = Base::parse(bad).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
            assert!(!format!("{error:?}").contains("CANARY"));
        }
    }

    #[test]
    fn a_key_with_a_line_break_is_a_clean_error() {
        let error = secret_header("Bearer CANARY\n").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("CANARY"));
    }
}
