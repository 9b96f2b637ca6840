//! Events as entries of a stream: one field for each fact.
//!
//! | field | |
//! | --- | --- |
//! | `g` | the node whose operation did it, in 8 bytes; of an ending that is done again, nothing |
//! | `t` `a` `o` | kind (`c` `w` `r` `e` `s` `b` `u`) · when · the service that opened the session, did something, or was changed |
//! | `s` `l` | session id, login id |
//! | `z` | when it was appended, if it stands behind one that was appended by a clock that was ahead |
//! | `d` | device of a session that was opened |
//! | `v` `n` `w` `b` | version, attribute names, field names (a line each) of a change, by whom |
//! | `b` | who asked for a rotation |
//! | `r` `b` `d` `m` | reason of an ending, by whom, what was said about it, after how many milliseconds of life |
//! | `q` `d` `b` | end of a ban, why, by whom |
//! | `k` `b` | what happened to a service, by whom |

use std::collections::HashMap;
use std::time::Duration;

use super::fields::Fields;
use super::fields::reason_of;
use crate::model::Timestamp;
use crate::model::attribute::AttributeName;
use crate::model::event::{Change, Fact, ServiceChange};
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::session::{Device, EndDetail};
use crate::store::node::tail::{NodeId, Recorded};

/// Reads an entry; `None` if it is none of ours.
pub(super) fn decode(fields: Fields) -> Option<Recorded> {
    let entry = Entry(fields.into_iter().collect());
    let fact = entry.fact()?;
    let node = entry.0.get(b"g".as_slice());
    let lived = entry.text("m").and_then(|millis| millis.parse().ok());
    Some(Recorded {
        fact,
        node: node.and_then(|node| Some(NodeId::from_be_bytes(node.as_slice().try_into().ok()?))),
        lived: lived.map(Duration::from_millis),
    })
}

struct Entry(HashMap<Vec<u8>, Vec<u8>>);

impl Entry {
    fn fact(&self) -> Option<Fact> {
        Some(Fact {
            at: Timestamp::from_millis(self.text("a")?.parse().ok()?),
            session_id: match self.0.get(b"s".as_slice()) {
                Some(id) => Some(SessionId::from_bytes(id.as_slice().try_into().ok()?)),
                None => None,
            },
            login_id: match self.text("l") {
                Some(login_id) => Some(LoginId::parse(login_id).ok()?),
                None => None,
            },
            service_id: ServiceId::parse(self.text("o")?).ok()?,
            change: self.change()?,
        })
    }

    fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.0.get(name.as_bytes())?).ok()
    }

    fn lines(&self, name: &str) -> Option<impl Iterator<Item = &str>> {
        Some(self.text(name)?.lines())
    }

    /// A field that may be absent, but not wrong.
    fn maybe<T, E>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        self.text(name).map(parse).transpose()
    }

    fn by(&self) -> Option<ServiceId> {
        ServiceId::parse(self.text("b")?).ok()
    }

    fn change(&self) -> Option<Change> {
        Some(match self.text("t")? {
            "c" => Change::SessionCreated {
                device: self.maybe("d", Device::parse).ok()?,
            },
            "w" => Change::SessionChanged {
                version: self.text("v")?.parse().ok()?,
                attributes: self
                    .lines("n")?
                    .map(|name| AttributeName::parse(name).ok())
                    .collect::<Option<_>>()?,
                fields: self.lines("w")?.map(ToOwned::to_owned).collect(),
                by: self.by()?,
            },
            "r" => Change::SessionRotated { by: self.by()? },
            "e" => Change::SessionEnded {
                reason: reason_of(self.text("r")?)?,
                by: self.by(),
                detail: self.maybe("d", EndDetail::parse).ok()?,
            },
            "b" => Change::LoginBanned {
                until: self
                    .maybe("q", str::parse)
                    .ok()?
                    .map(Timestamp::from_millis),
                reason: EndDetail::parse(self.text("d")?).ok()?,
                by: self.by()?,
            },
            "u" => Change::LoginUnbanned { by: self.by()? },
            "s" => Change::ServiceChanged {
                change: service_change_of(self.text("k")?)?,
                by: self.by()?,
            },
            _ => return None,
        })
    }
}

pub(super) fn service_change_text(change: ServiceChange) -> &'static str {
    match change {
        ServiceChange::Registered => "registered",
        ServiceChange::Updated => "updated",
        ServiceChange::SecretRotated => "secret_rotated",
        ServiceChange::Removed => "removed",
    }
}

fn service_change_of(text: &str) -> Option<ServiceChange> {
    Some(match text {
        "registered" => ServiceChange::Registered,
        "updated" => ServiceChange::Updated,
        "secret_rotated" => ServiceChange::SecretRotated,
        "removed" => ServiceChange::Removed,
        _ => return None,
    })
}
