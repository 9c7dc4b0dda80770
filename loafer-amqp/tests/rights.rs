//! Users who may not do everything.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod private;

use std::{sync::Arc, time::Duration};

use loafer_amqp::{Amqp, Declare, Options};
use loafer_core::{
    broker::{Broker, Level, Open, Publisher, Topic},
    extract::Metadata,
    message::{Message, MessageId, Outgoing},
    outcome::Outcome,
    translate::Bytes,
};
use loafer_runtime::program::{App, Ended, Manager, Route, RouteOptions};
use loafer_test_servers::{RabbitMq, Shared, Version};
use serde_json::json;
use tokio::sync::mpsc;

private::on_both!(
    a_missing_right_is_named_with_its_resource,
    without_the_right_to_configure_it_works_where_others_declare,
    looking_at_rights_takes_nothing_from_a_queue,
    a_virtual_host_of_others_is_named,
);

/// Long enough for a retry of a second.
const DEADLINE: Duration = Duration::from_secs(30);

/// A user of the test's own on the shared server, who is gone with its queues at the end.
struct User {
    name: String,
    shared: Shared,
}

impl User {
    async fn new(version: Version, test: &str) -> Option<Self> {
        let shared = RabbitMq::shared(version, test)?;
        let name = format!("user-{}", MessageId::new());
        let user = json!({"password": "secret-9", "tags": ""});
        let path = format!("users/{name}");
        shared.management.put(&path, &user).await;
        Some(Self { name, shared })
    }

    async fn may(&self, configure: &str, write: &str, read: &str) {
        let rights = json!({"configure": configure, "write": write, "read": read});
        let path = format!("permissions/%2f/{}", self.name);
        self.shared.management.put(&path, &rights).await;
    }

    fn amqp(&self) -> Amqp {
        let (_, place) = self.shared.url.split_once('@').unwrap();
        Amqp::new(format!("amqp://{}:secret-9@{place}", self.name))
    }

    async fn clean(&self, queue: &str) {
        let management = &self.shared.management;
        for name in management.queues().await {
            if name.starts_with(queue) {
                management.delete(&format!("queues/%2f/{name}")).await;
            }
        }
        management.delete(&format!("users/{}", self.name)).await;
    }
}

/// Options of a route on this queue, bound to this exchange.
fn bound(queue: &str, exchange: &str) -> RouteOptions {
    RouteOptions::new()
        .queue(queue)
        .broker_options::<Amqp>(Options::new().exchange(exchange))
}

fn manager(amqp: Amqp, mode: Open, options: &RouteOptions) -> Manager {
    let app = App::new().name("rights").broker(amqp);
    let route = Route::new("paid")
        .provider::<Amqp>()
        .options(options.clone())
        .handler(Bytes::new(), async |_: Message| true);
    let manager = Manager::builder().app(app).route(route).open(mode);
    manager.build().unwrap()
}

/// Why a service does not start; and that `check` says the same.
async fn refused(user: &User, options: &RouteOptions) -> String {
    let manager = || manager(user.amqp(), Open::Existing, options);
    let error = manager().start().await.unwrap_err().to_string();
    let checked = problems(user, options).await;
    let (_, cause) = error
        .split_once("refused: ")
        .unwrap_or_else(|| panic!("{error}"));
    assert!(checked.contains(cause), "`{cause}` in: {checked}");
    assert!(error.contains(&format!("user `{}`", user.name)), "{error}");
    assert!(
        error.contains("rabbitmqctl set_permissions -p / "),
        "{error}"
    );
    assert!(!error.contains("secret-9"), "{error}");
    println!("{error}\n");
    error
}

async fn problems(user: &User, options: &RouteOptions) -> String {
    let manager = manager(user.amqp(), Open::Existing, options);
    let findings = manager.check().await.into_iter();
    let findings = findings.flat_map(|(_, findings)| findings);
    let problems = findings.filter(|finding| finding.level == Level::Problem);
    let texts: Vec<_> = problems.map(|finding| finding.text).collect();
    texts.join("\n")
}

#[track_caller]
fn says(error: &str, right: &str, place: &str) {
    let right = format!("lacks the right `{right}`");
    assert!(error.contains(&right), "{right} in: {error}");
    assert!(error.contains(place), "`{place}` in: {error}");
}

