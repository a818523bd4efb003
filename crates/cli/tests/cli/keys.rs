//! Keys: where they come from, where they are kept, and that nobody sees them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::common::{Done, Home, Server};

const KEY: &str = "sk-canary-4f9a7c61d2e8-wxyz";

fn items(done: &Done) -> Vec<Value> {
    let list: Value = serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("{}", done.all()));
    list["items"].as_array().unwrap().clone()
}

/// Runs a line with variables set.
fn with(home: &Home, line: &str, variables: &[(&str, &str)]) -> Done {
    let mut command = home.command(line.split_whitespace());
    Done::from(command.envs(variables.iter().copied()).output().unwrap())
}

/// Writes a program that this home's commands find first.
fn program(home: &Home, name: &str, text: &str) {
    let path = home.path().join("bin").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn every_place_is_listed_and_the_first_one_counts() {
    let home = Home::new();
    home.configure("[providers.groq]\napi_key_command = [\"echo\", \"sk-of-the-command\"]\n");
    for name in ["groq", "mistral"] {
        assert_eq!(home.pipe(&format!("keys set {name}"), KEY.as_bytes()).code, 0);
    }
    let variables = [("GROQ_API_KEY", "sk-in-the-environment-abcd")];
    let listed = with(&home, "keys list --json", &variables);
    assert!(!listed.all().contains(KEY) && !listed.out.contains("sk-in"), "{}", listed.all());
    let [groq, mistral] = &items(&listed)[..] else { panic!("{}", listed.all()) };
    assert_eq!((&groq["source"], &groq["ends_with"]), (&"environment".into(), &"abcd".into()));
    let others: Vec<&str> =
        groq["others"].as_array().unwrap().iter().map(|other| other["source"].as_str().unwrap()).collect();
    assert_eq!(others, ["command", "file"]);
    assert_eq!((&mistral["source"], &mistral["ends_with"]), (&"file".into(), &"wxyz".into()));
    let table = home.plain(&with(&home, "keys list", &variables).out);
    let lines: Vec<String> =
        table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "groq environment GROQ_API_KEY …abcd before command, file",
            "mistral file ~/.config/aichat/keys.json …wxyz"
        ]
    );
    let set = home.pipe("keys set groq", KEY.as_bytes());
    assert!(set.err.contains("warning: command goes before it: echo"), "{}", set.err);
    assert_eq!(home.run("keys remove mistral").code, 0);
    assert_eq!(items(&home.run("keys list --json")).len(), 1);
}

#[test]
fn commands_that_print_no_key_are_refused_in_time() {
    let home = Home::new();
    program(&home, "long", "head -c 10000000 /dev/zero | tr '\\0' x");
    program(&home, "binary", "printf '\\377\\376'");
    program(&home, "two", "printf 'one\\ntwo\\n'");
    program(&home, "escape", "printf 'sk-\\033[31m'");
    program(&home, "locked", "echo 'the vault is \\033[31mlocked' >&2; exit 2");
    program(&home, "leaky", &format!("echo {KEY}; echo no >&2; exit 1"));
    let told = |name: &str| {
        let path = home.path().join("bin").join(name);
        let url = home.mock.url();
        home.configure(&format!(
            "[providers.w]\nprotocol = \"openai-chat\"\nbase_url = \"{url}\"\napi_key_command = [{path:?}]\n"
        ));
        let done = home.run("send -m w/c1 hi");
        assert_eq!((done.code, done.out.as_str()), (77, ""), "{}", done.all());
        assert!(!done.err.contains(KEY) && !done.err.contains('\u{1b}'), "{}", done.err);
        done.err.lines().next().unwrap().to_owned()
    };
    insta::assert_snapshot!(["long", "binary", "two", "escape", "locked", "leaky"].map(told).join("\n"), @r"
    error: the key command of w failed: it printed more than 65536 bytes
    error: the key command of w failed: it printed something that is not text
    error: what the command has for w is no key: a key is one line without blanks
    error: what the command has for w is no key: a key is one line without blanks
    error: the key command of w failed: exit status: 2: the vault is ␛[31mlocked
    error: the key command of w failed: exit status: 1: no
    ");
    assert!(home.mock.requests().is_empty());
}

#[test]
fn a_key_that_is_none_is_not_kept() {
    let home = Home::new();
    for bad in [&b"two words\n"[..], b"two\nlines\n", b"sk-\x1b[31m", b"sk-\0", b"\xff\xfe", b""] {
        let done = home.pipe("keys set groq", bad);
        assert_eq!(done.code, 66, "{}", done.all());
        assert!(done.err.contains("hint: ") || done.err.contains("a key is"), "{}", done.err);
    }
    assert!(!home.path().join(".config/aichat/keys.json").exists());
    // Windows and editors end lines in their own way.
    assert_eq!(home.pipe("keys set groq", format!("{KEY}\r\n").as_bytes()).code, 0);
}

#[test]
fn many_at_once_lose_nothing() {
    let home = Home::new();
    let names = ["groq", "mistral", "deepseek", "xai", "openrouter", "anthropic", "gemini", "openai"];
    let children: Vec<_> = names
        .map(|name| {
            let mut child = home.command(["keys", "set", name]).stdin(Stdio::piped()).spawn().unwrap();
            let stdin = child.stdin.take().unwrap();
            std::io::Write::write_all(&mut { stdin }, KEY.as_bytes()).unwrap();
            child
        })
        .into_iter()
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(items(&home.run("keys list --json")).len(), names.len());
}

#[test]
fn a_link_or_a_place_that_cannot_be_written_is_told() {
    let home = Home::new();
    let file = home.path().join(".config/aichat/keys.json");
    home.configure("");
    let elsewhere = home.path().join("elsewhere");
    fs::write(&elsewhere, "{}").unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
    symlink(&elsewhere, &file).unwrap();
    let done = home.pipe("keys set groq", KEY.as_bytes());
    assert_eq!(done.code, 78, "{}", done.all());
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "{}");
    fs::remove_file(&file).unwrap();
    // A directory in place of the file cannot be written even by root.
    fs::create_dir(&file).unwrap();
    let done = home.pipe("keys set groq", KEY.as_bytes());
    assert!([74, 78].contains(&done.code) && !done.all().contains(KEY), "{}", done.all());
}

/// A keyring of files, as `secret-tool` speaks.
fn keyring(home: &Home) {
    let dir = home.path().join("ring");
    fs::create_dir_all(&dir).unwrap();
    let text = "case $1 in
store) cat > \"$RING/$7\" ;;
lookup) cat \"$RING/$5\" 2>/dev/null ;;
clear) rm -f \"$RING/$5\" ;;
search) exit 1 ;;
esac";
    program(home, "secret-tool", &text.replace("$RING", &dir.display().to_string()));
}

