//! How the parts of a session are written as fields of its record.

use crate::model::session::{ConnectionStats, EndReason, Session, SessionState};

use crate::model::session_token::{StoredToken, TokenOrigin};

/// Fields with their values, as Redis has them.
pub(super) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Starts the names of fields that hold attributes.
pub(super) const ATTRIBUTE: &[u8] = b"a:";
/// The longest value that keeps a hash small.
const PIECE: usize = 64;
/// The pieces of the longest user agent.
pub(super) const PIECES: usize = 16;

/// The field of one piece of a user agent.
pub(super) fn piece_name(number: usize) -> String {
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

pub(super) fn state_of(text: &str) -> Option<SessionState> {
    Some(match text {
        "c" => SessionState::Connecting,
        "a" => SessionState::Active,
        "d" => SessionState::Disconnecting,
        "x" => SessionState::Closed,
        _ => return None,
    })
}

pub(super) fn reason_of(text: &str) -> Option<EndReason> {
    let mut all = EndReason::ALL.into_iter();
    all.find(|reason| reason.as_str() == text)
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

pub(super) fn stats_of(text: &str) -> Option<ConnectionStats> {
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