async fn a_missing_right_is_named_with_its_resource(version: Version) {
    let Some(user) = User::new(version, "a right that is missing").await else {
        return;
    };
    let queue = format!("rights-{}", MessageId::new());
    let options = bound(&queue, "amq.topic");
    let all = ".*";

    user.may("^$", all, all).await;
    says(
        &refused(&user, &options).await,
        "configure",
        "the exchange `amq.topic`",
    );
    user.may("amq.topic", all, all).await;
    says(
        &refused(&user, &options).await,
        "configure",
        &format!("the queue `{queue}.dead`"),
    );
    user.may(all, "^$", all).await;
    says(&refused(&user, &options).await, "write", "`amq.default`");
    user.may(all, "amq.default", all).await;
    says(
        &refused(&user, &options).await,
        "write",
        &format!("the queue `{queue}`"),
    );
    user.may(all, all, "rights.*").await;
    says(
        &refused(&user, &options).await,
        "read",
        "the exchange `amq.topic`",
    );
    user.may(all, all, "amq.topic|delays$").await;
    says(
        &refused(&user, &options).await,
        "read",
        &format!("the queue `{queue}`"),
    );

    // All is there now, and somebody else keeps it.
    user.may(all, all, all).await;
    manager(user.amqp(), Open::Existing, &options).check().await;
    for declare in [Declare::Off, Declare::Verify] {
        let options = options
            .clone()
            .broker_options::<Amqp>(Options::new().declare(declare));
        user.may("^$", all, "^$").await;
        says(
            &refused(&user, &options).await,
            "read",
            &format!("the queue `{queue}`"),
        );
        // It starts, as there may be nothing to retry; `check` says.
        user.may("^$", "^$", all).await;
        let error = problems(&user, &options).await;
        says(&error, "write", "`amq.default`");
        assert!(error.contains("retries and dead letters"), "{error}");
    }
    user.clean(&queue).await;
}

async fn without_the_right_to_configure_it_works_where_others_declare(version: Version) {
    let Some(user) = User::new(version, "a user who may not configure").await else {
        return;
    };
    for declare in [Declare::Off, Declare::Verify] {
        let queue = format!("kept-{}", MessageId::new());
        let own = Options::new().binding(queue.as_str()).declare(declare);
        let options = bound(&queue, "amq.topic").broker_options::<Amqp>(own);
        let administrator = manager(Amqp::new(&user.shared.url), Open::Create, &options);
        administrator.check().await;

        user.may(
            "^$",
            "^(amq\\.(default|topic)|rights\\.delays)$",
            "^(kept-|rights\\.delays)",
        )
        .await;
        assert_eq!(problems(&user, &options).await, "");
        let (said, mut received) = mpsc::unbounded_channel();
        let said = Arc::new(said);
        let app = App::new()
            .name("rights")
            .broker(user.amqp().exchange("amq.topic"));
        let bus = app.bus();
        let route = Route::new("paid")
            .provider::<Amqp>()
            .options(options)
            .handler(Bytes::new(), move |_: Message, metadata: Metadata| {
                said.send(metadata.attempt()).unwrap();
                std::future::ready(match metadata.attempt() {
                    1 => Outcome::Retry {
                        after: Duration::from_secs(1),
                    },
                    _ => Outcome::Reject {
                        reason: "seen twice".into(),
                    },
                })
            });
        let manager = Manager::builder().app(app).route(route).build().unwrap();
        let running = manager.start().await.unwrap();
        bus.send(queue.as_str(), Message::new("7")).await.unwrap();
        for attempt in [1, 2] {
            let came = tokio::time::timeout(DEADLINE, received.recv()).await;
            assert_eq!(came.unwrap(), Some(attempt));
        }
        let management = &user.shared.management;
        management.depth_is(&format!("{queue}.dead"), 1).await;
        management.depth_is(&queue, 0).await;
        running.shutdown();
        assert_eq!(running.ended().await, Ended::Clean);
    }
    user.clean("kept-").await;
}

async fn looking_at_rights_takes_nothing_from_a_queue(version: Version) {
    let Some(shared) = RabbitMq::shared(version, "looking at rights") else {
        return;
    };
    let queue = format!("looked-{}", MessageId::new());
    let options = bound(&queue, "");
    let amqp = || Amqp::new(&shared.url);
    manager(amqp(), Open::Existing, &options).check().await;
    let mut sent = Vec::new();
    let topic = Topic::from(format!("amqp:{queue}").as_str());
    let one = [Outgoing::from(Message::new("7"))];
    amqp().publisher().publish(&topic, &one, &mut sent).await;
    assert!(sent[0].is_ok(), "{sent:?}");
    let app = App::new().name("rights").broker(amqp());
    for _ in 0..3 {
        manager(amqp(), Open::Existing, &options).check().await;
    }
    let (said, mut received) = mpsc::unbounded_channel();
    let route = Route::new("paid")
        .provider::<Amqp>()
        .options(options)
        .handler(Bytes::new(), move |_: Message, metadata: Metadata| {
            said.send(metadata.attempt()).unwrap();
            std::future::ready(true)
        });
    let manager = Manager::builder().app(app).route(route).build().unwrap();
    let running = manager.start().await.unwrap();
    let came = tokio::time::timeout(DEADLINE, received.recv()).await;
    // A delivery that was taken back would have counted it up.
    assert_eq!(came.unwrap(), Some(1));
    running.shutdown();
    running.ended().await;
    for name in [queue.clone(), format!("{queue}.dead")] {
        shared
            .management
            .delete(&format!("queues/%2f/{name}"))
            .await;
    }
}

async fn a_virtual_host_of_others_is_named(version: Version) {
    let Some(user) = User::new(version, "a virtual host of others").await else {
        return;
    };
    let options = bound("never-made", "");
    let started = manager(user.amqp(), Open::Existing, &options).start();
    let error = started.await.unwrap_err().to_string();
    assert!(error.contains("set_permissions -p VHOST"), "{error}");
    assert!(error.contains(&format!("user '{}'", user.name)), "{error}");
    assert!(!error.contains("secret-9"), "{error}");
    user.clean("never-made").await;
}
