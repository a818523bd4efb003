//! What a database fails with, in the words of this crate: no password, no URL, no parameter of a statement.

use sqlx::postgres::PgDatabaseError;

use crate::error::{Error, ErrorKind};

/// What ended an attempt at a unit of work.
#[derive(Debug)]
pub(super) enum Failure {
    /// The caller asked for something that cannot be, or what was read is damaged: trying again changes nothing.
    Refused(Error),
    /// Somebody else was faster; the whole unit is done anew.
    Again,
    /// The driver or the server failed.
    Database(sqlx::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Try again: the server chose this unit to give way to another.
    Again,
    /// Try again on a new connection: this one is gone.
    Reconnect,
    /// Report it.
    None,
}

impl Failure {
    /// Returns what to do about it.
    pub(super) fn remedy(&self) -> Remedy {
        match self {
            Self::Refused(_) => Remedy::None,
            Self::Again => Remedy::Again,
            Self::Database(error) => match code(error) {
                Some("40001" | "40P01") => Remedy::Again,
                Some(code) if is_gone(code) => Remedy::Reconnect,
                Some(_) => Remedy::None,
                None => match error {
                    sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => Remedy::Reconnect,
                    _ => Remedy::None,
                },
            },
        }
    }

    /// Tells whether the server said so: the connection can be used again.
    pub(super) fn leaves_a_connection(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Again => true,
            Self::Database(error) => code(error).is_some_and(|code| !is_gone(code)),
        }
    }

    /// Returns the SQLSTATE, where the server gave one.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Database(error) => code(error),
            _ => None,
        }
    }

    /// Returns the error for a caller: `what` was to be done, `place` says where.
    pub(super) fn into_error(self, what: &str, place: &str) -> Error {
        let error = match self {
            Self::Refused(error) => return error,
            Self::Again => {
                let message = format!("cannot {what}: others keep changing the same in the database {place}");
                return Error::new(ErrorKind::Busy, message);
            }
            Self::Database(error) => error,
        };
        let (kind, message) = match code(&error) {
            None => match &error {
                sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => {
                    (ErrorKind::Unavailable, format!("cannot {what}: the database {place} does not answer"))
                }
                sqlx::Error::Tls(_) => {
                    (ErrorKind::Io, format!("cannot {what}: no TLS connection to the database {place}"))
                }
                _ => (ErrorKind::Io, format!("cannot {what} in the database {place}")),
            },
            Some(code) => (kind(code), format!("cannot {what} in the database {place}")),
        };
        match error {
            sqlx::Error::Io(source) => Error::new(kind, message).with_source(source),
            // The server's own words and code; its detail may quote a row.
            sqlx::Error::Database(source) => {
                let code = source.code().unwrap_or_default();
                let words = format!("{} (SQLSTATE {code})", source.message());
                Error::new(kind, message).with_code(code).with_source(words)
            }
            other => Error::new(kind, message).with_source(other.to_string()),
        }
    }
}

fn code(error: &sqlx::Error) -> Option<&str> {
    match error {
        sqlx::Error::Database(error) => {
            error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::code)
        }
        _ => None,
    }
}

/// Tells whether a server that says so ends the connection, or takes none for the moment.
fn is_gone(code: &str) -> bool {
    code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03" | "57P05" | "53300")
}

fn kind(code: &str) -> ErrorKind {
    match code {
        "53100" => ErrorKind::Full,
        "40001" | "40P01" | "55P03" | "57014" => ErrorKind::Busy,
        "XX001" | "XX002" | "42P01" | "42703" | "3F000" | "23505" => ErrorKind::Corrupt,
        "22P02" | "22023" | "22003" | "54000" => ErrorKind::Invalid,
        code if is_gone(code) => ErrorKind::Unavailable,
        _ => ErrorKind::Io,
    }
}
