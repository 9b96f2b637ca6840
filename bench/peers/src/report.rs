//! The report: medians and ranges beside the aims, on the screen and, unless it was a quick run, in `bench/results`.

use std::fmt::Write;

use time::OffsetDateTime;

use crate::contenders::Who;
use crate::growth::Size;
use crate::measure::{STEADY_RATE, Sample, THREADS};
use crate::rounds::{Rounds, STEADY};
use crate::settings::{self, Settings};
use crate::{load, machine};

/// What the rates should be: the first at least so many times the second.
const RATE_AIMS: [(Who, Who, f64); 8] = [
    (Who::Cached, Who::Bare, 0.85),
    (Who::Cached, Who::RedisGet, 1.0),
    (Who::Cached, Who::Webdis, 1.8),
    (Who::Cached, Who::TowerSessions, 1.6),
    (Who::Cached, Who::SaToken, 2.0),
    (Who::Cached, Who::ExpressCluster, 10.0),
    (Who::Uncached, Who::TowerSessions, 1.0),
    (Who::Uncached, Who::Webdis, 1.1),
];

/// CPU time of the gateway with its cache, at most so many times that of the bare handler.
const CACHED_CPU_AIM: f64 = 1.3;

/// CPU time a request without cache, at most, in microseconds.
const UNCACHED_CPU_AIM: f64 = 20.0;

/// p99 at the steady rate, at most so many times that of the bare handler.
const STEADY_AIMS: [(Who, f64); 2] = [(Who::Cached, 1.5), (Who::Uncached, 2.0)];

/// Prints the report, and keeps it.
pub(crate) fn write(settings: Settings, rounds: &Rounds, growth: &[Size]) {
    let mut text = String::new();
    compose(&mut text, settings, rounds, growth).unwrap();
    print!("{text}");
    let file = if settings.quick {
        settings::run_dir().join("quick.md")
    } else {
        let date = OffsetDateTime::now_utc().date();
        settings::home().join(format!("../results/verify-{date}.md"))
    };
    std::fs::write(&file, text).unwrap();
}

fn compose(
    text: &mut String,
    settings: Settings,
    rounds: &Rounds,
    growth: &[Size],
) -> std::fmt::Result {
    let date = OffsetDateTime::now_utc().date();
    writeln!(text, "# Verifying tokens, {date}\n")?;
    writeln!(
        text,
        "`make bench` at {}; {}.",
        machine::commit(),
        machine::machine()
    )?;
    writeln!(text, "{}.\n", machine::versions())?;
    writeln!(
        text,
        "A random token of {}, HTTP/1.1, {} kept connections, the generator ({THREADS} thread) on the same cores; rounds: \
         {}, seconds a measurement: {}. Medians, and (least..greatest).\n",
        settings.sessions,
        load::CONNECTIONS,
        settings.rounds,
        settings.span.as_secs(),
    )?;
    aims(text, rounds)?;
    contenders(text, rounds)?;
    steady(text, rounds)?;
    sizes(text, growth)?;
    writeln!(
        text,
        "Resident memory of the gateway with {} copies: {:.0} MiB.",
        settings.sessions, rounds.cached_resident_mib
    )?;
    for (threads, rate) in &rounds.generator {
        writeln!(
            text,
            "The bare handler with {threads} threads of the generator: {rate:.0} /s."
        )?;
    }
    Ok(())
}

