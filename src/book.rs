//! The registry is read again when somebody changed it, by whichever process: the command line works beside a running
//! engine.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use alerting::Alerting;
use analytics::rules::Standing;
use domain::{Clock, Timestamp, Water};
use ingest::mqtt::Reviewer;
use ingest::{Intake, ParameterTable};
use tokio_util::sync::CancellationToken;

use crate::assembly::{Fatal, roster};
use crate::clock::SystemClock;
use crate::engine::SharedAnalyzer;
use crate::judge::{SharedTests, Tests};
use crate::publish::Outlet;
use crate::rules::{Rules, SharedRules};
use crate::store::Store;

/// How often the registry is asked whether somebody changed it.
pub const BOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks at the registry between two clean-ups of expired logins: an hour.
const SESSIONS_EVERY: u32 = 3_600;

/// Reads the registry again when somebody changed it.
pub struct Book {
    /// The registry, and all else.
    pub store: Store,
    /// The version that was read last.
    pub seen: u64,
    /// How often it was looked at.
    pub looks: u32,
    /// The time, for alerts that are withdrawn.
    pub clock: Arc<dyn Clock>,
    /// Judges by the parameters, and by what the province typed of its tests.
    pub tests: SharedTests,
    /// Judges by the rules and intervals.
    pub analyzer: SharedAnalyzer,
    /// Which rules can be computed.
    pub rules: SharedRules,
    /// Tells the people of the roster.
    pub alerting: Alerting,
    /// Admits the parameters, and knows whom other people speak of.
    pub intake: Intake,
    /// Publishes with their units.
    pub outlet: Outlet,
    /// Ends connections whose key does not open any more.
    pub reviewer: Reviewer,
    /// When the next key or token ends by itself.
    pub next_end: Option<Timestamp>,
}

impl Book {
    /// Looks until told to stop. What cannot be read is tried again; meanwhile what is known stays.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(BOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.look().await {
                metrics::counter!("saltline_registry_read_failed_total").increment(1);
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "cannot read the registry; going on with what is known"
                );
            }
        }
    }

    /// A book that cannot be read is an error of the look itself, so the review is begun again with the next.
    async fn review(&mut self) {
        match self.reviewer.review().await {
            Ok(next_end) => self.next_end = next_end,
            Err(_) => self.next_end = Some(SystemClock.now()),
        }
    }

    async fn look(&mut self) -> Result<(), Fatal> {
        if self.looks.is_multiple_of(SESSIONS_EVERY) {
            // Whoever logs in does so by the clock on the wall, also in a demo that runs faster.
            self.store.registry.drop_expired_sessions(SystemClock.now()).await?;
        }
        self.looks = self.looks.wrapping_add(1);
        let version = self.store.registry.version().await?;
        let (first, moved) = (self.looks == 1, version != self.seen);
        if moved {
            self.store.registry.refresh_keys().await?;
        }
        if first || moved || self.next_end.is_some_and(|end| end <= SystemClock.now()) {
            self.review().await;
        }
        if moved {
            // Whoever was let in by the keys of a moment ago and had no connection yet is found by a second look.
            self.next_end = Some(SystemClock.now());
        }
        if !moved {
            return self.withdraw(&self.rules.get()).await;
        }
        let roster = roster(&self.store).await?;
        let rules = Rules::sort(&roster);
        // Before anything else changes: whom a rule's duties named is known only as long as the rule is.
        self.withdraw(&rules).await?;
        let before = self.standing();
        let tests = Arc::new(Tests::of(&self.store.registry).await?);
        *self.tests.write().unwrap_or_else(PoisonError::into_inner) = tests;
        self.intake.set_parameters(ParameterTable::new(&roster.parameters));
        self.intake.stations().set(self.store.registry.stations().await?);
        self.outlet.set_parameters(&roster.parameters);
        let intervals: Vec<_> =
            roster.stations.iter().map(|s| (s.code.clone(), s.interval)).collect();
        {
            let mut analyzer = self.analyzer.lock().unwrap_or_else(PoisonError::into_inner);
            analyzer.set_intervals(intervals);
            analyzer.set_rules(rules.usable.clone())?;
        }
        self.rules.set(rules);
        self.alerting.set_roster(roster);
        let now = self.standing();
        for one in before.iter().filter(|one| one.water != Water::Safe) {
            self.outlet.warning(&one.station, &one.parameter, &now);
        }
        self.seen = version;
        tracing::info!(version, "registry read again");
        Ok(())
    }

    /// Ends alerts that nobody watches any more, for people first, then on MQTT.
    async fn withdraw(&self, rules: &Rules) -> Result<(), Fatal> {
        let ended = rules.withdraw(&self.alerting, self.clock.now()).await?;
        let standing = if ended.is_empty() { Vec::new() } else { self.standing() };
        for alert in ended {
            let others: Vec<_> =
                standing.iter().filter(|one| one.rule != alert.rule).cloned().collect();
            self.outlet.warning(&alert.station, &alert.parameter, &others);
        }
        Ok(())
    }

    fn standing(&self) -> Vec<Standing> {
        self.analyzer.lock().unwrap_or_else(PoisonError::into_inner).standing()
    }
}
