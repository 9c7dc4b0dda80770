//! What packed bodies cost in memory that would be a thousand times as large. It is the only test of its process, whose peak it reads.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::{fs, io::Write};

use flate2::{Compression, write::GzEncoder};
use loafer_core::{Error, message::Message, policy::Undecodable, translate::Json};
use loafer_runtime::{
    program::{App, Route, RouteOptions},
    testing,
};

const MEBIBYTE: usize = 1 << 20;
/// `max_unpacked_bytes`.
const BOUND: usize = 8 * MEBIBYTE;
/// A buffer that grows to the bound is copied once, and the window of the decoder is as large as the bound.
const PEAK: usize = 4 * BOUND;

/// 10 MiB that would be 10 GiB.
fn gzip() -> Vec<u8> {
    let mut member = GzEncoder::new(Vec::new(), Compression::best());
    member.write_all(&vec![0; 10 * MEBIBYTE]).unwrap();
    let member = member.finish().unwrap();
    member.repeat(1024)
}

/// 10 MiB that would be 320 GiB: each four bytes repeat a byte 131,072 times.
fn zstd() -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3];
    let block: u32 = (128 << 10 << 3) | 0b010;
    let [first, second, third, _] = block.to_le_bytes();
    frame.extend([first, second, third, b' '].repeat(10 * MEBIBYTE / 4));
    frame
}

/// Returns the most memory that this process had so far, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kibibytes.parse::<usize>().unwrap() * 1024
}

#[tokio::test(start_paused = true)]
async fn a_bomb_takes_no_more_memory_than_the_bound() {
    let options = RouteOptions::new().undecodable(Undecodable::Reject);
    let route = Route::new("json").options(options);
    let app = testing::app()
        .setup(async |app: App| Ok::<_, Error>(app.max_unpacked_bytes(BOUND)))
        .await
        .route(route.handler(Json, async |_: u64| true))
        .start()
        .await;
    for (bomb, encoding) in [(gzip(), "gzip"), (zstd(), "zstd")] {
        let bomb = Message::new(bomb).with_header("content-encoding", encoding);
        let before = peak();
        app.publish_message("json", bomb).await;
        app.settled().await;
        let grown = peak() - before;
        assert!(grown < PEAK, "{encoding} took {grown} bytes");
    }
    assert_eq!(app.route("json").dead_lettered(), 2);
}
