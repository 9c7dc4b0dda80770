//! Batches of at most ten: entry ids, and the answers to each entry inside a success.

use aws_sdk_sqs::types::BatchResultErrorEntry;
use loafer_core::{Error, Renewed, Settled};

use crate::error::Call;

/// What became of an entry that was not simply done.
pub(crate) enum Fault {
    /// The lease is not ours any more.
    Lost,
    /// It can be tried again.
    Failed(Error),
}

impl From<Fault> for Settled {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Lost => Self::Lost,
            Fault::Failed(error) => Self::Failed(error.into()),
        }
    }
}

impl From<Fault> for Renewed {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Lost => Self::Lost,
            Fault::Failed(error) => Self::Failed(error.into()),
        }
    }
}

/// Which entries of a call have no answer yet, by their place in it.
pub(super) struct Unanswered(u16);

impl Unanswered {
    /// All of a call's entries.
    pub(super) fn of(entries: usize) -> Self {
        debug_assert!(entries <= 10, "a call has at most ten entries");
        Self((1_u16 << entries.min(10)) - 1)
    }

    /// Takes an entry's answer; gives its place, once.
    pub(super) fn answer(&mut self, id: &str) -> Option<usize> {
        let place = id
            .parse()
            .ok()
            .filter(|place: &usize| *place < 10 && self.0 & (1 << place) != 0)?;
        self.0 &= !(1 << place);
        Some(place)
    }

    /// The places that were left out.
    pub(super) fn rest(&self) -> impl Iterator<Item = usize> + use<> {
        let rest = self.0;
        (0..10).filter(move |place| rest & (1 << place) != 0)
    }
}

/// The faults of one call, by place: those it names, and those it leaves out.
pub(crate) fn faults<'i>(
    entries: usize,
    done: impl Iterator<Item = &'i str>,
    failed: &[BatchResultErrorEntry],
    call: Call<'_>,
    is_done: fn(&BatchResultErrorEntry) -> bool,
) -> Vec<(usize, Fault)> {
    let mut unanswered = Unanswered::of(entries);
    done.for_each(|id| _ = unanswered.answer(id));
    let mut faults = Vec::new();
    for failure in failed {
        if let Some(place) = unanswered.answer(failure.id())
            && !is_done(failure)
        {
            faults.push((place, fault(failure, call)));
        }
    }
    faults.extend(
        unanswered
            .rest()
            .map(|place| (place, Fault::Failed(call.unanswered()))),
    );
    faults
}

/// What a failed entry means. The only thing of ours in an entry that can be wrong is its receipt handle.
fn fault(failure: &BatchResultErrorEntry, call: Call<'_>) -> Fault {
    let code = failure.code().rsplit('.').next().unwrap_or_default();
    match code {
        "ReceiptHandleIsInvalid"
        | "InvalidParameterValue"
        | "InvalidAttributeValue"
        | "MessageNotInflight" => Fault::Lost,
        _ => Fault::Failed(call.entry_failed(
            failure.code(),
            failure.message(),
            failure.sender_fault(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Place;

    fn failure(id: &str, code: &str) -> BatchResultErrorEntry {
        BatchResultErrorEntry::builder()
            .id(id)
            .code(code)
            .sender_fault(true)
            .build()
            .unwrap()
    }

    #[test]
    fn each_entry_has_its_own_answer() {
        let place = Place::new("sqs", "us-east-1", None);
        let call = Call {
            what: "delete",
            queue: "orders",
            route: None,
            place: &place,
        };
        let failed = [
            failure("1", "ReceiptHandleIsInvalid"),
            failure("3", "InternalError"),
            failure("9", "InternalError"),
        ];
        let faults = faults(5, ["0", "4"].into_iter(), &failed, call, |_| false);
        let said: Vec<_> = faults
            .into_iter()
            .map(|(place, fault)| match fault {
                Fault::Lost => (place, "lost".to_owned()),
                Fault::Failed(error) => (place, error.to_string()),
            })
            .collect();
        assert_eq!(said[0], (1, "lost".to_owned()));
        assert_eq!(
            said[1],
            (
                3,
                "delete of `orders` was refused: InternalError".to_owned()
            )
        );
        assert_eq!(said[2].0, 2);
        assert_eq!(said.len(), 3);
    }

    #[test]
    fn an_answer_counts_once() {
        let mut unanswered = Unanswered::of(10);
        assert_eq!(unanswered.answer("9"), Some(9));
        assert_eq!(unanswered.answer("9"), None);
        assert_eq!(unanswered.answer("10"), None);
        assert_eq!(unanswered.answer("x"), None);
        assert_eq!(unanswered.rest().count(), 9);
    }
}
