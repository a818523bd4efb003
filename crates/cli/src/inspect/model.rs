//! What the inspector shows and how keys and news change it; it draws nothing and asks nobody.

use aichat_engine::Looked;
use aichat_events::{Event, EventRow, Filter, Line, SessionRow, Span, Tab, Transcript, TurnTimeline, has};
use aichat_message::{SessionId, TurnId};

use super::keys::{Action, Key, action};
use super::list::{List, Motion};
use super::opened::{Looking, Opened};

/// Lines around a list: the path, the heads of the columns, the help.
pub(super) const FRAME: usize = 3;
/// How many lines of the turns' screen the waterfall may take at the most, in parts of ten.
const WATERFALL: usize = 6;

/// A place to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Screen {
    #[default]
    Sessions,
    Turns,
    Events,
    Detail,
    Tree,
}

/// What comes from outside.
#[derive(Debug)]
pub(crate) enum Input {
    Key(Key),
    /// Columns and lines.
    Resize(usize, usize),
    /// Time passed: what time it is, in microseconds since 1970, and whether anything may have happened.
    Tick {
        now_us: i64,
        news: bool,
    },
    Sessions(Vec<SessionRow>),
    /// A session, from its beginning.
    Opened {
        session: SessionId,
        looked: Looked,
    },
    /// What came after the events that are known.
    News {
        session: SessionId,
        after: u64,
        looked: Looked,
    },
    /// What was said in a session.
    Tree {
        session: SessionId,
        transcript: Box<Transcript>,
    },
    /// The raw exchange of the call of an event.
    Raw {
        seq: u64,
        request: Option<String>,
        response: Option<String>,
    },
    /// Why something that was asked for did not come.
    Failed(String),
}

/// What is wanted from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Sessions,
    Open(SessionId),
    /// What is new after so many events.
    News(SessionId, u64),
    /// What was said in a session, all branches of it.
    Tree(SessionId),
    /// The raw exchange of an attempt, out of the event that keeps it, for the event of this number.
    Raw {
        seq: u64,
        kept: Event,
        span: Span,
    },
    Quit,
}

/// The state of the inspector.
#[derive(Default)]
pub(crate) struct Model {
    pub(super) screen: Screen,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) now_us: i64,
    pub(super) sessions: Vec<SessionRow>,
    pub(super) loaded: bool,
    /// Which sessions are shown, and the text they are searched for.
    pub(super) shown: Vec<usize>,
    pub(super) wanted: String,
    pub(super) list: List,
    pub(super) open: Option<Opened>,
    /// Whether a text is being typed.
    pub(super) typing: bool,
    pub(super) help: bool,
    pub(super) failure: Option<String>,
    pub(super) asks: Vec<Ask>,
}

impl Model {
    pub(crate) fn new(now_us: i64, width: usize, height: usize) -> Self {
        Self { now_us, width, height, asks: vec![Ask::Sessions], ..Self::default() }
    }

    /// Goes to a session at once.
    pub(crate) fn open(&mut self, session: SessionId) {
        self.asks.push(Ask::Open(session));
    }

