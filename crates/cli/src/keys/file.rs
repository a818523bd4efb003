//! The file of keys: readable by its owner only, replaced in one step, and never through a link.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aichat_message::ErrorKind;
use rustix::fs::OFlags;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::paths::{flags, is_absent};

/// What the file has of a provider.
pub(crate) enum Kept {
    /// The key itself.
    Here(SecretString),
    /// That the keyring has it.
    Keyring,
}

/// The same as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Here(String),
    Elsewhere { kept_in: Elsewhere },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Elsewhere {
    Keyring,
}

/// Returns what is kept, by provider.
///
/// # Errors
/// Fails with kind `config` where others can read the file, or where it is not what this program wrote.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Kept>, Failure> {
    let opened = fs::OpenOptions::new().read(true).custom_flags(flags(OFlags::NOFOLLOW)).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(BTreeMap::new()),
        Err(_) if path.is_symlink() => {
            let what = format!("{} is a link, and keys are not kept behind one", path.display());
            return Err(Failure::new(ErrorKind::Config, what).hint("put the file itself there"));
        }
        Err(error) => return Err(Failure::file(ErrorKind::Config, "cannot read", path, &error)),
    };
    let unreadable = |error| Failure::file(ErrorKind::Config, "cannot read", path, &error);
    if file.metadata().map_err(unreadable)?.permissions().mode() & 0o077 != 0 {
        let what = format!("{} can be read by others", path.display());
        return Err(Failure::new(ErrorKind::Config, what)
            .hint(format!("run `chmod 600 {}`, and consider the keys in it known", path.display())));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    // The error of the parser might quote a key; the place is all that is said.
    let keys: BTreeMap<String, Written> = serde_json::from_str(&text).map_err(|error| {
        let what = format!("{} line {}: not an object of keys", path.display(), error.line());
        Failure::new(ErrorKind::Config, what)
            .hint("move the file away, and set the keys anew: `aichat keys set PROVIDER`")
    })?;
    let kept = |written| match written {
        Written::Here(key) => Kept::Here(SecretString::from(key)),
        Written::Elsewhere { kept_in: Elsewhere::Keyring } => Kept::Keyring,
    };
    Ok(keys.into_iter().map(|(name, written)| (name, kept(written))).collect())
}

/// Writes what is kept, in one step.
///
/// # Errors
/// Fails with kind `store` where that is not possible; then the file is as it was.
pub(super) fn write(path: &Path, kept: &BTreeMap<String, Kept>) -> Result<(), Failure> {
    let written = |kept: &'_ Kept| match kept {
        Kept::Here(key) => Written::Here(key.expose_secret().to_owned()),
        Kept::Keyring => Written::Elsewhere { kept_in: Elsewhere::Keyring },
    };
    let plain: BTreeMap<&str, Written> =
        kept.iter().map(|(name, kept)| (name.as_str(), written(kept))).collect();
    let mut text = serde_json::to_string_pretty(&plain).expect("a map of text is always JSON");
    text.push('\n');
    crate::paths::replace(path, text.as_bytes())
}
