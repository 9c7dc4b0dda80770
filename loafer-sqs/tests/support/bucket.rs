//! A bucket of a test's own.

use aws_sdk_sqs::types::MessageAttributeValue;
use loafer_core::message::MessageId;
use loafer_sqs::S3Payloads;

use super::{Queue, Server};

pub struct Bucket {
    pub name: String,
    client: aws_sdk_s3::Client,
}

impl Bucket {
    pub async fn of(server: &Server) -> Self {
        let config = aws_sdk_s3::config::Builder::from(&super::config(&server.endpoint));
        let client = aws_sdk_s3::Client::from_conf(config.force_path_style(true).build());
        let name = format!("payloads-{}", MessageId::new());
        client.create_bucket().bucket(&name).send().await.unwrap();
        Self { name, client }
    }

    pub fn payloads(&self) -> S3Payloads {
        S3Payloads::new(&self.name)
    }

    pub async fn put(&self, key: &str, payload: &str) {
        let body = payload.as_bytes().to_vec().into();
        let put = self.client.put_object().bucket(&self.name).key(key);
        put.body(body).send().await.unwrap();
    }

    pub async fn keys(&self) -> Vec<String> {
        let listed = self.client.list_objects_v2().bucket(&self.name).send();
        let objects = listed.await.unwrap().contents.unwrap_or_default();
        objects
            .into_iter()
            .map(|object| object.key.unwrap())
            .collect()
    }

    /// A message that another program sent, in this form.
    pub async fn send(&self, queue: &Queue, class: &str, size: &str, key: &str) {
        let body = format!(
            r#"["{class}",{{"s3BucketName":"{}","s3Key":"{key}"}}]"#,
            self.name
        );
        let number = MessageAttributeValue::builder()
            .data_type("Number")
            .string_value("7");
        let sent = queue
            .client
            .send_message()
            .queue_url(&queue.url)
            .message_body(body);
        let group = queue.name.ends_with(".fifo").then_some("g".to_owned());
        sent.message_attributes(size, number.build().unwrap())
            .set_message_deduplication_id(group.as_ref().map(|_| key.to_owned()))
            .set_message_group_id(group)
            .send()
            .await
            .unwrap();
    }
}
