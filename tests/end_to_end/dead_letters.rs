//! Dead letters from the command line: listed, shown, tried again, moved, purged; and what `check --create` makes.

use serde_json::{Value, json};
use tokio::process::Command;

use super::{
    SECOND,
    support::{
        Ended, Service,
        aws::{Aws, Queue, unique},
        program, run,
    },
};

/// `scripted dead-letters scripted …` on this queue.
fn dead_letters(aws: &Aws, queue: &str, arguments: &[&str]) -> Command {
    let mut line = vec!["dead-letters", "scripted"];
    line.extend(arguments);
    let mut command = program(env!("CARGO_BIN_EXE_scripted"), &line);
    aws.tell(&mut command);
    command.env("LOAFER_ROUTES__SCRIPTED__QUEUE", queue);
    command
}

async fn done(aws: &Aws, queue: &Queue, arguments: &[&str]) -> Ended {
    let ended = run(&mut dead_letters(aws, &queue.name, arguments)).await;
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
    ended
}

/// A queue with this many dead letters, which the service itself made: they fail on their first attempt, the last.
async fn with_dead_letters(aws: &Aws, name: &str, count: usize) -> Queue {
    // The long poll of a service that has ended may still take a message, for a lease.
    let queue = aws.queue(&unique(name), SECOND, 10).await;
    let options = [("MAX_ATTEMPTS", "1")];
    let service = super::scripted_on(aws, "scripted", &queue, &options).await;
    let bodies = (0..count).map(|id| json!({ "id": id, "then": "fail" }).to_string());
    queue.send_all(bodies).await;
    service
        .stderr
        .wait_until("all failures", |text| {
            text.matches("told to fail").count() >= count
        })
        .await;
    queue.emptied().await;
    assert_eq!(service.terminated().await.code, Some(0));
    queue
}

/// Returns the dead letters, as `list --json` prints them.
async fn listed(aws: &Aws, queue: &Queue) -> Vec<Value> {
    let listed = done(aws, queue, &["list", "--json"]).await;
    let lines = listed.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn an_operator_finds_a_dead_letter_reads_it_and_tries_it_again() {
    let aws = aws!("an_operator_finds_a_dead_letter_reads_it_and_tries_it_again");
    let queue = with_dead_letters(&aws, "again", 3).await;
    let table = done(&aws, &queue, &["list"]).await;
    assert!(table.stdout.starts_with("ID "), "{}", table.stdout);
    assert_eq!(table.stdout.lines().count(), 4, "{}", table.stdout);
    assert!(table.stdout.contains("told to fail"), "{}", table.stdout);
    assert!(table.stderr.contains("receive count"), "{}", table.stderr);

    let found = listed(&aws, &queue).await;
    assert_eq!(found.len(), 3);
    let (id, left) = (&found[0]["id"], &found[1]["id"]);
    let (id, left) = (id.as_str().unwrap(), left.as_str().unwrap());
    assert_eq!(found[0]["kind"], "error");
    assert_eq!(found[0]["attempts"], 1);

    let shown = done(&aws, &queue, &["show", id]).await.stdout;
    for part in [r#""kind": "error""#, "\nbody (", r#""then":"fail""#] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }

    let again = done(&aws, &queue, &["retry", id]).await;
    assert!(again.stderr.contains("1 tried again"), "{}", again.stderr);
    let (waiting, leased) = queue.depth().await;
    assert_eq!(waiting + leased, 1);
    assert_eq!(queue.dead_letters.depth().await, 2);

    // It fails again, and is linked to the first.
    let options = [("MAX_ATTEMPTS", "1")];
    let service = super::scripted_on(&aws, "scripted", &queue, &options).await;
    queue.emptied().await;
    service.terminated().await;
    let found = listed(&aws, &queue).await;
    let linked = found.iter().filter(|found| found["retried_from"] == id);
    assert_eq!(linked.count(), 1, "{found:?}");

    let gone = run(&mut dead_letters(&aws, &queue.name, &["retry", id, left])).await;
    assert_eq!(gone.code, Some(1));
    let said = format!("error: {id}: not found in `{}-dlq`", queue.name);
    assert!(gone.stderr.contains(&said), "{}", gone.stderr);
    assert!(gone.stderr.contains("1 tried again"), "{}", gone.stderr);
}

#[tokio::test]
async fn all_are_moved_and_what_is_left_is_purged() {
    let aws = aws!("all_are_moved_and_what_is_left_is_purged");
    let queue = with_dead_letters(&aws, "move", 12).await;
    let parked = aws.queue(&unique("parked"), 30 * SECOND, 10).await;
    let moved = done(&aws, &queue, &["move", "--all", "--to", &parked.name]).await;
    let said = format!("12 moved to `{}`", parked.name);
    assert!(moved.stderr.contains(&said), "{}", moved.stderr);
    assert_eq!(parked.depth().await, (12, 0));
    assert_eq!(queue.dead_letters.depth().await, 0);

    done(&aws, &parked, &["list"]).await;
    let queue = with_dead_letters(&aws, "purge", 2).await;
    let refused = run(&mut dead_letters(&aws, &queue.name, &["purge"])).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("purge --yes"), "{}", refused.stderr);
    assert_eq!(queue.dead_letters.depth().await, 2);
    let purged = done(&aws, &queue, &["purge", "--yes"]).await;
    assert!(
        purged.stderr.contains("about 2 dead letters"),
        "{}",
        purged.stderr
    );
    assert_eq!(queue.dead_letters.depth().await, 0);
}

#[tokio::test]
async fn a_list_that_is_interrupted_gives_everything_back() {
    let aws = aws!("a_list_that_is_interrupted_gives_everything_back");
    let queue = aws.queue(&unique("interrupted"), 30 * SECOND, 10).await;
    // Enough of them that it is still at work when the signal comes.
    queue.dead_letters.fill(3_000).await;
    let mut command = dead_letters(&aws, &queue.name, &["list", "--max", "100000"]);
    let service = Service::spawn(&mut command);
    service.stderr.wait_for("receive count").await;
    queue.dead_letters.leased().await;
    service.signal("INT").await;
    let ended = service.ended().await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("are released"), "{}", ended.stderr);
    assert_eq!(queue.dead_letters.counts().await, (3_000, 0));
}

