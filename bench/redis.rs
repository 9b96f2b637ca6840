//! What a gateway makes of the Redis below it: `cargo bench --bench redis`.
//!
//! One run starts a server with an append-only file (`everysec`) and one gateway before it. Each round asks the bare
//! server (`redis-benchmark`, SET and GET of 300 bytes) and then the gateway over HTTP, as a registered service, by as
//! many clients without pipelining. `SGW_BENCH_ROUNDS` sets how many rounds there are (default 5); the table has their
//! medians, and how many answers were 503 in all. CPU times are of one process and one request, load generator not included.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that fails should stop, and its figures are rounded anyway"
)]

use std::collections::BTreeMap;
use std::time::Duration;

mod bare_rates;
mod bare_redis;
mod callers;
mod gateway;
mod http;
mod knob;
mod service;

use bare_rates::{bare_rates, cpu_time};
use bare_redis::BareRedis;
use callers::{OPERATIONS, Operation, Run, all_at_once, callers};
use gateway::Gateway;
use knob::knob;
use service::register;

fn main() {
    // One thread: the other core is for the servers.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let redis = BareRedis::start();
    let gateway = Gateway::start(&format!("redis://{}", redis.address));
    let secret = runtime.block_on(register(gateway.address));
    let mut bare: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut measured: BTreeMap<Operation, Vec<Measured>> = BTreeMap::new();
    for _ in 0..knob("SGW_BENCH_ROUNDS", 5) {
        for (command, rate) in bare_rates(&redis) {
            bare.entry(command).or_default().push(rate);
        }
        let mut callers = runtime.block_on(callers(gateway.address, &secret));
        for operation in OPERATIONS {
            let cpu = || [cpu_time(&gateway.process), cpu_time(&redis.process)];
            let before = cpu();
            let run;
            (callers, run) = runtime.block_on(all_at_once(callers, operation));
            let after = cpu();
            let cost =
                [0, 1].map(|which| (after[which] - before[which]) / run.latencies.len() as f64);
            let round = Measured::new(run, cost);
            measured.entry(operation).or_default().push(round);
        }
    }
    report(&bare, &measured);
    println!();
    println!(
        "The gateway was ready after {} ms and has {:.1} MiB after the run.",
        gateway.ready_after.as_millis(),
        gateway.resident_mib()
    );
}

/// One operation in one round.
struct Measured {
    rate: f64,
    p50: Duration,
    p99: Duration,
    gateway_cpu: f64,
    redis_cpu: f64,
    unavailable: usize,
}

impl Measured {
    fn new(run: Run, [gateway_cpu, redis_cpu]: [f64; 2]) -> Self {
        let mut latencies = run.latencies;
        latencies.sort_unstable();
        Self {
            rate: run.rate,
            p50: latencies[latencies.len() / 2],
            p99: latencies[latencies.len() * 99 / 100],
            gateway_cpu,
            redis_cpu,
            unavailable: run.unavailable,
        }
    }
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(bare: &BTreeMap<&str, Vec<f64>>, measured: &BTreeMap<Operation, Vec<Measured>>) {
    println!(
        "| measured | requests/s | of the bare server | p50 | p99 | CPU, gateway | CPU, Redis | 503 |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (command, rates) in bare {
        let rate = median(rates.iter().copied());
        println!("| redis-benchmark {command}, 300 bytes | {rate:.0} | | | | | | |");
    }
    for (operation, rounds) in measured {
        let of = |part: fn(&Measured) -> f64| median(rounds.iter().map(part));
        let beside = &bare[operation.beside()];
        let ratios = rounds
            .iter()
            .zip(beside)
            .map(|(round, bare)| round.rate / bare);
        println!(
            "| {} | {:.0} | {:.2} × {} | {:.2} ms | {:.2} ms | {:.0} µs | {:.0} µs | {} |",
            operation.name(),
            of(|round| round.rate),
            median(ratios),
            operation.beside(),
            of(|round| round.p50.as_secs_f64() * 1e3),
            of(|round| round.p99.as_secs_f64() * 1e3),
            of(|round| round.gateway_cpu * 1e6),
            of(|round| round.redis_cpu * 1e6),
            rounds.iter().map(|round| round.unavailable).sum::<usize>(),
        );
    }
}
