//! The configuration and the keys that it names.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use super::{Findings, Section, Verdict};
use crate::commands::Context;
use crate::config::Config;
use crate::directory::{Directory, Origin};
use crate::keys::Keys;
use crate::paths::Paths;

/// Looks at the configuration, and returns the providers it names, or those known without it. Tells as well whether it
/// could be read.
pub(super) fn look(context: &Context, paths: Option<&Paths>, findings: &mut Findings) -> (Directory, bool) {
    let none = || Directory::of(&Config::default(), &context.env).unwrap_or_default();
    let Some(paths) = paths else { return (none(), false) };
    let file = &paths.config_file;
    let shown = file.display();
    let edit = format!("${{EDITOR:-vi}} {shown}");
    let config = match Config::load(file, paths.config_named) {
        Ok(config) => config,
        Err(failure) => {
            findings.failed(Section::Config, "file", failure, edit);
            findings.note(Section::Config, "file", "the rest is looked at as if there were no such file");
            return (none(), false);
        }
    };
    match std::fs::metadata(file) {
        Err(_) => findings.ok(Section::Config, "file", format!("there is no {shown}, and none is needed")),
        Ok(about) if about.permissions().mode() & 0o022 != 0 => {
            let what = format!("others can change {shown}, and with it the commands that it names");
            findings.problem(Section::Config, "file", what, format!("chmod go-w {shown}"));
        }
        Ok(_) => findings.ok(Section::Config, "file", shown.to_string()),
    }
    if let Err(failure) = context.catalog() {
        let path = paths.config.join("models.json");
        findings.failed(
            Section::Config,
            "models.json",
            failure,
            format!("${{EDITOR:-vi}} {}", path.display()),
        );
    }
    let directory = match Directory::of(&config, &context.env) {
        Ok(directory) => directory,
        Err(failure) => {
            findings.failed(Section::Config, "providers", failure, edit);
            return (none(), false);
        }
    };
    match &config.model {
        Some(model) => {
            let provider = model.value.split('/').next().unwrap_or_default();
            match directory.find(provider) {
                Ok(_) => findings.ok(Section::Config, "model", model.value.clone()),
                Err(failure) => {
                    let fix = "aichat settings set model PROVIDER/MODEL";
                    findings.failed(Section::Config, "model", failure, fix);
                }
            }
        }
        None => findings.ok(Section::Config, "model", "none is named; one is chosen by the keys there are"),
    }
    for entry in directory.entries() {
        let said = config.providers.get(&entry.name).and_then(|section| section.base_url.as_ref());
        if let (Origin::Variable(name), Some(said)) = (&entry.origin, said) {
            let what = format!("{name} goes before base_url in line {} of the configuration", said.line);
            findings.note(Section::Config, &*entry.name, what);
            findings.fix(format!("unset {name}"));
        }
    }
    (directory, true)
}

/// Looks at the file of keys, and for keys of which there are several.
pub(super) fn keys(context: &Context, paths: Option<&Paths>, directory: &Directory, findings: &mut Findings) {
    let Some(paths) = paths else { return };
    let keys = Keys { env: &context.env, file: &paths.keys };
    let shown = paths.keys.display();
    let kept = match keys.kept() {
        Ok(kept) => kept,
        Err(failure) => {
            let fix = match failure.kind() {
                Some(_) if paths.keys.is_symlink() => format!("mv \"$(realpath {shown})\" {shown}"),
                _ if is_public(&paths.keys) => format!("chmod 600 {shown}"),
                _ => format!("mv {shown} {shown}.old"),
            };
            findings.failed(Section::Keys, "file", failure, fix);
            BTreeMap::new()
        }
    };
    match kept.len() {
        0 if paths.keys.exists() => {}
        0 => findings.ok(Section::Keys, "file", "no key is kept"),
        1 => findings.ok(Section::Keys, "file", format!("{shown}, 1 key")),
        count => findings.ok(Section::Keys, "file", format!("{shown}, {count} keys")),
    }
    for name in kept.keys().filter(|name| directory.get(name).is_none()) {
        findings.note(Section::Keys, name.as_str(), "a key is kept for a provider that there is not");
        findings.fix(format!("aichat keys remove {name}"));
    }
    if kept.values().any(|is_in_keyring| *is_in_keyring) {
        match crate::keys::keyring(&context.env) {
            Ok(()) => findings.ok(Section::Keys, "keyring", "it answers"),
            Err(why) => {
                let fix = "aichat keys set PROVIDER --file";
                findings.problem(Section::Keys, "keyring", why, fix);
            }
        }
    }
    for entry in directory.entries() {
        let values: Vec<(&String, String)> =
            entry.key_variables.iter().filter_map(|name| Some((name, context.env.text(name)?))).collect();
        if let [(first, value), rest @ ..] = &values[..]
            && let Some((other, _)) = rest.iter().find(|(_, other)| other != value)
        {
            let what = format!("{first} and {other} hold different keys; {first} counts");
            findings.add(Section::Keys, Verdict::Note, &*entry.name, what);
            findings.fix(format!("unset {other}"));
        }
        let sources = keys.sources(entry).unwrap_or_default();
        if let [first, rest @ ..] = &sources[..]
            && let Some(other) = rest.iter().find(|other| other.word() != first.word())
        {
            let what =
                format!("the key from the {} counts, not that from the {}", first.word(), other.word());
            findings.note(Section::Keys, &*entry.name, what);
        }
    }
}

fn is_public(path: &std::path::Path) -> bool {
    std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o077 != 0)
}
