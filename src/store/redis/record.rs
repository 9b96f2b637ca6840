//! How a session is stored: one hash, its fields named by single letters, every value as text or plain bytes.
//!
//! | field | live | ended |
//! | --- | --- | --- |
//! | `f` `d` | format · session id, 16 bytes | the same |
//! | `o` `l` `t` `c` | service that opened it · login id · SHA-256 of the token · `1` if a caller brought it | the same |
//! | `k` `v` `s` | key of its login · version · state | |
//! | `b` `u` `i` `m` `p` | opened, last used, idle expiry, absolute expiry in ms · idle timeout in ms | |
//! | `n` `z` `a:…` | number of attributes · their bytes · each as JSON | |
//! | `D` `I` `C` `A` `P` `U…` `S` `T` | device, its id, connection, address, port, user agent, server, counters | |
//! | `r` `e` `y` `q` | | reason · when · by whom · told until |
//!
//! A hash is small only while each value has at most 64 bytes, so a user agent is cut into `U0`, `U1` and so on.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::Timestamp;
use crate::model::attribute::{AttributeName, AttributeValue, Attributes};
use crate::model::record::SessionRecord;
use crate::model::session::{
    ConnectionStats, EndReason, Ended, Session, SessionId, SessionState, StoredToken, TokenOrigin,
    Tombstone,
};
use crate::model::token::CredentialHash;
use crate::store::StoreError;

use super::reply::newer;

/// The format of records.
const FORMAT: &str = "1";
/// What error messages call a record.
pub(super) const SESSION: &str = "session";
/// Starts the names of fields that hold attributes.
const ATTRIBUTE: &[u8] = b"a:";
/// The longest value that keeps a hash small.
const PIECE: usize = 64;
/// The pieces of the longest user agent.
const PIECES: usize = 16;

/// Fields with their values, as Redis has them.
pub(super) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What stands under the key of a session.
#[derive(Debug)]
pub(super) enum Stored {
    /// A session; it may be over.
    Live(Box<SessionRecord>),
    /// A tombstone, and until when it is told of.
    Ended(Box<Tombstone>, Timestamp),
    /// Nothing, or nothing that this version would have written.
    Nothing,
}

/// Reads what stands under the key of a session. What cannot be one is nothing, with a warning.
pub(super) fn decode(session_id: SessionId, fields: Fields) -> Result<Stored, StoreError> {
    if fields.is_empty() {
        return Ok(Stored::Nothing);
    }
    let record = Record::new(fields);
    if let Some(format) = record.text("f").filter(|format| *format != FORMAT)
        && format.parse::<u64>().is_ok()
    {
        return Err(newer(SESSION, format));
    }
    let stored = if record.text("r").is_some() {
        record.tombstone(session_id)
    } else {
        record.live(session_id)
    };
    Ok(stored.unwrap_or_else(|| {
        tracing::warn!(session.id = %session_id, "a stored session cannot be read and counts as unknown");
        Stored::Nothing
    }))
}

struct Record {
    fields: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Record {
    fn new(fields: Fields) -> Self {
        Self {
            fields: fields.into_iter().collect(),
        }
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.fields.get(name.as_bytes()).map(Vec::as_slice)
    }

    fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.bytes(name)?).ok()
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    fn moment(&self, name: &str) -> Option<Timestamp> {
        self.number(name).map(Timestamp::from_millis)
    }

