//! Traffic as services make it: users are verified, read, changed, logged in and out, by a service that the store
//! knows. Every answer is judged as it comes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{long, open, patiently};
use crate::support::{Answer, Call, Client, Gateway, Opened};

/// 99 of 100 answers that nothing is known come within this time, whatever Redis does.
const UNKNOWN_WITHIN: Duration = Duration::from_millis(300);

/// The same in the usual form, whose gateways are debug builds that share two cores with other tests and their servers.
const UNKNOWN_WITHIN_WHEN_BUSY: Duration = Duration::from_secs(1);

/// No answer may take longer. A single one of thousands may wait for its turn on a busy machine; the gateway itself asks
/// again for at most a quarter of a second.
const BOUND: Duration = Duration::from_secs(2);

/// An ending of many waits out what may pass, and tells how far it came.
const BULK_BOUND: Duration = Duration::from_secs(20);

/// How long a test waits for answers that it expects.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of the service that the traffic comes from.
const SECRET: &str = "test-shop-secret-0123456789abcdef";

/// So many answers as they should be, one after the other, mean that all is well again.
const NO_DOUBT: usize = 64;

/// What each user does, over and over.
const ROUND: [Act; 10] = [
    Act::Verify,
    Act::Find,
    Act::Patch,
    Act::Verify,
    Act::Create,
    Act::Verify,
    Act::Delete,
    Act::Find,
    Act::Verify,
    Act::EndOthers,
];

/// How much traffic there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Users, each of whom waits for an answer before the next request.
    pub(super) users: usize,
    /// Requests of all of them together.
    pub(super) per_second: u32,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Verify,
    Find,
    Patch,
    Create,
    Delete,
    EndOthers,
}

impl Act {
    /// Within which it must be answered.
    fn bound(self) -> Duration {
        match self {
            Self::EndOthers => BULK_BOUND,
            Self::Verify | Self::Find | Self::Patch | Self::Create | Self::Delete => BOUND,
        }
    }
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// What must be answered while all is well.
    Done,
    /// 503 as it is documented.
    Unknown,
    /// Anything else.
    Wrong(String),
}

/// One request and what became of it.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) user: usize,
    pub(super) act: Act,
    pub(super) sent: Instant,
    pub(super) took: Duration,
    pub(super) outcome: Outcome,
}

/// Traffic that goes on until it is ended.
pub(super) struct Traffic {
    /// The session of each user that lives throughout.
    pub(super) sessions: Vec<Opened>,
    log: Arc<Mutex<Vec<Sample>>>,
    stop: CancellationToken,
    users: JoinSet<()>,
}

