use proptest::prelude::*;

use super::*;

const TERMS: Terms = Terms {
    soak: Duration::from_mins(60),
    silent_after: Duration::from_mins(30),
    silent_intervals: 3,
    healthy_percent: 95,
};

/// Long ago.
const AWAKE: Timestamp = Timestamp::from_millis(0);

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_773_266_400_000 + minute * 60_000)
}

fn member(n: usize, ring: u8) -> Member {
    Member {
        station: StationCode::new(&format!("s{n}")).unwrap(),
        ring,
        interval: Duration::from_mins(5),
        offered_at: None,
        installing_at: None,
        running_at: None,
        failed: None,
        excused: false,
        heard_at: Some(at(0)),
    }
}

fn offered(n: usize, ring: u8) -> Member {
    Member { offered_at: Some(at(0)), ..member(n, ring) }
}

/// Installed at 10 and running at 12, heard at `heard`.
fn running(n: usize, ring: u8, heard: i64) -> Member {
    let (installing_at, running_at) = (Some(at(10)), Some(at(12)));
    Member { installing_at, running_at, heard_at: Some(at(heard)), ..offered(n, ring) }
}

fn next(minute: i64, ring: u8, members: &[Member]) -> Option<Action> {
    decide(at(minute), AWAKE, (ring, true), &TERMS, members)
}

fn codes(names: &[&str]) -> Vec<StationCode> {
    names.iter().map(|name| StationCode::new(name).unwrap()).collect()
}

fn silent(ring: u8, name: &str) -> Option<Action> {
    let bad = vec![(codes(&[name])[0].clone(), Bad::Silent)];
    Some(Action::Halt(Stop { ring, bad }))
}

#[test]
fn only_the_ring_that_has_begun_is_offered_the_image() {
    let members = [member(0, 0), member(1, 1), member(2, 2)];
    assert_eq!(next(1, 0, &members), Some(Action::Offer(codes(&["s0"]))));
    assert_eq!(next(1, 1, &members), Some(Action::Offer(codes(&["s0", "s1"]))));
}

#[test]
fn a_ring_that_downloads_is_waited_for_however_long() {
    let members = [offered(0, 0), member(1, 1)];
    assert_eq!(next(60 * 24 * 30, 0, &members), None, "it is away, or its line is slow");
}

#[test]
fn the_next_ring_begins_after_the_soak_and_not_before() {
    let members = |heard| [running(0, 0, heard), member(1, 1)];
    assert_eq!(next(71, 0, &members(71)), None);
    assert_eq!(next(72, 0, &members(71)), None, "its last reading is from before the end");
    assert_eq!(next(72, 0, &members(72)), Some(Action::Next(1)));
}

#[test]
fn the_last_ring_is_the_end() {
    assert_eq!(next(100, 2, &[running(0, 0, 99), running(1, 2, 99)]), Some(Action::Done));
    assert_eq!(
        next(100, 1, &[running(0, 0, 99)]),
        Some(Action::Next(2)),
        "an empty ring is no wait"
    );
}

#[test]
fn silence_after_the_install_began_halts_and_silence_before_it_does_not() {
    let members = [Member { installing_at: Some(at(10)), ..offered(0, 0) }, member(1, 1)];
    assert_eq!(next(40, 0, &members), None);
    assert_eq!(next(41, 0, &members), silent(0, "s0"));
    assert_eq!(next(41, 0, &[offered(0, 0), member(1, 1)]), None);
    // It ran, and then it did not.
    assert_eq!(next(101, 0, &[running(0, 0, 70), member(1, 1)]), silent(0, "s0"));
}

#[test]
fn a_slow_station_is_given_its_own_intervals() {
    let slow = Member { interval: Duration::from_mins(60), ..running(0, 0, 12) };
    assert_eq!(next(191, 0, std::slice::from_ref(&slow)), None);
    assert_eq!(next(193, 0, &[slow]), silent(0, "s0"));
}

#[test]
fn nobody_was_silent_while_we_slept() {
    let members = [running(0, 0, 20), member(1, 1)];
    let woke = |awake, minute| decide(at(minute), at(awake), (0, true), &TERMS, &members);
    assert_eq!(woke(500, 530), None);
    assert_eq!(woke(500, 531), silent(0, "s0"));
}

#[test]
fn a_ring_that_was_left_behind_still_halts_the_others() {
    let members = [running(0, 0, 20), running(1, 1, 60), offered(2, 2), member(3, 2)];
    assert_eq!(next(60, 2, &members), silent(0, "s0"));
}

#[test]
fn one_failure_in_a_hundred_is_borne_and_six_are_not() {
    let ring = |failed: usize| -> Vec<Member> {
        let mut all: Vec<_> = (0..100).map(|n| running(n, 0, 72)).collect();
        let fault = Some(FirmwareFault::BadDigest);
        all.iter_mut().take(failed).for_each(|member| member.failed = fault);
        all
    };
    assert_eq!(next(72, 0, &ring(5)), Some(Action::Next(1)));
    let Some(Action::Halt(stop)) = next(72, 0, &ring(6)) else { panic!("it goes on") };
    assert_eq!((stop.ring, stop.bad.len()), (0, 6));
    assert_eq!(stop.bad[0].1, Bad::Failed(FirmwareFault::BadDigest));
    // A small ring has nothing to spare.
    let small: Vec<_> = ring(1).into_iter().take(19).collect();
    assert!(matches!(next(72, 0, &small), Some(Action::Halt(_))));
}

