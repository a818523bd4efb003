//! Where sessions are kept: a directory, or a database named by its address.

use std::fmt;
use std::path::{Path, PathBuf};

#[cfg(feature = "postgres")]
use aichat_store::{ErrorKind, PostgresAddress};

/// Where sessions are kept.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    /// A directory.
    Directory(PathBuf),
    /// A database; its password is looked up when it is opened.
    #[cfg(feature = "postgres")]
    Database(PostgresAddress),
}

/// Why a text names no place, and what would help.
pub(crate) struct Complaint {
    pub(crate) what: String,
    pub(crate) hint: &'static str,
}

impl Location {
    /// Reads `default`, a path or an address; `usual` is what `default` stands for, and `base` is what a relative
    /// path is relative to.
    ///
    /// # Errors
    /// Fails with what is wrong with the text; a password in an address is wrong, and is not repeated.
    pub(crate) fn parse(text: &str, usual: &Path, base: &Path) -> Result<Self, Complaint> {
        match text {
            "" => Err(Complaint { what: "it is empty".to_owned(), hint: "name a directory or a database" }),
            "default" => Ok(Self::Directory(usual.to_owned())),
            address if address.contains("://") => database(address),
            path => Ok(Self::Directory(base.join(path))),
        }
    }
}

#[cfg(feature = "postgres")]
fn database(address: &str) -> Result<Location, Complaint> {
    PostgresAddress::parse(address).map(Location::Database).map_err(|error| Complaint {
        hint: match error.kind() {
            ErrorKind::Exposed => "leave it out; set PGPASSWORD, or keep it in ~/.pgpass",
            _ => "a database is written postgres://USER@HOST/DATABASE",
        },
        what: error.to_string(),
    })
}

#[cfg(not(feature = "postgres"))]
fn database(_: &str) -> Result<Location, Complaint> {
    Err(Complaint {
        what: "this program was built without databases".to_owned(),
        hint: "build it with the feature `postgres`, which is on by default, or name a directory",
    })
}

impl Location {
    /// Tells whether both are one place, as far as their names tell.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Directory(one), Self::Directory(other)) => {
                one == other
                    || one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|it| it == one))
            }
            #[cfg(feature = "postgres")]
            (Self::Database(one), Self::Database(other)) => one.to_string() == other.to_string(),
            #[cfg(feature = "postgres")]
            _ => false,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            #[cfg(feature = "postgres")]
            Self::Database(address) => write!(f, "postgres://{address}"),
        }
    }
}
