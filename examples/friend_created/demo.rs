//! What lets the example run with nothing around it: both APIs on a local port, and a first friend.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::Path,
    routing::{get, patch},
};
use loafer::{App, Error, Memory, Message, prelude::json, program::Running};
use serde_json::Value;
use tokio::net::TcpListener;

const ROUTE: &str = "friend-created";
const FRIEND: &str = include_str!("test_user.json");

/// Serves the friends API, and of GitHub's what is asked for; gives their address.
pub(crate) async fn serve_apis(app: App) -> std::io::Result<(App, String)> {
    let apis = Router::new()
        .route("/friends/{id}", patch(change_friend))
        .route("/users/{username}", get(profile));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, apis).await });

    let told = format!("friends API on {url}");
    let tell = move |_| {
        println!("{told}");
        std::future::ready(Ok::<_, Error>(()))
    };
    Ok((app.on_started(tell), url))
}

async fn change_friend(Path(id): Path<String>, Json(change): Json<Value>) -> Json<Value> {
    println!("PATCH /friends/{id} {change}");
    Json(change)
}

async fn profile(Path(username): Path<String>) -> Json<Value> {
    println!("GET /users/{username}");
    Json(json!({ "html_url": format!("https://github.com/{username}") }))
}

/// Publishes a friend at the start, and tells what becomes of it.
pub(crate) fn publish_a_friend(app: App) -> App {
    // Made here, so that it can be asked; and without half a minute's wait for a retry.
    let memory = Memory::new().with_visibility_timeout(Duration::from_secs(5));
    app.broker(memory.clone())
        .on_started(move |running| publish(running, memory.clone()))
}

async fn publish(running: Running, memory: Memory) -> Result<(), Error> {
    let id = running.publish(ROUTE, Message::new(FRIEND)).await?;
    println!("published {id} to {ROUTE}");
    tokio::spawn(async move {
        memory.settled().await;
        // A message leaves its queue by an ack, or for the dead letters.
        let dead = running
            .queue(ROUTE)
            .map(|queue| memory.dead_letters(&queue));
        match dead.is_none_or(|dead| dead.is_empty()) {
            true => println!("acked {id}"),
            false => println!("gave up {id}: it is a dead letter now"),
        }
        println!("listening; Ctrl-C stops");
    });
    Ok(())
}
