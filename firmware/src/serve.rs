//! Which piece goes to whom, and when. A station asks for a few chunks at a time, so that it never holds more than it
//! asked for and goes on after a power cut where its own memory says; asking again replaces what it asked before. Each
//! station has a pace of its own and all of them together have one: what a line carries of firmware is a share of it,
//! and the readings have the rest.
//!
//! A pace without a reserve: after a packet the line is taken for as long as its bytes take at the pace. In no stretch
//! of time does a station get more than the pace allows and one packet.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Digest, StationCode, Timestamp};

use crate::chunk::{Chunks, HEADER_BYTES};

/// Chunks of one question: what a modem with 32 KiB of memory holds, and half a minute's worth at the usual pace, so
/// that the questions are one small packet in each half minute.
pub const ASK_CHUNKS_MAX: u32 = 8;

/// Bytes of a packet that are none of the image: topic (at most 56), MQTT and TLS and TCP and IP heads.
const PACKET_BYTES: u64 = 160;

/// How much of the common pace may be made up for: looks are 20 ms apart at best, and a station has no reserve at all.
const MADE_UP: Duration = Duration::from_millis(100);

/// Bytes in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// To one station.
    pub station: u64,
    /// To all of them.
    pub in_all: u64,
}

/// Why a question is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The station was offered no such image, or no longer.
    NotOffered,
    /// The image has no such chunk, or too many were asked for at once.
    OutOfRange,
}

impl Refused {
    /// The reason as wire, labels and logs write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotOffered => "not_offered",
            Self::OutOfRange => "out_of_range",
        }
    }
}

/// A chunk whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// To whom.
    pub station: StationCode,
    /// Of which image.
    pub digest: Digest,
    /// Which one.
    pub number: u32,
}

/// Who waits for what.
#[derive(Debug)]
pub struct Serving {
    rates: Rates,
    lines: BTreeMap<StationCode, Line>,
    all_free_at: Timestamp,
}

/// The line to a station.
#[derive(Debug)]
struct Line {
    wanted: Option<Wanted>,
    free_at: Timestamp,
}

#[derive(Debug)]
struct Wanted {
    digest: Digest,
    chunks: Chunks,
    next: u32,
    end: u32,
}

impl Serving {
    /// Nobody waits.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        let all_free_at = Timestamp::from_millis(i64::MIN);
        Self { rates, lines: BTreeMap::new(), all_free_at }
    }

    /// A station asks for `count` chunks of an image from number `from` on; `offered` is what it may have.
    ///
    /// # Errors
    /// [`Refused`]; what it asked before goes on.
    pub fn ask(
        &mut self,
        station: &StationCode,
        (digest, from, count): (Digest, u32, u32),
        offered: Option<(Digest, Chunks)>,
    ) -> Result<(), Refused> {
        let (_, chunks) = offered.filter(|(is, _)| *is == digest).ok_or(Refused::NotOffered)?;
        let end = from.checked_add(count).filter(|end| *end <= chunks.count());
        let fits = (1..=ASK_CHUNKS_MAX).contains(&count);
        let end = end.filter(|_| fits).ok_or(Refused::OutOfRange)?;
        let wanted = Some(Wanted { digest, chunks, next: from, end });
        let free_at = Timestamp::from_millis(i64::MIN);
        self.lines.entry(station.clone()).or_insert(Line { wanted: None, free_at }).wanted = wanted;
        Ok(())
    }

    /// Lets go of whoever may no longer have what it waits for. The pace of a line outlives the wait.
    pub fn keep(&mut self, now: Timestamp, may: impl Fn(&StationCode, &Digest) -> bool) {
        for (station, line) in &mut self.lines {
            line.wanted.take_if(|wanted| !may(station, &wanted.digest));
        }
        self.lines.retain(|_, line| line.wanted.is_some() || now < line.free_at);
    }

    /// The chunks whose turn it is; who waited longest is first.
    pub fn due(&mut self, now: Timestamp) -> Vec<Turn> {
        let mut turns = Vec::new();
        while self.all_free_at <= now {
            let waits = |line: &Line| line.wanted.is_some() && line.free_at <= now;
            let next = self.lines.iter_mut().filter(|(_, line)| waits(line));
            let Some((station, line)) = next.min_by_key(|(_, line)| line.free_at) else { break };
            let Some(wanted) = &mut line.wanted else { break };
            let number = wanted.next;
            turns.push(Turn { station: station.clone(), digest: wanted.digest, number });
            let bytes = wanted.chunks.place(number).map_or(0, |place| place.end - place.start);
            let bytes = bytes + HEADER_BYTES as u64 + PACKET_BYTES;
            wanted.next += 1;
            if wanted.end <= wanted.next {
                line.wanted = None;
            }
            line.free_at = now + takes(bytes, self.rates.station);
            self.all_free_at =
                self.all_free_at.max(now - MADE_UP) + takes(bytes, self.rates.in_all);
        }
        turns
    }

    /// When the next turn is; `None` where nobody waits.
    #[must_use]
    pub fn next_at(&self) -> Option<Timestamp> {
        let waiting = self.lines.values().filter(|line| line.wanted.is_some());
        waiting.map(|line| line.free_at).min().map(|at| at.max(self.all_free_at))
    }

    /// Stations that wait for chunks.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lines.values().filter(|line| line.wanted.is_some()).count()
    }
}

