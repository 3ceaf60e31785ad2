//! What whoever counts is told: calls of every kind, alarms once, and how many payments are open.

use std::sync::Arc;
use std::time::Duration;

use crate::payments::ledger::Tally;
use crate::payments::record::Operation;
use crate::payments::rehearsal::{Ears, Fault, Shop, Talk, provider};
use crate::payments::verdict::{Doubt, Verdict};

const MINUTE: Duration = Duration::from_secs(60);

fn shop(providers: &[(&str, u32)]) -> (Shop, Arc<Ears>) {
    let ears = Arc::new(Ears::default());
    let all = Talk::everything();
    let providers = providers.iter().map(|(name, weight)| Arc::new(provider(name, *weight, &all))).collect();
    (Shop::of(providers, Arc::clone(&ears) as _), ears)
}

#[tokio::test(start_paused = true)]
async fn looks_voids_and_late_captures_are_heard_of() {
    let (shop, ears) = shop(&[("alpha", 1_000), ("beta", 1)]);
    shop.world.next("alpha", Operation::Charge, &[Fault::Late(20 * MINUTE)]);
    assert_eq!(shop.pay("k").await.text("provider"), "beta");
    assert_eq!((ears.count("alpha charge unknown"), ears.count("beta charge succeeded")), (1, 1));
    // Looked for at once, after `quiesce`, and after the void.
    assert_eq!((ears.count("alpha lookup not_found"), ears.count("alpha void not_found")), (3, 1));
    assert_eq!(ears.count("alpha late capture"), 0);
    tokio::time::sleep(70 * MINUTE).await;
    assert_eq!((ears.count("alpha late capture"), ears.count("alpha void voided")), (1, 1));
    tokio::time::sleep(600 * MINUTE).await;
    assert_eq!(ears.count("alpha late capture"), 1, "one alarm each");
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_something_else_is_an_alarm() {
    let (shop, ears) = shop(&[("alpha", 1)]);
    let other = Verdict::Unknown { doubt: Doubt::Mismatch };
    shop.world.next("alpha", Operation::Charge, &[Fault::Says(other)]);
    shop.pay("k").await;
    assert_eq!(ears.count("alpha alarm"), 1);
}

#[tokio::test(start_paused = true)]
async fn how_many_payments_are_open_is_told_as_it_changes() {
    let (shop, ears) = shop(&[("alpha", 1)]);
    shop.prepare("p").await;
    shop.world.next("alpha", Operation::Charge, &[Fault::LostAfter]);
    shop.world.next("alpha", Operation::Lookup, &[Fault::LostBefore]);
    let pending = shop.pay("k").await;
    tokio::time::sleep(Duration::from_millis(1_001)).await;
    assert_eq!(ears.tally(), Tally { pending: 1, manual: 0, requires_action: 1 });
    shop.becomes(pending.text("id"), "succeeded", MINUTE).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(ears.tally(), Tally { pending: 0, manual: 0, requires_action: 1 });
    assert_eq!((ears.count("alpha lookup unknown"), ears.count("alpha lookup succeeded")), (1, 1));
}
