//! What runs the cases.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout};

use super::{
    BrokerProfile, BrokerUnderTest, Case, Report, Verdict,
    cases::body,
    catalog::{case, cases},
    stage::Stage,
};

/// How many patiences a case gets before it is given up.
const PATIENCES: u32 = 4;

/// Runs all cases on a broker and reports how each went. It prints nothing: see [`Report`] and [`Matrix`](super::Matrix).
///
/// Under tokio's paused clock a broker that uses tokio's clock alone passes in seconds. A broker with a clock of its own, for example a server or
/// files, runs in real time: the cases take about a minute one after another, and [`at_once`](super::BrokerProfile::at_once) lets several run
/// side by side. Leases are a few seconds long and some cases measure time, so they need a runtime whose threads do not block.
///
/// The queues of the cases are left behind: a broker that keeps them somewhere removes them after the run.
///
/// # Cancellation
///
/// If the future is dropped, no further case begins, and those that run go on.
pub async fn run<S: BrokerUnderTest>(subject: S) -> Report {
    run_some(subject, |_| true).await
}

/// Runs one case.
///
/// # Panics
///
/// If there is no such case.
pub async fn run_only<S: BrokerUnderTest>(subject: S, case: &str) -> Report {
    let name = self::case(case).name;
    run_some(subject, |known| known.name == name).await
}

async fn run_some<S: BrokerUnderTest>(subject: S, wanted: impl Fn(&Case) -> bool) -> Report {
    let declaration = Arc::new(subject.declares());
    let subject = Arc::new(subject);
    let mut verdicts: Vec<_> = stream::iter(cases().iter().filter(|case| wanted(case)).enumerate())
        .map(|(at, case)| {
            let (subject, declaration) = (subject.clone(), declaration.clone());
            async move {
                let began = Instant::now();
                let verdict = judge(subject, declaration, case).await;
                (at, (case, verdict, began.elapsed()))
            }
        })
        .buffer_unordered(declaration.at_once)
        .collect()
        .await;
    verdicts.sort_by_key(|(at, _)| *at);
    let verdicts = verdicts.into_iter().map(|(_, verdict)| verdict).collect();
    Report::new(BrokerProfile::clone(&declaration), verdicts)
}

async fn judge<S: BrokerUnderTest>(
    subject: Arc<S>,
    declaration: Arc<BrokerProfile>,
    case: &'static Case,
) -> Verdict {
    if let Some(reason) = declaration.excuses(case) {
        return Verdict::NotApplicable(reason.to_owned());
    }
    let limit = declaration.patience * PATIENCES;
    let stage = Stage::new(subject, declaration, case.name);
    // In a task of its own: a panic is a case that failed, and one that hangs is left behind.
    let mut running = tokio::spawn(body(case.name, stage));
    match timeout(limit, &mut running).await {
        Ok(Ok(Ok(()))) => Verdict::Passed,
        Ok(Ok(Err(fault))) => Verdict::Failed(fault.0),
        Ok(Err(error)) => Verdict::Failed(error.to_string()),
        Err(_) => {
            running.abort();
            Verdict::Failed(format!("it was not over after {limit:?}"))
        }
    }
}
