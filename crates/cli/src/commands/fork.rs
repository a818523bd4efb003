//! `sessions fork`: sessions that go on from a place in another one, with or without changes, answered or not.

use aichat_engine::{Change, Engine, Fork, ForkAt};
use aichat_events::Entry;
use aichat_message::{ErrorKind, Role, SessionId};
use clap::Parser;

use super::{Context, send};
use crate::args::{self, Cli, Color, Global, Setting};
use crate::assemble;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::{editor, prompt, scope};

pub(super) fn run(context: &Context, args: &args::Fork) -> Result<u8, Failure> {
    let answer = if args.answer { Some(sending(args)?) } else { None };
    let mut changes = Vec::new();
    for (setting, value) in &args.set {
        changes.push(match setting {
            Setting::Model => Change::Model(context.model(value, &context.directory()?)?),
            Setting::System => Change::System(prompt::system(value)?),
        });
    }
    let engine = assemble::editor(context)?;
    let forks = context.runtime()?.block_on(async {
        let (session, at) = place_of(&engine, &args.place).await?;
        let branch = engine.prefix(&session, &at).await?;
        for text in &args.edit {
            let (message, text) = match text.split_once('=') {
                Some((message, text)) => (message, Some(prompt::system(text)?)),
                None => (text.as_str(), None),
            };
            let entry = message_of(&branch, message)?;
            let text = text.map_or_else(|| in_editor(context, &entry.message.text()), Ok)?;
            changes.push(Change::Edit(entry.id.clone(), text));
        }
        for message in &args.drop {
            changes.push(Change::Drop(message_of(&branch, message)?.id.clone()));
        }
        if answer.as_ref().is_some_and(|send| send.prompt.is_empty()) && !asks(&branch, &changes) {
            return Err(Failure::new(ErrorKind::Input, "there is nothing to answer at the end of the fork")
                .hint("fork at a message of the user, or write a prompt after `--`"));
        }
        let fork = |number| Fork {
            at: at.clone(),
            name: args.name.as_ref().map(|name| named(name, number, args.n)),
            scope: scope::current(&context.env),
            changes: changes.clone(),
        };
        let mut forks = Vec::new();
        for number in 1..=args.n {
            forks.push(engine.fork(&session, &fork(number)).await?);
        }
        if answer.is_none() || !context.global.json {
            print(context, args, &engine, &forks).await?;
        }
        engine.shutdown().await?;
        Ok::<_, Failure>(forks)
    })?;
    let Some(answer) = answer else { return Ok(exit::OK) };
    for (at, fork) in forks.iter().enumerate() {
        if args.n > 1 && !context.global.json {
            context.talk.note(&format!("in {fork}:"));
        }
        let mut send = answer.clone();
        send.turn.session = Some(fork.to_string());
        let code = send::run(context, &send)?;
        if code != exit::OK {
            let left = forks.len() - at - 1;
            if left > 0 {
                context.talk.note(&format!("{left} more of the forks were not asked"));
            }
            return Ok(code);
        }
    }
    Ok(exit::OK)
}

/// Reads what follows `--` as `send` would.
fn sending(args: &args::Fork) -> Result<args::Send, Failure> {
    let words = ["aichat", "send"].into_iter().chain(args.send.iter().map(String::as_str));
    let wrong = |what: &str| Failure::new(ErrorKind::Usage, format!("after `--`: {what}"));
    let cli = Cli::try_parse_from(words)
        .map_err(|error| wrong(super::said(&error.render().to_string()).as_str()))?;
    let Global { store, config, proxy, color, json, quiet } = &cli.global;
    if *json || *quiet || *color != Color::Auto || store.is_some() || config.is_some() || proxy.is_some() {
        return Err(wrong("what every command understands goes before it"));
    }
    let args::Command::Send(mut send) = cli.command else {
        return Err(wrong("these are no options of send"));
    };
    let turn = &send.turn;
    let elsewhere = turn.session.is_some() || turn.continue_last || send.fork_at.is_some() || turn.fork;
    if elsewhere || turn.no_save || send.continue_partial {
        return Err(wrong("the answers go into the forks, and nowhere else"));
    }
    send.no_stdin = true;
    Ok(*send)
}

