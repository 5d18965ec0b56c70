//! The stylesheet and the scripts, each under an address that holds its own hash: a reader fetches it once, and a new
//! release never meets an old copy. The scripts are built by npm into `web/dist`; where that was not done, the folder
//! is empty and the pages are simply not enhanced.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use rust_embed::RustEmbed;
use std::borrow::Cow;
use std::sync::Arc;

use crate::problem::Problem;
use crate::site::Site;

const STYLE: &str = include_str!("../web/static/style.css");

#[derive(RustEmbed)]
#[folder = "web/dist/"]
struct Built;

/// The scripts, by the name that pages ask for them by.
pub(crate) const CHART: &str = "chart";
/// The corrections desk's.
pub(crate) const SERIES: &str = "series";

/// What is served below `/assets/`.
pub(crate) struct Assets {
    style: Asset,
    scripts: Vec<(&'static str, Asset)>,
}

struct Asset {
    name: String,
    kind: &'static str,
    bytes: Bytes,
}

impl Assets {
    pub(crate) fn new() -> Self {
        let style = Asset::new(
            "style",
            "css",
            "text/css; charset=utf-8",
            Bytes::from_static(STYLE.as_bytes()),
        );
        let script = |stem: &'static str| {
            let bytes = match Built::get(&format!("{stem}.js"))?.data {
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => Bytes::from(bytes),
            };
            Some((stem, Asset::new(stem, "js", "text/javascript; charset=utf-8", bytes)))
        };
        Self { style, scripts: [CHART, SERIES].into_iter().filter_map(script).collect() }
    }

    /// The stylesheet's address.
    pub(crate) fn style(&self) -> String {
        self.style.address()
    }

    /// The address of a script, if it was built.
    pub(crate) fn script(&self, stem: &str) -> Option<String> {
        let found = self.scripts.iter().find(|(name, _)| *name == stem);
        found.map(|(_, asset)| asset.address())
    }
}

impl Asset {
    fn new(stem: &str, extension: &str, kind: &'static str, bytes: Bytes) -> Self {
        let hash = blake3::hash(&bytes).to_hex();
        Self { name: format!("{stem}-{}.{extension}", &hash[..16]), kind, bytes }
    }

    fn address(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

/// `GET /assets/{name}`
pub(crate) async fn asset(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let scripts = site.assets.scripts.iter().map(|(_, asset)| asset);
    let mut assets = std::iter::once(&site.assets.style).chain(scripts);
    let asset = assets.find(|asset| asset.name == name).ok_or_else(|| {
        Problem::not_found("no asset has this name; it may be of another release")
    })?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    Ok((headers, asset.bytes.clone()).into_response())
}
