//! The grammar: every command, argument and flag.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::env::Env;
use crate::since::Since;

/// Talks to large language models and remembers every conversation.
#[derive(Parser)]
#[command(name = "aichat", bin_name = "aichat", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Args)]
pub(crate) struct Global {
    /// Directory or database (postgres://…) where sessions are kept
    #[arg(long, global = true, value_name = "default|PATH|URL", help_heading = "Global options")]
    pub(crate) store: Option<String>,
    /// Configuration file to use instead of the usual one
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,
    /// Proxy for every request, instead of those the environment names
    #[arg(long, global = true, value_name = "URL", value_hint = ValueHint::Url, help_heading = "Global options")]
    pub(crate) proxy: Option<String>,
    /// When to colour messages
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Global options")]
    pub(crate) color: Color,
    /// Print JSON
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// Print errors only, no notes and no warnings
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
}

/// When to colour messages; auto means on a terminal.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// Tells whether to colour what goes to a terminal, or to something else.
    pub(crate) fn applies(self, env: &Env, is_terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                is_terminal
                    && env.text("NO_COLOR").is_none()
                    && env.text("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Send a prompt and print the answer
    Send(Box<Send>),
    /// Create, list, show, search, branch, fork, rename, archive, delete, purge, export and import sessions
    #[command(subcommand)]
    Sessions(Sessions),
    /// Keep agents: a model, its options and a standing instruction under one name
    #[command(subcommand)]
    Agents(Agents),
    /// Keep templates: prompts with places to fill in
    #[command(subcommand)]
    Templates(Templates),
    /// List, draw and verify what happened in a session
    #[command(subcommand)]
    Events(Events),
    /// List and show models, offered or known
    #[command(subcommand)]
    Models(Models),
    /// Keep keys, and say where each comes from
    #[command(subcommand)]
    Keys(Keys),
    /// List, show and test providers
    #[command(subcommand)]
    Providers(Providers),
    /// Show and change the configuration
    #[command(subcommand)]
    Settings(Settings),
    /// Look after the place where sessions are kept
    #[command(subcommand)]
    Store(Store),
    /// Print where configuration, sessions, state and cache are kept
    Paths,
    /// Print the JSON Schemas of everything printed as JSON
    Schema,
    /// Print a completion script
    Completions {
        /// The shell to complete in
        shell: clap_complete::Shell,
    },
}

#[derive(Args)]
pub(crate) struct Send {
    /// The prompt; words are joined by a space, `-` is standard input, {{stdin}} is replaced by it
    #[arg(value_name = "PROMPT")]
    pub(crate) prompt: Vec<String>,
    /// Model: provider/model, provider:model or a unique part of a known model's name
    #[arg(short, long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Agent to give the turn to; flags go before what it says. A session goes on with its agent as it was then
    #[arg(short, long, value_name = "AGENT")]
    pub(crate) agent: Option<String>,
    /// Template to make the prompt from; the words go where it says {{prompt}}, or after it
    #[arg(short, long, value_name = "TEMPLATE")]
    pub(crate) template: Option<String>,
    /// Value of a parameter of the template
    #[arg(short, long, value_name = "KEY=VALUE", requires = "template", value_parser = param)]
    pub(crate) param: Vec<(String, String)>,
    /// Session to continue: name, id, prefix of an id or @last; a new name begins a session
    #[arg(short, long, value_name = "SESSION")]
    pub(crate) session: Option<String>,
    /// Continue the last session of this terminal
    #[arg(short, long = "continue", conflicts_with = "session")]
    pub(crate) continue_last: bool,
    /// With -c: the last session anywhere
    #[arg(long, requires = "continue_last")]
    pub(crate) global: bool,
    /// Attach text, an image, sound, video or a PDF; all files of a directory; the address of media, which the
    /// provider fetches; `-` for standard input; may be repeated
    #[arg(short, long = "file", visible_alias = "attach", short_alias = 'i', value_name = "FILE|DIR|URL|-", value_hint = ValueHint::AnyPath)]
    pub(crate) files: Vec<PathBuf>,
    /// Standing instruction, or @FILE that holds it
    #[arg(long, value_name = "TEXT|@FILE")]
    pub(crate) system: Option<String>,
    /// Model option: max_tokens, temperature, top_p, top_k, stop, seed, reasoning, or one of the provider's own
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) option: Vec<(String, String)>,
    /// Ask for JSON: a JSON Schema, a file that holds one, or fields such as "name, age int"; kept on continued turns
    #[arg(long, value_name = "FILE|JSON|FIELDS")]
    pub(crate) schema: Option<String>,
    /// Ask for free text in a session whose answers were JSON
    #[arg(long, conflicts_with = "schema")]
    pub(crate) no_schema: bool,
    /// Write the answer to a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Ask for the whole answer at once
    #[arg(short = 'S', long)]
    pub(crate) no_stream: bool,
    /// Do not show the model's reasoning
    #[arg(short = 'R', long)]
    pub(crate) hide_reasoning: bool,
    /// Print usage and cost on standard error
    #[arg(short, long)]
    pub(crate) usage: bool,
    /// Do not save the session
    #[arg(short, long, conflicts_with_all = ["session", "continue_last", "fork_at", "continue_partial"])]
    pub(crate) no_save: bool,
    /// Begin a session that goes on from this message, an id, prefix of an id or, of a session, @last or @last~1;
    /// without a prompt a user's message is answered once more
    #[arg(long, value_name = "MESSAGE", conflicts_with = "continue_partial")]
    pub(crate) fork_at: Option<String>,
    /// Go on with the last answer, which was cut off; without a prompt exactly where it stops
    #[arg(long)]
    pub(crate) continue_partial: bool,
    /// The answer, one object when all is over, or one a line as it happens; --json is short for json
    #[arg(long, value_name = "FORM")]
    pub(crate) output_format: Option<Form>,
    /// Print what would be sent, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not read standard input
    #[arg(long, conflicts_with = "stdin")]
    pub(crate) no_stdin: bool,
    /// Wait for standard input, however long it stays silent
    #[arg(long)]
    pub(crate) stdin: bool,
    /// Wait while another turn of the session is in flight
    #[arg(long)]
    pub(crate) wait: bool,
    /// Go on in a fork of the session where another turn of it is in flight
    #[arg(long, conflicts_with = "wait")]
    pub(crate) fork: bool,
    /// Longest wait for a connection
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout_connect: Option<Duration>,
    /// Longest wait for the first byte of the answer
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout_first_byte: Option<Duration>,
    /// Longest silence in the middle of an answer
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout_idle: Option<Duration>,
}

