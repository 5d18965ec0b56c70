//! What each roll-out wants next, and done: seats given out, offers made, rings begun, halts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ::firmware::{Action, Candidate, Member, Stop, Terms, decide, seats};
use domain::{Digest, StationCode, Timestamp};
use registry::{
    RegistryError, Rollout, RolloutState, RolloutStation, RolloutTerms, StationFirmware, Steer,
};

use super::{Offered, Round};

/// Roll-outs that are looked at, the newest first: one of each model counts.
const ROLLOUTS_MAX: u32 = 200;

/// Who was not heard for so long is away, and waits for the last ring: a day holds an outage of the network and a night
/// without sun.
const AWAY_AFTER: Duration = Duration::from_hours(24);

/// Steps of a roll-out at one look: three rings, each begun, offered and found empty.
const STEPS_MAX: usize = 8;

/// When each station was heard last.
type Heard = HashMap<StationCode, Timestamp>;

impl Round {
    /// Lets every roll-out go as far as it may now, and gathers what is offered to whom.
    pub(super) async fn go_on(&mut self, now: Timestamp) -> Result<(), RegistryError> {
        let counts = counting(self.desk.registry.rollouts(ROLLOUTS_MAX).await?);
        let halted = counts.iter().filter(|r| r.state == RolloutState::Halted).count();
        let open = counts.iter().filter(|r| !r.state.is_over()).count();
        metrics::gauge!("saltline_firmware_rollouts_open").set(open as f64);
        metrics::gauge!("saltline_firmware_rollouts_halted").set(halted as f64);
        let heard = if open == 0 { Heard::new() } else { self.heard() };
        if 0 < open {
            self.learn_intervals().await?;
        }
        let mut offers = HashMap::new();
        let mut needed = HashSet::new();
        for rollout in counts {
            let rollout = self.steps(rollout, &heard, now).await?;
            if matches!(rollout.state, RolloutState::Made | RolloutState::Halted) {
                continue;
            }
            // Proved once, and held open for as long as anybody may be offered it.
            if !rollout.state.is_over() {
                needed.insert(rollout.release.digest);
            }
            let offered = self.desk.registry.offered_stations(&rollout.id).await?;
            if offered.is_empty() || !self.is_open(&rollout).await? {
                continue;
            }
            let image = self.desk.registry.image(&rollout.release.digest).await?;
            let Some(image) = image else { continue };
            needed.insert(rollout.release.digest);
            let offer = Arc::new(Offered { rollout: rollout.id.clone(), image });
            offers.extend(offered.into_iter().map(|station| (station, Arc::clone(&offer))));
        }
        self.offers = offers;
        self.open.retain(|digest, _| needed.contains(digest));
        Ok(())
    }

    /// Does what a roll-out wants, until it wants nothing now; gives it back as it stands then.
    async fn steps(
        &mut self,
        mut rollout: Rollout,
        heard: &Heard,
        now: Timestamp,
    ) -> Result<Rollout, RegistryError> {
        for _ in 0..STEPS_MAX {
            let went = match rollout.state {
                RolloutState::Made => self.seat(&rollout, heard, now).await?,
                RolloutState::Going | RolloutState::Paused => {
                    self.step(&rollout, heard, now).await?
                }
                RolloutState::Halted | RolloutState::Done => false,
            };
            if !went {
                break;
            }
            let Some(after) = self.engine().rollout(&rollout.id).await? else { break };
            rollout = after;
        }
        Ok(rollout)
    }

    fn engine(&self) -> registry::Registry {
        self.desk.registry.by("engine")
    }

    /// Gives out the seats to the stations of this model that run something older.
    async fn seat(
        &self,
        rollout: &Rollout,
        heard: &Heard,
        now: Timestamp,
    ) -> Result<bool, RegistryError> {
        let (id, release) = (&rollout.id, &rollout.release);
        let of_model = |one: &StationFirmware| one.model.as_ref() == Some(&release.model);
        let older = |one: &StationFirmware| one.version.is_none_or(|is| is < release.version);
        let stations = self.engine().station_firmwares().await?;
        let candidate = |one: &StationFirmware| Candidate {
            named: rollout.named.contains(&one.station),
            present: heard.get(&one.station).is_some_and(|at| now.since(*at) < AWAY_AFTER),
            station: one.station.clone(),
        };
        let fit = stations.iter().filter(|one| of_model(one) && older(one));
        let candidates: Vec<Candidate> = fit.map(candidate).collect();
        for named in &rollout.named {
            if !candidates.iter().any(|candidate| candidate.station == *named) {
                let why = "it is of another model, or runs this version already";
                tracing::warn!(rollout = id, station = %named, why, "not in the first ring");
            }
        }
        if candidates.is_empty() {
            let why = "no station of this model is known to run an older version";
            self.engine().steer_rollout(id, Steer::Halt, why).await?;
            tracing::warn!(rollout = id, why, "roll-out halted");
            return Ok(true);
        }
        let seats: Vec<(StationCode, u8)> =
            seats(id, &candidates).into_iter().map(|seat| (seat.station, seat.ring)).collect();
        self.engine().seat_rollout(id, &seats).await?;
        tracing::info!(rollout = id, stations = seats.len(), version = %release.version, "roll-out begins");
        Ok(true)
    }

