//! What each dot command does.

use std::io::IsTerminal;
use std::path::Path;

use aichat_engine::{Agent, CostQuery, Fork, ForkAt, ModelRef, Send};
use aichat_message::{ErrorKind, Message, Role, SessionId};

use super::verb::{self, Verb};
use super::{Chat, Next, clipboard};
use crate::commands::documents;
use crate::failure::Failure;
use crate::fenced::{Search, Which};
use crate::place::Place;
use crate::plural::plural;
use crate::{attach, editor};

impl Chat<'_> {
    /// Does what a command says, and returns what is to happen next.
    pub(super) async fn obey(&mut self, verb: Verb, rest: Option<&str>) -> Result<Next, Failure> {
        match verb {
            Verb::Quit => return Ok(Next::End),
            Verb::Help => self.say(&verb::help()),
            Verb::Model => self.model(rest).await?,
            Verb::Agent => self.agent(rest).await?,
            Verb::Session => self.session(rest).await?,
            Verb::Fork => self.fork(rest).await?,
            Verb::Undo => self.undo().await?,
            Verb::Retry => return self.retry(rest).await.map(Next::send),
            Verb::Edit => return self.edit(rest).await.map(Next::send),
            Verb::Attach => self.attach(rest)?,
            Verb::Detach => self.attached.clear(),
            Verb::Copy => self.copy(rest).await?,
            Verb::Cost => self.cost().await?,
        }
        Ok(Next::Ask)
    }

    fn say(&self, text: &str) {
        self.asker.context.talk.raw(text);
    }

    async fn model(&mut self, named: Option<&str>) -> Result<(), Failure> {
        if let Some(text) = named {
            let model = self.asker.model(text).await?;
            self.say(&format!("{model} answers from now on"));
            self.asker.usual.model = Some(model);
            return Ok(());
        }
        let begun_with = match &self.place {
            Place::In(session) => self.asker.engine.session(session).await?.model,
            _ => None,
        };
        let model = self.asker.usual.model.as_ref().map(ModelRef::to_string).or(begun_with);
        let model = model.or(self.asker.context.default_model()?.map(|model| model.to_string()));
        self.say(&model.unwrap_or_else(|| "no model is named yet; the first message chooses one".to_owned()));
        Ok(())
    }

    async fn agent(&mut self, named: Option<&str>) -> Result<(), Failure> {
        if let Some(name) = named {
            let agent = documents::find::<Agent>(&self.asker.engine, name, None).await?;
            // What the agent says of a model counts, unless another is named after this.
            self.asker.usual.model = agent.read()?.model.as_deref().and_then(ModelRef::parse);
            self.say(&format!("{} has the turns that follow", agent.name()));
            self.asker.usual.agent = Some(agent);
            return Ok(());
        }
        let kept = match (&self.asker.usual.agent, &self.place) {
            (Some(agent), _) => Some(agent.name().to_owned()),
            (None, Place::In(session)) => {
                self.asker.engine.session(session).await?.agent.map(|agent| agent.name)
            }
            _ => None,
        };
        self.say(&kept.unwrap_or_else(|| "no agent".to_owned()));
        Ok(())
    }

    async fn session(&mut self, named: Option<&str>) -> Result<(), Failure> {
        if let Some(name) = named {
            self.place = Place::named(name, &self.asker.engine).await?;
            // The model that was named is not that of a session that has its own.
            if let Place::In(_) = self.place {
                self.asker.usual.model = None;
                self.asker.usual.agent = None;
            }
        }
        match &self.place {
            Place::In(session) => {
                let summary = self.asker.engine.session(session).await?;
                let title = summary.name.or(summary.title).map(|t| format!(" ({t})")).unwrap_or_default();
                let turns = plural(summary.turns, "turn");
                let model = summary.model.map(|model| format!(", {model}")).unwrap_or_default();
                let branch = &summary.heads.branch;
                self.say(&format!("{session}{title}: {turns}, branch {branch}{model}"));
            }
            Place::Named(name, _) => self.say(&format!("the next message begins the session {name:?}")),
            Place::New | Place::Fork(..) => self.say("the next message begins a session"),
        }
        self.count().await
    }

    async fn fork(&mut self, message: Option<&str>) -> Result<(), Failure> {
        let session = self.current()?.clone();
        let at = match message {
            Some(text) => ForkAt::Message(self.asker.engine.message(&session, text).await?),
            None => ForkAt::Head,
        };
        let scope = self.asker.usual.scope.clone();
        let fork = self.asker.engine.fork(&session, &Fork { scope, ..Fork::at(at) }).await?;
        self.say(&format!("{fork} goes on from here; {session} stays as it is"));
        self.place = Place::In(fork);
        self.count().await
    }

    async fn undo(&mut self) -> Result<(), Failure> {
        let session = self.current()?.clone();
        let before = self.asker.engine.session(&session).await?.heads.branch;
        let taken = self.asker.engine.undo(&session).await?;
        let now = self.asker.engine.session(&session).await?.heads.branch;
        let text = taken.message.text();
        let line = text.lines().next().unwrap_or_default();
        let line: String = line.chars().take(50).collect();
        self.say(&match now == before {
            true => format!("taken back: {line}"),
            false => format!("taken back: {line} (it is kept as branch {before}; this is {now})"),
        });
        self.count().await
    }

    async fn retry(&mut self, model: Option<&str>) -> Result<Send, Failure> {
        let session = self.current()?.clone();
        let model = match model {
            Some(text) => Some(self.asker.model(text).await?),
            None => None,
        };
        let transcript = self.asker.engine.transcript(&session).await?;
        let last = transcript.asked(transcript.heads.shown()).last().map(|entry| entry.id.clone());
        let last = last.ok_or_else(|| Failure::new(ErrorKind::Input, "nothing was asked yet"))?;
        let usual = self.asker.usual.clone();
        Ok(Send {
            message: Message::new(Role::User, Vec::new()),
            after: aichat_engine::After::Message(last),
            model: model.or_else(|| usual.model.clone()),
            ..usual
        })
    }

    async fn edit(&mut self, number: Option<&str>) -> Result<Send, Failure> {
        let session = self.current()?.clone();
        let transcript = self.asker.engine.transcript(&session).await?;
        let asked = transcript.asked(transcript.heads.shown());
        let place = match number {
            None => asked.len().checked_sub(1),
            Some(text) => text.trim_end_matches('>').parse().ok().and_then(|n: usize| n.checked_sub(1)),
        };
        let Some(entry) = place.and_then(|place| asked.get(place)) else {
            let what = format!("there are {} messages of yours to edit", asked.len());
            return Err(Failure::new(ErrorKind::Input, what).hint("write .edit and the number of its prompt"));
        };
        let (env, before) = (self.asker.context.env.clone(), entry.message.text());
        let instead = "write the message anew after .undo";
        let open = move || editor::edit(&env, &before, instead).map(|text| (before, text));
        let edited = tokio::task::spawn_blocking(open).await;
        let (before, text) =
            edited.unwrap_or_else(|_| Err(Failure::new(ErrorKind::Unsupported, "the editor was lost")))?;
        if text == before.trim_end() {
            let failure = Failure::new(ErrorKind::Input, "the message was left as it is");
            return Err(failure.hint(".retry has it answered once more"));
        }
        let message = self.asker.engine.edit(&session, &entry.id, &text).await?;
        self.count().await?;
        Ok(Send { message, ..self.asker.usual.clone() })
    }

    fn attach(&mut self, named: Option<&str>) -> Result<(), Failure> {
        if let Some(name) = named {
            let mut parts = Vec::new();
            attach::read(Path::new(name), &self.asker.context.talk, |part| parts.push(part))?;
            self.attached.push((name.to_owned(), parts));
        }
        match self.attached.is_empty() {
            true => self.say("nothing is attached to the next message"),
            false => {
                let names: Vec<&str> = self.attached.iter().map(|(name, _)| name.as_str()).collect();
                self.say(&format!("the next message goes with {}", names.join(", ")));
            }
        }
        Ok(())
    }

    async fn copy(&self, what: Option<&str>) -> Result<(), Failure> {
        let nothing = || Failure::new(ErrorKind::Input, "there is no answer yet");
        let Place::In(session) = &self.place else { return Err(nothing()) };
        let transcript = self.asker.engine.transcript(session).await?;
        let branch = transcript.heads.head.as_ref().map(|head| transcript.branch(head)).unwrap_or_default();
        let answer = branch.iter().rev().find(|entry| entry.role == Role::Assistant).ok_or_else(nothing)?;
        let answer = answer.message.text();
        let text = match what {
            None => answer,
            Some("code") => {
                let mut search = Search::new(Which::Last);
                search.push(&answer);
                let found = search.finish().map(|(block, _)| block.to_owned());
                let none = || Failure::new(ErrorKind::Input, "there is no block of code in the last answer");
                found.ok_or_else(none)?
            }
            Some(_) => {
                let failure = Failure::new(ErrorKind::Usage, "what is to be copied?");
                return Err(failure.hint("write .copy for the last answer, .copy code for its last block"));
            }
        };
        let ways = clipboard::copy(&text, &self.asker.context.env, std::io::stderr().is_terminal());
        if ways.is_empty() {
            let failure = Failure::new(ErrorKind::Unsupported, "there is no clipboard here");
            return Err(failure.hint("install wl-copy or xclip, or use a terminal"));
        }
        self.say(&format!("copied {} characters, by {}", text.chars().count(), ways.join(" and ")));
        Ok(())
    }

    async fn cost(&self) -> Result<(), Failure> {
        let Place::In(session) = &self.place else {
            self.say("nothing was asked yet");
            return Ok(());
        };
        let query = CostQuery { session: Some(session.clone()), ..CostQuery::default() };
        let total = self.asker.engine.costs(&query).await?.total;
        let bound = if total.calls_without_usage > 0 { "at least " } else { "" };
        let calls = if total.cost.calls == 1 { "call" } else { "calls" };
        self.say(&format!(
            "{}; {} {calls}, tokens: {bound}{} in, {} out",
            total.cost, total.cost.calls, total.input_tokens, total.output_tokens
        ));
        Ok(())
    }

    /// Returns the session that is talked in.
    fn current(&self) -> Result<&SessionId, Failure> {
        match &self.place {
            Place::In(session) => Ok(session),
            _ => Err(Failure::new(ErrorKind::Input, "nothing was asked yet")),
        }
    }
}
