//! Paths, permissions, keys and settings.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::common::{Done, Home};
use crate::help;

/// Lines of commands that only read.
const READS: &[&str] = &[
    "sessions list",
    "sessions show x",
    "sessions search x",
    "sessions tree x",
    "sessions heads x",
    "sessions diff a b",
    "sessions export x",
    "sessions export --all",
    "events list x",
    "events show x 1",
    "events timeline x",
    "events tail",
    "events tail x",
    "events tail @last",
    "events tail ses_x",
    "events head x",
    "events verify --all",
    "events replay x",
    "events replay x --offline",
    "events report x",
    "cost",
    "agents list",
    "agents show x",
    "agents export x",
    "templates list",
    "templates show x",
    "templates export x",
    "models list openai",
    "models show openai/c1",
    "keys list",
    "keys which openai",
    "keys test openai",
    "providers list",
    "providers show openai",
    "providers test openai -m c1",
    "settings show",
    "settings get model",
    "store info",
    "store verify",
    "doctor",
    "paths",
    "schema",
    "completions bash",
    "man",
    "send --dry-run -m openai/c1 hi",
    "send --dry-run -m openai/c1 -s x hi",
    "send -n -m openai/c1 hi",
    "batch -n -m openai/c1 -",
];

/// Commands that make or change something, and `inspect`, which has a test of its own.
const WRITES: &[&str] = &[
    "chat",
    "sessions create",
    "sessions rename",
    "sessions archive",
    "sessions delete",
    "sessions branch",
    "sessions clone",
    "sessions fork",
    "sessions import",
    "sessions purge",
    "agents create",
    "agents edit",
    "agents delete",
    "agents import",
    "templates create",
    "templates edit",
    "templates delete",
    "templates import",
    "events otel",
    "keys set",
    "keys delete",
    "settings set",
    "store rebuild",
    "store compact",
    "store backup",
    "store restore",
    "store copy",
    "inspect",
];

#[test]
fn who_only_reads_makes_nothing() {
    let home = Home::new();
    for line in READS {
        let done = home.run(line);
        assert_ne!(done.code, 2, "{line}: {}", done.err);
        let made: Vec<_> =
            std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(made.is_empty(), "{line}: {made:?}");
    }
    for command in help::commands() {
        let is_read = READS.iter().any(|line| line.starts_with(&command));
        assert!(is_read || WRITES.contains(&&*command), "{command} is not tried");
    }
}

