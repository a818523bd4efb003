//! Help, version, schema and completions: no home, no network, nothing read.

use std::process::Command;

use crate::common::Done;

fn bare(line: &str) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aichat"));
    Done::from(command.args(line.split_whitespace()).env_clear().output().unwrap())
}

#[test]
fn every_command_has_help() {
    let commands = [
        "",
        "send",
        "batch",
        "sessions",
        "sessions create",
        "sessions list",
        "sessions show",
        "sessions rename",
        "sessions delete",
        "sessions export",
        "sessions import",
        "agents",
        "agents create",
        "agents edit",
        "agents list",
        "agents show",
        "agents delete",
        "agents export",
        "agents import",
        "templates",
        "templates create",
        "templates edit",
        "templates list",
        "templates show",
        "templates delete",
        "templates export",
        "templates import",
        "events",
        "events list",
        "events show",
        "events report",
        "events tail",
        "events timeline",
        "events verify",
        "inspect",
        "models",
        "models list",
        "models show",
        "keys",
        "keys set",
        "keys list",
        "keys delete",
        "keys which",
        "keys test",
        "providers",
        "providers list",
        "providers show",
        "providers test",
        "doctor",
        "settings",
        "settings show",
        "settings get",
        "settings set",
        "store",
        "store info",
        "store verify",
        "store rebuild",
        "store compact",
        "store backup",
        "store restore",
        "store copy",
        "paths",
        "schema",
        "completions",
    ];
    let mut all = String::new();
    for command in commands {
        let done = bare(&format!("{command} --help"));
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{command}");
        all.push_str(&format!("$ aichat {command} --help\n{}\n", done.out));
    }
    insta::assert_snapshot!(all);
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

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let done = bare(&format!("completions {shell}"));
        assert_eq!(done.code, 0, "{shell}");
        assert!(done.out.contains("no-stream") && done.out.contains("timeline"), "{shell}");
    }
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
