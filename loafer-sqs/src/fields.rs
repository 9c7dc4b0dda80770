//! Fields of AWS's own JSON.

use std::time::SystemTime;

use aws_smithy_types::date_time::{DateTime, Format};
use serde_json::value::RawValue;

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

/// A time as AWS writes it; nothing before year 1 or after year 9999.
pub(crate) fn written(time: SystemTime) -> Option<String> {
    DateTime::from(time).fmt(Format::DateTime).ok()
}
