//! One turn's journal file and the thread that writes it, so that appending never waits for the disk.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::beside::Beside;
use super::disk::{self, Disk};
use super::{BESIDE, Closing, SPARE, WRITTEN, frame};
use crate::error::{Error, ErrorKind};
use crate::turn::{Turn, TurnHeader};

/// How long the writer waits for more after it has written: a stream that comes in a thousand pieces a second is not a
/// thousand writes. Nothing that waits was acknowledged, and a sync does not wait.
const GATHER: Duration = Duration::from_millis(5);

/// What the writing thread is asked to do.
enum Order {
    Append(Vec<u8>),
    Beside(Vec<u8>),
    ClearBeside,
    Sync(Reply),
    Finish(Reply),
}

type Reply = oneshot::Sender<Result<(), Error>>;

/// A turn in flight in a journal file.
pub(super) struct FileTurn {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    closing: Arc<Closing>,
}

impl FileTurn {
    /// Begins a turn on a thread of its own; durable when it returns.
    pub(super) async fn begin(
        disk: Disk,
        dir: PathBuf,
        header: TurnHeader,
        records: Vec<Vec<u8>>,
        closing: Arc<Closing>,
    ) -> Result<Self, Error> {
        let (orders, inbox) = mpsc::channel();
        let (reply, begun) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("aichat-journal".into())
            .spawn(move || match Writer::create(disk, dir, &header, &records) {
                Ok(writer) => {
                    drop(records);
                    // A caller that is gone has dropped the channel as well: the loop ends at once.
                    let _ = reply.send(Ok(()));
                    writer.run(&inbox);
                }
                Err(error) => {
                    let _ = reply.send(Err(error));
                }
            })
            .map_err(|source| Error::io("cannot start a thread for the journal", source))?;
        let turn = Self { orders: Some(orders), thread: Some(thread), closing };
        begun.await.unwrap_or_else(|_| Err(gone()))?;
        Ok(turn)
    }
}

