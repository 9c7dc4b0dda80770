//! A server that takes and refuses messages as a test says.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Router,
    extract::State as Shared,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use loafer_sqs::Sqs;
use serde_json::{Value, json};

/// SQS and SNS, as far as publishing goes.
pub struct Fake {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

/// How it answers, and what it was sent.
#[derive(Default)]
pub struct State {
    /// How often a body fails before it is taken.
    pub failing: HashMap<String, usize>,
    /// Whether that is called a fault of the sender.
    pub sender_fault: bool,
    /// The attribute `MaximumMessageSize` of every topic.
    pub topic_limit: Option<usize>,
    /// The attribute `MaximumMessageSize` of every queue.
    pub queue_limit: Option<usize>,
    /// How many bytes the bodies of a call can have together.
    pub longest_call: Option<usize>,
    /// The names of the topics there are.
    pub topics: Vec<String>,
    /// How long a receive waits before it brings nothing. `None` means that it brings a message at once.
    pub idle: Option<Duration>,
    /// The attributes that come with a received message if these names are asked for: `AttributeNames` or `MessageSystemAttributeNames`.
    pub attributes_by: Option<&'static str>,
    /// The actions that look something up, each with what it names.
    pub looked_up: Vec<String>,
    /// Whether attributes of topics can't be had now.
    pub unreadable: bool,
    /// The bodies of each call.
    pub calls: Vec<Vec<String>>,
    /// What was taken, in order: body, and what was sent along.
    pub taken: Vec<(String, HashMap<String, String>)>,
}

impl State {
    /// What was taken, by its body.
    pub fn bodies(&self) -> Vec<&str> {
        self.taken.iter().map(|(body, _)| body.as_str()).collect()
    }

