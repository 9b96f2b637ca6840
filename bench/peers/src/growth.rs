//! What more sessions in Redis cost: the same questions, without cache, with few sessions and with many.

use std::time::Instant;

use crate::contenders::Contender;
use crate::contenders::gateway::Growing;
use crate::measure::{Sample, measure, measure_steady};
use crate::settings::Settings;

/// How it is with this many sessions.
#[derive(Debug)]
pub(crate) struct Size {
    pub(crate) sessions: usize,
    pub(crate) closed: Sample,
    pub(crate) steady: Sample,
    pub(crate) redis_resident_mib: f64,
    /// Sessions that were opened a second to get here.
    pub(crate) opened_per_second: f64,
}

/// Few sessions first, then many.
pub(crate) fn run(settings: Settings) -> [Size; 2] {
    let mut growing = Growing::start();
    let mut before = 0;
    [settings.few, settings.many].map(|sessions| {
        eprintln!("opening sessions: {sessions}");
        let started = Instant::now();
        let contender = growing.grow(sessions);
        let opened_per_second = (sessions - before) as f64 / started.elapsed().as_secs_f64();
        before = sessions;
        let redis = contender.redis.clone().unwrap();
        let steady = measure_steady(&contender, settings.span);
        Size {
            sessions,
            closed: measure(&Contender::Http(contender), settings.span),
            steady,
            redis_resident_mib: redis.process.resident_mib(),
            opened_per_second,
        }
    })
}
