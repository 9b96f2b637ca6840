//! The document is one from which clients can be generated, and its bounds are those of the parsers.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Value, json};
use session_gateway::model::attribute::AttributeName;
use session_gateway::model::event::EventId;
use session_gateway::model::id::{LoginId, ServiceId};
use session_gateway::model::service::ServiceName;
use session_gateway::model::session::{
    ConnectionId, Device, DeviceId, EndDetail, ServerAddr, UserAgent,
};
use session_gateway::model::token::{ServiceSecret, Token};

use super::examples::bodies;
use super::{document, places};
use crate::support::{TestApp, open};
use crate::walk::operations;

#[test]
fn every_word_of_an_enum_has_a_name_of_its_own() {
    let document = document();
    let mut names = BTreeSet::new();
    for (schema, told) in document["components"]["schemas"].as_object().unwrap() {
        let Some(words) = told["enum"].as_array() else {
            continue;
        };
        let called = told["x-enum-varnames"].as_array().unwrap();
        assert_eq!(called.len(), words.len(), "{schema}");
        for name in called {
            assert!(names.insert(name.as_str().unwrap().to_owned()), "{name}");
        }
    }
    assert!(names.contains("LIMIT_PER_DEVICE"), "{names:?}");
}

fn kinds(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_integer_has_a_format_and_bounds_within_it() {
    let document = document();
    let mut integers = 0;
    for place in places(document, "type") {
        let place = place.trim_end_matches("/type");
        let schema = document.pointer(place).unwrap();
        if !kinds(schema).contains(&"integer") || place.contains("/headers/") {
            continue;
        }
        let (least, most) = match schema["format"].as_str() {
            Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
            Some("int64") => (i64::MIN, i64::MAX),
            other => panic!("{place}: {other:?}"),
        };
        for bound in ["minimum", "maximum"] {
            let told = schema[bound].as_i64();
            assert!(
                told.is_some_and(|told| (least..=most).contains(&told)),
                "{place}: {schema}"
            );
        }
        integers += 1;
    }
    assert!(integers > 40, "{integers}");
}

#[test]
fn no_parameter_and_no_header_is_null() {
    let document = document();
    let places = places(document, "type");
    let headers = places.iter().filter(|place| {
        place.contains("/parameters/")
            || place.contains("/headers/") && !place.contains("/schemas/")
    });
    for place in headers {
        let kind = document.pointer(place).unwrap();
        assert!(kind.is_string() && kind != "null", "{place}: {kind}");
    }
}

#[test]
fn a_problem_that_several_operations_answer_stands_in_one_place() {
    let document = document();
    let mut inline = BTreeSet::new();
    for operation in operations() {
        for (status, response) in operation.document["responses"].as_object().unwrap() {
            if let Some(place) = response["$ref"].as_str() {
                let shared = document.pointer(place.trim_start_matches('#')).unwrap();
                assert!(!shared["description"].is_null(), "{place}");
            } else if !response["content"]["application/problem+json"].is_null() {
                let told = format!("{status} {response}");
                assert!(inline.insert(told), "{}: {response}", operation.name());
            }
        }
    }
}

/// Texts of one to three characters, good and bad, and lengths about every limit.
fn samples() -> Vec<String> {
    let letters = [
        "a", "s", "Z", "0", ".", "_", "-", " ", "/", "~", "ä", "\u{7f}", "\u{9f}", "\n",
    ];
    let mut samples = vec![String::new()];
    for _ in 0..3 {
        let longer = samples
            .iter()
            .flat_map(|start| letters.map(|letter| format!("{start}{letter}")));
        let longer: Vec<_> = longer.collect();
        samples.extend(longer);
    }
    for length in [31, 32, 64, 65, 128, 129, 256, 257, 512, 513, 1024, 1025] {
        samples.push("a".repeat(length));
    }
    for start in ["sgw_", "sgw", "sg_", "\u{1}", "ä", "~", "s gw"] {
        samples.push(start.to_owned() + &"a".repeat(40));
    }
    samples.sort_unstable();
    samples.dedup();
    samples
}

/// What a schema says of a text.
fn rule(schema: &Value) -> impl Fn(&str) -> bool {
    let bound = |name: &str| usize::try_from(schema[name].as_u64().unwrap()).unwrap();
    let lengths = bound("minLength")..=bound("maxLength");
    let pattern = Regex::new(schema["pattern"].as_str().unwrap()).unwrap();
    move |text| lengths.contains(&text.chars().count()) && pattern.is_match(text)
}

type Parser = fn(&str) -> bool;

#[test]
fn texts_have_the_patterns_and_lengths_that_their_parsers_enforce() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let parsers: [(&str, Parser); 12] = [
        ("AttributeName", |text| AttributeName::parse(text).is_ok()),
        ("ConnectionId", |text| ConnectionId::parse(text).is_ok()),
        ("Device", |text| Device::parse(text).is_ok()),
        ("DeviceId", |text| DeviceId::parse(text).is_ok()),
        ("EndDetail", |text| EndDetail::parse(text).is_ok()),
        ("EventId", |text| EventId::parse(text).is_ok()),
        ("LoginId", |text| LoginId::parse(text).is_ok()),
        ("ServerAddr", |text| ServerAddr::parse(text).is_ok()),
        ("ServiceId", |text| ServiceId::parse(text).is_ok()),
        ("ServiceName", |text| ServiceName::parse(text).is_ok()),
        ("ServiceSecret", |text| {
            ServiceSecret::chosen(text.to_owned()).is_ok()
        }),
        ("UserAgent", |text| UserAgent::parse(text).is_ok()),
    ];
    let mut parsers: Vec<_> = parsers
        .into_iter()
        .map(|(name, parser)| (&schemas[name], parser))
        .collect();
    let token = &schemas["CreateSessionRequest"]["properties"]["token"];
    parsers.push((token, |text| {
        serde_json::from_value::<Token>(json!(text)).is_ok()
    }));
    let samples = samples();
    for (schema, parser) in parsers {
        let is_documented = rule(schema);
        for text in &samples {
            let documented = is_documented(text);
            assert_eq!(documented, parser(text), "{schema}: {text:?}");
        }
    }
}

