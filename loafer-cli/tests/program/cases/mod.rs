//! What is held of a program: stdin, stdout, stderr, signals, exit codes.

mod commands;
mod messages;
#[cfg(feature = "sentry")]
mod reports;
mod signals;
mod starting;

/// One line a case: where it stands.
macro_rules! cases {
    ($($(#[$meta:meta])* $file:ident::$case:ident;)*) => {
        /// Every one of them, by name.
        pub(crate) const ALL: &[(&str, fn())] = &[$($(#[$meta])* (stringify!($case), $file::$case)),*];
    };
}

cases! {
    signals::an_idle_service_stops_soon_after_its_signal;
    signals::two_signals_at_once_are_one;
    signals::a_second_signal_cuts_off_what_runs;
    signals::the_drain_deadline_ends_even_a_handler_that_blocks;
    signals::a_signal_is_heard_while_setup_runs;
    signals::a_signal_while_a_start_hook_runs_drains_what_was_received;
    signals::a_second_signal_while_a_start_hook_runs_cuts_off_what_runs;
    signals::a_hangup_that_is_ignored_or_reloads_stops_nothing;
    signals::whatever_hangs_the_end_comes_within_four_seconds_of_the_drain;
    signals::a_log_that_nobody_reads_does_not_hold_up_the_end;
    messages::lines_of_stdin_are_handled_and_their_end_ends_it;
    messages::a_failed_message_is_named_and_given_up;
    messages::json_logs_are_objects_that_name_the_message;
    messages::once_handles_what_is_there_and_exits;
    starting::a_setup_that_fails_is_told_in_one_line;
    starting::a_setup_that_panics_is_told_with_its_place;
    starting::what_is_wrong_is_told_before_anything_starts;
    commands::the_table_is_all_there_is_on_stdout;
    commands::queues_are_named_after_the_package_the_setup_or_the_file;
    commands::routes_run_on_the_broker_that_is_named;
    commands::check_says_what_it_found;
    commands::publishing_in_memory_is_refused_with_what_to_do_instead;
    commands::dead_letters_in_memory_are_refused;
    commands::dead_letters_of_all_routes_are_listed_once_for_each_queue;
    commands::a_route_that_can_not_be_read_hides_no_other;
    #[cfg(feature = "sentry")]
    reports::a_failure_is_reported_before_the_program_ends;
    #[cfg(feature = "sentry")]
    reports::a_wrong_dsn_is_told_and_not_repeated;
}
