//! Passwords that change while a service runs.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod private;

use std::{fs, path::PathBuf, time::Duration};

use loafer_amqp::Amqp;
use loafer_core::{
    broker::Open,
    message::{Message, MessageId},
    translate::Bytes,
};
use loafer_runtime::program::{App, Ended, Manager, Route, Running};
use loafer_test_servers::{RabbitMq, Shared, Version};
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

private::on_both!(all: a_new_password_is_told_and_used);

/// Longer than it takes until the file is looked at again, on a machine that is also building.
const DEADLINE: Duration = Duration::from_secs(60);

/// A user of the test's own, whose password is in a file.
struct User {
    name: String,
    file: PathBuf,
    shared: Shared,
}

impl User {
    async fn new(version: Version, test: &str) -> Option<Self> {
        let shared = RabbitMq::shared(version, test)?;
        let name = format!("rotated-{}", MessageId::new());
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(&name);
        let user = Self { name, file, shared };
        user.password("first-9").await;
        let rights = json!({"configure": ".*", "write": ".*", "read": ".*"});
        let path = format!("permissions/%2f/{}", user.name);
        user.shared.management.put(&path, &rights).await;
        Some(user)
    }

    /// Changes the password, on the server and in the file.
    async fn password(&self, password: &str) {
        let user = json!({"password": password, "tags": ""});
        let path = format!("users/{}", self.name);
        self.shared.management.put(&path, &user).await;
        fs::write(&self.file, format!("{password}\n")).unwrap();
    }

    /// With a password in the address that was never right.
    fn amqp(&self) -> Amqp {
        let (_, place) = self.shared.url.split_once('@').unwrap();
        Amqp::new(format!("amqp://{}:never-9@{place}", self.name))
    }

    /// The names of its connections on the server, once both are told: the one that consumes, and the one that publishes.
    async fn connections(&self) -> [String; 2] {
        let listed = async {
            loop {
                let listed = self.shared.management.get("connections").await.unwrap();
                let of_user = listed.as_array().unwrap().iter();
                let of_user = of_user.filter(|connection| connection["user"] == *self.name);
                let names = of_user.map(|connection| connection["name"].as_str().unwrap());
                let names: Vec<_> = names.map(|name| name.replace(' ', "%20")).collect();
                if let Ok(both) = names.try_into() {
                    return both;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(DEADLINE, listed).await.unwrap()
    }
}

impl Drop for User {
    fn drop(&mut self) {
        _ = fs::remove_file(&self.file);
    }
}

/// A service of this app on the queue of that name, and what brings a number for each message that it handles.
async fn start(
    amqp: Amqp,
    app: &str,
) -> Result<(Running, mpsc::UnboundedReceiver<()>), loafer_core::Error> {
    let (handled, sees) = mpsc::unbounded_channel();
    let app = App::new().name(app).broker(amqp);
    let route = Route::new("paid")
        .provider::<Amqp>()
        .handler(Bytes::new(), move |_: Message| {
            handled.send(()).unwrap();
            std::future::ready(true)
        });
    let manager = Manager::builder().app(app).route(route).open(Open::Create);
    Ok((manager.build()?.start().await?, sees))
}

async fn a_new_password_is_told_and_used(version: Version) {
    private::note_log();
    let Some(user) = User::new(version, "new passwords").await else {
        return;
    };
    let amqp = user.amqp().password_file(&user.file);
    let (running, mut sees) = start(amqp, &user.name).await.unwrap();
    let queue = running.queue("paid").unwrap();
    running.publish("paid", Message::new("1")).await.unwrap();
    timeout(DEADLINE, sees.recv()).await.unwrap().unwrap();

    let before = user.connections().await;
    user.password("second-9").await;
    let told = async {
        let is_told = |line: &String| line.contains("told the new password");
        while private::logged(&user.name)
            .into_iter()
            .filter(is_told)
            .count()
            < 2
        {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(DEADLINE, told).await.unwrap();
    // Both outlive it.
    assert_eq!(user.connections().await, before);
    running.publish("paid", Message::new("2")).await.unwrap();
    timeout(DEADLINE, sees.recv()).await.unwrap().unwrap();

    for connection in before {
        let path = format!("connections/{connection}");
        user.shared.management.delete(&path).await;
    }
    let published = async {
        while running.publish("paid", Message::new("3")).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(DEADLINE, published).await.unwrap();
    timeout(DEADLINE, sees.recv()).await.unwrap().unwrap();
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
    for secret in ["never-9", "first-9", "second-9"] {
        assert_eq!(private::logged(secret), [""; 0]);
    }
    let management = &user.shared.management;
    for name in [queue.clone(), format!("{queue}.dead")] {
        management.delete(&format!("queues/%2f/{name}")).await;
    }
    management.delete(&format!("users/{}", user.name)).await;
}

#[tokio::test]
async fn a_password_that_is_not_to_be_had_is_named() {
    let amqp = || Amqp::new("amqp://guest:never-9@127.0.0.1:1/%2f");
    let nowhere = amqp().password_file("/nowhere/password");
    let sealed = amqp().password(async || Err("the vault is sealed".into()));
    for (amqp, causes) in [
        (
            nowhere,
            ["`password_file = \"/nowhere/password\"`", "No such file"],
        ),
        (sealed, ["`Amqp::password`", "the vault is sealed"]),
    ] {
        let error = start(amqp, "sealed").await.err().unwrap().to_string();
        for cause in causes {
            assert!(error.contains(cause), "no {cause} in: {error}");
        }
        assert!(!error.contains("never-9"), "{error}");
    }
}
