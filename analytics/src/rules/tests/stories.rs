//! What was promised, one story each.

use super::*;

#[test]
fn the_ladder_is_climbed_and_left_level_by_level() {
    check(
        LADDER,
        0,
        "06:00 0.1 | 06:15 0.3 | 06:30 0.5 | 06:45 1 | 07:00 2 | 07:15 4 | 07:30 3.4 | 07:45 1.6 | 08:00 0.7
         | 08:15 0.3 | 08:30 0.2",
        &expect![[r#"
            06:00 unknown -> safe, first_reading since 06:00: 0.1 at 06:00
            06:15 safe -> level 0, rose since 06:15: 0.3 at 06:15, limit 0.3
            06:30 level 0 -> level 1, rose since 06:30: 0.5 at 06:30, limit 0.5
            06:45 level 1 -> level 2, rose since 06:45: 1 at 06:45, limit 1
            07:00 level 2 -> level 3, rose since 07:00: 2 at 07:00, limit 2
            07:15 level 3 -> level 4, rose since 07:15: 4 at 07:15, limit 4
            07:30 level 4 -> level 3, fell since 07:30: 3.4 at 07:30, limit 2
            07:45 level 3 -> level 2, fell since 07:45: 1.6 at 07:45, limit 1
            08:00 level 2 -> level 1, fell since 08:00: 0.7 at 08:00, limit 0.5
            08:15 level 1 -> level 0, fell since 08:15: 0.3 at 08:15, limit 0.3
            08:30 level 0 -> safe, back_to_safe since 08:30: 0.2 at 08:30
        "#]],
    );
}

#[test]
fn levels_may_be_skipped_both_ways() {
    check(
        LADDER,
        0,
        "06:00 0.1 | 06:15 2.5 | 06:30 0.1",
        &expect![[r#"
        06:00 unknown -> safe, first_reading since 06:00: 0.1 at 06:00
        06:15 safe -> level 3, rose since 06:15: 2.5 at 06:15, limit 2
        06:30 level 3 -> safe, back_to_safe since 06:30: 0.1 at 06:30
    "#]],
    );
}

#[test]
fn the_limit_itself_is_reached_and_the_clear_level_itself_is_not_left() {
    check(
        "1/0.8",
        0,
        "06:00 0.999 | 06:15 1.0 | 06:30 0.8 | 06:45 0.799",
        &expect![[r#"
        06:00 unknown -> safe, first_reading since 06:00: 0.999 at 06:00
        06:15 safe -> level 0, rose since 06:15: 1 at 06:15, limit 1
        06:45 level 0 -> safe, back_to_safe since 06:45: 0.799 at 06:45
    "#]],
    );
}

#[test]
fn trembling_at_the_line_rings_once() {
    check(
        "1/0.8",
        0,
        "06:00 0.9 | 06:15 1.0 | 06:30 0.95 | 06:45 1.05 | 07:00 0.85 | 07:15 1.1 | 07:30 0.7",
        &expect![[r#"
            06:00 unknown -> safe, first_reading since 06:00: 0.9 at 06:00
            06:15 safe -> level 0, rose since 06:15: 1 at 06:15, limit 1
            07:30 level 0 -> safe, back_to_safe since 07:30: 0.7 at 07:30
        "#]],
    );
}

#[test]
fn one_spike_is_not_a_tide() {
    check(
        "1/0.8",
        10,
        "06:00 0.5 | 06:05 9.9 | 06:10 0.5 | 06:15 9.9 | 06:20 0.5",
        &expect![[r#"
        06:00 unknown -> safe, first_reading since 06:00: 0.5 at 06:00
    "#]],
    );
}

#[test]
fn a_tide_is_known_once_it_has_held() {
    check(
        "1/0.8",
        10,
        "06:00 0.5 | 06:05 1.2 | 06:10 1.3 | 06:15 1.4 | 06:20 0.5 | 06:25 0.85 | 06:30 0.5 | 06:35 0.5 | 06:40 0.5",
        &expect![[r#"
            06:00 unknown -> safe, first_reading since 06:00: 0.5 at 06:00
            06:15 safe -> level 0, rose since 06:05: 1.4 at 06:15, limit 1
            06:40 level 0 -> safe, back_to_safe since 06:30: 0.5 at 06:40
        "#]],
    );
}

#[test]
fn a_higher_level_counts_its_own_hold() {
    check(
        LADDER,
        10,
        "06:00 0.1 | 06:05 1.2 | 06:10 2.2 | 06:15 2.3 | 06:20 2.4 | 06:25 0.45 | 06:30 0.1 | 06:35 0.1 | 06:40 0.1",
        &expect![[r#"
            06:00 unknown -> safe, first_reading since 06:00: 0.1 at 06:00
            06:15 safe -> level 2, rose since 06:05: 2.3 at 06:15, limit 1
            06:20 level 2 -> level 3, rose since 06:10: 2.4 at 06:20, limit 2
            06:35 level 3 -> level 1, fell since 06:25: 0.1 at 06:35, limit 0.5
            06:40 level 1 -> safe, back_to_safe since 06:30: 0.1 at 06:40
        "#]],
    );
}

#[test]
fn doubtful_readings_neither_raise_nor_clear_nor_break_a_hold() {
    check(
        "1/0.8",
        10,
        "06:00 0.5 | 06:05 1.2 | 06:10 0.1 suspect | 06:12 0.1 bad | 06:13 null | 06:14 0.1 unjudged | 06:15 1.2
         | 06:20 0.1 bad | 06:25 0.1 suspect | 06:30 0.1 unjudged",
        &expect![[r#"
            06:00 unknown -> safe, first_reading since 06:00: 0.5 at 06:00
            06:15 safe -> level 0, rose since 06:05: 1.2 at 06:15, limit 1
        "#]],
    );
}

#[test]
fn silence_never_clears_and_what_was_known_is_remembered() {
    check(
        "1/0.8",
        30,
        "06:00 1.5 | 06:15 1.5 | 06:30 1.5 | 07:00 tick | 07:01 tick | 07:02 tick | 09:00 0.9 | 12:00 tick
         | 13:00 0.2 | 13:15 0.2 | 13:30 0.2",
        &expect![[r#"
            06:30 unknown -> level 0, first_reading since 06:00: 1.5 at 06:30, limit 1
            07:01 level 0 -> unknown, went_silent since 06:30: 1.5 at 06:30
            09:00 unknown -> level 0, first_reading since 09:00: 0.9 at 09:00, limit 1
            12:00 level 0 -> unknown, went_silent since 09:00: 0.9 at 09:00
            13:30 unknown -> safe, back_to_safe since 13:00: 0.2 at 13:30
        "#]],
    );
}

#[test]
fn a_station_that_speaks_again_and_still_exceeds_is_found_at_once() {
    check(
        LADDER,
        30,
        "06:00 1.5 | 06:30 1.5 | 08:00 tick | 09:00 4.5 | 09:30 4.5",
        &expect![[r#"
        06:30 unknown -> level 2, first_reading since 06:00: 1.5 at 06:30, limit 1
        08:00 level 2 -> unknown, went_silent since 06:30: 1.5 at 06:30
        09:00 unknown -> level 2, first_reading since 09:00: 4.5 at 09:00, limit 1
        09:30 level 2 -> level 4, rose since 09:00: 4.5 at 09:30, limit 4
    "#]],
    );
}

#[test]
fn a_hold_does_not_reach_across_silence() {
    check(
        "1/0.8",
        30,
        "06:00 0.5 | 06:15 1.5 | 07:00 tick | 07:05 1.5 | 07:20 1.5 | 07:35 1.5",
        &expect![[r#"
            06:00 unknown -> safe, first_reading since 06:00: 0.5 at 06:00
            07:00 safe -> unknown, went_silent since 06:15: 1.5 at 06:15
            07:35 unknown -> level 0, rose since 07:05: 1.5 at 07:35, limit 1
        "#]],
    );
}

#[test]
fn a_sensor_that_is_only_ever_bad_is_unknown() {
    check(
        "1/0.8",
        0,
        "06:00 0.5 | 06:15 0.5 bad | 06:30 0.5 bad | 06:45 0.5 bad | 07:00 null | 07:15 0.5",
        &expect![[r#"
            06:00 unknown -> safe, first_reading since 06:00: 0.5 at 06:00
            06:45 safe -> unknown, went_silent since 06:00: 0.5 at 06:00
            07:15 unknown -> safe, first_reading since 07:15: 0.5 at 07:15
        "#]],
    );
}

#[test]
fn nothing_is_said_of_a_station_that_never_spoke() {
    check("1/0.8", 0, "06:00 tick | 09:00 tick | 09:15 7 bad | 12:00 tick", &expect![[""]]);
}

#[test]
fn a_backlog_is_told_as_past_and_never_raises_as_now() {
    check(
        "1/0.8",
        0,
        "06:00 0.5 | 06:45 tick | 10:00<06:15 0.9 replay | 10:00<06:30 3.2 replay | 10:00<06:45 8.8 replay
         | 10:00<07:00 0.5 replay | 10:00<07:15 1.1 replay | 10:00<07:30 0.2 replay | 10:01 0.4",
        &expect![[r#"
            06:00 unknown -> safe, first_reading since 06:00: 0.5 at 06:00
            06:45 safe -> unknown, went_silent since 06:00: 0.5 at 06:00
            10:00 unknown -> level 0, found_in_backlog since 06:30: 3.2 at 06:30, limit 1
            10:00 unknown -> level 0, found_in_backlog since 07:15: 1.1 at 07:15, limit 1
            10:01 unknown -> safe, first_reading since 10:01: 0.4 at 10:01
        "#]],
    );
}

#[test]
fn a_backlog_never_clears() {
    check(
        "1/0.8",
        0,
        "06:00 4.5 | 06:20 tick | 06:25<05:00 0.1 replay | 06:26<05:15 0.1 replay | 06:27 4.4",
        &expect![[r#"
            06:00 unknown -> level 0, first_reading since 06:00: 4.5 at 06:00, limit 1
        "#]],
    );
}

#[test]
fn what_took_longer_than_an_hour_is_a_backlog_even_if_the_station_does_not_say_so() {
    check(
        "1/0.8",
        0,
        "07:00<06:00 4.5 | 08:01<07:00 5.5 | 08:02<07:15 5.5",
        &expect![[r#"
            07:00 unknown -> level 0, first_reading since 06:00: 4.5 at 06:00, limit 1
            08:01 level 0 -> unknown, went_silent since 06:00: 4.5 at 06:00
            08:01 unknown -> level 0, found_in_backlog since 07:00: 5.5 at 07:00, limit 1
            08:02 unknown -> level 0, first_reading since 07:15: 5.5 at 07:15, limit 1
        "#]],
    );
}

#[test]
fn a_backlog_that_comes_twice_or_in_pieces_is_told_once() {
    check(
        "1/0.8",
        0,
        "20:00<06:00 2 replay | 20:00<06:15 2 replay | 20:00<06:30 0 replay | 20:00<18:00 3 replay | 20:00<18:15 0 replay
         | restart
         | 20:01<06:00 2 replay | 20:01<06:15 2 replay | 20:01<06:30 0 replay | 20:01<18:00 3 replay
         | 20:02<12:00 5 replay | 20:02<12:15 0 replay",
        &expect![[r#"
            20:00 unknown -> level 0, found_in_backlog since 06:00: 2 at 06:00, limit 1
            20:00 unknown -> level 0, found_in_backlog since 18:00: 3 at 18:00, limit 1
            20:02 unknown -> level 0, found_in_backlog since 12:00: 5 at 12:00, limit 1
        "#]],
    );
}

#[test]
fn a_backlog_with_the_newest_first_is_told_once_per_exceedance() {
    check(
        "1/0.8",
        0,
        "20:00<07:00 0 replay | 20:00<06:45 2 replay | 20:00<06:30 3 replay | 20:00<06:15 2 replay | 20:00<06:00 0 replay
         | 20:00<05:00 2 replay | 20:00<04:45 2 replay",
        &expect![[r#"
            20:00 unknown -> level 0, found_in_backlog since 06:45: 2 at 06:45, limit 1
            20:00 unknown -> level 0, found_in_backlog since 05:00: 2 at 05:00, limit 1
        "#]],
    );
}

#[test]
fn a_record_replayed_flat_out_tells_where_it_crosses_the_limit() {
    check(
        "4/3.5",
        60,
        "99:00<05:00 3.9 replay | 99:00<06:00 4.3 replay | 99:00<07:00 5.1 replay | 99:00<08:00 8.85 replay
         | 99:00<09:00 3.2 replay | 99:00<10:00 3.0 replay | 99:00 tick",
        &expect![[r#"
            99:00 unknown -> level 0, found_in_backlog since 06:00: 4.3 at 06:00, limit 4
        "#]],
    );
}

#[test]
fn an_exceedance_of_the_past_is_told_once_for_each_level_it_reached() {
    check(
        LADDER,
        0,
        "20:00 0.1 | 20:00<05:00 0.1 replay | 20:00<06:00 0.4 replay | 20:00<07:00 1.1 replay | 20:00<08:00 0.6 replay
         | 20:00<09:00 1.2 replay | 20:00<10:00 2.2 replay | 20:00<11:00 0.1 replay
         | 20:01<06:00 0.4 replay | 20:01<07:00 1.1 replay | 20:01<10:00 2.2 replay | 20:02 0.1",
        &expect![[r#"
            20:00 unknown -> safe, first_reading since 20:00: 0.1 at 20:00
            20:00 safe -> level 0, found_in_backlog since 06:00: 0.4 at 06:00, limit 0.3
            20:00 safe -> level 2, found_in_backlog since 07:00: 1.1 at 07:00, limit 1
            20:00 safe -> level 3, found_in_backlog since 10:00: 2.2 at 10:00, limit 2
        "#]],
    );
}

#[test]
fn what_was_told_while_it_happened_is_not_found_again_in_a_backlog() {
    check(
        "1/0.8",
        0,
        "06:00 2 | 06:15 2 | 06:30 0.1 | 06:45 0.1 | 07:00<06:00 2 replay | 07:00<06:15 2 replay | 07:01 0.1",
        &expect![[r#"
            06:00 unknown -> level 0, first_reading since 06:00: 2 at 06:00, limit 1
            06:30 level 0 -> safe, back_to_safe since 06:30: 0.1 at 06:30
        "#]],
    );
}

#[test]
fn readings_that_overtake_each_other_do_not_turn_the_state_back() {
    check(
        "1/0.8",
        0,
        "06:00 0.1 | 06:10 2.0 | 06:11<06:05 0.1 | 06:20 0.1 | 06:21<06:17 0.2 | 06:30 0.1 | 06:31<06:25 3.0",
        &expect![[r#"
            06:00 unknown -> safe, first_reading since 06:00: 0.1 at 06:00
            06:10 safe -> level 0, rose since 06:10: 2 at 06:10, limit 1
            06:20 level 0 -> safe, back_to_safe since 06:20: 0.1 at 06:20
            06:31 safe -> level 0, found_in_backlog since 06:25: 3 at 06:25, limit 1
        "#]],
    );
}

#[test]
fn of_two_readings_of_one_moment_the_last_counts() {
    check(
        "1/0.8",
        0,
        "06:00 0.1 | 06:00 2.0 | 06:00 2.0 | 06:00 0.1",
        &expect![[r#"
        06:00 unknown -> safe, first_reading since 06:00: 0.1 at 06:00
        06:00 safe -> level 0, rose since 06:00: 2 at 06:00, limit 1
        06:00 level 0 -> safe, back_to_safe since 06:00: 0.1 at 06:00
    "#]],
    );
}

#[test]
fn a_clock_that_ran_ahead_and_was_set_right_costs_nothing() {
    check(
        "1/0.8",
        0,
        "06:00<06:30 0.1 | 06:10<06:40 0.1 | 06:20 1.5 | 06:50 tick | 07:00 0.1",
        &expect![[r#"
            06:00 unknown -> safe, first_reading since 06:00: 0.1 at 06:30
            06:20 safe -> level 0, rose since 06:20: 1.5 at 06:20, limit 1
            07:00 level 0 -> unknown, went_silent since 06:20: 1.5 at 06:20
            07:00 unknown -> safe, back_to_safe since 07:00: 0.1 at 07:00
        "#]],
    );
}

#[test]
fn our_own_clock_may_go_back_without_a_verdict() {
    check(
        "1/0.8",
        0,
        "06:00 1.5 | 06:40 tick | 05:00 tick | 06:41 1.5 | 05:00 tick",
        &expect![[r#"
            06:00 unknown -> level 0, first_reading since 06:00: 1.5 at 06:00, limit 1
            06:40 level 0 -> unknown, went_silent since 06:00: 1.5 at 06:00
            06:41 unknown -> level 0, first_reading since 06:41: 1.5 at 06:41, limit 1
        "#]],
    );
}

#[test]
fn a_restart_in_the_middle_of_a_hold_changes_nothing() {
    check(
        "1/0.8",
        30,
        "06:00 0.1 | restart | 06:15 1.5 | restart | 06:30 1.5 | restart | 06:45 1.5 | restart | 08:00 tick | restart
         | 08:30 tick | 08:31 1.5",
        &expect![[r#"
            06:00 unknown -> safe, first_reading since 06:00: 0.1 at 06:00
            06:45 safe -> level 0, rose since 06:15: 1.5 at 06:45, limit 1
            08:00 level 0 -> unknown, went_silent since 06:45: 1.5 at 06:45
            08:31 unknown -> level 0, first_reading since 08:31: 1.5 at 08:31, limit 1
        "#]],
    );
}
