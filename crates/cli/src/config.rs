//! The configuration file: strict, and every complaint names its line and what was probably meant.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use aichat_engine::nearest;
use aichat_message::{ErrorKind, Money, Protocol};
use http::HeaderName;
use toml_edit::{Document, Item, Key, Table, TableLike, Value};

use crate::failure::Failure;
use crate::location::{Complaint, Location};
use crate::paths::is_absent;

/// The protocols a section may name.
pub(crate) const PROTOCOLS: [&str; 7] =
    ["openai-chat", "openai-responses", "anthropic", "gemini", "azure-chat", "azure-responses", "ollama"];
/// The quirks a section may name.
const PROFILES: [&str; 8] =
    ["openrouter", "groq", "deepseek", "mistral", "xai", "llamacpp", "vllm", "lmstudio"];
/// What a provider's section may hold.
pub(crate) const FIELDS: [&str; 8] =
    ["protocol", "base_url", "api_key_env", "api_key_command", "headers", "profile", "local", "api_version"];
/// Names under which people try to put a key itself into the file.
const KEY_FIELDS: [&str; 6] = ["api_key", "apikey", "key", "token", "secret", "password"];
/// The budgets that are no provider's.
pub(crate) const BUDGETS: [&str; 3] = ["send", "session", "day"];
/// Parts of the names of headers that carry keys.
const KEY_HEADERS: [&str; 5] = ["auth", "key", "token", "secret", "cookie"];
/// Of which calls what goes over the network can be kept.
const WIRES: [&str; 3] = ["on", "errors", "off"];
/// Before the name of a variable that holds a header's value.
const VARIABLE: &str = "env:";

/// What the configuration file says.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// The default model.
    pub(crate) model: Option<Located<String>>,
    /// Where sessions are kept, a directory or a database.
    pub(crate) store: Option<Located<String>>,
    /// Of which calls what goes over the network is kept: `on`, `errors` or `off`.
    pub(crate) record_wire: Option<Located<String>>,
    /// What may be spent in a turn, a session and a day.
    pub(crate) budget: BTreeMap<&'static str, Located<Money>>,
    /// What may be spent in a day at a provider.
    pub(crate) provider_budgets: BTreeMap<String, Located<Money>>,
    /// Providers by name.
    pub(crate) providers: BTreeMap<String, Section>,
}

/// A value and the line it stands on.
#[derive(Clone, Debug)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) line: usize,
}

impl<T: Clone> Located<T> {
    /// Returns the value alone.
    pub(crate) fn owned(&self) -> T {
        self.value.clone()
    }
}

/// What the file says about one provider.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) line: usize,
    pub(crate) protocol: Option<Located<Protocol>>,
    pub(crate) base_url: Option<Located<String>>,
    pub(crate) api_key_env: Option<Located<String>>,
    pub(crate) api_key_command: Option<Located<Vec<String>>>,
    pub(crate) headers: Vec<(HeaderName, Located<Header>)>,
    pub(crate) profile: Option<Located<String>>,
    pub(crate) local: Option<Located<bool>>,
    pub(crate) api_version: Option<Located<String>>,
}

/// What a header is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// This text.
    Text(String),
    /// What this variable holds.
    Variable(String),
}

impl std::fmt::Display for Header {
    /// Writes the value as it stands in the file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Variable(name) => write!(f, "{VARIABLE}{name}"),
        }
    }
}

