//! The stations of the province that the twin stands in for, and the water each of them stands in.
//!
//! Coordinates and kilometres are those published for the places; where a kilometre was only read off a map the table
//! says so. Left out, because a coordinate or the kilometre is not known or the branch has no measured regime: Giao Hòa,
//! Mỹ Hóa, Cầu Nổi, Tân An, Phú Phong, Vàm Ba Rài, Vàm Trà Lọt, Bảo Định (which stands behind its gate).

/// A station of the twin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimStation {
    /// Its key, also its MQTT user name and client id.
    pub code: &'static str,
    /// Its name as people write it.
    pub name: &'static str,
    /// Degrees north, WGS 84.
    pub lat: f64,
    /// Degrees east, WGS 84.
    pub lon: f64,
    /// The river branch or canal it stands on.
    pub river: &'static str,
    /// Kilometres from the river's mouth; a canal has none.
    pub km: Option<f64>,
    pub(super) water: WaterBody,
}

/// Which law of tide and salt holds at a station.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaterBody {
    /// A river branch: everything follows from the kilometre.
    River,
    /// The Salisette canal near the sea, measured on its own (Long Uông).
    Salisette,
    /// The canal that takes salt from the Vàm Cỏ as well: salty for months, with a tiny daily swing.
    ChoGao,
}

/// Every station, from the sea inland.
#[must_use]
pub fn stations() -> &'static [SimStation] {
    &STATIONS
}

/// The station of that code.
#[must_use]
pub fn station(code: &str) -> Option<&'static SimStation> {
    STATIONS.iter().find(|s| s.code == code)
}

const STATIONS: [SimStation; 14] = [
    river("rach-bun", "Rạch Bùn", 10.3602, 106.7759, "Biển Gò Công Đông", 0.0),
    river("vam-kenh", "Vàm Kênh", 10.2740, 106.7370, "Cửa Tiểu", 2.0),
    // By map: 8–9 km above the mouth of the Cửa Đại.
    river("binh-dai", "Bình Đại", 10.2040, 106.7056, "Cửa Đại", 9.0),
    SimStation {
        code: "long-uong",
        name: "Long Uông",
        lat: 10.3228,
        lon: 106.7050,
        river: "Kênh Salisette",
        km: None,
        water: WaterBody::Salisette,
    },
    river("hoa-binh", "Hòa Bình", 10.2903, 106.5924, "Cửa Tiểu", 18.0),
    // By map.
    river("loc-thuan", "Lộc Thuận", 10.2431, 106.5833, "Cửa Đại", 23.0),
    // By map, 23–25.
    river("vam-giong", "Vàm Giồng", 10.3021, 106.5487, "Cửa Tiểu", 24.0),
    // By map.
    river("an-dinh", "An Định", 10.3115, 106.4288, "Sông Tiền", 38.0),
    river("xuan-hoa", "Xuân Hòa", 10.3366, 106.4103, "Sông Tiền", 42.0),
    river("my-tho", "Mỹ Tho", 10.3469, 106.3470, "Sông Tiền", 46.0),
    // By map, 48–50.
    river("dong-tam", "Đồng Tâm", 10.3298, 106.3344, "Sông Tiền", 49.0),
    river("xoai-hot", "Xoài Hột", 10.35, 106.31, "Sông Tiền", 51.0),
    river("kinh-xang", "Kinh Xáng", 10.34, 106.28, "Sông Tiền", 55.0),
    SimStation {
        code: "go-cat",
        name: "Gò Cát",
        lat: 10.3646,
        lon: 106.3702,
        river: "Kênh Chợ Gạo",
        km: None,
        water: WaterBody::ChoGao,
    },
];

const fn river(
    code: &'static str,
    name: &'static str,
    lat: f64,
    lon: f64,
    river: &'static str,
    km: f64,
) -> SimStation {
    SimStation { code, name, lat, lon, river, km: Some(km), water: WaterBody::River }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_can_be_a_user_name_and_is_the_only_one() {
        for s in stations() {
            assert!(domain::StationCode::new(s.code).is_ok(), "{}", s.code);
            assert_eq!(stations().iter().filter(|o| o.code == s.code).count(), 1, "{}", s.code);
            assert!((9.9..10.6).contains(&s.lat) && (105.9..106.9).contains(&s.lon), "{}", s.code);
        }
        assert!(station("giao-hoa").is_none(), "no coordinates are known for Giao Hòa");
    }
}
