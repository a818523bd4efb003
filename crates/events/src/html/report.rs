//! A session as a report: where the time and the money of each turn went, every event, and the tree of messages.

use std::fmt::Write;

use aichat_message::{CostStatus, Money, Total};

use super::page::Page;
use super::text::{blocks, escape, line, preformatted, short};
use super::{field, header, time};
use crate::envelope::Event;
use crate::timeline::{Row, TurnTimeline};
use crate::transcript::Transcript;
use crate::view::{Detail, EventRow, Level, Line, Tone, View, pretty};
use crate::{fact::CostCalculated, time::duration};

/// Units of a drawing that stand for the whole of a turn.
const SCALE: usize = 1_000;
/// Longest summary of an event, in characters.
const SUMMARY: usize = 240;

/// Finds request and answer of the call that an event begins or ends, as they went over the wire.
type Raw<'a> = &'a dyn Fn(&Event) -> (Option<String>, Option<String>);

impl Page {
    /// Puts everything there is to see of a session into the page; `raw` finds request and answer of the call that an
    /// event begins or ends.
    pub fn report(
        &mut self,
        view: &View,
        transcript: &Transcript,
        raw: impl Fn(&Event) -> (Option<String>, Option<String>),
    ) {
        Report { view, transcript, raw: &raw }.write(&mut self.body);
    }
}

struct Report<'a> {
    view: &'a View,
    transcript: &'a Transcript,
    raw: Raw<'a>,
}

impl Report<'_> {
    fn write(&self, out: &mut String) {
        let timeline = self.view.timeline();
        header(out, self.transcript, |out| {
            let cost: Total = timeline.turns.iter().map(|turn| turn.cost).sum();
            if cost.calls > 0 {
                field(out, "cost", &line(&cost.to_string()));
            }
            field(out, "turns", &timeline.turns.len().to_string());
            field(out, "events", &self.view.events().len().to_string());
            let wrong = self.view.rows().iter().filter(|row| row.level == Level::Error).count();
            if wrong > 0 {
                field(out, "went wrong", &wrong.to_string());
            }
        });
        out.push_str("<section>\n<h2 class=\"part\">Turns</h2>\n");
        if timeline.turns.is_empty() {
            out.push_str("<p class=\"note\">no turn has begun yet</p>\n");
        }
        for (n, turn) in timeline.turns.iter().enumerate() {
            self.turn(out, n + 1, turn);
        }
        out.push_str("</section>\n");
        self.tree(out);
        let outside: Vec<usize> =
            (0..self.view.events().len()).filter(|at| self.view.events()[*at].turn().is_none()).collect();
        if !outside.is_empty() {
            out.push_str("<section>\n<h2 class=\"part\">Outside of turns</h2>\n");
            outside.into_iter().for_each(|at| self.event(out, at));
            out.push_str("</section>\n");
        }
    }

    fn turn(&self, out: &mut String, number: usize, turn: &TurnTimeline) {
        let (status, tone) = (turn.status.as_str(), class(turn.status.tone()));
        let _ = writeln!(
            out,
            "<article class=\"turn {tone}\">\n<h2><b>Turn {number}</b><span class=\"{tone}\">{status}</span>\
             <span>{}</span>{}</h2>",
            duration(turn.total_us),
            time(turn.ts)
        );
        let mut facts = Vec::new();
        if !turn.model.is_empty() {
            facts.push(line(&turn.model));
        }
        if turn.tokens.calls > 0 {
            facts.push(format!("tokens: {} in, {} out", turn.tokens.input, turn.tokens.output));
        }
        if turn.cost.calls > 0 {
            facts.push(format!("cost: {}", line(&turn.cost.to_string())));
        }
        let facts: Vec<String> = facts.into_iter().map(|fact| format!("<span>{fact}</span>")).collect();
        let _ = writeln!(out, "<p class=\"facts\">{}</p>", facts.concat());
        let places = self.view.in_turn(&turn.turn);
        let said = places.iter().map(|at| &self.view.rows()[*at]).find(|row| row.kind == "message.user");
        if let Some(said) = said {
            let _ = writeln!(out, "<p class=\"said\" dir=\"auto\">{}</p>", short(&said.summary, SUMMARY));
        }
        out.push_str("<ol class=\"fall\">\n");
        turn.rows.iter().for_each(|row| bar(out, turn, row));
        out.push_str("</ol>\n");
        // The event that begins a turn is of no call: its costs are those of the whole turn.
        let costs = places.first().and_then(|at| self.view.detail(*at)).map(|detail| detail.cost);
        if let Some(costs) = costs.filter(|costs| !costs.is_empty()) {
            let what = format!("cost: {}", line(&turn.cost.to_string()));
            folded(out, &what, |out| costs.iter().for_each(|cost| money(out, cost)));
        }
        let errors = places.iter().filter(|at| self.view.rows()[**at].level == Level::Error).count();
        let wrong = if errors > 0 {
            format!(", <span class=\"bad\">{errors} went wrong</span>")
        } else {
            String::new()
        };
        folded(out, &format!("{} events{wrong}", places.len()), |out| {
            places.iter().for_each(|at| self.event(out, *at));
        });
        out.push_str("</article>\n");
    }

    fn event(&self, out: &mut String, at: usize) {
        let (Some(detail), event) = (self.view.detail(at), &self.view.events()[at]) else { return };
        let row = &detail.event;
        let seq = row.seq.map_or_else(|| "…".to_owned(), |seq| seq.to_string());
        let took = row.duration_us.map(duration).unwrap_or_default();
        let _ = writeln!(
            out,
            "<details class=\"event\"><summary><span class=\"seq\">{seq}</span><b class=\"{}\">{}</b><i>{took}</i>\
             <span class=\"said\" dir=\"auto\">{}</span></summary><div class=\"inner\">",
            class(row.level.tone()),
            line(&row.kind),
            short(&row.summary, SUMMARY)
        );
        let _ = writeln!(out, "<dl>\n<dt>time</dt><dd>{}</dd>", time(row.ts));
        for (name, value) in &detail.envelope {
            field(out, name, &line(value));
        }
        out.push_str("</dl>\n");
        self.body(out, event, &detail);
        out.push_str("</div></details>\n");
    }

    fn body(&self, out: &mut String, event: &Event, detail: &Detail) {
        let Some(payload) = &detail.payload else {
            out.push_str("<p class=\"note\">erased</p>\n");
            return;
        };
        let payload = |out: &mut String| preformatted(out, &pretty(payload.get()), "");
        match row_is_message(&detail.event) {
            true => {
                blocks(out, &detail.rendered);
                folded(out, "payload", payload);
            }
            false => payload(out),
        }
        let (request, response) = (self.raw)(event);
        for (what, text) in [("request as it was sent", request), ("answer as it came", response)] {
            if let Some(text) = text {
                folded(out, what, |out| preformatted(out, &text, ""));
            }
        }
        if !detail.causes.is_empty() {
            folded(out, "what led to it", |out| {
                out.push_str("<ol class=\"causes\">\n");
                for cause in &detail.causes {
                    let seq = cause.seq.map_or_else(|| "…".to_owned(), |seq| seq.to_string());
                    let _ = writeln!(
                        out,
                        "<li><span class=\"seq\">{seq}</span>{} <span class=\"soft\">{}</span></li>",
                        line(&cause.kind),
                        short(&cause.summary, 80)
                    );
                }
                out.push_str("</ol>\n");
            });
        }
    }

    fn tree(&self, out: &mut String) {
        let nodes = self.transcript.nodes();
        if nodes.is_empty() {
            return;
        }
        out.push_str("<section>\n<h2 class=\"part\">Branches</h2>\n<pre class=\"tree\">");
        for node in &nodes {
            tones(out, &node.line());
            out.push('\n');
        }
        out.push_str("</pre>\n</section>\n");
    }
}

