//! What a request looks like on the wire of Anthropic Messages.