/// The form of what `send` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Text,
    Json,
    StreamJson,
}

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
    /// Begin a session that goes on from a place in another one; nothing is copied
    Fork {
        /// The session, and the message or event after an @
        #[arg(value_name = "SESSION@MESSAGE|EVENT")]
        place: String,
        /// Name of the new session
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
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

#[derive(Subcommand)]
pub(crate) enum Agents {
    /// Keep a new agent
    Create {
        /// Its name
        name: String,
        #[command(flatten)]
        fields: AgentFields,
    },
    /// Change what is given and keep the rest; an empty value takes something away
    Edit {
        /// Its name
        name: String,
        #[command(flatten)]
        fields: AgentFields,
    },
    #[command(flatten)]
    Kept(Kept),
}

/// What there is to say of an agent.
#[derive(Args)]
pub(crate) struct AgentFields {
    /// Model: provider/model, provider:model or a unique part of a known model's name
    #[arg(short, long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Standing instruction, or @FILE that holds it
    #[arg(long, value_name = "TEXT|@FILE")]
    pub(crate) system: Option<String>,
    /// Model option: max_tokens, temperature, top_p, top_k, stop, seed, reasoning, or one of the provider's own
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) option: Vec<(String, String)>,
    /// Form of its answers: a JSON Schema, a file that holds one, or fields such as "name, age int"
    #[arg(long, value_name = "FILE|JSON|FIELDS")]
    pub(crate) schema: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// The most a turn shall cost; kept and shown, and not enforced by this version
    #[arg(long, value_name = "USD")]
    pub(crate) max_cost: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Templates {
    /// Keep a new template
    Create {
        /// Its name
        name: String,
        /// Its text, @FILE that holds it, or `-` for standard input; {{key}} is filled in by `send -p key=VALUE`,
        /// {{prompt}} by the words, {{stdin}} by standard input
        #[arg(value_name = "TEXT|@FILE|-")]
        text: String,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Change what is given and keep the rest
    Edit {
        /// Its name
        name: String,
        /// Its new text, @FILE that holds it, or `-` for standard input
        #[arg(value_name = "TEXT|@FILE|-")]
        text: Option<String>,
        /// What it is for; an empty text takes it away
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    #[command(flatten)]
    Kept(Kept),
}

/// What is done with agents and templates alike.
#[derive(Subcommand)]
pub(crate) enum Kept {
    /// List all, by name
    List(Limit),
    /// Show one, in its latest version
    Show {
        /// Its name
        name: String,
        /// Show this version
        #[arg(long, value_name = "N")]
        version: Option<u64>,
        /// List its versions, the latest first
        #[arg(long, conflicts_with = "version")]
        history: bool,
    },
    /// Hide one and free its name; its versions stay
    Delete {
        /// Its name
        name: String,
    },
    /// Print one as a JSON object that holds all there is to import it elsewhere
    Export {
        /// Its name
        name: String,
    },
    /// Take in one that was exported; doing so again changes nothing
    Import {
        /// The exported file; `-` is standard input
        #[arg(value_name = "FILE|-", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
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

/// The session a command is about.
#[derive(Args)]
pub(crate) struct Session {
    /// Name, id, prefix of an id, @last or @last~1
    #[arg(value_name = "SESSION")]
    pub(crate) session: String,
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

/// How much of a list to print.
#[derive(Args)]
pub(crate) struct Limit {
    /// Most entries to print
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

/// A form to export a session in.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Json,
    Jsonl,
    Md,
    Html,
}

#[derive(Subcommand)]
pub(crate) enum Events {
    /// List the events of a session
    List {
        #[command(flatten)]
        session: Session,
        #[command(flatten)]
        limit: Limit,
    },
    /// Draw the turns of a session over time
    Timeline(Session),
    /// Check the hash chain of a session, or of all
    Verify {
        /// Name, id, prefix of an id, @last or @last~1
        #[arg(value_name = "SESSION", required_unless_present = "all")]
        session: Option<String>,
        /// Check every session
        #[arg(long, conflicts_with = "session")]
        all: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum Models {
    /// List the models that providers offer now, or those known to this program
    List {
        /// Ask these providers; without one, every provider with a key or a section of its own
        #[arg(value_name = "PROVIDER")]
        providers: Vec<String>,
        /// List what this program knows instead, and ask nobody
        #[arg(long)]
        known: bool,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show limits, abilities and prices of a model, and where each is from
    Show {
        /// provider/model, provider:model, or a part of a known name
        model: String,
        /// Say what this program knows, and ask nobody
        #[arg(long)]
        known: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum Keys {
    /// Keep a key, read from a hidden prompt or standard input
    Set(Provider),
    /// List the providers with a key, never the keys
    List(Limit),
    /// Forget a key that was kept
    Delete(Provider),
    /// Say where the key of a provider comes from
    Which(Provider),
}

/// The provider a command is about.
#[derive(Args)]
pub(crate) struct Provider {
    /// The provider's name
    #[arg(value_name = "PROVIDER")]
    pub(crate) provider: String,
}

#[derive(Subcommand)]
pub(crate) enum Providers {
    /// List the providers, built in and configured
    List(Limit),
    /// Show all there is to know about a provider, but its key
    Show(Provider),
    /// Try a provider step by step, from its name to a schema; spends a few tokens
    Test(Test),
}

/// Which providers to try.
#[derive(Args)]
pub(crate) struct Test {
    /// Names of providers
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub(crate) providers: Vec<String>,
    /// Try every provider that has a key or is configured
    #[arg(long, conflicts_with = "providers")]
    pub(crate) all: bool,
    /// The model to ask, as `send` takes it or without its provider; else the default or the cheapest known one
    #[arg(short, long, value_name = "MODEL", conflicts_with = "all")]
    pub(crate) model: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Settings {
    /// Print every setting
    Show {
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Print one setting
    Get {
        /// Its name, `model` or `providers.NAME.FIELD`
        key: String,
    },
    /// Change one setting in the configuration file
    Set {
        /// Its name, `model` or `providers.NAME.FIELD`
        key: String,
        /// Its new value
        value: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum Store {
    /// Show what is kept, how much of it there is, and what was set aside
    Info,
    /// Check everything: every log, attachment and document, and all that is derived from them
    Verify,
    /// Make everything that is derived from the logs again
    Rebuild,
    /// Give back the space of what was erased or replaced, and leave no byte of it in any file
    Compact,
    /// Copy everything to a directory; done again, it adds what is new
    Backup {
        /// A new or empty directory, or an earlier backup
        #[arg(value_name = "DEST", value_hint = ValueHint::DirPath)]
        dest: String,
    },
    /// Bring back what a backup has and this store does not
    Restore {
        /// The backup
        #[arg(value_name = "SOURCE", value_hint = ValueHint::DirPath)]
        source: String,
    },
    /// Copy everything from one place to another, adding to what is there
    Copy {
        /// Where sessions are kept now
        #[arg(value_name = "FROM", value_hint = ValueHint::DirPath)]
        from: String,
        /// Where they shall be kept as well
        #[arg(value_name = "TO", value_hint = ValueHint::DirPath)]
        to: String,
    },
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("write the value after an equals sign: -o {text}=VALUE")),
    }
}

fn param(text: &str) -> Result<(String, String), String> {
    key_value(text).map_err(|_| format!("write the value after an equals sign: -p {text}=VALUE"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("not a time of more than zero seconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn r_stays_unassigned() {
        fn check(command: &clap::Command) {
            assert!(
                command.get_arguments().all(|arg| arg.get_short() != Some('r')),
                "{}",
                command.get_name()
            );
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