    /// One step of a roll-out that goes; false where it waits.
    async fn step(
        &mut self,
        rollout: &Rollout,
        heard: &Heard,
        now: Timestamp,
    ) -> Result<bool, RegistryError> {
        let Some((ring, _)) = rollout.ring else { return Ok(false) };
        if !self.is_open(rollout).await? {
            return Ok(true);
        }
        let id = &rollout.id;
        let stations = self.desk.registry.rollout_stations(id).await?;
        let members: Vec<Member> = stations.iter().map(|one| self.member(one, heard)).collect();
        let goes = rollout.state == RolloutState::Going;
        let action = decide(now, self.awake_since, (ring, goes), &terms(&rollout.terms), &members);
        match action {
            None => return Ok(false),
            Some(Action::Offer(to)) => {
                tracing::info!(rollout = id, stations = to.len(), ring = ring + 1, "offering");
                self.engine().offer_image(id, &to).await?;
            }
            Some(Action::Next(ring)) => {
                tracing::info!(rollout = id, ring = ring + 1, "the next ring begins");
                self.engine().next_ring(id, ring).await?;
            }
            Some(Action::Done) => {
                tracing::info!(rollout = id, "every ring is healthy");
                self.engine().finish_rollout(id).await?;
            }
            Some(Action::Halt(stop)) => self.halt(rollout, &stop).await?,
        }
        Ok(true)
    }

    async fn halt(&self, rollout: &Rollout, stop: &Stop) -> Result<(), RegistryError> {
        let bad: Vec<(StationCode, &'static str)> =
            stop.bad.iter().map(|(station, bad)| (station.clone(), bad.as_str())).collect();
        let words: Vec<String> =
            bad.iter().take(10).map(|(station, what)| format!("{station} {what}")).collect();
        let more = bad.len().saturating_sub(words.len());
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let why = format!("ring {}: {}{more}", stop.ring + 1, words.join(", "));
        let what = bad.first().map_or("silent", |(_, what)| what);
        metrics::counter!("saltline_firmware_halts_total", "why" => what).increment(1);
        let version = rollout.release.version;
        tracing::error!(rollout = rollout.id, %version, why, "roll-out halted: look at these stations");
        self.engine().halt_rollout(&rollout.id, &why, &bad).await?;
        Ok(())
    }

    /// Is the image there and right? Where it is not, the roll-out halts.
    async fn is_open(&mut self, rollout: &Rollout) -> Result<bool, RegistryError> {
        let digest: Digest = rollout.release.digest;
        if self.open.contains_key(&digest) {
            return Ok(true);
        }
        let Some(image) = self.desk.registry.image(&digest).await? else { return Ok(false) };
        match self.desk.images.open(&image) {
            Ok(open) => {
                self.open.insert(digest, open);
                Ok(true)
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                let why = format!("the image cannot be served: {error}{cause}");
                metrics::counter!("saltline_firmware_halts_total", "why" => "image").increment(1);
                tracing::error!(rollout = rollout.id, why, "roll-out halted");
                self.engine().steer_rollout(&rollout.id, Steer::Halt, &why).await?;
                Ok(false)
            }
        }
    }

    fn member(&self, one: &RolloutStation, heard: &Heard) -> Member {
        Member {
            station: one.station.clone(),
            ring: one.ring,
            interval: self.intervals.1.get(&one.station).copied().unwrap_or_default(),
            offered_at: one.offered_at,
            installing_at: one.installing_at,
            running_at: one.running_at,
            failed: one.failed.map(|(_, fault)| fault),
            excused: one.excused_at.is_some(),
            heard_at: heard.get(&one.station).copied(),
        }
    }

    /// When a reading of each station came last.
    fn heard(&self) -> Heard {
        let mut heard = Heard::new();
        for latest in self.desk.history.latest_all() {
            let at = heard.entry(latest.station).or_insert(latest.received_at);
            *at = (*at).max(latest.received_at);
        }
        heard
    }

    async fn learn_intervals(&mut self) -> Result<(), RegistryError> {
        let version = Some(self.desk.registry.version().await?);
        if self.intervals.0 != version {
            let stations = self.desk.registry.stations().await?;
            let intervals = stations.into_iter().map(|one| (one.code, one.interval)).collect();
            self.intervals = (version, intervals);
        }
        Ok(())
    }
}

/// Of each model the roll-out that is not over, or else the newest. These are given newest first.
fn counting(all: Vec<Rollout>) -> Vec<Rollout> {
    let (mut counts, over): (Vec<Rollout>, Vec<Rollout>) =
        all.into_iter().partition(|rollout| !rollout.state.is_over());
    for rollout in over {
        if !counts.iter().any(|other| other.release.model == rollout.release.model) {
            counts.push(rollout);
        }
    }
    counts
}

fn terms(terms: &RolloutTerms) -> Terms {
    let RolloutTerms { soak, silent_after, silent_intervals, healthy_percent } = *terms;
    Terms { soak, silent_after, silent_intervals, healthy_percent }
}
