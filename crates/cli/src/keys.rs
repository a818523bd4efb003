//! Keys: where each comes from, and the file of those that are kept.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, IsTerminal, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use aichat_message::ErrorKind;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret, SecretString};

use crate::directory::Entry;
use crate::env::Env;
use crate::failure::{Failure, phrase};

/// Longest key that is taken, in bytes.
const MAX_KEY: u64 = 64 << 10;

/// Looks keys up: environment first, then the provider's command, then the file.
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
    /// The file of keys.
    File,
}

impl Source {
    /// Returns the kind of place in one word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Variable(_) => "environment",
            Self::Command(_) => "command",
            Self::File => "file",
        }
    }
}

impl Keys<'_> {
    /// Returns where the key of a provider comes from, without running a command.
    ///
    /// # Errors
    /// Fails with kind `config` where the file of keys cannot be trusted or read.
    pub(crate) fn source(&self, entry: &Entry) -> Result<Option<Source>, Failure> {
        if let Some(name) = entry.key_variables.iter().find(|name| self.env.text(name).is_some()) {
            return Ok(Some(Source::Variable(name.clone())));
        }
        if let Some(command) = &entry.key_command {
            return Ok(command.first().cloned().map(Source::Command));
        }
        Ok(self.kept()?.contains_key(&entry.name).then_some(Source::File))
    }

    /// Returns the key of a provider.
    ///
    /// # Errors
    /// Fails with kind `auth` where the command fails or prints nothing, and as [`source`](Self::source) does.
    pub(crate) fn find(&self, entry: &Entry) -> Result<Option<SecretString>, Failure> {
        let key = match self.source(entry)? {
            Some(Source::Variable(name)) => self.env.text(&name).map(SecretString::from),
            Some(Source::Command(_)) => {
                entry.key_command.as_deref().map(|command| run(entry, command)).transpose()?
            }
            Some(Source::File) => self.kept()?.remove(&entry.name),
            None => None,
        };
        Ok(key.map(|key| SecretString::from(key.expose_secret().trim().to_owned())))
    }

    /// Returns the keys in the file, by provider.
    ///
    /// # Errors
    /// Fails with kind `config` where others can read the file, or where it is not what this program wrote.
    pub(crate) fn kept(&self) -> Result<BTreeMap<String, SecretString>, Failure> {
        let mut file = match fs::File::open(self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(Failure::file(ErrorKind::Config, "cannot read", self.file, &error)),
        };
        let unreadable = |error| Failure::file(ErrorKind::Config, "cannot read", self.file, &error);
        if file.metadata().map_err(unreadable)?.permissions().mode() & 0o077 != 0 {
            let what = format!("{} can be read by others", self.file.display());
            return Err(Failure::new(ErrorKind::Config, what).hint(format!(
                "run `chmod 600 {}`, and consider the keys in it known",
                self.file.display()
            )));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(unreadable)?;
        // The error of the parser might quote a key; the place is all that is said.
        let keys: BTreeMap<String, String> = serde_json::from_str(&text).map_err(|error| {
            let what = format!("{} line {}: not an object of keys", self.file.display(), error.line());
            Failure::new(ErrorKind::Config, what)
        })?;
        Ok(keys.into_iter().map(|(name, key)| (name, SecretString::from(key))).collect())
    }

    /// Keeps a key in the file, in place of an earlier one.
    ///
    /// # Errors
    /// Fails with kind `config` where the file cannot be trusted, and with kind `store` where it cannot be written.
    pub(crate) fn keep(&self, provider: &str, key: SecretString) -> Result<(), Failure> {
        let _lock = self.lock()?;
        let mut keys = self.kept()?;
        keys.insert(provider.to_owned(), key);
        self.write(&keys)
    }

    /// Forgets a key, and tells whether there was one.
    ///
    /// # Errors
    /// Fails as [`keep`](Self::keep) does.
    pub(crate) fn forget(&self, provider: &str) -> Result<bool, Failure> {
        if !self.kept()?.contains_key(provider) {
            return Ok(false);
        }
        let _lock = self.lock()?;
        let mut keys = self.kept()?;
        let known = keys.remove(provider).is_some();
        self.write(&keys)?;
        Ok(known)
    }

    fn lock(&self) -> Result<fs::File, Failure> {
        let path = self.file.with_extension("lock");
        let failed = |error| Failure::file(ErrorKind::Store, "cannot lock", &path, &error);
        if let Some(dir) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        }
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    fn write(&self, keys: &BTreeMap<String, SecretString>) -> Result<(), Failure> {
        let plain: BTreeMap<&str, &str> =
            keys.iter().map(|(name, key)| (name.as_str(), key.expose_secret())).collect();
        let mut text = serde_json::to_string_pretty(&plain).expect("a map of text is always JSON");
        text.push('\n');
        crate::paths::replace(self.file, text.as_bytes())
    }
}

