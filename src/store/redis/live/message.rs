//! What comes over the channel: events as they happen, what it takes to make a rotation again, and the heartbeats of all
//! nodes. Each message is a row of texts, each after its length in four bytes.

use std::time::Duration;

use super::super::events;
use super::super::streams::PARTITIONS;
use crate::model::Timestamp;
use crate::model::id::{ServiceId, SessionId};
use crate::model::request::Access;
use crate::model::rotation::Successor;
use crate::model::session_token::SealedToken;
use crate::model::token::CredentialHash;
use crate::rules::rotate::TokenRotation;
use crate::store::Partition;
use crate::store::node::tail::{Entry, NodeId};

/// A message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    Event {
        stream: Partition,
        entry: Entry,
    },
    /// A token was rotated at a moment.
    Rotation(TokenRotation, Timestamp),
    Heartbeat(Heartbeat),
}

/// A heartbeat as a master has taken it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heartbeat {
    pub(super) sender: NodeId,
    pub(super) number: u64,
    /// Whether the master serves each key it was asked for.
    pub(super) served: Vec<bool>,
    /// The newest format of what is stored that the sender goes along with.
    pub(super) format: u64,
    /// Whether the master had what the heartbeat before wrote, on whatever node.
    pub(super) has_last: bool,
}

/// Reads a message; `None` if it is none of ours.
pub(super) fn decode(message: &[u8]) -> Option<Message> {
    let texts = texts(message)?;
    let (kind, rest) = texts.split_first()?;
    match (*kind, rest) {
        (b"event", [tag, previous, position, fields @ ..]) => Some(Message::Event {
            stream: PARTITIONS.named(text(tag)?)?,
            entry: entry(previous, position, fields)?,
        }),
        (b"turn", [session_id, presented, hash, sealed, at, grace, by]) => {
            let rotation = TokenRotation {
                session_id: SessionId::from_bytes((*session_id).try_into().ok()?),
                presented: CredentialHash::from_digest((*presented).try_into().ok()?),
                successor: Successor {
                    hash: CredentialHash::from_digest((*hash).try_into().ok()?),
                    sealed: SealedToken(sealed.to_vec()),
                },
                grace: Duration::from_millis(text(grace)?.parse().ok()?),
                access: Access::to_all(&ServiceId::parse(text(by)?).ok()?),
            };
            let at = Timestamp::from_millis(text(at)?.parse().ok()?);
            Some(Message::Rotation(rotation, at))
        }
        // Versions before this one tell no format, or not what the master has, and later ones may tell more.
        (b"beat", [sender, number, served, rest @ ..]) => Some(Message::Heartbeat(Heartbeat {
            sender: text(sender)?.parse().ok()?,
            number: text(number)?.parse().ok()?,
            served: served.iter().map(|served| *served == b'1').collect(),
            format: match rest.first() {
                Some(format) => text(format)?.parse().ok()?,
                None => 1,
            },
            has_last: rest.get(1).is_none_or(|has_last| *has_last != b"0"),
        })),
        _ => None,
    }
}

fn entry(previous: &[u8], position: &[u8], fields: &[&[u8]]) -> Option<Entry> {
    let previous = match previous {
        b"" => None,
        position => Some(text(position)?.parse().ok()?),
    };
    let (pairs, _) = fields.as_chunks::<2>();
    let fields = pairs
        .iter()
        .map(|[name, value]| (name.to_vec(), value.to_vec()));
    Some(Entry {
        previous,
        position: text(position)?.parse().ok()?,
        told: events::decode(fields.collect()),
    })
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn texts(message: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = message;
    let mut texts = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (text, after) = after.split_at_checked(length)?;
        texts.push(text);
        rest = after;
    }
    rest.is_empty().then_some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::position::Position;

    fn message(texts: &[&[u8]]) -> Vec<u8> {
        let rows = texts.iter().map(|text| {
            let length = u32::try_from(text.len()).unwrap().to_be_bytes();
            [&length, *text].concat()
        });
        rows.collect::<Vec<_>>().concat()
    }

    #[test]
    fn an_event_has_its_position_and_the_one_before() {
        let bytes = message(&[b"event", b"7f", b"5-0", b"6-1", b"t", b"?"]);
        let entry = Entry {
            previous: Some(Position {
                millis: 5,
                number: 0,
            }),
            position: Position {
                millis: 6,
                number: 1,
            },
            told: None,
        };
        assert_eq!(
            decode(&bytes),
            Some(Message::Event {
                stream: Partition(0x7f),
                entry
            })
        );
    }

    #[test]
    fn a_beat_tells_what_is_served() {
        let rests: [(u64, bool, &[&[u8]]); 4] = [
            (1, true, &[]),
            (1, true, &[b"1"]),
            (7, true, &[b"7", b"1", b"more"]),
            (7, false, &[b"7", b"0"]),
        ];
        for (format, has_last, rest) in rests {
            let texts: [&[u8]; 4] = [b"beat", b"18", b"7", b"101"];
            let heartbeat = Heartbeat {
                sender: 18,
                number: 7,
                served: vec![true, false, true],
                format,
                has_last,
            };
            let bytes = message(&[&texts, rest].concat());
            assert_eq!(decode(&bytes), Some(Message::Heartbeat(heartbeat)));
        }
    }

    #[test]
    fn a_turn_tells_what_it_takes_to_make_it_again() {
        let (id, first, second) = ([7; 16], [1; 32], [2; 32]);
        let bytes = message(&[
            b"turn", &id, &first, &second, b"sealed", b"18", b"30000", b"web",
        ]);
        let rotation = TokenRotation {
            session_id: SessionId::from_bytes(id),
            presented: CredentialHash::from_digest(first),
            successor: Successor {
                hash: CredentialHash::from_digest(second),
                sealed: SealedToken(b"sealed".to_vec()),
            },
            grace: Duration::from_secs(30),
            access: Access::to_all(&ServiceId::parse("web").unwrap()),
        };
        let at = Timestamp::from_millis(18);
        assert_eq!(decode(&bytes), Some(Message::Rotation(rotation, at)));
    }

    #[test]
    fn anything_else_is_nothing() {
        let whole = message(&[b"event", b"7f", b"", b"6-1"]);
        assert!(decode(&whole).is_some());
        for wrong in [
            &whole[..whole.len() - 1],
            &message(&[b"event", b"7g", b"", b"6-1"]),
            &message(&[b"beat", b"short", b"1", b""]),
            &message(&[b"other"]),
            b"",
            b"\xff\xff\xff\xff1",
        ] {
            assert_eq!(decode(wrong), None, "{}", wrong.escape_ascii());
        }
    }
}
