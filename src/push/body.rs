//! What of a request is a body: its bytes, unpacked, within their bounds.

use std::io::Read as _;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use portal::Problem;

/// A body, packed or not: a year of a station's hourly readings in CSV.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Lines of a body: each may become a dead letter and a line of the log.
const LINES_MAX: usize = 50_000;

/// Reads it.
pub async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let bytes = to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            if error.to_string().contains("length limit") {
                return too_large("4 MiB are possible; push it in pieces");
            }
            cause = error.source();
        }
        let title = "the body did not arrive";
        Problem::new(StatusCode::BAD_REQUEST, "bad-body", title, error.to_string())
    })?;
    let packed = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    let bytes = match packed {
        None | Some("identity") => bytes,
        Some("gzip" | "x-gzip") => unpacked(&bytes)?,
        Some(_) => {
            let title = "this content encoding is not read here";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "content-encoding", title, "write gzip or nothing"));
        }
    };
    if LINES_MAX < bytes.iter().filter(|&&byte| byte == b'\n').count() {
        return Err(too_large("50,000 lines are possible; push it in pieces"));
    }
    Ok(bytes)
}

fn unpacked(bytes: &[u8]) -> Result<Bytes, Problem> {
    let mut out = Vec::new();
    // One more than is possible, to see that there is more.
    let most = BODY_BYTES_MAX as u64 + 1;
    match MultiGzDecoder::new(bytes).take(most).read_to_end(&mut out) {
        Ok(_) if BODY_BYTES_MAX < out.len() => Err(too_large("4 MiB unpacked are possible")),
        Ok(_) => Ok(Bytes::from(out)),
        Err(error) => {
            let title = "the body is not gzip";
            Err(Problem::new(StatusCode::BAD_REQUEST, "bad-body", title, error.to_string()))
        }
    }
}

fn too_large(detail: &'static str) -> Problem {
    metrics::counter!("saltline_push_refused_total", "reason" => "too_large").increment(1);
    let title = "the body is too large";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", title, detail)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn status(encoding: Option<&'static str>, body: Vec<u8>) -> Result<usize, StatusCode> {
        let mut headers = HeaderMap::new();
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, encoding.parse().unwrap());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = runtime.block_on(read(&headers, Body::from(body)));
        read.map(|bytes| bytes.len()).map_err(|problem| problem.status())
    }

    #[test]
    fn bounds_hold_packed_and_unpacked() {
        let large = StatusCode::PAYLOAD_TOO_LARGE;
        assert_eq!(status(None, vec![b'x'; BODY_BYTES_MAX]), Ok(BODY_BYTES_MAX));
        assert_eq!(status(None, vec![b'x'; BODY_BYTES_MAX + 1]), Err(large));
        assert_eq!(status(Some("gzip"), packed(&vec![b'x'; BODY_BYTES_MAX])), Ok(BODY_BYTES_MAX));
        assert_eq!(status(Some("gzip"), packed(&vec![b'x'; 100 << 20])), Err(large));
        assert_eq!(status(None, vec![b'\n'; LINES_MAX + 1]), Err(large));
        assert_eq!(status(Some("gzip"), b"x".to_vec()), Err(StatusCode::BAD_REQUEST));
        assert_eq!(status(Some("br"), b"x".to_vec()), Err(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
}