impl Config {
    /// Reads the file; one that is not there is empty, unless it was `named`.
    ///
    /// # Errors
    /// Fails with kind `config`, naming file and line.
    pub(crate) fn load(path: &Path, named: bool) -> Result<Self, Failure> {
        match fs::read(path) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Self::parse(&text, path),
                Err(_) => Err(Failure::new(ErrorKind::Config, format!("{} is not UTF-8", path.display()))),
            },
            Err(error) if is_absent(&error) && !named => Ok(Self::default()),
            Err(error) => Err(Failure::file(ErrorKind::Config, "cannot read", path, &error)),
        }
    }

    /// Reads configuration text; `path` is for the complaints.
    ///
    /// # Errors
    /// Fails with kind `config`, naming file and line.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        let source = Source { text, path };
        let document = Document::parse(text).map_err(|error| {
            // The message of a syntax error quotes nothing of the file; its Display would.
            source.complain(
                error.span(),
                error.message().lines().next().unwrap_or("not valid TOML").to_lowercase(),
            )
        })?;
        let mut config = Self::default();
        for (key, item) in entries(document.as_table()) {
            match key.get() {
                "model" => config.model = Some(source.text(key, item)?),
                "store" => config.store = Some(source.location(key, item)?),
                "providers" => {
                    let table = source.table(key, item)?;
                    for (name, item) in entries(table) {
                        let section = source.section(name, source.table(name, item)?)?;
                        config.providers.insert(name.get().to_owned(), section);
                    }
                }
                "record" => {
                    for (key, item) in entries(source.table(key, item)?) {
                        match key.get() {
                            "wire" => config.record_wire = Some(source.one_of(key, item, &WIRES)?),
                            _ => return Err(source.unknown(key, "record.", &["wire"])),
                        }
                    }
                }
                "budget" => source.budget(source.table(key, item)?, &mut config)?,
                _ => {
                    return Err(source.unknown(
                        key,
                        "",
                        &["model", "store", "record", "budget", "providers"],
                    ));
                }
            }
        }
        if let Some(model) = &config.model
            && !model
                .value
                .split_once('/')
                .is_some_and(|(provider, model)| !provider.is_empty() && !model.is_empty())
        {
            return Err(
                source.at(model.line, format!("model = {:?} is not of the form provider/model", model.value))
            );
        }
        Ok(config)
    }
}

struct Source<'a> {
    text: &'a str,
    path: &'a Path,
}

