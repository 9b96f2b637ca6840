//! Permissions in the document: the names there are, each with its sentence. There will be more.

use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::permission::Permission;
use super::words::growing;

impl PartialSchema for Permission {
    fn schema() -> RefOr<Schema> {
        let row = |one: &Self| format!("- `{one}`: {}", one.about());
        let rows: Vec<_> = Self::ALL.iter().map(row).collect();
        let about = format!("One action on one resource.\n\n{}", rows.join("\n"));
        growing(&about, Self::ALL.iter().map(|one| one.as_str()))
    }
}

impl ToSchema for Permission {}
