//! The main part: everything in turn, round after round, so that what the machine does meanwhile meets all alike.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::contenders::{Contender, HttpContender, Who};
use crate::load;
use crate::measure::{Sample, measure, measure_steady};
use crate::settings::Settings;

/// In the middle the gateway, directly before and after it those that it is compared with.
const TURNS: [[Who; 3]; 4] = [
    [Who::Bare, Who::Cached, Who::RedisGet],
    [Who::Webdis, Who::Cached, Who::TowerSessions],
    [Who::SaToken, Who::Cached, Who::ExpressCluster],
    [Who::Webdis, Who::Uncached, Who::TowerSessions],
];

/// Measured once a round, compared with nobody.
const ALONE: [Who; 6] = [
    Who::CachedCredentials,
    Who::UncachedCredentials,
    Who::CachedVerify,
    Who::UncachedVerify,
    Who::Embedded,
    Who::Express,
];

/// Asked at a steady rate.
pub(crate) const STEADY: [Who; 4] = [Who::Bare, Who::Cached, Who::Uncached, Who::TowerSessions];

/// Numbers of threads of the generator, to see whether it is the limit.
const THREADS: [usize; 2] = [1, 2];

/// Samples of each contender, in the order they were taken.
pub(crate) type Samples = BTreeMap<Who, Vec<Sample>>;

/// All that the rounds gave.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    pub(crate) samples: Samples,
    /// The rate of the first over the rate of the second, of neighbours.
    pub(crate) ratios: BTreeMap<(Who, Who), Vec<f64>>,
    pub(crate) steady: Samples,
    /// Requests a second of the bare handler, by the threads of the generator.
    pub(crate) generator: BTreeMap<usize, f64>,
    /// Of the gateway with copies of all sessions.
    pub(crate) cached_resident_mib: f64,
}

/// Measures as often and as long as the settings say.
pub(crate) fn run(contenders: &BTreeMap<Who, Contender>, settings: Settings) -> Rounds {
    let mut rounds = Rounds {
        generator: generator(&contenders[&Who::Bare], settings.span),
        ..Rounds::default()
    };
    for round in 1..=settings.rounds {
        eprintln!("round {round} of {}", settings.rounds);
        for turn in TURNS {
            let [before, gateway, after] =
                turn.map(|who| rounds.add(who, measure(&contenders[&who], settings.span)));
            let [first, subject, second] = turn;
            rounds.compare((subject, first), gateway.per_second / before.per_second);
            rounds.compare((subject, second), gateway.per_second / after.per_second);
        }
        for who in ALONE {
            rounds.add(who, measure(&contenders[&who], settings.span / 2));
        }
        for who in STEADY {
            let sample = measure_steady(http(&contenders[&who]), settings.span / 2);
            rounds.steady.entry(who).or_default().push(sample);
        }
    }
    rounds.cached_resident_mib = http(&contenders[&Who::Cached]).server.resident_mib();
    rounds
}

impl Rounds {
    fn add(&mut self, who: Who, sample: Sample) -> Sample {
        eprintln!("{:>9.0} /s  {}", sample.per_second, who.name());
        self.samples.entry(who).or_default().push(sample);
        sample
    }

    fn compare(&mut self, pair: (Who, Who), ratio: f64) {
        self.ratios.entry(pair).or_default().push(ratio);
    }
}

fn http(contender: &Contender) -> &HttpContender {
    match contender {
        Contender::Http(contender) => contender,
        Contender::RedisGet { .. } => panic!("not asked over HTTP"),
    }
}

fn generator(bare: &Contender, span: Duration) -> BTreeMap<usize, f64> {
    THREADS
        .map(|threads| {
            let outcome = load::as_fast_as_answered(http(bare).site(), threads, span);
            (threads, outcome.per_second())
        })
        .into()
}
