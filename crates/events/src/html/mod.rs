//! A transcript as HTML, for people to read in a browser and to print.

mod page;
mod part;
mod report;
mod text;
mod tree;

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use aichat_message::{Finish, FinishReason, MessageId, Role, TurnId};

pub use self::page::Page;
use self::part::Media;
use self::text::{line, short};
use self::tree::{Place, Tree};
use crate::time::rfc3339;
use crate::transcript::{Entry, Transcript, Turn, TurnStatus, Warning};

/// How much of its first message names a branch, in characters.
const TEASER: usize = 60;

impl Transcript {
    /// Returns the transcript as a page of its own; `media` finds the bytes that are kept under a hash.
    ///
    /// The branch of the head is shown, and beside it, folded away, what other branches hold. Everything that was
    /// said is text in the page: it holds no script and no link, and a browser that shows it makes no request.
    pub fn to_html(&self, media: impl Fn(&str) -> Option<Vec<u8>>) -> String {
        let mut page = Page::new(self.name.as_deref().unwrap_or("Conversation"));
        page.transcript(self, media);
        page.into_html()
    }
}

impl Page {
    /// Puts a transcript into the page.
    pub fn transcript(&mut self, transcript: &Transcript, media: impl Fn(&str) -> Option<Vec<u8>>) {
        Body::new(transcript, &media).write(&mut self.body);
    }
}

/// A transcript with what is looked up while it is written.
struct Body<'a> {
    transcript: &'a Transcript,
    media: Media<'a>,
    /// The turns by the last message of each.
    ends: HashMap<&'a MessageId, &'a Turn>,
    warnings: HashMap<&'a TurnId, Vec<&'a Warning>>,
    session: &'a str,
}

impl<'a> Body<'a> {
    fn new(transcript: &'a Transcript, media: Media<'a>) -> Self {
        let end = |turn: &'a Turn| turn.answer.as_ref().or(turn.input.as_ref()).map(|id| (id, turn));
        let ends: HashMap<_, _> = transcript.turns.iter().filter_map(end).collect();
        let mut warnings: HashMap<_, Vec<_>> = HashMap::new();
        for warning in &transcript.warnings {
            if let Some(turn) = &warning.turn {
                warnings.entry(turn).or_default().push(warning);
            }
        }
        let session = transcript.session.as_ref().map_or("", |id| id.as_str());
        Self { transcript, media, ends, warnings, session }
    }

    fn write(&self, out: &mut String) {
        header(out, self.transcript, |_| {});
        out.push_str("<section>\n");
        let mut shown = HashSet::new();
        for place in Tree::of(self.transcript).walk() {
            match place {
                Place::Message(entry) => {
                    self.message(out, entry);
                    shown.extend(self.ends.get(&entry.id).map(|turn| &turn.id));
                }
                Place::Open { first, messages } => self.branch(out, first, messages),
                Place::Close => out.push_str("</div></details>\n"),
            }
        }
        let told = |warning: &&Warning| warning.turn.as_ref().is_some_and(|turn| shown.contains(turn));
        self.transcript.warnings.iter().filter(|warning| !told(warning)).for_each(|w| warn(out, w));
        out.push_str("</section>\n");
    }

    /// Begins a branch that leads away from the one that is shown.
    fn branch(&self, out: &mut String, first: &Entry, messages: usize) {
        let count = if messages == 1 { "1 message".to_owned() } else { format!("{messages} messages") };
        let open = if messages <= 2 { " open" } else { "" };
        let _ = writeln!(
            out,
            "<details class=\"branch\"{open}><summary>another branch, {count}: <span dir=\"auto\">{}</span>\
             </summary><div>",
            short(&first.message.text(), TEASER)
        );
    }