fn row_is_message(row: &EventRow) -> bool {
    row.kind.starts_with("message.")
}

/// Draws a row of the waterfall: its name, its place in the time of the turn, how long it took, and its note.
fn bar(out: &mut String, turn: &TurnTimeline, row: &Row) {
    let (start, length) = turn.extent(row, SCALE);
    let what = class(row.what.tone());
    let _ = write!(
        out,
        "<li><span class=\"name\">{}</span><svg viewBox=\"0 0 {SCALE} 10\" preserveAspectRatio=\"none\" \
         role=\"presentation\">",
        row.what.as_str()
    );
    let took = match row.duration_us {
        Some(us) => {
            // What took next to no time is seen all the same.
            let length = length.max(4);
            let start = start.min(SCALE - length);
            let _ =
                write!(out, "<rect class=\"{what}\" x=\"{start}\" y=\"1\" width=\"{length}\" height=\"8\"/>");
            duration(us)
        }
        None => {
            let start = start.min(SCALE - 6);
            let _ = write!(out, "<rect class=\"{what}\" x=\"{start}\" y=\"0\" width=\"6\" height=\"10\"/>");
            format!("at {}", duration(row.offset_us))
        }
    };
    let _ = write!(out, "</svg><span class=\"took\">{took}</span>");
    if let Some(note) = &row.note {
        let _ = write!(out, "<p class=\"{what}\" dir=\"auto\">{}</p>", short(note, 400));
    }
    out.push_str("</li>\n");
}

/// Writes what a call cost, and what that is made of.
fn money(out: &mut String, cost: &CostCalculated) {
    let dollars =
        |amount: Option<Money>| amount.map_or_else(|| "unknown".to_owned(), |amount| format!("${amount}"));
    if !cost.lines.is_empty() {
        out.push_str("<table>\n<tr><th>what</th><th>tokens</th><th>$ per million</th><th>amount</th></tr>\n");
        for part in &cost.lines {
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                line(&part.bucket),
                part.quantity,
                dollars(part.price_per_million),
                dollars(part.amount)
            );
        }
        out.push_str("</table>\n");
    }
    let how =
        if cost.status == CostStatus::Unknown { "there is no price for it" } else { cost.status.as_str() };
    let _ = writeln!(out, "<p class=\"note\">{}, {how}</p>", dollars(cost.amount));
    if let Some(price) = &cost.price {
        folded(out, "where the prices are from", |out| preformatted(out, &pretty(price.get()), ""));
    }
}

fn folded(out: &mut String, what: &str, inner: impl FnOnce(&mut String)) {
    super::part::folded(out, what, false, inner);
}

fn tones(out: &mut String, of: &Line) {
    for piece in &of.pieces {
        match piece.tone {
            Tone::Plain => escape(out, &piece.text),
            tone => {
                let _ = write!(out, "<span class=\"{}\">", class(tone));
                escape(out, &piece.text);
                out.push_str("</span>");
            }
        }
    }
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "plain",
        Tone::Soft => "soft",
        Tone::Strong => "strong",
        Tone::Good => "good",
        Tone::Warning => "warning",
        Tone::Bad => "bad",
    }
}
