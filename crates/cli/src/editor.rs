//! The person's own editor, for what is longer than a line.

use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use aichat_message::ErrorKind;

use crate::env::Env;
use crate::failure::Failure;

/// Lets the person change a text in an editor, and returns it without blanks at its end. `instead` is what to do where
/// that is not possible.
///
/// # Errors
/// Fails with kind `usage` where there is no terminal, with kind `config` where no editor is known, with kind `input`
/// where the editor fails, and with kind `store` where there is no place for the text.
pub(crate) fn edit(env: &Env, text: &str, instead: &str) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::new(ErrorKind::Usage, "there is no terminal to edit on").hint(instead));
    }
    let Some(editor) = ["VISUAL", "EDITOR"].iter().find_map(|name| env.text(name)) else {
        let failure = Failure::new(ErrorKind::Config, "no editor is known");
        return Err(failure.hint(format!("set EDITOR, or {instead}")));
    };
    let path = std::env::temp_dir().join(format!("aichat-edit-{}.md", std::process::id()));
    let failed = |what, error| Failure::file(ErrorKind::Store, what, &path, &error);
    let file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    let edited = written.map_err(|error| failed("cannot write", error)).and_then(|()| {
        let mut shell = Command::new("sh");
        // What is printed by the editor is not the answer.
        shell.stdout(std::io::stderr());
        let status = shell.arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(&path).status();
        match status {
            Ok(status) if status.success() => {
                std::fs::read_to_string(&path).map_err(|error| failed("cannot read", error))
            }
            _ => Err(Failure::new(ErrorKind::Input, format!("the editor {editor:?} failed")).hint(instead)),
        }
    });
    // What was written there is nobody else's to read.
    let _ = std::fs::remove_file(&path);
    Ok(edited?.trim_end().to_owned())
}