impl Source<'_> {
    fn budget(&self, table: &dyn TableLike, config: &mut Config) -> Result<(), Failure> {
        for (key, item) in entries(table) {
            if key.get() == "providers" {
                for (name, item) in entries(self.table(key, item)?) {
                    config.provider_budgets.insert(name.get().to_owned(), self.dollars(name, item)?);
                }
                continue;
            }
            match BUDGETS.into_iter().find(|known| *known == key.get()) {
                Some(known) => config.budget.insert(known, self.dollars(key, item)?),
                None => return Err(self.unknown(key, "budget.", &["send", "session", "day", "providers"])),
            };
        }
        Ok(())
    }

    /// Reads an amount, which is text so that nothing of it is lost.
    fn dollars(&self, key: &Key, item: &Item) -> Result<Located<Money>, Failure> {
        let amount = item.as_str().and_then(|text| text.parse().ok()).filter(|amount| *amount > Money::ZERO);
        match amount {
            Some(value) => Ok(Located { value, line: self.line(key.span()) }),
            None => Err(self.wrong(key, "dollars in quotes, \"1.50\" for example")),
        }
    }

    fn section(&self, name: &Key, table: &dyn TableLike) -> Result<Section, Failure> {
        let mut section = Section { line: self.line(name.span()), ..Section::default() };
        if name.get().is_empty()
            || name.get().contains(['/', ':'])
            || name.get().contains(char::is_whitespace)
        {
            return Err(self.at(section.line, "a provider's name holds no slash, colon or blank".to_owned()));
        }
        for (key, item) in entries(table) {
            match key.get() {
                "protocol" => {
                    let text = self.one_of(key, item, &PROTOCOLS)?;
                    let Ok(protocol) = text.value.parse::<Protocol>();
                    section.protocol = Some(Located { value: protocol, line: text.line });
                }
                "base_url" => {
                    let url = self.text(key, item)?;
                    if !["http://", "https://"].iter().any(|scheme| url.value.starts_with(scheme)) {
                        return Err(
                            self.at(url.line, "base_url begins with neither http:// nor https://".to_owned())
                        );
                    }
                    section.base_url = Some(url);
                }
                "api_key_env" => section.api_key_env = Some(self.text(key, item)?),
                "api_key_command" => section.api_key_command = Some(self.words(key, item)?),
                "headers" => section.headers = self.headers(key, item)?,
                "profile" => section.profile = Some(self.one_of(key, item, &PROFILES)?),
                "local" => {
                    let value = item.as_bool().ok_or_else(|| self.wrong(key, "true or false"))?;
                    section.local = Some(Located { value, line: self.line(key.span()) });
                }
                "api_version" => section.api_version = Some(self.text(key, item)?),
                other if KEY_FIELDS.contains(&other.to_ascii_lowercase().as_str()) => {
                    let complaint =
                        format!("a key does not belong in this file: providers.{}.{other}", name.get());
                    let hint = format!(
                        "remove it; run `aichat keys set {}`, or name a variable with api_key_env or a command with \
                         api_key_command",
                        name.get()
                    );
                    return Err(self.complain(key.span(), complaint).hint(hint));
                }
                _ => return Err(self.unknown(key, &format!("providers.{}.", name.get()), &FIELDS)),
            }
        }
        Ok(section)
    }

    fn text(&self, key: &Key, item: &Item) -> Result<Located<String>, Failure> {
        match item.as_str() {
            Some(text) if !text.is_empty() => {
                Ok(Located { value: text.to_owned(), line: self.line(key.span()) })
            }
            _ => Err(self.wrong(key, "text in quotes")),
        }
    }

    /// Reads a place for sessions, which holds no password.
    fn location(&self, key: &Key, item: &Item) -> Result<Located<String>, Failure> {
        let text = self.text(key, item)?;
        if text.value.starts_with('~') {
            let what = "store: ~ stands for nothing here; write the whole path";
            return Err(self.at(text.line, what.to_owned()));
        }
        match Location::parse(&text.value, Path::new(""), Path::new("")) {
            Ok(_) => Ok(text),
            Err(Complaint { what, hint }) => Err(self.at(text.line, format!("store: {what}")).hint(hint)),
        }
    }

    fn one_of(&self, key: &Key, item: &Item, values: &[&str]) -> Result<Located<String>, Failure> {
        let text = self.text(key, item)?;
        if values.contains(&text.value.as_str()) {
            return Ok(text);
        }
        let failure = self.at(text.line, format!("{} = {:?} is unknown", key.get(), text.value));
        Err(match nearest(&text.value, values.iter().copied()) {
            Some(near) => failure.hint(format!("did you mean {near:?}?")),
            None => failure.hint(format!("use one of {}", values.join(", "))),
        })
    }

    fn words(&self, key: &Key, item: &Item) -> Result<Located<Vec<String>>, Failure> {
        let words = item.as_array().and_then(|array| {
            array.iter().map(|word| word.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        match words {
            Some(value) if !value.is_empty() => Ok(Located { value, line: self.line(key.span()) }),
            _ => Err(self.wrong(key, "a list of words, [\"pass\", \"work\"] for example")),
        }
    }

    /// Reads headers; one that carries a key is refused, unless its value is in a variable.
    fn headers(&self, key: &Key, item: &Item) -> Result<Vec<(HeaderName, Located<Header>)>, Failure> {
        let mut headers = Vec::new();
        for (key, item) in entries(self.table(key, item)?) {
            let name = HeaderName::try_from(key.get()).map_err(|_| {
                self.complain(key.span(), format!("{:?} is not the name of a header", key.get()))
            })?;
            let text = self.text(key, item)?;
            let value = match text.value.strip_prefix(VARIABLE) {
                Some(variable) => Header::Variable(variable.to_owned()),
                None if KEY_HEADERS.iter().any(|part| name.as_str().contains(part)) => {
                    let complaint = format!("a key does not belong in this file: headers.{name}");
                    let hint = format!("name a variable that holds it: {name} = \"env:NAME\"");
                    return Err(self.at(text.line, complaint).hint(hint));
                }
                None => Header::Text(text.value),
            };
            headers.push((name, Located { value, line: text.line }));
        }
        Ok(headers)
    }

    fn table<'t>(&self, key: &Key, item: &'t Item) -> Result<&'t dyn TableLike, Failure> {
        item.as_table_like().ok_or_else(|| self.wrong(key, "a table"))
    }

    fn unknown(&self, key: &Key, prefix: &str, known: &[&str]) -> Failure {
        let failure = self.complain(key.span(), format!("unknown key `{prefix}{}`", key.get()));
        match nearest(key.get(), known.iter().copied()) {
            Some(near) => failure.hint(format!("did you mean `{prefix}{near}`?")),
            None => failure.hint(format!("known keys are {}", known.join(", "))),
        }
    }

    fn wrong(&self, key: &Key, wanted: &str) -> Failure {
        self.complain(key.span(), format!("`{}` is to be {wanted}", key.get()))
    }

    fn complain(&self, span: Option<std::ops::Range<usize>>, what: String) -> Failure {
        self.at(self.line(span), what)
    }

    fn at(&self, line: usize, what: String) -> Failure {
        Failure::new(ErrorKind::Config, format!("{} line {line}: {what}", self.path.display()))
    }

    fn line(&self, span: Option<std::ops::Range<usize>>) -> usize {
        let start = span.map_or(0, |span| span.start).min(self.text.len());
        1 + self.text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count()
    }
}