#[test]
fn who_is_excused_is_neither_waited_for_nor_held_against() {
    let excused =
        Member { excused: true, failed: Some(FirmwareFault::RolledBack), ..offered(0, 0) };
    assert_eq!(next(72, 0, &[excused.clone(), running(1, 0, 72)]), Some(Action::Next(1)));
    assert_eq!(next(72, 0, &[excused.clone(), offered(1, 0)]), None);
    assert_eq!(next(72, 0, &[excused]), Some(Action::Next(1)));
}

#[test]
fn a_pause_offers_nothing_and_halts_all_the_same() {
    let paused =
        |minute, members: &[Member]| decide(at(minute), AWAKE, (0, false), &TERMS, members);
    assert_eq!(paused(1, &[member(0, 0)]), None);
    assert_eq!(paused(72, &[running(0, 0, 72)]), None);
    assert_eq!(paused(101, &[running(0, 0, 70)]), silent(0, "s0"));
}

/// How a simulated station takes the image.
#[derive(Debug, Clone, Copy)]
struct Nature {
    /// Minutes from the offer to the install; never, where there is none.
    takes: Option<i64>,
    /// Minutes after the install at which it goes silent.
    dies: Option<i64>,
    /// It says that it failed, instead of running.
    fails: bool,
}

fn natures() -> impl Strategy<Value = Vec<(u8, Nature)>> {
    let nature = (
        0_u8..3,
        proptest::option::weighted(0.95, 1_i64..200),
        proptest::option::weighted(0.1, 0_i64..300),
        proptest::bool::weighted(0.05),
    );
    let nature =
        nature.prop_map(|(ring, takes, dies, fails)| (ring, Nature { takes, dies, fails }));
    proptest::collection::vec(nature, 1..60)
}

/// A minute in the life of a station.
fn live(member: &mut Member, nature: Nature, minute: i64) {
    let Some(offered) = member.offered_at else {
        member.heard_at = Some(at(minute));
        return;
    };
    let install = nature.takes.map(|takes| offered + Duration::from_mins(takes.unsigned_abs()));
    let Some(install) = install.filter(|install| *install <= at(minute)) else {
        member.heard_at = Some(at(minute));
        return;
    };
    member.installing_at = member.installing_at.or(Some(install));
    let dies = nature.dies.map(|dies| install + Duration::from_mins(dies.unsigned_abs()));
    if dies.is_some_and(|dies| dies <= at(minute)) {
        return;
    }
    match nature.fails {
        true => member.failed = Some(FirmwareFault::InstallFailed),
        false => member.running_at = member.running_at.or(Some(at(minute))),
    }
    member.heard_at = Some(at(minute));
}

proptest! {
    /// Over any life of the stations: a ring is offered the image only when the one before is healthy, nobody is
    /// offered it after a halt, and the same question has the same answer until its answer is done.
    #[test]
    fn no_ring_begins_before_the_one_before_is_well(all in natures()) {
        let mut members: Vec<Member> =
            all.iter().enumerate().map(|(n, (ring, _))| member(n, *ring)).collect();
        let natures: Vec<Nature> = all.iter().map(|(_, nature)| *nature).collect();
        let (mut ring, mut over) = (0_u8, false);
        for minute in 0..2_000 {
            for (member, nature) in members.iter_mut().zip(&natures) {
                live(member, *nature, minute);
            }
            let mut steps = 0;
            while let Some(action) = next(minute, ring, &members).filter(|_| !over) {
                steps += 1;
                prop_assert!(steps < 10, "it asks for the same again and again: {action:?}");
                match action {
                    Action::Offer(codes) => for code in codes {
                        let one = members.iter_mut().find(|m| m.station == code).unwrap();
                        prop_assert!(one.ring <= ring && one.offered_at.is_none());
                        one.offered_at = Some(at(minute));
                    },
                    Action::Next(next) => {
                        let of: Vec<_> = members.iter().filter(|m| m.ring == ring).collect();
                        let well = of.iter().filter(|m| is_healthy(m, &TERMS, AWAKE, at(minute))).count();
                        prop_assert!(required(&TERMS, of.len()) <= well);
                        ring = next;
                    }
                    Action::Halt(stop) => {
                        prop_assert!(!stop.bad.is_empty() && stop.ring <= ring);
                        over = true;
                    }
                    Action::Done => over = true,
                }
            }
        }
    }

    /// A small first ring in which one falls silent after its install: nobody of another ring is ever offered it.
    #[test]
    fn a_silent_first_ring_keeps_the_others_out(
        size in 1_usize..19, dies in 0_i64..60, takes in 1_i64..300, others in 1_usize..40,
    ) {
        let mut members: Vec<_> = (0..size).map(|n| member(n, 0)).collect();
        members.extend((size..size + others).map(|n| member(n, 1 + u8::from(n % 2 == 0))));
        let (mut ring, mut halted_at) = (0, None);
        for minute in 0..600 {
            for (n, member) in members.iter_mut().enumerate() {
                let dies = (n == 0).then_some(dies);
                live(member, Nature { takes: Some(takes), dies, fails: false }, minute);
            }
            if halted_at.is_some() {
                continue;
            }
            match next(minute, ring, &members) {
                Some(Action::Offer(codes)) => members
                    .iter_mut()
                    .filter(|member| codes.contains(&member.station))
                    .for_each(|member| member.offered_at = Some(at(minute))),
                Some(Action::Next(next)) => ring = next,
                Some(Action::Halt(_)) => halted_at = Some(minute),
                Some(Action::Done) | None => {}
            }
        }
        prop_assert_eq!(ring, 0);
        prop_assert!(halted_at.is_some_and(|minute| minute <= takes + dies + 32), "{:?}", halted_at);
        prop_assert!(members.iter().filter(|m| m.ring != 0).all(|m| m.offered_at.is_none()));
    }
}
