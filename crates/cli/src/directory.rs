//! Which providers there are: built in, configured, or named by the environment.

use std::net::Ipv4Addr;

use aichat_engine::Unnamed;
use aichat_message::{ErrorKind, Protocol};
use http::HeaderName;

use crate::config::{Config, Header, Located, Section};
use crate::env::Env;
use crate::failure::Failure;

/// A provider known without configuration.
struct BuiltIn {
    name: &'static str,
    protocol: Protocol,
    base_url: &'static str,
    url_variable: Option<&'static str>,
    key_variables: &'static [&'static str],
    profile: Option<&'static str>,
    /// What is used where only a key says which provider is meant.
    default_model: Option<&'static str>,
}

/// The providers known without configuration, in the order in which one is chosen where none is named.
const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "openai",
        protocol: Protocol::OpenaiResponses,
        base_url: "https://api.openai.com/v1",
        url_variable: Some("OPENAI_BASE_URL"),
        key_variables: &["OPENAI_API_KEY"],
        profile: None,
        default_model: Some("gpt-6-luna"),
    },
    BuiltIn {
        name: "anthropic",
        protocol: Protocol::Anthropic,
        base_url: "https://api.anthropic.com",
        url_variable: Some("ANTHROPIC_BASE_URL"),
        key_variables: &["ANTHROPIC_API_KEY"],
        profile: None,
        default_model: Some("claude-haiku-5-5"),
    },
    BuiltIn {
        name: "gemini",
        protocol: Protocol::Gemini,
        base_url: "https://generativelanguage.googleapis.com",
        url_variable: None,
        key_variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        profile: None,
        default_model: Some("gemini-3.8-flash"),
    },
    BuiltIn {
        name: "azure",
        protocol: Protocol::AzureChat,
        base_url: "",
        url_variable: Some("AZURE_OPENAI_ENDPOINT"),
        key_variables: &["AZURE_OPENAI_API_KEY"],
        profile: None,
        default_model: None,
    },
    BuiltIn {
        name: "openrouter",
        protocol: Protocol::OpenaiChat,
        base_url: "https://openrouter.ai/api/v1",
        url_variable: None,
        key_variables: &["OPENROUTER_API_KEY"],
        profile: Some("openrouter"),
        default_model: Some("openrouter/auto"),
    },
    BuiltIn {
        name: "groq",
        protocol: Protocol::OpenaiChat,
        base_url: "https://api.groq.com/openai/v1",
        url_variable: None,
        key_variables: &["GROQ_API_KEY"],
        profile: Some("groq"),
        default_model: Some("llama-3.3-70b-versatile"),
    },
    BuiltIn {
        name: "mistral",
        protocol: Protocol::OpenaiChat,
        base_url: "https://api.mistral.ai/v1",
        url_variable: None,
        key_variables: &["MISTRAL_API_KEY"],
        profile: Some("mistral"),
        default_model: Some("mistral-small-latest"),
    },
    BuiltIn {
        name: "deepseek",
        protocol: Protocol::OpenaiChat,
        base_url: "https://api.deepseek.com/v1",
        url_variable: None,
        key_variables: &["DEEPSEEK_API_KEY"],
        profile: Some("deepseek"),
        default_model: None,
    },
    BuiltIn {
        name: "xai",
        protocol: Protocol::OpenaiChat,
        base_url: "https://api.x.ai/v1",
        url_variable: None,
        key_variables: &["XAI_API_KEY"],
        profile: Some("xai"),
        default_model: Some("grok-4.3"),
    },
    BuiltIn {
        name: "ollama",
        protocol: Protocol::Ollama,
        base_url: "http://127.0.0.1:11434",
        url_variable: Some("OLLAMA_HOST"),
        key_variables: &[],
        profile: None,
        default_model: None,
    },
    BuiltIn {
        name: "llamacpp",
        protocol: Protocol::OpenaiChat,
        base_url: "http://127.0.0.1:8080/v1",
        url_variable: None,
        key_variables: &[],
        profile: Some("llamacpp"),
        default_model: None,
    },
    BuiltIn {
        name: "lmstudio",
        protocol: Protocol::OpenaiChat,
        base_url: "http://127.0.0.1:1234/v1",
        url_variable: None,
        key_variables: &[],
        profile: Some("lmstudio"),
        default_model: None,
    },
];

