//! An error as it is told: the fields of the error object, and in what way an answer that came is a failure all the same.

use std::borrow::Cow;
use std::time::Duration;

use aichat_events::Redactor;
use aichat_message::ErrorKind;
use serde::{Serialize, Serializer};

use crate::error::{Error, Reason};
use crate::turn::{ModelRef, Outcome, Status};

/// An error as people and programs see it: the error object of a [`TurnResult`](crate::TurnResult) and of
/// `aichat.error/1`.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What went wrong, in one word.
    pub kind: ErrorKind,
    /// What went wrong, in one phrase.
    pub message: String,
    /// The HTTP status, where a provider gave one.
    pub status: Option<u16>,
    /// The provider's own code.
    pub provider_code: Option<String>,
    /// Whether the same may succeed later.
    pub retryable: bool,
    /// How long the provider asks to wait.
    pub retry_after_ms: Option<u64>,
    /// What would help.
    pub hint: Option<String>,
    /// What exactly went wrong, where that is worth telling apart; not written.
    #[serde(skip)]
    pub reason: Option<Reason>,
    /// Who was asked or was to be, as far as it was known by then; where nobody has one yet, the model is empty.
    #[serde(flatten, serialize_with = "asked")]
    pub model: Option<ModelRef>,
    /// The provider's id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Report {
    /// Returns an error of this kind. `message` is one lower-case phrase without a period.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::from(&Error::new(kind, message))
    }

    /// Adds what would help.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the error with every secret in it masked.
    #[must_use]
    pub fn masked(mut self, redactor: &Redactor) -> Self {
        let mask = |text: &mut String| {
            if let Cow::Owned(masked) = redactor.redact_str(text) {
                *text = masked;
            }
        };
        mask(&mut self.message);
        self.provider_code.as_mut().map(mask);
        self.hint.as_mut().map(mask);
        self.request_id.as_mut().map(mask);
        self
    }

    /// Returns the error as it stands in an object that says by itself who was asked.
    pub(crate) fn within(self) -> Self {
        Self { model: None, request_id: None, ..self }
    }
}

impl From<&Error> for Report {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
            status: error.status(),
            provider_code: error.code().map(str::to_owned),
            retryable: error.is_retryable(),
            retry_after_ms: error.retry_after().map(millis),
            hint: error.hint().map(str::to_owned),
            reason: error.reason(),
            model: error
                .provider()
                .map(|provider| ModelRef::new(provider, error.model().unwrap_or_default())),
            request_id: error.request_id().map(str::to_owned),
        }
    }
}

impl Outcome {
    /// Returns why the turn failed or was stopped, or in what way its answer is not of the form that was asked for.
    pub fn report(&self) -> Option<Report> {
        self.error.as_ref().map(Report::from).or_else(|| self.misfit())
    }

    /// Says in what way a completed answer is not of the form that was asked for.
    pub fn misfit(&self) -> Option<Report> {
        let Some(formed) = &self.formed else { return self.no_form() };
        let misfit = formed.as_ref().err()?;
        let after = match self.mended {
            0 => String::new(),
            1 => ", and asked once more it did no better".to_owned(),
            times => format!(", and asked {times} times more it did no better"),
        };
        let report = Report::new(ErrorKind::Schema, format!("{}: {misfit}{after}", self.model));
        let hint = "the answers are kept as they came; ask again, or another model that keeps to a schema";
        Some(report.with_hint(hint))
    }

    /// Says of a completed answer that was to have a form, and calls tools in its place, that it has none.
    fn no_form(&self) -> Option<Report> {
        if self.output.is_none() || self.status != Status::Completed || self.is_refused() {
            return None;
        }
        let names = self.calls();
        if names.is_empty() {
            return None;
        }
        let names = names.join(", ");
        let what =
            format!("{} calls {names}, which is not run, and gives no answer by the schema", self.model);
        Some(Report::new(ErrorKind::Schema, what).with_hint("say in the prompt that no tool is to be called"))
    }
}

/// Writes who was asked, as far as that is known.
fn asked<S: Serializer>(model: &Option<ModelRef>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Asked<'a> {
        provider: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        model: &'a str,
    }
    let asked = model.as_ref().map(|model| Asked { provider: &model.provider, model: &model.model });
    asked.serialize(serializer)
}

/// Returns whole milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