/// Returns what to do about a key that is missing.
pub(crate) fn missing(entry: &Entry) -> String {
    match (&entry.key_command, entry.key_variables.first()) {
        (None, Some(variable)) => format!("run `aichat keys set {}`, or set {variable}", entry.name),
        _ => format!("run `aichat keys set {}`", entry.name),
    }
}

fn run(entry: &Entry, command: &[String]) -> Result<SecretString, Failure> {
    let failed = |why: String| {
        let what = format!("the key command of {} failed: {why}", entry.name);
        Failure::new(ErrorKind::Auth, what).hint("run the command by hand to see why")
    };
    let (program, arguments) = command.split_first().expect("a command has at least one word");
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| failed(phrase(&error)))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    match String::from_utf8(output.stdout) {
        Ok(key) if !key.trim().is_empty() => Ok(SecretString::from(key)),
        Ok(_) => Err(failed("it printed nothing".to_owned())),
        Err(_) => Err(failed("it printed something that is not text".to_owned())),
    }
}

/// Reads a key from a hidden prompt where standard input is a terminal, else from standard input.
///
/// # Errors
/// Fails with kind `input` where nothing, or nothing that can be a key, is read.
pub(crate) fn read(prompt: impl FnOnce()) -> Result<SecretString, Failure> {
    let stdin = std::io::stdin();
    let mut text = String::new();
    let read = match stdin.is_terminal() {
        true if !std::io::stderr().is_terminal() => {
            return Err(Failure::new(ErrorKind::Input, "there is nowhere to ask for the key")
                .hint("pass the key on standard input"));
        }
        true => {
            prompt();
            let hidden = Hidden::new(&stdin);
            let read = stdin.lock().take(MAX_KEY).read_line(&mut text);
            drop(hidden);
            read
        }
        false => stdin.lock().take(MAX_KEY).read_to_string(&mut text),
    };
    read.map_err(|error| Failure::new(ErrorKind::Input, format!("cannot read the key: {}", phrase(&error))))?;
    let key = text.trim();
    if key.is_empty() {
        return Err(
            Failure::new(ErrorKind::Input, "no key was given").hint("type it, or pass it on standard input")
        );
    }
    if key.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Failure::new(ErrorKind::Input, "a key is one line without blanks"));
    }
    Ok(SecretString::from(key.to_owned()))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden<'a> {
    stdin: &'a std::io::Stdin,
    before: Option<Termios>,
}

impl<'a> Hidden<'a> {
    fn new(stdin: &'a std::io::Stdin) -> Self {
        let before = tcgetattr(stdin).ok();
        if let Some(before) = &before {
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            hidden.local_modes.insert(LocalModes::ECHONL);
            // A terminal that refuses shows what is typed; there is nothing better to do.
            let _ = tcsetattr(stdin, OptionalActions::Now, &hidden);
        }
        Self { stdin, before }
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // See above.
            let _ = tcsetattr(self.stdin, OptionalActions::Now, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn environment_then_command_then_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deep/keys.json");
        let (none, some) = (Env::of([]), Env::of([("WORK_KEY", " from-env\n")]));
        let keys = Keys { env: &none, file: &file };
        assert_eq!(key(&keys, &entry(None)), Ok(None));
        assert!(keys.keep("work", SecretString::from("from-file".to_owned())).is_ok());
        assert_eq!(key(&keys, &entry(None)), Ok(Some("from-file".to_owned())));
        assert_eq!(key(&keys, &entry(Some(&["echo", "from-command"]))), Ok(Some("from-command".to_owned())));
        assert_eq!(key(&keys, &entry(Some(&["false"]))), Err(77));
        let keys = Keys { env: &some, file: &file };
        assert_eq!(key(&keys, &entry(Some(&["false"]))), Ok(Some("from-env".to_owned())));
        assert!(matches!(keys.forget("work"), Ok(true)));
        assert!(matches!(keys.forget("work"), Ok(false)));
    }

    #[test]
    fn the_file_is_private_and_a_public_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new/keys.json");
        let env = Env::of([]);
        let keys = Keys { env: &env, file: &file };
        assert!(keys.keep("work", SecretString::from("k".to_owned())).is_ok());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(key(&keys, &entry(None)), Err(78));
    }
}