/// Tells whether the last message that is left is one to answer.
fn asks(branch: &[Entry], changes: &[Change]) -> bool {
    let is_left = |entry: &&Entry| {
        let is_dropped = |change: &Change| matches!(change, Change::Drop(id) if *id == entry.id);
        let is_replaced =
            entry.role == Role::System && changes.iter().any(|c| matches!(c, Change::System(_)));
        !is_replaced && !changes.iter().any(is_dropped)
    };
    let last = branch.iter().rev().find(is_left);
    last.is_some_and(|entry| [Role::User, Role::Tool].contains(&entry.role) || entry.partial)
}

fn named(name: &str, number: u8, of: u8) -> String {
    if of == 1 { name.to_owned() } else { format!("{name}-{number}") }
}

async fn print(
    context: &Context,
    args: &args::Fork,
    engine: &Engine,
    forks: &[SessionId],
) -> Result<(), Failure> {
    let mut output = Output::stdout()?;
    if let (true, [fork]) = (context.global.json, forks) {
        output.object("aichat.summary/1", &engine.session(fork).await?)?;
    } else if context.global.json {
        let mut summaries = Vec::new();
        for fork in forks {
            summaries.push(engine.session(fork).await?);
        }
        output.list(&summaries)?;
    } else {
        for (number, fork) in (1..).zip(forks) {
            match &args.name {
                Some(name) => output.line(&format!("{fork}  {}", named(name, number, args.n)))?,
                None => output.line(fork.as_str())?,
            }
        }
    }
    output.finish()
}

/// Finds the message that a number, an id, a beginning of one or `@last~N` stands for.
fn message_of<'a>(branch: &'a [Entry], text: &str) -> Result<&'a Entry, Failure> {
    let of = || format!("no message before the place of the fork is {text:?}; there are {}", branch.len());
    let nothing = || Failure::new(ErrorKind::Input, of()).hint("`aichat sessions show` prints them in order");
    let back = match text.strip_prefix("@last") {
        Some("") => Some(0),
        Some(rest) => Some(rest.strip_prefix('~').and_then(|n| n.parse::<usize>().ok()).ok_or_else(nothing)?),
        None => None,
    };
    if let Some(back) = back {
        return branch
            .len()
            .checked_sub(1)
            .and_then(|last| branch.get(last.checked_sub(back)?))
            .ok_or_else(nothing);
    }
    if let Ok(number) = text.parse::<usize>() {
        return number.checked_sub(1).and_then(|at| branch.get(at)).ok_or_else(nothing);
    }
    let begins = |entry: &&Entry| text.len() > "msg_".len() && entry.id.as_str().starts_with(text);
    let found: Vec<&Entry> = branch.iter().filter(begins).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(nothing()),
        _ => Err(Failure::new(ErrorKind::Input, format!("{text:?} is ambiguous"))),
    }
}

/// Lets the person write a text anew in an editor.
fn in_editor(context: &Context, text: &str) -> Result<String, Failure> {
    let edited = editor::edit(&context.env, text, "write --edit MESSAGE=TEXT or --edit MESSAGE=@FILE")?;
    match edited == text.trim_end() {
        true => Err(Failure::new(ErrorKind::Input, "the message was left as it is, so nothing was forked")),
        false => Ok(edited),
    }
}

/// Finds the session and the place in it that `SESSION@PLACE` names.
async fn place_of(engine: &Engine, text: &str) -> Result<(SessionId, ForkAt), Failure> {
    // A name of a session may hold the sign, a place only in front.
    let split = ["@msg_", "@evt_", "@@last"].iter().filter_map(|mark| text.rfind(mark)).max();
    let Some(at) = split.filter(|at| *at > 0) else {
        let failure = Failure::new(ErrorKind::Usage, format!("{text} names no place in a session"));
        return Err(failure.hint("write SESSION@msg_… or SESSION@evt_…; `sessions clone` forks at the head"));
    };
    let (session, place) = (engine.resolve(&text[..at]).await?, &text[at + 1..]);
    if !place.starts_with("evt_") {
        let message = engine.message(&session, place).await?;
        return Ok((session, ForkAt::Message(message)));
    }
    let events = engine.events(&session).await?;
    let found: Vec<_> = events.iter().map(|e| e.id()).filter(|id| id.as_str().starts_with(place)).collect();
    match found[..] {
        [one] => Ok((session, ForkAt::Event(one.clone()))),
        [] => Err(Failure::new(ErrorKind::Input, format!("no event of session {session} matches {place}"))),
        _ => Err(Failure::new(ErrorKind::Input, format!("{place} is ambiguous in session {session}"))),
    }
}
