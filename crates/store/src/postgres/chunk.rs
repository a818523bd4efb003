//! Records joined to one value of a row: each after its length, four bytes, big-endian.

use crate::error::{Error, ErrorKind};

/// Joins records.
pub(super) fn join(records: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let mut chunk = Vec::with_capacity(records.iter().map(|record| record.len() + 4).sum());
    for record in records {
        let length = u32::try_from(record.len())
            .map_err(|_| Error::new(ErrorKind::Invalid, "a record is longer than 4 GiB"))?;
        chunk.extend(length.to_be_bytes());
        chunk.extend(record);
    }
    Ok(chunk)
}

/// Splits what was joined.
pub(super) fn split(mut chunk: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let mut records = Vec::new();
    while let Some((length, rest)) = chunk.split_first_chunk() {
        let Some((record, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize) else {
            break;
        };
        records.push(record.to_vec());
        chunk = rest;
    }
    match chunk.is_empty() {
        true => Ok(records),
        false => Err(Error::new(ErrorKind::Corrupt, "records of a turn in flight are damaged")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were() {
        let records = vec![b"one".to_vec(), Vec::new(), vec![0; 70_000]];
        let chunk = join(&records).unwrap();
        assert_eq!(split(&chunk).unwrap(), records);
        assert_eq!(split(&join(&[]).unwrap()).unwrap(), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn a_chunk_that_ends_within_a_record_is_damaged() {
        let chunk = join(&[b"one".to_vec(), b"two".to_vec()]).unwrap();
        for end in [2, 5, 9, 13] {
            assert_eq!(split(&chunk[..end]).unwrap_err().kind(), ErrorKind::Corrupt, "{end}");
        }
    }
}