/// A provider as it will be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The name sessions and `-m` use.
    pub(crate) name: String,
    /// What it speaks.
    pub(crate) protocol: Protocol,
    /// Where it is, user info included.
    pub(crate) base_url: String,
    /// Variables that may hold its key, in this order.
    pub(crate) key_variables: Vec<String>,
    /// A command that prints its key.
    pub(crate) key_command: Option<Vec<String>>,
    /// The variable that may say where it is.
    pub(crate) url_variable: Option<&'static str>,
    /// Whether it cannot be used without a key.
    pub(crate) needs_key: bool,
    /// Headers that go with every request.
    pub(crate) headers: Vec<(HeaderName, Header)>,
    /// The date of the API, where addresses carry one.
    pub(crate) api_version: Option<String>,
    /// Quirks of the server.
    pub(crate) profile: Option<String>,
    /// Whether its calls cost nothing.
    pub(crate) local: bool,
    /// What to ask for where no model is named.
    pub(crate) default_model: Option<String>,
    /// Whether a file or a variable speaks of it, apart from its key.
    pub(crate) configured: bool,
    /// Who says where it is.
    pub(crate) origin: Origin,
}

/// Who says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This program.
    BuiltIn,
    /// A line of the configuration file.
    File(usize),
    /// A variable of the environment.
    Variable(&'static str),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::File(line) => write!(f, "file line {line}"),
            Self::Variable(name) => write!(f, "environment {name}"),
        }
    }
}

/// Every provider that can be named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory(Vec<Entry>);

impl Directory {
    /// Puts together what the program, the file and the environment say.
    ///
    /// # Errors
    /// Fails with kind `config` where a section lacks what it needs.
    pub(crate) fn of(config: &Config, env: &Env) -> Result<Self, Failure> {
        let mut entries = Vec::new();
        for known in BUILT_IN {
            entries.push(known.entry(config.providers.get(known.name), env));
        }
        for (name, section) in &config.providers {
            if BUILT_IN.iter().all(|known| known.name != name) {
                entries.push(section.entry(name)?);
            }
        }
        Ok(Self(entries))
    }

    /// Returns every provider.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// Returns the name of every provider.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|entry| entry.name.as_str()).collect()
    }

    /// Returns the provider of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.name == name)
    }

    /// Returns the provider of that name.
    ///
    /// # Errors
    /// Fails with kind `not_found`, saying which name was probably meant.
    pub(crate) fn find(&self, name: &str) -> Result<&Entry, Failure> {
        self.get(name).ok_or_else(|| Unnamed::provider(name, &self.names()).into())
    }
}

impl BuiltIn {
    /// Tells whether people run this server on their own machine.
    fn is_local(&self) -> bool {
        self.base_url.starts_with("http://127.0.0.1:")
    }

