//! What the store below tells of itself, with the copies.

use std::sync::Arc;

use async_trait::async_trait;

use super::copies::Copies;
use crate::store::{Census, Figures, StoreError, StoreFigures};

/// Adds the copies to what is told.
#[derive(Debug)]
pub(super) struct CachedFigures {
    store: Arc<dyn StoreFigures>,
    copies: Arc<Copies>,
}

impl CachedFigures {
    pub(super) fn new(store: Arc<dyn StoreFigures>, copies: Arc<Copies>) -> Self {
        Self { store, copies }
    }
}

#[async_trait]
impl StoreFigures for CachedFigures {
    async fn census(&self) -> Result<Census, StoreError> {
        self.store.census().await
    }

    fn figures(&self) -> Figures {
        Figures {
            cache: Some(self.copies.figures()),
            ..self.store.figures()
        }
    }
}
