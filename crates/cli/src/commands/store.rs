//! `store`: look after the place where sessions are kept.

use super::Context;
use crate::args;
use crate::assemble;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(context: &Context, args: args::Store) -> Result<u8, Failure> {
    let args::Store::Rebuild = args;
    let engine = assemble::archive(context)?;
    let mut output = Output::stdout()?;
    context.runtime()?.block_on(async {
        let rebuilt = engine.rebuild().await?;
        engine.shutdown().await?;
        match context.global.json {
            true => output.object("aichat.rebuilt/1", &rebuilt)?,
            false => output
                .line(&format!("rebuilt {} sessions from {} events", rebuilt.sessions, rebuilt.events))?,
        }
        output.finish()?;
        Ok(exit::OK)
    })
}
