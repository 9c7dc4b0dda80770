//! Reports to Sentry.

use std::io::{BufRead as _, BufReader, Write as _};

use crate::child::{echo, output, text};

pub(super) fn a_failure_is_reported_before_the_program_ends() {
    let endpoint = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let dsn = format!(
        "http://public@127.0.0.1:{}/1",
        endpoint.local_addr().expect("an address").port()
    );
    let posted = std::thread::spawn(move || {
        let (mut stream, _) = endpoint.accept().expect("a connection");
        let mut request = String::new();
        let mut lines = BufReader::new(stream.try_clone().expect("a clone"));
        while !request.contains("told to fail") {
            assert_ne!(
                lines.read_line(&mut request).expect("a line"),
                0,
                "{request}"
            );
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            .expect("an answer");
        request
    });
    let mut service = echo(&["--once", "--provider", "memory"]);
    let done = output(
        service.env("SENTRY_DSN", dsn),
        "echo {\"do\":\"fail\",\"card\":\"4111\"}\n",
    );
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let request = posted.join().expect("a report");
    assert!(
        request.contains("\"release\":\"echo@") && !request.contains("4111"),
        "{request}"
    );
}

pub(super) fn a_wrong_dsn_is_told_and_not_repeated() {
    let done = output(
        echo(&["--provider", "memory"]).env("SENTRY_DSN", "https://hush@nowhere"),
        "",
    );
    let log = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{log}");
    assert!(
        log.starts_with("error: echo can't start: `SENTRY_DSN` is no DSN"),
        "{log}"
    );
    assert!(!log.contains("hush"), "{log}");
}
