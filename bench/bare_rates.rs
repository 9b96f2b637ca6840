//! What the server below does alone, and what processes cost.

use std::process::{Child, Command};

use crate::bare_redis::BareRedis;
use crate::callers::CLIENTS;

/// What `redis-benchmark` sends of each command in a round.
const BARE_REQUESTS: usize = 100_000;

/// Ticks of `/proc/<id>/stat` in a second, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a server answers in a second without a gateway.
pub(crate) fn bare_rates(redis: &BareRedis) -> [(&'static str, f64); 2] {
    let output = Command::new("redis-benchmark")
        .args([
            "-p",
            &redis.address.port().to_string(),
            "-c",
            &CLIENTS.to_string(),
        ])
        .args(["-n", &BARE_REQUESTS.to_string(), "-P", "1", "-t", "set,get"])
        .args(["-r", "100000", "-d", "300", "--csv"])
        .output()
        .expect("redis-benchmark is installed");
    let table = String::from_utf8(output.stdout).unwrap();
    ["SET", "GET"].map(|command| {
        let row = table
            .lines()
            .find_map(|row| row.strip_prefix(&format!("\"{command}\",\"")));
        let rate = row.unwrap().split('"').next().unwrap();
        (command, rate.parse().unwrap())
    })
}

/// All CPU time of a process so far, in seconds.
pub(crate) fn cpu_time(process: &Child) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let fields = after_name.split_whitespace();
    // The 14th and 15th field of all, of which two are before.
    let ticks: f64 = fields
        .skip(11)
        .take(2)
        .map(|field| field.parse::<f64>().unwrap())
        .sum();
    ticks / TICKS_PER_SECOND
}
