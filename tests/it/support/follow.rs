//! A reader of server-sent events, as the HTML standard describes it.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::timeout;

use super::{Client, persistently};

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(60);

/// What stands between two empty lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) event: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) data: Option<String>,
    pub(crate) retry: Option<u64>,
    pub(crate) comment: bool,
}

impl Frame {
    fn parse(text: &str) -> Self {
        let mut frame = Self::default();
        for line in text.lines() {
            let (name, value) = line.split_once(':').expect("a name");
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match name {
                "" => frame.comment = true,
                "event" => frame.event = Some(value),
                "id" => frame.id = Some(value),
                "data" => assert!(frame.data.replace(value).is_none(), "one line"),
                "retry" => frame.retry = Some(value.parse().unwrap()),
                other => panic!("{other}"),
            }
        }
        frame
    }

    /// What it tells of; its name and type stand in the frame too.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let data: Value = serde_json::from_str(self.data.as_ref().expect("data")).unwrap();
        assert_eq!(data["type"].as_str(), self.event.as_deref());
        data
    }
}

/// The events of a gateway, as they come.
#[derive(Debug)]
pub(crate) struct Follow {
    pub(crate) headers: HeaderMap,
    body: Body,
    unread: Vec<u8>,
    frames: VecDeque<Frame>,
    /// The last `id` that came: where to go on.
    pub(crate) last_id: Option<String>,
    broken: bool,
}

impl Follow {
    /// Begins where `path` says, or after an id that another one had last.
    pub(crate) async fn begin(client: &Client, path: &str, after: Option<&str>) -> Self {
        Self::attempt(client, path, after).await.expect("a stream")
    }

    /// The same; `None` if nobody answers, or with 503.
    pub(crate) async fn attempt(client: &Client, path: &str, after: Option<&str>) -> Option<Self> {
        let mut call = client.get(path).header("accept", "text/event-stream");
        if let Some(after) = after {
            call = call.header("last-event-id", after);
        }
        let begun = timeout(DEADLINE, call.begin()).await;
        let (parts, body) = begun.expect("in time")?.into_parts();
        if parts.status == 503 {
            return None;
        }
        if parts.status != 200 {
            let body = body.collect().await.unwrap().to_bytes();
            panic!("{}: {}", parts.status, String::from_utf8_lossy(&body));
        }
        assert_eq!(parts.headers["content-type"], "text/event-stream");
        Some(Self {
            headers: parts.headers,
            body,
            unread: Vec::new(),
            frames: VecDeque::new(),
            last_id: after.map(str::to_owned),
            broken: false,
        })
    }

    /// The next frame of any kind; `None` at the end, whether it was a good one or not.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        while self.frames.is_empty() {
            let piece = timeout(DEADLINE, self.body.frame()).await;
            let Ok(piece) = piece.expect("something within the deadline")? else {
                self.broken = true;
                return None;
            };
            self.unread.extend(piece.into_data().unwrap());
            while let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
                let text: Vec<u8> = self.unread.drain(..end + 2).collect();
                let text = String::from_utf8(text).unwrap();
                self.frames.push_back(Frame::parse(text.trim_end()));
            }
        }
        let frame = self.frames.pop_front()?;
        if let Some(id) = &frame.id {
            self.last_id = Some(id.clone());
        }
        Some(frame)
    }

    /// The next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let frame = timeout(DEADLINE, async {
            loop {
                let frame = self.frame().await?;
                if frame.data.is_some() {
                    return Some(frame);
                }
            }
        });
        // Comments come all the while.
        let frame = frame.await.expect("an event or the end in time")?;
        Some(frame.json())
    }

    /// Whether the end that was met was not that of the connection, and nothing was half told.
    pub(crate) fn ended_well(&self) -> bool {
        !self.broken && self.unread.is_empty()
    }

    /// So many events.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.next().await.expect("an event"));
        }
        events
    }
}

/// The events of some types that the feed tells now, all of them.
pub(crate) async fn feed(client: &Client, types: &str) -> Vec<Value> {
    let mut events = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/events?types={types}&limit=1000{after}");
        let uncached = || client.get(&path).header("cache-control", "no-cache");
        let page = persistently(uncached).await.value(200);
        events.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(cursor) => after = format!("&after={cursor}"),
            None => return events,
        }
    }
}