#[test]
fn paths_follow_the_xdg_variables() {
    let home = Home::new();
    insta::assert_snapshot!(home.plain(&home.run("paths").out), @r#"
    config       ~/.config/aichat
    config file  ~/.config/aichat/aichat.toml
    keys         ~/.config/aichat/keys.json
    data         ~/.local/share/aichat
    state        ~/.local/state/aichat
    cache        ~/.cache/aichat
    store        ~/.local/share/aichat
    "#);
    let moved = home.command(["paths", "--json"]).env("XDG_DATA_HOME", "/elsewhere").output().unwrap();
    let moved: serde_json::Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!((&moved["schema"], &moved["store"]), (&"aichat.paths/1".into(), &"/elsewhere/aichat".into()));
}

#[test]
fn what_is_written_is_private() {
    let home = Home::new();
    assert_eq!(home.run("send -m openai/c1 hi").code, 0);
    assert_eq!(home.pipe("keys set openai", b"sk-0123456789abcdef\n").code, 0);
    assert_eq!(home.run("sessions list").code, 0);
    fn check(path: &Path) {
        let mode = std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
        if path.is_dir() {
            std::fs::read_dir(path).unwrap().for_each(|entry| check(&entry.unwrap().path()));
        }
    }
    check(&home.data());
    check(&home.path().join(".config/aichat"));
}

#[test]
fn keys_are_kept_used_and_never_shown() {
    let home = Home::new();
    let key = "sk-kept-0123456789abcdef";
    let set = home.pipe("keys set groq", format!("{key}\n").as_bytes());
    assert_eq!((set.code, set.out.as_str()), (0, ""));
    let which = home.run("keys which groq");
    assert_eq!(home.plain(&which.out), "file ~/.config/aichat/keys.json\n");
    let listed = home.run("keys list --json");
    assert!(listed.out.contains("\"provider\":\"groq\",\"source\":\"file\""), "{}", listed.out);
    let env = Done::from(home.command(["keys", "which", "groq"]).env("GROQ_API_KEY", "x").output().unwrap());
    assert_eq!(env.out, "environment GROQ_API_KEY\n");
    for line in ["keys which groq --json", "providers list", "settings show"] {
        assert!(!home.run(line).all().contains("sk-kept"), "{line}");
    }
    assert_eq!(home.pipe("keys set openai", format!("{key}\n").as_bytes()).code, 0);
    assert_eq!(home.run("send -m openai/c1 hi").code, 0);
    let sent = format!("Bearer {key}");
    assert!(home.mock.requests()[0].headers.contains(&("authorization".to_owned(), sent)));
    assert_eq!(home.run("keys delete groq").code, 0);
    assert_eq!(home.run("keys delete groq").code, 66);
    assert_eq!(home.run("keys which groq").code, 77);
    assert_eq!(home.pipe("keys set openai", b"\n").code, 66);
    assert_eq!(home.pipe("keys set opnai", b"sk\n").code, 69);
}

#[test]
fn every_protocol_has_its_address_and_its_key_a_header() {
    let home = Home::new();
    let mut text = String::new();
    for (name, protocol, url, more) in [
        ("c", "openai-chat", "http://h/v1", ""),
        ("r", "openai-responses", "http://h/v1/", ""),
        ("a", "anthropic", "http://h", ""),
        ("av", "anthropic", "http://h/v1", ""),
        ("g", "gemini", "http://h", ""),
        ("gv", "gemini", "http://h/v1beta", ""),
        ("o", "ollama", "http://h", ""),
        ("oa", "ollama", "http://h/api", ""),
        ("z", "azure-chat", "http://h", ""),
        ("zv", "azure-responses", "http://h/openai/v1", ""),
        ("zd", "azure-chat", "http://h", "api_version = \"2024-10-21\""),
    ] {
        text.push_str(&format!("[providers.{name}]\nprotocol = {protocol:?}\nbase_url = {url:?}\n{more}\n"));
    }
    home.configure(&text);
    let at = |name: &str| {
        let done = home.run(&format!("send --dry-run --json -m {name}/m hi"));
        let shown: serde_json::Value = serde_json::from_str(&done.out).unwrap();
        format!("{name} {}", shown["url"].as_str().unwrap())
    };
    insta::assert_snapshot!(["c", "r", "a", "av", "g", "gv", "o", "oa", "z", "zv", "zd"].map(at).join("\n"), @r#"
    c http://h/v1/chat/completions
    r http://h/v1/responses
    a http://h/v1/messages
    av http://h/v1/messages
    g http://h/v1beta/models/m:streamGenerateContent
    gv http://h/v1beta/models/m:streamGenerateContent
    o http://h/api/chat
    oa http://h/api/chat
    z http://h/openai/v1/chat/completions
    zv http://h/openai/v1/responses
    zd http://h/openai/deployments/m/chat/completions
    "#);
    let openai =
        home.command(["send", "--dry-run", "-m", "openai/m", "hi"]).env_remove("OPENAI_BASE_URL").output();
    assert!(Done::from(openai.unwrap()).err.contains("https://api.openai.com/v1/responses"));

    let url = home.mock.url();
    home.configure(&format!(
        "[providers.z]\nprotocol = \"azure-chat\"\nbase_url = \"{url}\"\napi_key_env = \"Z_KEY\"\n"
    ));
    for (key, header) in [("0123456789abcdef", "api-key"), ("eyJhbGciOi.eyJhdWQi.c2ln", "authorization")] {
        let done = home.command(["send", "-m", "z/c1", "hi"]).env("Z_KEY", key).output().unwrap();
        assert_eq!(Done::from(done).code, 0);
        let sent = home.mock.requests().last().unwrap().headers.clone();
        assert!(sent.iter().any(|(name, value)| name == header && value.ends_with(key)), "{sent:?}");
    }
}

#[test]
fn configured_headers_are_sent_and_secret_ones_come_from_the_environment() {
    let home = Home::new();
    home.configure("[providers.openai]\nheaders = { X-Team = \"blue\", Authorization = \"env:GATEWAY\" }\n");
    let missing = home.run("send -m openai/c1 hi");
    assert_eq!(missing.code, 77, "{}", missing.err);
    assert!(missing.err.contains("GATEWAY is not set"), "{}", missing.err);
    assert!(home.mock.requests().is_empty());
    let gateway = "Bearer gw-canary-81f2c3d4";
    let mut send = home.command(["send", "-m", "openai/echo", "it is gw-canary-81f2c3d4"]);
    let done = Done::from(send.env("GATEWAY", gateway).output().unwrap());
    assert_eq!(done.code, 0, "{}", done.err);
    let headers = home.mock.requests()[0].headers.clone();
    assert!(headers.contains(&("x-team".to_owned(), "blue".to_owned())), "{headers:?}");
    assert!(headers.contains(&("authorization".to_owned(), gateway.to_owned())), "{headers:?}");
    assert!(!home.run("sessions export @last").out.contains("gw-canary"), "it is masked in what is kept");

    home.configure("[providers.openai]\nheaders = { Authorization = \"Bearer gw-canary-81f2c3d4\" }\n");
    let refused = home.run("send -m openai/c1 hi");
    assert_eq!(refused.code, 78);
    assert!(!refused.all().contains("gw-canary"), "{}", refused.all());
}

#[test]
fn settings_say_where_they_come_from() {
    let home = Home::new();
    for line in [
        "settings set model work/echo",
        "settings set providers.work.protocol openai-chat",
        "settings set providers.work.base_url http://user:hunter2-hunter2@127.0.0.1:9/v1",
        "settings set providers.work.local true",
    ] {
        let done = home.run(line);
        assert_eq!(done.code, 0, "{line}: {}", done.err);
    }
    insta::assert_snapshot!(home.plain(&home.run("settings show --origin").out), @r#"
    model                      work/echo                  file line 1
    providers.openai.protocol  openai-chat                built in
    providers.openai.base_url  http://127.0.0.1:PORT/v1  environment OPENAI_BASE_URL
    providers.work.protocol    openai-chat                file line 4
    providers.work.base_url    http://127.0.0.1:PORT/v1      file line 5
    providers.work.local       true                       file line 6
    "#);
    assert_eq!(home.run("settings get providers.work.protocol").out, "openai-chat\n");
    assert_eq!(home.run("settings get providers.work.api_version").code, 66);
    assert_eq!(home.run("settings get nonsense").code, 2);
    assert_eq!(home.run("settings set providers.work.api_key sk-x").code, 2);
    let down = home.run("providers test work");
    assert_eq!(down.code, 69);
    assert!(!down.all().contains("hunter2"), "{}", down.all());
}

#[test]
fn providers_and_models_are_listed_without_a_network() {
    let home = Home::new();
    insta::assert_snapshot!(home.plain(&home.run("providers list").out), @r#"
    openai      openai-chat  http://127.0.0.1:PORT/v1                  no key
    anthropic   anthropic    https://api.anthropic.com                  no key
    gemini      gemini       https://generativelanguage.googleapis.com  no key
    azure       azure-chat                                              no key
    openrouter  openai-chat  https://openrouter.ai/api/v1               no key
    groq        openai-chat  https://api.groq.com/openai/v1             no key
    mistral     openai-chat  https://api.mistral.ai/v1                  no key
    deepseek    openai-chat  https://api.deepseek.com/v1                no key
    xai         openai-chat  https://api.x.ai/v1                        no key
    ollama      ollama       http://127.0.0.1:PORT                     no key
    llamacpp    openai-chat  http://127.0.0.1:PORT/v1                   no key
    lmstudio    openai-chat  http://127.0.0.1:PORT/v1                   no key
    "#);
    let models = home.run("models list --known --json --limit 2");
    assert!(models.out.starts_with(r#"{"schema":"aichat.list/1","items":[{"provider":"openai","#));
    let offered = home.run("models list openai");
    assert!(offered.code == 0 && offered.out.starts_with("openai/"), "{}", offered.all());
    let tested = home.run("providers test openai");
    assert!(tested.code == 0 && tested.out.contains("\n  stream      ok "), "{}", tested.all());
}

#[test]
fn a_model_is_shown_with_how_its_name_was_matched() {
    let home = Home::new();
    let shown = home.run("models show --known openai/gpt-4o-2024-08-06");
    assert!(shown.out.contains("input $2.5 per million"), "{}", shown.out);
    assert!(shown.out.contains("openai/gpt-4o, by its "), "{}", shown.out);
    let shown = home.run("models show --known anthropic:claude-sonnet-4-5 --json");
    assert!(shown.out.starts_with(
        r#"{"schema":"aichat.model/1","provider":"anthropic","id":"claude-sonnet-4-5","offered":null,"#
    ));
    assert!(
        shown
            .out
            .contains(r#""matched":"anthropic/claude-sonnet-4-5, by its own name, in the built-in table"#)
    );
    assert_eq!(home.run("models show --known openai/none-such").code, 69);
    assert!(home.run("models list").out.starts_with("openai/"));
}
