//! The keys: what each does where, in the words of the help.

use super::list::Motion;
use super::model::Screen;

/// A key, as far as the inspector knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    Tab,
    BackTab,
    Interrupt,
    Char(char),
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Move(Motion),
    /// Goes into what the cursor is on.
    Open,
    /// Goes back to where it came from.
    Back,
    /// Begins to type a text to search for.
    Search,
    /// Shows every event of the session.
    All,
    /// Shows the tree of messages.
    Branches,
    /// Shows the next type of events only.
    Kind,
    /// Shows only what went wrong, or everything again.
    Errors,
    /// Another tab, so many further right.
    Tab(isize),
    /// The event so many further.
    Step(isize),
    Help,
    Quit,
}

/// A key in the help: how it is written, and what it does in a word or two.
pub(super) struct Hint {
    pub(super) key: &'static str,
    pub(super) does: &'static str,
}

const fn hint(key: &'static str, does: &'static str) -> Hint {
    Hint { key, does }
}

/// Returns what a key does on a screen.
pub(super) fn action(screen: Screen, key: Key) -> Option<Action> {
    Some(match (screen, key) {
        (_, Key::Char('q') | Key::Interrupt) => Action::Quit,
        (_, Key::Char('?')) => Action::Help,
        (_, Key::Char('/')) => Action::Search,
        (_, Key::Up | Key::Char('k')) => Action::Move(Motion::Up),
        (_, Key::Down | Key::Char('j')) => Action::Move(Motion::Down),
        (_, Key::PageUp) => Action::Move(Motion::PageUp),
        (_, Key::PageDown | Key::Char(' ')) => Action::Move(Motion::PageDown),
        (_, Key::Home | Key::Char('g')) => Action::Move(Motion::First),
        (_, Key::End | Key::Char('G')) => Action::Move(Motion::Last),
        (Screen::Detail, Key::Left | Key::BackTab) => Action::Tab(-1),
        (Screen::Detail, Key::Right | Key::Tab) => Action::Tab(1),
        (Screen::Detail, Key::Char('n')) => Action::Step(1),
        (Screen::Detail, Key::Char('p')) => Action::Step(-1),
        (Screen::Sessions | Screen::Turns | Screen::Events | Screen::Tree, Key::Enter | Key::Right) => {
            Action::Open
        }
        (_, Key::Escape | Key::Backspace | Key::Left) => Action::Back,
        (Screen::Turns, Key::Char('a')) => Action::All,
        (Screen::Turns, Key::Char('b')) => Action::Branches,
        (Screen::Events, Key::Char('t')) => Action::Kind,
        (Screen::Events, Key::Char('e')) => Action::Errors,
        _ => return None,
    })
}

/// Returns the keys of a screen, the most important first; the last two are for every screen.
pub(super) fn hints(screen: Screen) -> Vec<Hint> {
    const UP_DOWN: Hint = hint("↑↓", "move");
    const SEARCH: Hint = hint("/", "search");
    const BACK: Hint = hint("esc", "back");
    const HELP: Hint = hint("?", "help");
    const QUIT: Hint = hint("q", "quit");
    match screen {
        Screen::Sessions => vec![hint("⏎", "open"), UP_DOWN, SEARCH, HELP, QUIT],
        Screen::Turns => vec![
            hint("⏎", "events"),
            hint("a", "all events"),
            hint("b", "branches"),
            BACK,
            UP_DOWN,
            SEARCH,
            HELP,
            QUIT,
        ],
        Screen::Events => vec![
            hint("⏎", "detail"),
            hint("t", "type"),
            hint("e", "errors"),
            BACK,
            SEARCH,
            UP_DOWN,
            HELP,
            QUIT,
        ],
        Screen::Detail => vec![
            hint("←→", "tab"),
            hint("n", "next"),
            hint("p", "previous"),
            BACK,
            hint("↑↓", "scroll"),
            SEARCH,
            HELP,
            QUIT,
        ],
        Screen::Tree => vec![hint("⏎", "event"), BACK, UP_DOWN, SEARCH, HELP, QUIT],
    }
}

/// What else the help says; these keys do the same everywhere.
pub(super) const EVERYWHERE: [(&str, &str); 6] = [
    ("↑ ↓, k j", "one up, one down"),
    ("PgUp PgDn, space", "a page up, a page down"),
    ("Home End, g G", "to the first, to the last; at the last it goes on with what happens"),
    ("/ text ⏎", "only what has the text in it; in a detail, to the next place; esc ends it"),
    ("esc, ←", "back"),
    ("q, Ctrl-C", "quit"),
];
