//! What `-f` names: a file, all files of a directory, an address.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use aichat_engine::{MAX_ATTACHMENT, block};
use aichat_message::{ErrorKind, Part, PartKind};

use crate::failure::Failure;
use crate::talk::Talk;

/// What to do about a file that cannot be attached.
const HINT: &str = "text, images, sound, video and PDF can be attached";
/// Most files a directory may hold to be attached.
const MOST_FILES: usize = 200;

/// Reads what is named, and gives it part by part.
///
/// Of a directory, every file whose name begins with no dot is taken, by name, directories in it included; what is
/// neither text nor media of a known kind is left out, and said to be.
///
/// # Errors
/// Fails with kind `input`, naming the file, where it cannot be read or attached.
pub(crate) fn read(named: &Path, talk: &Talk, mut push: impl FnMut(Part)) -> Result<(), Failure> {
    if let Some(url) =
        named.to_str().filter(|text| ["http://", "https://"].iter().any(|s| text.starts_with(s)))
    {
        let part = aichat_engine::link(url).map_err(|error| {
            Failure::from(error)
                .hint("the provider fetches it by itself; save anything else and attach the file")
        })?;
        push(part);
        return Ok(());
    }
    let about = fs::metadata(named).map_err(|error| unreadable(named, &error))?;
    if !about.is_dir() {
        push(file(named).map_err(|failure| failure.hint(HINT))?);
        return Ok(());
    }
    let mut files = Vec::new();
    list(named, &mut files)?;
    if files.len() > MOST_FILES {
        let what = format!("{} holds more than {MOST_FILES} files", named.display());
        return Err(Failure::new(ErrorKind::Input, what).hint("attach the files that matter"));
    }
    if files.is_empty() {
        return Err(Failure::new(ErrorKind::Input, format!("there is no file in {}", named.display())));
    }
    let mut room = MAX_ATTACHMENT;
    for path in files {
        match file(&path) {
            Ok(part) => {
                let size = fs::metadata(&path).map_or(0, |about| about.len());
                room =
                    usize::try_from(size).ok().and_then(|size| room.checked_sub(size)).ok_or_else(|| {
                        let most = MAX_ATTACHMENT >> 20;
                        let what =
                            format!("{} has more than {most} MB, the most that is attached", named.display());
                        Failure::new(ErrorKind::Input, what).hint("attach the files that matter")
                    })?;
                push(part);
            }
            Err(Failure::Error(report)) => talk.warning(&format!("left out: {}", report.message)),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// Returns what was piped in and named as an attachment.
///
/// # Errors
/// Fails with kind `input` where it is neither text nor media of a known kind.
pub(crate) fn piped(bytes: &[u8]) -> Result<Part, Failure> {
    let part = aichat_engine::attach("stdin", bytes).map_err(|error| Failure::from(error).hint(HINT))?;
    match (&part.kind, std::str::from_utf8(bytes)) {
        (PartKind::Text { .. }, Ok(text)) => Ok(Part::text(block("stdin", None, text))),
        _ => Ok(part),
    }
}

fn file(path: &Path) -> Result<Part, Failure> {
    let about = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    let name = path.display().to_string();
    if about.is_file() && about.len() > MAX_ATTACHMENT as u64 {
        // Not read at all; the engine says the same of what was.
        let (size, most) = (about.len().div_ceil(1 << 20), MAX_ATTACHMENT >> 20);
        let what = format!("{name} has {size} MB, and {most} MB is the most that is attached");
        return Err(Failure::new(ErrorKind::Input, what));
    }
    let mut bytes = Vec::new();
    // What is no file may have no end, either.
    File::open(path)
        .and_then(|file| file.take(MAX_ATTACHMENT as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, &error))?;
    if bytes.len() > MAX_ATTACHMENT {
        let most = MAX_ATTACHMENT >> 20;
        let what = format!("{name} has more than {most} MB, which is the most that is attached");
        return Err(Failure::new(ErrorKind::Input, what));
    }
    Ok(aichat_engine::attach(&name, &bytes)?)
}

/// Lists the files below a directory, by name.
fn list(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let entries = fs::read_dir(directory).map_err(|error| unreadable(directory, &error))?;
    let mut entries =
        entries.collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(directory, &error))?;
    entries.retain(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        // A link is not followed: it may lead back, or out of what was named.
        let kind = entry.file_type().map_err(|error| unreadable(&entry.path(), &error))?;
        if kind.is_dir() {
            list(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
        if files.len() > MOST_FILES {
            break;
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::file(ErrorKind::Input, "cannot read", path, error)
}
