//! Who is first. A roll-out goes to a hundredth of the stations, then to a tenth, then to all, so that an image that
//! does harm does it to few. The order is the hash of the roll-out and the station: the same for whoever computes it,
//! another one each time, so that not always the same village goes first.

use domain::StationCode;
use ring::digest::{SHA256, digest};

/// How many of a hundred stations have the image when a ring is done, in each ring.
pub const RING_SHARES: [usize; 3] = [1, 10, 100];

/// A station that the image is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub station: StationCode,
    /// Somebody wants it in the first ring.
    pub named: bool,
    /// It has reported lately. Who has not can neither be well nor fall silent, and waits for the last ring.
    pub present: bool,
}

/// A station and its ring, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Which station.
    pub station: StationCode,
    /// Which ring.
    pub ring: u8,
}

/// The seats of all candidates, in the order in which they get the image. The first ring has whoever was named, and at
/// least one; the second at least one more, where there are as many.
#[must_use]
pub fn seats(rollout: &str, candidates: &[Candidate]) -> Vec<Seat> {
    let mut order: Vec<&Candidate> = candidates.iter().collect();
    order.sort_by_cached_key(|candidate| {
        let drawn = digest(&SHA256, format!("{rollout}/{}", candidate.station).as_bytes());
        (!candidate.named, !candidate.present, drawn.as_ref().to_vec())
    });
    let named = candidates.iter().filter(|candidate| candidate.named).count();
    let present = candidates.iter().filter(|one| one.named || one.present).count();
    let share = |ring: usize| (candidates.len() * RING_SHARES[ring]).div_ceil(100);
    let first = share(0).max(named).max(1).min(present.max(1));
    let second = share(1).max(first + 1).min(present.max(1));
    let ring = |place: usize| u8::from(first <= place) + u8::from(second <= place);
    let seat = |(place, candidate): (usize, &&Candidate)| Seat {
        station: candidate.station.clone(),
        ring: ring(place),
    };
    order.iter().enumerate().map(seat).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidates(count: usize) -> Vec<Candidate> {
        let code = |n| StationCode::new(&format!("s{n}")).unwrap();
        (0..count).map(|n| Candidate { station: code(n), named: false, present: true }).collect()
    }

    fn sizes(seats: &[Seat]) -> [usize; 3] {
        [0, 1, 2].map(|ring| seats.iter().filter(|seat| seat.ring == ring).count())
    }

    #[test]
    fn a_hundredth_a_tenth_and_all() {
        for (stations, wanted) in [
            (2_000, [20, 180, 1_800]),
            (100, [1, 9, 90]),
            (101, [2, 9, 90]),
            (40, [1, 3, 36]),
            (10, [1, 1, 8]),
            (2, [1, 1, 0]),
            (1, [1, 0, 0]),
            (0, [0, 0, 0]),
        ] {
            assert_eq!(sizes(&seats("r", &candidates(stations))), wanted, "{stations}");
        }
    }

    #[test]
    fn who_is_named_is_first_and_who_is_away_is_last() {
        let mut all = candidates(100);
        for n in [40, 41, 42] {
            all[n].named = true;
        }
        all[42].present = false;
        (0..20).for_each(|n| all[n].present = false);
        let seats = seats("r", &all);
        let first: Vec<_> = seats.iter().filter(|seat| seat.ring == 0).collect();
        assert_eq!(first.len(), 3);
        assert!(first.iter().all(|seat| ["s40", "s41", "s42"].contains(&seat.station.as_str())));
        let of = |n: usize| seats.iter().find(|seat| seat.station == all[n].station).unwrap().ring;
        assert!((0..20).all(|n| of(n) == 2));
    }

    #[test]
    fn where_nobody_is_there_somebody_is_first_all_the_same() {
        let mut all = candidates(5);
        all.iter_mut().for_each(|candidate| candidate.present = false);
        assert_eq!(sizes(&seats("r", &all)), [1, 0, 4]);
    }

    proptest! {
        #[test]
        fn everybody_has_one_seat_and_the_order_is_nobodys_choice(
            count in 0_usize..300, marks in proptest::collection::vec(0_u8..10, 300), turn in 0_usize..300,
        ) {
            let mut all = candidates(count);
            for (candidate, mark) in all.iter_mut().zip(&marks) {
                (candidate.named, candidate.present) = (*mark == 0, *mark < 8);
            }
            let first = seats("r", &all);
            let mut codes: Vec<_> = first.iter().map(|seat| seat.station.clone()).collect();
            codes.sort();
            codes.dedup();
            prop_assert_eq!(codes.len(), count);
            prop_assert!(count == 0 || sizes(&first)[0] > 0);
            prop_assert!(first.is_sorted_by_key(|seat| seat.ring));
            all.rotate_left(turn % count.max(1));
            prop_assert_eq!(seats("r", &all), first);
        }
    }
}