impl Traffic {
    pub(super) async fn start(gateway: &Gateway, load: Load) -> Self {
        let service = register(gateway).await;
        let pause = Duration::from_secs(1) * u32::try_from(load.users).unwrap() / load.per_second;
        let log = Arc::<Mutex<Vec<Sample>>>::default();
        let stop = CancellationToken::new();
        let mut users = JoinSet::new();
        let mut sessions = Vec::new();
        for number in 0..load.users {
            let user = User::log_in(number, service.clone()).await;
            sessions.push(user.session.clone());
            let live = user.live(pause, Arc::clone(&log));
            let stop = stop.clone();
            users.spawn(async move {
                tokio::select! {
                    () = live => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        let traffic = Self {
            sessions,
            log,
            stop,
            users,
        };
        traffic.more(5 * load.users).await;
        traffic
    }

    fn answers(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    /// Returns when so many more answers have come.
    pub(super) async fn more(&self, answers: usize) {
        let enough = self.answers() + answers;
        self.until(|log| log.len() >= enough).await;
    }

    /// Returns when everybody's requests, sent from now on, are done as they should be.
    pub(super) async fn well(&self) {
        let from = self.answers();
        let some = 2 * self.sessions.len();
        self.until(|log| {
            let last = log.get(from.max(log.len().saturating_sub(some))..);
            last.is_some_and(|last| {
                last.len() == some && last.iter().all(|one| one.outcome == Outcome::Done)
            })
        })
        .await;
    }

    async fn until(&self, holds: impl Fn(&[Sample]) -> bool) {
        let start = Instant::now();
        while !holds(&self.log.lock().unwrap()) {
            if start.elapsed() > PATIENCE {
                let log = self.log.lock().unwrap().clone();
                let failed = log.iter().filter(|one| one.outcome != Outcome::Done);
                let last: Vec<_> = failed.clone().rev().take(3).collect();
                let (failed, all) = (failed.count(), log.len());
                panic!("not in time; {failed} of {all} answers failed, at last {last:?}");
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) async fn end(mut self) -> Log {
        self.stop.cancel();
        while let Some(ended) = self.users.join_next().await {
            ended.unwrap();
        }
        let samples = std::mem::take(&mut *self.log.lock().unwrap());
        Log { samples }
    }
}

/// All that was answered, in the order of the answers.
pub(super) struct Log {
    pub(super) samples: Vec<Sample>,
}

impl Log {
    /// Fails if anything was answered that should never be, or came too late.
    #[track_caller]
    pub(super) fn assert_never_wrong(&self) {
        for sample in &self.samples {
            assert!(!matches!(sample.outcome, Outcome::Wrong(_)), "{sample:?}");
            assert!(sample.took < sample.act.bound(), "{sample:?}");
        }
        let single = |sample: &&Sample| sample.act.bound() == BOUND;
        if self.unknown().any(|sample| single(&sample)) {
            let late = p99(self.unknown().filter(single));
            let bound = if long() {
                UNKNOWN_WITHIN
            } else {
                UNKNOWN_WITHIN_WHEN_BUSY
            };
            assert!(late < bound, "503 came after {late:?}");
        }
    }

    /// What was sent at a moment or later, and answered before another.
    pub(super) fn within(
        &self,
        from: Instant,
        until: Instant,
    ) -> impl Iterator<Item = &Sample> + Clone {
        let within = move |sample: &&Sample| from <= sample.sent && sample.answered() < until;
        self.samples.iter().filter(within)
    }

    /// What was answered by 503.
    pub(super) fn unknown(&self) -> impl Iterator<Item = &Sample> + Clone {
        let samples = self.samples.iter();
        samples.filter(|sample| sample.outcome == Outcome::Unknown)
    }

    /// How long after a moment the 503s ended, by as many answers in a row as leave no doubt.
    pub(super) fn unwell_after(&self, moment: Instant) -> Duration {
        let mut last = None;
        let mut in_a_row = 0;
        for sample in self.samples.iter().filter(|one| one.answered() >= moment) {
            in_a_row += 1;
            if sample.outcome == Outcome::Unknown {
                (last, in_a_row) = (Some(sample.answered()), 0);
            }
            if last.is_some() && in_a_row == NO_DOUBT {
                break;
            }
        }
        last.map_or(Duration::ZERO, |last| last.duration_since(moment))
    }
}

impl Sample {
    pub(super) fn answered(&self) -> Instant {
        self.sent + self.took
    }
}

/// The time that 99 of 100 did not exceed.
pub(super) fn p99<'a>(samples: impl Iterator<Item = &'a Sample>) -> Duration {
    let mut took: Vec<_> = samples.map(|sample| sample.took).collect();
    took.sort();
    let place = (took.len() * 99).div_ceil(100).saturating_sub(1);
    took.get(place).copied().unwrap_or_default()
}

/// The secret is given, so that a registration whose answer was late can be repeated.
async fn register(gateway: &Gateway) -> Client {
    let shop = json!({
        "service_id": "shop",
        "service_name": "Shop",
        "permissions": ["session.*", "attribute.*", "login.*", "token.verify"],
        "secret": SECRET,
    });
    let admin = gateway.admin();
    let registered = patiently(|| admin.post("/v1/services").json(&shop)).await;
    assert!(
        matches!(registered.status.as_u16(), 201 | 409),
        "{}",
        registered.text()
    );
    gateway.nobody().as_service("shop", SECRET)
}

struct User {
    number: usize,
    client: Client,
    login: String,
    session: Opened,
    second: Option<Opened>,
}

impl User {
    async fn log_in(number: usize, client: Client) -> Self {
        let login = format!("user-{number}");
        Self {
            session: open(&client, json!({"login_id": login})).await,
            number,
            client,
            login,
            second: None,
        }
    }

    async fn live(mut self, pause: Duration, log: Arc<Mutex<Vec<Sample>>>) {
        let mut clock = interval(pause);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for act in ROUND.into_iter().cycle() {
            clock.tick().await;
            let sent = Instant::now();
            let outcome = self.act(act).await;
            log.lock().unwrap().push(Sample {
                user: self.number,
                act,
                sent,
                took: sent.elapsed(),
                outcome,
            });
        }
    }

    async fn act(&mut self, act: Act) -> Outcome {
        match timeout(act.bound(), self.call(act).attempt()).await {
            Ok(Some(answer)) => match answer.status.as_u16() {
                200..300 => self.judge(act, &answer),
                503 => unavailable(&answer),
                _ => wrong(&answer),
            },
            Ok(None) | Err(_) => Outcome::Wrong("no answer".to_owned()),
        }
    }

    fn call(&mut self, act: Act) -> Call {
        let (client, session) = (&self.client, &self.session);
        let second = if act == Act::Delete {
            self.second.take()
        } else {
            None
        };
        match (act, second) {
            (Act::Verify, _) => {
                let token = json!({"token": session.token});
                client.post("/v1/tokens/verify").json(&token)
            }
            (Act::Patch, _) => {
                let seen = json!({"seen": self.number});
                client.patch(session.at("/attributes")).json(&seen)
            }
            (Act::Create, _) => {
                let wanted = json!({"login_id": self.login});
                client.post("/v1/sessions").json(&wanted)
            }
            (Act::Delete, Some(second)) => client.delete(second.path()),
            (Act::Find | Act::Delete, _) => client.get(session.path()),
            (Act::EndOthers, _) => {
                let (login, id) = (&self.login, &session.id);
                client.delete(format!("/v1/logins/{login}/sessions?except={id}"))
            }
        }
    }

    fn judge(&mut self, act: Act, answer: &Answer) -> Outcome {
        let told = match act {
            Act::Verify => answer.json()["session"].take(),
            Act::Find => answer.json(),
            Act::Create => {
                let created = answer.json();
                self.second = Some(Opened::of(&created));
                created["session"].clone()
            }
            Act::Patch | Act::Delete | Act::EndOthers => return Outcome::Done,
        };
        if told["login_id"] == self.login {
            Outcome::Done
        } else {
            wrong(answer)
        }
    }
}

/// A 503 must say that it is about the store, or that too much was asked of it, and when to come again.
fn unavailable(answer: &Answer) -> Outcome {
    let code = answer.json()["code"].clone();
    let whole = (code == "store_unavailable" || code == "overloaded")
        && answer
            .headers
            .get("retry-after")
            .is_some_and(|after| after == "1");
    if whole {
        Outcome::Unknown
    } else {
        wrong(answer)
    }
}

fn wrong(answer: &Answer) -> Outcome {
    Outcome::Wrong(format!("{} {}", answer.status, answer.text()))
}