/// Whether this is said to take null.
fn is_nullable(schema: &Value) -> bool {
    let any_of = schema["oneOf"].as_array();
    kinds(schema).contains(&"null") || any_of.is_some_and(|of| of.iter().any(is_nullable))
}

#[tokio::test]
async fn null_is_taken_where_the_document_says_so_and_nowhere_else() {
    let app = TestApp::new();
    let admin = app.admin();
    let document = document();
    let mut fields = 0;
    for operation in operations() {
        let name = operation.name();
        let Some((kind, body)) = bodies(&operation)
            .into_iter()
            .find(|(kind, _)| kind.contains("json"))
        else {
            continue;
        };
        let schema = &operation.document["requestBody"]["content"][&kind]["schema"];
        let place = schema["$ref"].as_str().unwrap().trim_start_matches('#');
        let Some(properties) = document.pointer(&format!("{place}/properties")) else {
            continue;
        };
        let id = open(&admin, json!({"login_id": "ana"})).await.id;
        let path = operation
            .path
            .replace("{session_id}", &id)
            .replace(['{', '}'], "");
        for (field, told) in properties.as_object().unwrap() {
            let mut body = body.clone();
            body[field] = Value::Null;
            let call = admin.call(operation.method.clone(), path.clone());
            let answer = call.json(&body).await;
            let pointer = answer.json()["errors"][0]["pointer"].clone();
            let is_refused = answer.status == 400 && pointer == format!("/{field}");
            assert_eq!(
                is_refused,
                !is_nullable(told),
                "{name} {field}: {}",
                answer.text()
            );
            fields += 1;
        }
        let call = admin
            .call(operation.method.clone(), path)
            .json(&Value::Null);
        call.await.problem(400, "invalid_request");
    }
    assert!(fields > 40, "{fields}");
}
