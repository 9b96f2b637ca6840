//! How a session is stored: one hash, its fields named by single letters, every value as text or plain bytes.
//!
//! | field | live | ended |
//! | --- | --- | --- |
//! | `f` `d` | format · session id, 16 bytes | the same |
//! | `o` `O` `l` `t` `c` | service that opened it · when that was registered · login id · SHA-256 of the token · `1` if a caller brought it | the same |
//! | `k` `v` `s` | key of its login · version · state | |
//! | `b` `u` `i` `m` `p` | opened, last used, idle expiry, absolute expiry in ms · idle timeout in ms | |
//! | `n` `z` `a:…` | number of attributes · their bytes · each as JSON | |
//! | `D` `I` `C` `A` `P` `U…` `S` `T` | device, its id, connection, address, port, user agent, server, counters | |
//! | `h` `F` `G` | SHA-256 of the previous token · 8 bytes of those of the last 8 · until when each is good, 8 bytes | the same |
//! | `B` | SHA-256 of the token that a caller brought, once rotated | the same |
//! | `R` `X` `Y` | when the token was made by a rotation · it sealed · `1` as long as nobody has shown it | |
//! | `r` `e` `y` `w` `q` | | reason · when · by whom · what was said about it · told until |
//! | `N` | the format by which it is counted as one of its service | |
//! | `E` | | `1` if all of a live session is still there, and no event has told of its end |
//!
//! A hash is small only while each value has at most 64 bytes, so a user agent is cut into `U0`, `U1` and so on.

use std::time::Duration;

use crate::model::Timestamp;
use crate::model::attribute::{AttributeName, AttributeValue, Attributes};
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::record::SessionRecord;
use crate::model::session::{
    ConnectionId, Device, DeviceId, EndDetail, Ended, ServerAddr, Session, Tombstone, UserAgent,
};
use crate::model::session_token::{FormerToken, FormerTokens, Rotation, SealedToken};
use crate::model::session_token::{StoredToken, TokenOrigin};
use crate::model::token::CredentialHash;
use crate::rules::Kept;
use crate::rules::entry::SessionEntry;

use super::fields::{ATTRIBUTE, Fields, PIECES, piece_name, reason_of, state_of, stats_of};

/// What error messages call a record.
pub(super) const SESSION: &str = "session";

/// Reads what stands under the key of a session, in a format that this version reads. What cannot be one is missing,
/// with a warning.
pub(super) fn decode(session_id: SessionId, fields: Fields) -> SessionEntry {
    if fields.is_empty() {
        return SessionEntry::Missing;
    }
    let record = Record::new(fields);
    let stored = if record.text("r").is_some() {
        record.tombstone(session_id)
    } else {
        record.live(session_id)
    };
    stored.unwrap_or_else(|| foreign(session_id))
}

/// What stands there is not ours.
pub(super) fn foreign(session_id: SessionId) -> SessionEntry {
    tracing::warn!(session.id = %session_id, "a stored session cannot be read and counts as unknown");
    SessionEntry::Missing
}

/// A field that holds what this version would not have written.
struct Foreign;

/// Fields, and where those are whose names are one letter; the others are few enough to look through.
struct Record {
    fields: Fields,
    letters: [Option<u16>; 128],
}

