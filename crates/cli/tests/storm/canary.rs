//! Keys planted wherever a key can stand, and looked for wherever anything is written.

use std::process::Command;

use serde_json::Value;

use crate::common::{Done, Home};
use crate::ledger;
use crate::sweep::{self, Secret};

const KEY: &str = r#"sk-canary+7Q/x=9"w\Zz~0123456789"#;
const WORK: &str = "wk-canary-abcdefghijklmnop";
const USER: &str = "uk-canary-ABCDEFGHIJKLMNOP";
/// Stands percent-encoded in an address; the header it becomes holds it decoded.
const CODED: (&str, &str) = ("ck%2Fcanary%2BQRSTUVWXYZ012", "ck/canary+QRSTUVWXYZ012");
const PROXY: &str = "pk-canary-9876543210zyxwvu";

fn secrets() -> Vec<(&'static str, Secret)> {
    let all = [
        ("key", KEY),
        ("work", WORK),
        ("user", USER),
        ("coded", CODED.0),
        ("decoded", CODED.1),
        ("proxy", PROXY),
    ];
    all.map(|(name, text)| (name, Secret::new(text))).into()
}

/// A home with secrets in its environment and its configuration.
struct Planted {
    home: Home,
    secrets: Vec<(&'static str, Secret)>,
    found: Vec<String>,
}

impl Planted {
    fn new() -> Self {
        let home = Home::new();
        let address = home.mock.address();
        let section =
            |name: &str, rest: &str| format!("[providers.{name}]\nprotocol = \"openai-chat\"\n{rest}\n");
        home.configure(
            &[
                "model = \"openai/c2\"\n".to_owned(),
                section("work", &format!("base_url = \"http://{address}/v1\"\napi_key_env = \"WORK_KEY\"")),
                section("user", &format!("base_url = \"http://user:{USER}@{address}/v1\"")),
                section("coded", &format!("base_url = \"http://u:{}@{address}/v1\"", CODED.0)),
                section("gone", &format!("base_url = \"http://user:{USER}@127.0.0.1:1/v1\"")),
                section("far", "base_url = \"http://far.invalid/v1\""),
            ]
            .concat(),
        );
        Self { home, secrets: secrets(), found: Vec::new() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(args);
        command.env("OPENAI_API_KEY", KEY).env("WORK_KEY", WORK);
        command.env("http_proxy", format!("http://user:{PROXY}@127.0.0.1:1"));
        command
    }

    fn run(&self, args: &[&str]) -> Done {
        Done::from(self.command(args).output().unwrap())
    }

    fn look(&mut self, place: &str, bytes: &[u8]) {
        for (name, secret) in &self.secrets {
            if let Some(form) = secret.find(bytes) {
                self.found.push(format!("{name} as {form} in {place}"));
            }
        }
    }

    /// Runs a command whose whole output is looked through.
    fn tell(&mut self, args: &[&str]) -> Done {
        let done = self.run(args);
        let place = args.join(" ");
        self.look(&format!("output of {place}"), done.out.as_bytes());
        self.look(&format!("errors of {place}"), done.err.as_bytes());
        done
    }

    /// Sends in each form of output; all but the answer itself is looked through.
    fn send(&mut self, args: &[&str]) -> Vec<i32> {
        let mut codes = Vec::new();
        for form in ["text", "json", "stream-json"] {
            let args = [&["send", "-u", "--output-format", form], args].concat();
            let done = self.run(&args);
            let place = args.join(" ");
            self.look(&format!("errors of {place}"), done.err.as_bytes());
            if form != "text" {
                for line in done.out.lines() {
                    let mut object: Value = serde_json::from_str(line).unwrap();
                    object.as_object_mut().unwrap().remove("text");
                    self.look(&format!("output of {place}"), object.to_string().as_bytes());
                }
            }
            codes.push(done.code);
        }
        codes
    }

    /// Looks through every file of the home but the one that the secrets were planted in.
    fn look_at_files(&mut self) {
        for (path, bytes) in sweep::files(self.home.path()) {
            if path != self.home.config_file() {
                self.look(&path.display().to_string(), &bytes);
            }
        }
    }
}

/// Returns a prompt that holds a secret in each of its forms, amid other text.
fn prompt(secret: &Secret) -> String {
    secret.0.iter().map(|(name, form)| format!("{name}: ({form}) ")).collect()
}

#[test]
fn no_key_is_told_or_kept() {
    let mut all = Planted::new();
    assert_eq!(all.send(&["-m", "openai/k", "key in the error's body and header"]), [77; 3]);
    assert_eq!(all.send(&["-m", "work/k", "key in the error's body and header"]), [77; 3]);
    assert_eq!(all.send(&["-m", "user/k", "user info as a header, echoed"]), [77; 3]);
    assert_eq!(all.send(&["-m", "coded/k", "user info as a header, echoed"]), [77; 3]);
    assert_eq!(all.send(&["-m", "user/e404", "x"]), [69; 3]);
    assert_eq!(all.send(&["-m", "user/ehtml502-r60", "x"]), [75; 3]);
    assert_eq!(all.send(&["-m", "user/c3-cut1", "x"]), [75; 3]);
    assert_eq!(all.tell(&["send", "--json", "-m", "gone/c1", "x"]).code, 69);
    assert_eq!(all.tell(&["send", "--json", "-m", "far/c1", "through a proxy that is not there"]).code, 69);
    let proxy = format!("http://user:{PROXY}@{}", all.home.mock.address());
    assert_eq!(all.send(&["--proxy", &proxy, "-m", "far/k", "through one that is"]), [69; 3]);
    assert_eq!(all.send(&["--proxy", &format!("nonsense://user:{PROXY}@x y"), "-m", "far/k", "x"]).len(), 3);
    for text in [KEY, WORK, USER, CODED.0, CODED.1, PROXY] {
        let prompt = prompt(&Secret::new(text));
        let done = all.run(&["send", "-m", "openai/echo-c90-d500", &prompt]);
        assert_eq!((done.code, done.out), (0, format!("{prompt}\n")), "the answer itself is not touched");
    }
    assert_eq!(all.send(&["-s", "told", "-m", "openai/echo-c40-d500", &prompt(&Secret::new(KEY))]), [0; 3]);
    all.look_at_files();

    let mut child = all.command(&["send", "-m", "openai/echo-c40-d5000-stall30", KEY]).spawn().unwrap();
    while all.home.mock.requests().iter().all(|one| one.prompt != KEY || one.sent.len() < 30) {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    all.look_at_files();

    let lines = [
        "sessions list",
        "sessions show @last",
        "sessions show told",
        "sessions export told",
        "sessions export @last --format json",
        "sessions export told --format md",
        "sessions export told --redact",
        "events list told",
        "events timeline told",
        "events head --all",
        "events verify --all",
        "models list",
        "models list user",
        "models list gone",
        "models list far",
        "keys list",
        "keys which openai",
        "keys which work",
        "keys which user",
        "providers list",
        "providers show openai",
        "providers show user",
        "providers test openai",
        "providers test user",
        "providers test gone",
        "providers test far",
        "settings show",
        "settings show --origin",
        "settings get providers.user.base_url",
        "settings get nosuch",
        "paths",
        "schema",
        "store rebuild",
        "store info",
        "store verify",
        "store compact",
        "store backup saved",
        "send --dry-run -m user/c1 hi",
        "send --dry-run -s told hi",
        "sessions list",
    ]
    .map(|line| line.split(' ').collect::<Vec<_>>());
    for line in &lines {
        all.tell(line);
        all.tell(&[line.as_slice(), &["--json"]].concat());
    }
    for id in ledger::sessions(&all.home) {
        all.tell(&["sessions", "export", &id]);
    }
    all.tell(&["--proxy", &format!("http://user:{PROXY}@127.0.0.1:1"), "providers", "test", "far"]);
    all.look_at_files();
    assert!(all.found.is_empty(), "{:#?}", all.found);
}

#[test]
fn the_search_finds_what_was_not_known_to_be_secret() {
    let home = Home::new();
    let secret = Secret::new(KEY);
    let mut command = home.command(["send", "-m", "openai/echo-c90-d500", &prompt(&secret)]);
    let done = Done::from(command.env("OPENAI_API_KEY", "another-key-0123456789").output().unwrap());
    assert_eq!(done.code, 0);
    let find = || {
        let files = sweep::files(&home.data());
        let holds = |form: &str| {
            // Once as the question, once as the answer; what is kept is JSON.
            let kept = serde_json::to_string(form).unwrap();
            let kept = kept.trim_matches('"').as_bytes();
            files.iter().any(|(_, bytes)| bytes.windows(kept.len()).any(|window| window == kept))
        };
        assert!(secret.0.iter().all(|(_, form)| holds(form)), "the data directory hides something");
        assert!(files.iter().any(|(_, bytes)| secret.find(bytes).is_some()));
    };
    find();
    assert_eq!(home.run("sessions list").code, 0);
    find();
    // While an answer arrives in pieces, each shorter than the secret, what is kept of it is found as well.
    let slow = Home::new();
    let mut command = slow.command(["send", "-m", "openai/echo-c30-d9000-stall28", &format!("{KEY} {WORK}")]);
    let mut child = command.env("OPENAI_API_KEY", "another-key-0123456789").spawn().unwrap();
    let kept = || {
        let entries = std::fs::read_dir(slow.data().join("journal")).into_iter().flatten().flatten();
        let journals = entries.filter_map(|entry| std::fs::read(entry.path()).ok());
        // The question holds the secret in one piece; the records after it hold it in several.
        let deltas = journals.map(|bytes| {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            text.rsplit("llm.request.started").next().unwrap_or_default().to_owned()
        });
        deltas.collect::<String>()
    };
    while secret.find(kept().as_bytes()).is_none() {
        assert!(child.try_wait().unwrap().is_none(), "the answer ended, and nothing of it was found");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let shown = home.run("sessions show @last --json").out;
    assert!(secret.find(shown.as_bytes()).is_some(), "{shown}");
}