impl FileTurn {
    /// Gives an order that is not answered: a thread that is gone answers the next sync with an error.
    fn tell(&self, order: Order) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(order);
        }
    }

    async fn ask(&self, order: fn(Reply) -> Order) -> Result<(), Error> {
        let (reply, done) = oneshot::channel();
        self.tell(order(reply));
        self.wake();
        done.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Ends the thread's wait for more to write.
    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

#[async_trait]
impl Turn for FileTurn {
    fn append(&mut self, record: Vec<u8>) {
        self.tell(Order::Append(record));
    }

    fn append_beside(&mut self, piece: Vec<u8>) {
        self.tell(Order::Beside(piece));
    }

    fn clear_beside(&mut self) {
        self.tell(Order::ClearBeside);
    }

    async fn sync(&mut self) -> Result<(), Error> {
        self.ask(Order::Sync).await
    }

    async fn finish(self: Box<Self>) -> Result<(), Error> {
        self.ask(Order::Finish).await
    }
}

impl Drop for FileTurn {
    /// Lets the thread write what it has been given and close the file. Whoever looks for turns next waits for
    /// it, so that a turn dropped in this process is seen as over.
    fn drop(&mut self) {
        self.orders = None;
        self.wake();
        if let Some(thread) = self.thread.take().filter(|thread| !thread.is_finished()) {
            self.closing.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Io, "the journal's writer ended before its turn")
}

/// The file of a turn, seen from its thread.
struct Writer {
    disk: Disk,
    dir: PathBuf,
    path: PathBuf,
    /// Where a new file is prepared before it takes the place of the journal.
    spare: PathBuf,
    file: File,
    /// Everything the file must hold, so that a new one can take its place.
    image: Vec<u8>,
    written: usize,
    synced: usize,
    /// Set once the file cannot be trusted any more: a write or a sync of it failed, or it lost its name.
    poisoned: bool,
    beside: Beside,
}

impl Writer {
    /// Creates the journal, durable when it returns.
    fn create(disk: Disk, dir: PathBuf, header: &TurnHeader, records: &[Vec<u8>]) -> Result<Self, Error> {
        let path = dir.join(format!("{}.{WRITTEN}", header.turn));
        let spare = dir.join(format!("{}.{SPARE}", header.turn));
        let beside = Beside::at(disk.clone(), dir.join(format!("{}.{BESIDE}", header.turn)));
        let image = frame::start(header, records)?;
        let fail = |source| Error::io(format!("cannot begin a turn in {}", dir.display()), source);
        loop {
            let mut file = match disk.create_locked(&path)? {
                Ok(file) => file,
                Err(error) if disk::is_absent(&error) => {
                    disk.make_dir(&dir)?;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(Error::new(
                        ErrorKind::Invalid,
                        format!("turn {} has begun already", header.turn),
                    ));
                }
                Err(error) => return Err(fail(error)),
            };
            let written = disk.write(&path, &mut file, &image).and_then(|()| disk.sync(&path, &file));
            let named = written.map_err(fail).and_then(|()| disk.sync_dir(&dir));
            match named.and_then(|()| disk.names(&path, &file)) {
                Ok(true) => {
                    let length = image.len();
                    return Ok(Self {
                        disk,
                        dir,
                        path,
                        spare,
                        file,
                        image,
                        written: length,
                        synced: length,
                        poisoned: false,
                        beside,
                    });
                }
                Ok(false) => {}
                Err(error) => {
                    // Never acknowledged; best effort, as the disk has just failed us.
                    let _ = disk.remove(&path).and_then(|()| disk.sync_dir(&dir));
                    return Err(error);
                }
            }
        }
    }

    /// Serves orders until the turn is finished or dropped.
    fn run(mut self, inbox: &Receiver<Order>) {
        while let Ok(order) = inbox.recv() {
            match self.take(order, inbox) {
                None => {
                    self.flush();
                    // Those who append do not end it, so that they need not wake anybody.
                    thread::park_timeout(GATHER);
                }
                Some((finish, reply)) => {
                    let result = self.sync();
                    if finish {
                        // Closes the file, so that whoever hears of the end finds the turn over.
                        drop(self);
                        let _ = reply.send(result);
                        return;
                    }
                    let _ = reply.send(result);
                }
            }
        }
        if self.poisoned {
            // Dropped, so that nobody will ask again.
            let _ = self.sync();
        }
    }

    /// Takes records as long as there are any. Returns the order that follows them at once, and whether it is
    /// the last.
    fn take(&mut self, mut order: Order, inbox: &Receiver<Order>) -> Option<(bool, Reply)> {
        loop {
            match order {
                Order::Append(record) => frame::push(&mut self.image, &record),
                Order::Beside(piece) => self.beside.push(&piece),
                Order::ClearBeside => self.beside.clear(),
                Order::Sync(reply) => return Some((false, reply)),
                Order::Finish(reply) => return Some((true, reply)),
            }
            order = inbox.try_recv().ok()?;
        }
    }

    /// Writes what was appended. A failure is reported by the next sync, which finds the file poisoned and is
    /// the one to try again.
    fn flush(&mut self) {
        if !self.poisoned {
            let _ = self.write().and_then(|()| self.keep_name());
        }
        // Whoever finds it finds the records that came before.
        self.beside.write();
    }

    /// Writes what is not in the file yet, without a sync.
    fn write(&mut self) -> Result<(), Error> {
        if self.poisoned || self.written == self.image.len() {
            return Ok(());
        }
        match self.disk.write(&self.path, &mut self.file, &self.image[self.written..]) {
            Ok(()) => {
                self.written = self.image.len();
                Ok(())
            }
            Err(source) => {
                self.poisoned = true;
                // Half a record takes space that may be all there is; a reader drops it if it stays.
                let _ = self.disk.cut(&self.path, &self.file, self.written as u64);
                Err(Error::io(format!("cannot write {}", self.path.display()), source))
            }
        }
    }

    /// Carries everything to a new file if this one has lost its name.
    fn keep_name(&mut self) -> Result<(), Error> {
        if !self.poisoned && self.disk.names(&self.path, &self.file)? {
            return Ok(());
        }
        self.poisoned = true;
        self.carry()
    }

    /// Makes everything durable, in this file or in a new one.
    fn sync(&mut self) -> Result<(), Error> {
        // A failed write leaves the file poisoned, and then everything is carried.
        let _ = self.write();
        self.beside.write();
        if !self.poisoned && self.synced < self.written {
            // After a failed sync the kernel may call the lost pages clean: never ask the same file twice.
            self.poisoned = self.disk.sync(&self.path, &self.file).is_err();
            self.synced = self.written;
        }
        self.keep_name()
    }

    /// Writes the whole journal to a new file, which then takes the name of the old one.
    fn carry(&mut self) -> Result<(), Error> {
        let carried = self.prepare().and_then(|file| {
            self.disk
                .rename(&self.spare, &self.path)
                .map_err(|source| Error::io(format!("cannot rename {}", self.spare.display()), source))?;
            Ok(file)
        });
        match carried {
            Ok(file) => {
                self.file = file;
                self.written = self.image.len();
                self.synced = self.written;
                // Until its name is durable too, the next sync carries once more.
                self.disk.sync_dir(&self.dir)?;
                self.poisoned = false;
                Ok(())
            }
            Err(error) => {
                // It was never acknowledged and only takes space.
                let _ = self.disk.remove(&self.spare);
                Err(error)
            }
        }
    }

    fn prepare(&self) -> Result<File, Error> {
        let fail = |source| Error::io(format!("cannot write {}", self.spare.display()), source);
        self.disk.remove(&self.spare)?;
        let mut file = self.disk.create_locked(&self.spare)?.map_err(fail)?;
        let written = self.disk.write(&self.spare, &mut file, &self.image);
        written.and_then(|()| self.disk.sync(&self.spare, &file)).map_err(fail)?;
        Ok(file)
    }
}