    /// Returns what is wanted from outside by now.
    pub(crate) fn asks(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.asks)
    }

    /// Takes in what came from outside.
    pub(crate) fn update(&mut self, input: Input) {
        match input {
            Input::Key(key) => self.key(key),
            Input::Resize(width, height) => (self.width, self.height) = (width, height),
            Input::Tick { now_us, news } => {
                self.now_us = now_us;
                if news {
                    self.asks.push(Ask::Sessions);
                    if let Some(open) = &self.open {
                        self.asks.push(Ask::News(open.id.clone(), open.logged as u64));
                    }
                }
            }
            Input::Sessions(rows) => self.list_sessions(rows),
            Input::Opened { session, looked } => {
                let label = self.label(&session);
                let mut open = Opened::new(session, label);
                open.take(looked);
                open.turn_list.at = usize::MAX;
                self.open = Some(open);
                self.screen = Screen::Turns;
            }
            Input::News { session, after, looked } => self.news(session, after, looked),
            Input::Tree { session, transcript } => {
                if let Some(open) = self.open.as_mut().filter(|open| open.id == session) {
                    open.transcript = Some(*transcript);
                }
            }
            Input::Raw { seq, request, response } => {
                if let Some(looking) = self.open.as_mut().and_then(|open| open.detail.as_mut())
                    && looking.detail.event.seq == Some(seq)
                {
                    (looking.detail.request, looking.detail.response) = (request, response);
                    looking.width = 0;
                }
            }
            Input::Failed(why) => self.failure = Some(why),
        }
        self.settle();
    }

    fn label(&self, session: &SessionId) -> String {
        let row = self.sessions.iter().find(|row| row.id == *session);
        row.map_or_else(|| session.to_string(), SessionRow::label)
    }

    fn list_sessions(&mut self, rows: Vec<SessionRow>) {
        let on = self.shown.get(self.list.at).map(|at| self.sessions[*at].id.clone());
        (self.sessions, self.loaded) = (rows, true);
        self.search_sessions();
        // The cursor stays on its session; at the top it stays at the top.
        if let (Some(id), true) = (on, self.list.at > 0) {
            let place = self.shown.iter().position(|at| self.sessions[*at].id == id);
            self.list.at = place.unwrap_or(self.list.at);
        }
        if let Some(open) = &self.open {
            let label = self.label(&open.id);
            self.open.as_mut().expect("it is open").label = label;
        }
    }

    fn news(&mut self, session: SessionId, after: u64, looked: Looked) {
        // What was asked for twice is taken once.
        let is_next = |open: &&mut Opened| open.id == session && open.logged as u64 == after;
        let Some(open) = self.open.as_mut().filter(is_next) else { return };
        if looked.events.iter().any(|event| event.kind() == "session.erased") {
            // What is on the screen is gone for good.
            open.detail = None;
            self.asks.push(Ask::Open(session));
            return;
        }
        let ends = (open.turn_list.is_last(open.turns.len()), open.event_list.is_last(open.events.len()));
        open.take(looked);
        if self.screen == Screen::Tree {
            self.asks.push(Ask::Tree(session));
        }
        // Whoever is at the end goes on with what happens.
        if ends.0 {
            open.turn_list.at = usize::MAX;
        }
        if ends.1 {
            open.event_list.at = usize::MAX;
        }
    }

    /// Returns how many rows of the list of a screen are in sight.
    pub(super) fn page(&self) -> usize {
        let lines = self.height.saturating_sub(FRAME).max(1);
        match self.screen {
            Screen::Events => (lines / EventRow::height(self.width)).max(1),
            Screen::Turns => lines.saturating_sub(self.waterfall_height()).max(1),
            Screen::Sessions | Screen::Detail | Screen::Tree => lines,
        }
    }

    /// Returns how many lines the turn under the cursor takes, its head line included.
    pub(super) fn waterfall_height(&self) -> usize {
        let lines = self.height.saturating_sub(FRAME);
        let wanted = self.turn().map_or(0, |turn| turn.lines(self.width).len() + 1);
        let turns = self.open.as_ref().map_or(0, |open| open.turns.len());
        // Few turns leave more room for the waterfall.
        wanted.min((lines * WATERFALL / 10).max(lines.saturating_sub(turns)))
    }

    /// Returns the turn under the cursor.
    pub(super) fn turn(&self) -> Option<&TurnTimeline> {
        let open = self.open.as_ref()?;
        open.timeline.turns.get(*open.turns.get(open.turn_list.at)?)
    }

    /// Keeps every cursor where there is something.
    fn settle(&mut self) {
        let (width, page) = (self.width, self.page());
        self.list.settle(self.shown.len(), if self.screen == Screen::Sessions { page } else { 1 });
        let screen = self.screen;
        let Some(open) = &mut self.open else { return };
        let on = |wanted| if screen == wanted { page } else { 1 };
        open.turn_list.settle(open.turns.len(), on(Screen::Turns));
        open.event_list.settle(open.events.len(), on(Screen::Events));
        open.tree_list.settle(open.messages(), on(Screen::Tree));
        if let Some(looking) = &mut open.detail {
            looking.lay_out(width);
            looking.top = looking.top.min(looking.lines.len().saturating_sub(page));
        }
        if screen == Screen::Turns {
            // The waterfall is of the turn that the cursor came to rest on, and may be of another height.
            let page = self.page();
            let open = self.open.as_mut().expect("it was there a moment ago");
            open.turn_list.settle(open.turns.len(), page);
        }
    }

    fn key(&mut self, key: Key) {
        self.failure = None;
        if self.help {
            self.help = false;
            match key {
                Key::Char('q') | Key::Interrupt => self.asks.push(Ask::Quit),
                _ => {}
            }
            return;
        }
        if self.typing {
            return self.type_key(key);
        }
        let Some(action) = action(self.screen, key) else { return };
        match action {
            Action::Quit => self.asks.push(Ask::Quit),
            Action::Help => self.help = true,
            Action::Search => self.typing = true,
            Action::Move(motion) => self.go(motion),
            Action::Open => self.enter(),
            Action::Back => self.back(),
            Action::All => self.show_events(None),
            Action::Branches => {
                self.screen = Screen::Tree;
                self.asks.extend(self.open.as_ref().map(|open| Ask::Tree(open.id.clone())));
            }
            Action::Kind => self.with_open(Opened::next_kind),
            Action::Errors => self.with_open(|open| {
                open.filter.errors = !open.filter.errors;
                open.list_events();
            }),
            Action::Tab(steps) => {
                if let Some(looking) = self.open.as_mut().and_then(|open| open.detail.as_mut()) {
                    (looking.tab, looking.top, looking.width) = (looking.tab.step(steps), 0, 0);
                }
            }
            Action::Step(steps) => self.step(steps),
        }
    }

    fn with_open(&mut self, change: impl FnOnce(&mut Opened)) {
        if let Some(open) = &mut self.open {
            change(open);
        }
    }

    fn go(&mut self, motion: Motion) {
        let page = self.page();
        match (self.screen, &mut self.open) {
            (Screen::Sessions, _) => self.list.go(motion, self.shown.len(), page),
            (Screen::Turns, Some(open)) => open.turn_list.go(motion, open.turns.len(), page),
            (Screen::Events, Some(open)) => open.event_list.go(motion, open.events.len(), page),
            (Screen::Tree, Some(open)) => {
                let count = open.messages();
                open.tree_list.go(motion, count, page);
            }
            (Screen::Detail, Some(open)) => {
                let Some(looking) = &mut open.detail else { return };
                looking.top = match motion {
                    Motion::Up => looking.top.saturating_sub(1),
                    Motion::Down => looking.top + 1,
                    Motion::PageUp => looking.top.saturating_sub(page),
                    Motion::PageDown => looking.top + page,
                    Motion::First => 0,
                    Motion::Last => looking.lines.len(),
                };
            }
            _ => {}
        }
    }

    fn enter(&mut self) {
        match self.screen {
            Screen::Sessions => {
                let session = self.shown.get(self.list.at).map(|at| self.sessions[*at].id.clone());
                self.asks.extend(session.map(Ask::Open));
            }
            Screen::Turns => {
                let turn = self.turn().map(|turn| turn.turn.clone());
                if turn.is_some() {
                    self.show_events(turn);
                }
            }
            Screen::Events => {
                let at = self.open.as_ref().and_then(|open| open.events.get(open.event_list.at).copied());
                self.look_at(at, Screen::Events);
            }
            Screen::Tree => {
                let Some(open) = &self.open else { return };
                let Some(transcript) = &open.transcript else { return };
                let nodes = transcript.nodes();
                let Some(node) = nodes.get(open.tree_list.at) else { return };
                match open.place(transcript, node.id) {
                    Some(at) => self.look_at(Some(at), Screen::Tree),
                    None => {
                        self.failure =
                            Some("that was said in the session this one was forked from".to_owned());
                    }
                }
            }
            Screen::Detail => {}
        }
    }

    fn show_events(&mut self, only: Option<TurnId>) {
        self.with_open(|open| {
            if open.only != only {
                open.filter = Filter::default();
                open.event_list = List::default();
            }
            open.only = only;
            open.list_events();
        });
        self.screen = Screen::Events;
    }

    fn look_at(&mut self, at: Option<usize>, back: Screen) {
        let Some(open) = &mut self.open else { return };
        let Some((at, detail)) = at.and_then(|at| Some((at, open.view.detail(at)?))) else { return };
        let tab = open.detail.as_ref().map_or(Tab::default(), |looking| looking.tab);
        if let (Some(seq), Some((kept, span))) = (detail.event.seq, open.view.wire(at)) {
            self.asks.push(Ask::Raw { seq, kept: kept.clone(), span });
        }
        let wanted = open.detail.take().map(|looking| looking.wanted).unwrap_or_default();
        open.detail = Some(Looking { at, detail, tab, top: 0, wanted, lines: Vec::new(), width: 0, back });
        self.screen = Screen::Detail;
    }

    /// Goes on to another event of the list, or of the session where it came from the tree.
    fn step(&mut self, steps: isize) {
        let Some(open) = &mut self.open else { return };
        let Some(looking) = &open.detail else { return };
        let back = looking.back;
        let next = match back {
            Screen::Events => {
                let at = open.event_list.at.checked_add_signed(steps).filter(|at| *at < open.events.len());
                open.event_list.at = at.unwrap_or(open.event_list.at);
                at.map(|at| open.events[at])
            }
            _ => looking.at.checked_add_signed(steps),
        };
        self.look_at(next, back);
    }

    fn back(&mut self) {
        match self.screen {
            Screen::Sessions => {
                self.wanted.clear();
                self.search_sessions();
            }
            Screen::Turns => {
                self.open = None;
                self.screen = Screen::Sessions;
            }
            Screen::Events | Screen::Tree => self.screen = Screen::Turns,
            Screen::Detail => {
                let looking = self.open.as_mut().and_then(|open| open.detail.take());
                self.screen = looking.map_or(Screen::Turns, |looking| looking.back);
            }
        }
    }

    /// Returns the text that is searched for on this screen.
    pub(super) fn wanted(&self) -> &str {
        match (self.screen, &self.open) {
            (Screen::Turns, Some(open)) => &open.wanted,
            (Screen::Events, Some(open)) => &open.filter.text,
            (Screen::Tree, Some(open)) => &open.tree_text,
            (Screen::Detail, Some(open)) => open.detail.as_ref().map_or("", |looking| &looking.wanted),
            _ => &self.wanted,
        }
    }

    fn wanted_mut(&mut self) -> &mut String {
        match (self.screen, &mut self.open) {
            (Screen::Turns, Some(open)) => &mut open.wanted,
            (Screen::Events, Some(open)) => &mut open.filter.text,
            (Screen::Tree, Some(open)) => &mut open.tree_text,
            (Screen::Detail, Some(Opened { detail: Some(looking), .. })) => &mut looking.wanted,
            _ => &mut self.wanted,
        }
    }

    fn type_key(&mut self, key: Key) {
        match key {
            Key::Char(c) => self.wanted_mut().push(c),
            Key::Backspace => drop(self.wanted_mut().pop()),
            Key::Escape | Key::Interrupt => {
                self.wanted_mut().clear();
                self.typing = false;
            }
            Key::Enter => {
                self.typing = false;
                return self.find_next();
            }
            Key::Up => return self.go(Motion::Up),
            Key::Down => return self.go(Motion::Down),
            _ => return,
        }
        match self.screen {
            Screen::Sessions => self.search_sessions(),
            Screen::Turns => self.with_open(Opened::list_turns),
            Screen::Events => self.with_open(Opened::list_events),
            Screen::Tree | Screen::Detail => {}
        }
    }

    /// Goes to the next place with the text, where nothing is left out for it.
    fn find_next(&mut self) {
        let text = self.wanted().to_lowercase();
        let screen = self.screen;
        let Some(open) = self.open.as_mut().filter(|_| !text.is_empty()) else { return };
        let found = match (screen, &mut open.detail) {
            (Screen::Detail, Some(looking)) => {
                let next = next(looking.lines.iter().map(Line::text), looking.top, &text);
                looking.top = next.unwrap_or(looking.top);
                next
            }
            (Screen::Tree, _) => {
                let nodes = open.transcript.as_ref().map(Transcript::nodes).unwrap_or_default();
                let next = next(nodes.iter().map(|node| node.line().text()), open.tree_list.at, &text);
                open.tree_list.at = next.unwrap_or(open.tree_list.at);
                next
            }
            _ => return,
        };
        if found.is_none() {
            self.failure = Some("nothing has that text".to_owned());
        }
    }

    fn search_sessions(&mut self) {
        let text = self.wanted.to_lowercase();
        self.shown = (0..self.sessions.len()).filter(|at| self.sessions[*at].has(&text)).collect();
    }
}

/// Returns the next line with a text after a place, or the first one.
fn next(lines: impl Iterator<Item = String>, after: usize, text: &str) -> Option<usize> {
    let found: Vec<usize> = lines.enumerate().filter(|(_, line)| has(line, text)).map(|(at, _)| at).collect();
    found.iter().find(|at| **at > after).or(found.first()).copied()
}
