//! What a service may do: `resource.action`, `resource.*`, `*`, and `:own` for sessions it opened itself.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::Timestamp;
use super::id::{ServiceId, SessionId};
use super::words::growing_words;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;
use utoipa::ToSchema;

/// Makes the enum and its texts from one table, so that neither can miss a row.
macro_rules! permissions {
    ($(#[doc = $about:literal] $name:ident = $text:literal),+ $(,)?) => {
        /// One action on one resource.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Permission { $(#[doc = $about] $name),+ }

        impl Permission {
            /// Every permission there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its text, `resource.action`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// What it allows, in a sentence.
            #[must_use]
            pub fn about(self) -> &'static str {
                let sentence: &str = match self { $(Self::$name => $about),+ };
                sentence.trim()
            }
        }
    };
}

permissions! {
    /// Open sessions.
    SessionCreate = "session.create",
    /// See sessions.
    SessionRead = "session.read",
    /// Change, refresh and rotate sessions.
    SessionUpdate = "session.update",
    /// End sessions.
    SessionDelete = "session.delete",
    /// See attributes.
    AttributeRead = "attribute.read",
    /// Write attributes.
    AttributeWrite = "attribute.write",
    /// Ask whether a token is good.
    TokenVerify = "token.verify",
    /// See login ids.
    LoginRead = "login.read",
    /// Kick out, ban, keep profiles.
    LoginManage = "login.manage",
    /// Read the feed.
    EventRead = "event.read",
    /// See services.
    ServiceRead = "service.read",
    /// Register, change and remove services.
    ServiceManage = "service.manage",
}

growing_words!(Permission, "One action on one resource.");

impl Permission {
    fn resource(self) -> &'static str {
        self.as_str()
            .split_once('.')
            .map_or("", |(resource, _)| resource)
    }

    /// Whether `:own` may narrow it.
    #[must_use]
    pub const fn can_be_own(self) -> bool {
        matches!(
            self,
            Self::SessionRead
                | Self::SessionUpdate
                | Self::SessionDelete
                | Self::AttributeRead
                | Self::AttributeWrite
        )
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|permission| permission.as_str() == text)
            .ok_or(UnknownPermission)
    }
}

/// A text that grants nothing the gateway knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not a permission the gateway knows")]
pub struct UnknownPermission;

/// One entry of a service's permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// `*`
    Everything,
    /// `resource.*`, held as the name of the resource.
    Resource(&'static str),
    /// `resource.action`
    One(Permission),
    /// `resource.action:own`
    Own(Permission),
    /// One that a gateway of another version wrote. It allows nothing here, and is kept.
    Unknown(Box<str>),
}

impl Grant {
    /// Whether all that `other` allows is allowed by this one.
    fn covers(&self, other: &Self) -> bool {
        self == other
            || match self {
                Self::Everything => true,
                Self::Resource(resource) => match other {
                    Self::One(one) | Self::Own(one) => *resource == one.resource(),
                    Self::Everything | Self::Resource(_) | Self::Unknown(_) => false,
                },
                Self::One(one) => *other == Self::Own(*one),
                Self::Own(_) | Self::Unknown(_) => false,
            }
    }
}

impl From<Permission> for Grant {
    fn from(permission: Permission) -> Self {
        Self::One(permission)
    }
}

impl FromStr for Grant {
    type Err = UnknownPermission;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            return Ok(Self::Everything);
        }
        if let Some(resource) = text.strip_suffix(".*") {
            let mut resources = Permission::ALL
                .iter()
                .map(|permission| permission.resource());
            return resources
                .find(|name| *name == resource)
                .map(Self::Resource)
                .ok_or(UnknownPermission);
        }
        match text.strip_suffix(":own") {
            Some(text) => {
                let permission: Permission = text.parse()?;
                if permission.can_be_own() {
                    Ok(Self::Own(permission))
                } else {
                    Err(UnknownPermission)
                }
            }
            None => text.parse().map(Self::One),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("*"),
            Self::Resource(resource) => write!(f, "{resource}.*"),
            Self::One(permission) => permission.fmt(f),
            Self::Own(permission) => write!(f, "{permission}:own"),
            Self::Unknown(text) => f.write_str(text),
        }
    }
}

