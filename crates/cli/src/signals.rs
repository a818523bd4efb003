//! Signals: Ctrl-C and SIGTERM stop a turn, and a file-size limit becomes an ordinary write error.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use aichat_engine::phrase;
use aichat_message::ErrorKind;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit;
use crate::failure::Failure;

/// The number of SIGXFSZ on Linux and macOS.
const FILE_SIZE_LIMIT: i32 = 25;

/// Whether somebody listens, or did: neither signal ends the process by itself.
static HEARD: AtomicBool = AtomicBool::new(false);

/// Tells whether a request to stop is heard, instead of ending the process.
pub(crate) fn are_heard() -> bool {
    HEARD.load(Ordering::Relaxed)
}

/// Who asked this process to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Stop {
    /// Returns the exit code that says so.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Interrupt => exit::INTERRUPTED,
            Self::Terminate => exit::TERMINATED,
        }
    }
}

/// Listens for requests to stop.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to listen; from now on neither signal ends the process by itself. Wants a runtime.
    ///
    /// # Errors
    /// Fails with kind `unsupported` where the operating system refuses the handler.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let signals =
            Self { interrupt: handle(SignalKind::interrupt())?, terminate: handle(SignalKind::terminate())? };
        HEARD.store(true, Ordering::Relaxed);
        Ok(signals)
    }

    /// Returns when somebody asks to stop. Programs that are asked for a key are stopped by then.
    pub(crate) async fn stop(&mut self) -> Stop {
        let stop = tokio::select! {
            Some(()) = self.interrupt.recv() => Stop::Interrupt,
            Some(()) = self.terminate.recv() => Stop::Terminate,
            else => std::future::pending().await,
        };
        crate::keys::stop();
        stop
    }
}

/// Keeps a file-size limit from ending the process: writing beyond it then fails like writing to a full disk. Wants
/// a runtime.
///
/// # Errors
/// Fails with kind `unsupported` where the operating system refuses the handler.
pub(crate) fn survive_file_size_limit() -> Result<(), Failure> {
    // A handler stays installed after its listener is dropped.
    handle(SignalKind::from_raw(FILE_SIZE_LIMIT)).map(drop)
}

fn handle(kind: SignalKind) -> Result<Signal, Failure> {
    let refused = |error: io::Error| {
        Failure::new(ErrorKind::Unsupported, format!("cannot handle signals: {}", phrase(&error)))
    };
    signal(kind).map_err(refused)
}
