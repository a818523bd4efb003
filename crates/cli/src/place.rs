//! Where a turn goes: into a session that is there, into a fork of one, or into a new one.

use aichat_engine::{After, Engine, Fork, ForkAt};
use aichat_message::{ErrorKind, MessageId, SessionId};

use crate::args;
use crate::env::Env;
use crate::failure::Failure;
use crate::scope;
use crate::talk::Talk;

/// Where a turn goes.
pub(crate) enum Place {
    /// Into a session of its own.
    New,
    /// Into a session by this name, which is to be begun; and why none of that name was found.
    Named(String, aichat_engine::Error),
    /// Into this session.
    In(SessionId),
    /// Into a fork of this session after a message, by this name.
    Fork(SessionId, MessageId, Option<String>),
}

impl Place {
    /// Finds out where the flags say that a turn goes.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session or message, or nothing to continue.
    pub(crate) async fn of(
        args: &args::Send,
        engine: &Engine,
        env: &Env,
        talk: &Talk,
    ) -> Result<Self, Failure> {
        let place = match args.continue_partial && args.turn.session.is_none() {
            true => Self::last(&args.turn, engine, env, talk).await?,
            false => Self::session(&args.turn, engine, env, talk).await?,
        };
        if let Some(text) = &args.fork_at {
            return match place {
                Self::In(session) => {
                    let message = engine.message(&session, text).await?;
                    Ok(Self::Fork(session, message, None))
                }
                Self::Named(name, _) => {
                    let (session, message) = engine.find_message(text).await?;
                    Ok(Self::Fork(session, message, Some(name)))
                }
                _ => {
                    let (session, message) = engine.find_message(text).await?;
                    Ok(Self::Fork(session, message, None))
                }
            };
        }
        if args.continue_partial {
            let Self::In(session) = &place else {
                let failure = Failure::new(ErrorKind::Input, "a new session has no answer to go on with");
                return Err(failure.hint("name the session with -s, or continue the last one with -c"));
            };
            let transcript = engine.transcript(session).await?;
            let head = transcript.heads.head.as_ref().and_then(|head| transcript.entry(head));
            if !head.is_some_and(|head| head.partial) {
                let what = format!("the last answer of session {session} was not cut off");
                return Err(Failure::new(ErrorKind::Input, what).hint("leave --continue-partial out"));
            }
        }
        Ok(place)
    }

    /// Finds the session that the flags name, if any.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session, or nothing to continue.
    pub(crate) async fn session(
        args: &args::Turn,
        engine: &Engine,
        env: &Env,
        talk: &Talk,
    ) -> Result<Self, Failure> {
        match &args.session {
            Some(name) => Self::named(name, engine).await,
            None if args.continue_last => Self::last(args, engine, env, talk).await,
            None => Ok(Self::New),
        }
    }

    /// Finds the session that a text stands for; a name that is not known is that of a new one.
    ///
    /// # Errors
    /// Fails with kind `input` where an id matches none.
    pub(crate) async fn named(name: &str, engine: &Engine) -> Result<Self, Failure> {
        let reserved = name.starts_with("ses_") || name.starts_with('@');
        match engine.resolve(name).await {
            Ok(session) => Ok(Self::In(session)),
            Err(error) if error.kind() == ErrorKind::Input && !reserved => {
                Ok(Self::Named(name.to_owned(), error))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn last(args: &args::Turn, engine: &Engine, env: &Env, talk: &Talk) -> Result<Self, Failure> {
        let none = |what: &str| {
            Failure::new(ErrorKind::Input, what).hint("leave -c out to begin a session, or name one with -s")
        };
        let session = match (args.global, scope::current(env)) {
            (true, _) => engine.resolve("@last").await.map_err(|error| match error.kind() {
                ErrorKind::Input => none("there is no session yet"),
                _ => error.into(),
            })?,
            (false, Some(scope)) => {
                let last = engine.last_in_scope(&scope).await?;
                last.ok_or_else(|| none(&format!("there is no session in {scope} yet")))?
            }
            (false, None) => return Err(none("this terminal has no name")),
        };
        let summary = engine.session(&session).await?;
        let title = summary.name.or(summary.title).map(|title| format!(" ({title})")).unwrap_or_default();
        talk.note(&format!("continuing {session}{title}"));
        Ok(Self::In(session))
    }

    /// Returns the session that a turn goes into as it is now, and what its message follows there.
    pub(crate) fn now(&self) -> (Option<SessionId>, After) {
        match self {
            Self::New | Self::Named(..) => (None, After::Head),
            Self::In(session) => (Some(session.clone()), After::Head),
            Self::Fork(session, message, _) => (Some(session.clone()), After::Message(message.clone())),
        }
    }

    /// Begins the session where it is to be begun before the turn, and returns it with whether it is new.
    ///
    /// # Errors
    /// Fails with kind `input` where the name cannot be given, and with kind `store`.
    pub(crate) async fn begin(
        &self,
        engine: &Engine,
        send: &aichat_engine::Send,
    ) -> Result<(Option<SessionId>, bool), Failure> {
        match self {
            Self::New => Ok((None, false)),
            Self::In(session) => Ok((Some(session.clone()), false)),
            Self::Fork(session, message, name) => {
                let at = ForkAt::Message(message.clone());
                let fork = Fork { name: name.clone(), scope: send.scope.clone(), ..Fork::at(at) };
                let fork = engine.fork(session, &fork).await?;
                Ok((Some(fork), true))
            }
            Self::Named(name, unknown) => {
                let created = engine.create(Some(name), send.model.as_ref(), send.scope.as_deref()).await;
                match created {
                    Ok(session) => Ok((Some(session), true)),
                    // Either somebody else gave the name just now, or it stood for several sessions all along.
                    Err(error) if error.kind() == ErrorKind::Input => match engine.resolve(name).await {
                        Ok(session) => Ok((Some(session), false)),
                        Err(_) => Err(Failure::from(unknown).hint(error.to_string())),
                    },
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}
