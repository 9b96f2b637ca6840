//! One request to the loader. What it answers is a profile, that there is no such user, or a failure, which says
//! nothing about the user.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use thiserror::Error;

use super::settings::{LoaderSettings, LoaderUrl};
use super::signature::SigningKey;
use crate::certificates::{Authorities, TrustError};
use crate::model::Timestamp;
use crate::model::id::LoginId;
use crate::model::profile::{InvalidDetails, MAX_DETAILS_BYTES, UserDetails};
use crate::outbound::{Client, ClientSettings, RequestError};
use crate::telemetry::log::with_causes;

/// The most bytes of an answer, which may be a profile with white space in it.
const MAX_ANSWER_BYTES: usize = 2 * MAX_DETAILS_BYTES;

/// Why a request to the loader came to nothing.
#[derive(Debug, Error)]
pub(super) enum LoadFailure {
    #[error("no request can be made of it")]
    Request(#[source] axum::http::Error),
    #[error("the request cannot be signed")]
    Unsigned(#[from] hmac::digest::InvalidLength),
    #[error(transparent)]
    NoAnswer(#[from] RequestError),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("it answers something else than application/json without Content-Encoding")]
    MediaType,
    #[error("it answers no profile")]
    NotAProfile(#[from] InvalidDetails),
}

#[derive(Debug)]
pub(super) struct Loader {
    url: LoaderUrl,
    key: Option<SigningKey>,
    client: Client,
}

impl Loader {
    pub(super) fn open(settings: &LoaderSettings) -> Result<Self, TrustError> {
        // Who is asked in the clear proves nothing.
        let authorities = match &settings.ca_file {
            Some(path) => Authorities::File(path.clone()),
            None if settings.url.is_secure() => Authorities::Machine,
            None => Authorities::None,
        };
        let client = Client::open(&ClientSettings {
            authorities,
            deadline: settings.timeout,
            max_body_bytes: MAX_ANSWER_BYTES,
        })?;
        if settings.key.is_none() {
            tracing::warn!(
                "without SGW_PROFILE_LOADER_SECRET the loader of profiles cannot know who asks"
            );
        }
        Ok(Self {
            url: settings.url.clone(),
            key: settings.key.clone(),
            client,
        })
    }

    pub(super) fn timeout(&self) -> Duration {
        self.client.deadline()
    }

    /// What is known of a user, if there is one, within the timeout. No two requests have the same random bytes.
    pub(super) async fn load(
        &self,
        login_id: &LoginId,
        random: &[u8; 16],
        now: Timestamp,
    ) -> Result<Option<UserDetails>, LoadFailure> {
        let request = self.request(login_id, random, now)?;
        let answer = self.client.begin(request).await?;
        match answer.head.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
            other => return Err(LoadFailure::Status(other)),
        }
        if !is_json(&answer.head.headers) {
            return Err(LoadFailure::MediaType);
        }
        let whole = answer.whole().await?;
        Ok(Some(UserDetails::parse(whole.body())?))
    }

    fn request(
        &self,
        login_id: &LoginId,
        random: &[u8; 16],
        now: Timestamp,
    ) -> Result<Request<Bytes>, LoadFailure> {
        let uri = self.url.of(login_id);
        let uri = uri.map_err(|error| LoadFailure::Request(error.into()))?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let mut request = Request::get(&uri)
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .header(
                header::USER_AGENT,
                HeaderValue::from_static("session-gateway"),
            );
        if let Some(key) = &self.key {
            let signed = key.sign(random, now, target)?;
            request = request
                .header("webhook-id", signed.id)
                .header("webhook-timestamp", signed.timestamp)
                .header("webhook-signature", signed.mac);
        }
        request.body(Bytes::new()).map_err(LoadFailure::Request)
    }
}

impl LoadFailure {
    /// The failure and its causes, in one line.
    pub(super) fn told(&self) -> String {
        with_causes(self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json") && !headers.contains_key(header::CONTENT_ENCODING)
}
