//! How long requests took, by route, method and status.
//!
//! A request finds its numbers without a lock and without looking at a text: each route remembers those of its methods
//! and statuses from the first time on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::page::{Family, Kind, Page};
use crate::telemetry::counters::{Histogram, LATENCIES};

const DURATION: Family = Family {
    name: "http_server_request_duration_seconds",
    kind: Kind::Histogram,
    help: "How long requests took, from the end of the header to the answer. Paths without a route are `unmatched`.",
};

/// What stands for the route of a path that has none.
const UNMATCHED: &str = "unmatched";

/// Methods that have a name here; all others are one.
const METHODS: [&str; 8] = [
    "GET", "POST", "HEAD", "PATCH", "PUT", "DELETE", "OPTIONS", "_OTHER",
];

/// Statuses that are remembered, the frequent ones first.
const STATUSES: [u16; 24] = [
    200, 201, 204, 401, 403, 404, 410, 503, 400, 409, 412, 302, 304, 405, 408, 413, 414, 415, 422,
    429, 431, 500, 301, 307,
];

/// All that were counted.
#[derive(Debug, Default)]
pub struct Requests(Mutex<BTreeMap<Key, Arc<Histogram>>>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    route: Arc<str>,
    method: &'static str,
    status: u16,
}

impl Requests {
    /// The requests of one route, by its template; `None` where no route is.
    #[must_use]
    pub fn of_route(self: &Arc<Self>, route: Option<&str>) -> RouteRequests {
        RouteRequests {
            route: route.unwrap_or(UNMATCHED).into(),
            all: Arc::clone(self),
            methods: Default::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Histogram>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn durations(&self, key: Key) -> Arc<Histogram> {
        let mut known = self.known();
        let durations = known.entry(key);
        let durations = durations.or_insert_with(|| Arc::new(Histogram::new(&LATENCIES)));
        Arc::clone(durations)
    }

    pub(super) fn write(&self, page: &mut Page) {
        let known = self.known().clone();
        for (key, durations) in known {
            let status = key.status.to_string();
            let labels = [
                ("http_request_method", key.method),
                ("http_route", &*key.route),
                ("http_response_status_code", status.as_str()),
            ];
            page.histogram(&DURATION, &labels, &durations.seen());
        }
    }
}

type OfStatuses = [OnceLock<Arc<Histogram>>; STATUSES.len()];

/// The requests of one route.
pub struct RouteRequests {
    route: Arc<str>,
    all: Arc<Requests>,
    methods: [OnceLock<Box<OfStatuses>>; METHODS.len()],
}

impl RouteRequests {
    /// Counts one that was answered.
    pub fn answered(&self, method: &str, status: u16, took: Duration) {
        let known = METHODS.iter().position(|known| *known == method);
        let method = known.unwrap_or(METHODS.len() - 1);
        let slot = STATUSES.iter().position(|known| *known == status);
        let slots = self.methods.get(method);
        let slots = slots.map(|slots| slots.get_or_init(Box::default));
        match slots.and_then(|slots| slots.get(slot?)) {
            Some(slot) => slot
                .get_or_init(|| self.durations(method, status))
                .take_time(took),
            None => self.durations(method, status).take_time(took),
        }
    }

    fn durations(&self, method: usize, status: u16) -> Arc<Histogram> {
        self.all.durations(Key {
            route: Arc::clone(&self.route),
            method: METHODS.get(method).copied().unwrap_or("_OTHER"),
            status,
        })
    }
}

impl fmt::Debug for RouteRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteRequests")
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(requests: &Requests) -> Vec<(String, &'static str, u16, u64)> {
        let known = requests.known().clone();
        let counts = known.into_iter().map(|(key, durations)| {
            let count = durations.seen().ranges.iter().sum();
            (key.route.to_string(), key.method, key.status, count)
        });
        counts.collect()
    }

    #[test]
    fn requests_are_counted_by_route_method_and_status_with_bounded_names() {
        let requests = Arc::new(Requests::default());
        let one = requests.of_route(Some("/v1/sessions/{session_id}"));
        for (method, status) in [("GET", 200), ("GET", 200), ("GET", 599), ("BREW", 405)] {
            one.answered(method, status, Duration::from_micros(7));
        }
        // The same route may stand in several places.
        let again = requests.of_route(Some("/v1/sessions/{session_id}"));
        again.answered("GET", 200, Duration::ZERO);
        requests.of_route(None).answered("GET", 404, Duration::ZERO);
        let route = "/v1/sessions/{session_id}".to_owned();
        assert_eq!(
            counted(&requests),
            [
                (route.clone(), "GET", 200, 3),
                (route.clone(), "GET", 599, 1),
                (route, "_OTHER", 405, 1),
                (UNMATCHED.to_owned(), "GET", 404, 1),
            ]
        );
    }
}
