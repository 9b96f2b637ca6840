//! The gateway from outside: in process where a settable clock is needed, else as the real program on a real socket.

#[cfg(test)]
mod api;
#[cfg(test)]
mod edge;
#[cfg(test)]
mod process;
#[cfg(test)]
mod support;
