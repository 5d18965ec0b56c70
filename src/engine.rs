//! The engine follows the journal: each record steps the analyzer, each verdict goes to the desk, and the desk's
//! decision is on disk before the next record is looked at. All that moves it is in the journal, the time included,
//! so that live, recovered and replayed give the same answer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use alerting::Alerting;
use analytics::quality::Live;
use analytics::rules::Analyzer;
use domain::{Timestamp, Verdict, Why};
use ingest::{CLOCK_OFF_MAX_MS, Clocks, Decoder, Heard, Record};
use journal::Journal;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::assembly::Fatal;
use crate::behind::Behind;
use crate::errands::SharedSeqs;
use crate::follow::{IDLE, READ_BYTES, wait};
use crate::judge::{Coming, SharedTests, Shelf, Tests, written};
use crate::publish::Outlet;
use crate::snapshot::{self, Saved};

/// Time between two saved states: a start then folds at most so much of the journal (200 reports/s: 6,000 reports,
/// 30 ms), and saving 2,000 stations under 5 rules (about 2 MB) costs well under a percent.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// How long the engine lets records gather where commits come quickly: to be woken for each would cost more than to
/// judge it. Nobody notices half a millisecond before a warning.
const GATHER: Duration = Duration::from_micros(500);

/// News that comes sooner than this after the last is quick: above 1,250 commits a second, gathering included.
const QUICK: Duration = Duration::from_micros(800);

/// The analyzer, shared with those who ask where things stand.
pub type SharedAnalyzer = Arc<Mutex<Analyzer>>;

/// The journal's follower that judges.
pub struct Engine {
    /// What is followed.
    pub journal: Journal,
    /// Where it says how far it is.
    pub behind: Behind,
    /// The data folder, for the saved state.
    pub dir: PathBuf,
    /// What flags readings.
    pub tests: SharedTests,
    /// What the tests know of each series: what the engine was told in time. It settles nothing, because a warning is
    /// about now.
    pub live: Live,
    /// What judges the water.
    pub analyzer: SharedAnalyzer,
    /// Which reports are missing.
    pub seqs: SharedSeqs,
    /// How far the stations' clocks are from ours.
    pub clocks: Clocks,
    /// What tells people.
    pub alerting: Alerting,
    /// MQTT's `warnings/…`.
    pub outlet: Outlet,
    /// The first record that the analyzer has not seen.
    pub next: u64,
}

impl Engine {
    /// Follows until told to stop, then saves where it stands.
    ///
    /// # Errors
    /// [`Fatal`] where the journal does not read back or the ledger cannot be written.
    pub fn run(mut self, runtime: &Handle, stop: &CancellationToken) -> Result<(), Fatal> {
        let mut end = self.journal.watch();
        self.behind.reached("engine", self.next);
        self.show_clocks();
        let mut decoder = Decoder::default();
        let (mut verdicts, mut judging) = (Vec::new(), None);
        let (mut saved, mut woken) = (Instant::now(), Instant::now());
        while !stop.is_cancelled() {
            end.borrow_and_update();
            let records = self.journal.read(self.next, READ_BYTES)?;
            if records.is_empty() {
                wait(runtime, &mut end, stop, IDLE);
                if woken.elapsed() < QUICK {
                    std::thread::sleep(GATHER);
                }
                woken = Instant::now();
                continue;
            }
            let tests = self.tests(&mut judging);
            for (position, bytes) in records {
                let record = decoder.decode(&bytes)?;
                let now = self.step(&tests, record, &mut decoder, &mut verdicts);
                if !verdicts.is_empty() {
                    runtime.block_on(self.tell(position, &verdicts, now))?;
                    verdicts.clear();
                }
                self.next = position + 1;
            }
            self.behind.reached("engine", self.next);
            if SAVE_EVERY <= saved.elapsed() {
                self.save()?;
                saved = Instant::now();
            }
        }
        self.save()
    }

