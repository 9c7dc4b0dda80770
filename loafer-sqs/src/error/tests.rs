use aws_sdk_sqs::{
    config::http::HttpResponse, error::ErrorMetadata,
    operation::receive_message::ReceiveMessageError,
};
use aws_smithy_types::body::SdkBody;
use loafer_core::Error;

use super::*;
use crate::names::Endpoint;

fn answered(code: &str, message: &str, status: u16) -> Error {
    let metadata = ErrorMetadata::builder().code(code).message(message).build();
    let raw = HttpResponse::new(status.try_into().unwrap(), SdkBody::from("<secret/>"));
    let error = SdkError::service_error(ReceiveMessageError::generic(metadata), raw);
    let endpoint = Endpoint::new("sqs", "us-east-1", Some("http://me:pw@127.0.0.1:9324"));
    Call {
        what: "receive",
        queue: "orders",
        route: Some("order-made"),
        endpoint: &endpoint,
    }
    .failed(&error)
}

#[test]
fn an_unknown_queue_names_place_and_remedy() {
    for code in [
        "QueueDoesNotExist",
        "AWS.SimpleQueueService.NonExistentQueue",
    ] {
        let error = answered(code, "The specified queue does not exist.", 400);
        assert!(matches!(error, Error::UnknownQueue { .. }));
        assert_eq!(
            error.to_string(),
            "queue `orders` does not exist in us-east-1 at http://127.0.0.1:9324: create it, or set `queue = \"…\"` under \
             [routes.order-made] in loafer.toml, or LOAFER_ROUTES__ORDER_MADE__QUEUE"
        );
    }
}

#[test]
fn a_refusal_says_what_to_do_in_one_line() {
    let error = answered(
        "AccessDenied",
        "User arn:x is not authorized to perform: sqs:receivemessage",
        403,
    );
    assert_eq!(
        error.to_string(),
        "receive of `orders` was refused: AccessDenied: User arn:x is not authorized to perform: sqs:receivemessage \
         (allow it in the policy of the role or user)"
    );
    let source = StdError::source(&error)
        .and_then(|source| source.downcast_ref::<ServiceError>())
        .unwrap();
    assert_eq!(
        (source.code(), source.status()),
        (Some("AccessDenied"), Some(403))
    );
}

#[test]
fn a_wrong_signature_is_reported_without_its_headers() {
    let message = "The request signature does not match.\n\nThe Canonical String was\nx-amz-security-token:hunter2";
    let error = answered("SignatureDoesNotMatch", message, 403);
    assert!(matches!(error, Error::Refused { .. }));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn a_value_that_aws_quotes_is_left_out() {
    for (message, said) in [
        (
            "Value s3cr3t for parameter MessageGroupId is invalid. Reason: too long.",
            "Value … for parameter MessageGroupId is invalid. Reason: too long.",
        ),
        (
            "The input receipt handle \"s3cr3t\" is not a valid receipt handle.",
            "The input receipt handle \"…\" is not a valid receipt handle.",
        ),
    ] {
        let error = answered("InvalidParameterValue", message, 400).to_string();
        let expected = format!("receive of `orders` was refused: InvalidParameterValue: {said}");
        assert_eq!(error, expected);
    }
}

#[test]
fn neither_raw_answer_nor_password_is_reported() {
    let error = answered("InternalError", "try later", 500);
    assert!(matches!(error, Error::Unreachable { .. }));
    let said = format!("{error} {error:?}");
    assert!(!said.contains("secret") && !said.contains("pw"));
    assert!(said.len() < 400, "{said}");
}

#[test]
fn a_throttled_call_can_be_tried_again() {
    assert!(matches!(
        answered("RequestThrottled", "slow down", 400),
        Error::Unreachable { .. }
    ));
}

#[test]
fn a_call_without_answer_names_the_endpoint() {
    let endpoint = Endpoint::new("sqs", "eu-west-1", None);
    let call = Call {
        what: "receive",
        queue: "orders",
        route: None,
        endpoint: &endpoint,
    };
    let error = call.failed::<ReceiveMessageError>(&SdkError::timeout_error("boxed"));
    assert_eq!(
        error.to_string(),
        "receive of `orders` failed: no answer in time at https://sqs.eu-west-1.amazonaws.com"
    );
}

#[test]
fn credentials_that_have_expired_may_be_renewed() {
    for code in ["ExpiredToken", "ExpiredTokenException", "RequestExpired"] {
        let error = answered(code, "The security token is expired", 403);
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().contains("sign in again"), "{error}");
    }
    assert!(!answered("InvalidClientTokenId", "No such token", 403).is_transient());
}

#[test]
fn a_queue_with_too_much_in_flight_is_told_by_name() {
    let error = answered("OverLimit", "Too many messages in flight", 403);
    assert!(error.is_transient());
    let said = error.to_string();
    assert!(
        said.contains("as many messages in flight as SQS allows, 120,000"),
        "{said}"
    );
    assert!(
        !answered("RequestThrottled", "m", 403)
            .to_string()
            .contains("in flight")
    );
}
