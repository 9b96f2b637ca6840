//! Claims of idempotency keys.

use session_gateway::rules::idempotency::Claim;
use session_gateway::store::IdempotencyRecordKey;

use super::backend::{Backend, HOUR, SECOND};

contract! {
    a_claimed_key_is_busy_until_its_lease_is_over,
    a_kept_answer_is_given_again,
    a_key_belongs_to_one_request,
    a_released_key_is_free,
    a_record_is_kept_for_a_day,
}

const KEY: IdempotencyRecordKey = IdempotencyRecordKey([7; 32]);
const REQUEST: [u8; 32] = [1; 32];

async fn claim(b: &Backend, entropy: &[u8]) -> Claim {
    let claimed = b
        .stores
        .idempotency
        .claim(KEY, REQUEST, entropy.to_vec())
        .await;
    claimed.unwrap()
}

fn granted(entropy: &[u8]) -> Claim {
    Claim::Granted {
        sealed_entropy: entropy.to_vec(),
    }
}

async fn a_claimed_key_is_busy_until_its_lease_is_over(b: &Backend) {
    assert_eq!(claim(b, b"first").await, granted(b"first"));
    b.advance(9 * SECOND);
    assert_eq!(claim(b, b"second").await, Claim::Busy);
    b.advance(SECOND);
    assert_eq!(claim(b, b"third").await, granted(b"first"));
    assert_eq!(claim(b, b"fourth").await, Claim::Busy);
}

async fn a_kept_answer_is_given_again(b: &Backend) {
    claim(b, b"draw").await;
    b.stores
        .idempotency
        .keep_answer(KEY, b"answer".to_vec())
        .await
        .unwrap();
    let done = Claim::Done {
        sealed_answer: b"answer".to_vec(),
    };
    assert_eq!(claim(b, b"draw").await, done);
    b.advance(HOUR);
    assert_eq!(claim(b, b"draw").await, done);
}

async fn a_key_belongs_to_one_request(b: &Backend) {
    claim(b, b"draw").await;
    let other = b
        .stores
        .idempotency
        .claim(KEY, [2; 32], b"draw".to_vec())
        .await;
    assert_eq!(other.unwrap(), Claim::Reused);
    b.stores
        .idempotency
        .keep_answer(KEY, b"answer".to_vec())
        .await
        .unwrap();
    let other = b
        .stores
        .idempotency
        .claim(KEY, [2; 32], b"draw".to_vec())
        .await;
    assert_eq!(other.unwrap(), Claim::Reused);
}

async fn a_released_key_is_free(b: &Backend) {
    claim(b, b"first").await;
    b.stores.idempotency.release(KEY).await.unwrap();
    b.stores.idempotency.release(KEY).await.unwrap();
    assert_eq!(claim(b, b"second").await, granted(b"second"));
}

async fn a_record_is_kept_for_a_day(b: &Backend) {
    for swept in [true, false] {
        claim(b, b"first").await;
        b.stores
            .idempotency
            .keep_answer(KEY, b"answer".to_vec())
            .await
            .unwrap();
        b.advance(24 * HOUR - SECOND);
        assert!(matches!(claim(b, b"late").await, Claim::Done { .. }));
        b.advance(SECOND);
        if swept {
            b.sweep().await;
        }
        assert_eq!(claim(b, b"second").await, granted(b"second"));
        b.sweep().await;
        assert_eq!(claim(b, b"third").await, Claim::Busy);
        b.stores.idempotency.release(KEY).await.unwrap();
    }
}
