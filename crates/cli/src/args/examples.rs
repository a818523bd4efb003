//! Examples of every command, shown at the end of its help and in its manual page.

use clap::Command;

/// The commands and their examples: a line to type, and what it is for.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "",
        &[
            ("aichat send \"Why is the sky blue?\"", "ask once"),
            ("git diff | aichat send \"Write a commit message\"", "ask about what another program prints"),
            ("aichat chat", "talk"),
            ("aichat doctor", "find out what is missing"),
        ],
    ),
    (
        "send",
        &[
            ("aichat send -m openai/gpt-5-mini \"Name three rivers\"", "name the model"),
            ("git diff | aichat send \"Write a commit message\"", "the prompt first, then the data"),
            ("aichat send -c \"Shorter\"", "go on where this terminal left off"),
            ("aichat send -s rivers -f notes.md \"Summarise\"", "a named session, a file"),
            ("aichat send -x \"A shell line that counts files\"", "only the first code block"),
            (
                "aichat send --schema 'name, year int' --json \"The first computer\"",
                "an answer that other programs read",
            ),
            (
                "aichat send --max-cost 0.05 --fallback groq/llama-3.3-70b-versatile \"Go on\"",
                "spend no more, and ask another if need be",
            ),
            ("aichat send --dry-run -f book.txt \"Summarise\"", "what it would send, and cost at most"),
        ],
    ),
    (
        "chat",
        &[
            ("aichat chat", "begin a conversation"),
            ("aichat chat -c", "go on with the last one of this terminal"),
            ("aichat chat -a editor -s letter", "with an agent, in a named session"),
        ],
    ),
    (
        "batch",
        &[
            (
                "aichat batch prompts.jsonl -j 16 --max-cost 5 --output answers.jsonl",
                "again, it goes on where it was",
            ),
            (
                "jq -Rc '{prompt: .}' lines.txt | aichat batch - -m openai/gpt-5-mini > answers.jsonl",
                "a prompt of each line",
            ),
        ],
    ),
    (
        "sessions create",
        &[("aichat sessions create rivers -m openai/gpt-5-mini", "a session with a name and a model")],
    ),
    (
        "sessions list",
        &[
            ("aichat sessions list --limit 10", "the last ten"),
            ("aichat sessions list --json | jq -r '.items[].id'", "for a script"),
        ],
    ),
    ("sessions show", &[("aichat sessions show @last", "the last conversation")]),
    (
        "sessions search",
        &[
            (
                "aichat sessions search \"two of them\" --since 30d",
                "words and phrases of the last thirty days",
            ),
            (
                "aichat sessions search rivers --session rivers --role assistant",
                "what was answered in one session",
            ),
        ],
    ),
    ("sessions rename", &[("aichat sessions rename @last rivers", "give the last session a name")]),
    ("sessions tree", &[("aichat sessions tree rivers", "every message, every branch")]),
    (
        "sessions branch",
        &[("aichat sessions branch rivers --at @last~2 --name otherwise", "go on from an earlier message")],
    ),
    (
        "sessions heads",
        &[
            ("aichat sessions heads rivers", "the branches"),
            ("aichat sessions heads rivers --switch main", "go on from another one"),
        ],
    ),
    (
        "sessions clone",
        &[("aichat sessions clone rivers --name lakes", "a second session that goes on from here")],
    ),
    (
        "sessions fork",
        &[
            (
                "aichat sessions fork rivers@@last~1 --set model=openai/gpt-5-mini --answer",
                "the same question to another model",
            ),
            (
                "aichat sessions fork rivers@@last~1 --edit 1=@prompt.txt --n 3 --answer",
                "three answers to another question",
            ),
        ],
    ),
    ("sessions diff", &[("aichat sessions diff rivers lakes", "what was said and spent in both")]),
    ("sessions archive", &[("aichat sessions archive rivers", "hide it from lists")]),
    ("sessions delete", &[("aichat sessions delete @last", "hide it and free its name")]),
    ("sessions purge", &[("aichat sessions purge rivers --yes", "erase everything that was said in it")]),
    (
        "sessions export",
        &[
            ("aichat sessions export rivers --format html > rivers.html", "a page to read"),
            (
                "aichat sessions export --all --since 7d > week.jsonl",
                "the sessions of a week, to be imported elsewhere",
            ),
            ("aichat sessions export rivers --redact", "what happened, without what was said"),
        ],
    ),
    (
        "sessions import",
        &[
            ("aichat sessions import week.jsonl", "what another store exported"),
            ("llm logs --json -n 0 | aichat sessions import -", "the logs of llm"),
        ],
    ),
    (
        "agents create",
        &[(
            "aichat agents create editor -m openai/gpt-5-mini --system \"Correct what you are given\"",
            "then: aichat send -a editor",
        )],
    ),
    ("agents edit", &[("aichat agents edit editor -o temperature=0", "a new version; sessions keep theirs")]),
    ("agents list", &[("aichat agents list", "all of them")]),
    ("agents show", &[("aichat agents show editor --version 1", "as it was at first")]),
    ("agents delete", &[("aichat agents delete editor", "sessions that have it go on")]),
    ("agents export", &[("aichat agents export editor > editor.json", "for another machine")]),
    ("agents import", &[("aichat agents import editor.json", "from another machine")]),
    (
        "templates create",
        &[(
            "aichat templates create tr \"Translate into {{language}}: {{prompt}}\"",
            "then: aichat send -t tr -p language=French \"Good morning\"",
        )],
    ),
    ("templates edit", &[("aichat templates edit tr @tr.txt", "a new version, from a file")]),
    ("templates list", &[("aichat templates list", "all of them")]),
    ("templates show", &[("aichat templates show tr", "the text and its places")]),
    ("templates delete", &[("aichat templates delete tr", "it is gone from lists")]),
    ("templates export", &[("aichat templates export tr > tr.json", "for another machine")]),
    ("templates import", &[("aichat templates import tr.json", "from another machine")]),
    ("events list", &[("aichat events list rivers --json", "everything that happened, for a script")]),
    ("events show", &[("aichat events show @last 3", "one event with its payload")]),
    ("events timeline", &[("aichat events timeline @last", "when the time of each turn went where")]),
    ("events tail", &[("aichat events tail -f", "what happens, in any process")]),
    ("events report", &[("aichat events report rivers -o rivers.html", "a page that shows it all")]),
    (
        "events replay",
        &[
            ("aichat events replay rivers", "the conversation, from its events alone"),
            (
                "aichat events replay rivers --offline",
                "the same again through the adapters, and what differs",
            ),
        ],
    ),
    ("events verify", &[("aichat events verify --all", "whether every chain holds")]),
    (
        "events head",
        &[("aichat events head rivers > rivers.head", "what `events verify --against` compares with")],
    ),
    (
        "events otel",
        &[(
            "aichat events otel rivers --endpoint http://127.0.0.1:4318",
            "spans and metrics, for a collector",
        )],
    ),
    ("inspect", &[("aichat inspect rivers", "turns, events and costs of a session")]),
    (
        "cost",
        &[
            ("aichat cost --by model,day --since 30d", "what was spent in the last thirty days"),
            ("aichat cost --by session --json", "for a script; what nobody knows is null"),
        ],
    ),
    (
        "models list",
        &[
            ("aichat models list openai", "what the provider offers now"),
            ("aichat models list --known", "what is known, asking nobody"),
        ],
    ),
    ("models show", &[("aichat models show openai/gpt-5-mini", "limits, abilities and prices")]),
    (
        "keys set",
        &[
            ("aichat keys set openai", "asks for it"),
            ("pass show openai | aichat keys set openai", "reads it"),
        ],
    ),
    ("keys list", &[("aichat keys list", "which keys there are, and from where")]),
    ("keys which", &[("aichat keys which openai", "where its key comes from")]),
    ("keys test", &[("aichat keys test openai", "whether the provider takes it")]),
    ("keys delete", &[("aichat keys delete openai", "forget it")]),
    ("providers list", &[("aichat providers list", "all that are known or configured")]),
    ("providers show", &[("aichat providers show openai", "how it is reached")]),
    ("providers test", &[("aichat providers test openai", "each step of the way to it")]),
    ("settings show", &[("aichat settings show --origin", "every value, and where it comes from")]),
    ("settings get", &[("aichat settings get model", "one value")]),
    (
        "settings set",
        &[("aichat settings set providers.lab.base_url http://127.0.0.1:8080/v1", "a server of one's own")],
    ),
    ("store info", &[("aichat store info", "where sessions are, and how much there is")]),
    ("store verify", &[("aichat store verify", "whether everything is whole")]),
    ("store rebuild", &[("aichat store rebuild", "lists and names anew, from the log")]),
    ("store compact", &[("aichat store compact", "give back the space of what was erased")]),
    ("store backup", &[("aichat store backup ~/backup", "a copy that nobody needs to stop for")]),
    ("store restore", &[("aichat store restore ~/backup", "what was lost")]),
    ("store copy", &[("aichat store copy default postgres://me@host/chats", "into a database")]),
    ("doctor", &[("aichat doctor", "what is wrong, and what helps")]),
    ("paths", &[("aichat paths --json", "where everything is kept")]),
    ("schema", &[("aichat schema | jq '.\"$defs\" | keys'", "the shapes of what --json prints")]),
    (
        "completions",
        &[
            ("source <(aichat completions bash)", "in ~/.bashrc"),
            ("source <(aichat completions zsh)", "in ~/.zshrc"),
            ("aichat completions fish | source", "in ~/.config/fish/config.fish"),
            ("aichat completions powershell | Out-String | Invoke-Expression", "in $PROFILE"),
        ],
    ),
    (
        "man",
        &[
            ("aichat man send | man -l -", "read one page"),
            ("aichat man --output ~/.local/share/man/man1", "install them all"),
        ],
    ),
];

