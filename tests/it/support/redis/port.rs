//! Ports that no two tests have, in whatever process.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// The first port; all lie below those the kernel gives to outgoing connections, so that none of them takes one.
const FIRST: u16 = 11_000;
const PORTS: u16 = 5_000;
/// How far above a cluster node talks to the others; that is fixed in Redis.
const TO_BUS: u16 = 10_000;

/// A port with its bus. It is claimed by listening on another port, which the kernel frees however the process ends.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) number: u16,
    _claim: Option<TcpListener>,
}

impl Port {
    /// A port that is chosen, and claimed by nobody.
    pub(super) fn chosen(number: u16) -> Self {
        Self {
            number,
            _claim: None,
        }
    }

    pub(super) fn free() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let start = std::process::id().wrapping_mul(97) % u32::from(PORTS);
        let start = u16::try_from(start).unwrap();
        loop {
            let number = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS) % PORTS;
            let Ok(claim) = listen(number + PORTS) else {
                continue;
            };
            if listen(number).is_ok() && listen(number + TO_BUS).is_ok() {
                return Self {
                    number,
                    _claim: Some(claim),
                };
            }
        }
    }
}

fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}