impl Record {
    fn new(fields: Fields) -> Self {
        let mut letters = [None; 128];
        for (place, (name, _)) in (0..).zip(&fields) {
            if let [letter] = name[..]
                && let Some(known) = letters.get_mut(usize::from(letter))
            {
                *known = Some(place);
            }
        }
        Self { fields, letters }
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = if let [letter] = *name.as_bytes() {
            let place = (*self.letters.get(usize::from(letter))?)?;
            self.fields.get(usize::from(place))?
        } else {
            let mut fields = self.fields.iter();
            fields.find(|(field, _)| field == name.as_bytes())?
        };
        Some(value)
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
    fn maybe<T, E>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Foreign> {
        let Some(bytes) = self.bytes(name) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(bytes).or(Err(Foreign))?;
        parse(text).map(Some).or(Err(Foreign))
    }

    fn is_of(&self, session_id: SessionId) -> bool {
        self.number::<u64>("f").is_some() && self.bytes("d") == Some(session_id.as_bytes())
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

    fn hash(&self, name: &str) -> Result<Option<CredentialHash>, Foreign> {
        let bytes = self.bytes(name);
        let digest = bytes
            .map(<[u8; 32]>::try_from)
            .transpose()
            .or(Err(Foreign))?;
        Ok(digest.map(CredentialHash::from_digest))
    }

    fn former(&self) -> Result<Option<FormerTokens>, Foreign> {
        let Some(previous) = self.hash("h")? else {
            return Ok(None);
        };
        let [marks, ends] = ["F", "G"].map(|name| self.bytes(name).unwrap_or_default());
        let (marks, ends) = (marks.as_chunks().0, ends.as_chunks().0);
        if marks.is_empty() || marks.len() != ends.len() {
            return Err(Foreign);
        }
        let last = marks.iter().zip(ends).map(|(mark, end)| FormerToken {
            mark: *mark,
            until: Timestamp::from_millis(i64::from_be_bytes(*end)),
        });
        Ok(Some(FormerTokens {
            previous,
            external: self.hash("B")?,
            last: last.collect(),
        }))
    }

    fn rotation(&self) -> Result<Option<Rotation>, Foreign> {
        let Some(former) = self.former()? else {
            return Ok(None);
        };
        Ok(Some(Rotation {
            at: self.moment("R").ok_or(Foreign)?,
            sealed: SealedToken(self.bytes("X").ok_or(Foreign)?.to_vec()),
            former,
            unused: self.bytes("Y").is_some(),
        }))
    }

    fn tombstone(&self, session_id: SessionId) -> Option<SessionEntry> {
        let value = Tombstone {
            session_id,
            login_id: LoginId::parse(self.text("l")?).ok()?,
            service_id: ServiceId::parse(self.text("o")?).ok()?,
            ended: Ended {
                reason: reason_of(self.text("r")?)?,
                at: self.moment("e")?,
                by: self.maybe("y", ServiceId::parse).ok()?,
                detail: self.maybe("w", EndDetail::parse).ok()?,
            },
            token: self.token()?,
            former: self.former().ok()?,
            registration: self.moment("O"),
        };
        let until = self.moment("q")?;
        self.is_of(session_id)
            .then(|| SessionEntry::Tombstone(Box::new(Kept { until, value })))
    }

    fn live(&self, session_id: SessionId) -> Option<SessionEntry> {
        let record = SessionRecord {
            session: self.session(session_id)?,
            idle_timeout: Duration::from_millis(self.number("p")?),
            token: self.token()?,
            rotation: self.rotation().ok()?,
            registration: self.moment("O"),
            marked: None,
        };
        self.is_of(session_id)
            .then(|| SessionEntry::Record(Box::new(record)))
    }

    fn session(&self, session_id: SessionId) -> Option<Session> {
        let idle_expires_at = self.moment("i")?;
        Some(Session {
            session_id,
            login_id: LoginId::parse(self.text("l")?).ok()?,
            service_id: ServiceId::parse(self.text("o")?).ok()?,
            device: self.maybe("D", Device::parse).ok()?,
            device_id: self.maybe("I", DeviceId::parse).ok()?,
            state: state_of(self.text("s")?)?,
            connection_id: self.maybe("C", ConnectionId::parse).ok()?,
            client_ip: self.maybe("A", str::parse).ok()?,
            client_port: self.maybe("P", str::parse).ok()?,
            user_agent: self.user_agent().ok()?,
            server_addr: self.maybe("S", ServerAddr::parse).ok()?,
            attributes: self.attributes()?,
            stats: self.maybe("T", |text| stats_of(text).ok_or(())).ok()?,
            version: self.number("v")?,
            created_at: self.moment("b")?,
            last_active_at: self.moment("u")?,
            expires_at: idle_expires_at,
            idle_expires_at,
            max_expires_at: self.moment("m")?,
        })
    }

    fn user_agent(&self) -> Result<Option<UserAgent>, Foreign> {
        let pieces = (0..PIECES).map_while(|number| self.bytes(&piece_name(number)));
        let bytes = pieces.collect::<Vec<_>>().concat();
        if bytes.is_empty() {
            return Ok(None);
        }
        let text = std::str::from_utf8(&bytes).or(Err(Foreign))?;
        UserAgent::parse(text).map(Some).or(Err(Foreign))
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
