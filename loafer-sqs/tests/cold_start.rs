//! What a service that has just started asks a real server for, counted on its way.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};
use futures_util::future::join_all;
use loafer_core::{
    broker::{Broker, Publisher, Topic},
    message::{Message, MessageId},
};
use loafer_sqs::Sqs;

/// How often each action of the API was called.
type Calls = Arc<Mutex<BTreeMap<String, usize>>>;

/// Counts the calls of a client.
#[derive(Clone, Debug)]
struct Counting<C> {
    inner: C,
    calls: Calls,
}

impl HttpClient for Counting<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Counting {
            inner: self.inner.http_connector(settings, components),
            calls: Arc::clone(&self.calls),
        })
    }
}

impl HttpConnector for Counting<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // SQS has the action in a header, and SNS in a form, with `NextToken` for what is more of the same answer.
        let form = request.body().bytes().unwrap_or_default();
        let form: BTreeMap<_, _> = form_urlencoded::parse(form).into_owned().collect();
        let target = request.headers().get("x-amz-target").map(str::to_owned);
        if let Some(action) = target.or_else(|| form.get("Action").cloned())
            && !form.contains_key("NextToken")
        {
            *self.calls.lock().unwrap().entry(action).or_default() += 1;
        }
        self.inner.call(request)
    }
}

fn counting(endpoint: &str) -> (SdkConfig, Calls) {
    let (plain, calls) = (support::config(endpoint), Calls::default());
    let inner = plain.http_client().unwrap();
    let client = Counting {
        inner,
        calls: Arc::clone(&calls),
    };
    let counting = plain.to_builder().http_client(client).build();
    (counting, calls)
}

#[tokio::test]
async fn two_hundred_handlers_look_each_of_their_fifty_topics_up_once() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "two_hundred_handlers_look_each_of_their_fifty_topics_up_once"
    );
    let (config, calls) = counting(&server.endpoint);
    let sns = aws_sdk_sns::Client::new(&support::config(&server.endpoint));
    let run = MessageId::new();
    let names: Vec<_> = (0..50).map(|n| format!("cold-{n}-{run}")).collect();
    for name in &names {
        sns.create_topic().name(name).send().await.unwrap();
    }

    let publisher = Sqs::with_config(config).publisher();
    let handlers = (0..200).map(|n| {
        let (publisher, topic) = (&publisher, Topic::from(&*names[n % names.len()]));
        async move {
            let mut answers = Vec::new();
            let batch = [Message::new("1").into()];
            publisher.publish(&topic, &batch, &mut answers).await;
            assert!(answers[0].is_ok(), "{answers:?}");
        }
    });
    join_all(handlers).await;

    let calls = calls.lock().unwrap();
    let lookups = calls.get("ListTopics").copied().unwrap_or_default();
    assert!((1..=50).contains(&lookups), "{calls:?}");
}
