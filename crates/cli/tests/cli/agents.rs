//! Agents: kept in versions, shown, exported and imported, and what a turn takes from one.

use serde_json::Value;

use crate::common::{Done, Home};

fn run(home: &Home, args: &[&str]) -> Done {
    Done::from(home.command(args).output().unwrap())
}

/// Keeps an agent that has everything.
fn pirate(home: &Home) -> Done {
    run(
        home,
        &[
            "agents",
            "create",
            "pirate",
            "-m",
            "openai/echo",
            "--system",
            "talk like a pirate",
            "-o",
            "temperature=0.5",
            "-o",
            "seed=7",
            "--description",
            "for the sea",
            "--max-cost",
            "0.05",
        ],
    )
}

/// Replaces the times of versions.
fn timeless(text: &str) -> String {
    const SHAPE: &str = "dddd-dd-dd dd:ddZ";
    let is_time = |text: &str| {
        text.len() == SHAPE.len()
            && text.chars().zip(SHAPE.chars()).all(|(c, s)| c == s || s == 'd' && c.is_ascii_digit())
    };
    let mut plain = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.get(..SHAPE.len()).is_some_and(is_time) {
            plain.push_str("TIME");
            rest = &rest[SHAPE.len()..];
        } else if let Some(after) = rest.strip_prefix("\"saved_us\":") {
            plain.push_str("\"saved_us\":N");
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        } else {
            plain.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    plain
}

#[test]
fn an_agent_lives() {
    let home = Home::new();
    assert_eq!(pirate(&home).all(), "0\npirate, version 1\n");
    assert_eq!(pirate(&home).code, 66, "names are unique");
    let edited = run(&home, &["agents", "edit", "pirate", "-o", "seed=", "-o", "n=1", "--max-cost", ""]);
    assert_eq!((edited.code, edited.out.as_str()), (0, "pirate, version 2\n"), "{}", edited.err);
    assert_eq!(home.run("agents create cook --json").code, 0);
    insta::assert_snapshot!(timeless(&home.run("agents list").out), @r#"
    cook    version 1
    pirate  version 2  openai/echo  for the sea
    "#);
    insta::assert_snapshot!(timeless(&home.run("agents show pirate --version 1").out), @r#"
    pirate, version 1, TIME
    description: for the sea
    model: openai/echo
    options: {"temperature":0.5,"seed":7}
    max cost: 0.05 USD

    talk like a pirate
    "#);
    insta::assert_snapshot!(timeless(&home.run("agents show pirate --json").out), @r#"{"schema":"aichat.agent/1","name":"pirate","version":2,"saved_us":N,"body":{"description":"for the sea","system":"talk like a pirate","model":"openai/echo","options":{"temperature":0.5,"other":{"n":1}}}}"#);
    assert_eq!(home.run("agents list --limit 1 --json").out.matches("\"name\"").count(), 1);
    assert_eq!(home.run("agents delete pirate").all(), "0\npirate\n");
    assert_eq!(home.run("agents show pirate").code, 66);
    assert_eq!(home.run("agents show pirate --version 1").code, 0, "versions stay");
    assert_eq!(pirate(&home).out, "pirate, version 4\n");
    insta::assert_snapshot!(timeless(&home.run("agents show pirate --history").out), @r#"
    version 4  TIME
    version 3  TIME  deleted
    version 2  TIME
    version 1  TIME
    "#);
    let history = home.run("agents show pirate --history --json").out;
    assert!(history.starts_with(r#"{"schema":"aichat.list/1","items":[{"schema":"aichat.agent/1","#));
    assert_eq!(home.run("events verify --all").code, 0);
    assert_eq!(home.run("sessions list").out, "", "agents are no sessions");
    let told = home.run("events list ses_0000000000000000").out;
    assert!(told.contains("document.saved") && told.contains("document.deleted"), "{told}");
}

#[test]
fn names_that_are_wrong_are_told_with_those_that_are_meant() {
    let home = Home::new();
    pirate(&home);
    let said: Vec<String> = [
        "agents show pirat",
        "agents show nobody",
        "agents show pirate --version 9",
        "agents edit parate --system x",
        "send -a priate hello",
        "send -a nobody hello",
        "agents create -m openai/ x",
        "agents create x --max-cost 1e3",
    ]
    .map(|line| home.run(line).all())
    .into();
    insta::assert_snapshot!(said.concat(), @r#"
    66
    error: there is no agent named "pirat"
    hint: did you mean "pirate"?
    66
    error: there is no agent named "nobody"
    hint: `aichat agents list` lists them
    66
    error: there is no version 9 of agent "pirate"
    hint: `aichat agents show pirate --history` lists its versions
    66
    error: there is no agent named "parate"
    hint: did you mean "pirate"?
    66
    error: there is no agent named "priate"
    hint: did you mean "pirate"?
    66
    error: there is no agent named "nobody"
    hint: `aichat agents list` lists them
    69
    error: no model is named in "openai/"
    hint: `aichat models list openai` lists what openai offers
    2
    error: --max-cost 1e3: not an amount of USD such as 0.05
    "#);
    let object = home.run("send -a priate hello --json");
    assert!(
        object.out.contains(r#""kind":"input""#) && object.out.contains("did you mean"),
        "{}",
        object.out
    );
    assert!(home.mock.requests().is_empty());
}

#[test]
fn an_export_is_imported_once() {
    let home = Home::new();
    pirate(&home);
    let exported = home.run("agents export pirate").out;
    let other = Home::new();
    for _ in 0..2 {
        let imported = other.pipe("agents import -", exported.as_bytes());
        assert_eq!(imported.all(), "0\npirate, version 1\n");
    }
    let body = |text: &str| serde_json::from_str::<Value>(text).unwrap()["body"].clone();
    assert_eq!(body(&other.run("agents export pirate").out), body(&exported));
    std::fs::write(other.path().join("file"), &exported).unwrap();
    assert_eq!(other.run("agents import file").out, "pirate, version 1\n");
    let refused = other.pipe("templates import -", exported.as_bytes());
    assert_eq!((refused.code, refused.out.as_str()), (66, ""));
    assert!(refused.err.contains("and no template"), "{}", refused.err);
}

#[test]
fn a_turn_takes_from_its_agent_what_no_flag_says() {
    let home = Home::new();
    pirate(&home);
    let body = |line: &str| {
        // It has a limit, and its model no price.
        let done = home.run(&format!("{line} --allow-unpriced"));
        assert_eq!(done.code, 0, "{}", done.err);
        home.mock.requests().pop().unwrap().body
    };
    let first = body("send -a pirate ahoy");
    assert!(first.contains("talk like a pirate") && first.contains(r#""temperature":0.5"#), "{first}");
    let flags = body("send -n -a pirate -m openai/c1 --system plainly -o temperature=1 ahoy");
    assert!(flags.contains(r#""model":"c1""#) && flags.contains(r#""temperature":1"#), "{flags}");
    assert!(
        flags.contains("plainly") && !flags.contains("pirate") && flags.contains(r#""seed":7"#),
        "{flags}"
    );

    // A session goes on with the version it was begun with, until it is given to the newest.
    assert_eq!(
        run(&home, &["agents", "edit", "pirate", "--system", "talk like a poet", "-o", "seed=8"]).code,
        0
    );
    let continued = body("send -c again");
    assert!(continued.contains(r#""seed":7"#) && !continued.contains("poet"), "{continued}");
    assert_eq!(continued.matches("talk like a pirate").count(), 1, "{continued}");
    let newest = body("send -c -a pirate again");
    assert!(newest.contains(r#""seed":8"#) && newest.contains("poet"), "{newest}");
    let named = body("send -s trip -a pirate ahoy");
    assert!(named.contains(r#""model":"echo""#) && named.contains("poet"), "{named}");

    let list: Value = serde_json::from_str(&home.run("sessions list --json").out).unwrap();
    let agent = &list["items"][0]["agent"];
    assert_eq!((&agent["name"], &agent["version"]), (&"pirate".into(), &2.into()));
    let shown: Value = serde_json::from_str(&home.run("sessions show @last~1 --json").out).unwrap();
    let versions: Vec<_> =
        shown["turns"].as_array().unwrap().iter().map(|t| &t["agent"]["version"]).collect();
    assert_eq!(versions, [1, 1, 2]);
    let preview = home.run("send --dry-run -a pirate hi");
    assert!(preview.out.contains("poet"), "{}", preview.all());
}

#[test]
fn an_answer_has_the_form_the_agent_says() {
    let home = Home::new();
    assert_eq!(run(&home, &["agents", "create", "reader", "-m", "openai/echo", "--schema", "name"]).code, 0);
    let asked = home.run(r#"send -a reader {"name":"x"}"#);
    assert_eq!((asked.code, asked.out.as_str()), (0, "{\"name\":\"x\"}\n"), "{}", asked.err);
    assert!(home.mock.requests()[0].body.contains("json_schema"));
    assert_eq!(home.run("send -c no").code, 65, "a session keeps the form");
    assert_eq!(home.run("send -c -a reader --no-schema no").code, 0);
}

#[test]
fn of_many_who_edit_at_once_every_one_is_told_what_came_of_it() {
    let home = Home::new();
    pirate(&home);
    let children: Vec<_> = (0..6)
        .map(|n| home.command(["agents", "edit", "pirate", "-o", &format!("seed=1{n}")]).spawn().unwrap())
        .collect();
    let ends: Vec<Done> =
        children.into_iter().map(|child| Done::from(child.wait_with_output().unwrap())).collect();
    let won = ends.iter().filter(|done| done.code == 0).count();
    assert!(won >= 1 && ends.iter().all(|done| [0, 75].contains(&done.code)), "{ends:?}");
    let lost = ends.iter().filter(|done| done.code == 75);
    assert!(lost.into_iter().all(|done| done.err.contains("run it again")), "{ends:?}");
    let history: Value = serde_json::from_str(&home.run("agents show pirate --history --json").out).unwrap();
    assert_eq!(history["items"].as_array().unwrap().len(), won + 1);
    assert_eq!(home.run("events verify --all").code, 0);
}
