//! Judges a record: `judge PLAN.toml < time,value > flags`; `judge --defaults PARAMETER/CLASS/SECONDS` by what holds where
//! nothing is typed, as `salinity/coast/900`. Times are milliseconds since the epoch, an empty value is
//! missing. `judge --learned PARAMETER/CLASS/SECONDS GOOD.csv` by the same with the pace that those lines teach, which
//! are readings that were good; `judge --learn PARAMETER/CLASS/SECONDS STATION < GOOD.csv` prints that as an entry of
//! `quality.toml`. Prints a line per reading with the flag of each test of the plan, by number of the test, and the worst.
//! With `--repeat N` the record is judged N times and the seconds of one are printed instead: for `benches/quality.py`.

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use analytics::quality::{
    Limits, Pace, PaceAsked, Point, SiteClass, TestPlan, defaults, judge, settle,
};
use domain::{ParameterCode, QualityTest, StationCode, Timestamp, standard_parameters};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (limits, repeat) = match args.as_slice() {
        [word, of, station] if word == "--learn" => return print_learned(of, station),
        [word, of, good] if word == "--learned" => (learned(of, good)?, None),
        [word, of] if word == "--defaults" => (of_defaults(of)?, None),
        [plan, rest @ ..] => (toml::from_str(&std::fs::read_to_string(plan)?)?, rest.get(1)),
        [] => return Err("usage: judge PLAN.toml [--repeat N] < time_ms,value".into()),
    };
    let plan = TestPlan::new(&limits)?;
    let mut record = points(&std::io::read_to_string(std::io::stdin())?)?;
    settle(&mut record);
    match repeat {
        Some(times) => timed(&plan, &record, times.parse()?),
        None => print(&plan, &record)?,
    }
    Ok(())
}

fn of_defaults(text: &str) -> Result<Limits, Box<dyn Error>> {
    let [parameter, class, interval_s] = text.split('/').collect::<Vec<_>>()[..] else {
        return Err("as `salinity/coast/900`".into());
    };
    let known = standard_parameters();
    let parameter = known.iter().find(|known| known.code.as_str() == parameter);
    let class = match class {
        "coast" => SiteClass::Coast,
        "inland" => SiteClass::Inland,
        _ => return Err("a class is coast or inland".into()),
    };
    Ok(defaults(parameter.ok_or("no such parameter")?, class, interval_s.parse()?))
}

fn learned(of: &str, good: &str) -> Result<Limits, Box<dyn Error>> {
    let begin = of_defaults(of)?;
    Ok(pace(&begin, &std::fs::read_to_string(good)?)?.over(begin))
}

fn print_learned(of: &str, station: &str) -> Result<(), Box<dyn Error>> {
    let pace = pace(&of_defaults(of)?, &std::io::read_to_string(std::io::stdin())?)?;
    let parameter = ParameterCode::new(of.split('/').next().unwrap_or(of))?;
    print!("{}", pace.toml(&StationCode::new(station)?, &parameter));
    Ok(())
}

fn pace(begin: &Limits, good: &str) -> Result<Pace, Box<dyn Error>> {
    let history = points(good)?.into_iter().filter_map(|it| Some((it.at, it.value?)));
    Ok(Pace::from_history(history, begin, PaceAsked::default())?)
}

fn points(text: &str) -> Result<Vec<Point>, Box<dyn Error>> {
    text.lines().map(point).collect()
}

fn point(line: &str) -> Result<Point, Box<dyn Error>> {
    let (at, value) = line.split_once(',').ok_or("a line is `time_ms,value`")?;
    let value = if value.is_empty() { None } else { Some(value.parse()?) };
    Ok(Point::new(Timestamp::from_millis(at.parse()?), value))
}

fn print(plan: &TestPlan, record: &[Point]) -> Result<(), Box<dyn Error>> {
    let judged = judge(plan, record);
    let ran: Vec<QualityTest> = QualityTest::ALL
        .into_iter()
        .filter(|test| judged.iter().any(|verdicts| verdicts.get(*test).is_some()))
        .collect();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let names: Vec<&str> = ran.iter().map(|test| test.name()).collect();
    writeln!(out, "time_ms,{},worst", names.join(","))?;
    for (point, verdicts) in record.iter().zip(judged) {
        write!(out, "{}", point.at.as_millis())?;
        for test in &ran {
            write!(out, ",{}", verdicts.get(*test).map_or(0, domain::Flag::number))?;
        }
        writeln!(out, ",{}", verdicts.worst().number())?;
    }
    Ok(())
}

fn timed(plan: &TestPlan, record: &[Point], times: u32) {
    let start = Instant::now();
    for _ in 0..times {
        std::hint::black_box(judge(plan, std::hint::black_box(record)));
    }
    println!("{}", start.elapsed().as_secs_f64() / f64::from(times.max(1)));
}
