//! Permissions in the document: the names there are, each with its sentence. There will be more.

use utoipa::openapi::RefOr;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::permission::Permission;

impl PartialSchema for Permission {
    fn schema() -> RefOr<Schema> {
        let row = |one: &Self| format!("- `{one}`: {}", one.about());
        let rows: Vec<_> = Self::ALL.iter().map(row).collect();
        let names: Vec<_> = Self::ALL.iter().map(|one| one.as_str()).collect();
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(format!(
                "One action on one resource.\n\n{}",
                rows.join("\n")
            )))
            .extensions(Some(
                Extensions::builder()
                    .add("x-extensible-enum", names)
                    .build(),
            ));
        schema.build().into()
    }
}

impl ToSchema for Permission {}
