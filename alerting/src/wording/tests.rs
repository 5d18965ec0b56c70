//! The texts, as they are read.

use domain::{AlertState, EventKind, Verdict, Water};
use expect_test::{Expect, expect};

use super::*;
use crate::channels::sms::{Alphabet, segments};
use crate::testing::{person, roster, station, time, verdict};

const KINDS: [(EventKind, Because); 8] = [
    (EventKind::Raised, Because::CrossedTheLimit),
    (EventKind::Worsened, Because::HigherLevel),
    (EventKind::Eased, Because::LowerLevel),
    (EventKind::Lost, Because::NoGoodReading),
    (EventKind::Found, Because::SpeaksAgain),
    (EventKind::Cleared, Because::BackToSafe),
    (EventKind::Backlog, Because::FoundInBacklog),
    (EventKind::Withdrawn, Because::RuleRemoved),
];

fn happened(kind: EventKind, of: &Verdict) -> (Alert, AlertEvent) {
    let event = AlertEvent {
        kind,
        at: time("05:03"),
        value: of.value,
        taken_at: of.taken_at,
        limit: Some(4.0),
        why: String::new(),
        by: None,
    };
    let alert = Alert {
        id: AlertId::raised(&of.rule, &of.station, 123_456),
        rule: of.rule.clone(),
        station: of.station.clone(),
        parameter: of.parameter.clone(),
        level: match of.water {
            Water::Exceed(level) => level,
            _ => 2,
        },
        state: AlertState::Open,
        raised_at: time("05:03"),
        cleared_at: None,
        events: vec![event.clone()],
    };
    (alert, event)
}

fn worded(kind: EventKind, language: Language, channel: ChannelKind) -> Worded {
    let said = if kind == EventKind::Cleared { "05:00 safe 0.75" } else { "05:00 exceed2 8.85" };
    let (alert, event) = happened(kind, &verdict(said));
    let roster = roster(&[]);
    let because = KINDS.iter().find(|(known, _)| *known == kind).unwrap().1;
    let public_url = Some("https://man.example.vn");
    let what = Happening { alert: &alert, event: &event, because, roster: &roster, public_url };
    word(&what, &person("ba-tu", language), channel)
}

fn check(language: Language, wanted: &Expect) {
    let lines = KINDS.map(|(kind, _)| worded(kind, language, ChannelKind::Sms).body);
    wanted.assert_eq(&lines.join("\n"));
}

