//! The wire journal: what went over the network for a turn, beside it while it runs and one blob once it is in the log.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use aichat_events::{
    Draft, Event, Fact, Hash, LlmRequestStarted, LlmResponseCompleted, LlmWireKept, Redactor, Span,
    WarningRaised, WireExchange,
};
use aichat_message::ErrorKind;
use aichat_providers::{Call, DeltaStream, Exchange, How, Outline, Piece, Provider, Wire, labelled};
use aichat_store::{Lease, Pending, Turn};

use crate::engine::Engine;
use crate::error::Error;
use crate::fold::{Derived, is_recovered};

/// How hard to compress: harder takes several times as long and saves less than a tenth.
const LEVEL: i32 = 3;
/// Most bytes that a blob is taken to hold: one that comes from elsewhere may say that it holds anything.
const MOST: u64 = 512 << 20;
/// How warnings about it begin.
pub(crate) const ABOUT: &str = "what went over the network";
/// What every placeholder of a masked secret begins with.
pub(crate) const PLACEHOLDER: &[u8] = "‹secret:".as_bytes();

/// Of which calls what went over the network is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordWire {
    /// Of all.
    #[default]
    On,
    /// Of those whose answer did not come to its end.
    Errors,
    /// Of none.
    Off,
}

/// What the first piece beside a turn says of the others.
#[derive(Serialize, Deserialize)]
struct Preamble {
    record: RecordWire,
}

/// The wire of a turn that runs.
pub(crate) struct WireJournal {
    wire: Wire,
    record: RecordWire,
    is_begun: bool,
    /// How many secrets were masked before.
    masked: u64,
}

impl WireJournal {
    /// Returns the wire of a turn, unless none is kept.
    pub(crate) fn new(record: RecordWire, redactor: &Arc<Redactor>) -> Option<Self> {
        let masked = redactor.masked();
        let masks = Redactor::clone(redactor).counted();
        let redactor =
            (!masks.is_none()).then(|| aichat_providers::Redactor::new(move |bytes| masks.redact(bytes)));
        (record != RecordWire::Off).then(|| Self {
            wire: Wire::new(redactor),
            record,
            is_begun: false,
            masked,
        })
    }

    /// Sends a call for an attempt, and listens.
    pub(crate) fn stream(
        &self,
        provider: Arc<dyn Provider>,
        call: Call,
        attempt: Span,
    ) -> impl Future<Output = Result<DeltaStream, aichat_providers::Error>> + use<> {
        let wire = self.wire.clone();
        async move { labelled(attempt.to_string(), wire.heard(provider.stream(call))).await }
    }

    /// Tells whether a secret was masked since, which may be spread over what was heard.
    pub(crate) fn is_spoilt(&self, redactor: &Redactor) -> bool {
        redactor.masked() > self.masked
    }

    /// Tells whether anything was heard.
    pub(crate) fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Writes what was heard beside the turn.
    pub(crate) fn write(&mut self, turn: &mut dyn Turn) {
        let pieces = self.wire.drain();
        if pieces.is_empty() {
            return;
        }
        if !std::mem::replace(&mut self.is_begun, true) {
            let preamble = Preamble { record: self.record };
            turn.append_beside(serde_json::to_vec(&preamble).expect("a preamble has string keys only"));
        }
        turn.append_beside(Piece::write_all(&pieces));
    }
}

/// What a fold adds for the wire of a turn.
pub(crate) struct Kept {
    pub(crate) draft: Draft,
    /// Holds the blob until the event that refers to it is in the log.
    pub(crate) pin: Option<Box<dyn Lease>>,
}

impl Engine {
    /// Returns what went over the network for a turn, from its event `llm.wire.kept`: each exchange with the attempt's
    /// span as its label. Nothing where the event is another one, or its blob is gone or damaged.
    ///
    /// # Errors
    /// Fails with kind `store`, and with `decode` where a later version kept it.
    pub async fn wire(&self, event: &Event) -> Result<Option<Vec<Exchange>>, Error> {
        let Some(kept) = LlmWireKept::of(event) else { return Ok(None) };
        let Some(blob) = self.whole_blob(&kept.blob.to_string()).await? else { return Ok(None) };
        let mut packed = Vec::new();
        let read =
            zstd::stream::Decoder::new(&blob[..]).and_then(|it| it.take(MOST).read_to_end(&mut packed));
        match read {
            Ok(_) => Ok(Some(Exchange::unpack(packed)?)),
            Err(_) => Ok(None),
        }
    }

