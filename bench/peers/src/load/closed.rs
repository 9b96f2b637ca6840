//! The closed loop: each connection asks again as soon as it is answered.

use std::time::{Duration, Instant};

use mio::{Events, Poll};

use super::requests::Draw;
use super::{CONNECTIONS, Connection, Outcome, PATIENCE, Site};

/// Sends random requests from this many threads until the span is over.
pub(crate) fn as_fast_as_answered(site: Site<'_>, threads: usize, span: Duration) -> Outcome {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || one_thread(site, CONNECTIONS / threads, thread, span))
            })
            .collect();
        let mut all = Outcome::new();
        for thread in running {
            all.add(&thread.join().unwrap());
        }
        all
    })
}

fn one_thread(site: Site<'_>, connections: usize, seed: usize, span: Duration) -> Outcome {
    let mut poll = Poll::new().unwrap();
    let mut connections = Connection::open(site.address, connections, &poll);
    let mut events = Events::with_capacity(connections.len());
    let mut draw = Draw::new(seed);
    let mut outcome = Outcome::new();
    let started = Instant::now();
    for connection in &mut connections {
        let request = draw.below(site.requests.len());
        connection.send(request, site.requests.get(request), Instant::now());
    }
    let mut under_way = connections.len();
    while under_way > 0 {
        poll.poll(&mut events, Some(PATIENCE)).unwrap();
        assert!(!events.is_empty(), "no answer for {PATIENCE:?}");
        for event in &events {
            let connection = &mut connections[event.token().0];
            let since = connection.since;
            let Some(response) = connection.receive() else {
                continue;
            };
            let now = Instant::now();
            outcome.note(&response, site.good, now - since);
            if now < started + span {
                let request = draw.below(site.requests.len());
                connection.send(request, site.requests.get(request), now);
            } else {
                under_way -= 1;
            }
        }
    }
    outcome.elapsed = started.elapsed();
    outcome
}
