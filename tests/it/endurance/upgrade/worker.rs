//! A client with logins of its own that knows what every answer has to be, whichever gateway gives it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value, json};

use super::live::Live;
use crate::support::{Answer, Call, Client, Opened};

/// How late a node may hear of an ending: the default of `SGW_CACHE_MAX_STALENESS`.
const STALENESS: Duration = Duration::from_secs(1);
/// Between two requests of a worker, so that the load leaves room for what it loads.
const PAUSE: Duration = Duration::from_millis(4);
/// What a worker keeps alive at most.
const LIVING: usize = 30;
const LOGINS: usize = 3;

pub(super) struct Worker {
    name: usize,
    rng: Rng,
    live: Live,
    living: Vec<Session>,
    ended: Vec<EndedSession>,
    keys: usize,
    opened: u64,
    profiles: BTreeMap<String, u64>,
    /// Its service, once it is registered, with the secret.
    service: Option<String>,
}

/// What is known of a session that lives.
struct Session {
    opened: Opened,
    login: String,
    /// The token before the present one; it is good for its grace.
    former: Option<String>,
    n: i64,
    texts: BTreeMap<String, String>,
    version: u64,
}

/// And of one that does not.
struct EndedSession {
    opened: Opened,
    since: Instant,
    reason: &'static str,
}

impl Worker {
    pub(super) fn new(name: usize, live: Live) -> Self {
        Self {
            name,
            rng: Rng::with_seed(name as u64),
            live,
            living: Vec::new(),
            ended: Vec::new(),
            keys: 0,
            opened: 0,
            profiles: BTreeMap::new(),
            service: None,
        }
    }

    pub(super) fn opened(&self) -> u64 {
        self.opened
    }

    /// One thing of what clients do.
    pub(super) async fn step(&mut self) {
        tokio::time::sleep(PAUSE).await;
        if self.living.is_empty() {
            return self.open().await;
        }
        let at = self.rng.usize(..self.living.len());
        match self.rng.u8(..100) {
            0..12 if self.living.len() < LIVING => self.open().await,
            0..15 => self.end(at).await,
            15..18 => self.open_limited().await,
            18..21 => self.open_short().await,
            21..40 => self.increment(at).await,
            40..52 => self.write(at).await,
            52..62 => self.rotate(at).await,
            62..72 => self.verify(at).await,
            72..80 => self.read(at).await,
            80..90 => self.look_at_an_ended_one().await,
            90..92 => self.end_login().await,
            92..94 => self.ban().await,
            94..97 => self.profile().await,
            _ => self.act_as_service().await,
        }
    }

    async fn send(&mut self, status: u16, request: impl Fn(&Client) -> Call) -> (Answer, bool) {
        let (answer, again) = self.live.send(&mut self.rng, request).await;
        // What had an unknown outcome may be done before it is sent again.
        let gone = again
            && [404, 410]
                .map(|status| answer.status == status)
                .contains(&true);
        if !gone {
            assert_eq!(answer.status, status, "{}", answer.text());
        }
        (answer, again)
    }

    fn key(&mut self) -> String {
        self.keys += 1;
        format!("upgrade-{}-{}", self.name, self.keys)
    }

    fn login(&mut self) -> String {
        format!("upgraded-{}-{}", self.name, self.rng.usize(..LOGINS))
    }

    /// Opens one, and now and then once more under the same key at any gateway.
    async fn create(&mut self, new: &Value) -> Value {
        let key = self.key();
        let create = |client: &Client| {
            let call = client.post("/v1/sessions").header("Idempotency-Key", &key);
            call.json(new)
        };
        let created = self.send(201, create).await.0.json();
        if self.rng.u8(..4) == 0 {
            assert_eq!(self.send(201, create).await.0.json(), created);
        }
        self.opened += 1;
        created
    }

    fn keep(&mut self, login: String, created: &Value) {
        self.living.push(Session {
            opened: Opened::of(created),
            login,
            former: None,
            n: 0,
            texts: BTreeMap::new(),
            version: 1,
        });
    }

    fn over(&mut self, opened: Opened, reason: &'static str) {
        self.ended.push(EndedSession {
            opened,
            since: Instant::now(),
            reason,
        });
    }

    /// All that live and match are over.
    fn all_over(&mut self, reason: &'static str, which: impl Fn(&Session) -> bool) {
        let all = std::mem::take(&mut self.living);
        let (over, living): (Vec<_>, Vec<_>) = all.into_iter().partition(which);
        self.living = living;
        for session in over {
            self.over(session.opened, reason);
        }
    }

