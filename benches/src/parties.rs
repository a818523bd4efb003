//! Who takes part: aichat itself, and the peers that are installed.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use aichat_mock::Mock;

/// A key as long as real ones are, so that it is looked for like one in everything recorded.
const KEY: &str = "sk-proj-Zq8sWn3xLk29fJhTvB7cRpYmDg5aQe-bench";

/// The programs that were found.
pub(crate) struct Parties {
    aichat: PathBuf,
    curl: Option<PathBuf>,
    peer: Option<PathBuf>,
    llm: Option<PathBuf>,
}

impl Parties {
    /// Looks for aichat beside this program (or at `AICHAT_BIN`) and for the peers on `PATH` (`AICHAT_PEER`: the
    /// other aichat, `LLM_PEER`: llm), and says which are missing.
    ///
    /// # Errors
    /// Where aichat has not been built.
    pub(crate) fn find() -> Result<Parties, Box<dyn Error>> {
        let aichat = match env::var_os("AICHAT_BIN") {
            Some(path) => path.into(),
            None => env::current_exe()?.with_file_name("aichat"),
        };
        if !aichat.is_file() {
            return Err(
                format!("{} is not there: cargo build --release -p aichat-cli", aichat.display()).into()
            );
        }
        let named = |variable: &str| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file());
        let parties = Parties {
            aichat,
            curl: on_path("curl"),
            peer: named("AICHAT_PEER"),
            llm: named("LLM_PEER").or_else(|| on_path("llm")),
        };
        let missing = [
            ("curl", &parties.curl),
            ("the other aichat (AICHAT_PEER)", &parties.peer),
            ("llm (LLM_PEER)", &parties.llm),
        ];
        for (name, _) in missing.iter().filter(|(_, path)| path.is_none()) {
            println!("{name}: not installed");
        }
        Ok(parties)
    }

    /// Returns aichat with `home` as its home directory and the mock as its only server.
    pub(crate) fn aichat(&self, home: &Path, mock: Option<&Mock>) -> Command {
        let mut command = quiet(&self.aichat, home);
        if let Some(mock) = mock {
            command.env("OPENAI_BASE_URL", mock.url()).env("OPENAI_API_KEY", KEY);
        }
        command
    }

    /// Returns aichat ready to send `prompt` to the mock's `workload`.
    pub(crate) fn send(&self, home: &Path, mock: &Mock, workload: &str, prompt: &str) -> Command {
        let mut command = self.aichat(home, Some(mock));
        command.args(["send", "-q", "-m", &format!("openai/{workload}"), prompt]);
        command
    }

    /// Returns curl with arguments of its own.
    pub(crate) fn curl(&self, home: &Path) -> Option<Command> {
        self.curl.as_deref().map(|path| quiet(path, home))
    }

    /// Returns curl ready to ask the mock for `workload` and print the stream.
    pub(crate) fn curl_send(
        &self,
        home: &Path,
        mock: &Mock,
        workload: &str,
        prompt: &str,
    ) -> Option<Command> {
        let mut command = self.curl(home)?;
        let body = format!(
            r#"{{"model":"{workload}","stream":true,"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
        );
        let url = format!("{}/chat/completions", mock.url());
        command.args(["-sN", "-H", "content-type: application/json", "-d", &body, &url]);
        Some(command)
    }

    /// Returns the other aichat with `home` as its home directory.
    pub(crate) fn peer(&self, home: &Path) -> Option<Command> {
        let mut command = quiet(self.peer.as_deref()?, home);
        command.env("AICHAT_CONFIG_DIR", home);
        Some(command)
    }

    /// Returns the other aichat ready to ask the mock for `workload`; its configuration is written to `home`.
    ///
    /// # Errors
    /// Where the configuration cannot be written.
    pub(crate) fn peer_send(
        &self,
        home: &Path,
        mock: &Mock,
        workload: &str,
        prompt: &str,
    ) -> Result<Option<Command>, Box<dyn Error>> {
        let Some(mut command) = self.peer(home) else { return Ok(None) };
        let config = format!(
            "model: mock:{workload}\nclients:\n- type: openai-compatible\n  name: mock\n  api_base: {}\n  api_key: sk-bench\n  models:\n  - name: {workload}\n",
            mock.url()
        );
        fs::write(home.join("config.yaml"), config)?;
        command.arg(prompt);
        Ok(Some(command))
    }

    /// Returns llm with `home` as its home directory.
    pub(crate) fn llm(&self, home: &Path) -> Option<Command> {
        let mut command = quiet(self.llm.as_deref()?, home);
        command.env("LLM_USER_PATH", home);
        Some(command)
    }

    /// Returns llm ready to ask the mock for `workload`; its configuration is written to `home`.
    ///
    /// # Errors
    /// Where the configuration cannot be written.
    pub(crate) fn llm_send(
        &self,
        home: &Path,
        mock: &Mock,
        workload: &str,
        prompt: &str,
    ) -> Result<Option<Command>, Box<dyn Error>> {
        let Some(mut command) = self.llm(home) else { return Ok(None) };
        let models = format!(
            "- model_id: {workload}\n  model_name: {workload}\n  api_base: {}\n  api_key_name: mock\n",
            mock.url()
        );
        fs::write(home.join("extra-openai-models.yaml"), models)?;
        command.args(["-m", workload, "--key", "sk-bench", prompt]);
        Ok(Some(command))
    }
}

/// Returns a command that sees nothing of this machine's configuration.
fn quiet(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("HOME", home).env("NO_PROXY", "127.0.0.1");
    for name in ["CONFIG", "DATA", "STATE", "CACHE"] {
        command.env(format!("XDG_{name}_HOME"), home.join(name.to_lowercase()));
    }
    for name in [
        "AICHAT_CONFIG",
        "AICHAT_SCOPE",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "http_proxy",
        "HTTP_PROXY",
        "ALL_PROXY",
    ] {
        command.env_remove(name);
    }
    command
}

fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}
