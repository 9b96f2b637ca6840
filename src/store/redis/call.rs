//! Scripts as calls. A request declares once what its script takes and answers: its fields are written in their order
//! here and read in the same order there, each as its type says.

use std::time::Duration;

use super::connections::{Effect, Script};
use super::reply::Reply;
use crate::model::Timestamp;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::request::OperationId;
use crate::model::session::{Device, EndDetail, EndReason};
use crate::model::token::CredentialHash;
use crate::store::StoreError;

/// What a script takes.
pub(super) trait Argument {
    /// The Lua expression that reads it.
    fn lua() -> String;

    fn put(&self, args: &mut Vec<Vec<u8>>);
}

/// What one text holds. Nothing is the empty text.
pub(super) trait Scalar {
    const IS_NUMBER: bool;

    fn text(&self) -> Vec<u8>;
}

/// Types that one text holds: what Lua reads as a number, and what it reads as it is.
macro_rules! scalars {
    ($($is_number:literal: $($type:ty = |$value:ident| $bytes:expr),+;)+) => { $($(
        impl Scalar for $type {
            const IS_NUMBER: bool = $is_number;

            fn text(&self) -> Vec<u8> {
                let $value = self;
                $bytes
            }
        }

        impl Argument for $type {
            fn lua() -> String {
                if $is_number { "tonumber(arg())" } else { "arg()" }.to_owned()
            }

            fn put(&self, args: &mut Vec<Vec<u8>>) {
                args.push(Scalar::text(self));
            }
        }
    )+)+ };
}

scalars! {
    true:
        u64 = |number| number.to_string().into_bytes(),
        usize = |number| number.to_string().into_bytes(),
        Timestamp = |moment| moment.millis().to_string().into_bytes(),
        Duration = |duration| duration.as_millis().to_string().into_bytes();
    false:
        [u8] = |bytes| bytes.to_vec(),
        Vec<u8> = |bytes| bytes.clone(),
        str = |text| text.as_bytes().to_vec(),
        String = |text| text.as_bytes().to_vec(),
        SessionId = |id| id.as_bytes().to_vec(),
        CredentialHash = |hash| hash.as_bytes().to_vec(),
        OperationId = |operation_id| operation_id.0.to_vec(),
        LoginId = |id| id.as_str().as_bytes().to_vec(),
        ServiceId = |id| id.as_str().as_bytes().to_vec(),
        Device = |device| device.to_string().into_bytes(),
        EndDetail = |detail| detail.to_string().into_bytes(),
        EndReason = |reason| reason.as_str().as_bytes().to_vec();
}

impl<T: Scalar + ?Sized> Scalar for &T {
    const IS_NUMBER: bool = T::IS_NUMBER;

    fn text(&self) -> Vec<u8> {
        T::text(self)
    }
}

impl<T: Argument + ?Sized> Argument for &T {
    fn lua() -> String {
        T::lua()
    }

    fn put(&self, args: &mut Vec<Vec<u8>>) {
        T::put(self, args);
    }
}

impl<T: Scalar> Argument for Option<T> {
    fn lua() -> String {
        if T::IS_NUMBER {
            "tonumber(arg())"
        } else {
            "given()"
        }
        .to_owned()
    }

    fn put(&self, args: &mut Vec<Vec<u8>>) {
        args.push(self.as_ref().map(Scalar::text).unwrap_or_default());
    }
}

impl Argument for bool {
    fn lua() -> String {
        "arg() == '1'".to_owned()
    }

    fn put(&self, args: &mut Vec<Vec<u8>>) {
        args.push(if *self { b"1" } else { b"0" }.to_vec());
    }
}

/// Several, behind their number.
#[derive(Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T: Argument> Argument for List<T> {
    fn lua() -> String {
        format!("list(function() return {} end)", T::lua())
    }

    fn put(&self, args: &mut Vec<Vec<u8>>) {
        self.0.len().put(args);
        for item in &self.0 {
            item.put(args);
        }
    }
}

