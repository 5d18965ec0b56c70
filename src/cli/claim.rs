//! `saltline station claim-code`: the word on paper that becomes a station's key, and its picture.

use clap::{Args, ValueEnum};
use domain::StationCode;
use qrcode::render::{svg, unicode};
use qrcode::{EcLevel, QrCode};
use registry::{ClaimCode, Registry};
use serde_json::json;

use super::output::{self, Format, Row};
use super::{Trouble, station, token};

/// A claim code for one station.
#[derive(Args)]
pub struct Claim {
    /// The station's code.
    code: String,
    /// How long it can be used, at most 90d.
    #[arg(long, default_value = "7d")]
    lasts: String,
    /// Print a picture instead of rows: for the terminal, or as SVG for a label.
    #[arg(long, value_enum)]
    qr: Option<Picture>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Picture {
    Terminal,
    Svg,
}

impl Claim {
    /// Does it. Codes of this station that were made before can no longer be used.
    pub async fn run(
        self,
        registry: &Registry,
        format: Format,
        public_url: Option<&str>,
    ) -> Result<(), Trouble> {
        let station = station::parse(&self.code)?;
        let lasts = token::duration(&self.lasts)?;
        let claim = registry.claim_code(&station, lasts).await?;
        let said = url(&station, &claim, public_url);
        match self.qr {
            Some(picture) => output::print(&draw(&said, picture)?),
            None => output::one(format, &row(&station, &claim, &said)),
        }
    }
}

fn row(station: &StationCode, claim: &ClaimCode, said: &str) -> Row {
    vec![
        ("code", json!(station.as_str())),
        ("claim", json!(claim.code)),
        ("until", json!(station::local(claim.expires_at))),
        ("qr", json!(said)),
    ]
}

/// What the picture holds. Everything a logger has to know: who it is, the code, and where to exchange it.
fn url(station: &StationCode, claim: &ClaimCode, public_url: Option<&str>) -> String {
    let at = public_url.map(|url| format!("&at={}", url.trim_end_matches('/')));
    format!("saltline:claim?station={station}&claim={}{}", claim.code, at.unwrap_or_default())
}

/// A label in the rain loses a corner: a quarter of the picture may be lost.
fn draw(said: &str, picture: Picture) -> Result<String, Trouble> {
    let code = QrCode::with_error_correction_level(said, EcLevel::Q)
        .map_err(|error| Trouble::Usage(format!("this does not fit into a QR code: {error}")))?;
    Ok(match picture {
        Picture::Terminal => code.render::<unicode::Dense1x2>().quiet_zone(true).build() + "\n",
        Picture::Svg => code.render::<svg::Color<'_>>().min_dimensions(240, 240).build() + "\n",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_holds_the_whole_claim_as_a_picture() {
        let claim = ClaimCode {
            code: "claim-01234-56789-abcde-fghjk".to_owned(),
            expires_at: domain::Timestamp::from_millis(0),
        };
        let station = StationCode::new("xuan-hoa").unwrap();
        let said = url(&station, &claim, Some("https://man.example.gov.vn/"));
        let wanted = "saltline:claim?station=xuan-hoa&claim=claim-01234-56789-abcde-fghjk\
                      &at=https://man.example.gov.vn";
        assert_eq!(said, wanted);
        let svg = draw(&said, Picture::Svg).unwrap();
        assert!(svg.starts_with("<?xml") && svg.contains("<svg"), "{svg}");
        assert!(20 < draw(&said, Picture::Terminal).unwrap().lines().count());
    }
}
