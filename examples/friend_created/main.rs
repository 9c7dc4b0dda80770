//! A new friend without an address on GitHub gets one: it is looked up, and stored through the friends API.
//!
//! ```text
//! cargo run --example friend_created                      # in memory, with APIs of its own and one friend to begin with
//! cargo run --example friend_created -- --provider sqs    # the queue `foobar-friend-created`, which hears the SNS topic `friend-created`
//! ```
//!
//! `FRIENDS_API_URL` says where the friends API is, `GITHUB_API_URL` (`https://api.github.com`) where people are looked up. Without
//! the second, the address is made of the user's name.

mod clients;
mod demo;
#[cfg(test)]
mod tests;

use loafer::prelude::*;
use serde::Deserialize;

use crate::clients::{FriendsApi, GitHub};

#[derive(Deserialize)]
struct Friend {
    id: String,
    username: String,
    github_url: Option<String>,
}

#[handler(
    route = "friend-created",
    translator = Sns,
    provider = Memory,
    queue = "foobar-friend-created",
    timeout = "20s"
)]
async fn friend_created(
    friend: Friend,
    github: State<GitHub>,
    friends: State<FriendsApi>,
) -> anyhow::Result<bool> {
    if friend.github_url.is_some_and(|url| !url.is_empty()) {
        return Ok(true);
    }
    match github.profile_url(&friend.username).await? {
        Some(url) => friends.set_github_url(&friend.id, &url).await,
        None => Ok(false),
    }
}

async fn setup(app: App) -> anyhow::Result<App> {
    let set = |name| std::env::var(name).ok().filter(|url| !url.is_empty());
    let (friends, github) = (set("FRIENDS_API_URL"), set("GITHUB_API_URL"));
    let (app, friends, github) = match friends {
        Some(friends) => (app, friends, github),
        None => {
            let (app, local) = demo::serve_apis(app).await?;
            (app, local.clone(), github.or(Some(local)))
        }
    };
    // Whoever names a provider has friends of their own.
    let app = match app.provider_name() {
        None => demo::publish_a_friend(app),
        Some(_) => app,
    };
    let http = clients::http()?;
    Ok(app
        .state(FriendsApi::new(http.clone(), &friends)?)
        .state(GitHub::new(http, github.as_deref())?))
}

loafer::main!(setup);
