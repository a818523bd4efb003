//! Keys: where each comes from, and in which order the places are looked at.

mod command;
mod file;
mod keyring;
mod prompt;

use std::collections::BTreeMap;
use std::path::Path;

use aichat_message::ErrorKind;
use secrecy::{ExposeSecret, SecretString};

use crate::directory::Entry;
use crate::env::Env;
use crate::failure::Failure;

pub(crate) use command::stop;
use file::Kept;
pub(crate) use prompt::read;

/// Longest key that is taken, in bytes.
const MAX_KEY: u64 = 64 << 10;
/// Shortest key of which the end may be shown.
const SHOWN_FROM: usize = 20;
/// How much of a key may be shown, in letters.
const SHOWN: usize = 4;

/// Looks keys up: environment first, then the provider's command, then what was kept, in the keyring or in the file.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a> {
    pub(crate) env: &'a Env,
    pub(crate) file: &'a Path,
}

/// Where a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A variable of the environment.
    Variable(String),
    /// The command the configuration names, by its first word.
    Command(String),
    /// The keyring of the person's session.
    Keyring,
    /// The file of keys.
    File,
}

impl Source {
    /// Returns the kind of place in one word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Variable(_) => "environment",
            Self::Command(_) => "command",
            Self::Keyring => "keyring",
            Self::File => "file",
        }
    }
}

/// Where a key is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the keyring, or in the file where there is none.
    Any,
    /// In the keyring.
    Keyring,
    /// In the file.
    File,
}

