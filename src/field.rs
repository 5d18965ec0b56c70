//! The field as the portal shows it: dead letters and gaps, each type of ours turned into one of the portal's by hand.

use std::sync::{Arc, PoisonError};

use ::firmware::Terms;
use domain::StationCode;
use ingest::Clocks;
use portal::{ClockOff, Field, Gaps, Letter, LettersWanted};
use registry::RolloutTerms;

use crate::errands::SharedSeqs;
use crate::letters::{self, Kept, Wanted};
use crate::store::{DEAD_LETTERS, Store};

/// What the portal may ask.
#[must_use]
pub fn shown(store: &Store, seqs: &SharedSeqs, clocks: &Clocks, terms: &Terms) -> Field {
    let dir = store.dir.join(DEAD_LETTERS);
    let (seqs, clocks) = (seqs.clone(), clocks.clone());
    Field {
        registry: store.registry.clone(),
        rollout_terms: RolloutTerms {
            soak: terms.soak,
            silent_after: terms.silent_after,
            silent_intervals: terms.silent_intervals,
            healthy_percent: terms.healthy_percent,
        },
        letters: Arc::new(move |asked: LettersWanted| {
            let LettersWanted { id, station, reason, since, before, most } = asked;
            let wanted = Wanted { id, station, reason, since, before };
            let found = letters::newest(&dir, &wanted, most)?;
            Ok(found.into_iter().map(letter).collect())
        }),
        gaps: Arc::new(move |station: Option<&StationCode>| {
            let seqs = seqs.lock().unwrap_or_else(PoisonError::into_inner);
            let found = match station {
                Some(station) => seqs.gaps(station).into_iter().collect(),
                None => seqs.all(),
            };
            found.into_iter().map(gaps).collect()
        }),
        clock: Arc::new(move |station: &StationCode| {
            let found = clocks.offset(station)?;
            Some(ClockOff { ahead_ms: found.ahead_ms, reports: found.reports, at: found.at })
        }),
    }
}

fn letter(Kept { id, letter, replay: _ }: Kept) -> Letter {
    Letter {
        id,
        received_at: letter.received_at,
        station: letter.station,
        topic: letter.topic,
        reason: letter.reason,
        detail: letter.detail,
        payload: letter.payload.to_vec(),
    }
}

fn gaps(gaps: ingest::Gaps) -> Gaps {
    Gaps {
        station: gaps.station,
        next: gaps.next,
        ranges: gaps.ranges.iter().map(|gap| (gap.from, gap.to, gap.since)).collect(),
        missing: gaps.missing,
        filled: gaps.filled,
        given_up: gaps.given_up,
        asked_at: gaps.asked_at,
    }
}
