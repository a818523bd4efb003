//! `inspect`: looks at sessions, turns and events in the terminal, while they happen.

mod draw;
mod keys;
mod list;
mod model;
mod opened;
pub(crate) mod screen;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal};
use std::time::Duration;

use aichat_engine::{Engine, Error, Pulse, Raw};
use aichat_message::ErrorKind;
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::CrosstermBackend;
use ratatui_crossterm::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use self::keys::Key;
use self::model::{Ask, Input, Model};
use self::screen::Screen;
use crate::assemble;
use crate::commands::Context;
use crate::exit;
use crate::failure::Failure;
use crate::signals::Signals;

/// How often to look whether anything happened.
const TICK: Duration = Duration::from_millis(500);

pub(crate) fn run(context: &Context, session: Option<&str>) -> Result<u8, Failure> {
    if context.global.json || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let failure = Failure::new(ErrorKind::Usage, "the inspector needs a terminal");
        return Err(failure.hint(
            "`aichat events list`, `show` and `timeline` print the same, and `aichat events report` makes a page of it",
        ));
    }
    let engine = assemble::observer(context)?;
    let colour = context.global.color.applies(&context.env, true);
    context.runtime()?.block_on(async {
        // What there is to say of the store is said before the screen is taken; what fails is shown on it.
        let _ = engine.list(Some(1)).await;
        let mut signals = Signals::listen()?;
        let session = match session {
            Some(session) => Some(engine.resolve(session).await?),
            None => None,
        };
        let _screen = Screen::take()?;
        let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        let size = terminal.size()?;
        let mut model = Model::new(now_us(), size.width.into(), size.height.into());
        if let Some(session) = session {
            model.open(session);
        }
        let (sender, mut inputs) = unbounded_channel();
        listen(sender.clone());
        let (asking, asked) = unbounded_channel();
        tokio::spawn(answer(engine.clone(), asked, sender.clone()));
        tokio::spawn(watch(engine, sender));
        loop {
            for ask in model.asks() {
                if ask == Ask::Quit {
                    return Ok(exit::OK);
                }
                // Whoever answers is there as long as the runtime is.
                let _ = asking.send(ask);
            }
            terminal.draw(|frame| draw::draw(&model, colour, frame.buffer_mut()))?;
            tokio::select! {
                stop = signals.stop() => return Ok(stop.code()),
                input = inputs.recv() => match input {
                    Some(input) => model.update(input),
                    None => return Ok(exit::OTHER),
                },
            }
            // What has come meanwhile is drawn at once.
            while let Ok(input) = inputs.try_recv() {
                model.update(input);
            }
        }
    })
}

/// Passes on keys and sizes from a thread that waits for them.
fn listen(inputs: UnboundedSender<Input>) {
    std::thread::spawn(move || {
        loop {
            let came: Vec<Input> = match event::read() {
                Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                    known(key).into_iter().map(Input::Key).collect()
                }
                Ok(Event::Resize(width, height)) => vec![Input::Resize(width.into(), height.into())],
                Ok(_) => Vec::new(),
                // Without a terminal there is nobody to show anything to.
                Err(_) => vec![Input::Key(Key::Interrupt)],
            };
            if came.into_iter().any(|input| inputs.send(input).is_err()) {
                return;
            }
        }
    });
}

/// Returns the keys that one event stands for. Escape and what follows it at once arrive as that key with Alt, which
/// means nothing here by itself.
fn known(event: KeyEvent) -> Vec<Key> {
    let escape = event.modifiers.contains(KeyModifiers::ALT).then_some(Key::Escape);
    escape.into_iter().chain(key(event)).collect()
}

fn key(key: KeyEvent) -> Option<Key> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Key::Interrupt);
    }
    Some(match key.code {
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Char(c) => Key::Char(c),
        _ => return None,
    })
}

/// Answers what is asked, one after another, while keys go on to work.
async fn answer(engine: Engine, mut asked: UnboundedReceiver<Ask>, inputs: UnboundedSender<Input>) {
    while let Some(ask) = asked.recv().await {
        let input = look(&engine, ask).await.unwrap_or_else(|error| Input::Failed(error.to_string()));
        if inputs.send(input).is_err() {
            return;
        }
    }
}

async fn look(engine: &Engine, ask: Ask) -> Result<Input, Error> {
    Ok(match ask {
        Ask::Sessions | Ask::Quit => {
            let sessions = engine.list(None).await?;
            Input::Sessions(sessions.iter().map(aichat_engine::Summary::row).collect())
        }
        Ask::Open(session) => Input::Opened { looked: engine.look(&session, 0).await?, session },
        Ask::News(session, after) => {
            Input::News { looked: engine.look(&session, after).await?, after, session }
        }
        Ask::Tree(session) => {
            Input::Tree { transcript: Box::new(engine.transcript(&session).await?), session }
        }
        Ask::Raw { seq, kept, span } => {
            let Raw { request, response } = engine.raw(&kept, span).await?;
            Input::Raw { seq, request, response }
        }
    })
}

/// Says now and then what time it is, and whether anything may have happened.
async fn watch(engine: Engine, inputs: UnboundedSender<Input>) {
    let mut before: Option<Pulse> = None;
    loop {
        tokio::time::sleep(TICK).await;
        // What cannot be looked at now can be looked at a moment later.
        let now = engine.pulse().await.ok();
        let news = now.is_some_and(|now| before.is_none_or(|before| now.is_after(&before)));
        before = now.or(before);
        if inputs.send(Input::Tick { now_us: now_us(), news }).is_err() {
            return;
        }
    }
}

fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}
