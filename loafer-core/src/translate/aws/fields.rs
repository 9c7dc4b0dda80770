//! Fields of the JSON that AWS writes.

use std::time::{Duration, SystemTime};

use serde_json::value::RawValue;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Reads a field that should be a string. `None` means that it is missing, or is not a string.
pub(super) fn text(json: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(json?.get()).ok()
}

/// Reads a time in RFC 3339. `None` means that the text is not a time.
pub(in crate::translate) fn time(text: &str) -> Option<SystemTime> {
    let since = OffsetDateTime::parse(text, &Rfc3339).ok()? - OffsetDateTime::UNIX_EPOCH;
    let span = Duration::try_from(since.abs()).ok()?;
    if since.is_negative() {
        SystemTime::UNIX_EPOCH.checked_sub(span)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(span)
    }
}

/// Writes a time in RFC 3339, to the nanosecond. `None` means that the year is not between 0 and 9999.
pub(super) fn written(time: SystemTime) -> Option<String> {
    let (span, is_before) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(span) => (span, false),
        Err(error) => (error.duration(), true),
    };
    let nanos = i128::try_from(span.as_nanos()).ok()?;
    let nanos = if is_before { -nanos } else { nanos };
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
    time.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
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
        let before = SystemTime::UNIX_EPOCH - Duration::from_millis(1_500);
        let text = written(before);
        assert_eq!(text.as_deref(), Some("1969-12-31T23:59:58.5Z"));
        assert_eq!(text.as_deref().and_then(super::time), Some(before));
    }

    #[test]
    fn a_time_that_has_no_text_is_none() {
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(300_000_000_000);
        assert_eq!(written(late), None);
        assert_eq!(super::time("tomorrow"), None);
    }
}