#[test]
fn sms_with_marks() {
    check(
        Language::Vietnamese,
        &expect![[r#"
        CẢNH BÁO MẶN: Cống Xuân Hòa 05:00 12/03 đo 8,85 g/l, vượt ngưỡng 4 g/l. KHÔNG lấy nước. Tin 2N9C
        MẶN TĂNG: Cống Xuân Hòa 05:00 12/03 đo 8,85 g/l, vượt ngưỡng 4 g/l. KHÔNG lấy nước. Tin 2N9C
        MẶN GIẢM: Cống Xuân Hòa 05:00 12/03 đo 8,85 g/l, vẫn trên ngưỡng 4 g/l. KHÔNG lấy nước. Tin 2N9C
        MẤT SỐ LIỆU: Cống Xuân Hòa từ 05:00 12/03 không có số đo tốt. Chưa biết mặn còn hay hết. Coi như còn mặn, đo tay trước khi lấy nước. Tin 2N9C
        CÓ LẠI SỐ LIỆU: Cống Xuân Hòa 05:00 12/03 đo 8,85 g/l, vẫn trên ngưỡng 4 g/l. KHÔNG lấy nước. Tin 2N9C
        HẾT CẢNH BÁO MẶN: Cống Xuân Hòa 05:00 12/03 đo 0,75 g/l, dưới mức an toàn 0,8 g/l. Đo lại trước khi lấy nước. Tin 2N9C
        SỐ LIỆU GỬI BÙ: Cống Xuân Hòa đã vượt ngưỡng 4 g/l lúc 05:00 12/03 (đo 8,85 g/l). Không phải tin lúc này. Tin 2N9C
        RÚT CẢNH BÁO MẶN: Cống Xuân Hòa không còn được theo dõi theo quy tắc này. Chưa chắc đã an toàn. Đo tay trước khi lấy nước. Tin 2N9C"#]],
    );
}

#[test]
fn sms_without_marks() {
    check(
        Language::VietnameseUnmarked,
        &expect![[r#"
        CANH BAO MAN: Cong Xuan Hoa 05:00 12/03 do 8,85 g/l, vuot nguong 4 g/l. KHONG lay nuoc. Tin 2N9C
        MAN TANG: Cong Xuan Hoa 05:00 12/03 do 8,85 g/l, vuot nguong 4 g/l. KHONG lay nuoc. Tin 2N9C
        MAN GIAM: Cong Xuan Hoa 05:00 12/03 do 8,85 g/l, van tren nguong 4 g/l. KHONG lay nuoc. Tin 2N9C
        MAT SO LIEU: Cong Xuan Hoa tu 05:00 12/03 khong co so do tot. Chua biet man con hay het. Coi nhu con man, do tay truoc khi lay nuoc. Tin 2N9C
        CO LAI SO LIEU: Cong Xuan Hoa 05:00 12/03 do 8,85 g/l, van tren nguong 4 g/l. KHONG lay nuoc. Tin 2N9C
        HET CANH BAO MAN: Cong Xuan Hoa 05:00 12/03 do 0,75 g/l, duoi muc an toan 0,8 g/l. Do lai truoc khi lay nuoc. Tin 2N9C
        SO LIEU GUI BU: Cong Xuan Hoa da vuot nguong 4 g/l luc 05:00 12/03 (do 8,85 g/l). Khong phai tin luc nay. Tin 2N9C
        RUT CANH BAO MAN: Cong Xuan Hoa khong con duoc theo doi theo quy tac nay. Chua chac da an toan. Do tay truoc khi lay nuoc. Tin 2N9C"#]],
    );
}

#[test]
fn sms_in_english() {
    check(
        Language::English,
        &expect![[r#"
        SALINITY ALERT: Cong Xuan Hoa 05:00 12/03 reads 8.85 g/L, over 4 g/L. DO NOT take in water. Ref 2N9C
        SALINITY RISING: Cong Xuan Hoa 05:00 12/03 reads 8.85 g/L, over 4 g/L. DO NOT take in water. Ref 2N9C
        SALINITY FALLING: Cong Xuan Hoa 05:00 12/03 reads 8.85 g/L, still over 4 g/L. DO NOT take in water. Ref 2N9C
        NO DATA: Cong Xuan Hoa has no good reading since 05:00 12/03. State of salinity unknown. Treat as salty; measure by hand before taking water. Ref 2N9C
        DATA BACK: Cong Xuan Hoa 05:00 12/03 reads 8.85 g/L, still over 4 g/L. DO NOT take in water. Ref 2N9C
        SALINITY ALL CLEAR: Cong Xuan Hoa 05:00 12/03 reads 0.75 g/L, below 0.8 g/L. Measure again before taking water. Ref 2N9C
        LATE DATA: Cong Xuan Hoa was over 4 g/L at 05:00 12/03 (read 8.85 g/L). Not about now. Ref 2N9C
        SALINITY ALERT WITHDRAWN: Cong Xuan Hoa is no longer watched by this rule. Not an all-clear. Measure by hand before taking water. Ref 2N9C"#]],
    );
}

/// Level 0 of the rule is reached at 1 g/l and left below 0.8 g/l.
fn still_open(kind: EventKind, value: f64, language: Language, channel: ChannelKind) -> String {
    let mut of = verdict("05:00 exceed0 1.5");
    of.value = Some(value);
    let (mut alert, mut event) = happened(kind, &of);
    event.limit = Some(1.0);
    alert.events = vec![event.clone()];
    let mut roster = roster(&[]);
    roster.rules[0].levels[0] = domain::Level { limit: 1.0, clear: 0.8 };
    let because = KINDS.iter().find(|(known, _)| *known == kind).unwrap().1;
    let what =
        Happening { alert: &alert, event: &event, because, roster: &roster, public_url: None };
    let worded = word(&what, &person("ba-tu", language), channel);
    format!("{} {}", worded.subject, worded.body)
}

#[test]
fn what_is_said_of_an_open_alert_is_true_of_its_value() {
    let cases = [
        (Language::Vietnamese, "trên ngưỡng", "chưa xuống dưới mức an toàn 0,8 g/l", "đủ lâu"),
        (Language::VietnameseUnmarked, "tren nguong", "chua xuong duoi muc an toan 0,8", "du lau"),
        (Language::English, "still over", "not yet below the safe level 0.8 g/L", "long enough"),
    ];
    for (language, over, between, brief) in cases {
        for kind in [EventKind::Found, EventKind::Eased] {
            for channel in [ChannelKind::Sms, ChannelKind::Email] {
                let says = |value| {
                    let text = still_open(kind, value, language, channel);
                    [over, between, brief].map(|phrase| text.contains(phrase))
                };
                assert_eq!(says(1.0), [true, false, false], "{language:?} {kind:?} {channel}");
                assert_eq!(says(0.9), [false, true, false], "{language:?} {kind:?} {channel}");
                assert_eq!(says(0.8), [false, true, false], "{language:?} {kind:?} {channel}");
                assert_eq!(says(0.5), [false, false, true], "{language:?} {kind:?} {channel}");
            }
        }
    }
}

#[test]
fn an_email_carries_the_evidence() {
    let email = worded(EventKind::Raised, Language::Vietnamese, ChannelKind::Email);
    expect![[r#"
        CẢNH BÁO MẶN: Cống Xuân Hòa 8,85 g/l, vượt ngưỡng 4 g/l

        Kính gửi Ba Tư,

        Cống Xuân Hòa lúc 05:00 12/03 đo được 8,85 g/l, vượt ngưỡng 4 g/l. KHÔNG lấy nước.

        Trạm: Cống Xuân Hòa (xuan-hoa)
        Sông: sông Tiền, cách cửa sông 42 km
        Thông số: Độ mặn
        Số đo: 8,85 g/l
        Đo lúc: 05:00 12/03/2026 (UTC+7)
        Ngưỡng: 4 g/l
        Quy tắc: Lấy nước ngọt
        Mức: 3/3
        Lý do: số đo tốt đã chạm ngưỡng và giữ đủ thời gian quy định
        Xét lúc: 05:03 12/03/2026 (UTC+7)
        Mã cảnh báo: 2N9C (salinity-intake.xuan-hoa.123456)
        Xem: https://man.example.vn/s/xuan-hoa

        -- 
        Tin tự động của Saltline, tham khảo nội bộ; không thay cho bản tin của cơ quan khí tượng thủy văn.
    "#]].assert_eq(&format!("{}\n\n{}", email.subject, email.body));
}

#[test]
fn an_email_about_the_past_says_so() {
    let email = worded(EventKind::Backlog, Language::English, ChannelKind::Email);
    expect![[r#"
        LATE DATA: Cống Xuân Hòa was over 4 g/L at 05:00 12/03

        Dear Ba Tư,

        Cống Xuân Hòa was over the limit of 4 g/L at 05:00 12/03, reading 8.85 g/L (data sent late). This is about the past, not about now.

        Station: Cống Xuân Hòa (xuan-hoa)
        River: sông Tiền, 42 km from the mouth
        Parameter: Salinity
        Reading: 8.85 g/L
        Taken at: 05:00 12/03/2026 (UTC+7)
        Limit: 4 g/L
        Rule: Lấy nước ngọt
        Level: 3/3
        Reason: data sent late show that the limit was exceeded in the past
        Judged at: 05:03 12/03/2026 (UTC+7)
        Alert: 2N9C (salinity-intake.xuan-hoa.123456)
        See: https://man.example.vn/s/xuan-hoa

        -- 
        Sent by Saltline, for internal reference; not a bulletin of the hydrometeorological authority.
    "#]].assert_eq(&format!("{}\n\n{}", email.subject, email.body));
}

#[test]
fn every_unmarked_sms_is_one_part_of_plain_ascii_for_any_station() {
    for (kind, because) in KINDS {
        let mut roster = roster(&[]);
        roster.stations[0].name = "Cống Nguyễn Tấn Thành – Đồng Tháp Mười ở phía bắc".to_owned();
        let (mut alert, mut event) = happened(kind, &verdict("05:00 exceed2 38.85"));
        alert.id = AlertId::raised(&alert.rule, &alert.station, 99_999_999_999);
        event.limit = Some(12.25);
        roster.rules[0].levels[0].clear = 11.75;
        for value in [38.85, 11.95, 10.25] {
            event.value = Some(value);
            let roster = &roster;
            let what =
                Happening { alert: &alert, event: &event, because, roster, public_url: None };
            let person = person("a", Language::VietnameseUnmarked);
            let text = word(&what, &person, ChannelKind::Sms).body;
            let (alphabet, parts) = segments(&text);
            assert!(text.is_ascii(), "{text}");
            assert_eq!((alphabet, parts.len()), (Alphabet::Gsm7, 1), "{} in `{text}`", text.len());
        }
    }
}

#[test]
fn a_marked_sms_is_at_most_three_parts() {
    for (kind, _) in KINDS {
        let text = worded(kind, Language::Vietnamese, ChannelKind::Sms).body;
        let (alphabet, parts) = segments(&text);
        assert_eq!(alphabet, Alphabet::Ucs2);
        assert!(parts.len() <= 3, "{text}");
    }
}

#[test]
fn both_languages_say_the_same_things_with_known_words() {
    let known = [
        "HAZARD", "hazard", "station", "time", "since", "value", "limit", "clear", "advice", "id",
        "person", "km", "stand",
    ];
    let (vi, en) = (texts::of(Language::Vietnamese), texts::of(Language::English));
    for (a, b) in [
        (&vi.sms, &en.sms),
        (&vi.subject, &en.subject),
        (&vi.sentence, &en.sentence),
        (&vi.stand, &en.stand),
        (&vi.hazard, &en.hazard),
        (&vi.why, &en.why),
        (&vi.label, &en.label),
        (&vi.advice["salinity"], &en.advice["salinity"]),
        (&vi.advice["other"], &en.advice["other"]),
    ] {
        assert!(a.keys().eq(b.keys()), "{a:?} {b:?}");
        for text in a.values().chain(b.values()) {
            for used in text.split('{').skip(1).filter_map(|rest| rest.split_once('}')) {
                assert!(known.contains(&used.0), "{text}");
            }
        }
    }
    for (kind, because) in KINDS {
        for table in [&vi.sms, &vi.subject, &vi.sentence, &vi.advice["other"]] {
            assert!(table.contains_key(kind.as_str()), "{kind:?}");
        }
        assert!(vi.why.contains_key(because.as_str()), "{because:?}");
    }
}

#[test]
fn what_the_roster_does_not_know_is_named_by_its_code() {
    let (alert, event) = happened(EventKind::Raised, &verdict("05:00 exceed2 8.85"));
    let roster = Roster::default();
    let because = Because::CrossedTheLimit;
    let what =
        Happening { alert: &alert, event: &event, because, roster: &roster, public_url: None };
    let text = word(&what, &person("a", Language::English), ChannelKind::Sms).body;
    assert!(text.contains("xuan-hoa") && text.contains("8.85"), "{text}");
    assert_eq!(station().code.as_str(), "xuan-hoa");
}

#[test]
fn marks_are_dropped_and_units_stay_readable() {
    assert_eq!(unmarked("Đồng Tháp Mười, độ mặn 8,9 g/l"), "Dong Thap Muoi, do man 8,9 g/l");
    assert_eq!(unmarked("25 °C, W/m², µg/L – “ổn”…"), "25 C, W/m2, ug/L - \"on\"...");
    assert_eq!(unmarked("水"), "?");
}

#[test]
fn a_short_id_can_be_said_on_the_phone() {
    assert_eq!(short_id(&AlertId::from_text("salinity.xuan-hoa.123456")), "2N9C");
    assert_eq!(short_id(&AlertId::from_text("salinity.xuan-hoa.0")), "0");
    assert_eq!(short_id(&AlertId::from_text("salinity.xuan-hoa.77b1")), "77b1");
}
