//! The program: its settings, its commands, its signals.

mod commands;
mod lifecycle;
mod settings;
