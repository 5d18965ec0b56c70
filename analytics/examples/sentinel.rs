//! The sentinel over one record: CSV on stdin, what it finds on stdout; `benches/sentinel.py` runs it.
//!
//! In: `time,learn,<parameter>,…`; the time in milliseconds, `learn` a 1 or 0 for each parameter (is the value good and to be
//! learned from?), empty from where on it is to be judged with what was learned. Arguments: limits as JSON, seconds between
//! readings. Out: `M,time,parameter,reason` (a mark), `R,time,parameter,reason,from,to` (a revision),
//! `O,time,reason,since,confidence,days` (an order).

use std::io::{self, BufRead, Write};
use std::time::Duration;

use analytics::sentinel::{Learner, Limits, Sense, Sensor, Sentinel};
use domain::{ParameterCode, Timestamp};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limits: Limits = match std::env::args().nth(1) {
        Some(text) => serde_json::from_str(&text)?,
        None => Limits::default(),
    };
    let stdin = io::stdin().lock();
    let mut lines = stdin.lines();
    let head = lines.next().ok_or("no header")??;
    let sensors: Vec<Sensor> = head
        .split(',')
        .skip(2)
        .map(|name| {
            Ok::<_, Box<dyn std::error::Error>>(Sensor {
                parameter: ParameterCode::new(name)?,
                sense: match name {
                    "salinity" | "conductivity_25" => Sense::Salt,
                    "water_level" => Sense::Level,
                    "water_temperature" => Sense::Temperature,
                    _ => Sense::Other,
                },
                resolution: match name {
                    "water_level" | "conductivity_25" => 0.01,
                    "turbidity" => 1.0,
                    _ => 0.1,
                },
            })
        })
        .collect::<Result<_, _>>()?;
    let mut known = false;
    let mut sentinel: Option<Sentinel> = None;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let interval = Duration::from_secs(std::env::args().nth(2).map_or(Ok(900), |it| it.parse())?);
    let mut learner = Learner::new(&sensors, interval);
    for line in lines {
        let line = line?;
        let mut cells = line.split(',');
        let at: i64 = cells.next().ok_or("no time")?.parse()?;
        let learn = cells.next().unwrap_or_default().as_bytes();
        let values: Vec<Option<f64>> = cells.map(|cell| cell.parse().ok()).collect();
        if !learn.is_empty() {
            let good: Vec<Option<f64>> =
                values.iter().zip(learn).map(|(v, l)| v.filter(|_| *l == b'1')).collect();
            learner.push(Timestamp::from_millis(at), &good);
        } else if !known {
            known = true;
            if let Some(sentinel) = &mut sentinel {
                let envelope = learner.clone().envelope();
                sentinel.know(&envelope);
            }
        }
        let sentinel = sentinel.get_or_insert_with(|| Sentinel::new(&sensors, interval, limits));
        let found = sentinel.push(Timestamp::from_millis(at), &values);
        for (i, mark) in found.marks.iter().enumerate() {
            if let Some(reason) = mark.reason {
                writeln!(out, "M,{at},{},{reason}", sensors[i].parameter)?;
            }
        }
        if let Some(order) = found.order {
            writeln!(
                out,
                "O,{at},{},{},{:.2},{:.1}",
                order.reason,
                order.since.as_millis(),
                order.confidence,
                order.days_to_clean
            )?;
        }
        for it in found.revisions {
            writeln!(
                out,
                "R,{at},{},{},{},{}",
                it.parameter,
                it.reason,
                it.from.as_millis(),
                it.to.as_millis()
            )?;
        }
    }
    out.flush()?;
    Ok(())
}
