//! Fields of AWS's own JSON.

use std::time::SystemTime;

use aws_smithy_types::date_time::{DateTime, Format};
use serde_json::value::RawValue;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A field that should be text.
pub(crate) fn text(json: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(json?.get()).ok()
}

/// A time as AWS writes it; nothing where it is none.
pub(crate) fn time(text: &str) -> Option<SystemTime> {
    DateTime::from_str(text, Format::DateTime)
        .ok()?
        .try_into()
        .ok()
}

/// A time as AWS writes it, to the nanosecond; nothing before year 0 or after year 9999.
pub(crate) fn written(time: SystemTime) -> Option<String> {
    // The SDK's own text ends at the microsecond.
    let nanos = DateTime::from(time).as_nanos();
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
    time.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_written_is_read_to_the_nanosecond() {
        for nanos in [
            0,
            1,
            507_203_411,
            1_500_000_000,
            253_402_300_799_999_999_999_u128,
        ] {
            let since = Duration::new(
                (nanos / 1_000_000_000) as u64,
                (nanos % 1_000_000_000) as u32,
            );
            let at = SystemTime::UNIX_EPOCH + since;
            assert_eq!(written(at).as_deref().and_then(super::time), Some(at));
        }
    }

    #[test]
    fn a_time_that_has_no_text_is_none() {
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(300_000_000_000);
        assert_eq!(written(late), None);
    }
}