    /// The tests as they are now. Where they were replaced, what is known of stations that are gone is forgotten.
    fn tests(&mut self, judging: &mut Option<Arc<Tests>>) -> Arc<Tests> {
        let tests = self.tests.read().unwrap_or_else(PoisonError::into_inner).clone();
        if judging.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &tests)) {
            tests.tidy(&mut self.live);
            *judging = Some(tests.clone());
        }
        tests
    }

    fn step(
        &mut self,
        tests: &Tests,
        record: Record,
        decoder: &mut Decoder,
        verdicts: &mut Vec<Verdict>,
    ) -> Timestamp {
        let mut analyzer = self.analyzer.lock().unwrap_or_else(PoisonError::into_inner);
        match record {
            Record::Admitted(mut admitted) => {
                tests.judge(&mut self.live, Coming::Live, &mut admitted);
                analyzer.step(&admitted, verdicts);
                self.number(&admitted);
                // A report without a time of its own was taken when it came, and says nothing of a clock.
                if !admitted.replay && admitted.taken_at != admitted.received_at {
                    let (taken_at, received_at) = (admitted.taken_at, admitted.received_at);
                    self.clocks.note(&admitted.station, taken_at, received_at);
                }
                let now = admitted.received_at;
                decoder.reuse(admitted);
                now
            }
            // The past, for history alone: it says nothing of the water now.
            Record::Imported(admitted) => {
                let now = admitted.received_at;
                decoder.reuse(admitted);
                now
            }
            Record::Clock(now) => {
                analyzer.tick(now, verdicts);
                now
            }
        }
    }

    /// Notes the report's number.
    fn number(&self, admitted: &domain::Admitted) {
        let mut seqs = self.seqs.lock().unwrap_or_else(PoisonError::into_inner);
        match seqs.step(admitted) {
            Some(Heard::Opened(reports)) => {
                metrics::counter!("saltline_gaps_opened_total").increment(reports);
                tracing::info!(station = %admitted.station, seq = admitted.seq, reports, "gap");
            }
            Some(Heard::Filled) => metrics::counter!("saltline_gaps_filled_total").increment(1),
            Some(Heard::Reset) => {
                metrics::counter!("saltline_seq_resets_total").increment(1);
                tracing::info!(station = %admitted.station, seq = admitted.seq, "count began anew");
            }
            Some(Heard::Next | Heard::Known) | None => {}
        }
    }

    async fn tell(&self, position: u64, verdicts: &[Verdict], now: Timestamp) -> Result<(), Fatal> {
        for verdict in verdicts {
            metrics::counter!("saltline_verdicts_total", "why" => verdict.why.as_str())
                .increment(1);
            tracing::info!(
                rule = %verdict.rule, station = %verdict.station, water = ?verdict.water,
                value = verdict.value, why = %verdict.why, position, "verdict"
            );
        }
        self.alerting.consider(position, verdicts, now).await?;
        // People first, then machines.
        let standing = self.analyzer.lock().unwrap_or_else(PoisonError::into_inner).standing();
        for verdict in verdicts.iter().filter(|verdict| verdict.why != Why::FoundInBacklog) {
            self.outlet.warning(&verdict.station, &verdict.parameter, &standing);
        }
        Ok(())
    }

    fn show_clocks(&self) {
        let mut off = 0;
        for clock in self.clocks.all() {
            off += u32::from(CLOCK_OFF_MAX_MS < clock.ahead_ms.saturating_abs());
            let station = clock.station.to_string();
            metrics::gauge!("saltline_station_clock_offset_seconds", "station" => station)
                .set(clock.ahead_ms as f64 / 1e3);
        }
        metrics::gauge!("saltline_station_clocks_off").set(f64::from(off));
    }

    fn save(&self) -> Result<(), Fatal> {
        let analyzer = self.analyzer.lock().unwrap_or_else(PoisonError::into_inner).snapshot();
        let seqs = self.seqs.lock().unwrap_or_else(PoisonError::into_inner).save();
        let clocks = self.clocks.save();
        self.show_clocks();
        let shelf = self.save_live();
        match snapshot::save(&self.dir, &Saved { next: self.next, analyzer, seqs, clocks }) {
            Ok(()) => {
                shelf.clear(self.next);
                Ok(self.journal.set_cursor("engine", self.next)?)
            }
            Err(error) => {
                // The journal still holds everything; the next start only takes longer.
                tracing::error!(%error, "cannot save the engine's state");
                Ok(())
            }
        }
    }

    /// What the tests know, of the same moment as the snapshot and before it: a start asks for the one that belongs to it.
    fn save_live(&self) -> Shelf {
        let shelf = Shelf::of_engine(&self.dir);
        if !self.live.is_empty()
            && let Err(error) = shelf.save(self.next, &written(&self.live))
        {
            metrics::counter!("saltline_quality_state_failed_total", "follower" => "engine")
                .increment(1);
            tracing::error!(%error, "cannot write down what the tests know; the next start begins anew");
        }
        shelf
    }
}
