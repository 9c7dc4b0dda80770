//! What is counted wrongly, and who does not come alone: each fails its case.

use super::Sabotage;
use crate::fails;

const COUNTS: [&str; 4] = [
    "only_a_failure_costs_an_attempt",
    "deliveries_are_counted",
    "a_first_failure_is_remembered",
    "an_isolated_message_comes_alone",
];

#[tokio::test(start_paused = true)]
async fn what_is_counted_or_isolated_wrongly_fails_its_case() {
    for (how, case) in [
        (Sabotage::HidesDeliveries, COUNTS[1]),
        (Sabotage::ForgetsFirstFailures, COUNTS[2]),
        (Sabotage::IsolatesNothing, COUNTS[3]),
        (Sabotage::CallsAllCrashed, COUNTS[3]),
        (Sabotage::CallsNoneCrashed, COUNTS[3]),
    ] {
        fails(how, &[case]).await;
    }
    let cases = [
        "a_publish_delay_beyond_the_limit_is_kept",
        "a_retry_delay_beyond_the_limit_is_one_attempt",
        COUNTS[0],
        "what_is_released_is_delivered_at_once",
        "what_a_removed_route_releases_costs_no_attempt",
    ];
    fails(Sabotage::CountsDeliveries, &cases).await;
}
