//! How the inspector looks: its state as lines, and lines as cells of a terminal.

use aichat_events::{Line, SessionRow, Tab, Tone, Transcript, TurnTimeline, columns, cut, fit, sanitise};
use aichat_message::TurnId;
use ratatui_core::buffer::Buffer;
use ratatui_core::style::{Color, Modifier, Style};

use super::keys::{EVERYWHERE, hints};
use super::model::{FRAME, Model, Screen};
use super::opened::Opened;

/// Draws everything.
pub(crate) fn draw(model: &Model, colour: bool, buffer: &mut Buffer) {
    let (width, height) = (usize::from(buffer.area.width), usize::from(buffer.area.height));
    if width == 0 || height == 0 {
        return;
    }
    let mut canvas = Canvas { buffer, colour, width, height };
    canvas.line(0, &path(model, width), false);
    if model.help {
        help(model, &mut canvas);
    } else {
        body(model, &mut canvas);
    }
    if height > 1 {
        canvas.line(height - 1, &foot(model, width), false);
    }
}

/// Cells to draw in, line by line.
struct Canvas<'a> {
    buffer: &'a mut Buffer,
    colour: bool,
    width: usize,
    height: usize,
}

impl Canvas<'_> {
    /// Draws a line, where there is room for it; the one under the cursor is turned round.
    fn line(&mut self, y: usize, line: &Line, is_on: bool) {
        if y >= self.height {
            return;
        }
        let mut x = self.buffer.area.x;
        let y = self.buffer.area.y + u16::try_from(y).unwrap_or(u16::MAX);
        let end = self.buffer.area.right();
        let turned = if is_on { Modifier::REVERSED } else { Modifier::empty() };
        for piece in &line.pieces {
            let style = self.style(piece.tone, is_on).add_modifier(turned);
            x = self.buffer.set_stringn(x, y, &piece.text, usize::from(end - x), style).0;
        }
        if is_on {
            let rest = " ".repeat(usize::from(end - x));
            self.buffer.set_string(x, y, rest, Style::new().add_modifier(turned));
        }
    }

    /// Colours say how something went, and nothing else.
    fn style(&self, tone: Tone, is_on: bool) -> Style {
        let style = Style::new();
        match tone {
            Tone::Plain => style,
            Tone::Soft if is_on => style,
            Tone::Soft => style.add_modifier(Modifier::DIM),
            Tone::Strong => style.add_modifier(Modifier::BOLD),
            Tone::Good if self.colour => style.fg(Color::Green),
            Tone::Warning if self.colour => style.fg(Color::Yellow),
            Tone::Bad if self.colour => style.fg(Color::Red),
            Tone::Good | Tone::Warning => style,
            Tone::Bad => style.add_modifier(Modifier::BOLD),
        }
    }
}

/// Returns where it is that one looks at, and how much of what is shown.
fn path(model: &Model, width: usize) -> Line {
    let mut parts = vec!["aichat".to_owned()];
    let mut count = (model.shown.len(), model.sessions.len());
    if let (Some(open), true) = (&model.open, model.screen != Screen::Sessions) {
        parts.push(open.label.clone());
        count = (open.turns.len(), open.timeline.turns.len());
        match model.screen {
            Screen::Tree => {
                parts.push("branches".to_owned());
                count = (open.messages(), open.messages());
            }
            Screen::Events | Screen::Detail => {
                parts.push(events_of(open));
                count = (open.events.len(), events_of_turn(open));
            }
            _ => {}
        }
        if let (Screen::Detail, Some(looking)) = (model.screen, &open.detail) {
            let seq = looking.detail.event.seq;
            parts.push(seq.map_or_else(|| "not in the log yet".to_owned(), |seq| format!("event {seq}")));
        }
    }
    let what = match model.screen {
        Screen::Sessions => "sessions",
        Screen::Turns => "turns",
        Screen::Tree => "messages",
        Screen::Events => "events",
        Screen::Detail => "",
    };
    let count = match count {
        _ if what.is_empty() => String::new(),
        (shown, all) if shown == all => format!(" {all} {what}"),
        (shown, all) => format!(" {shown} of {all} {what}"),
    };
    // The last part tells where it is; what does not fit is left out before it.
    let room = width.saturating_sub(columns(&count));
    let mut text = parts.join(" › ");
    while columns(&text) > room && parts.len() > 2 {
        parts.remove(0);
        text = format!("… › {}", parts.join(" › "));
    }
    Line::default().and(Tone::Strong, fit(&sanitise(&text), room)).and(Tone::Soft, count)
}