/// A table that a script takes, with a name for each field.
macro_rules! table {
    (
        $(#[$meta:meta])*
        struct $name:ident $(<$life:lifetime>)? { $($field:ident: $type:ty,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub(in crate::store::redis) struct $name $(<$life>)? {
            $(pub(in crate::store::redis) $field: $type,)+
        }

        impl $(<$life>)? $crate::store::redis::call::Argument for $name $(<$life>)? {
            fn lua() -> String {
                let fields = [$(
                    format!(
                        "{} = {}",
                        stringify!($field),
                        <$type as $crate::store::redis::call::Argument>::lua(),
                    )
                ),+];
                format!("{{{}}}", fields.join(", "))
            }

            fn put(&self, args: &mut Vec<Vec<u8>>) {
                $($crate::store::redis::call::Argument::put(&self.$field, args);)+
            }
        }
    };
}
pub(super) use table;

/// A call of a script: what it takes, in local variables of these names, and what it answers after which word.
pub(super) trait Call: Sync {
    type Answer;
    /// What error messages call the record that it is about.
    const RECORD: &'static str;
    /// Whether a failover must not take it back: then it waits for replicas, if the settings ask for them.
    const REPLICATED: bool;

    fn script() -> &'static Script;

    fn effect(&self) -> Effect;

    fn put(&self, args: &mut Vec<Vec<u8>>);

    /// Reads what follows a word; nothing if it is none of those that are known.
    fn answer(&self, word: &str, reply: &mut Reply) -> Result<Option<Self::Answer>, StoreError>;
}

/// Declares a call: its script, what that takes (and, behind `with`, what it does not take), and how an answer is read.
macro_rules! call {
    (
        $(#[$meta:meta])*
        struct $name:ident $(<$life:lifetime>)?: $file:literal, $flags:literal, [$($part:ident),*] {
            $($field:ident: $type:ty,)*
        } $(, with { $($extra:ident: $extra_type:ty,)+ })?
        $record:expr, replicated: $replicated:literal, effect: $effect:expr;
        ($this:ident, $reply:ident) -> $answer:ty { $($word:pat => $read:expr,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Debug)]
        struct $name $(<$life>)? { $($field: $type,)* $($($extra: $extra_type,)+)? }

        impl $(<$life>)? $crate::store::redis::call::Call for $name $(<$life>)? {
            type Answer = $answer;
            const RECORD: &'static str = $record;
            const REPLICATED: bool = $replicated;

            fn script() -> &'static $crate::store::redis::connections::Script {
                static SCRIPT: std::sync::OnceLock<$crate::store::redis::connections::Script> =
                    std::sync::OnceLock::new();
                SCRIPT.get_or_init(|| {
                    let fields: &[(&str, String)] = &[$((
                        stringify!($field),
                        <$type as $crate::store::redis::call::Argument>::lua(),
                    )),*];
                    let own = include_str!(concat!(
                        env!("CARGO_MANIFEST_DIR"), "/src/store/redis/scripts/", $file
                    ));
                    let parts: &[&str] = &[$($crate::store::redis::scripts::$part),*];
                    $crate::store::redis::scripts::script($flags, parts, fields, own)
                })
            }

            fn effect(&$this) -> $crate::store::redis::connections::Effect {
                $effect
            }

            fn put(&self, args: &mut Vec<Vec<u8>>) {
                $($crate::store::redis::call::Argument::put(&self.$field, args);)*
                // A script may take nothing.
                let _: &mut Vec<Vec<u8>> = args;
            }

            fn answer(
                &$this,
                word: &str,
                $reply: &mut $crate::store::redis::reply::Reply,
            ) -> Result<Option<Self::Answer>, $crate::store::StoreError> {
                Ok(Some(match word {
                    $($word => $read,)+
                    _ => return Ok(None),
                }))
            }
        }
    };
}
pub(super) use call;