    /// A field that may be absent, but not wrong.
    fn maybe<T, E>(&self, name: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<Option<T>> {
        match self.bytes(name) {
            None => Some(None),
            Some(bytes) => parse(std::str::from_utf8(bytes).ok()?).ok().map(Some),
        }
    }

    fn is_of(&self, session_id: SessionId) -> bool {
        self.text("f") == Some(FORMAT) && self.bytes("d") == Some(session_id.as_bytes())
    }

    fn token(&self) -> Option<StoredToken> {
        Some(StoredToken {
            hash: CredentialHash::from_digest(self.bytes("t")?.try_into().ok()?),
            origin: match self.bytes("c") {
                None => TokenOrigin::Gateway,
                Some(_) => TokenOrigin::Caller,
            },
        })
    }

    fn tombstone(&self, session_id: SessionId) -> Option<Stored> {
        use crate::model::{login::LoginId, service::ServiceId};
        let tombstone = Tombstone {
            session_id,
            login_id: LoginId::parse(self.text("l")?).ok()?,
            service_id: ServiceId::parse(self.text("o")?).ok()?,
            ended: Ended {
                reason: reason_of(self.text("r")?)?,
                at: self.moment("e")?,
                by: self.maybe("y", ServiceId::parse)?,
            },
            token: self.token()?,
        };
        let until = self.moment("q")?;
        self.is_of(session_id)
            .then(|| Stored::Ended(Box::new(tombstone), until))
    }

    fn live(&self, session_id: SessionId) -> Option<Stored> {
        let record = SessionRecord {
            session: self.session(session_id)?,
            idle_timeout: Duration::from_millis(self.number("p")?),
            token: self.token()?,
        };
        self.is_of(session_id)
            .then(|| Stored::Live(Box::new(record)))
    }

    fn session(&self, session_id: SessionId) -> Option<Session> {
        use crate::model::session::{ConnectionId, Device, DeviceId, ServerAddr};
        use crate::model::{login::LoginId, service::ServiceId};
        let idle_expires_at = self.moment("i")?;
        Some(Session {
            session_id,
            login_id: LoginId::parse(self.text("l")?).ok()?,
            service_id: ServiceId::parse(self.text("o")?).ok()?,
            device: self.maybe("D", Device::parse)?,
            device_id: self.maybe("I", DeviceId::parse)?,
            state: state_of(self.text("s")?)?,
            connection_id: self.maybe("C", ConnectionId::parse)?,
            client_ip: self.maybe("A", str::parse)?,
            client_port: self.maybe("P", str::parse)?,
            user_agent: self.user_agent()?,
            server_addr: self.maybe("S", ServerAddr::parse)?,
            attributes: self.attributes()?,
            stats: self.maybe("T", |text| stats_of(text).ok_or(()))?,
            version: self.number("v")?,
            created_at: self.moment("b")?,
            last_active_at: self.moment("u")?,
            expires_at: idle_expires_at,
            idle_expires_at,
            max_expires_at: self.moment("m")?,
        })
    }

    fn user_agent(&self) -> Option<Option<crate::model::session::UserAgent>> {
        let pieces = (0..PIECES).map_while(|number| self.bytes(&piece_name(number)));
        let bytes = pieces.collect::<Vec<_>>().concat();
        if bytes.is_empty() {
            return Some(None);
        }
        let text = std::str::from_utf8(&bytes).ok()?;
        crate::model::session::UserAgent::parse(text).ok().map(Some)
    }

    fn attributes(&self) -> Option<Attributes> {
        let fields = self.fields.iter();
        let attributes = fields.filter_map(|(field, value)| {
            let name = field.strip_prefix(ATTRIBUTE)?;
            Some(attribute(name, value))
        });
        attributes.collect()
    }
}

fn attribute(name: &[u8], value: &[u8]) -> Option<(AttributeName, AttributeValue)> {
    let name = AttributeName::parse(std::str::from_utf8(name).ok()?).ok()?;
    Some((name, AttributeValue::parse(value).ok()?))
}

/// The field of one piece of a user agent.
fn piece_name(number: usize) -> String {
    format!("U{number}")
}

/// The fields of a user agent, and the names of those it leaves empty.
pub(super) fn user_agent(text: &str) -> (Vec<(String, Vec<u8>)>, Vec<String>) {
    let pieces: Vec<_> = text
        .as_bytes()
        .chunks(PIECE)
        .enumerate()
        .map(|(number, piece)| (piece_name(number), piece.to_vec()))
        .collect();
    let empty = (pieces.len()..PIECES).map(piece_name).collect();
    (pieces, empty)
}

/// The fields that a new session has beyond those that every session has.
pub(super) fn more_fields(session: &Session, token: &StoredToken) -> Fields {
    let mut fields = Fields::new();
    let mut put = |name: &str, value: Option<String>| {
        fields.extend(value.map(|value| (name.into(), value.into_bytes())));
    };
    let bytes: usize = session
        .attributes
        .iter()
        .map(|(name, value)| name.as_str().len() + value.as_json().len())
        .sum();
    put(
        "c",
        (token.origin == TokenOrigin::Caller).then(|| "1".to_owned()),
    );
    put("s", Some(state_text(session.state).to_owned()));
    put("n", Some(session.attributes.iter().count().to_string()));
    put("z", Some(bytes.to_string()));
    put("D", session.device.as_ref().map(ToString::to_string));
    put("I", session.device_id.as_ref().map(ToString::to_string));
    put("C", session.connection_id.as_ref().map(ToString::to_string));
    put("A", session.client_ip.map(|ip| ip.to_string()));
    put("P", session.client_port.map(|port| port.to_string()));
    put("S", session.server_addr.as_ref().map(ToString::to_string));
    if let Some(text) = &session.user_agent {
        let (pieces, _) = user_agent(text.as_str());
        fields.extend(
            pieces
                .into_iter()
                .map(|(name, piece)| (name.into_bytes(), piece)),
        );
    }
    fields.extend(session.attributes.iter().map(|(name, value)| {
        let field = [ATTRIBUTE, name.as_str().as_bytes()].concat();
        (field, value.as_json().as_bytes().to_vec())
    }));
    fields
}

/// How a state is stored; what is derived is never stored.
pub(super) fn state_text(state: SessionState) -> &'static str {
    match state {
        SessionState::Connecting => "c",
        SessionState::Active | SessionState::Idle => "a",
        SessionState::Disconnecting => "d",
        SessionState::Closed => "x",
    }
}

