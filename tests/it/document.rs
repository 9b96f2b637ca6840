//! The committed document of the API is the one that the code makes.

use session_gateway::http::app::openapi_document;
use session_gateway::http::openapi::to_json;

use crate::support::TestApp;

const COMMITTED: &str = include_str!("../../openapi/openapi.json");

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
