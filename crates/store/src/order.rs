//! The order in which turns enter the log: each after the one it is based on.

use std::collections::HashMap;

use aichat_message::TurnId;

use crate::turn::TurnHeader;

/// Returns the indices of `turns`, each after the index of its base where that is among them. Turns that do not
/// depend on each other keep the order they came in; a circle is cut where it is entered.
pub(crate) fn by_base(turns: &[&TurnHeader]) -> Vec<usize> {
    let index: HashMap<&TurnId, usize> = turns.iter().enumerate().map(|(i, turn)| (&turn.turn, i)).collect();
    let mut seen = vec![false; turns.len()];
    let mut order = Vec::with_capacity(turns.len());
    let mut chain = Vec::new();
    for start in 0..turns.len() {
        let mut next = Some(start);
        while let Some(at) = next.filter(|at| !seen[*at]) {
            seen[at] = true;
            chain.push(at);
            next = turns[at].base.as_ref().and_then(|base| index.get(base).copied());
        }
        order.extend(chain.drain(..).rev());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use aichat_message::SessionId;

    fn turn(id: u8, base: Option<u8>) -> TurnHeader {
        TurnHeader {
            session: SessionId::from_bits([0; 10]),
            turn: TurnId::from_bits([id; 10]),
            base: base.map(|base| TurnId::from_bits([base; 10])),
        }
    }

    fn order(turns: &[TurnHeader]) -> Vec<usize> {
        by_base(&turns.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_turn_comes_after_its_base_and_otherwise_where_it_was() {
        assert_eq!(order(&[turn(3, Some(2)), turn(9, None), turn(1, None), turn(2, Some(1))]), [2, 3, 0, 1]);
        assert_eq!(order(&[turn(1, Some(7)), turn(2, Some(1))]), [0, 1]);
    }

    #[test]
    fn a_circle_loses_nothing() {
        let mut circle = order(&[turn(1, Some(2)), turn(2, Some(1)), turn(3, Some(3))]);
        circle.sort_unstable();
        assert_eq!(circle, [0, 1, 2]);
    }

    #[test]
    fn a_long_chain_does_not_exhaust_the_stack() {
        let turns: Vec<_> = (0..50_000u32)
            .map(|i| TurnHeader {
                session: SessionId::from_bits([0; 10]),
                turn: numbered(i),
                base: Some(numbered(i + 1)),
            })
            .collect();
        assert_eq!(order(&turns)[0], 49_999);
    }

    fn numbered(i: u32) -> TurnId {
        let mut bits = [0; 10];
        bits[..4].copy_from_slice(&i.to_be_bytes());
        TurnId::from_bits(bits)
    }
}