fn state_of(text: &str) -> Option<SessionState> {
    Some(match text {
        "c" => SessionState::Connecting,
        "a" => SessionState::Active,
        "d" => SessionState::Disconnecting,
        "x" => SessionState::Closed,
        _ => return None,
    })
}

const REASONS: [(EndReason, &str); 8] = [
    (EndReason::Logout, "logout"),
    (EndReason::KickedOut, "kicked_out"),
    (EndReason::Replaced, "replaced"),
    (EndReason::IdleTimeout, "idle_timeout"),
    (EndReason::MaxAge, "max_age"),
    (EndReason::Banned, "banned"),
    (EndReason::TokenReuse, "token_reuse"),
    (EndReason::Admin, "admin"),
];

pub(super) fn reason_text(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Logout => "logout",
        EndReason::KickedOut => "kicked_out",
        EndReason::Replaced => "replaced",
        EndReason::IdleTimeout => "idle_timeout",
        EndReason::MaxAge => "max_age",
        EndReason::Banned => "banned",
        EndReason::TokenReuse => "token_reuse",
        EndReason::Admin => "admin",
    }
}

pub(super) fn reason_of(text: &str) -> Option<EndReason> {
    let mut known = REASONS.iter();
    known
        .find(|(_, name)| *name == text)
        .map(|(reason, _)| *reason)
}

/// Counters as numbers with commas.
pub(super) fn stats_text(stats: &ConnectionStats) -> String {
    let ConnectionStats {
        packets_sent,
        packets_received,
        bytes_sent,
        bytes_received,
        retransmissions,
        rtt_ms,
    } = stats;
    format!(
        "{packets_sent},{packets_received},{bytes_sent},{bytes_received},{retransmissions},{rtt_ms}"
    )
}

fn stats_of(text: &str) -> Option<ConnectionStats> {
    let mut numbers = text.split(',');
    let mut next = || numbers.next()?.parse::<u64>().ok();
    Some(ConnectionStats {
        packets_sent: next()?,
        packets_received: next()?,
        bytes_sent: next()?,
        bytes_received: next()?,
        retransmissions: next()?,
        rtt_ms: next()?.try_into().ok()?,
    })
}
