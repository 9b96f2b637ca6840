//! How long a refusal takes does not tell an unknown service from a wrong secret.
//!
//! `SGW_TEST_PAIRS` sets how many of both are timed; 40 if it is not set. Where it is set, Welch's t between them must
//! stay below 4.

use std::time::{Duration, Instant};

use crate::support::{Client, Gateway, size};

/// The greatest t that chance explains: beyond it, one of some 16,000 comparisons of equals comes out.
const T: f64 = 4.0;

/// The two kinds of refusals, each in microseconds.
#[derive(Debug, Default)]
struct Times {
    unknown: Vec<f64>,
    wrong: Vec<f64>,
}

fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / times.len() as f64
}

/// The variance of the mean.
fn variance(times: &[f64]) -> f64 {
    let mean = mean(times);
    let squares = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>();
    squares / (times.len() - 1) as f64 / times.len() as f64
}

impl Times {
    /// Welch (1947): the difference of the means, in standard errors.
    fn t(&self) -> f64 {
        let error = (variance(&self.unknown) + variance(&self.wrong)).sqrt();
        (mean(&self.unknown) - mean(&self.wrong)) / error
    }
}

async fn refused(client: &Client) -> (u16, f64) {
    let sent = Instant::now();
    let answer = client.get("/v1/whoami").await;
    let took: Duration = sent.elapsed();
    (answer.status.as_u16(), took.as_secs_f64() * 1e6)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_refusal_tells_nothing() {
    let pairs = size("SGW_TEST_PAIRS", 0);
    let gateway = Gateway::start().await;
    gateway.service("known", &[]).await;
    let [unknown, wrong] =
        ["nobody", "known"].map(|id| gateway.nobody().as_service(id, "not its secret at all"));
    let mut times = Times::default();
    for pair in 0..if pairs == 0 { 40 } else { pairs } {
        // Each goes first as often as the other.
        for is_unknown in [pair % 2 == 0, pair % 2 == 1] {
            let (client, times) = if is_unknown {
                (&unknown, &mut times.unknown)
            } else {
                (&wrong, &mut times.wrong)
            };
            let (status, took) = refused(client).await;
            assert!([401, 429].contains(&status), "{status}");
            times.push(took);
        }
    }
    let t = times.t();
    eprintln!(
        "{} pairs: unknown {:.0} µs, wrong {:.0} µs, t = {t:.2}",
        times.wrong.len(),
        mean(&times.unknown),
        mean(&times.wrong)
    );
    assert!(pairs == 0 || t.abs() < T, "t = {t}");
}
