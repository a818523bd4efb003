//! What the person types: read by a thread of its own, so that a prompt that waits holds up nothing else.

use std::io::{BufRead, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use aichat_engine::phrase;
use reedline::{
    ColumnarMenu, Completer, Emacs, Highlighter, KeyCode, KeyModifiers, MenuBuilder, Prompt, PromptEditMode,
    PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu, Signal, StyledText, ValidationResult,
    Validator, default_emacs_keybindings,
};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc as channel;

use super::history::History;
use super::lines::{Lines, Said};
use crate::talk::Talk;

/// The name of the menu of completions.
const MENU: &str = "completion";

/// What came of asking for a line.
pub(super) enum Read {
    /// This was said.
    Said(Said),
    /// The line was cleared.
    Cleared,
    /// There is no more.
    End,
    /// It cannot be read, for this reason.
    Broken(String),
}

/// How lines are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// By an editor of lines, in a terminal that moves its cursor.
    Editor,
    /// One by one as the terminal gives them.
    Terminal,
    /// One by one from something that is no terminal.
    Data,
}

impl Kind {
    /// Looks at what this process reads and writes. The editor asks the terminal on standard output where its cursor
    /// is, and draws on standard error.
    pub(super) fn of_process(is_dumb: bool) -> Self {
        let drawn = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        match std::io::stdin().is_terminal() {
            true if drawn && !is_dumb => Self::Editor,
            true => Self::Terminal,
            false => Self::Data,
        }
    }
}

/// Reads lines, each when it is asked for.
pub(super) struct Reader {
    asks: mpsc::Sender<String>,
    reads: channel::UnboundedReceiver<Read>,
    /// Whether what was typed of several lines counts no more.
    cleared: Arc<AtomicBool>,
    /// How the terminal was before.
    before: Option<Termios>,
    /// Whether the editor has the terminal.
    edits: bool,
    waits: bool,
}

impl Reader {
    /// Begins to read.
    pub(super) fn new(
        kind: Kind,
        talk: Talk,
        is_coloured: bool,
        completer: impl Completer + Send + 'static,
        history: impl FnOnce(Lines) -> History + Send + 'static,
    ) -> Self {
        let before = if kind == Kind::Data { None } else { tcgetattr(std::io::stdin()).ok() };
        let (asks, asked) = mpsc::channel::<String>();
        let (sender, reads) = channel::unbounded_channel();
        let cleared = Arc::new(AtomicBool::new(false));
        let plain = Plain { prompts: kind != Kind::Data, talk, cleared: Arc::clone(&cleared) };
        std::thread::spawn(move || {
            let lines = Lines::default();
            let mut editor = match kind {
                Kind::Editor => Some(editor(is_coloured, completer, history, &lines)),
                Kind::Terminal | Kind::Data => None,
            };
            for prompt in asked {
                lines.forget();
                let read = match editor.as_mut().map(|editor| edited(editor, &prompt, &lines)) {
                    Some(Ok(read)) => read,
                    Some(Err(why)) => {
                        plain.talk.note(&format!("lines cannot be edited here: {}", phrase(&why)));
                        editor = None;
                        plain.read(&prompt, &lines)
                    }
                    None => plain.read(&prompt, &lines),
                };
                if sender.send(read).is_err() {
                    return;
                }
            }
        });
        Self { asks, reads, cleared, before, edits: kind == Kind::Editor, waits: false }
    }

    /// Asks for a line; [`read`](Self::read) returns it.
    pub(super) fn ask(&mut self, prompt: String) {
        self.waits = true;
        // A thread that ended says so through `read`.
        let _ = self.asks.send(prompt);
    }

    /// Returns what came of asking.
    pub(super) async fn read(&mut self) -> Read {
        let read = self.reads.recv().await;
        self.waits = false;
        read.unwrap_or_else(|| Read::Broken("the reader ended early".to_owned()))
    }

