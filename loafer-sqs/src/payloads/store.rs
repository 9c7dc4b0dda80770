//! The bucket: put, get, delete.

use std::{sync::Arc, time::Duration};

use aws_config::{Region, SdkConfig, timeout::TimeoutConfig};
use aws_sdk_s3::{Client, primitives::ByteStream};
use aws_sdk_sqs::config::SharedHttpClient;
use loafer_core::{Error, message::MessageId, translate::Bytes};

use super::{Cleanup, For, Offloaded, Pointer, S3Payloads};
use crate::{
    error::Call,
    names::{Endpoint, Endpoints},
};

/// How long one attempt of a call may take. Payloads are large.
const ATTEMPT: Duration = Duration::from_secs(60);

/// Marks the keys of payloads for one queue alone.
const OF_QUEUE: &str = "loafer-queue/";
const OF_TOPIC: &str = "loafer-topic/";

/// The bucket and its client; cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    client: Client,
    settings: Arc<S3Payloads>,
    endpoint: Arc<Endpoint>,
}

impl Store {
    pub(crate) fn new(
        settings: &S3Payloads,
        config: &SdkConfig,
        region: &Region,
        endpoints: &Endpoints,
        http: SharedHttpClient,
    ) -> Self {
        let endpoint = endpoints.of("s3", region, config);
        let set = config.timeout_config();
        let mut timeouts = set.map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
        if set.is_none_or(|set| set.operation_attempt_timeout().is_none()) {
            timeouts = timeouts.operation_attempt_timeout(ATTEMPT);
        }
        let mut s3 = aws_sdk_s3::config::Builder::from(config)
            .http_client(http)
            .timeout_config(timeouts.build())
            // Servers other than AWS rarely have a host name for each bucket.
            .force_path_style(endpoint.is_custom());
        if let Some(url) = endpoints.overridden() {
            s3.set_endpoint_url(url);
        }
        Self {
            client: Client::from_conf(s3.build()),
            settings: Arc::new(settings.clone()),
            endpoint: Arc::new(endpoint),
        }
    }

    /// Returns above how many bytes a message is kept here, even if the queue or topic would take it.
    pub(crate) fn threshold(&self) -> usize {
        self.settings.threshold.unwrap_or(usize::MAX)
    }

    /// Keeps a payload; returns the pointer to it once S3 has confirmed.
    pub(crate) async fn put(&self, payload: Bytes, of: For) -> Result<Pointer, Error> {
        let mark = match of {
            For::Queue => OF_QUEUE,
            For::Topic => OF_TOPIC,
        };
        // The key does not depend on the message: two queues may get the same one, and each deletes its own object.
        let key = format!("{}{mark}{}", self.settings.prefix, MessageId::new());
        let pointer = Pointer {
            bucket: self.settings.bucket.clone(),
            key,
        };
        let put = self
            .client
            .put_object()
            .bucket(&pointer.bucket)
            .key(&pointer.key)
            .body(ByteStream::from(payload));
        match Box::pin(put.send()).await {
            Ok(_) => Ok(pointer),
            Err(error) => Err(self.call("storing", &pointer.to_string()).failed(&error)),
        }
    }

    /// Returns how many bytes of payloads a route may hold at once.
    pub(crate) fn in_flight(&self) -> u64 {
        self.settings.in_flight
    }

    /// Finds a payload.
    pub(crate) async fn find(&self, pointer: &Pointer) -> Result<Object, Error> {
        let (name, bucket) = (pointer.to_string(), &pointer.bucket);
        let call = self.call("fetching", &name);
        let settings = &self.settings;
        if !settings.accepts(pointer) {
            let directory = pointer
                .key
                .rsplit_once('/')
                .map_or("", |(before, _)| before);
            let cause = format!(
                "payloads are not fetched from there: allow it by `S3Payloads::accept(\"{bucket}\")`, or for these keys alone by \
                 `S3Payloads::accept(\"{bucket}/{directory}\")`"
            );
            return Err(call.refused(cause, None));
        }
        let largest = settings.largest;
        let get = self.client.get_object().bucket(bucket).key(&pointer.key);
        let answer = Box::pin(get.send())
            .await
            .map_err(|error| call.failed(&error))?;
        let bytes = answer.content_length();
        let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok());
        if let Some(bytes) = bytes.filter(|bytes| *bytes > largest) {
            let cause = format!(
                "it has {bytes} bytes, and no more than {largest} are fetched: allow them by `S3Payloads::largest({bytes})`"
            );
            return Err(call.refused(cause, None));
        }
        Ok(Object {
            store: self.clone(),
            name,
            body: answer.body,
            most: bytes.unwrap_or(largest),
        })
    }

    /// Returns whether the payload of a deleted message is to be deleted too. A pointer may come from whoever may send to the queue, so no object is
    /// deleted that we have not put there ourselves.
    pub(crate) fn cleans_up(&self, offloaded: &Offloaded) -> bool {
        let is_ours = |mark| self.is_ours(&offloaded.pointer, mark);
        match self.settings.cleanup {
            Cleanup::Never => false,
            Cleanup::OfQueues => !offloaded.is_shared() && is_ours(OF_QUEUE),
            Cleanup::All => is_ours(OF_QUEUE) || is_ours(OF_TOPIC),
        }
    }

    /// Returns the deletion of a payload, which begins when it is awaited.
    pub(crate) fn deletion(
        &self,
        pointer: &Pointer,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (store, pointer) = (self.clone(), pointer.clone());
        async move {
            let delete = store.client.delete_object();
            let delete = delete.bucket(&pointer.bucket).key(&pointer.key);
            match Box::pin(delete.send()).await {
                Ok(_) => Ok(()),
                Err(error) => Err(store.call("deleting", &pointer.to_string()).failed(&error)),
            }
        }
    }

    /// Returns whether [`put`](Self::put) has given an object this name.
    fn is_ours(&self, pointer: &Pointer, mark: &str) -> bool {
        let name = pointer.key.strip_prefix(&self.settings.prefix);
        let id = name.and_then(|name| name.strip_prefix(mark));
        pointer.bucket == self.settings.bucket
            && id.is_some_and(|id| MessageId::from(id).made_at().is_some())
    }

    fn call<'a>(&'a self, what: &'static str, object: &'a str) -> Call<'a> {
        Call::new(what, object, &self.endpoint)
    }
}

/// A payload that is found and not read yet.
pub(crate) struct Object {
    store: Store,
    /// Its bucket and key, for errors.
    name: String,
    body: ByteStream,
    /// How many bytes it has, or may have if S3 does not say.
    most: u64,
}

impl Object {
    /// Returns how many bytes it may take.
    pub(crate) fn bytes(&self) -> u64 {
        self.most
    }

    /// Reads it.
    pub(crate) async fn read(mut self) -> Result<Bytes, Error> {
        let call = self.store.call("fetching", &self.name);
        let mut payload = Vec::new();
        while let Some(part) = self.body.next().await {
            let part = part.map_err(|error| call.unreachable(&error.to_string()))?;
            payload.extend_from_slice(&part);
            if payload.len() as u64 > self.most {
                let cause = format!(
                    "it has more than {} bytes, and no more are fetched: allow them by `S3Payloads::largest`",
                    self.most
                );
                return Err(call.refused(cause, None));
            }
        }
        Ok(payload.into())
    }
}
