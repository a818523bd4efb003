//! `chat`: one prompt after the other, until the person has enough.

mod clipboard;
mod complete;
mod deeds;
mod history;
mod lines;
mod reader;
mod verb;

use std::path::Path;

use aichat_engine::{ModelRef, Piece, Send};
use aichat_message::{ErrorKind, Message, Part, Role};
use futures::FutureExt;

use self::complete::Words;
use self::history::History;
use self::reader::{Kind, Read, Reader};
use self::verb::{Verb, Wish};
use crate::args::{self, Form};
use crate::commands::Context;
use crate::commands::turn::{Asker, end_at_once};
use crate::exit;
use crate::failure::Failure;
use crate::pen::Pen;
use crate::place::Place;
use crate::prompt;
use crate::signals::{Signals, Stop};

pub(crate) fn run(context: &Context, args: &args::Chat) -> Result<u8, Failure> {
    if context.global.json {
        return Err(Failure::new(ErrorKind::Usage, "chat has no form for scripts")
            .hint("`aichat send --json` prints an object for each prompt"));
    }
    if args.turn.files.iter().any(|file| file == Path::new("-")) {
        return Err(Failure::new(ErrorKind::Usage, "standard input is where the prompts come from")
            .hint("`aichat send -f -` attaches what is piped in"));
    }
    let is_dumb = context.env.text("TERM").is_some_and(|term| term == "dumb");
    let kind = Kind::of_process(is_dumb);
    let (asker, template) = Asker::new(context, &args.turn, Form::Text, false)?;
    let asker = if kind == Kind::Data { asker } else { asker.going_on() };
    let talk = || {
        let runtime = context.runtime()?;
        let words = Words {
            engine: asker.engine.clone(),
            runtime: runtime.handle().clone(),
            models: ModelRef::known(
                &asker.directory.names(),
                context.default_model()?.as_ref(),
                &context.catalog()?,
            )
            .iter()
            .map(ModelRef::to_string)
            .collect(),
        };
        let file = context.paths()?.state.join("history");
        let file = Some(file).filter(|_| !args.turn.no_save);
        let secrets = context.secrets.clone();
        let history = move |lines| History::new(file, secrets, lines);
        let is_coloured = context.global.color.applies(&context.env, true);
        let reader = Reader::new(kind, context.talk.clone(), is_coloured, words, history);
        let chat = Chat {
            asker,
            kind,
            template,
            place: Place::New,
            attached: Vec::new(),
            said: 0,
            is_open: false,
            code: exit::OK,
        };
        runtime.block_on(chat.run(args, reader))
    };
    talk()
}

/// A conversation.
struct Chat<'a> {
    asker: Asker<'a>,
    kind: Kind,
    /// Makes the first message.
    template: Option<Vec<Piece>>,
    /// Where the next turn goes.
    place: Place,
    /// What goes with the next message, under the names it was given.
    attached: Vec<(String, Vec<Part>)>,
    /// How many messages of the person were answered on this branch.
    said: usize,
    /// Whether the last one was not.
    is_open: bool,
    /// How the last turn that did not go well ended.
    code: u8,
}

/// What happens next.
enum Next {
    /// The person is asked.
    Ask,
    /// A turn is sent.
    Send(Box<Send>),
    /// The conversation ends.
    End,
}

impl Next {
    fn send(send: Send) -> Self {
        Self::Send(Box::new(send))
    }
}