impl Serialize for Grant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// For what is stored, which a gateway of another version may have written.
impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let known = text.parse();
        Ok(known.unwrap_or_else(|_unknown| Self::Unknown(text.into())))
    }
}

/// Which sessions a call may see; the others look missing to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every session.
    All,
    /// Those that this service opened.
    OpenedBy(Opener),
}

/// A service as one that opens sessions. When its id is registered again it is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opener {
    /// Its id.
    pub service_id: ServiceId,
    /// When it was registered: no two registrations of an id have one moment.
    pub registered_at: Timestamp,
}

impl Scope {
    /// Whether a session is in sight that a service with this id opened under this registration. Sessions that versions
    /// before opened do not tell it: such a one is the service's own if it is not older than its registration.
    #[must_use]
    pub fn covers(
        &self,
        session_id: SessionId,
        service_id: &ServiceId,
        registration: Option<Timestamp>,
    ) -> bool {
        match self {
            Self::All => true,
            Self::OpenedBy(own) => {
                own.service_id == *service_id
                    && registration.map_or(session_id.made_at() >= own.registered_at, |told| {
                        told == own.registered_at
                    })
            }
        }
    }
}

/// The permissions of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Vec<Grant>")]
#[schema(value_type = Vec<String>, max_items = 64, example = json!(["session.*", "token.verify", "attribute.read:own"]))]
pub struct Permissions(Vec<Grant>);

impl Permissions {
    /// The most entries a service may have: every permission in both forms fits.
    pub const MAX: usize = 64;

    /// Every permission.
    #[must_use]
    pub fn everything() -> Self {
        Self(vec![Grant::Everything])
    }

    /// The entries.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.0
    }

    /// The first of `others` that allows something which none of these allows. A wildcard is more than all that it
    /// reaches today, as there will be more permissions.
    #[must_use]
    pub fn first_missing<'a>(&self, others: &'a Self) -> Option<&'a Grant> {
        let is_covered = |other: &Grant| self.0.iter().any(|held| held.covers(other));
        others.0.iter().find(|other| !is_covered(other))
    }

    /// How far `permission` reaches for a service with these permissions; `None` if it does not have it.
    #[must_use]
    pub fn scope(&self, permission: Permission, opener: impl FnOnce() -> Opener) -> Option<Scope> {
        let whole = |grant: &Grant| match grant {
            Grant::Everything => true,
            Grant::Resource(resource) => *resource == permission.resource(),
            Grant::One(one) => *one == permission,
            Grant::Own(_) | Grant::Unknown(_) => false,
        };
        if self.0.iter().any(whole) {
            return Some(Scope::All);
        }
        self.0
            .contains(&Grant::Own(permission))
            .then(|| Scope::OpenedBy(opener()))
    }
}

/// More entries than a service may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be at most {} entries", Permissions::MAX)]
pub struct TooManyGrants;

impl TryFrom<Vec<Grant>> for Permissions {
    type Error = TooManyGrants;

    fn try_from(grants: Vec<Grant>) -> Result<Self, Self::Error> {
        if grants.len() <= Self::MAX {
            Ok(Self(grants))
        } else {
            Err(TooManyGrants)
        }
    }
}

/// Permissions that a service is to get: all of them are known here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<KnownGrant>")]
pub struct NewPermissions(Permissions);

