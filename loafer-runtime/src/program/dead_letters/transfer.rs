//! Transfers: a confirmed copy first, then the dead letter is deleted.

use loafer_core::{
    Error,
    broker::{DeadLetterInfo, DeadLetterQueue, Destination, PackedDeadLetter},
};

/// How often a dead letter is deleted whose copy is confirmed, as long as the broker can't be reached. What is not deleted is in two queues.
const DELETES: usize = 2;

/// A dead letter on its way: its lease, and what is copied.
pub(super) type OnItsWay<R> = (R, PackedDeadLetter);

/// Copies dead letters, and deletes those whose copies the broker confirmed. Returns one answer for each, in order.
///
/// A dead letter without a confirmed copy is never deleted. One that was copied and could not be deleted is an error that names both queues.
///
/// # Cancellation
///
/// If the future is dropped, dead letters may be in both queues. They are never in none.
pub(super) async fn transfer<Q: DeadLetterQueue>(
    queue: &Q,
    info: &DeadLetterInfo,
    to: &Destination,
    dead_letters: Vec<OnItsWay<Q::Receipt>>,
) -> Vec<Result<(), Error>> {
    let (receipts, packed): (Vec<_>, Vec<_>) = dead_letters.into_iter().unzip();
    let mut answers = Vec::with_capacity(packed.len());
    queue.copy(to, &packed, &mut answers).await;
    // Without an answer nothing is confirmed. More answers than dead letters are cut off.
    answers.resize_with(packed.len(), || Err(unanswered("copying", info)));

    let copied = |(index, answer): (usize, &Result<(), Error>)| answer.is_ok().then_some(index);
    let mut left: Vec<_> = answers.iter().enumerate().filter_map(copied).collect();
    for _ in 0..DELETES {
        if left.is_empty() {
            break;
        }
        let leases: Vec<_> = left.iter().map(|index| receipts[*index].clone()).collect();
        let mut deleted = Vec::with_capacity(leases.len());
        queue.delete(&leases, &mut deleted).await;
        let mut deleted = deleted.into_iter();
        left.retain(|index| {
            let deleted = deleted.next();
            let deleted = deleted.unwrap_or_else(|| Err(unanswered("deleting", info)));
            let again = matches!(&deleted, Err(error) if error.is_transient());
            answers[*index] = deleted.map_err(|error| in_both(info, to, error));
            again
        });
    }
    answers
}

/// Returns the error of a dead letter that was copied and not deleted.
fn in_both(info: &DeadLetterInfo, to: &Destination, error: Error) -> Error {
    let DeadLetterInfo { queue, source, .. } = info;
    let to = target(to, source);
    Error::Refused {
        what: "deleting a dead letter",
        queue: queue.clone(),
        cause: format!("its copy is in `{to}`, and it is still in `{queue}`: {error}"),
        source: Some(error.into()),
    }
}

/// Returns the name of the queue that dead letters go to.
pub(super) fn target<'n>(to: &'n Destination, source: &'n str) -> &'n str {
    match to {
        Destination::Source => source,
        Destination::Queue(queue) => queue,
    }
}

