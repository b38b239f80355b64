//! What every store must do, as tests that run against any: [`store_conformance!`](crate::store_conformance) makes one
//! test of each function here. Most look at the views twice, before and after a compaction, which must not show.

mod catalogue;
mod commits;
mod pages;
pub mod world;

pub use catalogue::*;
pub use commits::*;
pub use pages::*;

/// Makes a test of every function of the suite. `$make` is an async function that gives a new store and whatever must
/// outlive it: `async fn make() -> (Arc<dyn Store>, Guard)`.
#[macro_export]
macro_rules! store_conformance {
    ($make:path) => {
        $crate::store_conformance! { $make:
            a_commit_shows_in_every_view,
            the_same_commit_again_changes_nothing,
            a_measured_result_takes_the_place_of_a_placeholder_and_never_the_other_way_round,
            results_come_in_any_order,
            what_comes_late_is_in_its_place_after_compaction_too,
            an_interval_replaces_all_that_began_later,
            no_incident_ends_before_it_began,
            a_clock_that_stands_in_another_age_takes_no_history,
            incidents_are_opened_once_and_closed_once,
            what_is_backfilled_replaces_the_intervals,
            a_commit_for_a_monitor_that_is_not_there_is_dropped,
            the_newest_tick_survives_compaction_and_pruning,
            every_page_size_gives_the_same_list,
            a_cursor_stays_valid_while_results_come_in,
            ticks_of_several_regions_are_not_split_between_pages,
            lists_can_be_narrowed_by_verdict_and_time,
            incidents_are_listed_newest_first_a_page_at_a_time,
            counts_are_what_counting_gives,
            recent_results_reach_back_beyond_the_open_hour,
            an_edit_keeps_key_and_history,
            a_removed_monitor_is_gone_and_its_history_stays,
            a_monitor_that_comes_back_has_its_key_and_history_again,
            a_repeated_edit_makes_nothing_twice,
            keys_are_never_given_twice,
            pruning_drops_old_results_and_keeps_their_counts,
            pruning_drops_old_history_and_forgets_what_was_removed,
            a_closed_store_says_so,
        }
    };
    ($make:path: $($name:ident,)*) => {
        $(#[tokio::test]
        async fn $name() {
            let (store, _guard) = $make().await;
            $crate::conformance::$name(store.as_ref()).await.unwrap();
        })*
    };
}
