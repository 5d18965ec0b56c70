//! Pages for people.

use std::sync::Arc;
use std::time::Duration;

use domain::{Flag, Layer, Place, Station};
use portal::view::Point;

use crate::ask::{Answer, Asked};
use crate::fixture::{Province, code, now, province, settings};

fn holds(page: &Answer, words: &[&str]) {
    assert_eq!(page.status, 200, "{}", page.text);
    for word in words {
        assert!(page.text.contains(word), "`{word}` is not in {}", page.text);
    }
}

#[tokio::test]
async fn the_first_page_says_the_province_in_words() {
    let page = Asked::province().get("/").await;
    holds(
        &page,
        &[
            "<html lang=\"vi\">",
            "Độ mặn hôm nay",
            "trạm vượt ngưỡng mặn",
            "mặn nhất là Vàm Kênh",
            "phút trước",
            "mất tín hiệu",
            "an toàn",
            "sơ đồ (schematic)",
            "Sông Tiền – Cửa Tiểu",
        ],
    );
}

#[tokio::test]
async fn english_is_asked_for_and_kept_in_links() {
    let page = Asked::province().get("/?lang=en").await;
    holds(&page, &["<html lang=\"en\">", "signal lost", "/s/xuan-hoa?lang=en", "minutes ago"]);
    let page = Asked::province().get("/s/xuan-hoa?lang=en").await;
    holds(&page, &["Water level", "42 km from the mouth", "hours=24&amp;lang=en"]);
}

#[tokio::test]
async fn a_station_shows_limits_doubts_and_gaps() {
    let page = Asked::province().get("/s/xuan-hoa").await;
    holds(&page, &["Xuân Hòa", "ngưỡng 1 g/L", "class=\"bad\"", "class=\"suspect\"", "Ắc quy"]);
    let line = page.text.split("class=\"line\" d=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(2 <= line.matches('M').count(), "the two silent hours are a gap: {line}");
    assert!(!page.text.contains("NaN") && !page.text.contains("inf"));
}

#[tokio::test]
async fn a_silent_station_says_so_beside_every_number() {
    let page = Asked::province().get("/s/vam-giong").await;
    holds(&page, &["mất tín hiệu, ", "5 giờ trước"]);
}

#[tokio::test]
async fn the_first_page_and_a_station_are_light() {
    let ask = Asked::province();
    let style = ask.get("/").await.text;
    let style = style.split("href=\"/assets/").nth(1).unwrap().split('"').next().unwrap();
    let style = ask.get(&format!("/assets/{style}")).await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert!(style.header("cache-control").contains("immutable"));
    for path in ["/", "/s/xuan-hoa", "/s/xuan-hoa?hours=720"] {
        let bytes = ask.get(path).await.text.len() + style.text.len();
        assert!(bytes < 50_000, "{path}: {bytes} bytes");
    }
}

#[tokio::test]
async fn two_thousand_stations_do_not_make_the_first_page_heavy() {
    let mut province = province();
    province.book.stations = (0..2_000)
        .map(|n| Station {
            name: format!("Trạm số {n}"),
            place: Some(Place {
                lat: 10.2 + f64::from(n % 50) / 200.0,
                lon: 106.0 + f64::from(n) / 2_600.0,
            }),
            ..Station::new(code(&format!("s{n}")))
        })
        .collect();
    let ask = Asked::of(Arc::new(province), settings(false));
    let page = ask.get("/").await;
    holds(&page, &["Xem thêm 1960 trạm"]);
    assert!(page.text.len() < 42_000, "{} bytes", page.text.len());
    assert!(ask.get("/?all=1").await.text.contains("Trạm số 1999"));
}

#[tokio::test]
async fn nothing_is_inline_and_nothing_may_be() {
    let ask = Asked::of(Arc::new(province()), settings(true));
    let cookie = ask.sign_in("truc").await;
    for path in ["/", "/s/xuan-hoa", "/login", "/desk", "/outbox", "/nowhere"] {
        let page = ask.get_as(&cookie, path).await;
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert!(!page.text.contains(" style=\""), "{path}");
        assert!(!page.text.contains("<style") && !page.text.contains(" on"), "{path}");
        for script in page.text.split("<script").skip(1) {
            assert!(script.starts_with(" type=\"module\" src=\"/assets/"), "{path}");
        }
    }
}

#[tokio::test]
async fn a_name_that_is_a_script_is_only_a_name() {
    let mut province = province();
    let evil = "<script>alert(1)</script>\"'&";
    province.book.stations[3].name = evil.to_owned();
    province.book.rivers[0].name = evil.to_owned();
    province.book.rules[0].name = evil.to_owned();
    let ask = Asked::of(Arc::new(province), settings(true));
    let cookie = ask.sign_in("truc").await;
    for path in ["/", "/s/xuan-hoa", "/desk", "/outbox"] {
        let page = ask.get_as(&cookie, path).await;
        assert!(!page.text.contains("<script>"), "{path}");
        if path != "/outbox" {
            assert!(page.text.contains("&lt;script&gt;"), "{path}");
        }
    }
}

#[tokio::test]
async fn a_wrong_address_is_told_in_words() {
    let ask = Asked::province();
    let page = ask.get("/s/xuanhoa").await;
    assert_eq!(page.status, 404);
    assert!(page.text.contains("did you mean `xuan-hoa`?") && page.text.contains("<html"));
    assert_eq!(ask.get("/s/xuan-hoa?hours=0").await.status, 400);
    assert_eq!(ask.get("/s/xuan-hoa?hours=abc").await.status, 400);
    assert_eq!(ask.get("/s/%FF").await.status, 404);
    assert_eq!(ask.get("/outbox").await.status, 404, "only the demo has an outbox");
    assert_eq!(ask.post("", "/", "").await.status, 405);
}

#[tokio::test]
async fn a_page_is_tagged_and_not_sent_twice() {
    let ask = Asked::province();
    let first = ask.get("/s/xuan-hoa").await;
    let tag = first.header("etag");
    assert!(tag.starts_with("W/\""), "{tag}");
    let again = axum::http::Request::get("/s/xuan-hoa").header("if-none-match", tag);
    let again = ask.send(again.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!((again.status.as_u16(), again.text.len()), (304, 0));
}

#[tokio::test]
async fn strange_series_still_make_a_page() {
    let points = |values: &[f64]| -> Vec<Point> {
        (0_u32..)
            .zip(values)
            .map(|(n, &value)| Point {
                taken_at: now() - Duration::from_mins(60) + Duration::from_mins(5) * n,
                value: Some(value),
                flag: Flag::Good,
                layer: Layer::Raw,
            })
            .collect()
    };
    let strange: [Vec<Point>; 5] = [
        vec![],
        points(&[f64::NAN, f64::INFINITY]),
        points(&[0.0, 0.0]),
        points(&[-3.0]),
        points(&[1e12, 1e-12]),
    ];
    for series in strange {
        let mut province: Province = province();
        province.put(&code("my-tho"), "salinity", series);
        let page = Asked::of(Arc::new(province), settings(false)).get("/s/my-tho").await;
        assert_eq!(page.status, 200);
        assert!(!page.text.contains("NaN") || page.text.contains("<b class"), "{}", page.text);
    }
}

#[tokio::test]
async fn the_demo_shows_what_it_would_have_sent() {
    let ask = Asked::of(Arc::new(province()), settings(true));
    let page = ask.get("/outbox").await;
    holds(
        &page,
        &["Dong cong.", "+84901234567", "Cảnh báo mặn", "đang chờ gửi", "http-equiv=\"refresh\""],
    );
}
