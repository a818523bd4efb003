//! Bad input of every kind: the words, the hint, the exit code, and nothing lost.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::Value;

use crate::common::{Done, Home, Server};

/// Runs commands and returns what each said.
fn said(home: &Home, lines: &[&str]) -> String {
    let mut all = String::new();
    for line in lines {
        all.push_str(&format!("$ aichat {line}\n{}\n", home.plain(&home.run(line).all())));
    }
    all
}

#[test]
fn models_and_providers_that_do_not_exist() {
    let home = Home::new();
    insta::assert_snapshot!(said(&home, &[
        "send -m opnai/gpt-4o hi",
        "send -m gtp-4o hi",
        "send -m haiku-5 hi",
        "send -m gpt-4.1-m hi",
        "send -m openai/nosuch hi",
        "send -m claude-opus-5-5 hi",
        "providers test nosuch",
    ]), @r#"
    $ aichat send -m opnai/gpt-4o hi
    69
    error: there is no provider named "opnai"
    hint: did you mean "openai"?

    $ aichat send -m gtp-4o hi
    69
    error: no known model matches "gtp-4o"
    hint: did you mean openai/gpt-4o?

    $ aichat send -m haiku-5 hi
    77
    error: there is no key for anthropic
    hint: run `aichat keys set anthropic`, or set ANTHROPIC_API_KEY

    $ aichat send -m gpt-4.1-m hi
    69
    error: openai/gpt-4.1-mini: the mock answers 404 (status 404, code model_not_found, request req_mock)
    hint: `aichat models list openai` lists what openai offers

    $ aichat send -m openai/nosuch hi
    69
    error: openai/nosuch: the mock answers 404 (status 404, code model_not_found, request req_mock)
    hint: `aichat models list openai` lists what openai offers

    $ aichat send -m claude-opus-5-5 hi
    77
    error: there is no key for anthropic
    hint: run `aichat keys set anthropic`, or set ANTHROPIC_API_KEY

    $ aichat providers test nosuch
    69
    error: there is no provider named "nosuch"
    hint: `aichat providers list` shows the providers
    "#);
}

#[test]
fn a_turn_that_never_began_says_in_json_who_was_to_be_asked() {
    let home = Home::new();
    let done = home.run("send --json -m groq/x hi");
    let result: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((done.code, &result["error"]["kind"]), (77, &Value::from("auth")));
    assert_eq!((&result["provider"], &result["model"]), (&Value::from("groq"), &Value::from("x")));
    assert!(result["session_id"].is_null());
}

#[test]
fn an_error_object_says_who_was_asked_and_by_which_request() {
    let home = Home::new();
    let refused =
        r#"{"type":"error","error":{"type":"authentication_error","message":"no"},"request_id":"req_7"}"#;
    let server = Server::start(move |_, _| (401, "application/json", refused.to_owned()));
    home.configure(&format!(
        "[providers.own]\nprotocol = \"anthropic\"\nbase_url = \"{}\"\napi_key_command = [\"echo\", \"k\"]\n",
        server.url
    ));
    let (own, none) = (Value::from("own"), Value::Null);
    for (line, provider, model, request) in [
        ("models list own", &own, &none, &Value::from("req_7")),
        ("models show own/x", &own, &Value::from("x"), &Value::from("req_7")),
        ("models list groq", &Value::from("groq"), &none, &none),
        ("sessions show nobody", &none, &none, &none),
    ] {
        let done = home.run(&format!("{line} --json"));
        let object: Value = serde_json::from_str(&done.out).unwrap();
        let error = &object["error"];
        assert_eq!(object["schema"], "aichat.error/1", "{line}");
        assert_eq!((&error["provider"], &error["model"], &error["request_id"]), (provider, model, request));
    }
    let result: Value = serde_json::from_str(&home.run("send -m own/x --json hi").out).unwrap();
    assert_eq!((&result["provider"], &result["request_id"]), (&own, &Value::from("req_7")));
    assert!(result["error"]["provider"].is_null(), "it is said once: {result}");
}

#[test]
fn keys_that_are_missing_or_refused() {
    let home = Home::new();
    insta::assert_snapshot!(said(&home, &["send -m groq/x hi", "keys which groq", "send -m openai/k hi"]), @r#"
    $ aichat send -m groq/x hi
    77
    error: there is no key for groq
    hint: run `aichat keys set groq`, or set GROQ_API_KEY

    $ aichat keys which groq
    77
    error: there is no key for groq
    hint: run `aichat keys set groq`, or set GROQ_API_KEY

    $ aichat send -m openai/k hi
    77
    error: openai/k: incorrect key:  (status 401, code invalid_api_key, request req_mock)
    hint: run `aichat keys set openai`, or set OPENAI_API_KEY
    "#);
}

#[test]
fn what_the_provider_answers() {
    let home = Home::new();
    insta::assert_snapshot!(said(&home, &[
        "send -m openai/e404 hi",
        "send -m openai/e429-r60 hi",
        "send -m openai/e400 hi",
        "send -q -m openai/ehtml502 hi",
        "send -m openai/c5-cut2 hi",
        "send -m openai/c5-end2 hi",
        "send -m openai/c5-err2 hi",
        "send -m openai/c5-stall2 --timeout-idle 2 hi",
    ]), @r#"
    $ aichat send -m openai/e404 hi
    69
    error: openai/e404: the mock answers 404 (status 404, code model_not_found, request req_mock)
    hint: `aichat models list openai` lists what openai offers

    $ aichat send -m openai/e429-r60 hi
    75
    error: openai/e429-r60: the mock answers 429 (status 429, code rate_limit_exceeded, request req_mock)
    hint: try again in 60 s

    $ aichat send -m openai/e400 hi
    1
    error: openai/e400: the mock answers 400 (status 400, code invalid_request, request req_mock)
    hint: --dry-run shows what is sent

    $ aichat send -q -m openai/ehtml502 hi
    75
    error: openai/ehtml502: the server answered with a web page: 502 Bad Gateway (status 502, request req_mock)
    hint: try again; `aichat providers test openai` shows whether openai answers properly

    $ aichat send -m openai/c5-cut2 hi
    75
    0 1 
    error: openai/c5-cut2: the connection broke before the answer ended (status 200, request req_mock)
    hint: try again; what had arrived is kept in the session

    $ aichat send -m openai/c5-end2 hi
    75
    0 1 
    error: openai/c5-end2: the stream ended before the answer did (status 200, request req_mock)
    hint: try again; what had arrived is kept in the session

    $ aichat send -m openai/c5-err2 hi
    75
    0 1 
    error: openai/c5-err2: the mock failed in mid-stream (status 200, code mock_failure, request req_mock)
    hint: try again; `aichat providers test openai` shows whether openai answers properly

    $ aichat send -m openai/c5-stall2 --timeout-idle 2 hi
    75
    0 1 
    error: openai/c5-stall2: the stream stood still for 2 s (status 200, request req_mock)
    hint: try again, or wait longer with --timeout-connect, --timeout-first-byte or --timeout-idle
    "#);
}

#[test]
fn a_failing_server_is_asked_three_times() {
    let home = Home::new();
    for model in ["e500", "e429"] {
        let before = home.mock.requests().len();
        let done = home.run(&format!("send -q -m openai/{model} hi"));
        assert_eq!(done.code, 75, "{}", done.err);
        assert_eq!(home.mock.requests().len() - before, 3, "{model}");
    }
}

#[test]
fn a_long_retry_after_ends_at_once() {
    let home = Home::new();
    let done = home.run("send --json -m openai/e429-r60 hi");
    let result: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((done.code, &result["error"]["retry_after_ms"]), (75, &60000.into()));
    assert_eq!(home.mock.requests().len(), 1);
    insta::assert_snapshot!(home.plain(&done.out), @r#"{"schema":"aichat.result/1","status":"failed","text":"","reasoning":[],"tool_calls":[],"finish":null,"usage":{"input_tokens":null,"output_tokens":null,"cache_read_tokens":null,"cache_write_tokens":null,"reasoning_tokens":null,"raw":null},"cost":{"amount":null,"currency":"USD","status":"unknown"},"provider":"openai","model":"e429-r60","session_id":"ses_ID","turn_id":"trn_ID","message_id":null,"request_id":"req_mock","timing":{"first_token_ms":null,"total_ms":N},"warnings":[],"error":{"kind":"rate_limited","message":"openai/e429-r60: the mock answers 429 (status 429, code rate_limit_exceeded, request req_mock)","status":429,"provider_code":"rate_limit_exceeded","retryable":true,"retry_after_ms":N,"hint":"try again in 60 s"}}"#);
}

#[test]
fn servers_that_cannot_be_reached() {
    let home = Home::new();
    let (free, _held) = home.nobody();
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let tls = plain.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in plain.incoming().flatten() {
            let mut socket = socket;
            let _ = socket.read(&mut [0; 512]);
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    home.configure(&format!(
        "[providers.down]\nprotocol = \"openai-chat\"\nbase_url = \"http://{free}/v1\"\n\
         [providers.tls]\nprotocol = \"openai-chat\"\nbase_url = \"https://{tls}/v1\"\n"
    ));
    let all = said(&home, &["send -q -m down/x hi", "send -q -m tls/x hi"]);
    insta::assert_snapshot!(all, @r#"
    $ aichat send -q -m down/x hi
    69
    error: down/x: the connection was refused; is the server running?
    hint: check the network and the address; `aichat providers test down` tries it

    $ aichat send -q -m tls/x hi
    69
    error: tls/x: tls failed: the server does not speak tls
    hint: check the network and the address; `aichat providers test tls` tries it
    "#);
}

#[test]
fn long_lines_pass() {
    let home = Home::new();
    let done = home.run("send -m openai/hugeline2 hi");
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.len() > 2 << 20);
}

#[test]
fn what_has_no_end_is_not_read_for_ever() {
    let home = Home::new();
    let done = home.run("send -m openai/c1 -f /dev/zero hi");
    assert_eq!(done.code, 66);
    let told = "error: /dev/zero has more than 20 MB, which is the most that is attached\n";
    assert!(done.err.starts_with(told), "{}", done.err);
    assert!(home.mock.requests().is_empty());
}

#[test]
fn files_that_are_no_text() {
    let home = Home::new();
    std::fs::write(home.path().join("latin1.txt"), b"caf\xe9").unwrap();
    std::fs::write(home.path().join("image.png"), b"\x89PNG\0\0").unwrap();
    insta::assert_snapshot!(said(&home, &[
        "send -m openai/c1 -f latin1.txt hi",
        "send -m openai/c1 -f image.png hi",
        "send -m openai/c1 -f missing hi",
        "send -m openai/c1 --system @missing hi",
        "send -m openai/c1",
        "send -m openai/c1 -",
    ]), @r#"
    $ aichat send -m openai/c1 -f latin1.txt hi
    66
    error: latin1.txt is not UTF-8 text (byte 4), nor of a known kind
    hint: text, images, sound, video and PDF can be attached

    $ aichat send -m openai/c1 -f image.png hi
    66
    error: image.png is a binary file of no known kind
    hint: text, images, sound, video and PDF can be attached

    $ aichat send -m openai/c1 -f missing hi
    66
    error: cannot read missing: no such file or directory

    $ aichat send -m openai/c1 --system @missing hi
    66
    error: cannot read missing: no such file or directory

    $ aichat send -m openai/c1
    66
    error: there is no prompt
    hint: write it after `aichat send`, or pipe it in

    $ aichat send -m openai/c1 -
    66
    error: there is nothing on standard input
    hint: pipe the data in, or leave it out of the prompt
    "#);
    assert_eq!(home.pipe("send -m openai/c1", b"\xff\xfe").code, 66);
    assert!(home.mock.requests().is_empty());
}

#[test]
fn configuration_mistakes() {
    let home = Home::new();
    home.configure("model = \"openai/c1\"\n\n[providers.work]\nbase_ulr = \"http://127.0.0.1\"\n");
    insta::assert_snapshot!(said(&home, &["send hi", "providers list", "send --config nosuch.toml hi"]), @r#"
    $ aichat send hi
    78
    error: ~/.config/aichat/aichat.toml line 4: unknown key `providers.work.base_ulr`
    hint: did you mean `providers.work.base_url`?

    $ aichat providers list
    78
    error: ~/.config/aichat/aichat.toml line 4: unknown key `providers.work.base_ulr`
    hint: did you mean `providers.work.base_url`?

    $ aichat send --config nosuch.toml hi
    78
    error: cannot read nosuch.toml: no such file or directory
    "#);
}

#[test]
fn stores_that_cannot_be_used() {
    let home = Home::new();
    std::fs::write(home.path().join("file"), "").unwrap();
    for line in ["send --store file -m openai/c1 hi", "sessions list --store file"] {
        let done = home.run(line);
        assert_eq!(done.code, 74, "{line}: {}", done.err);
        assert!(done.err.contains("file") && done.err.contains("hint: "), "{}", done.err);
    }
    assert_eq!(home.run("sessions list --store mysql://me@x/y").code, 2);
    let json = home.run("sessions list --store file --json");
    assert!(json.out.starts_with(r#"{"schema":"aichat.error/1","error":{"kind":"store""#), "{}", json.out);
}

#[test]
fn what_a_later_version_wrote_is_refused_and_left_as_it_is() {
    let home = Home::new();
    assert_eq!(home.run("send -m openai/c1 hi").code, 0);
    let journals = home.data().join("journal");
    let mut paths = std::fs::read_dir(&journals).unwrap().map(|entry| entry.unwrap().path());
    let journal = paths.find(|path| path.extension().is_some_and(|kind| kind == "j")).unwrap();
    let mut bytes = std::fs::read(&journal).unwrap();
    // The version of the layout stands after the eight letters that name the format.
    let version = bytes[8..12].iter().position(|byte| *byte == 1).unwrap();
    bytes[8 + version] = 2;
    std::fs::write(&journal, &bytes).unwrap();
    let done = home.run("sessions list");
    assert_eq!(done.code, 74, "{}", done.all());
    assert!(done.err.contains("version") && done.err.contains("hint: "), "{}", done.err);
    assert_eq!(std::fs::read(&journal).unwrap(), bytes, "nothing was written");
}

#[test]
fn a_busy_session_is_said_to_be_busy() {
    let home = Home::new();
    assert_eq!(home.run("send -s one -m openai/c1 hi").code, 0);
    let mut slow = home.command(["send", "-s", "one", "-m", "openai/c2-stall1", "slow"]).spawn().unwrap();
    while home.mock.requests().len() < 2 {
        std::thread::yield_now();
    }
    let busy = home.run("send -s one -m openai/c1 quick");
    slow.kill().unwrap();
    slow.wait().unwrap();
    assert_eq!(busy.code, 75, "{}", busy.err);
    assert!(busy.err.contains("hint: pass --wait"), "{}", busy.err);
    let waited = home.run("send -s one -m openai/c1 --wait quick");
    assert_eq!(waited.code, 0, "{}", waited.err);
}

#[test]
fn a_refused_key_is_never_repeated() {
    let home = Home::new();
    let canary = "sk-canary-4f9a7c61d2e8";
    for args in [
        &["send", "-m", "openai/k", "hi"][..],
        &["send", "-m", "openai/k", "--json", "hi"],
        &["send", "-m", "openai/k", "--output-format", "stream-json", "hi"],
        &["sessions", "export", "@last"],
        &["sessions", "show", "@last"],
        &["events", "timeline", "@last"],
    ] {
        let done = Done::from(home.command(args).env("OPENAI_API_KEY", canary).output().unwrap());
        assert!(!done.all().contains(canary), "{args:?}: {}", done.all());
    }
    assert!(
        home.mock.requests()[0].headers.iter().any(|(_, value)| value.contains(canary)),
        "the key was sent"
    );
}

/// macOS keeps its authorities elsewhere.
#[cfg(target_os = "linux")]
#[test]
fn a_system_without_authorities_is_told_what_it_lacks_and_nothing_is_tried_again() {
    let home = Home::new();
    let nowhere = home.path().join("nowhere");
    let mut command = home.command("send -n -m openai/c1 hi".split(' '));
    command.env("OPENAI_BASE_URL", home.mock.url().replace("http:", "https:"));
    let done =
        Done::from(command.env("SSL_CERT_FILE", &nowhere).env("SSL_CERT_DIR", &nowhere).output().unwrap());
    insta::assert_snapshot!(done.all(), @"
    69
    error: openai/c1: this system has no certificates of authorities to trust; install them (the package ca-certificates), or name a file of them in SSL_CERT_FILE
    hint: check the network and the address; `aichat providers test openai` tries it
    ");
}

#[test]
fn a_model_without_a_name_is_wrong_use() {
    let home = Home::new();
    for line in ["send -m= hi", "send --fallback= hi", "send --fallback openai/c1, hi", "batch -m= -"] {
        let done = home.run(line);
        assert_eq!((done.code, done.out.as_str()), (2, ""), "{line}: {}", done.err);
        assert!(done.err.contains("a value is required for '--"), "{line}: {}", done.err);
    }
    assert!(home.mock.requests().is_empty());
}

#[test]
fn what_a_server_says_at_length_is_cut_for_people_only() {
    let home = Home::new();
    let long = "ä".repeat(3000);
    let body = format!(r#"{{"error":{{"message":"{long}"}}}}"#);
    let server = Server::start(move |_, _| (400, "application/json", body.clone()));
    home.configure(&format!(
        "[providers.w]\nprotocol = \"openai-chat\"\nbase_url = \"{}/v1\"\nlocal = true\n",
        server.url
    ));
    let told = home.run("send -m w/c1 hi").err;
    let first = told.lines().next().unwrap();
    assert!(first.ends_with("ä…") && first.chars().count() < 1100, "{told}");
    assert!(home.run("send -m w/c1 --json hi").out.contains(&long));
}

#[test]
fn changes_of_settings_at_once_are_all_kept() {
    let home = Home::new();
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let children = names.map(|name| {
        let (key, url) = (format!("providers.{name}.base_url"), format!("http://{name}/v1"));
        home.command(["settings", "set", &key, &url]).spawn().unwrap()
    });
    for child in children {
        let done = Done::from(child.wait_with_output().unwrap());
        assert_eq!(done.code, 0, "{}", done.err);
    }
    let text = std::fs::read_to_string(home.config_file()).unwrap();
    for name in names {
        assert!(text.contains(&format!("http://{name}/v1")), "{name} is lost:\n{text}");
    }
}

#[test]
fn a_reading_command_makes_no_store_and_misses_one_that_was_named() {
    let home = Home::new();
    for line in ["cost", "events verify --all", "sessions list", "store info", "store verify", "agents list"]
    {
        let named = home.run(&format!("--store typo {line}"));
        assert_eq!((named.code, named.out.as_str()), (66, ""), "{line}: {}", named.err);
        assert!(named.err.starts_with("error: there is no store in typo\nhint: "), "{line}: {}", named.err);
        let usual = home.run(line);
        assert_eq!(usual.code, 0, "{line}: {}", usual.err);
    }
    assert_eq!(home.run("sessions show nothing").code, 66);
    assert!(home.run("store info").out.contains(".local/share/aichat"));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing is made");
    home.configure("store = \"typo\"\n");
    assert_eq!(home.run("sessions list").code, 66);
    assert_eq!(home.run("sessions create s").code, 0);
    assert_eq!(home.run("sessions list").code, 0);
}

#[test]
fn a_proxy_that_refuses_is_named_without_its_password() {
    let home = Home::new();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for base in ["http://models.invalid/v1", "https://models.invalid/v1"] {
        home.configure(&format!(
            "[providers.far]\nprotocol = \"openai-chat\"\nbase_url = \"{base}\"\napi_key_command = [\"echo\", \"k\"]\n"
        ));
        let done = home.run(&format!("send --proxy http://user:pw-canary-0123@{gone} -m far/c1 hi"));
        assert_eq!(done.code, 69, "{}", done.err);
        let told = format!("the proxy {gone} refuses the connection; is it running?");
        assert!(done.err.contains(&told) && !done.err.contains("canary"), "{}", done.err);
    }
    let done = home.run("send --proxy http://[ -m far/c1 hi");
    assert_eq!(done.code, 78, "{}", done.err);
    assert!(done.err.starts_with("error: --proxy: the proxy's address is not valid\nhint: "), "{}", done.err);
}

#[test]
fn a_proxy_of_the_environment_is_named_with_the_variable_that_says_so() {
    let home = Home::new();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let answering =
        |status| Server::start(move |_, _| (status, "text/html", "<title>Proxy</title>".to_owned()));
    let (locked, broken) = (answering(407), answering(502));
    let at = |server: &Server| server.url.strip_prefix("http://").unwrap().to_owned();
    let (locked, broken) = (at(&locked), at(&broken));
    for (scheme, variable, proxy, code, told) in [
        ("http", "http_proxy", &gone, 69, "refuses the connection; is it running?"),
        ("https", "HTTPS_PROXY", &gone, 69, "refuses the connection; is it running?"),
        ("https", "ALL_PROXY", &gone, 69, "refuses the connection; is it running?"),
        ("http", "HTTP_PROXY", &locked, 69, "wants a user name and a password"),
        ("https", "HTTPS_PROXY", &locked, 69, "wants a user name and a password"),
        ("https", "HTTPS_PROXY", &broken, 69, "makes no connection to the host"),
        ("http", "HTTP_PROXY", &broken, 75, "502"),
    ] {
        home.configure(&format!(
            "[providers.far]\nprotocol = \"openai-chat\"\nbase_url = \"{scheme}://models.invalid/v1\"\n\
             api_key_command = [\"echo\", \"k\"]\n"
        ));
        let run = |line: &str| {
            let mut command = home.command(line.split(' '));
            command.env(variable, format!("http://user:pw-canary-0123@{proxy}"));
            Done::from(command.output().unwrap())
        };
        let (sent, looked) = (run("send -q -m far/c1 hi"), run("doctor"));
        let named = format!("the proxy {proxy} of {variable}");
        assert_eq!((sent.code, looked.code), (code, 1), "{named}: {}", sent.err);
        for said in [&sent.err, &looked.out, &run("models list far").err] {
            assert!(
                said.contains(&named) && said.contains(told) && !said.contains("canary"),
                "{named}: {said}"
            );
        }
        if code == 69 {
            assert!(sent.err.contains("hint: check the proxy: "), "{named}: {}", sent.err);
            assert!(looked.out.contains("(check the proxy: "), "{named}: {}", looked.out);
        }
        let mut past = home.command(["providers", "test", "far"]);
        let past = past.env(variable, format!("http://{proxy}")).env("NO_PROXY", "models.invalid");
        let past = Done::from(past.output().unwrap());
        assert!(past.out.contains("dns: ") && !past.out.contains("proxy"), "{named}: {}", past.out);
    }
}

#[test]
fn addresses_that_lead_elsewhere_are_told_with_a_cure() {
    let home = Home::new();
    let server = Server::start(|_, _| (302, "text/plain", String::new()));
    for (base, cure) in [
        (
            format!("{}/v1", server.url),
            "hint: set providers.w.base_url to the address that the server redirects to\n",
        ),
        (
            format!("{}/v1?x=1", server.url),
            "base_url; `aichat settings show --origin` says where it is from\n",
        ),
    ] {
        home.configure(&format!(
            "[providers.w]\nprotocol = \"openai-chat\"\nbase_url = \"{base}\"\nlocal = true\n"
        ));
        let done = home.run("send -m w/c1 hi");
        assert!(done.code == 78 && done.err.ends_with(cure), "{}", done.all());
    }
}