fn events_of(open: &Opened) -> String {
    let number = |turn: &TurnId| open.timeline.turns.iter().position(|it| it.turn == *turn).map(|at| at + 1);
    match open.only.as_ref().and_then(number) {
        Some(number) => format!("turn {number}"),
        None => "all events".to_owned(),
    }
}

fn events_of_turn(open: &Opened) -> usize {
    let is_of = |row: &&aichat_events::EventRow| open.only.is_none() || row.turn == open.only;
    open.view.rows().iter().filter(is_of).count()
}

/// Returns the keys that work here, or what is being typed, or what went wrong.
fn foot(model: &Model, width: usize) -> Line {
    if model.typing {
        return Line::default()
            .and(Tone::Strong, "/")
            .and(Tone::Plain, sanitise(model.wanted()).into_owned())
            .and(Tone::Strong, "▏")
            .and(Tone::Soft, "  ⏎ done  esc clear")
            .cut(width);
    }
    if let Some(failure) = &model.failure {
        return Line::default().and(Tone::Bad, sanitise(failure).into_owned()).cut(width);
    }
    if model.help {
        return Line::default().and(Tone::Soft, "any key goes back, q quits").cut(width);
    }
    let hints = hints(model.screen);
    let wide = |at: &usize| columns(hints[*at].key) + 1 + columns(hints[*at].does);
    // Help and the way out are always there; of the others, as many as fit.
    let last = hints.len() - 2;
    let mut left = width.saturating_sub((last..hints.len()).map(|at| wide(&at) + 2).sum::<usize>());
    let mut chosen = Vec::new();
    for at in 0..last {
        let Some(rest) = left.checked_sub(wide(&at) + 2) else { continue };
        left = rest;
        chosen.push(at);
    }
    let mut line = Line::default();
    for at in chosen.into_iter().chain(last..hints.len()) {
        line.push(Tone::Strong, hints[at].key);
        line.push(Tone::Soft, format!(" {}  ", hints[at].does));
    }
    line.cut(width)
}

fn body(model: &Model, canvas: &mut Canvas<'_>) {
    let width = canvas.width;
    match (model.screen, &model.open) {
        (Screen::Turns, Some(open)) => turns(model, open, canvas),
        (Screen::Events, Some(open)) => events(model, open, canvas),
        (Screen::Tree, Some(open)) => {
            canvas.line(1, &searched(open.tree_text.as_str(), "each below the message it follows"), false);
            let nodes = open.transcript.as_ref().map(Transcript::nodes).unwrap_or_default();
            let text = if open.transcript.is_none() { "reading …" } else { "nothing has been said yet" };
            let list = open.tree_list;
            rows(canvas, 2, model.page(), list.top, list.at, nodes.len(), text, |at| {
                vec![nodes[at].line().cut(width)]
            });
        }
        (Screen::Detail, Some(Opened { detail: Some(looking), .. })) => {
            canvas.line(1, &tabs(looking.tab, width), false);
            for (y, line) in looking.lines.iter().skip(looking.top).take(model.page()).enumerate() {
                canvas.line(2 + y, line, false);
            }
        }
        _ => sessions(model, canvas),
    }
}

/// Draws the rows of a list that are in sight; where there are none, what that means.
#[expect(clippy::too_many_arguments, reason = "a list is drawn in one place, and these are its parts")]
fn rows(
    canvas: &mut Canvas<'_>,
    from: usize,
    page: usize,
    top: usize,
    on: usize,
    count: usize,
    nothing: &str,
    lines: impl Fn(usize) -> Vec<Line>,
) {
    if count == 0 {
        canvas.line(from, &Line::default().and(Tone::Soft, nothing), false);
    }
    let mut y = from;
    for at in (top..count).take(page) {
        for line in lines(at) {
            canvas.line(y, &line, at == on);
            y += 1;
        }
    }
}

fn sessions(model: &Model, canvas: &mut Canvas<'_>) {
    let width = canvas.width;
    canvas.line(1, &SessionRow::head(width), false);
    let nothing = match (model.loaded, model.wanted.is_empty()) {
        (false, _) => "reading …",
        (true, true) => "no sessions yet: `aichat send` begins one",
        (true, false) => "no session has that text",
    };
    let row = |at: usize| vec![model.sessions[model.shown[at]].line(width, model.now_us)];
    rows(canvas, 2, model.page(), model.list.top, model.list.at, model.shown.len(), nothing, row);
}