#[tokio::test]
async fn what_is_not_there_is_told_with_what_to_do() {
    let aws = aws!("what_is_not_there_is_told_with_what_to_do");
    let queue = aws.queue(&unique("long"), 30 * SECOND, 10).await;
    let dead = format!("{}-dlq", queue.name);
    let refused = run(&mut dead_letters(&aws, &dead, &["list"])).await;
    assert_eq!(refused.code, Some(1));
    let start = format!(
        "error: scripted can't access its dead letters: queue `{dead}` has no dead-letter queue"
    );
    assert!(refused.stderr.starts_with(&start), "{}", refused.stderr);
    let mut command = program(
        env!("CARGO_BIN_EXE_scripted"),
        &["dead-letters", "script", "list"],
    );
    let unknown = run(aws.tell(&mut command)).await;
    assert!(
        unknown.stderr.contains("did you mean `scripted`?"),
        "{}",
        unknown.stderr
    );
}

#[tokio::test]
async fn check_makes_what_is_missing_when_told_to() {
    let aws = aws!("check_makes_what_is_missing_when_told_to");
    let name = unique("created");
    let check = async |arguments: &[&str]| {
        let mut command = program(env!("CARGO_BIN_EXE_scripted"), arguments);
        aws.tell(&mut command);
        for route in ["SCRIPTED", "ANYTHING"] {
            command.env(
                format!("LOAFER_ROUTES__{route}__QUEUE"),
                format!("{name}-{route}"),
            );
            command.env(format!("LOAFER_TOPICS__{route}__NAME"), &name);
        }
        run(&mut command).await
    };
    assert_eq!(check(&["check"]).await.code, Some(1));
    let made = check(&["check", "--create"]).await;
    assert_eq!(made.code, Some(0), "{}{}", made.stdout, made.stderr);
    for part in [
        format!("✓ made queue `{name}-SCRIPTED`"),
        format!("✓ made the SNS topic `{name}`"),
        format!("✓ subscribed queue `{name}-ANYTHING` to the SNS topic `{name}`"),
        "0 problems, 0 warnings".to_owned(),
    ] {
        assert!(made.stdout.contains(&part), "{part} in\n{}", made.stdout);
    }
    let again = check(&["check"]).await;
    assert_eq!(again.code, Some(0), "{}", again.stdout);
    assert!(!again.stdout.contains("made"), "{}", again.stdout);
}
