//! `doctor`: what is in order and what is not, wherever it runs, and never a secret.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::common::{Done, Home, Server};

const KEY: &str = "sk-canary-4f9a7c61d2e8-wxyz";

/// Returns the findings that are worse than `ok`, one a line.
fn bad(home: &Home, done: &Done) -> String {
    let told: Value = serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("{}", done.all()));
    assert_eq!(told["schema"], "aichat.doctor/1");
    assert_eq!(done.code, i32::from(told["ok"] == false), "{}", done.all());
    assert!(!done.all().contains(KEY), "{}", done.all());
    let word = |finding: &Value, field: &str| finding[field].as_str().unwrap_or("-").to_owned();
    let findings = told["findings"].as_array().unwrap().iter();
    let lines = findings.filter(|finding| finding["verdict"] != "ok").map(|finding| {
        assert!(finding["verdict"] == "note" || finding["fix"].is_string(), "{finding}");
        ["section", "subject", "verdict", "message", "fix"].map(|field| word(finding, field)).join(" | ")
    });
    home.plain(&lines.collect::<Vec<_>>().join("\n"))
}

fn doctor(home: &Home, variables: &[(&str, &str)]) -> Done {
    let mut command = home.command(["doctor", "--json"]);
    Done::from(command.env("LANG", "C.UTF-8").envs(variables.iter().copied()).output().unwrap())
}

#[test]
fn a_home_in_order_is_well() {
    let home = Home::new();
    assert_eq!(home.run("send -m openai/c1 hi").code, 0);
    assert_eq!(home.run("sessions list").code, 0);
    let asked = home.mock.requests().len();
    let done = doctor(&home, &[]);
    assert_eq!((done.code, bad(&home, &done).as_str()), (0, ""), "{}", done.all());
    assert_eq!(home.mock.requests().len(), asked, "no answer is asked for");
    let told = Done::from(home.command(["doctor"]).env("LANG", "C.UTF-8").output().unwrap());
    assert!(told.code == 0 && told.out.ends_with("all is well\n"), "{}", told.all());
    assert!(told.out.contains("\n  ok       chains  "), "{}", told.out);
}

#[test]
fn a_broken_configuration_is_told_and_the_rest_is_looked_at() {
    let home = Home::new();
    home.configure(&format!("modle = \"a/b\"\n# {KEY}\n"));
    let told = bad(&home, &doctor(&home, &[]));
    let (unknown, rest) = told.split_once('\n').unwrap();
    assert_eq!(
        unknown,
        "config | file | problem | ~/.config/aichat/aichat.toml line 1: unknown key `modle` (did you mean `model`?) | \
         ${EDITOR:-vi} ~/.config/aichat/aichat.toml"
    );
    assert_eq!(rest, "config | file | note | the rest is looked at as if there were no such file | -");
    home.configure(&format!("[providers.work]\nprotocol = \"openai-chat\"\napi_key = \"{KEY}\"\n"));
    let told = bad(&home, &doctor(&home, &[]));
    assert!(told.contains("line 3: a key does not belong in this file"), "{told}");
    home.configure("[providers.work]\nprotocol = \"openai-chat\"\n");
    let told = bad(&home, &doctor(&home, &[]));
    assert!(told.contains("config | providers | problem | providers.work (line 1"), "{told}");
    fs::write(home.config_file(), b"\xff\xfe").unwrap();
    assert!(bad(&home, &doctor(&home, &[])).contains("is not UTF-8"));
}

#[test]
fn keys_files_and_variables_that_are_wrong_are_told_with_their_cure() {
    let home = Home::new();
    assert_eq!(home.pipe("keys set groq", KEY.as_bytes()).code, 0);
    let file = home.path().join(".config/aichat/keys.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    home.configure(&format!("[providers.gemini]\nbase_url = \"{}\"\n", home.mock.url()));
    fs::set_permissions(home.config_file(), fs::Permissions::from_mode(0o666)).unwrap();
    fs::write(home.path().join(".config/aichat/models.json"), "{").unwrap();
    let variables = [
        ("GEMINI_API_KEY", KEY),
        ("GOOGLE_API_KEY", "another"),
        ("http_proxy", "http://user:sk-canary-4f9a7c61d2e8-wxyz@127.0.0.1:9"),
        ("LANG", "C"),
    ];
    let told = bad(&home, &doctor(&home, &variables));
    for line in [
        "config | file | problem | others can change ~/.config/aichat/aichat.toml",
        "config | models.json | problem | ~/.config/aichat/models.json: malformed price table",
        "keys | file | problem | ~/.config/aichat/keys.json can be read by others",
        "keys | gemini | note | GEMINI_API_KEY and GOOGLE_API_KEY hold different keys; GEMINI_API_KEY counts | unset GOOGLE_API_KEY",
        "terminal | locale | note | LANG=C; ",
    ] {
        assert!(told.lines().any(|found| found.starts_with(line)), "{line}\n{told}");
    }
    assert!(told.contains(" | chmod 600 ~/.config/aichat/keys.json\n"), "{told}");
}

