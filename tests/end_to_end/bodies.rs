//! Bodies of all kinds.

use serde_json::json;

use crate::{
    SECOND, scripted_on,
    support::{Ended, aws::unique},
};

#[tokio::test]
async fn every_body_has_a_clear_outcome() {
    let aws = aws!("every_body_has_a_clear_outcome");
    let queue = aws.queue(&unique("bodies"), SECOND, 2).await;
    let service = scripted_on(&aws, "anything", &queue, &[]).await;

    // Falsy, but messages like any other; and the largest there is.
    let largest = format!("\"{}\"", "x".repeat((1 << 20) - 2));
    let nested = format!("{}{}", "[".repeat(100), "]".repeat(100));
    for body in ["{}", "[]", "0", "false", "\"\"", "null", &nested, &largest] {
        queue.send(body).await;
    }
    let of_topic = json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:local:0:greeted", "Message": "[1, 2]" });
    queue.send(of_topic.to_string()).await;
    service
        .stdout
        .wait_until("nine outcomes", |text| text.lines().count() == 9)
        .await;
    queue.emptied().await;

    // Of none of these is anything said but where it is wrong.
    let no_message = json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:local:0:greeted", "Subject": "s3cret" }).to_string();
    let too_deep = format!("{}\"s3cret\"{}", "[".repeat(10_000), "]".repeat(10_000));
    let wrong = [
        no_message,
        no_message_text(),
        too_deep,
        "s3cret".to_owned(),
        "{\"s3cret\": ".to_owned(),
    ];
    queue.send_all(wrong.iter().cloned()).await;
    let mut dead = queue.dead_letters.bodies(wrong.len()).await;
    dead.sort();
    let mut expected = wrong.to_vec();
    expected.sort();
    assert_eq!(dead, expected);

    let Ended {
        code,
        stdout,
        stderr,
    } = service.terminated().await;
    assert_eq!((code, stdout.lines().count()), (Some(0), 9), "{stderr}");
    for line in [
        "2 bytes, topic None: {}",
        "2 bytes, topic None: []",
        "1 bytes, topic None: 0",
        "5 bytes, topic None: false",
        "2 bytes, topic None: \"\"",
        "4 bytes, topic None: null",
        "200 bytes, topic None: [[[[",
        "1048576 bytes, topic None: \"xxxx",
        "5 bytes, topic Some(\"greeted\"): [1,2]",
    ] {
        assert!(
            stdout.lines().any(|said| said.starts_with(line)),
            "{line} in\n{stdout}"
        );
    }
    assert_eq!(
        stderr.matches("kind=\"undecodable\"").count(),
        2 * wrong.len(),
        "{stderr}"
    );
    assert!(
        !stderr.contains("s3cret") && !stderr.contains("panicked"),
        "{stderr}"
    );
}

/// An envelope whose `Message` is no text.
fn no_message_text() -> String {
    json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:local:0:greeted", "Message": { "name": "s3cret" } }).to_string()
}
