//! The `aichat` command line: parses the arguments, runs the command, exits.

mod args;
mod assemble;
mod attach;
mod batch;
#[cfg(feature = "chat")]
mod chat;
mod choice;
mod commands;
mod complete;
mod config;
mod directory;
mod display;
mod editor;
mod env;
mod exit;
mod failure;
mod fallback;
mod fenced;
#[cfg(feature = "inspect")]
mod inspect;
mod keys;
mod location;
mod markdown;
mod meter;
mod options;
mod output;
mod panics;
mod paths;
mod pen;
#[cfg(feature = "postgres")]
mod pgpass;
mod place;
mod plural;
mod prompt;
mod schema;
mod scope;
mod signals;
mod since;
mod spinner;
mod stdin;
mod talk;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use aichat_engine::Secrets;

fn main() -> ExitCode {
    let secrets = Secrets::new();
    panics::install(secrets.clone());
    let args: Vec<OsString> = std::env::args_os().collect();
    ExitCode::from(guarded(&args, &secrets, || commands::run(&args, secrets.clone())))
}

/// Runs a command, and returns its exit code however it ends.
fn guarded(args: &[OsString], secrets: &Secrets, run: impl FnOnce() -> u8) -> u8 {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| commands::fell(args, panics::said(panic.as_ref()), secrets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const ROLE: &str = "AICHAT_TEST_FALL";

    #[test]
    fn a_panic_is_an_object_where_objects_are_asked_for() {
        if let Some(line) = std::env::var_os(ROLE) {
            let secrets = Secrets::new();
            secrets.learn("work", "sk-canary-0123456789abcdef");
            let args: Vec<OsString> = line.to_str().unwrap().split(' ').map(OsString::from).collect();
            let code = guarded(&args, &secrets, || panic!("sent sk-canary-0123456789abcdef"));
            std::process::exit(code.into());
        }
        for (line, schema) in [
            ("aichat send hi", None),
            ("aichat send --json hi", Some("aichat.result/1")),
            ("aichat sessions list --json", Some("aichat.error/1")),
        ] {
            let name = "tests::a_panic_is_an_object_where_objects_are_asked_for";
            let mut child = Command::new(std::env::current_exe().unwrap());
            let child = child.args([name, "--exact", "--nocapture"]).env(ROLE, line).output().unwrap();
            let said = String::from_utf8(child.stdout).unwrap();
            let object = said.lines().find_map(|line| Some(&line[line.find("{\"")?..]));
            let object: Option<serde_json::Value> = object.map(|line| serde_json::from_str(line).unwrap());
            assert_eq!(child.status.code(), Some(1), "{line}: {said}");
            let told = object.as_ref().map(|object| object["schema"].as_str().unwrap());
            assert_eq!(told, schema, "{line}: {said}");
            if let Some(object) = object {
                let error = &object["error"];
                assert_eq!(error["kind"], "unsupported");
                assert_eq!(error["message"], "internal error: sent \u{2039}secret:work\u{203a}");
            }
        }
    }
}
