//! One suite over the storage traits, one line for each backend.
//!
//! A case is an async function of a [`World`](world::World): a fresh database of its own, which may
//! be opened by as many servers as the case wants. A backend that does not pass all of them does
//! not exist. A new method of a trait lands with its case.

#![expect(unreachable_pub, reason = "a test program has no interface")]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod activities;
mod cart;
mod cassandra_legacy_import;
mod cassandra_loads;
mod cassandra_opening;
mod generations;
mod generations_by_backend;
mod idempotency;
mod lab_load;
mod loads;
mod model;
mod overview;
mod world;

/// Makes a test of every case for a backend.
macro_rules! conformance {
    ($backend:ident: $($module:ident { $($case:ident)* })*) => {
        mod $backend {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::$module::$case(crate::world::World::on(stringify!($backend)).await).await;
                })*
            })*
        }
    };
}

macro_rules! conformance_of {
    ($($backend:ident)*) => {
        mod suite {
            $(conformance!($backend:
                overview {
                    a_created_game_is_found_as_it_was_given
                    a_missing_game_is_none
                    an_explicit_id_is_taken_once
                    one_of_many_creates_of_an_id_wins
                    explicit_ids_do_not_move_the_counter
                    assigned_ids_ascend_and_are_never_used_again
                    a_taken_id_is_skipped
                    a_long_run_of_taken_ids_is_skipped
                    the_outermost_ids_can_be_used
                    after_the_last_id_the_counter_is_exhausted
                    an_update_changes_what_is_given_and_no_more
                    an_update_of_a_missing_game_changes_nothing
                    a_game_is_removed_once
                    pages_show_each_game_once
                    a_page_ends_where_the_games_end
                    servers_on_one_database_assign_different_ids
                    servers_that_change_the_same_games_do_not_disturb_each_other
                    a_write_is_seen_by_every_server_at_once
                    a_write_whose_future_is_dropped_is_still_done
                    a_store_without_a_replica_gives_no_read_token
                }
                loads {
                    a_load_fills_an_empty_store
                    a_store_with_games_refuses_a_fresh_load
                    demo_games_are_replaced_without_asking
                    demo_games_are_games_after_a_create
                    demo_games_are_games_after_an_update
                    demo_games_are_games_after_a_removal
                    demo_games_never_get_ids_that_were_used
                    a_second_load_waits_for_the_first
                    an_interrupted_load_ends_as_if_it_had_not_been
                    ids_are_reserved_before_the_first_row
                    taken_ids_are_replaced_by_further_ones
                    a_chunk_counts_once
                    a_reset_empties_the_store_and_resets_its_counter
                    more_rows_than_ids_are_refused
                    the_digest_does_not_depend_on_the_order
                }
                cart {
                    a_new_order_is_empty_and_its_user_need_not_exist
                    what_is_not_there_is_refused
                    the_same_item_twice_adds_up
                    one_is_taken_off_at_a_time
                    a_checkout_takes_everything_once
                    a_refused_checkout_changes_nothing
                    a_paid_order_is_not_changed
                    an_unpaid_order_can_be_removed
                    a_cancelled_order_is_open_again
                    stock_and_credit_are_never_negative
                    amounts_never_leave_their_range
                    the_price_is_that_at_the_time_of_adding
                    an_order_has_a_thousand_lines_at_most
                    fixtures_can_be_reset_any_number_of_times
                    reset_fixtures_are_counted_by_the_audit
                    no_more_is_sold_than_there_is
                    orders_of_the_same_items_in_any_order_do_not_block_each_other
                    one_order_is_charged_once_however_many_checkouts_race
                    checkouts_and_cancels_at_once_leave_every_sum_right
                    an_audit_counts_what_is_there
                    a_thousand_buyers_of_a_hundred_pieces_buy_a_hundred
                    a_thousand_buyers_of_a_hundred_items_buy_a_hundred
                }
                idempotency {
                    every_write_of_the_cart_takes_effect_once
                    every_write_of_a_game_takes_effect_once
                    a_repeat_changes_nothing_that_was_changed_since
                    of_many_at_once_under_one_key_one_takes_effect
                    many_keys_at_once_do_not_block_each_other
                    another_request_under_a_key_is_refused
                    a_refused_request_is_judged_anew
                    a_key_is_forgotten_when_its_time_is_over
                    fixtures_are_recorded_with_their_last_chunk
                    a_precondition_is_tested_with_the_change
                    of_many_changes_of_what_was_read_one_is_made
                    a_key_is_looked_up_before_a_precondition_is_tested
                    the_last_id_is_assigned_once_under_keys
                    keys_are_told_apart
                }
                lab_load {
                    a_filled_database_takes_every_transaction_of_the_lab
                    a_run_of_the_lab_offers_its_pattern
                }
                model {
                    any_sequence_of_operations_does_what_the_model_does
                }
            );)*
        }
    };
}

/// The cases of a lab's databases.
macro_rules! generations_of {
    ($($backend:ident)* : $cases:tt) => {
        mod generation_suite {
            $(generations_of!(@ $backend $cases);)*
        }
    };
    (@ $backend:ident { $($case:ident)* }) => {
        mod $backend {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let lab = testkit::generations::OwnLab::on(stringify!($backend));
                crate::generations::$case(lab).await;
            })*
        }
    };
}

generations_of! {
    embedded
    postgres
    postgres15
    cassandra : {
        a_generation_is_created_listed_and_dropped
        a_generation_that_is_created_again_is_empty
        another_labs_generation_stays_as_it_is
        a_generation_is_dropped_while_it_is_written
        late_statements_reach_nothing
        a_check_creates_nothing
    }
}

/// The cases of activities, also for a store whose queue is NATS.
macro_rules! activities_of {
    ($($backend:ident)*) => {
        mod activity_suite {
            $(conformance!($backend:
                activities {
                    values_come_back_as_they_were_sent
                    a_message_is_applied_as_one
                    later_activities_see_earlier_ones
                    columns_are_added_and_are_null_in_older_rows
                    a_delete_removes_the_rows_with_all_the_values
                    any_name_is_a_name_and_nothing_else
                    of_many_messages_one_that_is_bad_harms_no_other
                    messages_that_create_one_table_give_it_the_union_of_their_columns
                    a_table_has_a_thousand_columns_at_most
                    a_dropped_table_is_gone_in_its_turn
                    deletes_find_their_rows_in_a_large_table
                    an_accepted_message_is_queued_until_it_is_applied
                    messages_take_effect_in_the_order_of_their_answers
                    a_message_under_a_key_is_queued_once
                    of_many_repeats_at_once_one_is_queued
                    messages_are_listed_newest_first_and_once
                    messages_of_a_stream_are_moved_once
                    one_of_many_takes_over
                    a_worker_that_lost_its_lease_does_nothing
                    a_message_that_is_applied_again_has_no_effect
                    a_worker_sees_the_columns_that_another_added
                    attempts_are_counted_and_end_in_a_rejection
                    old_messages_are_pruned_and_rejected_ones_stay
                    rejections_are_grouped_by_their_cause
                    a_rejected_message_is_retried_behind_all_others
                    of_many_retries_at_once_one_is_queued
                    retries_and_discards_under_a_key_happen_once
                    only_a_rejected_message_is_discarded
                }
            );)*
        }
    };
}

conformance_of! {
    embedded
    postgres
    postgres15
    cassandra
}

activities_of! {
    embedded
    postgres
    postgres15
    cassandra
    nats_embedded
    nats_postgres
    nats_cassandra
}