/// Returns the error of a dead letter for which the broker crate gave no answer.
fn unanswered(what: &'static str, info: &DeadLetterInfo) -> Error {
    Error::Unreachable {
        what,
        queue: info.queue.clone(),
        cause: "no answer".to_owned(),
        source: None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use loafer_core::{broker::Delivery, message::Message};

    use super::*;

    /// What a queue answers to one copy or delete. `None` means that it leaves out this answer and those after it.
    type Answer = Option<Result<(), Error>>;

    /// A queue that answers from a script, and writes down what it was asked.
    #[derive(Default)]
    struct Scripted {
        copies: Vec<Answer>,
        /// For each call of `delete`.
        deletes: Mutex<Vec<Vec<Answer>>>,
        /// The receipts of each call, in order: `copy` or `delete`.
        asked: Mutex<Vec<(&'static str, Vec<usize>)>>,
    }

    impl DeadLetterQueue for Scripted {
        type Receipt = usize;

        async fn open(&self) -> Result<DeadLetterInfo, Error> {
            Ok(info())
        }

        async fn lease(&self, _: usize, _: &mut Vec<Delivery<usize>>) -> Result<(), Error> {
            Ok(())
        }

        async fn give_back(&self, _: &[usize]) -> Result<(), Error> {
            Ok(())
        }

        async fn copy(
            &self,
            _: &Destination,
            dead_letters: &[PackedDeadLetter],
            answers: &mut Vec<Result<(), Error>>,
        ) {
            let number = |packed: &PackedDeadLetter| packed.message().id().to_string().parse();
            let numbers = dead_letters
                .iter()
                .map(|packed| number(packed).expect("a number"));
            self.note("copy", numbers.collect());
            answers.extend(self.copies.iter().map_while(Clone::clone));
        }

        async fn delete(&self, leases: &[usize], answers: &mut Vec<Result<(), Error>>) {
            self.note("delete", leases.to_vec());
            let script = self.deletes.lock().expect("no panic").remove(0);
            answers.extend(script.into_iter().map_while(|answer| answer));
        }

        async fn purge(&self) -> Result<(), Error> {
            Ok(())
        }
    }

    impl Scripted {
        fn note(&self, call: &'static str, receipts: Vec<usize>) {
            self.asked.lock().expect("no panic").push((call, receipts));
        }

        async fn transfer(&self, count: usize) -> Vec<Result<(), Error>> {
            let packed = |number: usize| {
                let message = Message::with_id(number.to_string(), "{}");
                (number, PackedDeadLetter::new(&message))
            };
            let dead_letters = (0..count).map(packed).collect();
            transfer(self, &info(), &Destination::Source, dead_letters).await
        }

        fn asked(self) -> Vec<(&'static str, Vec<usize>)> {
            self.asked.into_inner().expect("no panic")
        }
    }

    fn info() -> DeadLetterInfo {
        DeadLetterInfo {
            queue: "orders-dlq".to_owned(),
            source: "orders".to_owned(),
            ..DeadLetterInfo::default()
        }
    }

    fn busy() -> Error {
        unanswered("delete", &info())
    }

    fn lost() -> Error {
        Error::Config("its lease was over".to_owned())
    }

    fn texts(answers: &[Result<(), Error>]) -> Vec<String> {
        let text = |answer: &Result<(), Error>| match answer {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        answers.iter().map(text).collect()
    }

    #[tokio::test]
    async fn nothing_is_deleted_without_a_confirmed_copy() {
        let queue = Scripted {
            // The last two get no answer.
            copies: vec![Some(Ok(())), Some(Err(busy())), Some(Ok(())), None],
            deletes: Mutex::new(vec![vec![Some(Ok(())), Some(Ok(()))]]),
            ..Scripted::default()
        };
        let answers = queue.transfer(5).await;
        let deleted: Vec<_> = answers.iter().map(Result::is_ok).collect();
        assert_eq!(deleted, [true, false, true, false, false]);
        assert!(texts(&answers)[3].contains("no answer"), "{answers:?}");
        let asked = queue.asked();
        assert_eq!(
            asked,
            [("copy", vec![0, 1, 2, 3, 4]), ("delete", vec![0, 2])]
        );
    }

    #[tokio::test]
    async fn nothing_is_asked_for_where_no_copy_is_confirmed() {
        let queue = Scripted {
            copies: vec![Some(Err(busy()))],
            ..Scripted::default()
        };
        assert!(queue.transfer(1).await[0].is_err());
        assert_eq!(queue.asked(), [("copy", vec![0])]);
    }

    #[tokio::test]
    async fn one_that_is_copied_and_not_deleted_says_where_it_is() {
        let queue = Scripted {
            copies: vec![Some(Ok(())); 2],
            deletes: Mutex::new(vec![vec![Some(Ok(())), Some(Err(lost()))]]),
            ..Scripted::default()
        };
        let answers = queue.transfer(2).await;
        assert!(answers[0].is_ok(), "{answers:?}");
        assert_eq!(
            texts(&answers)[1],
            "deleting a dead letter of `orders-dlq` was refused: its copy is in `orders`, and it is still in `orders-dlq`: its lease was over"
        );
        // Whoever runs it again copies it again.
        assert!(
            answers[1]
                .as_ref()
                .is_err_and(|error| !error.is_transient())
        );
    }

    #[tokio::test]
    async fn a_delete_that_may_succeed_is_repeated_once_and_no_other() {
        let queue = Scripted {
            copies: vec![Some(Ok(())); 4],
            deletes: Mutex::new(vec![
                vec![Some(Err(lost())), Some(Err(busy())), Some(Ok(())), None],
                vec![Some(Ok(())), Some(Err(busy()))],
            ]),
            ..Scripted::default()
        };
        let answers = texts(&queue.transfer(4).await);
        assert!(answers[0].ends_with("its lease was over"), "{answers:?}");
        assert_eq!((&*answers[1], &*answers[2]), ("", ""));
        assert!(answers[3].contains("still in `orders-dlq`"), "{answers:?}");
        let asked = queue.asked();
        assert_eq!(
            asked[1..],
            [("delete", vec![0, 1, 2, 3]), ("delete", vec![1, 3])]
        );
    }

    #[tokio::test]
    async fn answers_that_nobody_asked_for_are_left_out() {
        let queue = Scripted {
            copies: vec![Some(Err(busy())), Some(Ok(())), Some(Ok(()))],
            deletes: Mutex::new(vec![vec![Some(Ok(())); 3]]),
            ..Scripted::default()
        };
        assert_eq!(queue.transfer(2).await.len(), 2);
        assert_eq!(queue.asked()[1], ("delete", vec![1]));
    }
}