    fn entry(&self, section: Option<&Section>, env: &Env) -> Entry {
        let said = section.and_then(|section| section.base_url.as_ref());
        let named = self.url_variable.and_then(|name| Some((name, env.text(name)?)));
        let (base_url, origin) = match (named, said) {
            (Some((name, url)), _) => (url, Origin::Variable(name)),
            (None, Some(url)) => (url.value.clone(), Origin::File(url.line)),
            (None, None) => (self.base_url.to_owned(), Origin::BuiltIn),
        };
        let ours = base_url.trim_end_matches('/') == self.base_url;
        let key_env = section.and_then(|section| section.api_key_env.as_ref());
        let key_command = section.and_then(|section| section.api_key_command.as_ref());
        let protocol = section.and_then(|section| section.protocol.as_ref());
        let usual = match (&self.protocol, ours) {
            // Who takes OpenAI's place speaks Chat Completions, and seldom more.
            (Protocol::OpenaiResponses, false) => &Protocol::OpenaiChat,
            (protocol, _) => protocol,
        };
        let protocol = protocol.map_or_else(|| usual.clone(), |protocol| protocol.value.clone());
        let base_url = match (self.name, &protocol) {
            ("ollama", Protocol::Ollama) => ollama(&base_url),
            ("ollama", _) => format!("{}/v1", ollama(&base_url)),
            _ => base_url,
        };
        Entry {
            name: self.name.to_owned(),
            protocol,
            base_url,
            key_variables: match key_env {
                Some(name) => vec![name.value.clone()],
                None => self.key_variables.iter().map(|name| (*name).to_owned()).collect(),
            },
            key_command: key_command.map(|command| command.value.clone()),
            url_variable: self.url_variable,
            needs_key: (ours && !self.key_variables.is_empty())
                // Every resource on Azure has an address of its own.
                || self.base_url.is_empty()
                || key_env.is_some() || key_command.is_some(),
            headers: section.map(Section::headers).unwrap_or_default(),
            api_version: section.and_then(|section| section.api_version.as_ref()).map(Located::owned),
            profile: section
                .and_then(|section| section.profile.as_ref())
                .map(|profile| profile.value.clone())
                .or_else(|| self.profile.map(str::to_owned)),
            local: section
                .and_then(|section| section.local.as_ref())
                .map_or(self.is_local(), |local| local.value),
            default_model: self.default_model.filter(|_| ours).map(str::to_owned),
            configured: section.is_some() || origin != Origin::BuiltIn,
            origin,
        }
    }
}

impl Section {
    fn headers(&self) -> Vec<(HeaderName, Header)> {
        self.headers.iter().map(|(name, value)| (name.clone(), value.owned())).collect()
    }

    fn entry(&self, name: &str) -> Result<Entry, Failure> {
        let missing = |field: &str| {
            let what = format!("providers.{name} (line {} of the configuration) has no {field}", self.line);
            Failure::new(ErrorKind::Config, what)
                .hint(format!("run `aichat settings set providers.{name}.{field} …`"))
        };
        let base_url = self.base_url.as_ref().ok_or_else(|| missing("base_url"))?;
        Ok(Entry {
            name: name.to_owned(),
            protocol: self.protocol.as_ref().ok_or_else(|| missing("protocol"))?.value.clone(),
            base_url: base_url.value.clone(),
            key_variables: self.api_key_env.iter().map(|name| name.value.clone()).collect(),
            key_command: self.api_key_command.as_ref().map(|command| command.value.clone()),
            url_variable: None,
            needs_key: self.api_key_env.is_some() || self.api_key_command.is_some(),
            headers: self.headers(),
            api_version: self.api_version.as_ref().map(Located::owned),
            profile: self.profile.as_ref().map(Located::owned),
            local: self.local.as_ref().is_some_and(|local| local.value),
            default_model: None,
            configured: true,
            origin: Origin::File(self.line),
        })
    }
}

impl Entry {
    /// Returns where the provider is, without user info.
    pub(crate) fn place(&self) -> String {
        let scheme = self.base_url.split_once("://").map_or("", |(scheme, _)| scheme);
        format!("{scheme}{}{}", if scheme.is_empty() { "" } else { "://" }, self.public())
    }

    /// Returns host and port.
    pub(crate) fn host(&self) -> &str {
        self.public().split('/').next().unwrap_or_default()
    }

    /// Tells whether the provider runs on this machine.
    pub(crate) fn is_here(&self) -> bool {
        is_here(self.host())
    }

    /// Returns host and path. Whatever stands before the last `@` is user info, even where a slash in it makes the
    /// address invalid: it shall not be shown.
    fn public(&self) -> &str {
        let rest = self.base_url.split_once("://").map_or(&*self.base_url, |(_, rest)| rest);
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        rest.split(['?', '#']).next().unwrap_or_default()
    }
}

/// Tells whether a host, perhaps with a port, is this machine.
pub(crate) fn is_here(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost"
        || name == "[::1]"
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// Returns the variable that usually holds a provider's key.
pub(crate) fn key_variable(provider: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|known| known.name == provider)?.key_variables.first().copied()
}

/// Returns every variable that usually holds a key.
pub(crate) fn key_variables<'a>() -> impl Iterator<Item = &'a str> {
    BUILT_IN.iter().flat_map(|known| known.key_variables).copied()
}

