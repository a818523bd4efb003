//! What the end of a process can do to the files of the embedded store.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use aichat_message::TurnId;

/// The journals of a store.
pub(super) struct Wreck {
    dir: PathBuf,
    /// How many bytes of each were acknowledged.
    kept: HashMap<TurnId, u64>,
    saved: Vec<(PathBuf, Vec<u8>)>,
}

impl Wreck {
    /// Names a store's directory.
    pub(super) fn of(data: PathBuf) -> Self {
        Self { dir: data.join("journal"), kept: HashMap::new(), saved: Vec::new() }
    }

    /// Notes that what a journal holds by now was acknowledged.
    pub(super) fn acknowledged(&mut self, turn: &TurnId) {
        let found = fs::metadata(self.path(turn, "j")).unwrap();
        self.kept.insert(turn.clone(), found.len());
    }

    /// Cuts a journal somewhere between all it holds and what was acknowledged.
    pub(super) fn cut(&mut self, turn: &TurnId, lost: u8) {
        let kept = self.kept[turn];
        let file = fs::OpenOptions::new().write(true).open(self.path(turn, "j")).unwrap();
        let length = file.metadata().unwrap().len();
        assert!(length >= kept, "{turn} lost what was acknowledged");
        file.set_len(length - (length - kept) * u64::from(lost) / 255).unwrap();
    }

    /// Copies the journals of turns that were claimed.
    pub(super) fn save(&mut self, turns: &[TurnId]) {
        let copy = |turn: &TurnId| {
            let path = self.path(turn, "f");
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        };
        self.saved = turns.iter().map(copy).collect();
    }

    /// Puts them back, as if their process had not lived to remove them.
    pub(super) fn restore(&mut self) {
        self.saved.drain(..).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    }

    fn path(&self, turn: &TurnId, extension: &str) -> PathBuf {
        self.dir.join(format!("{turn}.{extension}"))
    }
}