fn aims(text: &mut String, rounds: &Rounds) -> std::fmt::Result {
    writeln!(
        text,
        "| aim | measured | aimed at | |\n| --- | --- | --- | --- |"
    )?;
    for (subject, peer, aim) in RATE_AIMS {
        let ratios = Spread::of(rounds.ratios[&(subject, peer)].iter().copied());
        let names = format!("rate: {} / {}", subject.name(), peer.name());
        writeln!(
            text,
            "| {names} | {ratios:.2} | ≥ {aim} | {} |",
            verdict(ratios.median >= aim)
        )?;
    }
    let cpu = |who| spread(&rounds.samples[&who], |sample| sample.cpu).median;
    let ratio = cpu(Who::Cached) / cpu(Who::Bare);
    writeln!(
        text,
        "| CPU: gateway, cached / bare axum handler | {ratio:.2} | ≤ {CACHED_CPU_AIM} | {} |",
        verdict(ratio <= CACHED_CPU_AIM)
    )?;
    let uncached = cpu(Who::Uncached);
    writeln!(
        text,
        "| CPU: gateway, uncached | {uncached:.1} µs | ≤ {UNCACHED_CPU_AIM} µs | {} |",
        verdict(uncached <= UNCACHED_CPU_AIM)
    )?;
    let bare = &rounds.steady[&Who::Bare];
    for (who, aim) in STEADY_AIMS {
        let pairs = rounds.steady[&who].iter().zip(bare);
        let ratios = Spread::of(pairs.map(|(sample, bare)| sample.p99 / bare.p99));
        let names = format!(
            "p99 at {STEADY_RATE} /s: {} / {}",
            who.name(),
            Who::Bare.name()
        );
        writeln!(
            text,
            "| {names} | {ratios:.2} | ≤ {aim} | {} |",
            verdict(ratios.median <= aim)
        )?;
    }
    writeln!(text)
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

fn contenders(text: &mut String, rounds: &Rounds) -> std::fmt::Result {
    writeln!(
        text,
        "| as fast as answered | requests/s | p50 ms | p99 ms | CPU µs | of it Redis | commands |"
    )?;
    writeln!(text, "| --- | --- | --- | --- | --- | --- | --- |")?;
    for (who, samples) in &rounds.samples {
        writeln!(
            text,
            "| {} | {:.0} | {:.2} | {:.2} | {:.1} | {:.1} | {:.2} |",
            who.name(),
            spread(samples, |sample| sample.per_second),
            spread(samples, |sample| sample.p50).median,
            spread(samples, |sample| sample.p99).median,
            spread(samples, |sample| sample.cpu),
            spread(samples, |sample| sample.redis_cpu).median,
            spread(samples, |sample| sample.redis_calls).median,
        )?;
    }
    writeln!(
        text,
        "\nCPU time and commands in Redis are a request's; CPU time is that of all serving processes.\n"
    )
}

fn steady(text: &mut String, rounds: &Rounds) -> std::fmt::Result {
    writeln!(
        text,
        "| at {STEADY_RATE} /s, latency from the intended time | p50 ms | p99 ms | CPU µs |"
    )?;
    writeln!(text, "| --- | --- | --- | --- |")?;
    for who in STEADY {
        let samples = &rounds.steady[&who];
        let p50 = spread(samples, |sample| sample.p50);
        let p99 = spread(samples, |sample| sample.p99);
        let cpu = spread(samples, |sample| sample.cpu);
        writeln!(text, "| {} | {p50:.3} | {p99:.3} | {cpu:.1} |", who.name())?;
    }
    writeln!(text)?;
    let all = rounds.samples.iter().chain(&rounds.steady);
    for (who, samples) in all {
        let refused = spread(samples, |sample| sample.refused * 100.0);
        if refused.greatest > 0.0 {
            writeln!(
                text,
                "{}: {refused:.2} % of a measurement was answered 503.\n",
                who.name()
            )?;
        }
    }
    Ok(())
}

fn sizes(text: &mut String, growth: &[Size]) -> std::fmt::Result {
    writeln!(
        text,
        "| gateway, uncached, sessions in Redis | requests/s | p50 ms | p99 ms | p50, p99 ms at {STEADY_RATE} /s | Redis MiB | opened/s |"
    )?;
    writeln!(text, "| --- | --- | --- | --- | --- | --- | --- |")?;
    for size in growth {
        let Sample {
            per_second,
            p50,
            p99,
            ..
        } = size.closed;
        let Sample {
            p50: steady_p50,
            p99: steady_p99,
            ..
        } = size.steady;
        writeln!(
            text,
            "| {} | {per_second:.0} | {p50:.2} | {p99:.2} | {steady_p50:.3}, {steady_p99:.3} | {:.0} | {:.0} |",
            size.sessions, size.redis_resident_mib, size.opened_per_second,
        )?;
    }
    writeln!(text)
}

fn spread(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> Spread {
    Spread::of(samples.iter().map(figure))
}

/// What several measurements gave.
#[derive(Debug, Clone, Copy)]
struct Spread {
    least: f64,
    median: f64,
    greatest: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Self {
            least: values[0],
            median,
            greatest: values[values.len() - 1],
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self {
            least,
            median,
            greatest,
        } = self;
        write!(
            f,
            "{median:.digits$} ({least:.digits$}..{greatest:.digits$})"
        )
    }
}
