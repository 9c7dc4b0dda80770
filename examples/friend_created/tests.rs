//! The handler against a friends API over HTTP, as a function and as a route. In real time: HTTP does not wait for a paused clock.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State as Shared,
    http::{Method, StatusCode, Uri},
};
use loafer::{RouteOptions, testing};

use super::*;

/// A friends API and a GitHub that give these answers, one after the other and then 200, and remember what they were asked.
#[derive(Clone, Default)]
struct Apis {
    url: String,
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Apis {
    async fn answering(answers: impl IntoIterator<Item = u16>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answers = answers
            .into_iter()
            .map(|code| StatusCode::from_u16(code).unwrap());
        let apis = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            answers: Arc::new(Mutex::new(answers.collect())),
            asked: Arc::default(),
        };
        let router = Router::new()
            .fallback(Self::answer)
            .with_state(apis.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        apis
    }

    async fn answer(
        apis: Shared<Self>,
        method: Method,
        uri: Uri,
        body: Bytes,
    ) -> (StatusCode, String) {
        let body = String::from_utf8_lossy(&body);
        apis.asked
            .lock()
            .unwrap()
            .push(format!("{method} {uri} {body}").trim_end().to_owned());
        let status = apis.answers.lock().unwrap().pop_front().unwrap_or_default();
        (
            status,
            json!({ "html_url": "https://github.com/ana-b" }).to_string(),
        )
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn friends(&self) -> FriendsApi {
        FriendsApi::new(clients::http().unwrap(), &self.url).unwrap()
    }

    /// Asks nobody.
    fn offline(&self) -> GitHub {
        GitHub::new(clients::http().unwrap(), None).unwrap()
    }

    fn github(&self) -> GitHub {
        GitHub::new(clients::http().unwrap(), Some(&self.url)).unwrap()
    }

    async fn handle(&self, github: GitHub, friend: Friend) -> anyhow::Result<bool> {
        friend_created(friend, State::new(github), State::new(self.friends())).await
    }
}

fn ana(github_url: Option<&str>) -> Friend {
    let github_url = github_url.map(str::to_owned);
    Friend {
        id: "7".into(),
        username: "ana".into(),
        github_url,
    }
}

#[tokio::test]
async fn a_friend_without_an_address_gets_the_one_github_knows() {
    let apis = Apis::answering([]).await;
    assert!(apis.handle(apis.github(), ana(None)).await.unwrap());
    let change = r#"PATCH /friends/7 {"github_url":"https://github.com/ana-b"}"#;
    assert_eq!(apis.asked(), ["GET /users/ana", change]);
}

#[tokio::test]
async fn without_github_the_address_is_made_of_the_name() {
    let apis = Apis::answering([]).await;
    assert!(apis.handle(apis.offline(), ana(Some(""))).await.unwrap());
    assert_eq!(
        apis.asked(),
        [r#"PATCH /friends/7 {"github_url":"https://github.com/ana"}"#]
    );
}

#[tokio::test]
async fn a_friend_with_an_address_is_left_alone() {
    let apis = Apis::answering([]).await;
    assert!(
        apis.handle(apis.github(), ana(Some("https://github.com/ana")))
            .await
            .unwrap()
    );
    assert!(apis.asked().is_empty());
}

#[tokio::test]
async fn an_id_reaches_no_other_path() {
    let apis = Apis::answering([]).await;
    let friend = Friend {
        id: "../users?a#b".into(),
        ..ana(None)
    };
    assert!(apis.handle(apis.offline(), friend).await.unwrap());
    assert!(
        apis.asked()[0].starts_with("PATCH /friends/..%2Fusers%3Fa%23b "),
        "{:?}",
        apis.asked()
    );
}

#[tokio::test]
async fn trouble_at_either_api_is_no_error_and_not_done() {
    for answers in [[503, 200], [200, 500]] {
        let apis = Apis::answering(answers).await;
        assert!(
            !apis.handle(apis.github(), ana(None)).await.unwrap(),
            "{answers:?}"
        );
    }
}

#[tokio::test]
async fn what_an_api_refuses_is_an_error_with_status_and_url() {
    for (answers, path) in [(&[404][..], "/users/ana"), (&[200, 422], "/friends/7")] {
        let apis = Apis::answering(answers.iter().copied()).await;
        let error = apis
            .handle(apis.github(), ana(None))
            .await
            .unwrap_err()
            .to_string();
        let status = answers.last().unwrap().to_string();
        assert!(
            error.contains(&format!("{}{path}", apis.url)) && error.contains(&status),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_api_nobody_serves_is_an_error() {
    // Taken and given back: nobody listens there.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let nobody = Apis {
        url: url.clone(),
        ..Apis::default()
    };
    let error = nobody
        .handle(nobody.offline(), ana(None))
        .await
        .unwrap_err();
    assert!(format!("{error:#}").contains(&url), "{error:#}");
}

#[tokio::test]
async fn a_friend_is_stored_once_the_api_is_up_again_and_acked() {
    let apis = Apis::answering([500]).await;
    let soon = RouteOptions::new().backoff(loafer::policy::Backoff::new(
        std::time::Duration::from_millis(1),
    ));
    let app = testing::app()
        .state(apis.friends())
        .state(apis.offline())
        .options("friend-created", soon)
        .start()
        .await;
    app.publish("friend-created", &json!({ "id": "7", "username": "ana" }))
        .await;
    app.settled().await;
    let route = app.route("friend-created");
    assert_eq!(
        (route.acked(), route.retried(), route.dead_lettered()),
        (1, 1, 0)
    );
    assert_eq!(apis.asked().len(), 2);
}