/// Gives every command its examples.
pub(super) fn with_examples(command: Command) -> Command {
    attach(command, "")
}

fn attach(command: Command, path: &str) -> Command {
    let command = command.mut_subcommands(|it| {
        let path = format!("{path} {}", it.get_name());
        attach(it, path.trim_start())
    });
    match EXAMPLES.iter().find(|(known, _)| *known == path) {
        Some((_, examples)) => {
            let said = command.get_after_help().map(|said| format!("{said}\n\n")).unwrap_or_default();
            command.after_help(format!("{said}{}", text(examples)))
        }
        None => command,
    }
}

fn text(examples: &[(&str, &str)]) -> String {
    let lines = examples.iter().map(|(line, why)| format!("\n  {line}\n      {why}"));
    format!("Examples:{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{grammar, parse};
    use std::ffi::OsString;

    /// Splits a line as a shell does, as far as the examples need it: quotes, and where the command ends.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for c in line.chars() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (None, '"' | '\'') => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (None, ' ') => words.extend(word.take()),
                (None, '|' | '>' | ')') => break,
                (_, c) => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        words
    }

    #[test]
    fn every_command_has_examples_and_every_example_is_of_a_command() {
        fn paths(command: &Command, path: &str, all: &mut Vec<String>) {
            if command.get_subcommands().next().is_none() {
                all.push(path.to_owned());
            }
            let visible = command.get_subcommands().filter(|it| it.get_name() != "help" && !it.is_hide_set());
            visible.for_each(|it| paths(it, format!("{path} {}", it.get_name()).trim_start(), all));
        }
        let mut all = Vec::new();
        paths(&grammar(), "", &mut all);
        let bare: Vec<_> =
            all.iter().filter(|path| EXAMPLES.iter().all(|(known, _)| known != path)).collect();
        assert!(bare.is_empty(), "without an example: {bare:?}");
        let is_built_in = |path: &str| match path {
            "chat" => cfg!(feature = "chat"),
            "inspect" => cfg!(feature = "inspect"),
            path => !path.is_empty(),
        };
        for (path, _) in EXAMPLES.iter().filter(|(path, _)| is_built_in(path)) {
            assert!(all.iter().any(|known| known == path), "there is no command {path}");
        }
    }

    #[test]
    fn every_example_can_be_typed() {
        let mut wrong = Vec::new();
        for (path, examples) in EXAMPLES.iter().filter(|_| cfg!(feature = "chat")) {
            for (line, _) in *examples {
                let start = line.find("aichat").unwrap_or_else(|| panic!("{line} does not call the program"));
                let words = words(&line[start..]);
                let typed: Vec<_> = words.iter().map(OsString::from).collect();
                if parse(&typed).is_err() || !words.join(" ").contains(path) {
                    wrong.push(line);
                }
            }
        }
        assert!(wrong.is_empty(), "cannot be typed, or are of another command: {wrong:#?}");
    }
}
