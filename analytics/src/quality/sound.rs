//! Whether a table can be believed: every name is in the book, no entry contradicts itself, and none stands where earlier
//! ones leave nothing. What is wrong is said with the entry that it stands in.

use domain::seawater::SalinityMethod;
use domain::{Parameter, ParameterCode, Station, StationCode};
use rustc_hash::{FxHashMap, FxHashSet};

use super::table::{SeriesEntry, SiteEntry, TypedLimits};
use super::{BadPlan, SiteClass, Table};

/// The table is none: which entry, and why. Entries are counted from 1, as they stand in the file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadTable {
    /// No station of this name.
    #[error("{entry}: no station `{station}` is known")]
    Station {
        /// Which entry.
        entry: String,
        /// The name.
        station: String,
    },
    /// No parameter of this name.
    #[error("{entry}: no parameter `{parameter}` is known")]
    Parameter {
        /// Which entry.
        entry: String,
        /// The name.
        parameter: String,
    },
    /// A list of stations without one.
    #[error("{0}: `stations` is empty")]
    Nowhere(String),
    /// Stations and a class at once.
    #[error("{0}: `stations` and `site` stand side by side; one says where it holds")]
    TwoPlaces(String),
    /// Limits are in a parameter's unit.
    #[error("{0}: `limits` without a `parameter`; they are in its unit")]
    LimitsOfAll(String),
    /// A test has limits and is off.
    #[error("{entry}: `{test}` has limits and is off")]
    OffWithLimits {
        /// Which entry.
        entry: String,
        /// Which test.
        test: domain::QualityTest,
    },
    /// Two entries say what one station is.
    #[error("{entry}: `{station}` stands in {first} already")]
    SiteTwice {
        /// Which entry.
        entry: String,
        /// The station.
        station: String,
        /// Where it stands.
        first: String,
    },
    /// Entries before it hold wherever it would.
    #[error("{0} never holds: entries before it take all that it fits")]
    Shadowed(String),
    /// A number of a test over several series, or of the clock, that makes no sense.
    #[error("{entry}: `{key}` is {found}")]
    Number {
        /// Which entry.
        entry: String,
        /// Which number.
        key: &'static str,
        /// What was found.
        found: f64,
    },
    /// A word that names no salinity method.
    #[error("{entry}: `salinity_method` is `{found}`")]
    Method {
        /// Which entry.
        entry: String,
        /// What was found.
        found: String,
        /// What would be one.
        source: domain::seawater::BadMethod,
    },
    /// Limits that contradict each other, or the station's rhythm.
    #[error("{entry}: `{parameter}` at `{station}`")]
    Limits {
        /// Which entry.
        entry: String,
        /// Of which parameter.
        parameter: ParameterCode,
        /// At which station.
        station: StationCode,
        /// What contradicts.
        source: BadPlan,
    },
}

/// What the entries say of stations, with their places in the table.
pub(super) type Sites<'a> = FxHashMap<StationCode, (usize, &'a SiteEntry)>;

pub(super) fn class(site: Option<&SiteEntry>) -> SiteClass {
    site.and_then(|site| site.class).unwrap_or(SiteClass::Inland)
}

pub(super) fn series_name(table: &Table, entry: usize) -> String {
    let parameter = table.series.get(entry).and_then(|it| it.parameter.as_deref());
    format!("[[series]] {} ({})", entry + 1, parameter.unwrap_or("every parameter"))
}

fn site_name(entry: usize) -> String {
    format!("[[site]] {}", entry + 1)
}

/// What each station is.
pub(super) fn sites<'a>(table: &'a Table, stations: &[Station]) -> Result<Sites<'a>, BadTable> {
    let mut sites = Sites::default();
    for (at, site) in table.site.iter().enumerate() {
        let entry = site_name(at);
        for code in known(&entry, &site.stations, stations)? {
            if let Some((first, _)) = sites.insert(code.clone(), (at, site)) {
                let (station, first) = (code.to_string(), site_name(first));
                return Err(BadTable::SiteTwice { entry, station, first });
            }
        }
        numbers(&entry, site)?;
        if let Some(found) = &site.salinity_method
            && let Err(source) = found.parse::<SalinityMethod>()
        {
            return Err(BadTable::Method { entry, found: found.clone(), source });
        }
    }
    Ok(sites)
}