impl Keys<'_> {
    /// Returns where the key of a provider comes from, without running a command or asking the keyring.
    ///
    /// # Errors
    /// Fails with kind `config` where the file of keys cannot be trusted or read.
    pub(crate) fn source(&self, entry: &Entry) -> Result<Option<Source>, Failure> {
        // The file is not looked at before it is needed.
        if let Some(source) = self.named(entry).next() {
            return Ok(Some(source));
        }
        self.stored(entry)
    }

    /// Returns every place that has a key for a provider; the first one counts.
    ///
    /// # Errors
    /// Fails as [`source`](Self::source) does.
    pub(crate) fn sources(&self, entry: &Entry) -> Result<Vec<Source>, Failure> {
        let stored = self.stored(entry)?;
        Ok(self.named(entry).chain(stored).collect())
    }

    /// Returns the places outside this program.
    fn named<'e>(&'e self, entry: &'e Entry) -> impl Iterator<Item = Source> + 'e {
        let variables = entry.key_variables.iter().filter(|name| self.env.text(name).is_some());
        let command = entry.key_command.as_ref().and_then(|command| command.first());
        variables.cloned().map(Source::Variable).chain(command.cloned().map(Source::Command))
    }

    fn stored(&self, entry: &Entry) -> Result<Option<Source>, Failure> {
        Ok(file::read(self.file)?.get(&entry.name).map(|kept| match kept {
            Kept::Keyring => Source::Keyring,
            Kept::Here(_) => Source::File,
        }))
    }

    /// Returns the key of a provider.
    ///
    /// # Errors
    /// Fails with kind `auth` where the command or the keyring fails or gives nothing that is a key, and as
    /// [`source`](Self::source) does.
    pub(crate) fn find(&self, entry: &Entry) -> Result<Option<SecretString>, Failure> {
        let Some(source) = self.source(entry)? else { return Ok(None) };
        let key = match &source {
            Source::Variable(name) => self.env.text(name).map(SecretString::from),
            Source::Command(_) => {
                entry.key_command.as_deref().map(|words| command::run(entry, words)).transpose()?
            }
            Source::Keyring => Some(keyring::get(self.env, &entry.name)?),
            Source::File => match file::read(self.file)?.remove(&entry.name) {
                Some(Kept::Here(key)) => Some(key),
                _ => None,
            },
        };
        key.map(|key| {
            whole(key.expose_secret()).map_err(|what| {
                let place = match &source {
                    Source::Variable(name) => name.clone(),
                    source => format!("the {}", source.word()),
                };
                let failure = Failure::new(
                    ErrorKind::Auth,
                    format!("what {place} has for {} is no key: {what}", entry.name),
                );
                failure.hint(format!("run `aichat keys set {}`, or mend it there", entry.name))
            })
        })
        .transpose()
    }

    /// Returns the end of a key, where it is at hand and long enough that its end tells nothing.
    pub(crate) fn ending(&self, entry: &Entry, source: &Source) -> Option<String> {
        let key = match source {
            Source::Variable(name) => SecretString::from(self.env.text(name)?),
            Source::File => match file::read(self.file).ok()?.remove(&entry.name)? {
                Kept::Here(key) => key,
                Kept::Keyring => return None,
            },
            _ => return None,
        };
        let key: Vec<char> = key.expose_secret().trim().chars().collect();
        (key.len() >= SHOWN_FROM).then(|| key[key.len() - SHOWN..].iter().collect())
    }

    /// Returns for which providers a key is kept, and whether the keyring has it.
    ///
    /// # Errors
    /// Fails as [`source`](Self::source) does.
    pub(crate) fn kept(&self) -> Result<BTreeMap<String, bool>, Failure> {
        let kept = file::read(self.file)?.into_iter();
        Ok(kept.map(|(name, kept)| (name, matches!(kept, Kept::Keyring))).collect())
    }

    /// Keeps a key in place of an earlier one, and tells where. Where there was no keyring to keep it in, why.
    ///
    /// # Errors
    /// Fails with kind `config` where the file cannot be trusted, with kind `store` where it cannot be written, and with
    /// kind `auth` where only the keyring would do and it does not.
    pub(crate) fn keep(
        &self,
        provider: &str,
        key: SecretString,
        place: Place,
    ) -> Result<(Source, Option<String>), Failure> {
        let mut why = None;
        if place != Place::File {
            // What the file cannot refer to would never be found again.
            let _lock = crate::paths::lock(self.file)?;
            let mut kept = file::read(self.file)?;
            match keyring::set(self.env, provider, &key) {
                Ok(()) => {
                    kept.insert(provider.to_owned(), Kept::Keyring);
                    let written = file::write(self.file, &kept);
                    if written.is_err() {
                        // Nobody would know of it.
                        let _ = keyring::remove(self.env, provider);
                    }
                    return written.map(|()| (Source::Keyring, None));
                }
                Err(trouble) if place == Place::Keyring => return Err(trouble.failure(provider)),
                Err(trouble) => why = Some(trouble.to_string()),
            }
        }
        let _lock = crate::paths::lock(self.file)?;
        let mut kept = file::read(self.file)?;
        if let Some(Kept::Keyring) = kept.insert(provider.to_owned(), Kept::Here(key)) {
            // The one in the keyring is not used any more; one that cannot be reached is no harm.
            let _ = keyring::remove(self.env, provider);
        }
        file::write(self.file, &kept)?;
        Ok((Source::File, why))
    }

    /// Forgets a key, and tells where it was; `None` where there was none.
    ///
    /// # Errors
    /// Fails as [`keep`](Self::keep) does, and with kind `auth` where the keyring does not let go of it.
    pub(crate) fn forget(&self, provider: &str) -> Result<Option<Source>, Failure> {
        if !file::read(self.file)?.contains_key(provider) {
            return Ok(None);
        }
        let _lock = crate::paths::lock(self.file)?;
        let mut kept = file::read(self.file)?;
        let source = match kept.remove(provider) {
            Some(Kept::Keyring) => {
                keyring::remove(self.env, provider).map_err(|trouble| trouble.failure(provider))?;
                Some(Source::Keyring)
            }
            Some(Kept::Here(_)) => Some(Source::File),
            None => None,
        };
        file::write(self.file, &kept)?;
        Ok(source)
    }
}

/// Tells whether there is a keyring, and why not.
pub(crate) fn keyring(env: &Env) -> Result<(), String> {
    keyring::look(env).map_err(|trouble| trouble.to_string())
}

/// Returns what to do about a key that is missing.
pub(crate) fn missing(entry: &Entry) -> String {
    match (&entry.key_command, entry.key_variables.first()) {
        (None, Some(variable)) => format!("run `aichat keys set {}`, or set {variable}", entry.name),
        _ => format!("run `aichat keys set {}`", entry.name),
    }
}