    /// Takes or refuses the entries of a call.
    fn take(&mut self, entries: Vec<(String, HashMap<String, String>)>) -> Vec<bool> {
        self.calls
            .push(entries.iter().map(|(body, _)| body.clone()).collect());
        let taken = entries.into_iter().map(|(body, fields)| {
            match self.failing.get_mut(&body).filter(|left| **left > 0) {
                Some(left) => {
                    *left -= 1;
                    false
                }
                None => {
                    self.taken.push((body, fields));
                    true
                }
            }
        });
        taken.collect()
    }
}

impl Fake {
    pub async fn start(state: State) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(state));
        let app = Router::new()
            .route("/", post(answer))
            .with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { endpoint, state }
    }

    pub fn sqs(&self) -> Sqs {
        Sqs::with_config(super::config(&self.endpoint))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

async fn answer(
    Shared(state): Shared<Arc<Mutex<State>>>,
    headers: HeaderMap,
    body: String,
) -> Result<String, (StatusCode, &'static str)> {
    let idle = state.lock().unwrap().idle;
    let target = headers.get("x-amz-target");
    if let (Some(idle), true) = (
        idle,
        target.is_some_and(|of| of == "AmazonSQS.ReceiveMessage"),
    ) {
        tokio::time::sleep(idle).await;
        return Ok("{}".to_owned());
    }
    let mut state = state.lock().unwrap();
    if state.unreadable && body.contains("Action=GetTopicAttributes") {
        // One that the SDK does not try again.
        return Err((StatusCode::BAD_REQUEST, "not now"));
    }
    Ok(match target.map(|target| target.to_str().unwrap()) {
        Some("AmazonSQS.GetQueueUrl") => {
            let asked: Value = serde_json::from_str(&body).unwrap();
            let name = asked["QueueName"].as_str().unwrap();
            state.looked_up.push(format!("GetQueueUrl {name}"));
            json!({ "QueueUrl": format!("http://queues/0/{name}") }).to_string()
        }
        Some("AmazonSQS.GetQueueAttributes") => {
            let asked: Value = serde_json::from_str(&body).unwrap();
            let url = asked["QueueUrl"].as_str().unwrap();
            state.looked_up.push(format!("GetQueueAttributes {url}"));
            let limit = state.queue_limit;
            let limit = limit.map(|limit| json!({ "MaximumMessageSize": limit.to_string() }));
            json!({ "Attributes": limit.unwrap_or_default() }).to_string()
        }
        Some("AmazonSQS.ReceiveMessage") => {
            let asked: Value = serde_json::from_str(&body).unwrap();
            let attributes = state
                .attributes_by
                .filter(|by| asked[by].to_string().contains("ApproximateReceiveCount"));
            let attributes = attributes.map(|_| json!({ "ApproximateReceiveCount": "3" }));
            json!({ "Messages": [{
                "MessageId": "m-1", "ReceiptHandle": "h-1", "Body": "{}", "Attributes": attributes.unwrap_or_default(),
            }] })
            .to_string()
        }
        Some("AmazonSQS.SendMessageBatch") => {
            let asked: Value = serde_json::from_str(&body).unwrap();
            let bodies = asked["Entries"].as_array().unwrap().iter();
            let bytes = bodies.map(|entry| entry["MessageBody"].as_str().unwrap().len());
            if state
                .longest_call
                .is_some_and(|most| bytes.sum::<usize>() > most)
            {
                state.calls.push(Vec::new());
                let refused =
                    r#"{"__type": "com.amazonaws.sqs#BatchRequestTooLong", "message": "too long"}"#;
                return Err((StatusCode::BAD_REQUEST, refused));
            }
            send_batch(&mut state, &body)
        }
        Some(other) => panic!("{other}"),
        None => sns(&mut state, &body),
    })
}

fn send_batch(state: &mut State, body: &str) -> String {
    let asked: Value = serde_json::from_str(body).unwrap();
    let entries = asked["Entries"].as_array().unwrap();
    let taken = state.take(
        entries
            .iter()
            .map(|entry| {
                let fields = entry
                    .as_object()
                    .unwrap()
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
                (
                    entry["MessageBody"].as_str().unwrap().to_owned(),
                    fields.collect(),
                )
            })
            .collect(),
    );
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (entry, taken) in entries.iter().zip(taken) {
        match taken {
            true => successful.push(json!({ "Id": entry["Id"], "MessageId": entry["MessageBody"], "MD5OfMessageBody": "" })),
            false => failed.push(json!({
                "Id": entry["Id"], "SenderFault": state.sender_fault, "Code": "InternalError", "Message": "try later",
            })),
        }
    }
    json!({ "Successful": successful, "Failed": failed }).to_string()
}

/// SNS asks in forms and is answered in XML.
fn sns(state: &mut State, body: &str) -> String {
    let form: HashMap<String, String> = form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    let answer = match &*form["Action"] {
        "ListTopics" => {
            state.looked_up.push("ListTopics".to_owned());
            let topics = state.topics.iter();
            let topics = topics.map(|name| {
                format!("<member><TopicArn>arn:aws:sns:us-east-1:1:{name}</TopicArn></member>")
            });
            format!("<Topics>{}</Topics>", topics.collect::<String>())
        }
        "GetTopicAttributes" => state.topic_limit.map_or_else(String::new, |limit| {
            format!("<Attributes><entry><key>MaximumMessageSize</key><value>{limit}</value></entry></Attributes>")
        }),
        "PublishBatch" => publish_batch(state, &form),
        other => panic!("{other}"),
    };
    let action = &form["Action"];
    format!(
        r#"<{action}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><{action}Result>{answer}</{action}Result></{action}Response>"#
    )
}

fn publish_batch(state: &mut State, form: &HashMap<String, String>) -> String {
    let entry = |index: usize| format!("PublishBatchRequestEntries.member.{index}.");
    let entries: Vec<_> = (1..)
        .map_while(|index| {
            let body = form.get(&format!("{}Message", entry(index)))?.clone();
            let fields = form.iter().filter_map(|(name, value)| {
                Some((name.strip_prefix(&entry(index))?.to_owned(), value.clone()))
            });
            Some((body, fields.collect()))
        })
        .collect();
    let (mut successful, mut failed) = (String::new(), String::new());
    for (index, taken) in state.take(entries).into_iter().enumerate() {
        match taken {
            true => {
                successful +=
                    &format!("<member><Id>{index}</Id><MessageId>{index}</MessageId></member>")
            }
            false => {
                let fault = state.sender_fault;
                failed += &format!(
                    "<member><Id>{index}</Id><Code>InternalError</Code><SenderFault>{fault}</SenderFault></member>"
                );
            }
        }
    }
    format!("<Successful>{successful}</Successful><Failed>{failed}</Failed>")
}
