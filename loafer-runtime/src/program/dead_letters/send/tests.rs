//! A queue that answers as it is told.

use std::{collections::VecDeque, sync::Mutex};

use super::*;
use loafer_core::{
    broker::{DeadLetterCapabilities, PackedDeadLetter},
    message::Message,
};

/// What each lease gives: dead letters by id, or an error. And what the queue can do.
struct Scripted(
    Mutex<VecDeque<Option<Vec<&'static str>>>>,
    DeadLetterCapabilities,
);

impl Scripted {
    fn new(leases: impl IntoIterator<Item = Option<Vec<&'static str>>>) -> Self {
        let leases = Mutex::new(leases.into_iter().collect());
        Self(leases, DeadLetterCapabilities::default())
    }
}

fn gone() -> Error {
    Error::Unreachable {
        what: "receive",
        queue: "orders-dlq".to_owned(),
        cause: "nobody there".to_owned(),
        source: None,
    }
}

impl DeadLetterQueue for Scripted {
    type Receipt = &'static str;

    async fn open(&self) -> Result<DeadLetterInfo, Error> {
        Ok(info())
    }

    fn capabilities(&self) -> DeadLetterCapabilities {
        self.1
    }

    /// Moves as many as its rate says, or 7 without one.
    async fn move_all(
        &self,
        _: &Destination,
        rate: Option<u32>,
        _: ProgressFn<'_>,
    ) -> Result<BrokerMove, Error> {
        Ok(BrokerMove {
            moved: rate.unwrap_or(7).into(),
            ..BrokerMove::default()
        })
    }

    async fn lease(&self, _: usize, into: &mut Vec<Delivery<&'static str>>) -> Result<(), Error> {
        let next = self.0.lock().expect("no panic").pop_front();
        let ids = next.unwrap_or_else(|| Some(Vec::new())).ok_or_else(gone)?;
        into.extend(ids.into_iter().map(|id| Delivery {
            message: Message::new(id).with_broker_id(MessageId::from(id)),
            receipt: id,
        }));
        Ok(())
    }

