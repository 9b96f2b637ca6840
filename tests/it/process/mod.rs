//! The program: its settings, its commands, its signals.

mod backup;
mod cached_nodes;
mod canary;
mod commands;
mod crash;
mod damage;
mod first_steps;
mod full_disk;
mod guesses;
mod lifecycle;
mod listen;
mod pages;
mod polls;
mod reload;
mod repetitions;
mod settings;
mod slow_start;
