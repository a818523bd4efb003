//! Where configuration, data, state and cache are kept: the XDG directories, on every platform.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aichat_message::ErrorKind;
use rustix::fs::OFlags;

use crate::env::Env;
use crate::failure::Failure;

/// The directories and files of this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    /// The configuration file.
    pub(crate) config_file: PathBuf,
    /// Whether that file was named, so that it must be there.
    pub(crate) config_named: bool,
    /// The file of keys.
    pub(crate) keys: PathBuf,
    /// Configuration.
    pub(crate) config: PathBuf,
    /// Sessions.
    pub(crate) data: PathBuf,
    /// What may be lost and is not a cache.
    pub(crate) state: PathBuf,
    /// What can be made again.
    pub(crate) cache: PathBuf,
}

impl Paths {
    /// Works the paths out. `config` is the file named by a flag.
    ///
    /// # Errors
    /// Fails with kind `config` where neither `HOME` nor the XDG variables say where to go.
    pub(crate) fn of(env: &Env, config: Option<&Path>) -> Result<Self, Failure> {
        let place = |variable: &str, below: &str| {
            let base = env.directory(variable).or_else(|| env.directory("HOME").map(|home| home.join(below)));
            base.map(|base| base.join("aichat")).ok_or_else(|| {
                Failure::new(ErrorKind::Config, format!("neither {variable} nor HOME names a directory"))
                    .hint("set HOME")
            })
        };
        let dir = place("XDG_CONFIG_HOME", ".config")?;
        let named = config.map(Path::to_owned).or_else(|| env.path("AICHAT_CONFIG"));
        Ok(Self {
            config_named: named.is_some(),
            config_file: named.unwrap_or_else(|| dir.join("aichat.toml")),
            keys: dir.join("keys.json"),
            config: dir,
            data: place("XDG_DATA_HOME", ".local/share")?,
            state: place("XDG_STATE_HOME", ".local/state")?,
            cache: place("XDG_CACHE_HOME", ".cache")?,
        })
    }
}

/// Tells whether a file cannot be read because there is none: also where what should be a directory above it is none,
/// as with a home of `/dev/null`.
pub(crate) fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// Replaces a file in one step, readable by its owner only; missing directories are made.
///
/// # Errors
/// Fails with kind `store` where that is not possible; then the file is as it was.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file(ErrorKind::Store, "cannot write", path, &error);
    // A link is followed, so that a file kept elsewhere stays where it is.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = dir.join(name);
    let write = || {
        // What a process of the same number left is in the way, and a link of that name is not followed.
        let _ = fs::remove_file(&fresh);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        fs::File::open(dir)?.sync_all()
    };
    write().map_err(|error| {
        // What was begun is of no use to anybody.
        let _ = fs::remove_file(&fresh);
        failed(error)
    })
}

/// Keeps others from changing the file until what is returned is dropped.
///
/// # Errors
/// Fails with kind `store` where that cannot be done.
pub(crate) fn lock(path: &Path) -> Result<fs::File, Failure> {
    // Who reaches the file through a link and who does not keep each other out, too.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).with_extension("lock");
    let failed = |error| Failure::file(ErrorKind::Store, "cannot lock", &path, &error);
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    }
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags(OFlags::NOFOLLOW))
        .open(&path)
        .map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

/// Returns flags for opening a file as the standard library takes them.
pub(crate) fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths<const N: usize>(variables: [(&'static str, &'static str); N]) -> Paths {
        Paths::of(&Env::of(variables), None).unwrap_or_else(|_| panic!("paths of {variables:?}"))
    }

    #[test]
    fn home_gives_the_defaults_and_each_variable_moves_one() {
        let plain = paths([("HOME", "/h")]);
        assert_eq!(plain.config_file, Path::new("/h/.config/aichat/aichat.toml"));
        assert_eq!(plain.data, Path::new("/h/.local/share/aichat"));
        assert_eq!(plain.state, Path::new("/h/.local/state/aichat"));
        assert_eq!(plain.cache, Path::new("/h/.cache/aichat"));
        let moved = paths([("HOME", "/h"), ("XDG_DATA_HOME", "/d"), ("XDG_CACHE_HOME", "relative")]);
        assert_eq!((moved.data, moved.cache), ("/d/aichat".into(), "/h/.cache/aichat".into()));
    }

    #[test]
    fn a_named_configuration_file_does_not_move_the_keys() {
        let paths = paths([("HOME", "/h"), ("AICHAT_CONFIG", "/c/x.toml")]);
        assert!(paths.config_named);
        assert_eq!(paths.config_file, Path::new("/c/x.toml"));
        assert_eq!(paths.keys, Path::new("/h/.config/aichat/keys.json"));
    }

    #[test]
    fn without_a_home_it_fails() {
        assert!(Paths::of(&Env::of([]), None).is_err_and(|failure| failure.code() == 78));
    }
}
