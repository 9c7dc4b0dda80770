//! The table `s3` of the section `[brokers.sqs]` of `loafer.toml`, as it is written.

use loafer_core::{Error, policy::Names};
use serde::Deserialize;

use super::{Cleanup, S3Payloads};

/// The table `s3` of a section. [`S3Payloads`] says what the keys mean.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Section {
    bucket: Option<String>,
    prefix: Option<String>,
    threshold: Option<usize>,
    largest: Option<u64>,
    in_flight: Option<u64>,
    cleanup: Option<Cleanup>,
    accept: Option<Names>,
}

impl Section {
    /// Returns what code set, if anything, overridden key by key.
    ///
    /// # Errors
    ///
    /// Returns an error if neither names a bucket.
    pub(crate) fn over(
        self,
        code: Option<S3Payloads>,
        instance: &str,
    ) -> Result<S3Payloads, Error> {
        let bucket = self.bucket.filter(|bucket| !bucket.trim().is_empty());
        let mut payloads = match (code, bucket) {
            (Some(code), None) => code,
            (Some(code), Some(bucket)) => S3Payloads { bucket, ..code },
            (None, Some(bucket)) => S3Payloads::new(bucket),
            (None, None) => {
                return Err(Error::Config(format!(
                    "`brokers.{instance}.s3.bucket` is not set: name the bucket that keeps large payloads, or leave [brokers.{instance}.s3] out"
                )));
            }
        };
        payloads.prefix = self.prefix.unwrap_or(payloads.prefix);
        payloads.threshold = self.threshold.or(payloads.threshold);
        payloads.largest = self.largest.unwrap_or(payloads.largest);
        payloads.in_flight = self.in_flight.unwrap_or(payloads.in_flight);
        payloads.cleanup = self.cleanup.unwrap_or(payloads.cleanup);
        if let Some(accept) = self.accept {
            payloads.others = accept.as_slice().to_vec();
        }
        Ok(payloads)
    }
}
