//! Every request once: to fill a store, to warm a cache.

use std::net::SocketAddr;
use std::time::Instant;

use mio::{Events, Poll};

use super::{CONNECTIONS, Connection, PATIENCE, Requests, Response};

/// Sends each request once, in order, and hands over the answers, in any order.
pub(crate) fn each(
    address: SocketAddr,
    requests: &Requests,
    mut hear: impl FnMut(usize, &Response<'_>),
) {
    let mut poll = Poll::new().unwrap();
    let mut connections = Connection::open(address, CONNECTIONS.min(requests.len()), &poll);
    let mut events = Events::with_capacity(CONNECTIONS);
    let mut next = 0;
    for connection in &mut connections {
        connection.send(next, requests.get(next), Instant::now());
        next += 1;
    }
    let mut under_way = connections.len();
    while under_way > 0 {
        poll.poll(&mut events, Some(PATIENCE)).unwrap();
        assert!(!events.is_empty(), "no answer for {PATIENCE:?}");
        for event in &events {
            let connection = &mut connections[event.token().0];
            let request = connection.request;
            let Some(response) = connection.receive() else {
                continue;
            };
            hear(request, &response);
            if next < requests.len() {
                connection.send(next, requests.get(next), Instant::now());
                next += 1;
            } else {
                under_way -= 1;
            }
        }
    }
}

/// One request on a connection of its own.
pub(crate) fn call<T>(
    address: SocketAddr,
    request: &str,
    mut hear: impl FnMut(&Response<'_>) -> T,
) -> T {
    let mut heard = None;
    each(address, &[request].into_iter().collect(), |_, response| {
        heard = Some(hear(response));
    });
    heard.unwrap()
}
