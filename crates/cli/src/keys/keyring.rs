//! The keyring of the person's session, asked through the program that the system has for it: no library for it is
//! small, and a program that hangs can be ended.

use std::fmt;
use std::io::IsTerminal;
use std::time::Duration;

use aichat_message::ErrorKind;
use secrecy::{ExposeSecret, SecretString};

use super::command::{self, Trouble};
use crate::env::Env;
use crate::failure::Failure;

/// How long the keyring may take where somebody may be asked to unlock it.
const WITH_SOMEBODY: Duration = Duration::from_secs(30);
/// How long it may take where nobody is.
const ALONE: Duration = Duration::from_secs(5);
/// What the keyring calls this program.
const SERVICE: &str = "aichat";
/// Whether this is a system with a keychain.
const IS_MAC: bool = cfg!(target_os = "macos");

/// Why the keyring did not do what it was asked.
pub(super) enum Refusal {
    /// There is none.
    Absent(&'static str),
    /// It failed.
    Failed(Trouble),
    /// It has no such key.
    Unknown,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(why) => f.write_str(why),
            Self::Failed(Trouble::Missing(why)) => write!(f, "the keyring cannot be asked: {why}"),
            Self::Failed(Trouble::Late(longest, _)) => {
                write!(f, "the keyring did not answer within {} s", longest.as_secs())
            }
            Self::Failed(trouble) => write!(f, "the keyring refused: {trouble}"),
            Self::Unknown => f.write_str("the keyring has no such key"),
        }
    }
}

impl Refusal {
    /// Returns the failure of a command that needs the keyring for a provider's key.
    pub(super) fn failure(&self, provider: &str) -> Failure {
        let failure = Failure::new(ErrorKind::Auth, format!("the key for {provider}: {self}"));
        failure.hint(match self {
            Self::Unknown => format!("run `aichat keys set {provider}` once more"),
            _ => format!("unlock the keyring, or run `aichat keys set {provider} --file`"),
        })
    }
}

/// Returns a key.
///
/// # Errors
/// Fails with kind `auth` where the keyring does not give it.
pub(super) fn get(env: &Env, provider: &str) -> Result<SecretString, Failure> {
    let arguments = match IS_MAC {
        true => vec!["find-generic-password", "-s", SERVICE, "-a", provider, "-w"],
        false => vec!["lookup", "service", SERVICE, "provider", provider],
    };
    let key = ask(env, &arguments, None).and_then(|bytes| {
        String::from_utf8(bytes).ok().filter(|key| !key.trim().is_empty()).ok_or(Refusal::Unknown)
    });
    key.map(SecretString::from).map_err(|refusal| refusal.failure(provider))
}

/// Keeps a key in place of an earlier one.
pub(super) fn set(env: &Env, provider: &str, key: &SecretString) -> Result<(), Refusal> {
    let key = key.expose_secret();
    if IS_MAC {
        // Its arguments can be seen by everybody, so it reads its command.
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let line =
            format!("add-generic-password -U -s {SERVICE} -a {} -w {}\n", quoted(provider), quoted(key));
        return ask(env, &["-i"], Some(line.into_bytes())).map(drop);
    }
    let label = format!("aichat: the key for {provider}");
    let arguments = ["store", "--label", &label, "service", SERVICE, "provider", provider];
    ask(env, &arguments, Some(key.as_bytes().to_vec())).map(drop)
}

/// Forgets a key; one that is not there is forgotten.
pub(super) fn remove(env: &Env, provider: &str) -> Result<(), Refusal> {
    let arguments = match IS_MAC {
        true => vec!["delete-generic-password", "-s", SERVICE, "-a", provider],
        false => vec!["clear", "service", SERVICE, "provider", provider],
    };
    match ask(env, &arguments, None) {
        Err(Refusal::Unknown) => Ok(()),
        done => done.map(drop),
    }
}

/// Tells whether the keyring answers.
pub(super) fn look(env: &Env) -> Result<(), Refusal> {
    let arguments = match IS_MAC {
        true => vec!["default-keychain"],
        false => vec!["search", "service", SERVICE, "provider", "\u{1}"],
    };
    match ask(env, &arguments, None) {
        Err(Refusal::Unknown) => Ok(()),
        done => done.map(drop),
    }
}

fn ask(env: &Env, arguments: &[&str], input: Option<Vec<u8>>) -> Result<Vec<u8>, Refusal> {
    // Without a bus there is nobody to wait for.
    let socket = || env.path("XDG_RUNTIME_DIR").is_some_and(|dir| dir.join("bus").exists());
    if !IS_MAC && env.text("DBUS_SESSION_BUS_ADDRESS").is_none() && !socket() {
        return Err(Refusal::Absent("there is no keyring: no session bus is running"));
    }
    let program = if IS_MAC { "/usr/bin/security" } else { "secret-tool" };
    let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    let longest = if std::io::stderr().is_terminal() { WITH_SOMEBODY } else { ALONE };
    match command::ask(program, &arguments, input, longest) {
        Ok(printed) => Ok(printed),
        Err(Trouble::Missing(_)) if !IS_MAC => {
            Err(Refusal::Absent("there is no keyring that can be asked: secret-tool is not installed"))
        }
        // Both programs say nothing more where there is nothing of the kind.
        Err(Trouble::Badly(_, complaint))
            if complaint.is_empty() || complaint.contains("could not be found") =>
        {
            Err(Refusal::Unknown)
        }
        Err(trouble) => Err(Refusal::Failed(trouble)),
    }
}
