//! The list of cases: each by its name, with what it needs.

use super::{Case, Feature};

/// Hands the list of all cases to a macro. A line is a case: the file in `cases` that has it, its name, what Watermill calls it, what it needs.
macro_rules! all_cases {
    ($with:ident) => {
        $with! {
            delivery::what_is_published_arrives_whole Some("PublishSubscribe"), [];
            delivery::what_was_sent_before_is_received Some("NewSubscriberReceivesOldMessages"), [];
            delivery::queues_do_not_leak_into_each_other Some("Topic"), [];
            crowds::many_publishers_and_consumers_lose_nothing Some("ConcurrentSubscribe"), [];
            crowds::many_queues_at_once_lose_nothing Some("ConcurrentSubscribeMultipleTopics"), [];
            crowds::consumers_of_a_queue_share_it Some("ConsumerGroups"), [];
            crowds::consumers_that_come_and_go_lose_nothing Some("ContinueAfterSubscribeClose"), [];
            crowds::consumers_may_close_all_at_once Some("ConcurrentClose"), [];
            crowds::a_consumer_that_stops_leaves_the_others_at_work Some("SubscribeCtx"), [];
            topics::two_queues_on_a_topic_get_all_of_it Some("ConsumerGroups"), [Topics];
            publishers::what_a_closed_publisher_confirmed_arrives Some("PublisherClose"), [];
            publishers::a_delayed_message_waits None, [PublishDelay];
            publishers::what_a_publisher_says_it_can_is_true None, [];
            publishers::a_check_finds_and_makes_what_is_published_to None, [];
            parts::a_message_that_can_not_be_sent_fails_alone None, [Limits];
            parts::a_stale_receipt_is_lost_alone None, [Leases, StaleReceipts];
            parts::settlements_of_all_kinds_share_a_batch None, [Leases, RetryDelay, DeadLetters];
            retries::what_is_declined_is_redelivered Some("ResendOnError"), [];
            retries::failures_leave_the_queue_usable Some("ContinueAfterErrors"), [];
            retries::a_retry_waits_its_delay None, [RetryDelay];
            retries::a_retry_without_a_delay_waits_for_the_end_of_its_lease None, [Leases];
            retries::attempts_are_counted None, [Attempts];
            retries::an_event_id_survives_retries None, [];
            delays::a_publish_delay_beyond_the_limit_is_kept None, [PublishDelay];
            delays::a_retry_delay_beyond_the_limit_is_one_attempt None, [RetryDelay];
            counts::only_a_failure_costs_an_attempt None, [Tries];
            counts::deliveries_are_counted None, [Attempts];
            counts::a_first_failure_is_remembered None, [Tries, RetryDelay, DeadLetters];
            counts::an_isolated_message_comes_alone None, [Isolation];
            groups::the_next_of_a_group_waits_while_one_is_leased Some("NoAck"), [Order];
            groups::groups_stay_in_order Some("PublishSubscribeInOrder"), [Order];
            groups::groups_stay_in_order_through_failures None, [Order];
            groups::a_slow_group_holds_up_no_other None, [Order];
            groups::a_duplicate_with_the_same_deduplication_id_is_dropped None, [Order, Deduplication];
            groups::a_group_is_carried_where_there_is_no_order None, [Groups];
            leases::a_renewed_lease_is_kept None, [Leases];
            leases::a_handler_may_outlast_its_lease None, [Leases];
            leases::what_a_crash_left_unacked_is_redelivered None, [Leases];
            leases::what_is_released_is_delivered_at_once None, [];
            shutdowns::a_shutdown_finishes_and_acks_what_runs None, [];
            shutdowns::a_shutdown_releases_what_has_not_started None, [];
            shutdowns::a_cancelled_handler_leaves_its_message Some("MessageCtx"), [Leases];
            routes::a_route_that_comes_and_goes_loses_nothing None, [];
            routes::what_a_removed_route_releases_costs_no_attempt None, [Attempts];
            dead_letters::what_does_not_decode_is_a_dead_letter_with_its_reason None, [DeadLetters];
            dead_letters::what_is_rejected_is_a_dead_letter_with_its_reason None, [DeadLetters];
            dead_letters::what_an_extractor_refuses_for_good_is_a_dead_letter_at_once None, [DeadLetters];
            dead_letters::what_fails_too_often_is_a_dead_letter None, [DeadLetters, Redrive];
            tried_again::a_dead_letter_that_is_sent_arrives_before_it_is_deleted None, [DeadLetters, TryAgain];
            tried_again::an_event_id_survives_dead_letters_and_tries_again None, [DeadLetters, TryAgain];
            packed::a_packed_dead_letter_comes_back_the_same_after_a_restart None, [DeadLetters, TryAgain];
            packed::all_are_sent_at_a_rate_and_no_faster None, [DeadLetters, TryAgain];
            requests::a_request_is_answered None, [Replies];
            requests::a_request_without_a_listener_times_out_and_says_so None, [Replies];
            requests::a_requester_learns_that_its_request_failed None, [Replies, DeadLetters];
            requests::requesters_get_their_own_replies None, [Replies];
            depth::a_depth_tells_what_waits_and_what_is_in_flight None, [Depth];
            bounds::as_many_handlers_run_at_once_as_allowed None, [];
            bounds::what_is_in_flight_is_bounded None, [];
            bounds::a_receive_brings_no_more_than_was_asked_for None, [];
            bounds::a_receive_waits_for_the_first_message None, [];
            pauses::a_paused_route_handles_nothing_until_it_is_resumed None, [];
            pauses::a_route_that_is_not_enabled_starts_paused None, [];
            bodies::a_quarter_of_a_mebibyte_arrives_whole None, [QuarterMebibyte];
            bodies::a_mebibyte_arrives_whole None, [Mebibyte];
            bodies::a_binary_body_arrives_whole None, [Binary];
            bodies::an_empty_body_arrives None, [Empty];
            bodies::an_emoji_arrives_whole None, [Emoji];
            bodies::as_many_headers_arrive_as_allowed None, [];
            bodies::an_event_arrives_in_its_encoding None, [];
            typed_headers::typed_headers_arrive_typed None, [TypedHeaders];
            typed_headers::typed_headers_survive_retries_and_dead_letters None, [TypedHeaders, DeadLetters, TryAgain];
            outages::an_outage_loses_nothing Some("Reconnect"), [Outages];
        }
    };
}

macro_rules! list {
    ($($file:ident::$case:ident $from:expr, [$($needs:ident),*];)*) => {
        static CASES: &[Case] = &[$(Case {
            name: stringify!($case),
            watermill: $from,
            needs: &[$(Feature::$needs),*],
        }),*];
    };
}

all_cases!(list);

pub(super) use all_cases;

/// Returns all cases, in the order of the report.
pub fn cases() -> &'static [Case] {
    CASES
}

/// Returns the case of this name.
///
/// # Panics
///
/// If there is no such case.
pub(super) fn case(name: &str) -> &'static Case {
    let case = CASES.iter().find(|known| known.name == name);
    case.unwrap_or_else(|| panic!("there is no case `{name}`"))
}
