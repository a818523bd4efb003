//! What every provider promises, as cases that a stranger's adapter can run (feature `contract`).
//!
//! A test names a function that returns its [`Subject`]: how a provider is made, and [`Sample`]s of what servers
//! answered with what is to be understood of them. [`contract!`](crate::contract!) makes one `#[tokio::test]` of
//! each case. Everything else, cuts, stalls, keep-alives, resets, web pages, is made from the samples.
//!
//! A sample is written by hand or made from an exchange that [`Recording`](crate::Recording) kept
//! ([`Sample::recorded`]). Required are at least one streamed answer that is complete and one error inside an accepted answer. The
//! dev-dependencies need `tokio` with `macros`, `rt` and `test-util`: the cases run on a paused clock.
//!
//! ```
//! # #[cfg(feature = "openai-chat")]
//! # mod tests {
//! use std::sync::Arc;
//! use aichat_message::{ErrorKind, FinishReason};
//! use aichat_providers::contract::{Sample, Subject};
//! use aichat_providers::{Driver, OpenaiChat, Profile};
//!
//! fn subject() -> Subject {
//!     let hello = "data: {\"choices\":[{\"delta\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}\n\n\
//!                  data: [DONE]\n\n";
//!     let full = "data: {\"error\":{\"message\":\"no room\",\"code\":503}}\n\n";
//!     Subject::new(|endpoint| Ok(Arc::new(Driver::new(endpoint, OpenaiChat::new(Profile::generic()))?)))
//!         .sample(Sample::new("hello", "text/event-stream", hello).text("hello").finish(FinishReason::Stop))
//!         .sample(Sample::new("full", "text/event-stream", full).error(ErrorKind::Server))
//! }
//!
//! aichat_providers::contract!(subject);
//! # }
//! # fn main() {}
//! ```

mod answers;
mod ends;
mod play;
mod refusals;
mod sample;
mod secrets;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::endpoint::{Endpoint, Timeouts};
use crate::error::Error;
use crate::fault::Fault;
use crate::provider::Provider;

pub use self::answers::*;
pub use self::ends::*;
pub use self::refusals::*;
pub use self::sample::Sample;
pub use self::secrets::*;

/// The limits every case runs with.
const TIMEOUTS: Timeouts = Timeouts { first_byte: Duration::from_secs(30), idle: Duration::from_secs(10) };

const BASE_URL: &str = "http://contract.invalid:8080/base";

type Make = Box<dyn Fn(Endpoint) -> Result<Arc<dyn Provider>, Error> + Send + Sync>;

/// A provider under test: how it is made, and samples of its protocol.
pub struct Subject {
    make: Make,
    samples: Vec<Sample>,
}

impl Subject {
    /// Returns a subject without samples. `make` returns a provider that uses the endpoint's transport, address,
    /// key and time-outs.
    pub fn new(make: impl Fn(Endpoint) -> Result<Arc<dyn Provider>, Error> + Send + Sync + 'static) -> Self {
        Self { make: Box::new(make), samples: Vec::new() }
    }

    /// Adds a sample.
    #[must_use]
    pub fn sample(self, sample: Sample) -> Self {
        self.samples([sample])
    }

    /// Adds samples.
    #[must_use]
    pub fn samples(mut self, samples: impl IntoIterator<Item = Sample>) -> Self {
        self.samples.extend(samples);
        self
    }

    fn at(&self, base_url: &str, key: Option<&str>, fault: &Fault) -> Result<Arc<dyn Provider>, Error> {
        let endpoint = Endpoint::new("contract", base_url, Arc::new(fault.clone())).with_timeouts(TIMEOUTS);
        (self.make)(match key {
            Some(key) => endpoint.with_key(SecretString::from(key)),
            None => endpoint,
        })
    }

    #[track_caller]
    fn provider(&self, fault: &Fault) -> Arc<dyn Provider> {
        match self.at(BASE_URL, None, fault) {
            Ok(provider) => provider,
            Err(error) => panic!("the provider cannot be made: {error:?}"),
        }
    }

    /// Returns the samples whose stream opens.
    fn accepted(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(|sample| sample.is_accepted())
    }

    /// Returns the samples that end as they should, without those that are not streamed if `streamed`.
    #[track_caller]
    fn complete(&self, streamed: bool) -> Vec<&Sample> {
        let complete = self.accepted().filter(|sample| sample.is_complete());
        let samples: Vec<_> = complete.filter(|sample| !streamed || sample.is_streamed()).collect();
        assert!(!samples.is_empty(), "the subject has no sample of a complete, streamed answer");
        samples
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.samples.iter().map(|sample| &sample.name);
        f.debug_tuple("Subject").field(&names.collect::<Vec<_>>()).finish()
    }
}

/// Makes one test of every case of [`contract`](mod@crate::contract), each with a fresh subject from the function
/// named.
#[macro_export]
macro_rules! contract {
    ($subject:path) => {
        $crate::contract!(@ $subject:
            a_whole_answer_is_understood
            no_split_changes_an_answer
            no_size_of_pieces_changes_an_answer
            keep_alives_change_nothing
            what_comes_after_the_end_is_ignored
            an_open_socket_after_the_end_is_not_waited_for
            a_cut_answer_is_truncated
            a_broken_connection_is_truncated
            a_stall_is_an_idle_timeout
            silence_is_a_first_byte_timeout
            an_error_in_an_accepted_answer_ends_it
            a_flipped_byte_is_survived
            a_stream_says_nothing_after_its_end
            a_dropped_stream_drops_its_body
            a_refusal_comes_before_the_stream
            a_limit_says_when_to_come_back
            a_web_page_is_an_error
            an_empty_refusal_is_an_error
            a_huge_refusal_is_bounded
            a_redirect_is_not_followed
            a_compressed_answer_is_refused
            a_failed_connection_is_a_transport_error
            a_list_of_models_fails_as_a_call_does
            a_key_is_sent_and_never_shown
            a_key_that_cannot_be_sent_is_a_clean_error
            a_base_url_may_end_in_a_slash
            a_password_in_the_base_url_is_never_shown
            preparing_sends_nothing_and_repeats_itself
        );
    };
    (@ $subject:path: $($case:ident)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $case() {
                $crate::contract::$case(&$subject()).await;
            }
        )*
    };
}
