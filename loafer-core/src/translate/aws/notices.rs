//! Notices: what AWS sends when something is set up. They look like messages, and no handler waits for them.

use memchr::memmem;
use serde::Deserialize;

use crate::translate::TranslateError;

/// No notice is larger, so that a larger payload is not looked through.
const LARGEST: usize = 8 * 1024;

/// No ARN of a topic is longer: its name has 256 bytes at most (SNS API: `CreateTopic`).
const LONGEST_ARN: usize = 320;

/// Texts that come as they are, and what sends them.
const TEXTS: [(&str, &str); 2] = [
    (
        "Successfully validated SNS topic for Amazon SES event publishing.",
        "SES tests its topic",
    ),
    (
        "CloudTrail validation message.",
        "CloudTrail tests its topic",
    ),
];

/// The fields of a notice of SNS that are read. The token is not.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Confirmation<'m> {
    r#type: &'m str,
    topic_arn: &'m str,
}

/// Says what a payload is, if it is a notice of SNS about a subscription. Nothing of it is quoted but the ARN of the topic.
pub(super) fn of_sns(payload: &[u8]) -> Option<TranslateError> {
    if payload.len() > LARGEST || memmem::find(payload, b"Confirmation\"").is_none() {
        return None;
    }
    let read: Confirmation<'_> = serde_json::from_slice(payload).ok()?;
    let arn = read.topic_arn;
    let is_plain = |sign: char| sign.is_ascii_alphanumeric() || ":-_.".contains(sign);
    if !arn.starts_with("arn:") || arn.len() > LONGEST_ARN || !arn.chars().all(is_plain) {
        return None;
    }
    Some(TranslateError::reject(match read.r#type {
        "SubscriptionConfirmation" => format!(
            "it is no event: the subscription of this queue to the SNS topic `{arn}` waits for its confirmation, and nothing comes from there before. \
             Confirm it within 3 days, with the `Token` of this message: aws sns confirm-subscription --topic-arn {arn} --token TOKEN"
        ),
        "UnsubscribeConfirmation" => format!(
            "it is no event: the subscription of this queue to the SNS topic `{arn}` was taken away, and nothing comes from there any more. If nobody \
             meant to, undo it within 3 days, with the `Token` of this message: aws sns confirm-subscription --topic-arn {arn} --token TOKEN"
        ),
        _ => return None,
    }))
}

/// Says what a payload is, if it is a test of S3, SES or CloudTrail.
pub(super) fn of_others(payload: &[u8]) -> Option<TranslateError> {
    of_s3(payload).or_else(|| of_text(payload))
}

/// Says what a payload is, if it is a test of SES or CloudTrail.
pub(super) fn of_text(payload: &[u8]) -> Option<TranslateError> {
    if payload.len() > LARGEST {
        return None;
    }
    let (_, who) = TEXTS
        .into_iter()
        .find(|(text, _)| payload.trim_ascii() == text.as_bytes())
        .or_else(|| {
            let is_of_ses = memmem::find(payload, b"\"AmazonSnsSubscriptionSucceeded\"").is_some();
            is_of_ses.then_some(("", "SES tests its topic"))
        })?;
    Some(test(who))
}

fn of_s3(payload: &[u8]) -> Option<TranslateError> {
    let is_short = payload.len() <= LARGEST;
    let has = |text: &[u8]| memmem::find(payload, text).is_some();
    let is_test = is_short && has(b"\"s3:TestEvent\"") && has(b"\"Amazon S3\"");
    is_test.then(|| test("S3 tests the notifications of a bucket"))
}

fn test(who: &str) -> TranslateError {
    TranslateError::reject(format!(
        "it is no event: {who}, once, when that is set up. It came through, and nothing is to be done: delete it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        message::Message,
        translate::{Envelope, S3Event, Sns},
    };

    fn said(payload: String) -> Option<(String, bool)> {
        let raw = Message::new(payload);
        let error = Sns::new().open(&raw).err()?;
        Some((error.to_string(), error.is_for_good()))
    }

    fn notification(message: &str) -> String {
        serde_json::json!({ "Type": "Notification", "MessageId": "1", "Message": message })
            .to_string()
    }

    #[test]
    fn a_confirmation_is_told_with_its_topic_and_without_its_token() {
        for (kind, expected) in [
            ("SubscriptionConfirmation", "waits for its confirmation"),
            ("UnsubscribeConfirmation", "was taken away"),
        ] {
            let notice = serde_json::json!({
                "Type": kind, "Token": "s3cr3t", "TopicArn": "arn:aws:sns:eu-central-1:1:orders",
                "SubscribeURL": "https://sns/?Token=s3cr3t", "Message": "You have chosen",
            });
            let (said, for_good) = said(notice.to_string()).unwrap();
            assert!(said.contains(expected) && for_good, "{said}");
            assert!(
                said.contains("topic `arn:aws:sns:eu-central-1:1:orders`"),
                "{said}"
            );
            assert!(
                !said.contains("s3cr3t") && !said.contains("https"),
                "{said}"
            );
        }
    }

    #[test]
    fn what_others_send_when_they_are_set_up_is_told() {
        let s3 = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"photos"}"#;
        let ses = r#"{"notificationType":"AmazonSnsSubscriptionSucceeded","message":"You have"}"#;
        for (text, expected) in [
            (s3, "S3 tests"),
            (ses, "SES tests"),
            (TEXTS[0].0, "SES tests"),
            (TEXTS[1].0, "CloudTrail tests"),
        ] {
            for payload in [text.to_owned(), notification(text)] {
                let (said, for_good) = said(payload).unwrap();
                assert!(said.contains(expected) && for_good, "{said}");
            }
        }
        // Its own translator knows the test of S3.
        assert!(S3Event.open(&Message::new(notification(s3))).is_ok());
    }

    #[test]
    fn an_event_is_no_notice() {
        let long = "o".repeat(LONGEST_ARN);
        let long = format!(r#"{{"Type":"SubscriptionConfirmation","TopicArn":"arn:{long}"}}"#);
        for payload in [
            &*long,
            r#"{"Type":"SubscriptionConfirmation","plan":"gold"}"#,
            r#"{"Type":"OrderConfirmation","TopicArn":"arn:aws:sns:eu-central-1:1:orders"}"#,
            r#"{"Type":"SubscriptionConfirmation","TopicArn":"arn:a value"}"#,
            r#"{"text":"CloudTrail validation message."}"#,
            r#"{"Event":"s3:TestEvent"}"#,
        ] {
            assert_eq!(said(payload.to_owned()), None, "{payload}");
            assert_eq!(said(notification(payload)), None, "{payload}");
        }
    }
}
