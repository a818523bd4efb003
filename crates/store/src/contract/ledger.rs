//! Cases of the ledger.

use super::{Place, ok};
use crate::ledger::{Account, Balance, Hold, Verdict};
use crate::store::Store;

fn hold(id: &str, amount: u64, accounts: &[(&str, Option<u64>)]) -> Hold {
    let account = |(key, limit): &(&str, Option<u64>)| Account { key: (*key).to_owned(), limit: *limit };
    Hold { id: id.to_owned(), amount, accounts: accounts.iter().map(account).collect() }
}

async fn balance(store: &dyn Store, key: &str) -> (u64, u64) {
    let all = ok(store.ledger().balances().await);
    let balance =
        all.into_iter().find(|(known, _)| known == key).map(|(_, balance)| balance).unwrap_or_default();
    (balance.spent, balance.held)
}

/// What is set aside counts until it is settled, and then what was spent counts.
pub async fn a_hold_counts_until_it_is_settled(place: &Place) {
    let store = place.open();
    assert_eq!(ok(store.ledger().balances().await), []);
    let (day, all) = (("day", Some(100)), ("all", None));
    assert_eq!(ok(store.ledger().reserve(hold("a", 60, &[day, all])).await), Verdict::Held);
    assert_eq!((balance(&*store, "day").await, balance(&*store, "all").await), ((0, 60), (0, 60)));
    ok(store.ledger().settle("a", Some(25)).await);
    assert_eq!((balance(&*store, "day").await, balance(&*store, "all").await), ((25, 0), (25, 0)));
    // Settled is settled.
    ok(store.ledger().settle("a", Some(25)).await);
    ok(store.ledger().settle("never", None).await);
    assert_eq!(balance(&*store, "day").await, (25, 0));
    ok(store.ledger().reserve(hold("b", 30, &[day])).await);
    ok(store.ledger().settle("b", None).await);
    ok(store.ledger().reserve(hold("c", 40, &[day])).await);
    ok(store.ledger().settle("c", Some(0)).await);
    assert_eq!((balance(&*store, "day").await, balance(&*store, "all").await), ((55, 0), (25, 0)));
}

/// An amount is set aside on every account or on none, and up to the limit to the last nano-dollar.
pub async fn a_limit_is_kept_to_the_last(place: &Place) {
    let store = place.open();
    let ledger = store.ledger();
    ok(ledger.spend(&["day".to_owned(), "provider".to_owned()], 40).await);
    let accounts = [("other", None), ("provider", Some(1_000)), ("day", Some(100))];
    let refused = Verdict::Refused { account: "day".to_owned(), balance: Balance { spent: 40, held: 0 } };
    assert_eq!(ok(ledger.reserve(hold("a", 61, &accounts)).await), refused);
    assert_eq!((balance(&*store, "day").await, balance(&*store, "other").await), ((40, 0), (0, 0)));
    assert_eq!(ok(ledger.reserve(hold("a", 60, &accounts)).await), Verdict::Held);
    // Asked once more under the same id, it is held and not held twice.
    assert_eq!(ok(ledger.reserve(hold("a", 60, &accounts)).await), Verdict::Held);
    assert_eq!(balance(&*store, "provider").await, (40, 60));
    let refused = Verdict::Refused { account: "day".to_owned(), balance: Balance { spent: 40, held: 60 } };
    assert_eq!(ok(ledger.reserve(hold("b", 1, &accounts)).await), refused);
    // It may have cost more than anybody thought.
    ok(ledger.settle("a", Some(u64::from(u32::MAX))).await);
    assert_eq!(balance(&*store, "day").await, (40 + u64::from(u32::MAX), 0));
    assert_eq!(ok(ledger.reserve(hold("huge", i64::MAX as u64, &[("day", Some(i64::MAX as u64))])).await), {
        let balance = Balance { spent: 40 + u64::from(u32::MAX), held: 0 };
        Verdict::Refused { account: "day".to_owned(), balance }
    });
}

/// However many draw on an account at once, it never has more spent and set aside than its limit.
pub async fn many_never_overdraw(place: &Place) {
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let store = place.open();
            tokio::spawn(async move {
                let mut spent = 0;
                for round in 0..4 {
                    let id = format!("{n}/{round}");
                    if ok(store.ledger().reserve(hold(&id, 10, &[("day", Some(95))])).await) == Verdict::Held
                    {
                        let (already, held) = balance(&*store, "day").await;
                        assert!(already + held <= 95, "{already} + {held}");
                        let amount = if n % 2 == 0 { 10 } else { 3 };
                        ok(store.ledger().settle(&id, Some(amount)).await);
                        spent += amount;
                    }
                }
                spent
            })
        })
        .collect();
    let mut spent = 0;
    for task in tasks {
        match task.await {
            Ok(amount) => spent += amount,
            Err(error) => panic!("{error}"),
        }
    }
    let store = place.open();
    assert_eq!(balance(&*store, "day").await, (spent, 0));
    assert!((1..=95).contains(&spent), "{spent}");
}
