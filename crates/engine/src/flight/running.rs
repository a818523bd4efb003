//! Which turns run, for whoever waits until none does.

use aichat_message::SessionId;

use crate::engine::Engine;

/// Keeps an engine's shutdown waiting while a turn runs.
pub(crate) struct Running {
    engine: Engine,
    session: SessionId,
}

impl Running {
    pub(crate) fn new(engine: &Engine, session: &SessionId) -> Self {
        engine.0.running.send_modify(|running| running.push(session.clone()));
        Self { engine: engine.clone(), session: session.clone() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.engine.0.running.send_modify(|running| {
            if let Some(at) = running.iter().position(|session| *session == self.session) {
                running.swap_remove(at);
            }
        });
    }
}