impl Chat<'_> {
    async fn run(mut self, args: &args::Chat, mut reader: Reader) -> Result<u8, Failure> {
        let mut signals = Signals::listen()?;
        let done = tokio::select! {
            biased;
            stop = signals.stop() => Err(Failure::Stopped(stop)),
            begun = self.begin(args) => begun,
        };
        let done = match done {
            Ok(first) => self.talk(first, &mut reader, &mut signals).await,
            Err(failure) => Err(failure),
        };
        drop(reader);
        tokio::select! {
            biased;
            stop = signals.stop() => end_at_once(stop),
            over = self.asker.engine.shutdown() => if let Err(error) = over {
                self.asker.context.talk.warning(&error.to_string());
            },
        }
        done
    }

    /// Finds out where the conversation goes on, and returns the first turn where the arguments say one.
    async fn begin(&mut self, args: &args::Chat) -> Result<Next, Failure> {
        let Context { env, talk, .. } = self.asker.context;
        self.place = Place::session(&args.turn, &self.asker.engine, env, talk).await?;
        self.count().await?;
        for file in &args.turn.files {
            let mut parts = Vec::new();
            crate::attach::read(file, talk, |part| parts.push(part))?;
            self.attached.push((file.display().to_string(), parts));
        }
        if self.kind != Kind::Data {
            let model = self.asker.usual.model.as_ref().map(|model| format!("{model}; ")).unwrap_or_default();
            talk.note(&format!("{model}.help lists commands, Ctrl-D ends"));
        }
        match args.prompt.is_empty() {
            true => Ok(Next::Ask),
            false => self.message(args.prompt.join(" ")).map(Next::send),
        }
    }

    /// Talks until the person has enough, and returns the exit code.
    async fn talk(&mut self, first: Next, reader: &mut Reader, signals: &mut Signals) -> Result<u8, Failure> {
        let mut next = first;
        loop {
            let done = match next {
                Next::End => break,
                Next::Ask => self.ask(reader, signals).await,
                Next::Send(send) => self.send(*send, signals).await,
            };
            next = match done {
                Ok(next) => next,
                Err(Failure::Error(report)) => {
                    self.asker.context.talk.error(&report);
                    self.code = exit::code(report.kind);
                    Next::Ask
                }
                Err(failure) => return Err(failure),
            };
        }
        // Who talks has seen what failed; a script has the exit code only.
        Ok(if self.kind == Kind::Data { self.code } else { exit::OK })
    }

    /// Asks the person for a line, and does what it says.
    async fn ask(&mut self, reader: &mut Reader, signals: &mut Signals) -> Result<Next, Failure> {
        let prompt = (self.said + 1).to_string();
        reader.ask(prompt.clone());
        let said = loop {
            let read = tokio::select! {
                biased;
                stop = signals.stop() => match (stop, self.kind) {
                    (Stop::Interrupt, Kind::Editor) => continue,
                    (Stop::Interrupt, Kind::Terminal) => {
                        reader.clear();
                        self.asker.context.talk.prompt(&format!("\n{prompt}> "));
                        continue;
                    }
                    (stop, _) => return Err(Failure::Stopped(stop)),
                },
                read = reader.read() => read,
            };
            match read {
                Read::Said(said) => break said,
                Read::Cleared => reader.ask(prompt.clone()),
                Read::End => return Ok(Next::End),
                // There is nothing to go on with.
                Read::Broken(why) => {
                    let what = format!("cannot read standard input: {why}");
                    self.asker
                        .context
                        .talk
                        .error(&Failure::new(ErrorKind::Input, what).into_report().expect("it is told"));
                    self.code = exit::code(ErrorKind::Input);
                    return Ok(Next::End);
                }
            }
        };
        match verb::read(said)? {
            Wish::Nothing => Ok(Next::Ask),
            Wish::Answer(text) => self.message(text).map(Next::send),
            Wish::Do(verb, rest) => {
                let mut obeyed = std::pin::pin!(self.obey(verb, rest.as_deref()));
                loop {
                    tokio::select! {
                        biased;
                        stop = signals.stop() => match stop {
                            // An editor has the terminal, and its own use for Ctrl-C.
                            Stop::Interrupt if verb == Verb::Edit => {}
                            Stop::Interrupt => break Ok(Next::Ask),
                            Stop::Terminate => break Err(Failure::Stopped(stop)),
                        },
                        done = &mut obeyed => break done,
                    }
                }
            }
        }
    }

    /// Makes the message of a turn out of what was typed.
    fn message(&mut self, text: String) -> Result<Send, Failure> {
        let attached = self.attached.iter().flat_map(|(_, parts)| parts.iter().cloned());
        let parts = prompt::typed(text, self.template.clone(), attached)?;
        Ok(Send { message: Message::new(Role::User, parts), ..self.asker.usual.clone() })
    }

    /// Sends a turn and shows it until it ends.
    async fn send(&mut self, mut send: Send, signals: &mut Signals) -> Result<Next, Failure> {
        // Ctrl-C was meant for what was before.
        while let Some(stop) = signals.stop().now_or_never() {
            if stop == Stop::Terminate {
                return Err(Failure::Stopped(stop));
            }
        }
        let says = !send.message.parts.is_empty();
        let begin = async {
            self.asker.aim(&mut send, &self.place).await?;
            let pen = Pen::new(None)?;
            Ok((self.asker.begin(send, &self.place).await?, pen))
        };
        let (turn, pen) = tokio::select! {
            biased;
            stop = signals.stop() => match stop {
                Stop::Interrupt if self.kind != Kind::Data => {
                    self.asker.context.talk.note("interrupted before it was sent");
                    return Ok(Next::Ask);
                }
                stop => return Err(Failure::Stopped(stop)),
            },
            begun = begin => begun.map_err(|failure| self.asker.about(failure))?,
        };
        self.place = Place::In(turn.session.clone());
        // These are the first message's; the session goes on with its agent by itself.
        self.template = None;
        self.asker.usual.system = None;
        self.asker.usual.agent = None;
        if says {
            self.attached.clear();
        }
        let ended = self.asker.follow(turn, pen, signals).await?;
        let is_answered = ended.outcome.answer.is_some();
        // A question without an answer counts once it has one.
        if is_answered && (says || self.is_open) {
            self.said += 1;
        }
        self.is_open = !is_answered && (says || self.is_open);
        match ended.stopped {
            Some(Stop::Terminate) => return Err(Failure::Stopped(Stop::Terminate)),
            Some(Stop::Interrupt) if self.kind == Kind::Data => {
                return Err(Failure::Stopped(Stop::Interrupt));
            }
            _ => {}
        }
        if ended.code != exit::OK {
            self.code = ended.code;
        }
        Ok(Next::Ask)
    }

    /// Counts the messages of the person again, after the branch became another one.
    async fn count(&mut self) -> Result<(), Failure> {
        (self.said, self.is_open) = match &self.place {
            Place::In(session) => {
                let transcript = self.asker.engine.transcript(session).await?;
                let heads = &transcript.heads;
                let asked = transcript.asked(heads.head.as_ref()).len();
                (asked, transcript.asked(heads.shown()).len() > asked)
            }
            _ => (0, false),
        };
        Ok(())
    }
}
