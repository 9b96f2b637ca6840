//! The open loop: requests have a time of their own, whatever the server does, and latency counts from that time.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::requests::Draw;
use super::{CONNECTIONS, Connection, Outcome, PATIENCE, Site};

const TIMER: Token = Token(CONNECTIONS);

/// Sends random requests at this rate from one thread. A request that finds no connection free waits, and its wait
/// counts.
pub(crate) fn at_rate(site: Site<'_>, per_second: u32, span: Duration) -> Outcome {
    let mut poll = Poll::new().unwrap();
    let mut connections = Connection::open(site.address, CONNECTIONS, &poll);
    let period = Duration::from_secs(1) / per_second;
    let timer = ticking(period, &poll);
    let mut events = Events::with_capacity(CONNECTIONS + 1);
    let mut free: VecDeque<usize> = (0..CONNECTIONS).collect();
    let mut draw = Draw::new(0);
    let mut outcome = Outcome::new();
    let started = Instant::now();
    let mut next = started;
    while next < started + span || free.len() < CONNECTIONS {
        poll.poll(&mut events, Some(PATIENCE)).unwrap();
        for event in &events {
            if event.token() == TIMER {
                timer.wait().unwrap();
                continue;
            }
            let connection = &mut connections[event.token().0];
            let since = connection.since;
            if let Some(response) = connection.receive() {
                outcome.note(&response, site.good, since.elapsed());
                free.push_back(event.token().0);
            }
        }
        let now = Instant::now();
        assert!(now < started + span + PATIENCE, "the server cannot keep up");
        while next <= now && next < started + span {
            let Some(index) = free.pop_front() else {
                break;
            };
            let request = draw.below(site.requests.len());
            connections[index].send(request, site.requests.get(request), next);
            next += period;
        }
    }
    outcome.elapsed = started.elapsed();
    outcome
}

/// A timer finer than the milliseconds of a poll.
fn ticking(period: Duration, poll: &Poll) -> TimerFd {
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK).unwrap();
    timer
        .set(
            Expiration::Interval(TimeSpec::from(period)),
            TimerSetTimeFlags::empty(),
        )
        .unwrap();
    poll.registry()
        .register(
            &mut SourceFd(&timer.as_fd().as_raw_fd()),
            TIMER,
            Interest::READABLE,
        )
        .unwrap();
    timer
}