fn known<'a>(
    entry: &str,
    codes: &[String],
    stations: &'a [Station],
) -> Result<Vec<&'a StationCode>, BadTable> {
    if codes.is_empty() {
        return Err(BadTable::Nowhere(entry.to_owned()));
    }
    let find = |code: &String| {
        let it = stations.iter().find(|station| station.code.as_str() == code);
        it.map(|station| &station.code)
            .ok_or_else(|| BadTable::Station { entry: entry.to_owned(), station: code.clone() })
    };
    codes.iter().map(find).collect()
}

fn numbers(entry: &str, site: &SiteEntry) -> Result<(), BadTable> {
    let exposure = site.exposure.map(|it| {
        [
            ("exposure.probe_m", it.probe_m, it.probe_m.is_finite()),
            ("exposure.margin_m", it.margin_m, it.margin_m.is_finite() && 0.0 <= it.margin_m),
        ]
    });
    let consistency = site.consistency.map(|it| {
        [("consistency.relative", it.relative), ("consistency.absolute", it.absolute)]
            .map(|(key, found)| (key, found, found.is_finite() && 0.0 < found))
    });
    let all = exposure.into_iter().flatten().chain(consistency.into_iter().flatten());
    match all.into_iter().find(|(_, _, sound)| !sound) {
        Some((key, found, _)) => Err(BadTable::Number { entry: entry.to_owned(), key, found }),
        None => Ok(()),
    }
}

pub(super) fn check(
    table: &Table,
    parameters: &[Parameter],
    stations: &[Station],
    sites: &Sites<'_>,
) -> Result<(), BadTable> {
    if let Some(clock) = table.stuck_clock
        && (clock.suspect < 2 || clock.fail <= clock.suspect)
    {
        let key = if clock.suspect < 2 { "suspect" } else { "fail" };
        let found = f64::from(if clock.suspect < 2 { clock.suspect } else { clock.fail });
        return Err(BadTable::Number { entry: "stuck_clock".to_owned(), key, found });
    }
    for (at, entry) in table.series.iter().enumerate() {
        sound(series_name(table, at), entry, parameters, stations)?;
    }
    shadows(table, parameters, stations, sites)
}

fn sound(
    name: String,
    entry: &SeriesEntry,
    parameters: &[Parameter],
    stations: &[Station],
) -> Result<(), BadTable> {
    if let Some(code) = &entry.parameter
        && !parameters.iter().any(|it| it.code.as_str() == code)
    {
        return Err(BadTable::Parameter { entry: name, parameter: code.clone() });
    }
    if let Some(codes) = &entry.stations {
        known(&name, codes, stations)?;
        if entry.site.is_some() {
            return Err(BadTable::TwoPlaces(name));
        }
    }
    if entry.parameter.is_none() && entry.limits != TypedLimits::default() {
        return Err(BadTable::LimitsOfAll(name));
    }
    match entry.contradicts() {
        Some(off) => Err(BadTable::OffWithLimits { entry: name, test: off.test() }),
        None => Ok(()),
    }
}

/// What entries have taken: everything of a place, or single stations, by parameter.
#[derive(Default)]
struct Taken<'a> {
    places: FxHashSet<(&'a str, SiteClass)>,
    stations: FxHashSet<(&'a str, &'a str)>,
}

const CLASSES: [SiteClass; 2] = [SiteClass::Coast, SiteClass::Inland];

/// An entry for which others leave nothing, whatever stations there will be.
fn shadows(
    table: &Table,
    parameters: &[Parameter],
    stations: &[Station],
    sites: &Sites<'_>,
) -> Result<(), BadTable> {
    let class_of = |code: &str| {
        let station = stations.iter().find(|station| station.code.as_str() == code);
        let site = station.and_then(|station| sites.get(&station.code));
        class(site.map(|(_, site)| *site))
    };
    let mut taken = Taken::default();
    for (at, entry) in table.series.iter().enumerate() {
        let mut holds = false;
        let of = parameters.iter().map(|it| it.code.as_str());
        for parameter in of.filter(|&it| entry.parameter.as_ref().is_none_or(|code| code == it)) {
            match &entry.stations {
                Some(codes) => {
                    for code in codes {
                        let free = !taken.places.contains(&(parameter, class_of(code)));
                        holds |= taken.stations.insert((parameter, code)) && free;
                    }
                }
                None => {
                    for class in CLASSES {
                        let here = entry.site.is_none_or(|site| site == class);
                        holds |= here && taken.places.insert((parameter, class));
                    }
                }
            }
        }
        if !holds {
            return Err(BadTable::Shadowed(series_name(table, at)));
        }
    }
    Ok(())
}
