//! Who may what: signing in, roles, and forms that only our own pages may send.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::Value;

use crate::ask::{Answer, Asked};
use crate::fixture::{PASSWORD, province, settings};

async fn first_alert(ask: &Asked) -> String {
    let alerts = ask.get("/api/v1/alerts").await.json();
    alerts[0]["id"].as_str().unwrap().to_owned()
}

async fn ack(ask: &Asked, cookie: &str, token: &str, id: &str, body: &str) -> Answer {
    let request = Request::post(format!("/api/v1/alerts/{id}/ack"))
        .header(header::COOKIE, cookie)
        .header("x-csrf-token", token)
        .header(header::CONTENT_TYPE, "application/json");
    ask.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn an_operator_answers_an_alert_from_the_desk() {
    let province = Arc::new(province());
    let ask = Asked::of(Arc::clone(&province) as Arc<dyn portal::view::View>, settings(false));
    let cookie = ask.sign_in("truc").await;
    let desk = ask.get_as(&cookie, "/desk").await;
    assert_eq!(desk.status, 200);
    for word in ["chưa ai nhận", "ba-tu", "Dong cong.", "đang chờ gửi", "Tôi đã biết"]
    {
        assert!(desk.text.contains(word), "{word}");
    }
    let (id, token) = (first_alert(&ask).await, ask.token(&cookie).await);
    assert!(desk.text.contains(&token), "the form carries the token");
    let path = format!("/desk/alerts/{id}/ack");
    let answer = ask.post(&cookie, &path, &format!("csrf={token}&note=Cống+đã+đóng")).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/desk"));
    let alert = ask.get_as(&cookie, &format!("/api/v1/alerts/{id}")).await.json();
    assert_eq!(alert["state"], "acknowledged");
    assert_eq!(alert["events"][1]["by"], "truc");
    assert_eq!(alert["events"][1]["why"], "Cống đã đóng");
    let audits = province.audits.lock().unwrap().join("\n");
    assert!(audits.contains(&format!("truc: acknowledge alert {id}: open -> acknowledged")));
    let public = ask.get(&format!("/api/v1/alerts/{id}")).await.json();
    assert!(public["events"][1].get("by").is_none() && public["events"][1].get("why").is_none());
}

#[tokio::test]
async fn a_form_of_another_page_is_refused() {
    let ask = Asked::province();
    let cookie = ask.sign_in("truc").await;
    let other = ask.sign_in("sep").await;
    let (id, foreign) = (first_alert(&ask).await, ask.token(&other).await);
    for token in ["", "0000", foreign.as_str()] {
        let path = format!("/desk/alerts/{id}/ack");
        let answer = ask.post(&cookie, &path, &format!("csrf={token}&note=x")).await;
        assert_eq!(answer.status, 403, "{token}");
        ack(&ask, &cookie, token, &id, "{}").await.problem(403, "token");
        assert_eq!(ask.post(&cookie, "/logout", &format!("csrf={token}")).await.status, 403);
    }
    let token = ask.token(&cookie).await;
    let request = Request::post(format!("/desk/alerts/{id}/ack"))
        .header(header::COOKIE, &cookie)
        .header("sec-fetch-site", "cross-site")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = ask.send(request.body(Body::from(format!("csrf={token}"))).unwrap()).await;
    assert_eq!(answer.status, 403);
    let alert = ask.get(&format!("/api/v1/alerts/{id}")).await.json();
    assert_eq!(alert["state"], "open", "nothing of this was an answer");
}

#[tokio::test]
async fn roles_open_doors_and_shut_them() {
    let ask = Asked::province();
    let id = first_alert(&ask).await;
    assert_eq!(ask.get("/desk").await.header("location"), "/login");
    ask.get("/api/v1/session").await.problem(401, "/login");
    ack(&ask, "", "x", &id, "{}").await.problem(401, "/login");
    for (name, status) in [("xem", 403), ("truc", 200), ("sep", 200)] {
        let cookie = ask.sign_in(name).await;
        assert_eq!(ask.get_as(&cookie, "/desk").await.status, status, "{name}");
        let token = ask.token(&cookie).await;
        let answer = ack(&ask, &cookie, &token, &id, "{\"note\": \"đã biết\"}").await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
    }
    let cookie = ask.sign_in("truc").await;
    let token = ask.token(&cookie).await;
    ack(&ask, &cookie, &token, "none", "{}").await.problem(404, "no alert");
    ack(&ask, &cookie, &token, &id, "{\"noet\": 1}").await.problem(422, "note");
    ack(&ask, &cookie, &token, &id, "{").await.problem(400, "note");
    let long = format!("{{\"note\": \"{}\"}}", "ă".repeat(501));
    ack(&ask, &cookie, &token, &id, &long).await.problem(400, "500");
    let huge = format!("{{\"note\": \"{}\"}}", "a".repeat(64 * 1024));
    assert_eq!(ack(&ask, &cookie, &token, &id, &huge).await.status, 413);
}

#[tokio::test]
async fn signing_in_gives_a_new_session_and_signing_out_ends_it() {
    let ask = Asked::province();
    let first = ask.sign_in("truc").await;
    let password = PASSWORD.replace(' ', "+");
    let form = format!("name=truc&password={password}&lang=en");
    let answer = ask.post(&first, "/login", &form).await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.contains("HttpOnly; SameSite=Lax") && cookie.contains("Path=/"), "{cookie}");
    assert_eq!(answer.header("location"), "/desk?lang=en");
    let second = cookie.split(';').next().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(ask.get_as(&first, "/desk").await.status, 303, "the first session has ended");
    let token = ask.token(&second).await;
    let out = ask.post(&second, "/logout", &format!("csrf={token}")).await;
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(ask.get_as(&second, "/desk").await.status, 303);
    assert_eq!(ask.get_as("saltline=zz", "/desk").await.status, 303);
}

#[tokio::test]
async fn guessing_gets_slow_and_says_nothing() {
    let ask = Asked::province();
    let wrong = ask.post("", "/login", "name=truc&password=x").await;
    let nobody = ask.post("", "/login", "name=nobody&password=x").await;
    assert_eq!((wrong.status.as_u16(), nobody.status.as_u16()), (401, 401));
    assert_eq!(wrong.text, nobody.text, "the same answer for both");
    for _ in 0..4 {
        ask.post("", "/login", "name=truc&password=x").await;
    }
    let password = PASSWORD.replace(' ', "+");
    let slow = ask.post("", "/login", &format!("name=truc&password={password}")).await;
    assert_eq!(slow.status, 429, "even the right password waits");
    assert!(slow.header("retry-after").parse::<u64>().unwrap() <= 901);
    ask.sign_in("sep").await;
    assert_eq!(ask.post("", "/login", "name=truc").await.status, 422);
}

#[tokio::test]
async fn what_is_somebodys_is_never_cached() {
    let ask = Asked::province();
    let cookie = ask.sign_in("truc").await;
    for path in ["/desk", "/login", "/api/v1/session"] {
        let answer = ask.get_as(&cookie, path).await;
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert!(answer.headers.get("etag").is_none(), "{path}");
    }
    let alerts = ask.get("/api/v1/alerts").await;
    assert!(alerts.header("vary").contains("cookie"), "{}", alerts.header("vary"));
    let _: Value = alerts.json();
}
