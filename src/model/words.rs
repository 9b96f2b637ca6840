//! Types that are one of a set of words which grows. In the document they are strings, beside which stand the words there
//! are today (`x-extensible-enum`): clients must expect others.

use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

/// The schema of such a type.
pub(crate) fn growing(about: &str, words: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    let words: Vec<_> = words.into_iter().collect();
    let extensions = Extensions::builder().add("x-extensible-enum", words);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(about))
        .extensions(Some(extensions.build()))
        .into()
}

/// Gives such a type its schema: by its words, `ALL` of them, `as_str` each.
macro_rules! growing_words {
    ($name:ident, $about:literal) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let words = Self::ALL.iter().map(|word| word.as_str());
                $crate::model::words::growing($about, words)
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}
pub(crate) use growing_words;
