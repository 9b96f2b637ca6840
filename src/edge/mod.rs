//! What holds for every request, whatever its route: a request id, the limits of the head, no panic that gets out, and
//! one form of error document. `app` alone decides in which order these layers stand.

mod answer;
mod limits;
mod panic;
mod request_id;

pub(crate) use answer::finish;
pub use limits::{MAX_HEADER_BYTES, MAX_URI_BYTES};
pub(crate) use limits::{limit_head, not_allowed, not_found};
pub(crate) use panic::answer_panic;
pub use panic::install_panic_hook;
pub use request_id::RequestId;
