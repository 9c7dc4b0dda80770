use std::time::Duration;

use serde_json::json;

use super::*;

fn record() -> serde_json::Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-west-2", "eventTime": "1970-01-01T00:00:01.500Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AIDAJDPLRKLG7UEXAMPLE"}, "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "s3": {
            "s3SchemaVersion": "1.0", "configurationId": "testConfigRule",
            "bucket": {"name": "photos", "ownerIdentity": {"principalId": "A3NL1KOZZKExample"}, "arn": "arn:aws:s3:::photos"},
            "object": {"key": "summer+2025/caf%C3%A9%2B1.jpg", "size": 1024, "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                       "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko", "sequencer": "0055AED6DCD90281E5"}
        }
    })
}

fn eventbridge(detail_type: &str, extra: &serde_json::Value) -> serde_json::Value {
    let mut detail = json!({
        "version": "0", "bucket": {"name": "photos"}, "reason": "PutObject",
        "object": {"key": "a+b %41.jpg", "size": 5, "etag": "b1946ac92492d2347c6235b4d2611184", "version-id": "v1", "sequencer": "61"}
    });
    for (name, value) in extra.as_object().unwrap() {
        detail[name] = value.clone();
    }
    json!({
        "version": "0", "id": "1", "detail-type": detail_type, "source": "aws.s3", "account": "1", "time": "1970-01-01T00:00:02Z",
        "region": "ca-central-1", "resources": ["arn:aws:s3:::photos"], "detail": detail
    })
}

fn decode(body: &serde_json::Value) -> Result<S3Notification, String> {
    let decoded = S3Event
        .open_inner(Message::new(body.to_string()))
        .and_then(|message| S3Event.translate(&message));
    decoded.map_err(|error| error.to_string())
}

#[test]
fn a_notification_is_decoded_and_its_key_too() {
    let records = decode(&json!({"Records": [record()]})).unwrap().records;
    let expected = S3Record {
        event_name: "ObjectCreated:Put".into(),
        event_time: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_500)),
        aws_region: Some("us-west-2".into()),
        bucket: S3Bucket {
            name: "photos".into(),
        },
        object: S3Object {
            key: "summer 2025/café+1.jpg".into(),
            size: Some(1024),
            e_tag: Some("d41d8cd98f00b204e9800998ecf8427e".into()),
            version_id: Some("096fKKXTRTtl3on89fVO.nfljtsv6qko".into()),
            sequencer: Some("0055AED6DCD90281E5".into()),
        },
    };
    assert_eq!(records, [expected]);
}

#[test]
fn what_is_written_reads_back() {
    let notification = decode(&json!({"Records": [record(), record()]})).unwrap();
    let written = serde_json::to_value(&notification).unwrap();
    assert_eq!(
        written["Records"][0]["s3"]["object"]["key"],
        record()["s3"]["object"]["key"]
    );
    assert_eq!(written["Records"][1]["eventSource"], "aws:s3");
    assert_eq!(
        serde_json::from_value::<S3Notification>(written).unwrap(),
        notification
    );
}

#[test]
fn the_test_event_has_no_records() {
    let event = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2014-10-13T15:57:02.089Z",
        "Bucket": "photos", "RequestId": "5582815E1AEA5ADF", "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR"});
    assert_eq!(decode(&event).unwrap().records, []);
    let by_sns = json!({"Type": "Notification", "MessageId": "1", "Message": event.to_string()});
    assert_eq!(decode(&by_sns).unwrap().records, []);
}

#[test]
fn an_event_of_eventbridge_is_decoded_and_its_key_stays() {
    let event = eventbridge("Object Created", &json!({}));
    let by_sns = json!({"Type": "Notification", "MessageId": "1", "Message": event.to_string()});
    for body in [event, by_sns] {
        let [record] = <[S3Record; 1]>::try_from(decode(&body).unwrap().records).unwrap();
        assert!(record.is_created() && !record.is_removed());
        assert_eq!(
            (record.event_name.as_str(), record.bucket.name.as_str()),
            ("ObjectCreated:Put", "photos")
        );
        assert_eq!(record.aws_region.as_deref(), Some("ca-central-1"));
        assert_eq!(
            record.event_time,
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(2))
        );
        let object = record.object;
        assert_eq!((object.key.as_str(), object.size), ("a+b %41.jpg", Some(5)));
        assert_eq!(
            (object.version_id.as_deref(), object.sequencer.as_deref()),
            (Some("v1"), Some("61"))
        );
        assert_eq!(
            object.e_tag.as_deref(),
            Some("b1946ac92492d2347c6235b4d2611184")
        );
    }
}

