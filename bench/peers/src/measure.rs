//! One measurement of one contender.

use std::process::Command;
use std::time::Duration;

use crate::contenders::{Contender, HttpContender};
use crate::load::{self, Outcome};
use crate::redis_server::Redis;

/// The generator's threads. One is enough for all but a server that looks nothing up; see `generator` in the report.
pub(crate) const THREADS: usize = 1;

/// Requests a second of the open loop.
pub(crate) const STEADY_RATE: u32 = 5_000;

/// Requests of the first run of redis-benchmark, which tells how many make a whole one.
const PROBE: u64 = 100_000;

/// What one measurement gave. Latency is in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Of all serving processes, in microseconds a request.
    pub(crate) cpu: f64,
    /// Of Redis alone.
    pub(crate) redis_cpu: f64,
    pub(crate) redis_calls: f64,
    /// Of all requests, the share that was answered 503.
    pub(crate) refused: f64,
}

/// What the serving processes have used so far.
#[derive(Debug, Clone, Copy)]
struct Meter {
    /// Seconds.
    server: f64,
    /// Seconds.
    redis: f64,
    calls: u64,
}

impl Meter {
    fn of(contender: &HttpContender) -> Self {
        let redis = contender.redis.as_deref();
        Self {
            server: contender.server.cpu().as_secs_f64(),
            ..Self::of_redis(redis)
        }
    }

    fn of_redis(redis: Option<&Redis>) -> Self {
        Self {
            server: 0.0,
            redis: redis.map_or(0.0, |redis| redis.process.cpu().as_secs_f64()),
            calls: redis.map_or(0, |redis| redis.served().all),
        }
    }

    fn since(self, before: Self, requests: f64, sample: Sample) -> Sample {
        let redis = self.redis - before.redis;
        let all = self.server - before.server + redis;
        Sample {
            cpu: all * 1e6 / requests,
            redis_cpu: redis * 1e6 / requests,
            redis_calls: (self.calls - before.calls) as f64 / requests,
            ..sample
        }
    }
}

fn sample_of(outcome: &Outcome) -> Sample {
    Sample {
        per_second: outcome.per_second(),
        p50: outcome.quantile(0.50),
        p99: outcome.quantile(0.99),
        cpu: 0.0,
        redis_cpu: 0.0,
        redis_calls: 0.0,
        refused: outcome.refused as f64 / (outcome.refused + outcome.answered) as f64,
    }
}

/// The closed loop.
pub(crate) fn measure(contender: &Contender, span: Duration) -> Sample {
    match contender {
        Contender::Http(contender) => {
            let before = Meter::of(contender);
            let outcome = load::as_fast_as_answered(contender.site(), THREADS, span);
            let sample = sample_of(&outcome);
            Meter::of(contender).since(before, outcome.answered as f64, sample)
        }
        Contender::RedisGet { redis, keys, bytes } => {
            let probe = redis_benchmark(redis, *keys, *bytes, PROBE);
            let requests = (probe.per_second * span.as_secs_f64()).round();
            let before = Meter::of_redis(Some(redis));
            let sample = redis_benchmark(redis, *keys, *bytes, requests as u64);
            Meter::of_redis(Some(redis)).since(before, requests, sample)
        }
    }
}

/// The open loop.
pub(crate) fn measure_steady(contender: &HttpContender, span: Duration) -> Sample {
    let before = Meter::of(contender);
    let outcome = load::at_rate(contender.site(), STEADY_RATE, span);
    let sample = sample_of(&outcome);
    Meter::of(contender).since(before, outcome.answered as f64, sample)
}

fn redis_benchmark(redis: &Redis, keys: usize, bytes: usize, requests: u64) -> Sample {
    let port = redis.process.address.port();
    let clients = load::CONNECTIONS;
    let arguments =
        format!("-p {port} -c {clients} -P 1 -t get -r {keys} -d {bytes} -n {requests} --csv");
    let output = Command::new("redis-benchmark")
        .args(arguments.split(' '))
        .output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    // "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
    let line = output
        .lines()
        .find(|line| line.starts_with("\"GET\""))
        .unwrap();
    let fields: Vec<f64> = line
        .split(',')
        .skip(1)
        .map(|field| field.trim_matches('"').parse().unwrap())
        .collect();
    Sample {
        per_second: fields[0],
        p50: fields[3],
        p99: fields[5],
        cpu: 0.0,
        redis_cpu: 0.0,
        redis_calls: 0.0,
        refused: 0.0,
    }
}