    fn message(&self, out: &mut String, entry: &Entry) {
        let role = entry.role.as_str();
        let _ = write!(
            out,
            "<article class=\"{role}\" id=\"{}-{}\">\n<h2><b>{}</b>",
            line(self.session),
            entry.seq,
            who(entry.role)
        );
        if let Some(origin) = &entry.message.origin {
            let _ = write!(out, "<span>{}</span>", line(&format!("{}/{}", origin.provider, origin.model)));
        }
        let _ = writeln!(out, "{}</h2>", time(entry.ts));
        match entry.erased {
            true => out.push_str("<p class=\"note\">erased</p>\n"),
            false => part::message(out, &entry.message, self.media),
        }
        if entry.partial {
            out.push_str("<p class=\"end bad\">cut off here</p>\n");
        }
        if let Some(turn) = self.ends.get(&entry.id) {
            end(out, &turn.status);
            self.warnings.get(&turn.id).into_iter().flatten().for_each(|warning| warn(out, warning));
        }
        out.push_str("</article>\n");
    }
}

/// Writes what is to be said of a session as a whole; `more` adds to it.
fn header(out: &mut String, of: &Transcript, more: impl FnOnce(&mut String)) {
    let _ = write!(
        out,
        "<header>\n<h1 dir=\"auto\">{}</h1>\n<dl>\n",
        line(of.name.as_deref().unwrap_or("Conversation"))
    );
    field(out, "session", &line(of.session.as_ref().map_or("", |id| id.as_str())));
    if let Some(model) = &of.model {
        field(out, "model", &line(model));
    }
    if let Some(created) = of.created {
        field(out, "created", &time(created));
    }
    if let Some(updated) = of.updated {
        field(out, "last used", &time(updated));
    }
    if of.tokens.calls > 0 {
        field(out, "tokens", &format!("{} in, {} out", of.tokens.input, of.tokens.output));
    }
    if of.deleted {
        field(out, "deleted", "yes");
    }
    more(out);
    out.push_str("</dl>\n</header>\n");
}

/// Writes a name and a value, which is HTML.
fn field(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "<dt>{name}</dt><dd>{value}</dd>");
}

/// Returns a time as a person reads it, and as a program does.
fn time(us: i64) -> String {
    let exact = rfc3339(us);
    let shown = exact.replace('T', " ").replace('Z', " UTC");
    format!("<time datetime=\"{exact}\">{shown}</time>")
}

fn who(role: Role) -> &'static str {
    match role {
        Role::System => "System",
        Role::Developer => "Developer",
        Role::User => "User",
        Role::Assistant => "Assistant",
        Role::Tool => "Tool",
        _ => "Other",
    }
}

/// Says how a turn ended, where that is not as usual.
fn end(out: &mut String, status: &TurnStatus) {
    let (class, text) = match status {
        TurnStatus::Open => ("", "the turn is not over".to_owned()),
        TurnStatus::Failed { message, .. } => (" bad", format!("failed: {}", line(message))),
        TurnStatus::Interrupted { reason } => {
            let reason = reason.map_or("for an unknown reason", |reason| reason.as_str());
            (" bad", format!("interrupted: {reason}"))
        }
        TurnStatus::Completed { finish } => match finish.as_ref().and_then(unusual) {
            Some(why) => ("", why.to_owned()),
            None => return,
        },
    };
    let _ = writeln!(out, "<p class=\"end{class}\">{text}</p>");
}

/// Returns why an answer ended, where that is no end by itself.
fn unusual(finish: &Finish) -> Option<&'static str> {
    Some(match finish.reason {
        FinishReason::Length => "ended at the limit of its length",
        FinishReason::ContentFilter => "cut off by the provider's filter",
        FinishReason::Refusal => "the model declined",
        FinishReason::Pause => "paused by the provider",
        FinishReason::ContextWindow => "ended because the context window is full",
        _ => return None,
    })
}

fn warn(out: &mut String, warning: &Warning) {
    let _ = writeln!(out, "<p class=\"note warning\">warning: {}</p>", line(&warning.text));
}
