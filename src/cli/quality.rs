//! `saltline quality …`: what the tests of the stream may ask of a station, learned from its own history.

use analytics::quality::{Pace, PaceAsked, SiteClass, Table, defaults};
use clap::{Args, Subcommand, ValueEnum};
use domain::{Act, Edit, Flag, Parameter, ParameterCode, Station, TestFlags, Timestamp};
use history::Tested;
use registry::Registry;

use super::{Place, Trouble, output, station};
use crate::judge::{BadDocument, BadPack, Tests};
use crate::readout::{self, ReadoutError};
use crate::store::open_registry;

/// What the tests of the stream may ask of a station.
#[derive(Args)]
pub struct Quality {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    act: Does,
}

#[derive(Subcommand)]
enum Does {
    /// Learn from a series' good readings how fast its water moves and how long it stands still, and print that as an
    /// entry for `quality.toml`. Nothing is changed: look at it, put it before the other entries, import the pack.
    Learn(Learn),
}

#[derive(Args)]
struct Learn {
    /// The station's code.
    station: String,
    /// The parameter's code.
    parameter: String,
    /// What the station is; as quality.toml says it, else inland.
    #[arg(long, value_enum)]
    class: Option<Class>,
    /// The oldest reading to learn from, RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The first reading that is not learned from, RFC 3339.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Class {
    Coast,
    Inland,
}

impl Quality {
    /// Does it.
    pub async fn run(self) -> Result<(), Trouble> {
        let dir = self.place.settings()?.data_dir;
        let registry = open_registry(&dir).await?;
        let Does::Learn(learn) = self.act;
        let (station, parameter) = learn.series(&registry).await?;
        let span = learn.span()?;
        let tests = Tests::of(&registry).await?;
        let (look, _) = readout::look(&dir, &tests)?;
        let readings = look.test_flags(&station.code, &parameter.code, span, None);
        let readings = readings.map_err(ReadoutError::from)?;
        let edits = registry.edits().await?;
        let taken_away = |at: Timestamp| edits.iter().any(|it| ends(it, &station, &parameter, at));
        let good = readings.iter().filter(|it| bears(it) && !taken_away(it.taken_at));
        let good = good.filter_map(|it| Some((it.taken_at, it.value?)));
        let interval_s = u32::try_from(station.interval.as_secs()).unwrap_or(u32::MAX);
        let begin = defaults(&parameter, learn.class(&station, &registry).await?, interval_s);
        let pace = Pace::from_history(good, &begin, PaceAsked::default()).map_err(|why| {
            Trouble::No(format!("nothing is learned of {}/{}: {why}", station.code, parameter.code))
        })?;
        output::print(&pace.toml(&station.code, &parameter.code))
    }
}

impl Learn {
    async fn series(&self, registry: &Registry) -> Result<(Station, Parameter), Trouble> {
        let code = station::parse(&self.station)?;
        let station = registry.stations().await?.into_iter().find(|it| it.code == code);
        let station =
            station.ok_or_else(|| Trouble::No(format!("there is no station `{code}`")))?;
        let code = ParameterCode::new(&self.parameter)
            .map_err(|error| Trouble::Usage(format!("`{}`: {error}", self.parameter)))?;
        let parameter = registry.parameters().await?.into_iter().find(|it| it.code == code);
        let absent = || Trouble::No(format!("there is no parameter `{code}`"));
        Ok((station, parameter.ok_or_else(absent)?))
    }

    fn span(&self) -> Result<(Timestamp, Timestamp), Trouble> {
        let time = |text: &Option<String>, else_ms: i64| match text {
            None => Ok(Timestamp::from_millis(else_ms)),
            Some(text) => Timestamp::parse_rfc3339(text)
                .map_err(|error| Trouble::Usage(format!("`{text}`: {error}"))),
        };
        Ok((time(&self.from, i64::MIN)?, time(&self.to, i64::MAX)?))
    }

    /// What was typed, else what the province's table says of the station.
    async fn class(&self, station: &Station, registry: &Registry) -> Result<SiteClass, Trouble> {
        if let Some(class) = self.class {
            return Ok(match class {
                Class::Coast => SiteClass::Coast,
                Class::Inland => SiteClass::Inland,
            });
        }
        let document = registry.quality().await?.unwrap_or_default();
        let bad = |error| Trouble::Tests(BadPack::Document(BadDocument::Text(error)));
        let table: Table = toml::from_str(&document).map_err(bad)?;
        let named = |code: &String| code == station.code.as_str();
        let mut sites = table.site.iter().filter(|site| site.stations.iter().any(named));
        Ok(sites.find_map(|site| site.class).unwrap_or(SiteClass::Inland))
    }
}

/// May be learned from it? Where no test has spoken, its own flag says so.
fn bears(reading: &Tested) -> bool {
    match reading.tests {
        TestFlags::NONE => matches!(reading.flag, Flag::Good | Flag::NotEvaluated),
        tests => Pace::bears(tests),
    }
}

/// Did somebody say that this was not the water?
fn ends(edit: &Edit, station: &Station, parameter: &Parameter, at: Timestamp) -> bool {
    let own = edit.station == station.code && edit.parameter == parameter.code;
    let holds = edit.withdrawn.is_none() && edit.from <= at && at < edit.to;
    own && holds && matches!(edit.act, Act::Remove | Act::Interpolate { .. })
}
