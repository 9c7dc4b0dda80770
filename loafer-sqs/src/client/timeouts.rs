//! How long calls may take. Only on SQS a call may wait for messages.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;

/// How long one attempt of a call may take, unless the call polls.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How long connecting may take (the SDK's default).
const CONNECT: Duration = Duration::from_millis(3100);
/// How long such a call may take with all attempts of the SDK.
const CALL: Duration = Duration::from_secs(15);

/// Returns the user's timeouts, and ours where the user set none.
pub(super) fn timeouts(set: Option<&TimeoutConfig>) -> TimeoutConfig {
    let mut timeouts = set.map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
    if set.is_none_or(|set| set.operation_attempt_timeout().is_none()) {
        timeouts = timeouts.operation_attempt_timeout(ATTEMPT);
    }
    if set.is_none_or(|set| set.operation_timeout().is_none()) {
        timeouts = timeouts.operation_timeout(CALL);
    }
    timeouts.build()
}

/// Returns the user's timeouts without those that a long poll outlasts: each receive has a timeout by its own wait.
pub(super) fn polling(set: Option<&TimeoutConfig>) -> TimeoutConfig {
    set.map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder)
        .disable_read_timeout()
        .disable_operation_attempt_timeout()
        .disable_operation_timeout()
        .build()
}

/// Returns these timeouts for renewals. The SDK's HTTP client has a pool of connections for each timeout of connecting, so theirs differs.
pub(super) fn of_renewals(timeouts: &TimeoutConfig) -> TimeoutConfig {
    let connect = timeouts.connect_timeout().unwrap_or(CONNECT);
    let differs = connect + Duration::from_millis(1);
    timeouts.to_builder().connect_timeout(differs).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_timeouts_are_kept() {
        let set = TimeoutConfig::builder()
            .operation_attempt_timeout(Duration::from_secs(1))
            .build();
        let timeouts = timeouts(Some(&set));
        assert_eq!(
            timeouts.operation_attempt_timeout(),
            Some(Duration::from_secs(1))
        );
        assert_eq!(timeouts.operation_timeout(), Some(CALL));
    }
}
