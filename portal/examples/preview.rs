//! Serves the pages on loopback with the stations and rivers of a province pack and a made-up tide, to be looked at.
//! The address is printed. Sign in as `truc` with `nuoc man vao song`.
//!
//! `cargo run -p portal --example preview -- [PACK]`

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use domain::standard_parameters;
use portal::view::{Book, Course, River};
use registry::RiverKind;
use tokio_util::sync::CancellationToken;

#[path = "../tests/portal/fixture.rs"]
mod fixture;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let province = match std::env::args().nth(1) {
        Some(pack) => fixture::of_book(book(Path::new(&pack))?, mean, "vam-giong"),
        None => fixture::province(),
    };
    let listener = portal::bind("127.0.0.1:0".parse()?).await?;
    println!("http://{}", listener.local_addr()?);
    let stop = CancellationToken::new();
    portal::serve_view(listener, Arc::new(province), fixture::settings(true), stop).await?;
    Ok(())
}

fn book(pack: &Path) -> Result<Book, Box<dyn Error>> {
    let pack = registry::pack::read_dir(pack)?;
    let rivers = pack.rivers.into_iter().map(|river| River {
        course: match river.kind {
            RiverKind::River => Course::River,
            RiverKind::Canal => Course::Canal,
            RiverKind::Coast => Course::Coast,
        },
        code: river.code,
        name: river.name,
        name_en: river.name_en,
        line: river.line,
    });
    Ok(Book {
        stations: pack.stations,
        parameters: standard_parameters(),
        rivers: rivers.collect(),
        rules: pack.rules,
        edits: std::collections::HashMap::new(),
    })
}

/// Salt falls off upstream; what has no kilometre is brackish.
fn mean(station: &domain::Station) -> f64 {
    station.km_from_mouth.map_or(4.0, |km| 15.0 * (-km / 15.0).exp() + 0.1)
}
