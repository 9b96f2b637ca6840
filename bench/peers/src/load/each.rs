//! Every request once: to fill a store, to warm a cache.

use std::net::SocketAddr;
use std::time::Instant;

use mio::{Events, Poll};

use super::{CONNECTIONS, Connection, PATIENCE, Requests, Response};

/// Sends each request, in order, and hands over the answers, in any order. Who is too busy to answer (503) is asked
/// again.
pub(crate) fn each(address: SocketAddr, requests: &Requests, mut hear: impl FnMut(&Response<'_>)) {
    let mut poll = Poll::new().unwrap();
    let mut connections = Connection::open(address, CONNECTIONS.min(requests.len()), &poll);
    let mut events = Events::with_capacity(CONNECTIONS);
    let mut waiting = 0..requests.len();
    let mut refused = 0;
    for (connection, request) in connections.iter_mut().zip(&mut waiting) {
        connection.send(request, requests.get(request), Instant::now());
    }
    let mut under_way = connections.len();
    while under_way > 0 {
        poll.poll(&mut events, Some(PATIENCE)).unwrap();
        assert!(!events.is_empty(), "no answer for {PATIENCE:?}");
        for event in &events {
            let connection = &mut connections[event.token().0];
            let request = connection.request;
            let next = match connection.receive() {
                None => continue,
                Some(response) if response.status == 503 && refused < requests.len() => {
                    refused += 1;
                    Some(request)
                }
                Some(response) => {
                    hear(&response);
                    waiting.next()
                }
            };
            match next {
                Some(request) => connection.send(request, requests.get(request), Instant::now()),
                None => under_way -= 1,
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
    each(address, &[request].into_iter().collect(), |response| {
        heard = Some(hear(response));
    });
    heard.unwrap()
}
