//! The pipelines of `docs/cookbook.md`, each run as it stands there.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::{Done, Home, Server};

/// Answers as a model would that was asked by these recipes.
fn model() -> Server {
    Server::start(|_, body| {
        let said = |word: &str| body.contains(word);
        let text = match () {
            () if said("commit message") => "Say hello",
            () if said("What is wrong here") => {
                r#"{"cause":"the disk is full","component":"db","urgent":true}"#
            }
            () if said("price in euros") => {
                r#"{"goods":[{"name":"tea","price":2.5},{"name":"salt","price":1}]}"#
            }
            () if said("POSIX shell script") => "Here it is:\n\n```sh\nwc -l *.txt\n```\n\nRun it.",
            () if said("into French: one") => "un",
            () if said("into French: two") => "deux",
            () if said("\"other\"") => "Loire, Seine, Rhône",
            () => "Elbe, Oder, Spree",
        };
        let choice =
            json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
        let usage = json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7});
        (200, "application/json", json!({"choices": [choice], "usage": usage}).to_string())
    })
}

/// Returns the recipes: their titles and what to type.
fn recipes() -> Vec<(String, String)> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cookbook.md");
    let page = fs::read_to_string(page).unwrap();
    let recipe = |section: &str| {
        let (title, text) = section.split_once('\n').unwrap();
        let blocks = text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
        (title.to_owned(), blocks.collect::<String>())
    };
    page.split("\n## ").skip(1).map(recipe).collect()
}

struct Kitchen {
    home: Home,
}

impl Kitchen {
    fn new(server: &Server) -> Self {
        let home = Home::new();
        let url = &server.url;
        home.configure(&format!(
            "model = \"lab/house\"\n[providers.lab]\nprotocol = \"openai-chat\"\nbase_url = \"{url}/v1\"\nlocal = true\n"
        ));
        fs::create_dir(home.path().join("bin")).unwrap();
        fs::create_dir(home.path().join("backup")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_aichat"), home.path().join("bin/aichat")).unwrap();
        Self { home }
    }

    fn shell(&self, script: &str) -> Done {
        let like = self.home.command([] as [&str; 0]);
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", script]).env_clear();
        shell.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        // Tools may be installed anywhere.
        let path = std::env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}", self.home.path().join("bin").display()));
        shell.current_dir(self.home.path());
        Done::from(shell.output().unwrap())
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.home.path().join(name), text).unwrap();
    }

    fn read(&self, name: impl AsRef<Path>) -> String {
        fs::read_to_string(self.home.path().join(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// Lays out what a recipe begins with.
    fn prepare(&self, title: &str) {
        match title {
            "A commit message" => {
                let begun = "git init -q . && git config user.email a@b.c && git config user.name A && echo hello > hello && git add hello";
                assert_eq!(self.shell(begun).code, 0);
            }
            "What a log says" => self.write("app.log", "ok\nERROR db: no space left on device\nWARN slow\n"),
            "CSV to JSON" => self.write("goods.csv", "tea;2,50\nsalt;1\n"),
            "A thousand prompts with a budget" => self.write("lines.txt", "one\ntwo\n"),
            _ => {}
        }
    }

    /// Looks at what came out of it.
    fn check(&self, title: &str, done: &Done) {
        match title {
            "A commit message" => {
                assert_eq!(self.shell("git log --format=%s").out, "Say hello\n");
            }
            "What a log says" => {
                assert_eq!(done.out, "look at db: the disk is full\n");
                assert_eq!(self.json("triage.json")["urgent"], true);
            }
            "CSV to JSON" => assert_eq!(self.json("goods.json")[1], json!({"name": "salt", "price": 1})),
            "Only the code" => assert_eq!(self.read("count.sh"), "wc -l *.txt\n"),
            "Every night" => {
                assert_eq!(self.shell("aichat send -q -s kept hi").code, 0);
                // As cron does it: no terminal, no input, next to no environment.
                let home = self.home.path().display();
                let night = format!("env -i HOME={home} PATH={home}/bin:/usr/bin:/bin ./nightly < /dev/null");
                let night = self.shell(&night);
                assert_eq!((night.code, night.out.as_str(), night.err.as_str()), (0, "", ""));
                let day = self.shell("cat backup/*.jsonl | aichat --store ./elsewhere sessions import -");
                assert_eq!(day.code, 0, "{}", day.err);
                let there = self.shell("aichat --store ./elsewhere sessions show kept");
                assert!(there.out.contains("Elbe, Oder, Spree"), "{}", there.out);
            }
            "A thousand prompts with a budget" => {
                assert_eq!(self.read("french.tsv"), "1\tun\n2\tdeux\n");
            }
            "The same question to another model" => {
                assert!(done.out.contains("Loire, Seine, Rhône"), "{}", done.out);
            }
            other => panic!("nobody looks at what comes out of {other:?}"),
        }
    }
}

#[test]
fn every_recipe_does_what_it_says() {
    for tool in ["bash", "git", "jq"] {
        if Command::new(tool).arg("--version").output().is_err() {
            return println!("skipped: {tool} is not installed");
        }
    }
    let server = model();
    let recipes = recipes();
    assert!(recipes.len() >= 7, "the page has its form");
    for (title, script) in recipes {
        let kitchen = Kitchen::new(&server);
        kitchen.prepare(&title);
        let done = kitchen.shell(&script);
        assert_eq!(done.code, 0, "{title}: {}", done.err);
        kitchen.check(&title, &done);
    }
}