fn turns(model: &Model, open: &Opened, canvas: &mut Canvas<'_>) {
    let (width, page) = (canvas.width, model.page());
    canvas.line(1, &TurnTimeline::line_head(width), false);
    let row = |at: usize| {
        let turn = &open.timeline.turns[open.turns[at]];
        vec![turn.line(open.turns[at] + 1, open.said(&turn.turn), width)]
    };
    let nothing = if open.wanted.is_empty() { "no turn has begun yet" } else { "no turn has that text" };
    rows(canvas, 2, page, open.turn_list.top, open.turn_list.at, open.turns.len(), nothing, row);
    let Some(turn) = model.turn() else { return };
    let number = open.turns[open.turn_list.at] + 1;
    let below = 2 + page.min(open.turns.len());
    let rule = format!("── turn {number} ");
    canvas.line(below, &Line::default().and(Tone::Soft, fit(&rule, width).replace(' ', "─")), false);
    canvas.line(
        below,
        &Line::default().and(Tone::Soft, "── ").and(Tone::Strong, format!("turn {number} ")),
        false,
    );
    let room = canvas.height.saturating_sub(below + 2);
    let lines = turn.lines(width);
    let fits = lines.len() <= room;
    for (y, line) in lines.iter().take(if fits { room } else { room.saturating_sub(1) }).enumerate() {
        canvas.line(below + 1 + y, line, false);
    }
    if !fits && room > 0 {
        let more = format!("… {} more lines, all in its events", lines.len() + 1 - room);
        canvas.line(below + room, &Line::default().and(Tone::Soft, cut(&more, width)), false);
    }
}

fn events(model: &Model, open: &Opened, canvas: &mut Canvas<'_>) {
    let width = canvas.width;
    let filter = &open.filter;
    let mut head = Line::default();
    match filter.is_empty() {
        true => head.push(Tone::Soft, "all types"),
        false => {
            for kind in &filter.kinds {
                head.push(Tone::Strong, format!("type {kind}  "));
            }
            if filter.errors {
                head.push(Tone::Bad, "only what went wrong  ");
            }
            if !filter.text.is_empty() {
                head.push(Tone::Strong, format!("with “{}”", sanitise(&filter.text)));
            }
        }
    }
    canvas.line(1, &head.cut(width), false);
    let nothing = if filter.is_empty() { "nothing happened yet" } else { "no event is like that" };
    let list = open.event_list;
    let row = |at: usize| open.view.rows()[open.events[at]].lines(width);
    rows(canvas, 2, model.page(), list.top, list.at, open.events.len(), nothing, row);
}

fn searched(text: &str, otherwise: &str) -> Line {
    match text.is_empty() {
        true => Line::default().and(Tone::Soft, otherwise),
        false => Line::default().and(Tone::Strong, format!("at “{}”", sanitise(text))),
    }
}

/// Returns the names of the tabs, the open one in brackets; where there is no room, that one and its neighbours.
fn tabs(open: Tab, width: usize) -> Line {
    let all: usize = Tab::ALL.iter().map(|tab| columns(tab.name()) + 3).sum();
    let shown: Vec<Tab> = match all <= width {
        true => Tab::ALL.to_vec(),
        false => vec![open.step(-1), open, open.step(1)],
    };
    let mut line = Line::default();
    for tab in shown {
        match tab == open {
            true => line.push(Tone::Strong, format!("[{}] ", tab.name())),
            false => line.push(Tone::Soft, format!(" {}  ", tab.name())),
        }
    }
    line.cut(width)
}

fn help(model: &Model, canvas: &mut Canvas<'_>) {
    let here = hints(model.screen);
    let mut lines = vec![Line::default().and(Tone::Soft, "here")];
    let row = |key: &str, does: &str| {
        Line::default().and(Tone::Strong, fit(key, 18)).and(Tone::Plain, does.to_owned())
    };
    lines.extend(here[..here.len() - 2].iter().map(|hint| row(hint.key, hint.does)));
    lines.push(Line::default());
    lines.push(Line::default().and(Tone::Soft, "everywhere"));
    for (key, does) in EVERYWHERE {
        let text = aichat_events::wrap(does, canvas.width.saturating_sub(18));
        for (n, part) in text.iter().enumerate() {
            lines.push(row(if n == 0 { key } else { "" }, part));
        }
    }
    lines.push(Line::default());
    let signs = "✗ failed  ! interrupted  … open, or not in the log yet  ≥ at least  ⑂ branches";
    lines.extend(aichat_events::wrap(signs, canvas.width).into_iter().map(Line::plain));
    for (y, line) in lines.into_iter().take(canvas.height.saturating_sub(FRAME - 1)).enumerate() {
        canvas.line(1 + y, &line.cut(canvas.width), false);
    }
}
