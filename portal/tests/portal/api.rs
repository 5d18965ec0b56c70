//! The API for machines: shapes of the design, and every error as problem JSON.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use domain::{Act, Edit, ParameterCode, Timestamp};
use serde_json::Value;

use crate::ask::Asked;
use crate::fixture::{code, now, province, settings};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn stations_are_listed_and_told_one_by_one() {
    let ask = Asked::province();
    let all = ask.get("/api/v1/stations").await.json();
    assert_eq!(all.as_array().unwrap().len(), 6);
    let one = ask.get("/api/v1/stations/xuan-hoa").await.json();
    assert_eq!(one["name"], "Xuân Hòa");
    assert_eq!(one["km_from_mouth"], 42.0);
    assert_eq!(one["interval_s"], 900);
    let salinity = one["parameters"].as_array().unwrap().iter().find(|p| p["code"] == "salinity");
    assert_eq!(salinity.unwrap()["limits"][0]["limit"], 1.0);
}

#[tokio::test]
async fn readings_have_the_shape_of_the_design() {
    let ask = Asked::province();
    let one = ask.get("/api/v1/stations/xuan-hoa/readings?parameter=salinity").await.json();
    assert_eq!(keys(&one), ["parameter", "readings", "station", "unit"]);
    assert_eq!(one["unit"], "g/L");
    let first = &one["readings"][0];
    assert_eq!(keys(first), ["flag", "time", "value"]);
    let time = first["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    let all = ask.get("/api/v1/stations/xuan-hoa/readings").await.json();
    assert_eq!(keys(&all), ["series", "station"]);
    assert_eq!(all["series"].as_array().unwrap().len(), 5);
    let buckets = "/api/v1/stations/xuan-hoa/readings?parameter=salinity&every=1h";
    let buckets = ask.get(buckets).await.json();
    let bucket = &buckets["readings"][0];
    assert_eq!(
        keys(bucket),
        ["count", "first", "flag", "last", "max", "max_time", "mean", "min", "min_time", "time"]
    );
}

#[tokio::test]
async fn days_and_months_are_those_of_vietnam() {
    let ask = Asked::province();
    let path = "/api/v1/stations/xuan-hoa/readings?parameter=salinity&from=2026-03-10T12:00:00Z";
    let starts = async |every: &str| -> Vec<String> {
        let answer = ask.get(&format!("{path}&every={every}")).await.json();
        let rows = answer["readings"].as_array().unwrap().clone();
        rows.iter().map(|row| row["time"].as_str().unwrap().to_owned()).collect()
    };
    assert!(starts("day").await.iter().all(|time| time.ends_with("T17:00:00.000Z")));
    assert!(starts("1d").await.iter().all(|time| time.ends_with("T00:00:00.000Z")));
    assert_eq!(starts("month").await, ["2026-02-28T17:00:00.000Z"]);
    assert!(!starts("tidal-day").await.is_empty());
    let bad = ask.get(&format!("{path}&every=fortnight")).await;
    assert!(bad.status == 400 && bad.json()["detail"].as_str().unwrap().contains("tidal-day"));
}

#[tokio::test]
async fn spells_of_all_stations_are_those_of_each() {
    let ask = Asked::province();
    let what = "parameter=salinity&above=4&every=day";
    let all = ask.get(&format!("/api/v1/spells?{what}")).await.json();
    assert_eq!(keys(&all), ["above", "parameter", "stations", "unit"]);
    let stations = all["stations"].as_array().unwrap();
    assert!(1 < stations.len(), "{all}");
    for one in stations {
        let code = one["station"].as_str().unwrap();
        let alone = ask.get(&format!("/api/v1/stations/{code}/spells?{what}")).await.json();
        assert_eq!(one["intervals"], alone["intervals"], "{code}");
        assert_eq!(one["gap_s"], alone["gap_s"]);
    }
    for bad in [
        "parameter=salinity",
        "above=4",
        "parameter=wind_direction&above=4",
        "parameter=salinity&above=4&every=1m",
    ] {
        assert_eq!(ask.get(&format!("/api/v1/spells?{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn spells_have_their_shape_and_say_what_is_wrong() {
    let ask = Asked::province();
    let path = "/api/v1/stations/xuan-hoa/spells";
    let said = ask.get(&format!("{path}?parameter=salinity&above=4&every=day")).await.json();
    assert_eq!(keys(&said), ["above", "gap_s", "intervals", "parameter", "station", "unit"]);
    assert_eq!((said["above"].as_f64(), said["gap_s"].as_u64()), (Some(4.0), Some(2_250)));
    let day = &said["intervals"][0];
    assert_eq!(keys(day), ["beyond_s", "end", "known_s", "longest_s", "spells", "time"]);
    assert!(day["end"].as_str().unwrap().ends_with("T17:00:00.000Z"));
    for (query, part) in [
        ("?above=4", "`parameter`"),
        ("?parameter=salinity", "`above` or `below`"),
        ("?parameter=salinity&above=1&below=2", "`above` or `below`"),
        ("?parameter=salinity&above=much", "not a number"),
        ("?parameter=salinity&above=NaN", "not a number"),
        ("?parameter=salinty&above=1", "did you mean `salinity`?"),
        ("?parameter=wind_direction&above=1", "a direction"),
        ("?parameter=salinity&above=1&every=1s", "36000 intervals"),
        ("?parameter=salinity&above=1&from=1990-01-01T00:00:00Z", "3660 days"),
        ("?parameter=salinity&above=1&to=1990-01-01T00:00:00Z&from=1991-01-01T00:00:00Z", "before"),
        ("?parameter=salinity&abvoe=1", "not a key"),
    ] {
        let answer = ask.get(&format!("{path}{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(part), "{query}: {detail}");
    }
    assert_eq!(ask.get("/api/v1/stations/xuan-ho/spells?parameter=ph&above=1").await.status, 404);
}

#[tokio::test]
async fn readings_as_of_a_moment_are_those_that_had_come_by_then() {
    let ask = Asked::province();
    let path = "/api/v1/stations/xuan-hoa/readings?parameter=salinity";
    let slot = "&from=2026-03-12T10:00:00Z&to=2026-03-12T11:00:00Z";
    let rows = async |as_of: &str| {
        let answer = ask.get(&format!("{path}{slot}&as_of={as_of}")).await;
        answer.json()["readings"].as_array().map(Vec::len).unwrap()
    };
    assert_eq!(rows("2026-03-12T10:00:59Z").await, 0);
    assert_eq!(rows("2026-03-12T10:31:00Z").await, 2);
    assert_eq!(rows("2026-03-12T12:00:00Z").await, 4);
    let bad = ask.get(&format!("{path}&as_of=yesterday")).await;
    assert_eq!(bad.status, 400);
    assert!(bad.json()["detail"].as_str().unwrap().contains("as_of"));
}

#[tokio::test]
async fn what_people_changed_is_shown_unless_it_is_asked_for_as_it_came() {
    let mut province = province();
    let code = code("xuan-hoa");
    let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
    let edit = Edit {
        id: 1,
        station: code.clone(),
        parameter: ParameterCode::new("salinity").unwrap(),
        from: at("2026-03-12T10:15:00Z"),
        to: at("2026-03-12T10:45:00Z"),
        act: Act::Offset { by: 100.0 },
        at: at("2026-03-12T11:00:00Z"),
        by: "lan".to_owned(),
        reason: "unit slip".to_owned(),
        withdrawn: None,
    };
    let last = Edit {
        id: 2,
        from: at("2026-03-12T11:00:00Z"),
        to: now(),
        act: Act::Remove,
        ..edit.clone()
    };
    province.book.edits.insert(code, vec![edit, last]);
    let ask = Asked::of(Arc::new(province), settings(false));
    let path = "/api/v1/stations/xuan-hoa/readings?parameter=salinity";
    let slot = "&from=2026-03-12T10:00:00Z&to=2026-03-12T11:00:00Z";
    let rows = async |more: &str| {
        let answer = ask.get(&format!("{path}{slot}{more}")).await;
        let rows = answer.json()["readings"].as_array().unwrap().clone();
        let row = |row: &Value| (50.0 < row["value"].as_f64().unwrap(), row["layer"].clone());
        rows.iter().map(row).collect::<Vec<_>>()
    };
    let (came, edited) = ((false, Value::Null), (true, Value::from("corrected")));
    let best = rows("").await;
    assert_eq!(best, [came.clone(), edited.clone(), edited, came.clone()]);
    assert_eq!(rows("&layer=corrected").await, best);
    assert_eq!(rows("&layer=raw").await, vec![came.clone(); 4]);
    assert!(rows("&layer=approved").await.is_empty());
    assert_eq!(rows("&as_of=2026-03-12T10:59:59Z").await, vec![came; 4], "nobody knew it then");
    let newest = async |query: &str| {
        let all = ask.get(&format!("/api/v1/latest{query}")).await.json();
        let of = |row: &&Value| row["station"] == "xuan-hoa" && row["parameter"] == "salinity";
        all.as_array().unwrap().iter().find(of).unwrap()["time"].as_str().unwrap().to_owned()
    };
    assert!(newest("").await.as_str() < "2026-03-12T11:00", "what was removed is not the latest");
    assert!("2026-03-12T11:00" < newest("?layer=raw").await.as_str());
    assert_eq!(newest("?as_of=2026-03-12T10:31:00Z").await, "2026-03-12T10:27:30.000Z");
    for (path, part) in [
        (format!("{path}&layer=blue"), "`layer` is one of best, raw, corrected, approved"),
        ("/api/v1/latest?layer=blue".to_owned(), "`layer` is one of"),
        ("/api/v1/latest?as_of=now".to_owned(), "as_of"),
    ] {
        let bad = ask.get(&path).await;
        assert_eq!(bad.status, 400);
        assert!(bad.json()["detail"].as_str().unwrap().contains(part), "{}", bad.text);
    }
    let listed = ask.get("/api/v1/stations/xuan-hoa/edits?parameter=salinity").await.json();
    assert_eq!(listed[0]["reason"], "unit slip");
    assert_eq!(
        keys(&listed[0]),
        ["act", "by", "from", "id", "made_at", "parameter", "reason", "station", "to"]
    );
    assert_eq!(
        ask.get("/api/v1/stations/xuan-hoa/edits?from=2026-03-12T10:45:00Z")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn readings_are_chosen_by_time_points_and_flag() {
    let ask = Asked::province();
    let path = "/api/v1/stations/xuan-hoa/readings?parameter=salinity";
    let rows = async |query: &str| {
        let answer = ask.get(&format!("{path}{query}")).await;
        answer.json()["readings"].as_array().map(Vec::len).unwrap()
    };
    assert_eq!(rows("&from=2026-03-12T10:00:00Z&to=2026-03-12T11:00:00Z").await, 4);
    let two_days = "&from=2026-03-10T12:00:00Z";
    assert_eq!(rows(&format!("{two_days}&flags=4")).await, 1);
    assert_eq!(rows(&format!("{two_days}&flags=3,4")).await, 3);
    assert!(rows(&format!("{two_days}&points=20")).await <= 20);
    assert_eq!(rows("&from=1990-01-01T00:00:00Z&to=1990-01-02T00:00:00Z").await, 0);
}

#[tokio::test]
async fn readings_are_a_table_for_a_spreadsheet() {
    let ask = Asked::province();
    let path = "/api/v1/stations/xuan-hoa/readings";
    let range = "from=2026-03-12T10:00:00Z&to=2026-03-12T11:00:00Z";
    let one = ask.get(&format!("{path}?parameter=salinity&{range}&format=csv")).await;
    assert_eq!(one.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(one.header("content-disposition"), "attachment; filename=\"xuan-hoa.csv\"");
    let lines: Vec<&str> = one.text.split_terminator("\r\n").collect();
    assert_eq!(lines[0], "\u{feff}time,local_time,salinity (g/L),salinity flag");
    assert_eq!(lines.len(), 5);
    assert!(lines[1].starts_with("2026-03-12T10:12:30.000Z,2026-03-12 17:12:30,"), "{}", lines[1]);
    let json = ask.get(&format!("{path}?parameter=salinity&{range}")).await.json();
    let value = json["readings"][0]["value"].as_f64().unwrap();
    assert_eq!(lines[1].split(',').nth(2).unwrap().parse::<f64>().unwrap(), value);

    let wide = ask.get(&format!("{path}?{range}&every=1h&format=csv&lang=vi")).await;
    let heads = wide.text.lines().next().unwrap();
    assert!(heads.contains("Độ mặn nhỏ nhất (g/L),Độ mặn lớn nhất (g/L)"), "{heads}");
    let cells = |line: &str| line.split(',').count();
    assert!(wide.text.lines().all(|line| cells(line) == cells(heads)), "{}", wide.text);

    let accepting = |accept: &str| {
        let path = format!("{path}?parameter=salinity&{range}");
        Request::get(path).header("accept", accept).body(Body::empty()).unwrap()
    };
    assert!(ask.send(accepting("text/csv")).await.text.starts_with('\u{feff}'));
    assert!(ask.send(accepting("application/json, text/csv")).await.text.starts_with('{'));
    ask.get(&format!("{path}?format=xlsx")).await.problem(400, "json, csv");
    ask.get(&format!("{path}?format=csv&lang=fr")).await.problem(400, "vi or en");

    // What does not fit says so in its name, and where the rest is.
    let long = "parameter=salinity&from=2026-03-08T12:00:00Z&to=2026-03-12T13:00:00Z&every=5s";
    let part = ask.get(&format!("{path}?{long}&format=csv&lang=en")).await;
    assert_eq!(part.header("content-disposition"), "attachment; filename=\"xuan-hoa-part.csv\"");
    assert!(part.header("link").contains("&format=csv&lang=en>"), "{}", part.header("link"));
}

#[tokio::test]
async fn a_long_answer_comes_in_pages_that_join() {
    let ask = Asked::province();
    let query = "parameter=salinity&from=2026-03-10T12:00:00Z&to=2026-03-12T13:00:00Z&every=2s";
    let mut path = format!("/api/v1/stations/xuan-hoa/readings?{query}");
    let (mut times, mut pages) = (Vec::new(), 0);
    for _ in 0..10 {
        let page = ask.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        pages += 1;
        let rows = page.json()["readings"].as_array().unwrap().clone();
        times.extend(rows.iter().map(|row| row["time"].as_str().unwrap().to_owned()));
        let Some(link) = page.headers.get("link") else { break };
        let link = link.to_str().unwrap();
        assert!(link.ends_with("rel=\"next\""), "{link}");
        path = link[1..].split('>').next().unwrap().to_owned();
    }
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "sorted, nothing twice");
    assert_eq!((times.len(), pages), (184, 3), "every reading of the range");
}

#[tokio::test]
async fn latest_warnings_and_alerts_have_their_shapes() {
    let ask = Asked::province();
    let latest = ask.get("/api/v1/latest").await;
    let row = &latest.json()[0];
    assert_eq!(keys(row), ["age_s", "flag", "parameter", "station", "time", "unit", "value"]);
    let warnings = ask.get("/api/v1/warnings").await.json();
    let of = |code: &str| {
        warnings.as_array().unwrap().iter().find(|one| one["station"] == code).unwrap().clone()
    };
    assert_eq!(of("vam-kenh")["state"], "exceed");
    assert_eq!(of("vam-kenh")["level"], 3);
    assert_eq!(of("kinh-xang")["state"], "safe");
    assert_eq!(of("vam-giong")["state"], "unknown");
    assert!(of("vam-giong")["why"].as_str().unwrap().contains("no good reading"));
    let alerts = ask.get("/api/v1/alerts?state=open").await.json();
    let alert = &alerts[0];
    for key in ["id", "rule", "place", "level", "state", "raised_at", "cleared_at", "events"] {
        assert!(alert.get(key).is_some(), "{key}");
    }
    let id = alert["id"].as_str().unwrap();
    assert_eq!(&ask.get(&format!("/api/v1/alerts/{id}")).await.json(), alert);
    assert_eq!(ask.get("/api/v1/alerts?state=cleared").await.json().as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn every_mistake_is_a_problem_that_says_what_would_be_right() {
    let ask = Asked::province();
    let readings = "/api/v1/stations/xuan-hoa/readings";
    let check = async |path: &str, status: u16, words: &str| {
        ask.get(path).await.problem(status, words);
    };
    check("/api/v1/nothing", 404, "nothing stands").await;
    check("/api/v1/stations/xuanhoa", 404, "did you mean `xuan-hoa`?").await;
    check("/api/v1/stations/xuanhoa/readings", 404, "did you mean `xuan-hoa`?").await;
    check("/api/v1/stations/%FF", 404, "UTF-8").await;
    check("/api/v1/alerts/none", 404, "no alert").await;
    check("/api/v1/alerts?state=shut", 400, "open, acknowledged or cleared").await;
    check("/api/v1/latest?station=x", 400, "`station` is not a key here").await;
    check("/api/v1/events?station=nowhere", 404, "no station").await;
    let cases = [
        ("parameter=salt", "did you mean"),
        ("parameters=salinity", "accepted: parameter"),
        ("from=yesterday", "not an RFC 3339 time"),
        ("from=2026-03-12T05:00:00", "no offset"),
        ("from=2026-03-12T05:00:00Z&to=2026-03-12T05:00:00Z", "not before"),
        ("every=0s", "not an interval"),
        ("every=1parsec", "not an interval"),
        ("every=1m&points=5", "give one of them"),
        ("points=0", "from 1 to"),
        ("points=99999999", "from 1 to"),
        ("flags=5", "1 (good)"),
        ("every=1h&from=1900-01-01T00:00:00Z", "at most"),
        ("from=%FF", "not an RFC 3339 time"),
    ];
    for (query, words) in cases {
        let words = if query == "parameter=salt" { "no parameter `salt`" } else { words };
        check(&format!("{readings}?{query}"), 400, words).await;
    }
    ask.post("", "/api/v1/stations", "").await.problem(405, "allow");
}

#[tokio::test]
async fn the_tag_of_latest_forgets_ages_and_gzip_is_weak() {
    let ask = Asked::province();
    let first = ask.get("/api/v1/latest").await;
    let request = Request::get("/api/v1/latest").header("if-none-match", first.header("etag"));
    let again = ask.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(again.status, 304);
    let request = Request::get("/api/v1/latest").header("accept-encoding", "gzip");
    let packed = ask.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert_eq!(packed.header("etag"), first.header("etag"));
    assert!(packed.header("etag").starts_with("W/"));
}

#[tokio::test]
async fn the_machine_room_answers() {
    let ask = Asked::province();
    assert_eq!(ask.get("/-/healthy").await.text, "healthy\n");
    assert_eq!(ask.get("/-/ready").await.status, 200);
    assert!(ask.get("/metrics").await.text.contains("saltline_up 1"));
    let mut settings = crate::fixture::settings(false);
    settings.ready = std::sync::Arc::new(|| {
        portal::Readiness::NotReady(vec!["history is 90 s behind".to_owned()])
    });
    let ask = Asked::of(std::sync::Arc::new(crate::fixture::province()), settings);
    let answer = ask.get("/-/ready").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (503, "history is 90 s behind\n"));
}
