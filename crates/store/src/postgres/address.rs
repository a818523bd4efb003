//! Where a database is and how it is reached, read from a URL that holds no password.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use crate::error::{Error, ErrorKind};

/// The port of a URL that names none.
const PORT: u16 = 5432;

/// Where a PostgreSQL database is: `postgres://USER@HOST[:PORT]/DATABASE[?sslmode=…]`.
///
/// The host is a name, an address, or the percent-encoded directory of a unix socket. `sslmode`, `sslrootcert`,
/// `sslcert` and `sslkey` mean what they mean to other clients of PostgreSQL. Shown, it is host, port and database.
#[derive(Clone, Debug)]
pub struct PostgresAddress {
    host: String,
    port: u16,
    user: String,
    database: String,
    tls: Tls,
    password: Option<SecretString>,
}

#[derive(Clone, Debug, Default)]
struct Tls {
    mode: PgSslMode,
    root: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl PostgresAddress {
    /// Reads a URL.
    ///
    /// # Errors
    /// Fails with `invalid` where it is not such a URL, where it names no user or no database, and where it has a
    /// parameter that is not known, and with `exposed` where it holds a password.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let url =
            Url::parse(url).map_err(|error| invalid(format!("the address of the database: {error}")))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(invalid(format!("{}:// is no address of a PostgreSQL database", url.scheme())));
        }
        if url.password().is_some() {
            return Err(password());
        }
        let mut tls = Tls::default();
        for (name, value) in url.query_pairs() {
            match &*name {
                "sslmode" => tls.mode = mode(&value)?,
                "sslrootcert" => tls.root = Some(value.into_owned()),
                "sslcert" => tls.certificate = Some(value.into_owned()),
                "sslkey" => tls.key = Some(value.into_owned()),
                "password" => return Err(password()),
                _ => {
                    let known = "known are sslmode, sslrootcert, sslcert and sslkey";
                    return Err(invalid(format!(
                        "the address of a database has no parameter {name:?}; {known}"
                    )));
                }
            }
        }
        let host = decoded(url.host_str().unwrap_or_default())?;
        let user = decoded(url.username())?;
        let database = decoded(url.path().trim_start_matches('/'))?;
        for (part, what) in [(&host, "host"), (&user, "user"), (&database, "database")] {
            if part.is_empty() || part.contains('\0') {
                return Err(invalid(format!(
                    "the address names no {what}; it is written postgres://USER@HOST/DATABASE"
                )));
            }
        }
        // An IPv6 address stands in brackets in a URL only.
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&host).to_owned();
        Ok(Self { host, port: url.port().unwrap_or(PORT), user, database, tls, password: None })
    }

    /// Sets the password.
    #[must_use]
    pub fn with_password(mut self, password: SecretString) -> Self {
        self.password = Some(password);
        self
    }

    /// Returns the host, or the directory of the socket.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the user to connect as.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns the name of the database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Returns what the driver connects with. Everything it would look up in the environment is said, as far as it
    /// lets us: of its variables `PGOPTIONS` is left, and those of certificates where the URL names none.
    pub(super) fn options(&self) -> PgConnectOptions {
        let password = self.password.as_ref().map_or("", |password| password.expose_secret());
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .password(password)
            .database(&self.database)
            .application_name("aichat")
            .ssl_mode(self.tls.mode)
            .disable_statement_logging();
        if let Some(path) = &self.tls.root {
            options = options.ssl_root_cert(path);
        }
        if let Some(path) = &self.tls.certificate {
            options = options.ssl_client_cert(path);
        }
        if let Some(path) = &self.tls.key {
            options = options.ssl_client_key(path);
        }
        options
    }
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.port, self.database)
    }
}

fn mode(text: &str) -> Result<PgSslMode, Error> {
    text.parse().map_err(|_| {
        invalid("sslmode is one of disable, allow, prefer, require, verify-ca and verify-full".to_owned())
    })
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

fn password() -> Error {
    let what = "the address of a database holds no password: it would be seen by others";
    Error::new(ErrorKind::Exposed, what)
}

/// Returns percent-encoded text as it was before.
fn decoded(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| invalid("the address of the database is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> String {
        match PostgresAddress::parse(url) {
            Ok(address) => format!("{address} as {}", address.user()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_address_is_read_and_shown_without_its_user_and_parameters() {
        assert_eq!(read("postgres://me@db.example/chat"), "db.example:5432/chat as me");
        assert_eq!(read("postgresql://me@[::1]:99/c%20t?sslmode=verify-full"), "::1:99/c t as me");
        assert_eq!(read("postgres://a%40b@%2Fvar%2Frun%2Fpg/chat"), "/var/run/pg:5432/chat as a@b");
    }

    #[test]
    fn what_is_missing_or_unknown_is_said_and_a_password_is_not() {
        for (url, wanted) in [
            ("mysql://me@h/d", "mysql:// is no address"),
            ("postgres://h/d", "names no user"),
            ("postgres://me@h", "names no database"),
            ("postgres://me@/d", "host"),
            ("postgres://me@h/d?sslmode=maybe", "sslmode is one of"),
            ("postgres://me@h/d?connect_timeout=3", "no parameter \"connect_timeout\""),
            ("postgres://me:s3cr3t@h/d", "holds no password"),
            ("postgres://me@h/d?password=s3cr3t", "holds no password"),
            ("postgres://me@h:port/d", "invalid port"),
        ] {
            let said = read(url);
            assert!(said.contains(wanted), "{url}: {said}");
            assert!(!said.contains("s3cr3t"), "{said}");
            let kind = PostgresAddress::parse(url).map(drop).unwrap_err().kind();
            assert_eq!(kind == ErrorKind::Exposed, url.contains("s3cr3t"), "{url}");
        }
    }
}