    /// Makes one blob of what is beside a turn. Returns the event that refers to it, or that says why there is none;
    /// nothing where nothing is to be kept. No failure is the turn's.
    pub(crate) async fn keep_wire(&self, pending: &Pending, drafts: &[Draft]) -> Option<Kept> {
        let pieces = match self.store().beside(&pending.header).await {
            Ok(pieces) => pieces,
            Err(error) => return warning(pending, drafts, &format!("could not be read: {error}")),
        };
        let (preamble, pieces) = pieces.split_first()?;
        let Preamble { record } = serde_json::from_slice(preamble).ok()?;
        let mut outlines = Outline::gather(pieces);
        let mut packed = None;
        if record == RecordWire::Errors {
            let spans = drafts.iter().filter(|draft| draft.kind == LlmResponseCompleted::TYPE);
            let completed: HashSet<String> =
                spans.filter_map(|draft| Some(draft.span?.to_string())).collect();
            let is_kept =
                |label: &Option<String>| label.as_ref().is_none_or(|label| !completed.contains(label));
            outlines.retain(|it| is_kept(&it.label));
            let mut exchanges = Exchange::gather(pieces.iter().cloned());
            exchanges.retain(|it| is_kept(&it.request.label));
            packed = Some(Exchange::pack(&exchanges));
        }
        if outlines.is_empty() {
            return None;
        }
        // Whoever lived to see the end of the answer has looked already.
        let is_masked = |record: &Vec<u8>| memchr::memmem::find(record, PLACEHOLDER).is_some();
        let answer = pending.records.iter().rposition(|record| is_request(record)).unwrap_or(0);
        if is_recovered(drafts) && pending.records[answer..].iter().any(is_masked) {
            return warning(pending, drafts, MASKED);
        }
        let packed = packed.unwrap_or_else(|| Exchange::pack_written(pieces));
        match self.keep_packed(&packed).await {
            Ok((blob, bytes, pin)) => {
                let exchanges = outlines.iter().map(described).collect();
                let draft = derived(pending, drafts, &LlmWireKept { blob, bytes, exchanges })?;
                Some(Kept { draft, pin: Some(pin) })
            }
            Err(error) => warning(pending, drafts, &format!("could not be kept: {error}")),
        }
    }

    async fn keep_packed(&self, packed: &[u8]) -> Result<(Hash, u64, Box<dyn Lease>), Error> {
        let failed = |_| Error::new(ErrorKind::Store, "it cannot be compressed");
        let blob = zstd::bulk::compress(packed, LEVEL).map_err(failed)?;
        let pin = self.store().pin().await?;
        let name = self.store().put_blob(&blob).await?;
        let hash = name.parse().map_err(|_| Error::new(ErrorKind::Store, "the store gave a blob no name"))?;
        Ok((hash, blob.len() as u64, pin))
    }
}

/// Why the wire of an answer is not kept that held a secret: in it the secret may be spread over many pieces.
pub(crate) const MASKED: &str = "is not kept, because a secret was masked in the answer";

/// Says what became of a wire that is not kept.
pub(crate) fn lost(why: &str) -> WarningRaised {
    WarningRaised { text: format!("{ABOUT} {why}") }
}

fn warning(pending: &Pending, drafts: &[Draft], why: &str) -> Option<Kept> {
    Some(Kept { draft: derived(pending, drafts, &lost(why))?, pin: None })
}

/// Makes an event of a turn that has its end out of nothing but what is there already, so that doing it again makes
/// the same.
fn derived<F: Fact>(pending: &Pending, drafts: &[Draft], fact: &F) -> Option<Draft> {
    Some(Derived::new(pending, drafts.last()?, 0).draft(fact))
}

fn is_request(record: &[u8]) -> bool {
    memchr::memmem::find(record, LlmRequestStarted::TYPE.as_bytes()).is_some()
}

fn described(outline: &Outline) -> WireExchange {
    let how = outline.end.as_ref().map(|how| match how {
        How::Complete => "complete",
        How::Dropped => "dropped",
        _ => "failed",
    });
    WireExchange {
        span: outline.label.as_ref().and_then(|label| label.parse().ok()),
        status: outline.status,
        chunks: outline.chunks,
        bytes: outline.bytes,
        end: how.map(str::to_owned),
    }
}
