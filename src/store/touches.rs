//! Uses of sessions that are still to be written.
