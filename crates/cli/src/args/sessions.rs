//! What is done with sessions.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::{Limit, Session};
use crate::since::Since;

#[derive(Subcommand)]
pub(crate) enum Sessions {
    /// Begin an empty session
    Create {
        /// Its name
        name: Option<String>,
        /// The model it is for
        #[arg(short, long, value_name = "MODEL")]
        model: Option<String>,
    },
    /// List sessions, the last used first
    List {
        #[command(flatten)]
        limit: Limit,
        /// List those that were archived
        #[arg(long)]
        archived: bool,
    },
    /// Print the conversation of a session
    Show(Session),
    /// Find messages and names, the latest first
    Search(Search),
    /// Give a session another name
    Rename {
        #[command(flatten)]
        session: Session,
        /// Its new name; none takes the name away
        name: Option<String>,
    },
    /// Draw the messages of a session as a tree, with its branches
    Tree(Session),
    /// Begin a branch at a message; the next turn goes on from there
    Branch {
        #[command(flatten)]
        session: Session,
        /// The message: id, prefix of an id, @last or @last~1, counted back
        #[arg(long, value_name = "MESSAGE")]
        at: String,
        /// Name of the branch
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// List the branches of a session, or go on from another one
    Heads {
        #[command(flatten)]
        session: Session,
        /// The branch to go on from
        #[arg(long, value_name = "NAME")]
        switch: Option<String>,
    },
    /// Begin a session that goes on where another one is; nothing is copied
    Clone {
        #[command(flatten)]
        session: Session,
        /// Name of the new session
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Begin sessions that go on from a place in another one, changed or not; nothing is copied and nothing is sent
    Fork(Box<Fork>),
    /// Compare what was said in two sessions, and what it took; exits 1 where something else was said
    Diff {
        /// One session: name, id, prefix of an id, @last or @last~1
        #[arg(value_name = "SESSION")]
        a: String,
        /// The other one
        #[arg(value_name = "SESSION")]
        b: String,
    },
    /// Put a session away, which hides it from lists
    Archive {
        #[command(flatten)]
        session: Session,
        /// Take it up again
        #[arg(long)]
        undo: bool,
    },
    /// Hide a session and free its name; its log stays
    Delete(Session),
    /// Erase for good what was said in a session, deleted or not
    Purge {
        #[command(flatten)]
        session: Session,
        /// Erase the forks that depend on it as well
        #[arg(long)]
        with_forks: bool,
        /// Really do it
        #[arg(long)]
        yes: bool,
    },
    /// Print sessions whole
    Export(Export),
    /// Take in every session of files that were exported as json or jsonl
    Import {
        /// The exported files; `-` is standard input
        #[arg(value_name = "FILE|-", value_hint = ValueHint::FilePath, required = true)]
        files: Vec<PathBuf>,
    },
}

/// Where and how to fork.
#[derive(Args)]
pub(crate) struct Fork {
    /// The session, and the message or event after an @
    #[arg(value_name = "SESSION@MESSAGE|EVENT")]
    pub(crate) place: String,
    /// Name of the new session; with --n it is followed by -1, -2 and so on
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Go on with another model (model=MODEL), or with this standing instruction in place of every earlier one
    /// (system=TEXT or system=@FILE; an empty text takes them away)
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) set: Vec<(Setting, String)>,
    /// Make a message say something else: its number, counted from 1 at the beginning of the conversation as `sessions
    /// show` prints it, its id, or @last~1, counted back from the place; without a text, in $VISUAL or $EDITOR. What
    /// follows it up to the place is kept. May be repeated
    #[arg(long, value_name = "MESSAGE[=TEXT|@FILE]")]
    pub(crate) edit: Vec<String>,
    /// Leave a message out, named in the same way; numbers stay those of before. May be repeated
    #[arg(long, value_name = "MESSAGE")]
    pub(crate) drop: Vec<String>,
    /// Begin so many
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) n: u8,
    /// Answer in each of them, one after another, as `send` does; this spends money
    #[arg(long)]
    pub(crate) answer: bool,
    /// With --answer: options of `send`, and a prompt, if any
    #[arg(last = true, requires = "answer", value_name = "SEND OPTIONS", allow_hyphen_values = true)]
    pub(crate) send: Vec<String>,
}

/// Something that a fork goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    Model,
    System,
}

fn setting(text: &str) -> Result<(Setting, String), String> {
    match text.split_once('=') {
        Some(("model", value)) => Ok((Setting::Model, value.to_owned())),
        Some(("system", value)) => Ok((Setting::System, value.to_owned())),
        Some((other, _)) => Err(format!("{other:?} cannot be set; model and system can")),
        None => Err(format!("write the value after an equals sign: --set {text}=VALUE")),
    }
}

/// What to export.
#[derive(Args)]
pub(crate) struct Export {
    /// Name, id, prefix of an id, @last or @last~1; may be repeated
    #[arg(value_name = "SESSION", required_unless_present = "all")]
    pub(crate) sessions: Vec<String>,
    /// Export every session that is listed
    #[arg(long, conflicts_with = "sessions")]
    pub(crate) all: bool,
    /// With --all: those used since a time, a date or so long ago (12h, 7d)
    #[arg(long, requires = "all", conflicts_with = "sessions", value_name = "TIME|DURATION")]
    pub(crate) since: Option<Since>,
    /// One object, one event a line, Markdown, or a page for a browser; json and jsonl can be imported again
    /// without loss
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    pub(crate) format: Format,
    /// Leave out what was said, and keep the chain
    #[arg(long)]
    pub(crate) redact: bool,
}

/// What to look for, and where.
#[derive(Args)]
pub(crate) struct Search {
    /// Words that must all occur, and "quoted phrases"
    #[arg(value_name = "QUERY", required = true)]
    pub(crate) query: Vec<String>,
    /// Only in this session: name, id, prefix of an id, @last or @last~1
    #[arg(long, value_name = "SESSION")]
    pub(crate) session: Option<String>,
    /// Only what this role said
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<Role>,
    /// Only what was said to or by a model whose provider/model has this in it
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Only from this time on: RFC 3339, a date, or how long ago, such as 12h or 7d
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Since>,
    /// Only before this time, written the same way
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Since>,
    /// Most entries to print
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

/// Who said something.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    User,
    Assistant,
    System,
    Tool,
}

/// A form to export a session in.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Json,
    Jsonl,
    Md,
    Html,
}