    async fn give_back(&self, _: &[&'static str]) -> Result<(), Error> {
        Err(gone())
    }

    async fn copy(
        &self,
        _: &Destination,
        dead_letters: &[PackedDeadLetter],
        answers: &mut Vec<Result<(), Error>>,
    ) {
        // One that stays makes no trouble for those after it.
        let ids = dead_letters
            .iter()
            .map(|dead_letter| dead_letter.message().id().to_string());
        answers.extend(ids.map(|id| match &*id {
            "stays" => Err(gone()),
            _ => Ok(()),
        }));
    }

    async fn delete(&self, leases: &[&'static str], answers: &mut Vec<Result<(), Error>>) {
        assert!(!leases.contains(&"stays"), "it has no copy");
        answers.extend(leases.iter().map(|_| Ok(())));
    }

    async fn purge(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn info() -> DeadLetterInfo {
    DeadLetterInfo {
        queue: "orders-dlq".to_owned(),
        source: "orders".to_owned(),
        ..DeadLetterInfo::default()
    }
}

async fn all_of(queue: Scripted) -> Result<MoveResult, Error> {
    let mut on = |_| ControlFlow::Continue(());
    let (all, to) = (Selection::All, Destination::Source);
    send(&queue, &all, &to, None, &info(), &mut on).await
}

#[tokio::test]
async fn what_breaks_off_halfway_is_an_error_beside_what_was_done() {
    let sent = all_of(Scripted::new([Some(vec!["1", "2"]), None])).await;
    let sent = sent.expect("what was done");
    assert_eq!(sent.sent, 2);
    assert!(matches!(sent.error, Some(Error::Unreachable { .. })));
    assert!(sent.not_given_back.is_none(), "nothing was leased");
    let nothing = all_of(Scripted::new([None])).await;
    assert!(matches!(nothing, Err(Error::Unreachable { .. })));
}

#[tokio::test]
async fn what_is_leased_and_not_given_back_is_an_error() {
    let sent = all_of(Scripted::new([Some(vec!["1", "stays"])])).await;
    let sent = sent.expect("what was done");
    assert_eq!((sent.sent, sent.failed.len()), (1, 1));
    assert!(sent.error.is_none() && sent.not_given_back.is_some());
}

#[tokio::test]
async fn a_queue_that_starts_over_was_not_seen_to_its_end() {
    let leases = [vec!["1", "stays"], vec!["stays", "2"], vec!["stays"]];
    let sent = all_of(Scripted::new(leases.map(Some))).await;
    let sent = sent.expect("what was done");
    assert_eq!(sent.sent, 2);
    let error = sent.error.expect("an error").to_string();
    assert!(error.contains("came a second time"), "{error}");
}

#[tokio::test]
async fn a_listing_that_meets_only_what_it_has_seen_says_so() {
    let list = async |leases: Vec<Option<Vec<&'static str>>>| {
        let mut on = |_| ControlFlow::Continue(());
        let queue = Scripted::new(leases);
        crate::program::dead_letters::browse::browse(&queue, 100, None, &mut on).await
    };
    let again = vec![Some(vec!["1", "2"]), Some(vec!["2", "1"])];
    let listed = list(again).await.expect("dead letters");
    assert_eq!((listed.dead_letters.len(), listed.started_over), (2, true));
    let all = list(vec![Some(vec!["1", "2"])]).await;
    let all = all.expect("dead letters");
    assert_eq!((all.dead_letters.len(), all.started_over), (2, false));
}

#[tokio::test]
async fn a_dead_letter_queue_is_no_destination_for_its_own() {
    let queue = Scripted::new([]);
    let to = Destination::Queue("orders-dlq".to_owned());
    let mut on = |_| ControlFlow::Continue(());
    let sent = send(&queue, &Selection::All, &to, None, &info(), &mut on).await;
    let error = sent.expect_err("a refusal").to_string();
    assert!(error.contains("name another"), "{error}");
}

#[tokio::test]
async fn the_broker_moves_all_if_it_can_at_the_rate_that_was_asked_for() {
    let moved = async |change: fn(&mut DeadLetterCapabilities), rate| {
        let mut queue = Scripted::new([Some(vec!["1"])]);
        change(&mut queue.1);
        let mut on = |_| ControlFlow::Continue(());
        let (all, to) = (Selection::All, Destination::Source);
        let sent = send(&queue, &all, &to, rate, &info(), &mut on).await;
        let sent = sent.expect("what was done");
        (sent.sent, sent.notes.concat())
    };
    assert_eq!(moved(|_| (), None).await, (1, String::new()));
    assert_eq!(moved(|can| can.moves = true, None).await.0, 8);
    let (sent, note) = moved(|can| can.moves = true, Some(3)).await;
    assert_eq!(sent, 1);
    assert!(note.contains("copied one by one"), "{note}");
    let at_a_rate = |can: &mut DeadLetterCapabilities| (can.moves, can.rate) = (true, true);
    assert_eq!(moved(at_a_rate, Some(3)).await.0, 4);
}

#[tokio::test]
async fn where_no_single_one_is_deleted_none_is_copied() {
    let to = Destination::Source;
    for (moves, which, told) in [
        (false, Selection::All, "no single dead letters"),
        (true, Selection::Ids(vec!["1".into()]), "send all of them"),
    ] {
        let mut queue = Scripted::new([Some(vec!["1"])]);
        (queue.1.deletes, queue.1.moves) = (false, moves);
        let mut on = |_| ControlFlow::Continue(());
        let sent = send(&queue, &which, &to, None, &info(), &mut on).await;
        let error = sent.expect_err("a refusal").to_string();
        assert!(error.contains(told), "{error}");
    }
}
