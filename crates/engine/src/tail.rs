//! The end of a stream: where drafts become events, with their projection, as one unit to commit.

use aichat_events::{Chain, Draft, Event, Fact, Hash, Heads, SessionErased};
use aichat_message::{SessionId, TurnId};
use aichat_store::{Expect, Head, Row, Table, Unit};

use crate::document::is_system;
use crate::engine::Engine;
use crate::error::Error;
use crate::project::{Projection, Summary};
use aichat_message::ErrorKind;

/// Appends to one stream; nothing is written until the unit is committed.
pub(crate) struct Tail {
    stream: SessionId,
    expect: Expect,
    chain: Chain,
    projection: Projection,
    rows: Vec<Row>,
    folded: Vec<TurnId>,
}

impl Tail {
    /// Reads where a stream ends.
    ///
    /// A projection that is missing, while another process makes all of them anew for one, is made again with what is
    /// appended.
    pub(crate) async fn read(engine: &Engine, stream: &SessionId) -> Result<Self, Error> {
        let store = engine.store();
        let (expect, chain, summary) = match store.head(stream).await? {
            None => (Expect::New, Chain::new(), None),
            Some(head) => {
                let hash = <[u8; 32]>::try_from(&head.hash[..]).map_err(|_| damaged(stream))?;
                let row = store.get(Table::Sessions, stream.as_str().as_bytes()).await?;
                let summary = row.as_deref().and_then(Summary::decode);
                if summary.is_none() && !is_system(stream) {
                    return Ok(Self::after(stream, &engine.log(stream).await?));
                }
                (Expect::At(head.clone()), Chain::from(head.seq, Hash(hash)), summary)
            }
        };
        let projection = Projection::after(summary);
        Ok(Self { stream: stream.clone(), expect, chain, projection, rows: Vec::new(), folded: Vec::new() })
    }

    /// Returns the end of a stream that has no events yet.
    pub(crate) fn new(stream: &SessionId) -> Self {
        Self {
            stream: stream.clone(),
            expect: Expect::New,
            chain: Chain::new(),
            projection: Projection::after(None),
            rows: Vec::new(),
            folded: Vec::new(),
        }
    }

    /// Returns the end of a stream that holds these events, whose projection is made anew.
    pub(crate) fn after(stream: &SessionId, events: &[Event]) -> Self {
        let mut this = Self::new(stream);
        for event in events {
            this.projection.apply(event);
            this.chain = Chain::from(event.seq(), *event.hash());
        }
        this.expect = this.here();
        this
    }

    /// Tells whether the stream ends with these events.
    pub(crate) fn is_after(&self, events: &[Event]) -> bool {
        self.chain.seq() == events.last().map_or(0, Event::seq)
    }

    /// Returns where the session's branches end by now.
    pub(crate) fn heads(&self) -> Option<&Heads> {
        self.projection.heads()
    }

    /// Gives a draft its place.
    ///
    /// What comes late to a session that was purged keeps its place and loses what it says.
    pub(crate) fn append(&mut self, draft: &Draft) {
        let event = self.chain.seal(draft);
        let erased = self.projection.is_erased() && draft.kind != SessionErased::TYPE;
        self.push(if erased { event.erase() } else { event });
    }

    /// Appends an event that has its place already, which must be the next one.
    pub(crate) fn push(&mut self, event: Event) {
        self.projection.apply(&event);
        self.chain = Chain::from(event.seq(), *event.hash());
        self.rows.push(Row {
            seq: event.seq(),
            id: event.id().clone(),
            hash: event.hash().0.to_vec(),
            bytes: event.line().as_bytes().to_vec(),
        });
    }

    /// Says that a turn in flight is in the log with this unit.
    pub(crate) fn folds(&mut self, turn: &TurnId) {
        self.folded.push(turn.clone());
    }

    pub(crate) fn stream(&self) -> &SessionId {
        &self.stream
    }

    /// Returns what to commit.
    pub(crate) fn into_unit(self) -> Unit {
        let (_, writes) = self.projection.finish();
        Unit { events: self.rows, writes, folded: self.folded, ..Unit::new(self.stream, self.expect) }
    }

    /// Returns a unit that only forgets a turn, to be committed after this one.
    pub(crate) fn forget(&self, turn: &TurnId) -> Unit {
        Unit { folded: vec![turn.clone()], ..Unit::new(self.stream.clone(), self.here()) }
    }

    /// Returns what a unit that comes next expects.
    fn here(&self) -> Expect {
        match self.chain.seq() {
            0 => Expect::New,
            seq => Expect::At(Head { seq, hash: self.chain.head().0.to_vec() }),
        }
    }
}

fn damaged(stream: &SessionId) -> Error {
    Error::new(ErrorKind::Store, format!("the head of session {stream} is no hash of an event"))
}