    /// Forgets the lines typed so far, where the terminal has dropped the last of them.
    pub(super) fn clear(&self) {
        self.cleared.store(true, Ordering::Relaxed);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.waits {
            return;
        }
        // The thread is in the middle of a line, and stays there.
        if self.edits {
            let _ = std::io::stderr().lock().write_all(b"\x1b[?2004l\r\n");
        }
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

fn editor(
    is_coloured: bool,
    completer: impl Completer + Send + 'static,
    history: impl FnOnce(Lines) -> History,
    lines: &Lines,
) -> Reedline {
    let mut keys = default_emacs_keybindings();
    keys.add_binding(
        KeyModifiers::NONE,
        KeyCode::Tab,
        ReedlineEvent::UntilFound(vec![ReedlineEvent::Menu(MENU.to_owned()), ReedlineEvent::MenuNext]),
    );
    let menu = Box::new(ColumnarMenu::default().with_name(MENU).with_marker("> "));
    Reedline::create()
        .use_bracketed_paste(true)
        .with_ansi_colors(is_coloured)
        .with_history(Box::new(history(lines.clone())))
        .with_history_exclusion_prefix(Some(" ".to_owned()))
        .with_highlighter(Box::new(AsItIs))
        .with_validator(Box::new(lines.clone()))
        .with_completer(Box::new(completer))
        .with_menu(ReedlineMenu::EngineCompleter(menu))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_edit_mode(Box::new(Emacs::new(keys)))
}

fn edited(editor: &mut Reedline, prompt: &str, lines: &Lines) -> std::io::Result<Read> {
    let read = editor.read_line(&Line(prompt));
    // A history that cannot be written is no reason to stop talking.
    let _ = editor.sync_history();
    Ok(match read? {
        Signal::Success(text) => Read::Said(lines.joined(&text)),
        Signal::CtrlC => Read::Cleared,
        _ => Read::End,
    })
}

impl Validator for Lines {
    fn validate(&self, text: &str) -> ValidationResult {
        match self.goes_on(text) {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Complete,
        }
    }
}

/// Shows what is typed in the terminal's own colour.
struct AsItIs;

impl Highlighter for AsItIs {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut text = StyledText::new();
        text.push((Default::default(), line.to_owned()));
        text
    }
}

/// What stands before the line that is edited.
struct Line<'a>(&'a str);

impl Prompt for Line<'_> {
    fn render_prompt_left(&self) -> std::borrow::Cow<'_, str> {
        self.0.into()
    }

    fn render_prompt_right(&self) -> std::borrow::Cow<'_, str> {
        "".into()
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> std::borrow::Cow<'_, str> {
        "> ".into()
    }

    fn render_prompt_multiline_indicator(&self) -> std::borrow::Cow<'_, str> {
        ": ".into()
    }

    fn render_prompt_history_search_indicator(
        &self,
        search: PromptHistorySearch,
    ) -> std::borrow::Cow<'_, str> {
        format!(" (search: {}) ", search.term).into()
    }
}

/// Reads lines as they come.
struct Plain {
    prompts: bool,
    talk: Talk,
    cleared: Arc<AtomicBool>,
}

impl Plain {
    fn read(&self, prompt: &str, lines: &Lines) -> Read {
        let mut text: Option<String> = None;
        self.prompt(&format!("{prompt}> "));
        loop {
            let line = match self.line() {
                Ok(line) => line,
                Err(why) => return Read::Broken(why),
            };
            if self.cleared.swap(false, Ordering::Relaxed) {
                text = None;
                lines.forget();
            }
            let Some(line) = line else {
                return text.map_or(Read::End, |text| Read::Said(lines.joined(&text)));
            };
            let whole = match text.take() {
                Some(before) => format!("{before}\n{line}"),
                None => line,
            };
            if !lines.goes_on(&whole) {
                return Read::Said(lines.joined(&whole));
            }
            text = Some(whole);
            self.prompt(": ");
        }
    }

    fn prompt(&self, text: &str) {
        if self.prompts {
            self.talk.prompt(text);
        }
    }

    /// Reads a line without its end; nothing where there is no more.
    fn line(&self) -> Result<Option<String>, String> {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_until(b'\n', &mut bytes);
        if read.map_err(|error| phrase(&error))? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(Some(text.strip_suffix('\r').unwrap_or(text).to_owned()))
    }
}
