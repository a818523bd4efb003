//! `sessions import` of conversations that were held with another tool.

use std::path::Path;

use aichat_engine::{Adopted, Foreign};
use aichat_message::ErrorKind;
use serde::Serialize;

use super::Context;
use crate::assemble;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;

/// What became of one conversation.
#[derive(Serialize)]
struct Item<'a> {
    status: Status,
    #[serde(flatten)]
    adopted: &'a Adopted,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// It is new here.
    TakenIn,
    /// It was here already, and there is more of it now.
    Extended,
    /// It was here already.
    Present,
    /// It was not taken in.
    Refused,
}

/// What became of all.
#[derive(Serialize)]
struct Summary<'a> {
    items: Vec<Item<'a>>,
    taken_in: usize,
    present: usize,
    refused: usize,
}

/// Takes in the conversations of a file, and names what was lost.
pub(crate) fn run(
    context: &Context,
    file: &Path,
    tool: &str,
    mut conversations: Vec<Foreign>,
) -> Result<u8, Failure> {
    // A conversation that neither has an id nor says what it is called is known by its file.
    if let ([one], Some(stem)) = (&mut conversations[..], file.file_stem().and_then(|stem| stem.to_str()))
        && one.id.is_none()
        && file != Path::new("-")
    {
        one.name.get_or_insert_with(|| stem.to_owned());
    }
    if conversations.is_empty() {
        return Err(Failure::new(ErrorKind::Input, "the file holds no conversation"));
    }
    let engine = assemble::archive(context)?;
    let mut output = Output::stdout()?;
    context.runtime()?.block_on(async {
        let all = engine.adopt(tool, &conversations).await?;
        engine.shutdown().await?;
        let summary = Summary::of(&all);
        for item in &summary.items {
            tell(context, item);
            if !context.global.json && item.status != Status::Refused {
                output.line(item.adopted.session.as_str())?;
            }
        }
        let Summary { taken_in, present, refused, .. } = &summary;
        if all.len() > 1 {
            context
                .talk
                .note(&format!("{taken_in} taken in, {present} here already, {refused} deleted here"));
        }
        if *refused == all.len() {
            let session = &all[0].session;
            let failure = Failure::new(ErrorKind::Input, format!("session {session} was deleted"));
            return Err(failure.hint("its log is kept, and what is deleted does not come back"));
        }
        if context.global.json {
            output.object("aichat.import/1", &summary)?;
        }
        output.finish()?;
        Ok(exit::OK)
    })
}

/// Says what was lost of a conversation, and what else is worth knowing.
fn tell(context: &Context, Item { status, adopted }: &Item<'_>) {
    let session = &adopted.session;
    let called = adopted.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    if *status == Status::Refused {
        return context.talk.warning(&format!("{session}{called} was deleted here, and stays so"));
    }
    if adopted.new_turns > 0 && !adopted.lost.is_empty() {
        context.talk.note(&format!("{session}{called} came without: {}", adopted.lost.join("; ")));
    }
    for note in &adopted.notes {
        context.talk.warning(&format!("{session}{called}: {note}"));
    }
}

impl<'a> Summary<'a> {
    fn of(all: &'a [Adopted]) -> Self {
        let item = |adopted: &'a Adopted| Item { status: Status::of(adopted), adopted };
        let items: Vec<Item<'a>> = all.iter().map(item).collect();
        let count = |of: &[Status]| items.iter().filter(|item| of.contains(&item.status)).count();
        Self {
            taken_in: count(&[Status::TakenIn, Status::Extended]),
            present: count(&[Status::Present]),
            refused: count(&[Status::Refused]),
            items,
        }
    }
}

impl Status {
    fn of(adopted: &Adopted) -> Self {
        match adopted.new_turns {
            _ if adopted.deleted => Self::Refused,
            0 => Self::Present,
            new if new == adopted.turns => Self::TakenIn,
            _ => Self::Extended,
        }
    }
}
