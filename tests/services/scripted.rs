//! A service that does as its messages say, and writes to stdout what it was asked.

use std::{
    io::Write as _,
    sync::LazyLock,
    time::{Duration, Instant},
};

use loafer::prelude::*;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Script {
    id: u32,
    #[serde(default)]
    sleep_ms: u64,
    #[serde(default)]
    then: Then,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Then {
    #[default]
    Ack,
    Decline,
    Fail,
    Panic,
}

#[handler(route = "scripted", translator = Sns)]
async fn scripted(script: Script, metadata: Metadata) -> Result<bool, &'static str> {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let at = BEGIN.elapsed().as_millis();
    tell(&format!(
        "started {} attempt {} at {at}",
        script.id,
        metadata.attempt()
    ));
    if script.sleep_ms > 0 {
        tokio::time::sleep(Duration::from_millis(script.sleep_ms)).await;
    }
    match script.then {
        Then::Ack => {
            tell(&format!("finished {}", script.id));
            Ok(true)
        }
        Then::Decline => Ok(false),
        Then::Fail => Err("told to fail"),
        Then::Panic => panic!("told to panic"),
    }
}

#[handler(route = "anything", translator = Sns)]
async fn anything(value: Value, metadata: Metadata) -> bool {
    let text = value.to_string();
    tell(&format!(
        "{} bytes, topic {:?}: {:.40}",
        text.len(),
        metadata.topic(),
        text
    ));
    true
}

/// In one write: lines of several handlers do not mix.
fn tell(line: &str) {
    _ = std::io::stdout().write_all(format!("{line}\n").as_bytes());
}

loafer::main!();
