//! Pages are written piece by piece, the next when the one before is on its way: so none holds up others, nor is there a
//! second time in memory.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use thiserror::Error;

use crate::http::error::ApiError;

/// What a piece has, unless one item has more.
const PIECE: usize = 64 * 1_024;

/// A page has one list, and that comes first.
#[derive(Debug, Error)]
#[error("a page has no list of items")]
struct NoItems;

/// Answers a page with these items, which is given without them. One that fits into a piece tells its length.
pub(super) fn page<T>(emptied: &impl Serialize, items: Vec<T>) -> Result<Response, ApiError>
where
    T: Serialize + Send + 'static,
{
    let emptied = serde_json::to_string(emptied).map_err(ApiError::internal)?;
    let list = emptied.split_once("[]");
    let (before, after) = list.ok_or_else(|| ApiError::internal(NoItems))?;
    let mut pieces = Pieces {
        items: items.into_iter(),
        next: Some(format!("{before}[").into_bytes()),
        end: format!("]{after}"),
    };
    let first = pieces.next().transpose().map_err(ApiError::internal)?;
    let first = first.unwrap_or_default();
    let body = match pieces.next {
        None => Body::from(first),
        Some(_) => Body::from_stream(stream::iter([Ok(first)].into_iter().chain(pieces))),
    };
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], body).into_response())
}

struct Pieces<T> {
    items: std::vec::IntoIter<T>,
    /// What the next piece begins with; none after the last.
    next: Option<Vec<u8>>,
    end: String,
}

impl<T: Serialize> Iterator for Pieces<T> {
    type Item = serde_json::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut piece = self.next.take()?;
        while piece.len() < PIECE {
            let Some(item) = self.items.next() else {
                piece.extend_from_slice(self.end.as_bytes());
                return Some(Ok(piece.into()));
            };
            if let Err(error) = serde_json::to_writer(&mut piece, &item) {
                return Some(Err(error));
            }
            if self.items.len() > 0 {
                piece.push(b',');
            }
        }
        self.next = Some(Vec::new());
        Some(Ok(piece.into()))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::HttpBody;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    async fn read(response: Response) -> (usize, Value) {
        let mut body = response.into_body();
        let (mut pieces, mut text) = (0, Vec::new());
        while let Some(frame) = body.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            assert!(piece.len() < 2 * PIECE, "{}", piece.len());
            text.extend(piece);
            pieces += 1;
        }
        (pieces, serde_json::from_slice(&text).unwrap())
    }

    #[tokio::test]
    async fn a_page_is_the_same_in_one_piece_and_in_many() {
        let emptied = json!({"items": [], "next_cursor": "[]"});
        for (count, size) in [(0, 0), (1, 10), (3, 10), (1, PIECE), (50, PIECE / 2)] {
            let items: Vec<_> = (0..count)
                .map(|n| format!("{n}{}", "x".repeat(size)))
                .collect();
            let whole = json!({"items": items, "next_cursor": "[]"});
            let (pieces, told) = read(page(&emptied, items).unwrap()).await;
            assert_eq!(told, whole);
            assert!(pieces <= 1 + count / 2 + 1, "{pieces}");
        }
    }

    #[tokio::test]
    async fn a_page_of_one_piece_tells_its_length() {
        let answer = page(&json!({"items": []}), vec![1, 2]).unwrap();
        assert_eq!(answer.body().size_hint().exact(), Some(15));
        let long = vec!["x".repeat(PIECE); 2];
        let answer = page(&json!({"items": []}), long).unwrap();
        assert_eq!(answer.body().size_hint().exact(), None);
    }
}
