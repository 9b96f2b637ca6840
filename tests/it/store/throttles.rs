//! Networks that are slowed down: until their end, by all who ask, and a bounded number of them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::backend::{Backend, MINUTE, SECOND};

contract! {
    a_network_is_slowed_down_until_its_end,
    the_later_end_stands,
    those_that_are_over_make_room_for_new_ones,
}

/// As many as the contract keeps.
const MOST: u32 = 10_000;

fn network(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number))
}

async fn throttle(b: &Backend, networks: impl IntoIterator<Item = u32>, length: Duration) {
    let networks = networks.into_iter().map(|number| (network(number), length));
    let networks: Vec<_> = networks.collect();
    b.stores.throttles.throttle(&networks).await.unwrap();
}

async fn left(b: &Backend, number: u32) -> Option<Duration> {
    let left = b.stores.throttles.throttled(network(number)).await;
    left.unwrap()
}

async fn a_network_is_slowed_down_until_its_end(b: &Backend) {
    throttle(b, [1], 10 * SECOND).await;
    assert_eq!(left(b, 1).await, Some(10 * SECOND));
    assert_eq!(left(b, 2).await, None);
    b.advance(9 * SECOND);
    assert_eq!(left(b, 1).await, Some(SECOND));
    b.advance(SECOND);
    assert_eq!(left(b, 1).await, None);
    throttle(b, [1], MINUTE).await;
    assert_eq!(left(b, 1).await, Some(MINUTE));
    assert!(b.feed().await.is_empty(), "throttles tell no events");
}

async fn the_later_end_stands(b: &Backend) {
    throttle(b, [1], MINUTE).await;
    throttle(b, [1], SECOND).await;
    assert_eq!(left(b, 1).await, Some(MINUTE));
    throttle(b, [1], 2 * MINUTE).await;
    b.advance(MINUTE);
    b.sweep().await;
    assert_eq!(left(b, 1).await, Some(MINUTE));
}

async fn those_that_are_over_make_room_for_new_ones(b: &Backend) {
    throttle(b, 0..MOST, MINUTE).await;
    throttle(b, [MOST], MINUTE).await;
    assert_eq!(left(b, MOST).await, None, "there is no room");
    throttle(b, [0], 2 * MINUTE).await;
    assert_eq!(left(b, 0).await, Some(2 * MINUTE), "one that is there");
    b.advance(MINUTE);
    for _ in 0..30 {
        b.sweep().await;
    }
    throttle(b, [MOST], MINUTE).await;
    assert_eq!(left(b, MOST).await, Some(MINUTE));
    assert_eq!(left(b, 0).await, Some(MINUTE));
    assert_eq!(left(b, 1).await, None);
}
