//! Help, version, schema and completions: no home, no network, nothing read.

use std::process::Command;

use crate::common::{Done, Home};

fn bare(line: &str) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aichat"));
    Done::from(command.args(line.split_whitespace()).env_clear().output().unwrap())
}

/// Returns the help of a command and of all below it, as its own help lists them.
fn pages(command: &str) -> Vec<(String, String)> {
    let done = bare(&format!("{command} --help"));
    assert_eq!((done.code, done.err.as_str()), (0, ""), "{command}");
    let listed = done.out.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed.take_while(|line| line.starts_with("  ")).filter_map(|line| {
        let name = line.strip_prefix("  ")?.split(' ').next()?;
        (!name.is_empty() && name != "help").then_some(name)
    });
    let below: Vec<_> = names.flat_map(|name| pages(format!("{command} {name}").trim_start())).collect();
    let mut all = vec![(command.to_owned(), done.out)];
    all.extend(below);
    all
}

/// Returns every command that has no commands below it.
pub(crate) fn commands() -> Vec<String> {
    let all = pages("").into_iter();
    all.filter(|(_, page)| !page.contains("\nCommands:\n")).map(|(command, _)| command).collect()
}

#[test]
fn every_command_has_help() {
    let all = pages("").into_iter().map(|(command, page)| format!("$ aichat {command} --help\n{page}\n"));
    insta::assert_snapshot!(all.collect::<String>());
}

#[test]
fn version_and_schema_need_no_home() {
    assert_eq!(bare("--version").out, concat!("aichat ", env!("CARGO_PKG_VERSION"), "\n"));
    let schema = bare("schema");
    let document: serde_json::Value = serde_json::from_str(&schema.out).unwrap();
    for name in [
        "aichat.result/1",
        "aichat.list/1",
        "aichat.session/1",
        "aichat.error/1",
        "aichat.agent/1",
        "aichat.template/1",
    ] {
        assert!(document["$defs"][name].is_object(), "{name}");
    }
}

/// Completes a line as bash does: the last word is the one that is typed.
fn complete(home: &Home, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let mut command = home.command([] as [&str; 0]);
    command.env("AICHAT_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
    command.env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "true");
    let done = Done::from(command.arg("--").args(words).output().unwrap());
    assert_eq!((done.code, done.err.as_str()), (0, ""), "{line}");
    done.out.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Completes a line until the store has answered in time, which a busy machine may not do at once.
fn kept(home: &Home, line: &str) -> Vec<String> {
    (0..20).map(|_| complete(home, line)).find(|found| !found.is_empty()).unwrap_or_default()
}

#[test]
fn a_shell_completes_commands_flags_and_what_is_kept() {
    let home = Home::new();
    for line in
        ["agents create editor --system x", "agents create teacher --system x", "sessions create rivers"]
    {
        assert_eq!(home.run(line).code, 0, "{line}");
    }
    assert!(complete(&home, "aichat sess").contains(&"sessions".to_owned()));
    assert!(complete(&home, "aichat sessions ex").contains(&"export".to_owned()));
    assert!(complete(&home, "aichat send --no-st").contains(&"--no-stream".to_owned()));
    assert_eq!(kept(&home, "aichat send -a ed"), ["editor"]);
    assert_eq!(kept(&home, "aichat agents show t"), ["teacher"]);
    assert_eq!(kept(&home, "aichat sessions show ri"), ["rivers"]);
    assert_eq!(kept(&home, "aichat send -s ri"), ["rivers"]);
    assert!(complete(&home, "aichat send -m openai/gpt-4o-m").contains(&"openai/gpt-4o-mini".to_owned()));
    assert!(complete(&home, "aichat keys set anth").contains(&"anthropic".to_owned()));
    assert!(complete(&home, "aichat send -s nothing-begins-so").is_empty());
    let elsewhere = format!("aichat --store {} sessions show ri", home.path().join("elsewhere").display());
    assert!(complete(&home, &elsewhere).is_empty(), "another store has no such session");
    assert!(!home.path().join("elsewhere").exists(), "and looking makes none");
}

/// PowerShell's script hands over the words up to the cursor and takes a line for each candidate, its help after a tab.
#[test]
fn powershell_is_answered_as_its_script_asks() {
    let home = Home::new();
    assert_eq!(home.run("agents create editor --system x").code, 0);
    let ask = |words: &[&str]| {
        let mut command = home.command([] as [&str; 0]);
        command.env("AICHAT_COMPLETE", "powershell").arg("--").args(words);
        let done = Done::from(command.output().unwrap());
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{words:?}");
        done.out
    };
    assert!(ask(&["aichat", "sess"]).starts_with("sessions\tCreate, list"));
    // The store may not answer in time on a busy machine.
    let kept = (0..20).map(|_| ask(&["aichat", "send", "-a", ""])).find(|found| !found.is_empty());
    assert_eq!(kept.as_deref().map(str::trim_end), Some("editor"));
}

#[test]
fn each_shell_gets_a_script_that_asks() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let done = bare(&format!("completions {shell}"));
        assert_eq!(done.code, 0, "{shell}");
        assert!(done.out.contains("AICHAT_COMPLETE"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let place = tempfile::tempdir().unwrap();
    let done = bare(&format!("man --output {}", place.path().display()));
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    let page = std::fs::read_to_string(place.path().join("aichat-sessions-export.1")).unwrap();
    assert!(page.contains(".TH aichat-sessions-export 1") && page.contains("Examples:"), "{page}");
    assert_eq!(bare("man sessions export").out, page);
    let unknown = bare("man sessions nothing");
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("no command sessions nothing"), "{}", unknown.err);
}

#[test]
fn misuse_is_told_in_words_or_as_an_object() {
    let words = bare("send --nonsense");
    assert_eq!((words.code, words.out.as_str()), (2, ""));
    assert!(words.err.contains("--nonsense"));
    let option = bare("send -o temperature 0.2 hi");
    assert_eq!(option.code, 2);
    assert!(option.err.contains("-o temperature=VALUE"), "{}", option.err);
    assert_eq!(bare("").code, 2);

    let object = bare("send --nonsense --json");
    assert_eq!((object.code, object.err.as_str()), (2, ""));
    let object: serde_json::Value = serde_json::from_str(&object.out).unwrap();
    assert_eq!((&object["schema"], &object["error"]["kind"]), (&"aichat.result/1".into(), &"usage".into()));
    let line = bare("send --nonsense --output-format stream-json").out;
    assert!(line.starts_with(r#"{"type":"result","schema":"aichat.result/1","status":"failed""#), "{line}");
    let error = bare("sessions list --nonsense --json").out;
    assert!(error.starts_with(r#"{"schema":"aichat.error/1","error":{"kind":"usage""#), "{error}");
}
