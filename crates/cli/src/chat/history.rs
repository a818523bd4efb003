//! What was typed before: kept between conversations in a file that only its owner can read, without known secrets.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aichat_engine::Secrets;
use reedline::{
    FileBackedHistory, History as Kept, HistoryItem, HistoryItemId, HistorySessionId, ReedlineError,
    SearchQuery,
};

use super::lines::Lines;

/// Most entries that are kept.
const ENTRIES: usize = 1_000;
/// Longest entry that is kept, in bytes.
const LONGEST: usize = 16 << 10;

type Done<T> = Result<T, ReedlineError>;

/// What was typed before.
pub(super) struct History {
    entries: FileBackedHistory,
    file: Option<PathBuf>,
    secrets: Secrets,
    lines: Lines,
}

impl History {
    /// Returns the history in a file, or one that ends with the program where there is none or it cannot be written.
    pub(super) fn new(file: Option<PathBuf>, secrets: Secrets, lines: Lines) -> Self {
        let opened = file.and_then(|file| {
            own(&file).ok()?;
            let entries = FileBackedHistory::with_file(ENTRIES, file.clone()).ok()?;
            Some((entries, file))
        });
        let (entries, file) = match opened {
            Some((entries, file)) => (entries, Some(file)),
            None => (FileBackedHistory::new(ENTRIES).expect("as many entries can be counted"), None),
        };
        Self { entries, file, secrets, lines }
    }
}

/// Makes the file, if need be, and makes it its owner's alone.
fn own(file: &Path) -> std::io::Result<()> {
    if let Some(directory) = file.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let opened = fs::File::options().append(true).create(true).mode(0o600).open(file)?;
    if opened.metadata()?.permissions().mode() & 0o077 != 0 {
        opened.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

impl Kept for History {
    fn save(&mut self, mut item: HistoryItem) -> Done<HistoryItem> {
        if item.command_line.len() > LONGEST {
            return Ok(item);
        }
        // A block stays one when it is called back; other lines are as they were meant.
        if !item.command_line.starts_with("\"\"\"") {
            item.command_line = self.lines.joined(&item.command_line).text;
        }
        item.command_line = self.secrets.redactor().redact_str(&item.command_line).into_owned();
        self.entries.save(item)
    }

    fn load(&self, id: HistoryItemId) -> Done<HistoryItem> {
        self.entries.load(id)
    }

    fn count(&self, query: SearchQuery) -> Done<i64> {
        self.entries.count(query)
    }

    fn search(&self, query: SearchQuery) -> Done<Vec<HistoryItem>> {
        self.entries.search(query)
    }

    fn update(&mut self, id: HistoryItemId, updater: &dyn Fn(HistoryItem) -> HistoryItem) -> Done<()> {
        self.entries.update(id, updater)
    }

    fn clear(&mut self) -> Done<()> {
        self.entries.clear()
    }

    fn delete(&mut self, item: HistoryItemId) -> Done<()> {
        self.entries.delete(item)
    }

    fn sync(&mut self) -> std::io::Result<()> {
        if let Some(file) = &self.file {
            own(file)?;
        }
        self.entries.sync()
    }

    fn session(&self) -> Option<HistorySessionId> {
        self.entries.session()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(history: &mut History, line: &str) {
        history.save(HistoryItem::from_command_line(line)).unwrap();
        history.sync().unwrap();
    }

    #[test]
    fn the_file_is_its_owners_and_holds_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("state/aichat/history");
        let secrets = Secrets::new();
        secrets.learn("test", "sk-very-secret-indeed");
        let mut history = History::new(Some(file.clone()), secrets.clone(), Lines::default());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        typed(&mut history, "is sk-very-secret-indeed a key?");
        typed(&mut history, &"long ".repeat(10_000));
        typed(&mut history, "two\nlines");
        drop(history);
        let kept = fs::read_to_string(&file).unwrap();
        assert!(!kept.contains("very-secret") && !kept.contains("long"), "{kept}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let history = History::new(Some(file), secrets, Lines::default());
        assert_eq!(history.load(HistoryItemId::new(1)).unwrap().command_line, "two\nlines");
    }

    #[test]
    fn without_a_file_it_lasts_as_long_as_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let mut history = History::new(Some(file.join("history")), Secrets::new(), Lines::default());
        typed(&mut history, "hello");
        assert_eq!(history.count_all().unwrap(), 1);
    }
}
