//! What was learned as it stands in `quality.toml`, with where it comes from: a person can look at it and paste it.

use std::fmt::{self, Display, Formatter};

use domain::{ParameterCode, StationCode};

use super::super::limits::{Flat, Levels, Limits, Rate, UnitSlip};
use super::super::{Off, SeriesEntry, TypedLimits};
use super::Pace;

impl Pace {
    /// What was learned, in place of single limits of the defaults.
    #[must_use]
    pub fn limits(&self) -> TypedLimits {
        TypedLimits {
            fresh_below: self.fresh_below,
            spike_differential: self.spike_differential,
            rate: self.rate,
            flat: self.flat,
            unit_slip: self.unit_slip,
            ..TypedLimits::default()
        }
    }

    /// The tests that this water does not bear.
    #[must_use]
    pub fn off(&self) -> Vec<Off> {
        self.off.iter().map(|(off, _)| *off).collect()
    }

    /// The limits to begin with, with what was learned in place of theirs.
    #[must_use]
    pub fn over(&self, begin: Limits) -> Limits {
        self.anywhere().over(begin)
    }

    /// The `[[series]]` entry of one series, for a [`super::super::Table`]. It must stand before others that fit.
    #[must_use]
    pub fn entry(&self, station: &StationCode, parameter: &ParameterCode) -> SeriesEntry {
        SeriesEntry {
            parameter: Some(parameter.to_string()),
            stations: Some(vec![station.to_string()]),
            ..self.anywhere()
        }
    }

    /// The same as text for `quality.toml`, with where it comes from.
    #[must_use]
    pub fn toml(&self, station: &StationCode, parameter: &ParameterCode) -> String {
        let names = self.off().into_iter().map(|off| format!("\"{}\"", off.test().name()));
        let off = names.collect::<Vec<_>>().join(", ");
        format!(
            "{self}[[series]]\nparameter = \"{parameter}\"\nstations = [\"{station}\"]\ndefaults = true\noff = [{off}]\n{}",
            Lines(self)
        )
    }

    fn anywhere(&self) -> SeriesEntry {
        let (limits, off) = (self.limits(), self.off());
        SeriesEntry { defaults: true, limits, off, ..SeriesEntry::default() }
    }
}

/// Where it comes from, as comments of TOML.
impl Display for Pace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from.to_local_rfc3339(), self.to.to_local_rfc3339());
        writeln!(f, "# Learned from {} readings, {from} to {to}:", self.count)?;
        writeln!(
            f,
            "# {} weeks, one reading every {} s, in steps of {}.",
            self.weeks, self.interval_s, self.resolution
        )?;
        for (off, why) in &self.off {
            writeln!(f, "# {} is off: the water {why}.", off.test().name())?;
        }
        Ok(())
    }
}

/// A line for each limit.
struct Lines<'a>(&'a Pace);

impl Display for Lines<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(pace) = self;
        let mut line = |key: &str, value: Option<String>| match value {
            Some(value) => writeln!(f, "limits.{key} = {value}"),
            None => Ok(()),
        };
        line("fresh_below", pace.fresh_below.map(|it| format!("{it:?}")))?;
        line("rate", pace.rate.map(rate))?;
        line("spike_differential", pace.spike_differential.map(spike))?;
        line("flat", pace.flat.map(flat))?;
        line("unit_slip", pace.unit_slip.map(unit_slip))
    }
}

fn rate(Rate { suspect_per_hour, fail_per_hour }: Rate) -> String {
    let fail = also("fail_per_hour", fail_per_hour);
    format!("{{ suspect_per_hour = {suspect_per_hour:?}{fail} }}")
}

fn spike(Levels { suspect, fail }: Levels) -> String {
    format!("{{ suspect = {suspect:?}{} }}", also("fail", fail))
}

fn flat(Flat { suspect_h, fail_h, tolerance, above }: Flat) -> String {
    let (fail, above) = (also("fail_h", fail_h), also("above", above));
    format!("{{ suspect_h = {suspect_h:?}{fail}, tolerance = {tolerance:?}{above} }}")
}

fn unit_slip(UnitSlip { least, hold_h }: UnitSlip) -> String {
    format!("{{ least = {least:?}, hold_h = {hold_h:?} }}")
}

fn also(key: &str, value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!(", {key} = {value:?}"))
}