/// Returns the address of an Ollama server named the way its own variable names it: host, port, scheme and path each
/// optional, and the address to listen on as well as the one to connect to. The path of a protocol is left out.
fn ollama(host: &str) -> String {
    let (scheme, rest) = host.split_once("://").map_or((None, host), |(scheme, rest)| (Some(scheme), rest));
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let port = match scheme {
        Some("http") => 80,
        Some("https") => 443,
        _ => 11434,
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, digits)) if digits.parse::<u16>().is_ok() => (host, digits.to_owned()),
        _ => (authority, port.to_string()),
    };
    let host = match host {
        "" | "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    let path = path.trim_end_matches('/');
    let path = ["/v1", "/api"].iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
    format!("{}://{host}:{port}{path}", scheme.unwrap_or("http"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn directory<const N: usize>(text: &str, env: [(&'static str, &'static str); N]) -> Directory {
        let Ok(config) = Config::parse(text, Path::new("aichat.toml")) else { panic!("{text}") };
        Directory::of(&config, &Env::of(env)).unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn ollama_is_found_however_its_variable_is_written() {
        for (host, url) in [
            ("", "http://127.0.0.1:11434"),
            ("127.0.0.1", "http://127.0.0.1:11434"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            (":8000", "http://127.0.0.1:8000"),
            ("box:8000", "http://box:8000"),
            ("http://box", "http://box:80"),
            ("https://box/ollama/", "https://box:443/ollama"),
            ("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434"),
            ("http://127.0.0.1:11434/api/", "http://127.0.0.1:11434"),
            ("[::]:9", "http://[::1]:9"),
        ] {
            assert_eq!(ollama(host), url, "{host:?}");
        }
    }

    #[test]
    fn a_server_of_ones_own_needs_no_key() {
        assert!(directory("", []).get("openai").unwrap().needs_key);
        let own = directory("", [("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")]);
        let openai = own.get("openai").unwrap();
        assert!(!openai.needs_key && openai.configured && openai.default_model.is_none());
        assert_eq!(openai.origin, Origin::Variable("OPENAI_BASE_URL"));
        assert!(
            directory("", [("OPENAI_BASE_URL", "https://api.openai.com/v1/")])
                .get("openai")
                .unwrap()
                .needs_key
        );
    }

    #[test]
    fn the_environment_goes_before_the_file_and_the_file_before_the_program() {
        let text = "[providers.openai]\nbase_url = \"http://file/v1\"\n";
        assert_eq!(directory(text, []).get("openai").unwrap().base_url, "http://file/v1");
        let both = directory(text, [("OPENAI_BASE_URL", "http://env/v1")]);
        assert_eq!(both.get("openai").unwrap().base_url, "http://env/v1");
    }

    #[test]
    fn a_new_provider_needs_a_protocol_and_an_address() {
        for text in ["[providers.w]\nprotocol = \"openai-chat\"", "[providers.w]\nbase_url = \"http://x\""] {
            let Ok(config) = Config::parse(text, Path::new("aichat.toml")) else { panic!("{text}") };
            assert!(
                Directory::of(&config, &Env::of([])).is_err_and(|failure| failure.code() == 78),
                "{text}"
            );
        }
    }

    #[test]
    fn places_are_shown_without_user_info() {
        for url in ["http://user:pa@ss@host:1/v1?key=secret", "http://user:pa/ss@host:1/v1"] {
            let url = directory(&format!("[providers.openai]\nbase_url = {url:?}"), []);
            let entry = url.get("openai").unwrap();
            assert_eq!((entry.place().as_str(), entry.host()), ("http://host:1/v1", "host:1"));
        }
    }

    #[test]
    fn what_is_used_by_default_is_a_known_model() {
        let catalog = aichat_catalog::Catalog::builtin();
        for known in BUILT_IN.iter().filter(|known| known.name != "openrouter") {
            if let Some(model) = known.default_model {
                assert!(catalog.model(known.name, model).is_some(), "{}/{model}", known.name);
            }
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let directory = directory("", []);
        let Err(Failure::Error(report)) = directory.find("opnai") else { panic!("found") };
        assert_eq!(report.hint.as_deref(), Some("did you mean \"openai\"?"));
    }
}