#[test]
fn events_of_eventbridge_get_the_names_of_notifications() {
    let deleted =
        |reason: &str, deletion: &str| json!({"reason": reason, "deletion-type": deletion});
    let marker = "Delete Marker Created";
    for (detail_type, extra, name) in [
        (
            "Object Created",
            json!({"reason": "POST Object"}),
            "ObjectCreated:Post",
        ),
        (
            "Object Created",
            json!({"reason": "tomorrow's"}),
            "ObjectCreated:*",
        ),
        (
            "Object Deleted",
            deleted("DeleteObject", "Permanently Deleted"),
            "ObjectRemoved:Delete",
        ),
        (
            "Object Deleted",
            deleted("DeleteObject", marker),
            "ObjectRemoved:DeleteMarkerCreated",
        ),
        (
            "Object Deleted",
            deleted("Lifecycle Expiration", marker),
            "LifecycleExpiration:DeleteMarkerCreated",
        ),
        ("Object Tags Added", json!({}), "ObjectTagging:Put"),
        ("Object Teleported", json!({}), "Object Teleported"),
    ] {
        let records = decode(&eventbridge(detail_type, &extra)).unwrap().records;
        assert_eq!(records[0].event_name, name);
        assert_eq!(records[0].is_removed(), detail_type == "Object Deleted");
    }
}

#[test]
fn a_payload_that_is_no_event_of_s3_is_refused_without_a_value() {
    let with = |path: &str, value: serde_json::Value| {
        let mut record = record();
        *record.pointer_mut(path).unwrap() = value;
        json!({"Records": [record]})
    };
    for (body, expected) in [
        (json!({"secret": 1}), "no event of S3"),
        (json!({"Event": "secret"}), "no event of S3"),
        (
            json!({"bucket": {"name": "secret"}, "object": {"key": "secret"}}),
            "no event of S3",
        ),
        (
            eventbridge("Object Created", &json!({"bucket": null})),
            "no event of S3",
        ),
        (with("/s3/object/key", json!("secret%FF")), "not UTF-8"),
        (
            with("/s3/object/size", json!("secret")),
            "at `Records[0].s3.object.size`, line 1",
        ),
        (
            with("/s3/bucket", json!({"secret": 1})),
            "the field `name` is missing",
        ),
        (json!("secret"), "does not fit"),
    ] {
        let error = decode(&body).unwrap_err();
        assert!(
            error.contains(expected) && !error.contains("secret"),
            "{error}"
        );
    }
}

#[test]
fn notifications_of_other_stores_are_decoded() {
    let minio = json!({"EventName": "s3:ObjectCreated:Put", "Key": "photos/a b.jpg", "Records": [{
        "eventVersion": "2.0", "eventSource": "minio:s3", "awsRegion": "", "eventTime": "2026-11-30T05:06:07.890Z",
        "eventName": "s3:ObjectCreated:Put", "userIdentity": {"principalId": "minio"},
        "requestParameters": {"principalId": "minio", "region": "", "sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "1", "x-minio-origin-endpoint": "http://127.0.0.1:9000"},
        "s3": {"s3SchemaVersion": "1.0", "configurationId": "Config",
               "bucket": {"name": "photos", "ownerIdentity": {"principalId": "minio"}, "arn": "arn:aws:s3:::photos"},
               "object": {"key": "a+b.jpg", "size": 5, "eTag": "b1946ac92492d2347c6235b4d2611184", "contentType": "image/jpeg",
                          "userMetadata": {"content-type": "image/jpeg"}, "sequencer": "1690A8F7F1F0B0C5"}},
        "source": {"host": "127.0.0.1", "port": "", "userAgent": "MinIO"}
    }]});
    let ceph = json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "ceph:s3", "awsRegion": "us-east-1", "eventTime": "2019-11-22T13:47:35.124724Z",
        "eventName": "ObjectCreated:Put", "userIdentity": {"principalId": "tester"}, "requestParameters": {"sourceIPAddress": ""},
        "responseElements": {"x-amz-request-id": "1", "x-amz-id-2": "14d2-zone1-zonegroup1"},
        "s3": {"s3SchemaVersion": "1.0", "configurationId": "mynotif1",
               "bucket": {"name": "photos", "ownerIdentity": {"principalId": "tester"}, "arn": "arn:aws:s3:us-east-1::photos", "id": "1"},
               "object": {"key": "a+b.jpg", "size": 5, "eTag": "37b51d194a7513e45b56f6524f2d51f2", "versionId": "",
                          "sequencer": "F7E6D75DC742D108", "metadata": [], "tags": []}},
        "eventId": "1575221657.102001.80dad3aad8584778352c68ea06250327", "opaqueData": "me@example.com"
    }]});
    for (store, region) in [(minio, None), (ceph, Some("us-east-1"))] {
        let record = decode(&store).unwrap().records.remove(0);
        assert!(record.is_created());
        assert_eq!(record.event_name, "ObjectCreated:Put");
        assert_eq!(record.aws_region.as_deref(), region);
        assert_eq!(
            (&*record.object.key, record.object.size),
            ("a b.jpg", Some(5))
        );
        assert_eq!(record.object.version_id, None);
        assert!(record.event_time.is_some());
    }
}