#[derive(Deserialize)]
#[serde(transparent)]
struct KnownGrant(#[serde(deserialize_with = "known_grant")] Grant);

fn known_grant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Grant, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

impl TryFrom<Vec<KnownGrant>> for NewPermissions {
    type Error = TooManyGrants;

    fn try_from(grants: Vec<KnownGrant>) -> Result<Self, Self::Error> {
        let grants: Vec<Grant> = grants.into_iter().map(|known| known.0).collect();
        grants.try_into().map(Self)
    }
}

impl From<NewPermissions> for Permissions {
    fn from(new: NewPermissions) -> Self {
        new.0
    }
}

impl FromIterator<Grant> for Permissions {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        Self(grants.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(grants: &[&str]) -> Permissions {
        let grants = grants.iter().map(|text| text.parse::<Grant>().unwrap());
        grants.collect()
    }

    fn me() -> Opener {
        Opener {
            service_id: ServiceId::parse("me").unwrap(),
            registered_at: Timestamp::from_millis(7),
        }
    }

    fn scope(grants: &[&str], permission: Permission) -> Option<Scope> {
        permissions(grants).scope(permission, me)
    }

    #[test]
    fn nobody_holds_more_than_it_was_given() {
        for (held, others, missing) in [
            (&["*"][..], &["*", "session.*", "event.read"][..], None),
            (&["session.*"], &["session.read", "session.read:own"], None),
            (&["session.read"], &["session.read:own"], None),
            (&["session.read:own"], &["session.read:own"], None),
            (
                &["session.read:own"],
                &["session.read"],
                Some("session.read"),
            ),
            (&["session.read"], &["session.*"], Some("session.*")),
            (&["session.*", "login.*"], &["*"], Some("*")),
            (
                &["session.*"],
                &["session.read", "event.read"],
                Some("event.read"),
            ),
            (&[], &["event.read"], Some("event.read")),
            (&[], &[], None),
        ] {
            let (held, others) = (permissions(held), permissions(others));
            let found = held.first_missing(&others).map(ToString::to_string);
            assert_eq!(found.as_deref(), missing, "{held:?} {others:?}");
        }
    }

    #[test]
    fn what_another_version_wrote_is_kept_and_allows_nothing() {
        let text = r#"["session.import","online.*","session.read"]"#;
        let stored: Permissions = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&stored).unwrap(), text);
        assert!(serde_json::from_str::<NewPermissions>(text).is_err());
        assert_eq!(stored.scope(Permission::SessionRead, me), Some(Scope::All));
        assert_eq!(stored.scope(Permission::SessionCreate, me), None);
        let missing = permissions(&["session.*"]).first_missing(&stored);
        assert_eq!(
            missing.map(ToString::to_string).as_deref(),
            Some("session.import")
        );
        assert_eq!(Permissions::everything().first_missing(&stored), None);
    }

    #[test]
    fn every_permission_reads_back() {
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(*permission));
        }
    }

    #[test]
    fn wildcards_reach_as_far_as_they_say() {
        assert_eq!(scope(&["*"], Permission::EventRead), Some(Scope::All));
        assert_eq!(
            scope(&["session.*"], Permission::SessionDelete),
            Some(Scope::All)
        );
        assert_eq!(scope(&["session.*"], Permission::ServiceManage), None);
        assert_eq!(scope(&[], Permission::SessionRead), None);
    }

    #[test]
    fn own_narrows_unless_a_wider_grant_stands_beside_it() {
        let own = Some(Scope::OpenedBy(me()));
        assert_eq!(scope(&["session.read:own"], Permission::SessionRead), own);
        assert_eq!(
            scope(
                &["session.read:own", "session.read"],
                Permission::SessionRead
            ),
            Some(Scope::All)
        );
        assert_eq!(
            scope(&["session.read:own"], Permission::SessionUpdate),
            None
        );
    }

    #[test]
    fn what_is_not_on_the_list_is_refused() {
        for text in [
            "",
            "session",
            "session.fly",
            "rocket.*",
            "online.read",
            "session.import",
            "token.verify:own",
            "session.*:own",
            "**",
            "*:own",
        ] {
            assert_eq!(text.parse::<Grant>(), Err(UnknownPermission), "{text}");
        }
    }
}
