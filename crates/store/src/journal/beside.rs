//! The file of what is kept beside a turn: as good as it goes, never synced, and never in the turn's way.

use std::fs::File;
use std::path::PathBuf;

use super::disk::Disk;
use super::frame;

/// What is kept beside one turn, seen from the thread that writes it.
pub(super) struct Beside {
    disk: Disk,
    path: PathBuf,
    kept: Kept,
    /// Framed pieces that are not in the file yet.
    waiting: Vec<u8>,
}

enum Kept {
    Nothing,
    /// So many bytes of whole pieces.
    File(File, u64),
    /// Something failed, and nothing more is kept.
    Lost,
}

impl Beside {
    /// Names the file; nothing is there before the first piece is.
    pub(super) fn at(disk: Disk, path: PathBuf) -> Self {
        Self { disk, path, kept: Kept::Nothing, waiting: Vec::new() }
    }

    /// Takes a piece, to be written with the next ones.
    pub(super) fn push(&mut self, piece: &[u8]) {
        if !matches!(self.kept, Kept::Lost) {
            frame::push(&mut self.waiting, piece);
        }
    }

    /// Writes the pieces that wait. After a failure there is what was there before, and no more will come.
    pub(super) fn write(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        if matches!(self.kept, Kept::Nothing) {
            self.kept = match self.disk.create(&self.path) {
                Ok(file) => Kept::File(file, 0),
                Err(_) => Kept::Lost,
            };
        }
        let waiting = std::mem::take(&mut self.waiting);
        let Kept::File(file, length) = &mut self.kept else { return };
        if self.disk.write(&self.path, file, &waiting).is_ok() {
            *length += waiting.len() as u64;
            return;
        }
        // What is left of it takes space that may be all there is; a reader drops it if it stays.
        let _ = self.disk.cut(&self.path, file, *length);
        self.kept = Kept::Lost;
    }

    /// Removes what was kept. Where that fails the bytes go, and an empty file stays until the turn does.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        let kept = std::mem::replace(&mut self.kept, Kept::Lost);
        if self.disk.remove(&self.path).is_ok() {
            self.kept = Kept::Nothing;
        } else if let Kept::File(file, _) = kept {
            let _ = self.disk.cut(&self.path, &file, 0);
        }
    }
}
