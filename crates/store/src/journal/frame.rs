//! The bytes of a journal file: a tag, a version, and framed records that tell a torn end from a whole one.

use aichat_message::TurnId;

use crate::error::{Error, ErrorKind};
use crate::turn::TurnHeader;

/// What every journal begins with.
const TAG: &[u8; 8] = b"aichat.j";
/// The version of the layout; a reader refuses greater ones.
const VERSION: u32 = 1;
/// Tag and version.
pub(super) const HEAD: usize = 12;
/// Length and checksum of a frame.
pub(super) const FRAME: usize = 12;

/// Returns the first bytes of a journal: what must be durable before its turn is acknowledged.
pub(super) fn start(header: &TurnHeader, records: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let json = serde_json::to_vec(header).map_err(|source| {
        Error::new(ErrorKind::Invalid, "cannot write the turn's header").with_source(source)
    })?;
    let mut image =
        Vec::with_capacity(256 + json.len() + records.iter().map(|r| r.len() + FRAME).sum::<usize>());
    image.extend_from_slice(TAG);
    image.extend_from_slice(&VERSION.to_be_bytes());
    let mut first = (records.len() as u64).to_be_bytes().to_vec();
    first.extend_from_slice(&json);
    push(&mut image, &first);
    records.iter().for_each(|record| push(&mut image, record));
    Ok(image)
}

/// Appends one framed record.
pub(super) fn push(image: &mut Vec<u8>, record: &[u8]) {
    let length = (record.len() as u64).to_be_bytes();
    image.extend_from_slice(&length);
    image.extend_from_slice(&checksum(length, record).to_be_bytes());
    image.extend_from_slice(record);
}

/// The length is part of the sum, so that a run of zeros is no record.
fn checksum(length: [u8; 8], record: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&length);
    sum.update(record);
    sum.finalize()
}

/// What a journal file turned out to hold.
#[derive(Debug)]
pub(super) enum Content {
    /// A turn that was, or may have been, acknowledged.
    Turn(Journal),
    /// The beginnings of one that never was.
    Unborn,
    /// Bytes that are not what was written.
    Damaged,
}

/// A turn as its journal tells it.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) header: TurnHeader,
    pub(super) records: Vec<Vec<u8>>,
    /// Whether something that is no torn end follows the records.
    pub(super) damaged: bool,
}

/// How a run of frames ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// After a whole frame.
    Whole,
    /// In a frame that was not written to its end.
    Torn,
    /// In a frame of the right length with other bytes than were written.
    Damaged,
}

/// Reads a journal.
///
/// # Errors
/// Fails with `newer` where a later version wrote it.
pub(super) fn read(turn: &TurnId, image: &[u8]) -> Result<Content, Error> {
    let Some((head, mut rest)) = image.split_at_checked(HEAD) else {
        return Ok(unborn_or_damaged(End::Torn));
    };
    let (tag, version) = head.split_at(TAG.len());
    if tag != TAG {
        let blank = image.iter().all(|byte| *byte == 0);
        return Ok(unborn_or_damaged(if blank { End::Torn } else { End::Damaged }));
    }
    match version.iter().fold(0u32, |version, byte| version << 8 | u32::from(*byte)) {
        VERSION => {}
        0 => return Ok(Content::Damaged),
        version => {
            let message =
                format!("turn {turn} was begun by a later version of this program (journal {version})");
            return Err(Error::new(ErrorKind::Newer, message));
        }
    }
    let first = match next(&mut rest) {
        Ok(first) => first,
        Err(end) => return Ok(unborn_or_damaged(end)),
    };
    let Some((count, header)) = first.split_first_chunk::<8>().and_then(|(count, json)| {
        Some((u64::from_be_bytes(*count), serde_json::from_slice::<TurnHeader>(json).ok()?))
    }) else {
        return Ok(Content::Damaged);
    };
    if header.turn != *turn {
        return Ok(Content::Damaged);
    }
    let mut records = Vec::new();
    let end = loop {
        match next(&mut rest) {
            Ok(record) => records.push(record.to_vec()),
            Err(end) => break end,
        }
    };
    if (records.len() as u64) < count {
        return Ok(unborn_or_damaged(end));
    }
    Ok(Content::Turn(Journal { header, records, damaged: end == End::Damaged }))
}

