//! The kinds of failure that every crate, event and result object names alike.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What went wrong, in the words that result objects and events use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum ErrorKind { $($(#[$doc])* $variant,)* }

        impl ErrorKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the kind as it is written in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl FromStr for ErrorKind {
            type Err = ();
            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($text => Ok(Self::$variant),)* _ => Err(()) }
            }
        }
    };
}

kinds! {
    /// The key is missing, malformed or refused.
    Auth = "auth",
    /// The key is valid and may not do this.
    Permission = "permission",
    /// The account must be paid for first.
    Billing = "billing",
    /// A quota or spend cap is used up; waiting a little does not help.
    Quota = "quota",
    /// Too many requests or tokens for now.
    RateLimited = "rate_limited",
    /// The provider has no capacity for now.
    Overloaded = "overloaded",
    /// The provider refuses the request as it is.
    InvalidRequest = "invalid_request",
    /// The conversation does not fit into the model's context window.
    ContextTooLong = "context_too_long",
    /// The provider's filter refused the request.
    ContentFiltered = "content_filtered",
    /// There is no such model, provider or path.
    NotFound = "not_found",
    /// The request is larger than the provider takes.
    TooLarge = "too_large",
    /// Connecting, the first byte or the next byte took too long.
    Timeout = "timeout",
    /// Name resolution, TLS, a refused or a reset connection.
    Transport = "transport",
    /// The answer is not what the protocol allows.
    Decode = "decode",
    /// The stream ended without its terminal marker.
    Truncated = "truncated",
    /// The provider failed.
    Server = "server",
    /// The caller stopped it.
    Cancelled = "cancelled",
    /// This provider, model or build cannot do it.
    Unsupported = "unsupported",
    /// The configuration is wrong.
    Config = "config",
    /// The arguments are wrong.
    Usage = "usage",
    /// An input is missing, unreadable, ambiguous or unknown.
    Input = "input",
    /// The store is full, damaged, newer than this program or not writable.
    Store = "store",
    /// Another turn of the same session is in flight.
    Busy = "busy",
    /// The answer does not match its schema.
    Schema = "schema",
    /// A budget does not allow the call.
    Budget = "budget",
    /// A tool was not allowed to run.
    ToolDenied = "tool_denied",
}

impl ErrorKind {
    /// Tells whether the same request may succeed a little later, where nothing else is known.
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::Overloaded
                | Self::Timeout
                | Self::Transport
                | Self::Truncated
                | Self::Server
        )
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for ErrorKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorKind {
    /// A kind that a newer version wrote reads as [`ErrorKind::Server`]; the event keeps its bytes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Ok(text.parse().unwrap_or(Self::Server))
    }
}
