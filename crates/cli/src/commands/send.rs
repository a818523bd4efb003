//! `send`: a prompt goes out, the answer comes in.

use aichat_engine::{Form as AnswerForm, Send};
use aichat_message::{ErrorKind, Message, Role};

use super::Context;
use super::preview;
use super::turn::{Asker, end_at_once};
use crate::args::{self, Form};
use crate::editor;
use crate::exit;
use crate::failure::Failure;
use crate::pen::Pen;
use crate::place::Place;
use crate::prompt;
use crate::schema;
use crate::signals::Signals;

/// Returns the form that the flags ask for.
pub(crate) fn form(named: Option<Form>, json: bool) -> Form {
    named.unwrap_or(if json { Form::Json } else { Form::Text })
}

pub(crate) fn run(context: &Context, args: &args::Send) -> Result<u8, Failure> {
    let form = form(args.output_format, context.global.json);
    let (asker, template) = Asker::new(context, &args.turn, form, args.dry_run)?;
    let asker = asker.only(args.block());
    let ask = || {
        let edited;
        let args = match args.editor {
            true => {
                edited = args::Send { prompt: vec![written(context, args)?], ..args.clone() };
                &edited
            }
            false => args,
        };
        let send = Send {
            message: Message::new(Role::User, prompt::assemble(args, template, &context.talk)?),
            form: match &args.schema {
                Some(text) => AnswerForm::Of(schema::parse(text)?),
                None if args.no_schema => AnswerForm::Free,
                None => AnswerForm::Kept,
            },
            ..asker.usual.clone()
        };
        // An output that cannot be written is found out before anything is asked.
        let pen = Pen::new(args.output.as_deref())?;
        context.runtime()?.block_on(ask(&asker, args, form, send, pen))
    };
    ask().map_err(|failure| asker.about(failure))
}

/// Lets the person write the prompt in an editor.
fn written(context: &Context, args: &args::Send) -> Result<String, Failure> {
    let instead = "leave out -e, and write the prompt after `aichat send` or pipe it in";
    let text = editor::edit(&context.env, &args.prompt.join(" "), instead)?;
    match text.trim().is_empty() {
        true => Err(Failure::new(ErrorKind::Input, "nothing to send: the prompt was left empty")),
        false => Ok(text),
    }
}

async fn ask(asker: &Asker<'_>, args: &args::Send, form: Form, send: Send, pen: Pen) -> Result<u8, Failure> {
    let mut signals = Signals::listen()?;
    let begin = async {
        let mut send = send;
        let place = Place::of(args, &asker.engine, &asker.context.env, &asker.context.talk).await?;
        asker.aim(&mut send, &place).await?;
        match args.dry_run {
            true => preview::show(asker, form, send, pen).await.map(|()| None),
            false => Ok(Some((asker.begin(send, &place).await?, pen))),
        }
    };
    let begun = tokio::select! {
        biased;
        stop = signals.stop() => Err(Failure::Stopped(stop)),
        begun = begin => begun,
    };
    let done = match begun {
        Ok(Some((turn, pen))) => asker.follow(turn, pen, &mut signals).await.map(|ended| ended.code),
        Ok(None) => Ok(exit::OK),
        Err(failure) => Err(failure),
    };
    tokio::select! {
        biased;
        stop = signals.stop() => end_at_once(stop),
        over = asker.engine.shutdown() => if let Err(error) = over {
            asker.context.talk.warning(&error.to_string());
        },
    }
    done
}
