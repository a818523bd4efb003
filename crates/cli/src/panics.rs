//! Panics: said in one line, with every secret masked, and with a backtrace only where one is asked for.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write;
use std::panic::PanicHookInfo;

use aichat_engine::Secrets;
use aichat_events::sanitise;

/// What would help after a panic.
pub(crate) const HINT: &str = "this is a mistake in aichat; what was saved is safe";

/// Reports panics of this process from now on.
pub(crate) fn install(secrets: Secrets) {
    std::panic::set_hook(Box::new(move |info| {
        // The embedded database asserts what a damaged file does not keep.
        if aichat_store::is_caught() {
            return;
        }
        #[cfg(feature = "inspect")]
        crate::inspect::screen::give_back();
        let mut text = report(info, &secrets);
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            text.push_str(&format!("{backtrace}"));
        }
        // Where nobody reads standard error there is nobody to tell.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }));
}

fn report(info: &PanicHookInfo<'_>, secrets: &Secrets) -> String {
    let said = said(info.payload());
    let place =
        info.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
    let redactor = secrets.redactor();
    let said = redactor.redact_str(said);
    let said = sanitise(&said);
    format!("error: internal error: {said}{place}\nhint: {HINT}\n")
}

/// Returns what a panic says.
pub(crate) fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const ROLE: &str = "AICHAT_TEST_PANIC";
    const SECRET: &str = "sk-canary-0123456789abcdef";

    #[test]
    fn a_panic_does_not_tell_a_secret() {
        if std::env::var_os(ROLE).is_some() {
            let secrets = Secrets::new();
            secrets.learn("work", SECRET);
            install(secrets);
            panic!("sent {SECRET}\x1b[2J");
        }
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["panics::tests::a_panic_does_not_tell_a_secret", "--exact", "--nocapture"])
            .env(ROLE, "1")
            .env_remove("RUST_BACKTRACE")
            .env_remove("RUST_LIB_BACKTRACE")
            .output()
            .unwrap();
        let said = String::from_utf8(child.stderr).unwrap();
        assert!(said.contains("internal error: sent ‹secret:work›␛[2J at "), "{said}");
        assert!(!said.contains(SECRET) && !said.contains("backtrace"), "{said}");
    }
}
