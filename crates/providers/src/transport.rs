//! The seam under every adapter: one HTTP exchange.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::error::Error;

/// An HTTP request. Header values that hold secrets are marked sensitive, so that `Debug` hides them.
pub type HttpRequest = http::Request<Bytes>;

/// An HTTP response whose body is still arriving.
pub type HttpResponse = http::Response<Body>;

/// A response body in the pieces in which it arrives.
pub type Body = BoxStream<'static, Result<Bytes, Error>>;

/// Carries requests: over the network, from a recording, from a test.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a request and returns when status and headers are there, whatever the status.
    /// Dropping the future or the body cancels the exchange. Redirects are not followed.
    ///
    /// # Errors
    /// Fails with kind `transport` or `timeout`; the address and the headers are in no error text.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error>;
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        (**self).send(request).await
    }
}
