//! What holds for every request, whatever its route: a request id, the limits of the head, no panic that gets out, and
//! one form of error document. It also counts and traces requests.

mod answer;
mod layer;
mod limits;
mod panic;
mod request_id;
mod route_metrics;

pub(crate) use layer::Middleware;
pub use limits::{MAX_HEADER_BYTES, MAX_URI_BYTES, Unplaced, is_open_to_all};
pub(crate) use limits::{not_allowed, not_found};
pub use route_metrics::RequestWatcher;
