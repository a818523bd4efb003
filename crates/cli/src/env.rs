//! The process environment, read through one value so that tests can give another.

use std::ffi::OsString;
use std::path::PathBuf;

/// Looks variables up. An empty variable counts as unset.
pub(crate) struct Env(Box<LookUp>);

type LookUp = dyn Fn(&str) -> Option<OsString> + Send + Sync;

impl Env {
    /// Returns the environment of this process. Where `HOME` is not set, as in many a service, it is the home that the
    /// system knows of the user.
    pub(crate) fn process() -> Self {
        Self(Box::new(|name| match name {
            "HOME" => std::env::home_dir().map(PathBuf::into_os_string),
            name => std::env::var_os(name),
        }))
    }

    /// Returns an environment of exactly these variables.
    #[cfg(test)]
    pub(crate) fn of<const N: usize>(variables: [(&'static str, &'static str); N]) -> Self {
        Self(Box::new(move |name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value))
        }))
    }

    /// Returns a variable as text; one that is not UTF-8 counts as unset.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.raw(name)?.into_string().ok()
    }

    /// Returns a variable as an absolute path; a relative one counts as unset, as the XDG rules say.
    pub(crate) fn directory(&self, name: &str) -> Option<PathBuf> {
        self.raw(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// Returns a variable as a path.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.raw(name).map(PathBuf::from)
    }

    fn raw(&self, name: &str) -> Option<OsString> {
        (self.0)(name).filter(|value| !value.is_empty())
    }
}
