//! `events tail`: the last events, and what happens from now on in any process.

use std::time::{Duration, Instant};

use aichat_engine::{Follow, Happened};
use aichat_events::Rows;
use aichat_message::SessionId;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Context;
use super::events::{ENDLESS, terminal};
use crate::assemble;
use crate::exit;
use crate::failure::Failure;
use crate::output::json;
use crate::pen::Pen;
use crate::signals::Signals;

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// How many times longer to wait than a look took: who writes shall not wait for who watches.
const REST: u32 = 8;

pub(crate) fn run(
    context: &Context,
    session: Option<&str>,
    follow: bool,
    limit: usize,
) -> Result<u8, Failure> {
    let engine = assemble::observer(context)?;
    let mut pen = Pen::new(None)?;
    context.runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        let session = match session {
            Some(session) => Some(engine.resolve(session).await?),
            None => None,
        };
        let mut printer =
            Printer { json: context.global.json, one: session.is_some(), rows: Rows::default(), last: None };
        let mut events = engine.follow(session);
        let mut begun = Instant::now();
        printer.print(&mut pen, events.last(limit).await?);
        if follow {
            loop {
                let rest = PAUSE.max(begun.elapsed() * REST);
                let news = tokio::select! {
                    stop = signals.stop() => return Ok(stop.code()),
                    () = pen.broken() => break,
                    news = next(&mut events, rest, &mut begun) => news?,
                };
                if is_closed() {
                    return Err(Failure::BrokenPipe);
                }
                printer.print(&mut pen, news);
            }
        }
        engine.shutdown().await?;
        pen.finish().await?;
        Ok(exit::OK)
    })
}

async fn next(events: &mut Follow, rest: Duration, begun: &mut Instant) -> Result<Vec<Happened>, Failure> {
    tokio::time::sleep(rest).await;
    *begun = Instant::now();
    Ok(events.news().await?)
}

/// Tells whether whoever read standard output went away.
fn is_closed() -> bool {
    let stdout = std::io::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let polled = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    polled.is_ok() && fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

struct Printer {
    json: bool,
    /// Whether it is one session that is followed.
    one: bool,
    rows: Rows,
    /// The session of the last event.
    last: Option<SessionId>,
}

impl Printer {
    fn print(&mut self, pen: &mut Pen, events: Vec<Happened>) {
        for event in events {
            match self.json {
                true => self.line(pen, &event),
                false => self.row(pen, &event),
            }
        }
        pen.flush();
    }

    fn line(&self, pen: &mut Pen, event: &Happened) {
        match event {
            Happened::Logged(event) => pen.write(event.line()),
            Happened::Flying(draft) => pen.write(&json(draft)),
        }
        pen.write("\n");
    }

    fn row(&mut self, pen: &mut Pen, event: &Happened) {
        let (session, row) = match event {
            Happened::Logged(event) => (event.session(), self.rows.take(event)),
            Happened::Flying(draft) => (&draft.session, self.rows.take_draft(draft)),
        };
        if !self.one && self.last.as_ref() != Some(session) {
            pen.write(&format!("{session}\n"));
            self.last = Some(session.clone());
        }
        for line in row.lines(terminal().unwrap_or(ENDLESS)) {
            pen.write(&line.text());
            pen.write("\n");
        }
    }
}
