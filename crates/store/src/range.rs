//! The bounds of a scan, the same for every ordered map.

use std::ops::Bound;

use crate::store::Scan;

/// Keys between two bounds.
pub(crate) type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Returns the range of keys a scan covers, or `None` where no key can be in it.
pub(crate) fn range(scan: &Scan) -> Option<Range> {
    let mut low = Bound::Included(scan.prefix.clone());
    let mut high = successor(&scan.prefix).map_or(Bound::Unbounded, Bound::Excluded);
    if let Some(after) = &scan.after {
        let key = after.as_slice();
        if scan.reverse {
            match &high {
                Bound::Excluded(end) if key >= end.as_slice() => {}
                _ => high = Bound::Excluded(after.clone()),
            }
        } else if key >= scan.prefix.as_slice() {
            low = Bound::Excluded(after.clone());
        }
    }
    let empty = match (&low, &high) {
        (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high)) => low >= high,
        _ => false,
    };
    (!empty).then_some((low, high))
}

/// Returns the first key that is greater than every key with this prefix.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let end = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut next = prefix[..=end].to_vec();
    next[end] += 1;
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xfe), Just(0xff)], 0..4)
    }

    proptest! {
        #[test]
        fn a_range_holds_exactly_the_keys_the_scan_describes(
            keys in prop::collection::btree_set(key(), 0..40),
            prefix in key(),
            after in prop::option::of(key()),
            reverse in any::<bool>(),
        ) {
            let scan = Scan { prefix: prefix.clone(), after: after.clone(), reverse, limit: None };
            let wanted: BTreeSet<_> = keys.iter().filter(|key| {
                key.starts_with(&prefix)
                    && after.as_ref().is_none_or(|after| if reverse { *key < after } else { *key > after })
            }).cloned().collect();
            let found = range(&scan).map(|range| keys.range(range).cloned().collect()).unwrap_or_default();
            prop_assert_eq!(wanted, found);
        }
    }
}
