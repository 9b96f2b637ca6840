//! The keys that all gateways on one store share.

use std::collections::BTreeSet;
use std::time::Duration;

use session_gateway::model::keyring::{KeyId, KeyPurpose, KeySecret, Keyring, OfferedKey};
use tokio::task::JoinSet;

use super::backend::{Backend, HOUR};

contract! {
    whoever_asks_first_makes_the_key_of_all,
    a_key_gives_way_after_thirty_days_and_is_read_for_another,
}

const DAY: Duration = Duration::from_secs(24 * 3_600);

async fn ask(b: &Backend, number: u8) -> Keyring {
    let offered = OfferedKey {
        id: KeyId([number; 8]),
        secret: KeySecret([number; 32]),
    };
    let ring = b.stores.keyring.keyring(KeyPurpose::Cursors, offered);
    ring.await.unwrap()
}

async fn whoever_asks_first_makes_the_key_of_all(b: &Backend) {
    let mut asking = JoinSet::new();
    for number in 1..=20 {
        let store = b.stores.keyring.clone();
        asking.spawn(async move {
            let offered = OfferedKey {
                id: KeyId([number; 8]),
                secret: KeySecret([number; 32]),
            };
            store.keyring(KeyPurpose::Cursors, offered).await.unwrap()
        });
    }
    let rings = asking.join_all().await;
    let ids: BTreeSet<_> = rings.iter().map(|ring| ring.present.id.0).collect();
    assert_eq!(ids.len(), 1, "one key for all: {ids:?}");
    assert!(rings.iter().all(|ring| ring.former.is_empty()));
    assert_eq!(ask(b, 99).await, rings[0]);
}

async fn a_key_gives_way_after_thirty_days_and_is_read_for_another(b: &Backend) {
    let first = ask(b, 1).await.present;
    b.advance(30 * DAY - HOUR);
    assert_eq!(ask(b, 2).await.present, first);
    b.advance(HOUR);
    let ring = ask(b, 3).await;
    assert_eq!(ring.present.id, KeyId([3; 8]));
    assert_eq!(ring.former, std::slice::from_ref(&first));
    b.advance(DAY - HOUR);
    assert!(ring.find(first.id, b.now()).is_some());
    b.advance(HOUR);
    assert!(ring.find(first.id, b.now()).is_none());
}
