//! The program: its settings, its commands, its signals.

mod cached_nodes;
mod canary;
mod commands;
mod crash;
mod guesses;
mod lifecycle;
mod settings;
mod slow_start;