/// Returns a key without the blanks around it, or says what is wrong with it.
fn whole(text: &str) -> Result<SecretString, &'static str> {
    match text.trim() {
        "" => Err("it is empty"),
        key if key.chars().any(|c| c.is_control() || c.is_whitespace()) => {
            Err("a key is one line without blanks")
        }
        key => Ok(SecretString::from(key.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn entry(command: Option<&[&str]>) -> Entry {
        let text = "[providers.work]\nprotocol = \"openai-chat\"\nbase_url = \"http://x/v1\"\napi_key_env = \"WORK_KEY\"";
        let config = crate::config::Config::parse(text, Path::new("aichat.toml"));
        let directory = config.and_then(|config| crate::directory::Directory::of(&config, &Env::of([])));
        let Ok(directory) = directory else { panic!("refused: {text}") };
        Entry {
            key_command: command.map(|words| words.iter().map(|word| (*word).to_owned()).collect()),
            ..directory.get("work").unwrap().clone()
        }
    }

    fn key(keys: &Keys<'_>, entry: &Entry) -> Result<Option<String>, u8> {
        let key = keys.find(entry).map_err(|failure| failure.code())?;
        Ok(key.map(|key| key.expose_secret().to_owned()))
    }

    fn keep(keys: &Keys<'_>, key: &str) -> Result<Source, u8> {
        let kept = keys.keep("work", SecretString::from(key.to_owned()), Place::Any);
        kept.map(|(source, _)| source).map_err(|failure| failure.code())
    }

    #[test]
    fn environment_then_command_then_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deep/keys.json");
        let (none, some) = (Env::of([]), Env::of([("WORK_KEY", " from-env\n")]));
        let keys = Keys { env: &none, file: &file };
        assert_eq!(key(&keys, &entry(None)), Ok(None));
        assert_eq!(keep(&keys, "from-file"), Ok(Source::File));
        assert_eq!(key(&keys, &entry(None)), Ok(Some("from-file".to_owned())));
        assert_eq!(key(&keys, &entry(Some(&["echo", "from-command"]))), Ok(Some("from-command".to_owned())));
        assert_eq!(key(&keys, &entry(Some(&["false"]))), Err(77));
        let keys = Keys { env: &some, file: &file };
        assert_eq!(key(&keys, &entry(Some(&["false"]))), Ok(Some("from-env".to_owned())));
        let Ok(sources) = keys.sources(&entry(Some(&["false"]))) else { panic!() };
        let words: Vec<_> = sources.iter().map(Source::word).collect();
        assert_eq!(words, ["environment", "command", "file"]);
        assert!(matches!(keys.forget("work"), Ok(Some(Source::File))));
        assert!(matches!(keys.forget("work"), Ok(None)));
    }

    #[test]
    fn what_is_no_key_is_refused_wherever_it_comes_from() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys.json");
        for bad in ["two words", "two\nlines", "an\u{1b}[2Jescape", " \n"] {
            let env = Env::of([]);
            let keys = Keys { env: &env, file: &file };
            assert_eq!(key(&keys, &entry(Some(&["printf", "%s", bad]))), Err(77), "{bad:?}");
        }
        let env = Env::of([("WORK_KEY", "two words")]);
        assert_eq!(key(&Keys { env: &env, file: &file }, &entry(None)), Err(77));
    }

    #[test]
    fn only_the_end_of_a_long_key_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys.json");
        let env = Env::of([("WORK_KEY", "sk-0123456789abcdef-wxyz\n")]);
        let keys = Keys { env: &env, file: &file };
        let shown = |source: Source| keys.ending(&entry(None), &source);
        assert_eq!(shown(Source::Variable("WORK_KEY".into())).as_deref(), Some("wxyz"));
        assert_eq!(keep(&keys, "short-key"), Ok(Source::File));
        assert_eq!(shown(Source::File), None);
    }

    #[test]
    fn the_file_is_private_and_a_public_one_or_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new/keys.json");
        let env = Env::of([]);
        let keys = Keys { env: &env, file: &file };
        assert_eq!(keep(&keys, "k"), Ok(Source::File));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(key(&keys, &entry(None)), Err(78));
        let elsewhere = dir.path().join("elsewhere");
        fs::rename(&file, &elsewhere).unwrap();
        fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
        let before = fs::read(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        assert_eq!((key(&keys, &entry(None)), keep(&keys, "l")), (Err(78), Err(78)));
        assert_eq!(fs::read(&elsewhere).unwrap(), before, "what a link leads to is left alone");
    }
}
