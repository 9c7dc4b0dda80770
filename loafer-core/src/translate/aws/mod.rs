//! Translators for what AWS delivers. They read only JSON, so that they serve every broker.

mod eventbridge;
mod fields;
mod notices;
mod s3_event;
mod sns;

pub use self::{
    eventbridge::EventBridge,
    s3_event::{S3Bucket, S3Event, S3Notification, S3Object, S3Record},
    sns::Sns,
};
pub(super) use self::{fields::time, sns::mistaken};
