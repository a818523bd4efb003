//! Which message of one session stands for which of the other.

use super::side::Spoken;

/// The largest table that is filled to find the best alignment; beyond, messages are put side by side in order.
const MAX_CELLS: usize = 4 << 20;

/// One message, or two that stand for each other.
type Pair<'a> = (Option<&'a Spoken>, Option<&'a Spoken>);

/// Puts messages side by side, in order, so that as much as possible stands beside what is like it.
pub(super) fn align<'a>(a: &'a [Spoken], b: &'a [Spoken]) -> Vec<Pair<'a>> {
    let same_end = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a.is_same(b)).count();
    let (a, a_end) = a.split_at(a.len() - same_end);
    let (b, b_end) = b.split_at(b.len() - same_end);
    let mut pairs = match (a.len() + 1).saturating_mul(b.len() + 1) <= MAX_CELLS {
        true => best(a, b),
        false => in_order(a, b),
    };
    pairs.extend(a_end.iter().zip(b_end).map(|(a, b)| (Some(a), Some(b))));
    pairs
}

/// Says how much two messages are like each other; nothing where they cannot stand for each other.
fn likeness(a: &Spoken, b: &Spoken) -> u32 {
    let names = |spoken: &Spoken| spoken.calls.iter().map(|call| call.name.clone()).collect::<Vec<_>>();
    match () {
        () if a.role != b.role => 0,
        () if a.is_same(b) => 8,
        () if !a.calls.is_empty() && a.calls_same(b) => 4,
        () if names(a) == names(b) => {
            if a.calls.is_empty() {
                2
            } else {
                3
            }
        }
        () => 1,
    }
}

fn best<'a>(a: &'a [Spoken], b: &'a [Spoken]) -> Vec<Pair<'a>> {
    let width = b.len() + 1;
    let mut table = vec![0u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            let skipped = table[(i + 1) * width + j].max(table[i * width + j + 1]);
            let like = likeness(&a[i], &b[j]);
            let paired = if like > 0 { table[(i + 1) * width + j + 1] + like } else { 0 };
            table[i * width + j] = skipped.max(paired);
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        let here = table[i * width + j];
        let like = likeness(&a[i], &b[j]);
        if like > 0 && here == table[(i + 1) * width + j + 1] + like {
            pairs.push((Some(&a[i]), Some(&b[j])));
            (i, j) = (i + 1, j + 1);
        } else if here == table[(i + 1) * width + j] {
            pairs.push((Some(&a[i]), None));
            i += 1;
        } else {
            pairs.push((None, Some(&b[j])));
            j += 1;
        }
    }
    pairs.extend(a[i..].iter().map(|a| (Some(a), None)));
    pairs.extend(b[j..].iter().map(|b| (None, Some(b))));
    pairs
}

fn in_order<'a>(a: &'a [Spoken], b: &'a [Spoken]) -> Vec<Pair<'a>> {
    let (mut a, mut b, mut pairs) = (a.iter().peekable(), b.iter().peekable(), Vec::new());
    loop {
        match (a.peek(), b.peek()) {
            (None, None) => return pairs,
            (Some(x), Some(y)) if x.role != y.role => pairs.push((a.next(), None)),
            _ => pairs.push((a.next(), b.next())),
        }
    }
}
