//! Metrics and traces, as Prometheus and a collector of OpenTelemetry get them from the real program.

mod dashboard;
mod exposition;
mod sink;
mod traces;

pub(crate) use sink::Sink;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::support::redis::eventually;
use crate::support::{Client, Gateway};

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a node told at one moment: values by name with labels, as they are written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told(BTreeMap<String, String>);

impl Told {
    pub(crate) async fn by(client: &Client) -> Self {
        Self::parse(&text(client).await)
    }

    /// Once the store has counted its sessions and every part of the feed is heard, which a busy machine may keep the
    /// node from for a while.
    pub(crate) async fn whole_by(client: &Client) -> Self {
        let found = Mutex::new(None);
        eventually(DEADLINE, || async {
            let told = Self::by(client).await;
            let whole = told.number("session_total").is_some()
                && told.number("sgw_feed_unheard_parts") == Some(0);
            *found.lock().unwrap() = Some(told);
            whole
        })
        .await;
        found.into_inner().unwrap().unwrap()
    }

    fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let pairs = samples.map(|line| line.rsplit_once(' ').unwrap());
        Self(
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// Each sample as Prometheus keeps it, with the labels of where it is from.
    fn scraped(&self) -> Vec<String> {
        let samples = self.0.iter().map(|(name, value)| {
            let (name, labels) = name.split_once('{').unwrap_or((name, "}"));
            format!("{name}{{job=\"session-gateway\",instance=\"here\",{labels} {value}")
        });
        samples.collect()
    }

    /// One number; `None` if it was not told.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        Some(self.0.get(name)?.parse().unwrap())
    }

    /// The sum of all of a name whose labels have all these parts.
    pub(crate) fn sum(&self, name: &str, parts: &[&str]) -> u64 {
        let named = |sample: &str| sample.split('{').next() == Some(name);
        let of_it = self.0.iter().filter(|(sample, _)| named(sample));
        let wanted = of_it.filter(|(sample, _)| parts.iter().all(|part| sample.contains(part)));
        wanted.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
    }

    /// The names, without labels.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().filter_map(|sample| sample.split('{').next())
    }
}

async fn text(client: &Client) -> String {
    let answer = client.get("/metrics").await.expect(200);
    assert_eq!(
        answer.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    answer.text()
}

/// Everything that a gateway does, so that every metric has something to tell.
async fn make_use_of(gateway: &Gateway) {
    crate::nodes::do_everything(&gateway.admin(), &gateway.nobody()).await;
}