/// Returns the entries of a table with their keys, which know where they stand.
fn entries(table: &dyn TableLike) -> impl Iterator<Item = (&Key, &Item)> {
    table.iter().filter_map(move |(name, _)| table.get_key_value(name))
}

/// Returns the text of a configuration with one setting changed; everything else keeps its form.
///
/// # Errors
/// Fails with kind `usage` for a name that no setting has, and with kind `config` for a value it cannot have.
pub(crate) fn changed(text: &str, path: &Path, key: &str, value: &str) -> Result<String, Failure> {
    Config::parse(text, path)?;
    let mut document: toml_edit::DocumentMut = text
        .parse()
        .map_err(|_| Failure::new(ErrorKind::Config, format!("{} is not valid TOML", path.display())))?;
    match parse_key(key)? {
        Setting::Top(name) => put(document.as_table_mut(), name, value.into()),
        Setting::Record(name) => {
            let missing = || Failure::new(ErrorKind::Config, "`record` is to be a table");
            let record = document["record"].or_insert(Item::Table(Table::new()));
            put(record.as_table_like_mut().ok_or_else(missing)?, name, value.into());
        }
        Setting::Budget(name) => {
            let missing = || Failure::new(ErrorKind::Config, "`budget` is to be a table");
            let table = document.as_table_mut().entry("budget").or_insert(Item::Table(Table::new()));
            let mut table = table.as_table_like_mut().ok_or_else(missing)?;
            let mut name = name;
            if let Some(provider) = name.strip_prefix("providers.") {
                let providers = table.entry("providers").or_insert(Item::Table(Table::new()));
                (table, name) = (providers.as_table_like_mut().ok_or_else(missing)?, provider);
            }
            put(table, name, value.into());
        }
        Setting::Field { provider, field } => {
            let value = match field {
                "local" => value
                    .parse::<bool>()
                    .map_err(|_| Failure::new(ErrorKind::Config, format!("{key} is to be true or false")))?
                    .into(),
                "api_key_command" => value.split_whitespace().collect::<toml_edit::Array>().into(),
                _ => value.into(),
            };
            let missing = || Failure::new(ErrorKind::Config, "`providers` is to be a table");
            let providers = document["providers"].or_insert(Item::Table(implicit()));
            let providers = providers.as_table_like_mut().ok_or_else(missing)?;
            let section = providers.entry(provider).or_insert(Item::Table(Table::new()));
            put(section.as_table_like_mut().ok_or_else(missing)?, field, value);
        }
    }
    let text = document.to_string();
    Config::parse(&text, path)?;
    Ok(text)
}

