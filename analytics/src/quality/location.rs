//! QARTOD's location test: a station that says where it is must be inside of its box and where it was before. As in
//! `ioos_qc`, half a place is bad, no place is missing, and a jump is suspect.

use domain::{Flag, Place, Range};

/// What a station says of where it is, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Located {
    /// Degrees north.
    pub lat: Option<f64>,
    /// Degrees east.
    pub lon: Option<f64>,
}

/// Where a station may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Whereabouts {
    /// Degrees north and east, ends included: outside is bad.
    pub bounds: Option<(Range, Range)>,
    /// Metres between two reports, beyond which a place is suspect.
    pub jump_max_m: Option<f64>,
}

impl Whereabouts {
    /// The flag of a place, beside the one before it.
    #[must_use]
    pub fn judge(&self, located: Located, before: Option<Place>) -> Flag {
        let number = |it: Option<f64>| it.filter(|it| it.is_finite());
        match (number(located.lat), number(located.lon)) {
            (None, None) => Flag::Missing,
            (Some(lat), Some(lon)) => self.judge_place(Place { lat, lon }, before),
            _ => Flag::Bad,
        }
    }

    fn judge_place(&self, place: Place, before: Option<Place>) -> Flag {
        let on_earth = place.lat.abs() <= 90.0 && place.lon.abs() <= 180.0;
        let inside = |(lat, lon): (Range, Range)| lat.holds(place.lat) && lon.holds(place.lon);
        if !on_earth || !self.bounds.is_none_or(inside) {
            return Flag::Bad;
        }
        let jump = before.map(|before| metres(before, place));
        let jumped = jump.zip(self.jump_max_m).is_some_and(|(jump, most)| most < jump);
        if jumped { Flag::Suspect } else { Flag::Good }
    }
}

/// Along a great circle (haversine, on a sphere of 6,371 km as in GSW).
fn metres(a: Place, b: Place) -> f64 {
    let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
    let cosines = a.lat.to_radians().cos() * b.lat.to_radians().cos();
    let h = half(a.lat, b.lat) + cosines * half(a.lon, b.lon);
    2.0 * 6_371_000.0 * h.sqrt().min(1.0).asin()
}
