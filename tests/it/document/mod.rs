//! The committed document of the API is the one that the code makes, and says what is so.

use std::sync::LazyLock;

use serde_json::Value;
use session_gateway::http::app::openapi_document;
use session_gateway::http::openapi::to_json;

use crate::support::TestApp;

mod examples;
mod shapes;
mod words;

const COMMITTED: &str = include_str!("../../../openapi/openapi.json");

/// The document as clients read it.
fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(COMMITTED).unwrap());
    &DOCUMENT
}

/// Where this key stands in the document, as JSON Pointers.
fn places(value: &Value, key: &str) -> Vec<String> {
    let under = |name: &str, value: &Value| {
        let places = places(value, key).into_iter();
        let name = name.replace('/', "~1");
        places
            .map(move |place| format!("/{name}{place}"))
            .collect::<Vec<_>>()
    };
    match value {
        Value::Object(members) => {
            let here = members.contains_key(key).then(|| format!("/{key}"));
            let below = members.iter().flat_map(|(name, value)| under(name, value));
            here.into_iter().chain(below).collect()
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items
                .flat_map(|(place, value)| under(&place.to_string(), value))
                .collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn the_committed_document_is_the_one_of_the_code() {
    let made = to_json(&openapi_document()).unwrap();
    assert!(
        made == COMMITTED,
        "openapi/openapi.json is not what the code makes: run `make openapi`"
    );
}

#[tokio::test]
async fn the_served_document_is_the_committed_one() {
    let served = TestApp::new().nobody().get("/openapi.json").await;
    assert_eq!(served.expect(200).text(), COMMITTED);
}
