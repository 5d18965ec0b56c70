//! All stations of the twin at once, each a task of its own, and what became of their reports.

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::VirtualTime;
use crate::estuary::{Estuary, SimStation, station};
use crate::keys::Key;
use crate::mqtt::{Door, Version};
use crate::station::{Backlog, Dials, Firmware, Life, Orders};
use crate::tally::{Tally, Totals};

/// How often the counters are logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// What a fleet is told.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// Where the engine is.
    pub door: Door,
    /// The stations with their keys.
    pub stations: Vec<(&'static SimStation, String)>,
    /// The seed of everything.
    pub seed: u64,
    /// How hard life is.
    pub dials: Dials,
    /// The virtual clock.
    pub time: VirtualTime,
    /// Virtual time between measurements.
    pub interval: Duration,
    /// How long all of them stood there without a link when they begin.
    pub away: Duration,
    /// What they do with what they could not send in time.
    pub backlog: Backlog,
    /// What they know of firmware; nothing, where there is none.
    pub firmware: Option<Firmware>,
}

/// A station that the twin does not have, or has no key for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownStation {
    /// Not one of the twin's.
    #[error("the twin has no station `{0}`")]
    NotHere(String),
    /// One of the twin's, without a key.
    #[error("there is no key for station `{0}`")]
    NoKey(String),
}

/// The stations that have keys, or those of them that are `wanted`.
///
/// # Errors
/// [`UnknownStation`] for a name that fits nothing.
pub fn choose(
    keys: &[Key],
    wanted: &[String],
) -> Result<Vec<(&'static SimStation, String)>, UnknownStation> {
    let missing = wanted.iter().find(|w| !keys.iter().any(|k| k.code == **w));
    if let Some(code) = missing {
        return Err(match station(code) {
            Some(_) => UnknownStation::NoKey(code.clone()),
            None => UnknownStation::NotHere(code.clone()),
        });
    }
    keys.iter()
        .filter(|k| wanted.is_empty() || wanted.contains(&k.code))
        .map(|k| {
            let place = station(&k.code).ok_or_else(|| UnknownStation::NotHere(k.code.clone()))?;
            Ok((place, k.key.clone()))
        })
        .collect()
}

impl Fleet {
    /// Lets all stations live until told to stop.
    pub async fn run(self, clock: Arc<dyn Clock>, stop: CancellationToken) -> Totals {
        let tally = Arc::new(Tally::default());
        let mut tasks = JoinSet::new();
        for (number, (place, key)) in self.stations.iter().enumerate() {
            let orders = self.orders(number, key);
            let life = Life::new(place, orders, Arc::clone(&clock), Arc::clone(&tally));
            tasks.spawn(life.run(stop.clone()));
        }
        let mut log = tokio::time::interval(LOG_EVERY);
        log.tick().await;
        loop {
            tokio::select! {
                ended = tasks.join_next() => match ended {
                    Some(Ok(())) => {}
                    Some(Err(error)) => tracing::error!(%error, "a station's task failed"),
                    None => break,
                },
                _ = log.tick() => self.log(&tally, clock.now()),
            }
        }
        self.log(&tally, clock.now());
        tally.totals()
    }

    /// Every other station speaks MQTT 3.1.1, the rest 5.
    fn orders(&self, number: usize, key: &str) -> Orders {
        Orders {
            estuary: Estuary::tien_giang(self.seed),
            seed: self.seed,
            dials: self.dials,
            time: self.time,
            interval: self.interval,
            away: self.away,
            backlog: self.backlog,
            door: self.door.clone(),
            key: Some(key.to_owned()),
            firmware: self.firmware.clone(),
            version: if number.is_multiple_of(2) { Version::V311 } else { Version::V5 },
        }
    }

    fn log(&self, tally: &Tally, real: Timestamp) {
        let t = tally.totals();
        tracing::info!(
            virtual_time = %self.time.at(real),
            measured = t.measured,
            sent = t.sent,
            acked = t.acked,
            refused = t.refused,
            queued = t.queued,
            dropped = t.dropped,
            "stations"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_station_is_chosen_only_with_a_key_and_a_place() {
        let key = |code: &str| Key { code: code.to_owned(), key: "k".to_owned() };
        let keys = [key("xuan-hoa"), key("my-tho")];
        let chosen = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|w| (*w).to_owned()).collect();
            choose(&keys, &wanted).map(|c| c.len())
        };
        assert_eq!(chosen(&[]), Ok(2));
        assert_eq!(chosen(&["my-tho"]), Ok(1));
        assert_eq!(chosen(&["go-cat"]), Err(UnknownStation::NoKey("go-cat".to_owned())));
        assert_eq!(chosen(&["hue"]), Err(UnknownStation::NotHere("hue".to_owned())));
        assert!(choose(&[key("hue")], &[]).is_err());
    }
}