/// Sets a value, and keeps the blanks and the comments around the one it replaces.
fn put(table: &mut dyn TableLike, key: &str, mut value: Value) {
    match table.get_mut(key) {
        Some(item) => {
            if let Some(old) = item.as_value() {
                *value.decor_mut() = old.decor().clone();
            }
            *item = Item::Value(value);
        }
        None => {
            table.insert(key, Item::Value(value));
        }
    }
}

fn implicit() -> Table {
    let mut table = Table::new();
    table.set_implicit(true);
    table
}

/// A setting by its name.
pub(crate) enum Setting<'a> {
    /// `model` or `store`
    Top(&'a str),
    /// `record.wire`
    Record(&'a str),
    /// `budget.send`, `budget.session`, `budget.day` or `budget.providers.NAME`, without the first word
    Budget(&'a str),
    /// `providers.NAME.FIELD`
    Field { provider: &'a str, field: &'a str },
}

/// Reads the name of a setting.
///
/// # Errors
/// Fails with kind `usage` for a name that no setting has.
pub(crate) fn parse_key(key: &str) -> Result<Setting<'_>, Failure> {
    if ["model", "store"].contains(&key) {
        return Ok(Setting::Top(key));
    }
    if let Some(name @ "wire") = key.strip_prefix("record.") {
        return Ok(Setting::Record(name));
    }
    if let Some(name) = key.strip_prefix("budget.") {
        let provider = name.strip_prefix("providers.").filter(|provider| !provider.is_empty());
        if BUDGETS.contains(&name) || provider.is_some() {
            return Ok(Setting::Budget(name));
        }
    }
    let rest = key.strip_prefix("providers.").and_then(|rest| rest.rsplit_once('.'));
    let Some((provider, field)) = rest.filter(|(provider, _)| !provider.is_empty()) else {
        let failure = Failure::new(ErrorKind::Usage, format!("there is no setting `{key}`"));
        return Err(failure.hint("settings are `model`, `store`, `record.wire`, `budget.send|session|day`, `budget.providers.NAME` and `providers.NAME.FIELD`"));
    };
    if KEY_FIELDS.contains(&field) {
        let failure = Failure::new(ErrorKind::Usage, "a key does not belong in the configuration file");
        return Err(failure.hint(format!("run `aichat keys set {provider}`")));
    }
    if !FIELDS.contains(&field) {
        let failure = Failure::new(ErrorKind::Usage, format!("there is no setting `{key}`"));
        return Err(match nearest(field, FIELDS.iter().copied()) {
            Some(near) => failure.hint(format!("did you mean `providers.{provider}.{near}`?")),
            None => failure.hint(format!("a provider has the fields {}", FIELDS.join(", "))),
        });
    }
    Ok(Setting::Field { provider, field })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(text: &str) -> String {
        match Config::parse(text, Path::new("aichat.toml")) {
            Err(Failure::Error(report)) => {
                assert_eq!(report.kind, ErrorKind::Config);
                format!("{} | {}", report.message, report.hint.unwrap_or_default())
            }
            _ => panic!("accepted: {text}"),
        }
    }

    #[test]
    fn every_documented_field_is_read() {
        let text = r#"
model = "work/some/model"
[providers.work]
protocol = "openai-chat"
base_url = "http://127.0.0.1:8080/v1"
api_key_env = "WORK_KEY"
api_key_command = ["pass", "work"]
profile = "openrouter"
local = true
api_version = "2024-10-21"
headers = { "X-Team" = "blue", Authorization = "env:GATEWAY" }
"#;
        let Ok(config) = Config::parse(text, Path::new("aichat.toml")) else { panic!("refused") };
        let model = config.model.unwrap();
        assert_eq!((model.value.as_str(), model.line), ("work/some/model", 2));
        let work = &config.providers["work"];
        assert_eq!(work.line, 3);
        assert_eq!(work.protocol.as_ref().unwrap().value, Protocol::OpenaiChat);
        assert_eq!(work.api_key_command.as_ref().unwrap().value, ["pass", "work"]);
        assert_eq!((work.local.as_ref().unwrap().value, work.local.as_ref().unwrap().line), (true, 9));
        let headers: Vec<String> =
            work.headers.iter().map(|(name, value)| format!("{name}: {}", value.value)).collect();
        assert_eq!(headers, ["x-team: blue", "authorization: env:GATEWAY"]);
    }

    #[test]
    fn complaints_name_line_and_cure() {
        insta::assert_snapshot!([
            "modle = \"a/b\"",
            "model = \"a/b\"\n\n[providers.w]\nbase_ulr = \"http://x\"",
            "[providers.w]\nzzz = 1",
            "[providers.w]\nprotocol = \"openai_chat\"",
            "[providers.w]\nbase_url = \"localhost:1\"",
            "[providers.w]\nlocal = \"yes\"",
            "[providers.w]\napi_key_command = \"pass\"",
            "[providers.w]\nprofile = \"gpt\"",
            "model = \"gpt\"",
            "model = 1",
            "\n\nmodel = ",
            "[providers.\"a/b\"]",
        ].map(complaint).join("\n"), @r#"
    aichat.toml line 1: unknown key `modle` | did you mean `model`?
    aichat.toml line 4: unknown key `providers.w.base_ulr` | did you mean `providers.w.base_url`?
    aichat.toml line 2: unknown key `providers.w.zzz` | known keys are protocol, base_url, api_key_env, api_key_command, headers, profile, local, api_version
    aichat.toml line 2: protocol = "openai_chat" is unknown | did you mean "openai-chat"?
    aichat.toml line 2: base_url begins with neither http:// nor https:// | 
    aichat.toml line 2: `local` is to be true or false | 
    aichat.toml line 2: `api_key_command` is to be a list of words, ["pass", "work"] for example | 
    aichat.toml line 2: profile = "gpt" is unknown | use one of openrouter, groq, deepseek, mistral, xai, llamacpp, vllm, lmstudio
    aichat.toml line 1: model = "gpt" is not of the form provider/model | 
    aichat.toml line 1: `model` is to be text in quotes | 
    aichat.toml line 3: string values must be quoted, expected literal string | 
    aichat.toml line 1: a provider's name holds no slash, colon or blank |
    "#);
    }

    #[test]
    fn a_key_in_the_file_is_refused_and_not_repeated() {
        let text = complaint("[providers.work]\napi_key = \"sk-very-secret-value\"");
        assert!(text.contains("line 2: a key does not belong in this file"), "{text}");
        assert!(text.contains("aichat keys set work") && !text.contains("sk-very"), "{text}");
        for header in ["Authorization", "x-auth-token", "Proxy-Authorization", "helicone-auth", "my-api-key"]
        {
            let text = complaint(&format!("[providers.work]\nheaders = {{ {header} = \"sk-very-secret\" }}"));
            assert!(
                text.contains("a key does not belong in this file") && !text.contains("sk-very"),
                "{text}"
            );
        }
        let broken = complaint("[providers.work]\napi_key = \"sk-very-secret-value");
        assert!(!broken.contains("sk-very"), "{broken}");
    }

    #[test]
    fn a_change_keeps_the_rest_of_the_file() {
        let text = "# mine\nmodel = \"a/b\" # best\n\n[providers.w]\nprotocol = \"openai-chat\"\n";
        let path = Path::new("aichat.toml");
        let change = |text: &str, key, value| changed(text, path, key, value).map_err(|f| f.code());
        let text = change(text, "providers.w.local", "true").unwrap();
        let text = change(&text, "providers.new.base_url", "http://x/v1").unwrap();
        let text = change(&text, "model", "new/m").unwrap();
        insta::assert_snapshot!(text, @r#"
        # mine
        model = "new/m" # best

        [providers.w]
        protocol = "openai-chat"
        local = true

        [providers.new]
        base_url = "http://x/v1"
        "#);
        assert_eq!(change(&text, "providers.w.api_key", "sk"), Err(2));
        assert_eq!(change(&text, "nonsense", "x"), Err(2));
        assert_eq!(change(&text, "model", "x"), Err(78));
    }
}