/// How long so many bytes take, rounded up to the millisecond.
fn takes(bytes: u64, per_s: u64) -> Duration {
    Duration::from_millis((bytes * 1_000).div_ceil(per_s.max(1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const IMAGE: Digest = Digest([1; 32]);
    const RATES: Rates = Rates { station: 4_096, in_all: 1 << 20 };

    fn station(name: &str) -> StationCode {
        StationCode::new(name).unwrap()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_773_266_400_000 + millis)
    }

    /// A megabyte in 256 chunks.
    const CHUNKS: Chunks = Chunks::new(1 << 20, 4_096);

    #[test]
    fn a_station_gets_what_it_asked_for_in_order_and_no_more() {
        let mut serving = Serving::new(RATES);
        serving.ask(&station("a"), (IMAGE, 17, 3), Some((IMAGE, CHUNKS))).unwrap();
        let mut numbers = Vec::new();
        for second in 0..10 {
            numbers.extend(serving.due(at(2_000 * second)).iter().map(|turn| turn.number));
        }
        assert_eq!(numbers, [17, 18, 19]);
        assert_eq!((serving.next_at(), serving.waiting()), (None, 0));
    }

    #[test]
    fn asking_again_replaces_the_question_and_does_not_hasten_the_answer() {
        let mut serving = Serving::new(RATES);
        let mut ask = |from, now| {
            serving.ask(&station("a"), (IMAGE, from, 8), Some((IMAGE, CHUNKS))).unwrap();
            serving.due(now).into_iter().map(|turn| turn.number).collect::<Vec<_>>()
        };
        assert_eq!(ask(0, at(0)), [0]);
        for again in 1..100 {
            assert_eq!(ask(4, at(again)), [0; 0], "the line is taken");
        }
        assert_eq!(ask(4, at(1_500)), [4]);
    }

    #[test]
    fn what_was_not_offered_or_is_not_there_is_refused() {
        let mut serving = Serving::new(RATES);
        let mut ask = |what, offered| serving.ask(&station("a"), what, offered).unwrap_err();
        let offered = Some((IMAGE, CHUNKS));
        assert_eq!(ask((IMAGE, 0, 1), None), Refused::NotOffered);
        assert_eq!(ask((Digest([2; 32]), 0, 1), offered), Refused::NotOffered);
        for beyond in [(256, 1), (255, 2), (u32::MAX, 8), (0, 0), (0, ASK_CHUNKS_MAX + 1)] {
            assert_eq!(
                ask((IMAGE, beyond.0, beyond.1), offered),
                Refused::OutOfRange,
                "{beyond:?}"
            );
        }
        assert!(serving.due(at(0)).is_empty());
    }

    #[test]
    fn a_withdrawn_image_is_not_served_to_its_end() {
        let mut serving = Serving::new(RATES);
        serving.ask(&station("a"), (IMAGE, 0, 8), Some((IMAGE, CHUNKS))).unwrap();
        assert_eq!(serving.due(at(0)).len(), 1);
        serving.keep(at(1), |_, _| false);
        assert!(serving.due(at(60_000)).is_empty());
        serving.keep(at(60_000), |_, _| true);
        assert!(serving.lines.is_empty());
    }

    #[test]
    fn stations_take_turns_when_all_of_them_are_too_many() {
        let mut serving = Serving::new(Rates { station: 4_096, in_all: 8_192 });
        let names: Vec<String> = (0..10).map(|n| format!("s{n}")).collect();
        let mut got = BTreeMap::<StationCode, u32>::new();
        for tick in 0..6_000_i64 {
            for name in &names {
                let line = serving.lines.get(name.as_str());
                if line.is_none_or(|line| line.wanted.is_none()) {
                    serving.ask(&station(name), (IMAGE, 0, 8), Some((IMAGE, CHUNKS))).unwrap();
                }
            }
            for turn in serving.due(at(tick * 20)) {
                *got.entry(turn.station).or_default() += 1;
            }
        }
        // Two minutes at 8 KiB/s are 230 packets; nobody starves.
        let all: u32 = got.values().sum();
        assert!((225..=233).contains(&all), "{all}");
        assert!(got.len() == 10 && got.values().all(|count| (22..=25).contains(count)), "{got:?}");
    }

    proptest! {
        /// However it asks, and whenever we look: a line of 64 kbit/s carries half of it in firmware at most.
        #[test]
        fn no_stretch_of_time_carries_more_than_the_pace_and_one_packet(
            steps in proptest::collection::vec((0_i64..1_500, 0_u32..248, 1_u32..=8), 1..300),
        ) {
            let mut serving = Serving::new(RATES);
            let (mut now, mut sent) = (0, Vec::new());
            let packet = 4_096 + HEADER_BYTES as u64 + PACKET_BYTES;
            for (wait, from, count) in steps {
                now += wait;
                let asked = serving.ask(&station("a"), (IMAGE, from, count), Some((IMAGE, CHUNKS)));
                prop_assert!(asked.is_ok());
                for _ in serving.due(at(now)) {
                    sent.push(now);
                }
            }
            for (first, begin) in sent.iter().enumerate() {
                for (count, end) in (1_u64..).zip(&sent[first..]) {
                    let allowed = 4_096 * u64::try_from(end - begin).unwrap() / 1_000 + packet;
                    prop_assert!(count * packet <= allowed, "{count} packets in {} ms", end - begin);
                }
            }
        }
    }
}
