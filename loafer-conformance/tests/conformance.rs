//! The conformance suite on the broker in memory: as it is, and with one promise broken at a time.

mod sabotage;

use loafer_conformance::{
    self as conformance, BrokerProfile, BrokerUnderTest, Feature, Matrix, Report, Verdict,
};
use loafer_memory::Memory;
use sabotage::{Sabotage, Sabotaged};

#[tokio::test(start_paused = true)]
async fn memory_conforms() {
    conformance::run(Memory::new()).await.assert_passed();
}

/// A broker that breaks one promise fails these cases and no other.
async fn fails(how: Sabotage, cases: &[&str]) {
    let report = conformance::run(Sabotaged::new(how)).await;
    assert_eq!(report.failed(), cases, "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_wrapped_broker_conforms_as_long_as_nothing_is_broken() {
    fails(Sabotage::None, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_message_fails_the_cases_that_count_so_far() {
    let cases = [
        "many_publishers_and_consumers_lose_nothing",
        "consumers_that_come_and_go_lose_nothing",
        "what_a_closed_publisher_confirmed_arrives",
    ];
    fails(Sabotage::LosesOneOfThousands, &cases).await;
}

#[tokio::test(start_paused = true)]
async fn a_hidden_attempt_fails_its_cases() {
    fails(
        Sabotage::HidesTheAttempt,
        &[
            "attempts_are_counted",
            DELAYS[1],
            "only_a_failure_costs_an_attempt",
            "a_first_failure_is_remembered",
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_event_id_that_a_retry_loses_fails_its_cases() {
    fails(
        Sabotage::LosesEventIdsOfRetries,
        &["an_event_id_survives_retries", DELAYS[1]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_event_id_that_a_copy_of_a_dead_letter_loses_fails_its_case() {
    fails(
        Sabotage::LosesEventIdsOfCopies,
        &[
            "an_event_id_survives_dead_letters_and_tries_again",
            "a_packed_dead_letter_comes_back_the_same_after_a_restart",
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_ignored_retry_delay_fails_its_cases() {
    let cases = [
        "settlements_of_all_kinds_share_a_batch",
        "a_retry_waits_its_delay",
        DELAYS[1],
    ];
    fails(Sabotage::IgnoresRetryDelays, &cases).await;
}

/// The cases with delays beyond the limit.
const DELAYS: [&str; 2] = [
    "a_publish_delay_beyond_the_limit_is_kept",
    "a_retry_delay_beyond_the_limit_is_one_attempt",
];

#[tokio::test(start_paused = true)]
async fn due_times_that_are_forgotten_fail_their_cases() {
    fails(Sabotage::ForgetsDueTimes, &DELAYS).await;
}

#[tokio::test(start_paused = true)]
async fn attempts_that_are_counted_for_deferred_messages_fail_their_cases() {
    fails(Sabotage::CountsDeferred, &DELAYS).await;
}

#[tokio::test(start_paused = true)]
async fn deferred_messages_that_are_kept_fail_their_cases() {
    fails(Sabotage::KeepsDeferred, &DELAYS).await;
}

#[tokio::test(start_paused = true)]
async fn a_stale_receipt_that_is_answered_as_done_fails_its_case() {
    fails(
        Sabotage::AnswersDoneToStale,
        &["a_stale_receipt_is_lost_alone"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_receive_that_brings_one_too_many_fails_its_case() {
    fails(
        Sabotage::BringsOneMore,
        &["a_receive_brings_no_more_than_was_asked_for"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn renewals_that_do_nothing_fail_their_cases() {
    let cases = ["a_renewed_lease_is_kept", "a_handler_may_outlast_its_lease"];
    fails(Sabotage::RenewsNothing, &cases).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_not_kept_fails_its_cases() {
    let cases = [
        "the_next_of_a_group_waits_while_one_is_leased",
        "groups_stay_in_order",
        "groups_stay_in_order_through_failures",
        "a_slow_group_holds_up_no_other",
        "a_duplicate_with_the_same_deduplication_id_is_dropped",
    ];
    fails(Sabotage::KeepsNoOrder, &cases).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_confirmed_after_the_end_and_not_sent_fails_its_case() {
    fails(
        Sabotage::ConfirmsWhenClosed,
        &["what_a_closed_publisher_confirmed_arrives"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn dead_letters_without_their_headers_fail_their_cases() {
    let cases = [
        "what_does_not_decode_is_a_dead_letter_with_its_reason",
        "what_is_rejected_is_a_dead_letter_with_its_reason",
        "what_an_extractor_refuses_for_good_is_a_dead_letter_at_once",
        "an_event_id_survives_dead_letters_and_tries_again",
        "a_packed_dead_letter_comes_back_the_same_after_a_restart",
        "typed_headers_survive_retries_and_dead_letters",
    ];
    fails(Sabotage::DropsHeadersOfDeadLetters, &cases).await;
}

#[tokio::test(start_paused = true)]
async fn copies_that_are_confirmed_and_not_made_fail_their_cases() {
    let cases = [
        "a_dead_letter_that_is_sent_arrives_before_it_is_deleted",
        "an_event_id_survives_dead_letters_and_tries_again",
        "a_packed_dead_letter_comes_back_the_same_after_a_restart",
        "all_are_sent_at_a_rate_and_no_faster",
        "typed_headers_survive_retries_and_dead_letters",
    ];
    fails(Sabotage::ConfirmsNoCopies, &cases).await;
}

#[tokio::test(start_paused = true)]
async fn what_only_its_packer_can_copy_fails_its_case() {
    fails(
        Sabotage::CopiesOnlyWhatItPacked,
        &["a_packed_dead_letter_comes_back_the_same_after_a_restart"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_is_ignored_fails_its_case() {
    fails(
        Sabotage::IgnoresRates,
        &["all_are_sent_at_a_rate_and_no_faster"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_depth_that_counts_too_much_fails_its_case() {
    fails(
        Sabotage::CountsWhatIsInFlightAsReady,
        &["a_depth_tells_what_waits_and_what_is_in_flight"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn dead_letters_that_are_kept_fail_their_case() {
    fails(
        Sabotage::KeepsDeadLetters,
        &["a_dead_letter_that_is_sent_arrives_before_it_is_deleted"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_waits_fails_its_cases() {
    let cases = [
        "settlements_of_all_kinds_share_a_batch",
        "only_a_failure_costs_an_attempt",
        "an_isolated_message_comes_alone",
        "what_is_released_is_delivered_at_once",
        "a_shutdown_releases_what_has_not_started",
        "what_a_removed_route_releases_costs_no_attempt",
    ];
    fails(Sabotage::ReleasesLate, &cases).await;
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_can_more_than_it_says_fails_its_case() {
    fails(
        Sabotage::SaysItCarriesTextOnly,
        &["what_a_publisher_says_it_can_is_true"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_check_that_makes_nothing_or_too_early_fails_its_case() {
    let cases = ["a_check_finds_and_makes_what_is_published_to"];
    fails(Sabotage::MakesNoTopics, &cases).await;
    fails(Sabotage::MakesTopicsAtALook, &cases).await;
}

#[tokio::test(start_paused = true)]
async fn a_content_type_that_is_lost_fails_its_case() {
    fails(
        Sabotage::LosesContentTypes,
        &["an_event_arrives_in_its_encoding"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn headers_that_become_text_fail_their_cases() {
    let (arrive, survive) = (
        "typed_headers_arrive_typed",
        "typed_headers_survive_retries_and_dead_letters",
    );
    fails(Sabotage::FlattensHeaders, &[arrive, survive]).await;
    fails(Sabotage::FlattensHeadersOfRetries, &[survive]).await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_opened_once_fails_the_cases_of_routes_that_come_and_go() {
    let cases = [
        "a_route_that_comes_and_goes_loses_nothing",
        "what_a_removed_route_releases_costs_no_attempt",
    ];
    fails(Sabotage::OpensEachQueueOnce, &cases).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_does_not_end_or_that_counts_fails_its_cases() {
    let (resumes, starts_paused) = (
        "a_paused_route_handles_nothing_until_it_is_resumed",
        "a_route_that_is_not_enabled_starts_paused",
    );
    fails(Sabotage::StaysPaused, &[resumes, starts_paused]).await;
    fails(Sabotage::CountsPauses, &[resumes]).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_counts_as_an_attempt_fails_its_cases() {
    let cases = [
        "only_a_failure_costs_an_attempt",
        "an_isolated_message_comes_alone",
        "what_is_released_is_delivered_at_once",
        "what_a_removed_route_releases_costs_no_attempt",
    ];
    fails(Sabotage::CountsReleases, &cases).await;
}

#[tokio::test(start_paused = true)]
async fn lost_replies_fail_the_cases_that_wait_for_them() {
    let cases = [
        "a_request_is_answered",
        "a_requester_learns_that_its_request_failed",
        "requesters_get_their_own_replies",
    ];
    fails(Sabotage::LosesReplies, &cases).await;
}

#[tokio::test(start_paused = true)]
async fn replies_that_are_none_fail_their_cases() {
    let cases = [
        "a_request_is_answered",
        "a_request_without_a_listener_times_out_and_says_so",
        "a_requester_learns_that_its_request_failed",
        "requesters_get_their_own_replies",
    ];
    fails(Sabotage::EchoesRequests, &cases).await;
}

/// A subject that can't even make a queue, and lacks something.
struct Nowhere;

impl BrokerUnderTest for Nowhere {
    type Broker = Memory;

    fn declares(&self) -> BrokerProfile {
        BrokerProfile::new("nowhere")
            .without(Feature::Topics, "it has no topics")
            .except("groups_stay_in_order", "it would take too long")
            .largest(300 * 1024)
    }

    fn broker(&self) -> Memory {
        Memory::new()
    }

    async fn queue(
        &self,
        _: &conformance::QueueSpec,
    ) -> Result<conformance::TestQueue, loafer_core::outcome::BoxError> {
        panic!("no queues here")
    }
}

async fn nowhere(case: &str) -> (Report, Verdict) {
    let report = conformance::run_only(Nowhere, case).await;
    let verdict = report.verdicts().next().map(|(_, verdict)| verdict.clone());
    (report, verdict.unwrap_or(Verdict::Passed))
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_case_that_failed() {
    let (report, verdict) = nowhere("attempts_are_counted").await;
    assert!(
        matches!(&verdict, Verdict::Failed(why) if why.contains("no queues here")),
        "{verdict:?}"
    );
    assert!(report.to_string().contains("FAILED"));
}

#[tokio::test(start_paused = true)]
async fn what_is_declared_missing_is_not_run_and_says_why() {
    for (case, why) in [
        ("two_queues_on_a_topic_get_all_of_it", "it has no topics"),
        ("groups_stay_in_order", "it would take too long"),
        (
            "a_mebibyte_arrives_whole",
            "a message has at most 307200 bytes",
        ),
    ] {
        let (report, verdict) = nowhere(case).await;
        assert_eq!(verdict, Verdict::NotApplicable(why.into()));
        let matrix = Matrix::from_iter([&report]).to_string();
        assert!(matrix.contains(&format!("1. nowhere: {why}")), "{matrix}");
    }
}

#[test]
fn a_matrix_of_what_is_declared_has_every_case() {
    let matrix = Matrix::declared([&Nowhere.declares()]).to_string();
    assert!(matrix.starts_with("| case | nowhere |\n|---|---|\n"));
    for case in conformance::cases() {
        let row = format!("| {} |", case.name.replace('_', " "));
        assert!(matrix.contains(&row), "{row}");
    }
    assert!(
        matrix.contains("| groups stay in order | – (2) |"),
        "{matrix}"
    );
}

#[test]
fn every_case_of_watermill_has_ours_beside_it() {
    let table = include_str!("../src/watermill.md");
    let rows: Vec<_> = table.lines().filter(|line| line.contains("| `")).collect();
    assert_eq!(rows.len(), 16);
    for case in conformance::cases() {
        let row = case.watermill.map(|theirs| format!("| {theirs} | "));
        let name = format!("`{}`", case.name);
        let found = rows.iter().find(|line| line.contains(&name));
        assert_eq!(found.is_some(), row.is_some(), "{name}");
        assert!(
            found
                .zip(row)
                .is_none_or(|(found, row)| found.starts_with(&row)),
            "{name}"
        );
    }
}