/// Runs a line where a session bus seems to be.
fn in_session(home: &Home, line: &str, input: &[u8]) -> Done {
    let path = format!("{}:/usr/bin:/bin", home.path().join("bin").display());
    let mut command = home.command(line.split_whitespace());
    command.env("PATH", path).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere").stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that does not read is no failure of the test.
    let _ = std::io::Write::write_all(&mut stdin, input);
    drop(stdin);
    Done::from(child.wait_with_output().unwrap())
}

#[test]
#[cfg(not(target_os = "macos"))]
fn keys_are_kept_in_the_keyring_where_there_is_one() {
    let home = Home::new();
    keyring(&home);
    let url = home.mock.url();
    home.configure(&format!(
        "[providers.w]\nprotocol = \"openai-chat\"\nbase_url = \"{url}\"\napi_key_env = \"W_KEY\"\n"
    ));
    let done = in_session(&home, "keys set w", KEY.as_bytes());
    assert_eq!((done.code, done.err.as_str()), (0, "the key for w is kept in the keyring\n"));
    let file = home.path().join(".config/aichat/keys.json");
    assert!(!fs::read_to_string(&file).unwrap().contains(KEY));
    assert_eq!(in_session(&home, "send -n -m w/c1 hi", b"").code, 0);
    let sent = home.mock.requests()[0].headers.clone();
    assert!(sent.iter().any(|(name, value)| name == "authorization" && value.ends_with(KEY)));
    let [row] = &items(&in_session(&home, "keys list --json", b""))[..] else { panic!() };
    assert_eq!((&row["source"], &row["ends_with"]), (&"keyring".into(), &Value::Null));
    // To the file, and the keyring is empty.
    assert_eq!(in_session(&home, "keys set w --file", KEY.as_bytes()).code, 0);
    assert!(!home.path().join("ring/w").exists());
    assert_eq!(in_session(&home, "keys set w --keyring", KEY.as_bytes()).code, 0);
    // Somebody else took it out.
    fs::remove_file(home.path().join("ring/w")).unwrap();
    let done = in_session(&home, "send -n -m w/c1 hi", b"");
    assert_eq!(done.code, 77);
    assert!(done.err.contains("the keyring has no such key"), "{}", done.err);
    assert_eq!(in_session(&home, "keys delete w", b"").code, 0);
    assert_eq!(items(&home.run("keys list --json")).len(), 0);
}

