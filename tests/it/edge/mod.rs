//! What holds for every request and every connection, on routes of the tests' own.

mod answers;
mod connections;
mod drain;
mod early;
mod followers;
mod listeners;
mod log;
mod places;
mod routes;
mod server;
mod sizes;
mod slow;
mod sweeping;
mod upgrades;
