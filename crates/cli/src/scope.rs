//! The scope of `-c`: a name for the place a person works in, the terminal if there is one.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use crate::env::Env;

/// Returns `AICHAT_SCOPE`, else the name of the terminal, else the current directory.
pub(crate) fn current(env: &Env) -> Option<String> {
    env.text("AICHAT_SCOPE").or_else(terminal).or_else(|| {
        let dir = std::env::current_dir().ok()?;
        dir.into_os_string().into_string().ok()
    })
}

fn terminal() -> Option<String> {
    name(std::io::stdin()).or_else(|| name(std::io::stderr())).or_else(|| name(std::io::stdout()))
}

fn name(stream: impl AsFd + IsTerminal) -> Option<String> {
    let name = stream.is_terminal().then(|| rustix::termios::ttyname(stream, Vec::new()).ok())??;
    name.into_string().ok()
}
