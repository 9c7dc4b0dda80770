//! The HTTP APIs this service calls.

use std::time::Duration;

use anyhow::{Context, ensure};
use loafer::prelude::json;
use reqwest::{Client, RequestBuilder, Response, Url};
use serde::Deserialize;

/// Where friends are kept.
pub(crate) struct FriendsApi {
    http: Client,
    base: Url,
}

/// Where people are looked up.
pub(crate) struct GitHub {
    http: Client,
    /// None: nobody is asked.
    api: Option<Url>,
}

pub(crate) fn http() -> reqwest::Result<Client> {
    // reqwest leaves the choice of the cryptography to the program. Where one was made already, it stands.
    _ = rustls::crypto::ring::default_provider().install_default();
    // GitHub answers nobody without a user agent.
    Client::builder()
        .user_agent("friends")
        .timeout(Duration::from_secs(10))
        .build()
}

impl FriendsApi {
    pub(crate) fn new(http: Client, base: &str) -> anyhow::Result<Self> {
        Ok(Self {
            http,
            base: parse(base)?,
        })
    }

    /// Stores the address of a friend's profile; false where the API has trouble of its own.
    pub(crate) async fn set_github_url(&self, id: &str, github_url: &str) -> anyhow::Result<bool> {
        let url = below(&self.base, &["friends", id]);
        let change = self
            .http
            .patch(url)
            .json(&json!({ "github_url": github_url }));
        Ok(answer(change).await?.is_some())
    }
}

impl GitHub {
    pub(crate) fn new(http: Client, api: Option<&str>) -> anyhow::Result<Self> {
        Ok(Self {
            http,
            api: api.map(parse).transpose()?,
        })
    }

    /// The address of a user's profile; none where GitHub has trouble of its own.
    pub(crate) async fn profile_url(&self, username: &str) -> anyhow::Result<Option<String>> {
        #[derive(Deserialize)]
        struct Profile {
            html_url: String,
        }

        let Some(api) = &self.api else {
            let url = below(&parse("https://github.com")?, &[username]);
            return Ok(Some(url.into()));
        };
        let user = self.http.get(below(api, &["users", username]));
        match answer(user).await? {
            Some(answer) => Ok(Some(answer.json::<Profile>().await?.html_url)),
            None => Ok(None),
        }
    }
}

/// The answer, where the request went well; none where the server can't answer now. That it refuses what we asked for is an error.
async fn answer(request: RequestBuilder) -> anyhow::Result<Option<Response>> {
    let answer = request.send().await?;
    let (status, url) = (answer.status(), answer.url());
    if status.is_server_error() {
        tracing::warn!(%url, %status, "not now");
        return Ok(None);
    }
    ensure!(status.is_success(), "{url} answered {status}");
    Ok(Some(answer))
}

fn parse(url: &str) -> anyhow::Result<Url> {
    let parsed = Url::parse(url).with_context(|| format!("`{url}` is no URL"))?;
    let is_http = ["http", "https"].contains(&parsed.scheme());
    ensure!(
        is_http,
        "`{url}` is no URL of an API: it begins with `http://` or `https://`"
    );
    Ok(parsed)
}

/// The URL with these segments after its own. A name may hold anything: it is escaped.
fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}
