//! The program: its settings, its commands, its signals.

mod canary;
mod commands;
mod crash;
mod lifecycle;
mod settings;
mod several_nodes;
mod slow_start;
