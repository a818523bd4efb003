//! Exit codes: one for every kind of error, as the documentation lists them.

use aichat_message::ErrorKind;

/// Everything went as asked.
pub(crate) const OK: u8 = 0;
/// Something no other code stands for.
pub(crate) const OTHER: u8 = 1;
/// The answer was refused or filtered.
pub(crate) const REFUSED: u8 = 80;
/// Stopped by Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;
/// Whoever read the output went away.
pub(crate) const BROKEN_PIPE: u8 = 141;
/// Stopped by SIGTERM.
pub(crate) const TERMINATED: u8 = 143;

/// Returns the exit code of a kind of error.
pub(crate) fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Usage => 2,
        ErrorKind::Schema => 65,
        ErrorKind::Input => 66,
        ErrorKind::NotFound | ErrorKind::Transport => 69,
        ErrorKind::Store => 74,
        ErrorKind::RateLimited
        | ErrorKind::Overloaded
        | ErrorKind::Server
        | ErrorKind::Timeout
        | ErrorKind::Truncated
        | ErrorKind::Busy
        | ErrorKind::Decode => 75,
        ErrorKind::Auth | ErrorKind::Permission | ErrorKind::Billing | ErrorKind::Quota => 77,
        ErrorKind::Config => 78,
        ErrorKind::Budget => 79,
        ErrorKind::ContentFiltered => REFUSED,
        ErrorKind::ToolDenied => 81,
        ErrorKind::Cancelled => INTERRUPTED,
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_the_documented_code() {
        let table = "auth 77 permission 77 billing 77 quota 77 rate_limited 75 overloaded 75 invalid_request 1 \
            context_too_long 1 content_filtered 80 not_found 69 too_large 1 timeout 75 transport 69 decode 75 \
            truncated 75 server 75 cancelled 130 unsupported 1 config 78 usage 2 input 66 store 74 busy 75 \
            schema 65 budget 79 tool_denied 81";
        let ours: Vec<String> = ErrorKind::ALL.iter().map(|kind| format!("{kind} {}", code(*kind))).collect();
        assert_eq!(ours.join(" "), table);
    }
}
