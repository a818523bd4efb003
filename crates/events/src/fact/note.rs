//! Facts that tell the reader something about the record itself: warnings and redactions.

use serde::{Deserialize, Serialize};

/// Something happened that is no reason to fail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct WarningRaised {
    /// What happened, in a phrase.
    pub text: String,
}

/// Secrets were masked before they were recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SecretRedacted {
    /// How often each of them was masked.
    pub counts: Vec<SecretCount>,
}

/// How often one secret was masked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SecretCount {
    /// The secret's name; never its value.
    pub name: String,
    /// How often it was masked.
    pub count: u64,
}

super::fact! {
    WarningRaised = "warning.raised";
    SecretRedacted = "secret.redacted";
}