#[test]
fn providers_are_tried_all_at_once_and_each_says_what_is_wrong() {
    let home = Home::new();
    let bad_key = Server::start(|_, _| (401, "application/json", r#"{"error":{"message":"no"}}"#.to_owned()));
    let page = Server::start(|_, _| (404, "text/html", "<html>".to_owned()));
    let section = |name: &str, url: &str| {
        format!(
            "[providers.{name}]\nprotocol = \"openai-chat\"\nbase_url = \"{url}\"\napi_key_env = \"OWN_KEY\"\n"
        )
    };
    home.configure(
        &[
            ("refused", format!("{}/v1", bad_key.url)),
            ("page", format!("{}/v2", page.url)),
            ("gone", "http://127.0.0.1:9/v1".to_owned()),
        ]
        .map(|(name, url)| section(name, &url))
        .concat(),
    );
    insta::assert_snapshot!(bad(&home, &doctor(&home, &[("OWN_KEY", KEY)])), @r"
    network | gone | problem | connection at http://127.0.0.1:PORT/v1: the connection was refused; is the server running? (start the server, or check the port in providers.gone.base_url) | aichat providers test gone
    providers | page | problem | page: the server answered: not found (status 404) (check the path in providers.page.base_url: it usually ends in /v1) | aichat providers test page
    providers | refused | problem | refused: no (status 401) (run `aichat keys set refused`, or set OWN_KEY) | aichat keys set refused
    ");
    let lacking = bad(&home, &doctor(&home, &[]));
    assert!(lacking.contains("providers | gone | problem | there is no key for gone"), "{lacking}");
}

#[test]
fn it_works_without_a_home_and_on_a_store_that_is_damaged_or_of_somebody_else() {
    let home = Home::new();
    // Unset, it would be the home that the system knows; this one is no directory anybody could mean.
    let done = Done::from(
        home.command(["doctor", "--json"]).env("HOME", "nowhere").env("LANG", "C.UTF-8").output().unwrap(),
    );
    let told = bad(&home, &done);
    assert!(done.code == 1 && told.starts_with("paths | directories | problem | "), "{told}");
    // A file in place of the directory.
    fs::create_dir_all(home.data().parent().unwrap()).unwrap();
    fs::write(home.data(), "").unwrap();
    let told = bad(&home, &doctor(&home, &[]));
    assert!(told.contains("paths | data | problem | ~/.local/share/aichat is no directory"), "{told}");
    fs::remove_file(home.data()).unwrap();
    // Bytes that are no store.
    assert_eq!(home.run("send -m openai/c1 hi").code, 0);
    assert_eq!(home.run("sessions list").code, 0);
    for file in ["conf", "db"] {
        fs::write(home.data().join("db").join(file), "nonsense").unwrap();
    }
    let told = bad(&home, &doctor(&home, &[]));
    assert!(told.contains("store | store | problem | "), "{told}");
}

#[test]
fn it_makes_nothing() {
    let home = Home::new();
    assert_eq!(doctor(&home, &[]).code, 0);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_flag_that_names_no_store_is_mended_by_another_flag() {
    let home = Home::new();
    let mut command = home.command(["--store", "nonsense://x", "doctor", "--json"]);
    let done = Done::from(command.env("LANG", "C.UTF-8").output().unwrap());
    let told = bad(&home, &done);
    assert!(
        told.starts_with("store | place | problem | ") && told.ends_with(" | aichat doctor --store default"),
        "{told}"
    );
}
