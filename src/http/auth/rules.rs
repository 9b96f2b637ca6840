//! What a request may carry beside its path and body. The rules are read off the document of the operation, so that
//! what is documented and what is taken cannot differ: a misspelt condition must not count as none.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::header;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::{RefOr, Schema};

use crate::http::error::ApiError;
use crate::http::idempotency::Idempotency;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestRules {
    query: Vec<QueryParameter>,
    if_match: bool,
    /// What repeating it with its key does; nothing if the key is passed over.
    pub(super) idempotency: Option<Idempotency>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct QueryParameter {
    name: String,
    repeatable: bool,
}

impl RequestRules {
    /// The rules that the document of an operation implies.
    pub(super) fn of(operation: &Operation) -> Self {
        let parameters = operation.parameters.iter().flatten();
        let declared: Vec<&Parameter> = parameters
            .filter_map(|parameter| match parameter {
                RefOr::T(parameter) => Some(parameter),
                RefOr::Ref(_) => None,
            })
            .collect();
        let is_header = |parameter: &&Parameter| parameter.parameter_in == ParameterIn::Header;
        let mut headers = declared.iter().copied().filter(is_header);
        Self {
            query: declared
                .iter()
                .filter(|parameter| parameter.parameter_in == ParameterIn::Query)
                .map(|parameter| QueryParameter {
                    name: parameter.name.clone(),
                    repeatable: matches!(parameter.schema, Some(RefOr::T(Schema::Array(_)))),
                })
                .collect(),
            if_match: headers.any(|parameter| parameter.name.eq_ignore_ascii_case("if-match")),
            idempotency: Idempotency::of(operation),
        }
    }

    pub(super) fn check(&self, request: &Request) -> Result<(), ApiError> {
        if !self.if_match && request.headers().contains_key(header::IF_MATCH) {
            let detail = "this operation does not take If-Match";
            return Err(ApiError::InvalidRequest(detail.to_owned()));
        }
        self.check_query(request.uri().query().unwrap_or_default())
    }

    fn check_query(&self, query: &str) -> Result<(), ApiError> {
        let pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = serde_urlencoded::from_str(query)
            .map_err(|_error| ApiError::InvalidRequest("the query is not valid".to_owned()))?;
        let mut seen: Vec<&str> = Vec::new();
        for (name, _value) in &pairs {
            let Some(known) = self.query.iter().find(|known| known.name == *name) else {
                return Err(refused(name, "is not a query parameter of this operation"));
            };
            if seen.contains(&known.name.as_str()) && !known.repeatable {
                return Err(refused(name, "may be given only once"));
            }
            seen.push(&known.name);
        }
        Ok(())
    }
}

fn refused(name: &str, rule: &str) -> ApiError {
    let printable = name.chars().filter(|character| !character.is_control());
    let name: String = printable.take(32).collect();
    ApiError::InvalidRequest(format!("`{name}` {rule}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use utoipa::openapi::path::{OperationBuilder, ParameterBuilder};
    use utoipa::openapi::schema::ArrayBuilder;

    fn parameter(name: &str, place: ParameterIn) -> ParameterBuilder {
        ParameterBuilder::new().name(name).parameter_in(place)
    }

    fn check(rules: &RequestRules, uri: &str) -> Result<(), String> {
        let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
        rules.check(&request).map_err(|error| error.to_string())
    }

    fn rules() -> RequestRules {
        let many = ArrayBuilder::new().build();
        let operation = OperationBuilder::new()
            .parameter(parameter("limit", ParameterIn::Query))
            .parameter(parameter("types", ParameterIn::Query).schema(Some(many)))
            .parameter(parameter("id", ParameterIn::Path));
        RequestRules::of(&operation.build())
    }

    #[test]
    fn declared_parameters_pass() {
        for uri in [
            "/",
            "/?",
            "/?limit=1",
            "/?types=a&limit=1&types=b",
            "/?%6Cimit=1",
        ] {
            assert_eq!(check(&rules(), uri), Ok(()), "{uri}");
        }
    }

    #[test]
    fn unknown_parameters_are_named() {
        let told = "`excep\u{e9}t` is not a query parameter of this operation";
        assert_eq!(
            check(&rules(), "/?limit=1&excep%C3%A9t=x"),
            Err(told.to_owned())
        );
        assert!(check(&rules(), "/?id=1").is_err());
        assert!(check(&rules(), "/?Limit=1").is_err());
        assert!(check(&rules(), "/?=1").is_err());
    }

    #[test]
    fn only_lists_repeat() {
        let told = "`limit` may be given only once";
        assert_eq!(check(&rules(), "/?limit=1&limit=1"), Err(told.to_owned()));
    }

    #[test]
    fn if_match_is_for_those_that_declare_it() {
        let request = Request::builder().header("If-Match", "\"1\"");
        let request = request.body(Body::empty()).unwrap();
        let declared =
            OperationBuilder::new().parameter(parameter("If-Match", ParameterIn::Header));
        assert!(RequestRules::of(&declared.build()).check(&request).is_ok());
        assert!(rules().check(&request).is_err());
    }
}