    async fn open(&mut self) {
        let login = self.login();
        let mut new = json!({"login_id": login, "attributes": {"n": 0}});
        if self.rng.u8(..4) == 0 {
            let token = format!("a-token-that-somebody-brings-{}-{}", self.name, self.keys);
            new["token"] = json!(token);
        }
        let created = self.create(&new).await;
        self.keep(login, &created);
    }

    /// A login with one session at a time: the one before is named, and has to go.
    async fn open_limited(&mut self) {
        let login = format!("limited-{}", self.name);
        let new = json!({"login_id": login, "attributes": {"n": 0}, "limit": {"max": 1}});
        let created = self.create(&new).await;
        let before = self.living.iter().filter(|session| session.login == login);
        let before: Vec<&str> = before.map(|session| &*session.opened.id).collect();
        assert_eq!(created["evicted"], json!(before));
        self.all_over("replaced", |session| session.login == login);
        self.keep(login, &created);
    }

    /// It is over by the time that it is looked at.
    async fn open_short(&mut self) {
        let login = self.login();
        let new = json!({"login_id": login, "max_age_seconds": 1});
        let (created, _) = self
            .send(201, |client| client.post("/v1/sessions").json(&new))
            .await;
        self.opened += 1;
        self.ended.push(EndedSession {
            opened: Opened::of(&created.json()),
            since: Instant::now() + STALENESS,
            reason: "max_age",
        });
    }

    async fn end(&mut self, at: usize) {
        let session = self.living.swap_remove(at);
        let path = session.opened.path();
        self.send(204, |client| client.delete(&path)).await;
        self.over(session.opened, "logout");
    }

    async fn end_login(&mut self) {
        let login = self.login();
        let path = format!("/v1/logins/{login}/sessions");
        let (ended, again) = self.send(200, |client| client.delete(&path)).await;
        let known = self.living.iter().filter(|session| session.login == login);
        // Those that are short may count, too.
        let least = if again { 0 } else { known.count() };
        assert!(ended.json()["count"].as_u64().unwrap() >= least as u64);
        self.all_over("logout", |session| session.login == login);
        self.ended.retain(|ended| ended.reason != "max_age");
    }

    async fn ban(&mut self) {
        let login = format!("banned-{}", self.name);
        let new = json!({"login_id": login});
        let created = self.create(&new).await;
        let path = format!("/v1/logins/{login}/ban");
        let reason = json!({"reason": "noise"});
        self.send(200, |client| client.put(&path).json(&reason))
            .await;
        self.send(403, |client| client.post("/v1/sessions").json(&new))
            .await;
        self.send(204, |client| client.delete(&path)).await;
        self.over(Opened::of(&created), "banned");
    }

    async fn increment(&mut self, at: usize) {
        let (key, path) = (
            self.key(),
            self.living[at].opened.at("/attributes/n/increment"),
        );
        let add = |client: &Client| {
            let call = client.post(&path).header("Idempotency-Key", &key);
            call.json(&json!({"by": 3}))
        };
        let made = self.send(200, add).await.0.json();
        if self.rng.u8(..4) == 0 {
            assert_eq!(self.send(200, add).await.0.json(), made);
        }
        let session = &mut self.living[at];
        session.n += 3;
        session.version += 1;
        assert_eq!(made["value"], session.n);
    }

    async fn write(&mut self, at: usize) {
        let name = format!("text-{}", self.rng.u8(..5));
        let text = format!("{:x}", self.rng.u64(..));
        let path = self.living[at].opened.at("/attributes");
        let merge = json!({&name: text});
        let (_, again) = self
            .send(200, |client| client.patch(&path).json(&merge))
            .await;
        let session = &mut self.living[at];
        session.texts.insert(name, text);
        session.version += 1;
        if again {
            self.learn_version(at).await;
        }
    }

    /// What was sent again may be written twice.
    async fn learn_version(&mut self, at: usize) {
        let path = self.living[at].opened.path();
        let read = self.send(200, |client| client.get(&path)).await.0.json();
        self.living[at].version = read["version"].as_u64().unwrap();
    }

    /// Shown again, the token has the same successor, whoever is asked; both are good.
    async fn rotate(&mut self, at: usize) {
        let present = self.living[at].opened.token.clone();
        let rotate = |client: &Client| {
            let call = client.post("/v1/tokens/rotate");
            call.json(&json!({"token": present}))
        };
        let rotated = self.send(200, rotate).await.0.json();
        let successor = rotated["token"].as_str().unwrap().to_owned();
        let again = self.send(200, rotate).await.0.json();
        assert_eq!(again["token"], *successor);
        let session = &mut self.living[at];
        session.former = Some(std::mem::replace(&mut session.opened.token, successor));
        self.verify(at).await;
    }

