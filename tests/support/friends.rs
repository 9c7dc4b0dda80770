//! A friends API that remembers what it was asked.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri},
};
use tokio::{net::TcpListener, sync::watch, time::timeout};

use super::DEADLINE;

/// Gives its answers one after the other, and 200 from then on.
#[derive(Clone)]
pub struct FriendsApi {
    pub url: String,
    answers: Arc<Mutex<VecDeque<u16>>>,
    asked: watch::Sender<Vec<String>>,
}

impl FriendsApi {
    pub async fn answering(answers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            answers: Arc::new(Mutex::new(answers.iter().copied().collect())),
            asked: watch::channel(Vec::new()).0,
        };
        let router = Router::new().fallback(answer).with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        api
    }

    /// What it was asked so far, as `PATCH /friends/1 {…}`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    /// Waits until it was asked this often.
    pub async fn asked_times(&self, times: usize) -> Vec<String> {
        let mut asked = self.asked.subscribe();
        let enough = asked.wait_for(|asked| asked.len() >= times);
        let Ok(enough) = timeout(DEADLINE, enough).await else {
            panic!("asked {:?} only, after {DEADLINE:?}", self.asked());
        };
        enough.unwrap().clone()
    }
}

async fn answer(api: State<FriendsApi>, method: Method, uri: Uri, body: Bytes) -> StatusCode {
    let body = String::from_utf8_lossy(&body);
    api.asked
        .send_modify(|asked| asked.push(format!("{method} {uri} {body}")));
    let next = api.answers.lock().unwrap().pop_front();
    StatusCode::from_u16(next.unwrap_or(200)).unwrap()
}
