//! `paths`: where everything is kept.

use std::path::Path;

use serde::Serialize;

use super::Context;
use crate::assemble;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Serialize)]
struct Places<'a> {
    config: &'a Path,
    config_file: &'a Path,
    keys: &'a Path,
    data: &'a Path,
    state: &'a Path,
    cache: &'a Path,
    store: String,
}

pub(crate) fn run(context: &Context) -> Result<u8, Failure> {
    let paths = context.paths()?;
    let store = assemble::location(context)?.to_string();
    let places = Places {
        config: &paths.config,
        config_file: &paths.config_file,
        keys: &paths.keys,
        data: &paths.data,
        state: &paths.state,
        cache: &paths.cache,
        store,
    };
    let mut output = Output::stdout()?;
    if context.global.json {
        output.object("aichat.paths/1", &places)?;
    } else {
        let rows = [
            ("config", places.config),
            ("config file", places.config_file),
            ("keys", places.keys),
            ("data", places.data),
            ("state", places.state),
            ("cache", places.cache),
        ];
        let rows = rows.map(|(name, path)| [name.to_owned(), path.display().to_string()]);
        output.columns(&[&rows[..], &[["store".to_owned(), places.store]]].concat())?;
    }
    output.finish()?;
    Ok(exit::OK)
}