    async fn verify(&mut self, at: usize) {
        let session = &self.living[at];
        let (id, n) = (session.opened.id.clone(), session.n);
        let mut tokens = vec![session.opened.token.clone()];
        tokens.extend(session.former.clone());
        for token in tokens {
            let body = json!({"token": token});
            let verify = |client: &Client| client.post("/v1/tokens/verify").json(&body);
            let verified = self.send(200, verify).await.0.json();
            assert_eq!(verified["session"]["session_id"], *id, "{verified}");
            // A copy of it may be as old as the bound.
            let told = verified["session"]["attributes"]["n"].as_i64().unwrap();
            assert!(told <= n, "{told} {n}");
        }
    }

    async fn read(&mut self, at: usize) {
        let path = self.living[at].opened.path();
        let read = self.send(200, |client| client.get(&path)).await.0.json();
        self.living[at].assert_is(&read);
    }

    async fn look_at_an_ended_one(&mut self) {
        if let Some(ended) = self.rng.choice(&self.ended) {
            ended.look(&self.live).await;
        }
    }

    /// What is put at one gateway is read at another.
    async fn profile(&mut self) {
        let login = self.login();
        let path = format!("/v1/logins/{login}/profile");
        if let Some(known) = self.profiles.get(&login).copied() {
            let read = self.send(200, |client| client.get(&path)).await.0.json();
            assert_eq!(read["profile"], json!({"v": known}));
        }
        let v = self.rng.u64(..1 << 40);
        let put = json!({"profile": {"v": v}, "ttl_seconds": 86_400});
        self.send(200, |client| client.put(&path).json(&put)).await;
        self.profiles.insert(login, v);
    }

    async fn act_as_service(&mut self) {
        let service_id = format!("service-{}", self.name);
        let Some(secret) = self.service.clone() else {
            let wanted =
                json!({"service_id": service_id, "service_name": "s", "permissions": ["*"]});
            let (made, again) = self
                .live
                .send(&mut self.rng, |client| {
                    client.post("/v1/services").json(&wanted)
                })
                .await;
            assert!(again || made.status == 201, "{}", made.text());
            if made.status == 201 {
                self.service = Some(made.json()["secret"].as_str().unwrap().to_owned());
            }
            return;
        };
        let asked = self.send(200, |client| {
            client.as_service(&service_id, &secret).get("/v1/whoami")
        });
        assert_eq!(asked.await.0.json()["service_id"], *service_id);
    }

    /// Everything is as it is known, at every gateway.
    pub(super) async fn look_at_all(&self) {
        tokio::time::sleep(STALENESS).await;
        for session in &self.living {
            let path = session.opened.path();
            for read in self.live.send_to_each(|client| client.get(&path)).await {
                session.assert_is(&read.value(200));
            }
            let body = json!({"token": session.opened.token});
            let verify = |client: &Client| client.post("/v1/tokens/verify").json(&body);
            for verified in self.live.send_to_each(verify).await {
                assert_eq!(verified.value(200)["active"], true);
            }
        }
        for ended in &self.ended {
            ended.look(&self.live).await;
        }
        for (login, v) in &self.profiles {
            let path = format!("/v1/logins/{login}/profile");
            for read in self.live.send_to_each(|client| client.get(&path)).await {
                assert_eq!(read.value(200)["profile"], json!({"v": v}));
            }
        }
    }
}

impl Session {
    #[track_caller]
    fn assert_is(&self, read: &Value) {
        let mut attributes = json!({"n": self.n});
        for (name, text) in &self.texts {
            attributes[name] = json!(text);
        }
        assert_eq!(read["attributes"], attributes, "{read}");
        assert_eq!(read["version"], self.version, "{read}");
    }
}

impl EndedSession {
    /// No gateway says that it lives, but those that have not heard yet.
    async fn look(&self, live: &Live) {
        if self.reason != "max_age" || self.since.elapsed() > STALENESS {
            let path = self.opened.path();
            for read in live.send_to_each(|client| client.get(&path)).await {
                assert_eq!(
                    read.problem(410, "session_ended")["ended"]["reason"],
                    self.reason
                );
            }
        }
        if self.since.elapsed() > STALENESS {
            let body = json!({"token": self.opened.token});
            let verify = |client: &Client| client.post("/v1/tokens/verify").json(&body);
            for verified in live.send_to_each(verify).await {
                let verified = verified.value(200);
                assert_eq!(verified["active"], false, "{verified}");
                assert_eq!(verified["reason"], self.reason, "{verified}");
            }
        }
    }
}