/// Returns the frames that an image begins with, up to one that is not whole.
pub(super) fn pieces(mut image: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Ok(piece) = next(&mut image) {
        found.push(piece.to_vec());
    }
    found
}

fn unborn_or_damaged(end: End) -> Content {
    match end {
        End::Damaged => Content::Damaged,
        End::Whole | End::Torn => Content::Unborn,
    }
}

/// Takes the next record off `rest`.
fn next<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], End> {
    if rest.is_empty() {
        return Err(End::Whole);
    }
    let blank = || rest.iter().all(|byte| *byte == 0);
    let Some((length, after)) = rest.split_first_chunk::<8>() else { return Err(End::Torn) };
    let Some((sum, after)) = after.split_first_chunk::<4>() else { return Err(End::Torn) };
    let size = usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX);
    let Some((record, after)) = after.split_at_checked(size) else { return Err(End::Torn) };
    if checksum(*length, record) != u32::from_be_bytes(*sum) {
        return Err(if blank() { End::Torn } else { End::Damaged });
    }
    *rest = after;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aichat_message::SessionId;
    use proptest::prelude::*;

    fn header() -> TurnHeader {
        TurnHeader { session: SessionId::from_bits([1; 10]), turn: TurnId::from_bits([2; 10]), base: None }
    }

    fn image(first: &[Vec<u8>], later: &[Vec<u8>]) -> Vec<u8> {
        let mut image = start(&header(), first).unwrap();
        later.iter().for_each(|record| push(&mut image, record));
        image
    }

    fn turn(image: &[u8]) -> Journal {
        match read(&header().turn, image).unwrap() {
            Content::Turn(journal) => journal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_later_version_is_refused_and_another_turn_is_damage() {
        let mut bytes = image(&[], &[]);
        bytes[11] = 2;
        assert_eq!(read(&header().turn, &bytes).unwrap_err().kind(), ErrorKind::Newer);
        bytes[11] = 1;
        assert!(matches!(read(&TurnId::from_bits([3; 10]), &bytes).unwrap(), Content::Damaged));
    }

    #[test]
    fn a_turn_without_all_of_its_first_records_never_began() {
        let whole = image(&[b"one".to_vec(), b"two".to_vec()], &[]);
        for cut in 0..whole.len() {
            assert!(matches!(read(&header().turn, &whole[..cut]).unwrap(), Content::Unborn), "cut at {cut}");
        }
        assert_eq!(turn(&whole).records, [b"one".to_vec(), b"two".to_vec()]);
        assert!(matches!(read(&header().turn, &[0; 4096]).unwrap(), Content::Unborn));
        assert!(matches!(read(&header().turn, &[7; 4096]).unwrap(), Content::Damaged));
    }

    #[test]
    fn zeros_after_the_records_are_a_torn_end_and_other_bytes_are_damage() {
        let mut bytes = image(&[b"one".to_vec()], &[vec![]]);
        bytes.extend_from_slice(&[0; 100]);
        let journal = turn(&bytes);
        assert_eq!((journal.records, journal.damaged), (vec![b"one".to_vec(), vec![]], false));
        let mut bytes = image(&[b"one".to_vec()], &[b"two".to_vec(), b"three".to_vec()]);
        let middle = bytes.len() - 5 - FRAME - 1;
        bytes[middle] ^= 1;
        let journal = turn(&bytes);
        assert_eq!((journal.records, journal.damaged), (vec![b"one".to_vec()], true));
    }

    proptest! {
        #[test]
        fn a_cut_leaves_a_prefix_of_the_records(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let begun = image(&[], &[]).len();
            let whole = image(&[], &records);
            let cut = begun + cut.index(whole.len() - begun + 1);
            let kept = turn(&whole[..cut]);
            prop_assert!(records.starts_with(&kept.records) && !kept.damaged);
            let next = kept.records.len();
            let end = image(&[], &records[..(next + 1).min(records.len())]).len();
            prop_assert!(next == records.len() || cut < end, "a whole record was dropped");
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut image = image(&[], &[]);
            image.extend_from_slice(&bytes);
            let _ = read(&header().turn, &bytes);
            let _ = read(&header().turn, &image);
        }
    }
}