#[test]
#[cfg(not(target_os = "macos"))]
fn without_a_keyring_the_file_is_taken_and_that_is_told() {
    let home = Home::new();
    let done = home.pipe("keys set groq", KEY.as_bytes());
    assert!(done.err.contains("keys.json; there is no keyring: no session bus is running"), "{}", done.err);
    let done = home.pipe("keys set groq --keyring", KEY.as_bytes());
    assert_eq!(done.code, 77, "{}", done.all());
    program(&home, "secret-tool", "echo 'it is locked' >&2; exit 1");
    let done = in_session(&home, "keys set groq", KEY.as_bytes());
    assert_eq!(done.code, 0);
    assert!(
        done.err.contains("keys.json; the keyring refused: exit status: 1: it is locked"),
        "{}",
        done.err
    );
    // A key in the environment asks nobody.
    program(&home, "secret-tool", &format!("touch {}", home.path().join("asked").display()));
    for line in ["--help", "--version", "keys list", "send -n -m openai/c1 hi", "completions bash"] {
        assert_eq!(in_session(&home, line, b"").code, 0, "{line}");
    }
    assert!(!home.path().join("asked").exists());
}

#[test]
#[cfg(not(target_os = "macos"))]
fn a_keyring_that_hangs_is_given_up() {
    let home = Home::new();
    program(&home, "secret-tool", "exec sleep 600");
    let done = in_session(&home, "keys set groq", KEY.as_bytes());
    assert_eq!(done.code, 0, "{}", done.all());
    assert!(done.err.contains("the keyring did not answer within 5 s"), "{}", done.err);
    assert!(Path::new(&home.path().join(".config/aichat/keys.json")).exists());
}

#[test]
fn keys_are_tried_without_asking_for_an_answer() {
    let home = Home::new();
    let good = Server::start(|_, _| (200, "application/json", r#"{"data":[{"id":"m"}]}"#.to_owned()));
    let bad = Server::start(|_, _| (401, "application/json", r#"{"error":{"message":"no"}}"#.to_owned()));
    let busy = Server::start(|_, _| (503, "application/json", "{}".to_owned()));
    let section = |name: &str, url: &str| {
        format!(
            "[providers.{name}]\nprotocol = \"openai-chat\"\nbase_url = \"{url}/v1\"\napi_key_env = \"OWN_KEY\"\n"
        )
    };
    let nowhere = "http://127.0.0.1:9";
    home.configure(
        &[("good", &*good.url), ("bad", &bad.url), ("busy", &busy.url), ("gone", nowhere)]
            .map(|(name, url)| section(name, url))
            .concat(),
    );
    let own = [("OWN_KEY", KEY)];
    for (name, code) in [("good", 0), ("bad", 77), ("busy", 75), ("gone", 69), ("groq", 77), ("gorq", 69)] {
        let done = with(&home, &format!("keys test {name}"), &own);
        assert_eq!(done.code, code, "{}", done.all());
        assert!(!done.all().contains(KEY), "{}", done.all());
    }
    let tried = items(&with(&home, "keys test good bad --json", &own));
    assert_eq!((&tried[0]["ok"], &tried[0]["models"]), (&true.into(), &1.into()));
    assert_eq!((&tried[1]["ok"], &tried[1]["error"]["kind"]), (&false.into(), &"auth".into()));
    let all = items(&with(&home, "keys test --json", &own));
    assert_eq!(all.len(), 5, "openai, which a variable speaks of, and four of their own");
    assert!(good.requests().iter().all(|request| request.starts_with("GET ")), "no answer is paid for");
}

#[test]
fn what_a_command_that_failed_printed_is_not_in_its_complaint() {
    let home = Home::new();
    let url = home.mock.url();
    home.configure(&format!(
        "[providers.w]\nprotocol = \"openai-chat\"\nbase_url = \"{url}\"\n\
         api_key_command = [\"sh\", \"-c\", \"echo {KEY}; echo leaked {KEY} >&2; exit 1\"]\n"
    ));
    for line in ["send -m w/c1 hi", "send -m w/c1 --json hi", "keys test w", "keys test w --json", "doctor"] {
        let done = home.run(line);
        assert!(done.code != 0 && done.all().contains("leaked ‹secret:key›"), "{line}: {}", done.all());
        assert!(!done.all().contains(KEY), "{line}: {}", done.all());
    }
}

#[test]
fn what_would_help_is_the_same_whoever_names_the_model() {
    let home = Home::new();
    let url = home.mock.url();
    let section =
        format!("model = \"w/c1\"\n[providers.w]\nprotocol = \"openai-chat\"\nbase_url = \"{url}\"\n");
    for (how, hint) in [
        ("api_key_command = [\"false\"]", "hint: run the command by hand to see why\n"),
        ("api_key_env = \"NOT_SET\"", "hint: run `aichat keys set w`, or set NOT_SET\n"),
    ] {
        home.configure(&format!("{section}{how}\n"));
        let (named, usual) = (home.run("send -m w/c1 hi"), home.run("send hi"));
        assert_eq!((named.code, usual.code), (77, 77), "{} {}", named.err, usual.err);
        assert_eq!(named.err, usual.err);
        assert!(named.err.ends_with(hint), "{}", named.err);
    }
}
