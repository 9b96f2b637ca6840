//! What every schema and answer of the document has, whatever operation it is of: what generators of clients trip over
//! otherwise.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::Value;
use utoipa::Number;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayItems, KnownFormat, Object, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Components, OpenApi, Ref, RefOr, Required, Response, Schema};

use crate::http::api::shared_name;

const PROBLEM: &str = "application/problem+json";

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// Gives the document its shape.
pub(super) fn shape(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    for (name, schema) in &mut components.schemas {
        each_object(schema, &mut |object| {
            name_words(name, object);
            bound_integer(object);
        });
    }
    let paths = document.paths.paths.values_mut();
    let mut operations: Vec<_> = paths.flat_map(operations).collect();
    for operation in &mut operations {
        shape_request(operation, &components.schemas);
    }
    share_problems(components, operations);
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let methods = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.patch,
        &mut item.delete,
    ];
    methods.into_iter().filter_map(Option::as_mut)
}

fn each_object(schema: &mut RefOr<Schema>, change: &mut impl FnMut(&mut Object)) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            change(object);
            for property in object.properties.values_mut() {
                each_object(property, change);
            }
            if let Some(AdditionalProperties::RefOr(value)) =
                object.additional_properties.as_deref_mut()
            {
                each_object(value, change);
            }
        }
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                each_object(items, change);
            }
        }
        Schema::OneOf(of) => each_of(&mut of.items, change),
        Schema::AllOf(of) => each_of(&mut of.items, change),
        Schema::AnyOf(of) => each_of(&mut of.items, change),
        _ => {}
    }
}

fn each_of(schemas: &mut [RefOr<Schema>], change: &mut impl FnMut(&mut Object)) {
    for schema in schemas {
        each_object(schema, change);
    }
}

/// Go has one space of names for the words of all enums, so each has its type before it.
fn name_words(name: &str, object: &mut Object) {
    let Some(words) = &object.enum_values else {
        return;
    };
    let mut prefix = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !prefix.is_empty() {
            prefix.push('_');
        }
        prefix.push(letter.to_ascii_uppercase());
    }
    let words = words.iter().filter_map(Value::as_str);
    let names = words.map(|word| format!("{prefix}_{}", word.to_ascii_uppercase()));
    let names: Vec<_> = names.collect();
    let extensions = object.extensions.get_or_insert_default();
    extensions.insert("x-enum-varnames".to_owned(), names.into());
}

fn is_of(kind: &SchemaType, wanted: &Type) -> bool {
    match kind {
        SchemaType::Type(kind) => kind == wanted,
        SchemaType::Array(kinds) => kinds.contains(wanted),
        SchemaType::AnyValue => false,
    }
}

/// A number of which nothing is said goes as far as its format does.
fn bound_integer(object: &mut Object) {
    if !is_of(&object.schema_type, &Type::Integer) {
        return;
    }
    let long = SchemaFormat::KnownFormat(KnownFormat::Int64);
    let format = object.format.get_or_insert(long);
    let (least, most) = if *format == SchemaFormat::KnownFormat(KnownFormat::Int32) {
        (Number::from(i32::MIN), Number::from(i32::MAX))
    } else {
        (Number::from(i64::MIN), Number::from(i64::MAX))
    };
    object.minimum.get_or_insert(least);
    object.maximum.get_or_insert(most);
}

/// What is sent is there or is left out: it is never null.
fn shape_request(operation: &mut Operation, schemas: &Schemas) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            shape_parameter(parameter, schemas);
        }
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        for content in body.content.values_mut() {
            if let RefOr::T(content) = content
                && let Some(schema) = &mut content.schema
            {
                without_null(schema);
            }
        }
    }
}

fn shape_parameter(parameter: &mut Parameter, schemas: &Schemas) {
    let Some(schema) = &mut parameter.schema else {
        return;
    };
    without_null(schema);
    let is_condition = parameter.parameter_in == ParameterIn::Query;
    if is_condition && parameter.required == Required::False {
        without_example(schema, schemas);
    }
}

fn without_null(schema: &mut RefOr<Schema>) {
    let RefOr::T(told) = schema else { return };
    if let Schema::Object(object) = told
        && let SchemaType::Array(kinds) = &object.schema_type
        && let [kind, Type::Null] | [Type::Null, kind] = kinds.as_slice()
    {
        object.schema_type = SchemaType::Type(kind.clone());
    } else if let Schema::OneOf(of) = told {
        let mut others = of.items.iter().filter(|schema| !is_null(schema));
        if let (Some(only), None) = (others.next(), others.next()) {
            *schema = only.clone();
        }
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    match schema {
        RefOr::T(Schema::Object(object)) => is_of(&object.schema_type, &Type::Null),
        RefOr::T(_) | RefOr::Ref(_) => false,
    }
}

/// The browser of the API sends what has an example, and a condition that nobody asked for finds nothing.
fn without_example(schema: &mut RefOr<Schema>, schemas: &Schemas) {
    let RefOr::Ref(reference) = &*schema else {
        return;
    };
    let named = reference.ref_location.rsplit('/').next();
    let Some(RefOr::T(Schema::Object(named))) = named.and_then(|name| schemas.get(name)) else {
        return;
    };
    if named.example.is_none() && named.examples.is_empty() {
        return;
    }
    let mut inline = named.clone();
    inline.description = None;
    inline.example = None;
    inline.examples = Vec::new();
    *schema = RefOr::T(Schema::Object(inline));
}

/// Problems that several operations can answer stand in one place.
fn share_problems(components: &mut Components, operations: Vec<&mut Operation>) {
    let mut times: BTreeMap<(String, String), usize> = BTreeMap::new();
    for operation in &operations {
        for (status, response) in &operation.responses.responses {
            if let Some(problem) = problem(response) {
                let key = (status.clone(), problem.description.clone());
                *times.entry(key).or_default() += 1;
            }
        }
    }
    let answers = operations
        .into_iter()
        .flat_map(|operation| &mut operation.responses.responses);
    for (status, response) in answers {
        let Some(problem) = problem(response) else {
            continue;
        };
        let key = (status.clone(), problem.description.clone());
        let name = response_name(status, &problem.description);
        if times.get(&key).is_none_or(|times| *times < 2) {
            continue;
        }
        let reference = RefOr::Ref(Ref::from_response_name(&name));
        let shared = components.responses.entry(name);
        if shared.or_insert_with(|| response.clone()) == response {
            *response = reference;
        }
    }
}

fn problem(response: &RefOr<Response>) -> Option<&Response> {
    match response {
        RefOr::T(response) => response.content.contains_key(PROBLEM).then_some(response),
        RefOr::Ref(_) => None,
    }
}

/// By what it tells, or as its status is called: `TooManyRequests`.
fn response_name(status: &str, description: &str) -> String {
    if let Some(name) = shared_name(description) {
        return name.to_owned();
    }
    let status: Option<StatusCode> = status.parse().ok();
    let reason = status.and_then(|status| status.canonical_reason());
    let letters = reason.unwrap_or_default().chars();
    letters.filter(char::is_ascii_alphanumeric).collect()
}
