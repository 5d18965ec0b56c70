//! What a station is told by the engine while it runs, and its answers: commands with id and expiry, each done once
//! however often it comes, and the configuration that is wanted. Answers are kept until they are acknowledged.

use std::collections::VecDeque;

use domain::Timestamp;
use serde_json::{Map, Value, json};

/// Commands remembered, so that one that comes again is answered and not done again: as many as the engine lets wait.
const REMEMBERED: usize = 32;

/// Answers that wait for their acknowledgement: two for each command remembered, and the configuration.
const ANSWERS_MAX: usize = 2 * REMEMBERED + 1;

/// What the station has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Send these numbers again, and then answer the command with this id.
    Resend {
        /// The command.
        id: String,
        /// The first number.
        from: u64,
        /// The last one.
        to: u64,
    },
    /// From now on at most so many old reports in a second.
    Pace(f64),
}

/// One thing to publish with QoS 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The topic below the station's own.
    pub below: &'static str,
    /// The message.
    pub body: Value,
    /// Kept for those who come later.
    pub retain: bool,
    sent_as: Option<u16>,
}

/// The commands of a station.
#[derive(Debug, Default)]
pub struct Commands {
    known: VecDeque<(String, Value)>,
    answers: VecDeque<Answer>,
}

impl Commands {
    /// Takes a message from the engine; gives back what is to be done.
    pub fn heed(&mut self, below: &str, payload: &[u8], now: Timestamp) -> Option<Order> {
        let said: Map<String, Value> = serde_json::from_slice(payload).ok()?;
        match below {
            "command" => self.command(&said, now),
            "config/desired" => self.configure(&said),
            _ => None,
        }
    }

    /// Answers a command for the last time.
    pub fn done(&mut self, id: &str, more: &Value) {
        self.answer(id, "done", more);
    }

    /// Something to say that nobody asked for.
    pub fn say(&mut self, below: &'static str, body: Value) {
        self.push(below, body, false);
    }

    /// Is anything that was said there not safe yet?
    #[must_use]
    pub fn owes(&self, below: &str) -> bool {
        self.answers.iter().any(|answer| answer.below == below)
    }

    /// The next answer that is not under way, now under way as packet `pkid`.
    pub fn send_next(&mut self, pkid: u16) -> Option<&Answer> {
        let answer = self.answers.iter_mut().find(|answer| answer.sent_as.is_none())?;
        answer.sent_as = Some(pkid);
        Some(answer)
    }

    /// The answer under way as `pkid` is safe.
    pub fn acknowledge(&mut self, pkid: u16) {
        self.answers.retain(|answer| answer.sent_as != Some(pkid));
    }

    /// The link is gone.
    pub fn all_again(&mut self) {
        self.answers.iter_mut().for_each(|answer| answer.sent_as = None);
    }

    /// Is the packet id in use?
    #[must_use]
    pub fn uses(&self, pkid: u16) -> bool {
        self.answers.iter().any(|answer| answer.sent_as == Some(pkid))
    }

    fn command(&mut self, said: &Map<String, Value>, now: Timestamp) -> Option<Order> {
        let text = |name: &str| said.get(name).and_then(Value::as_str);
        let id = text("id")?;
        if let Some((_, answer)) = self.known.iter().find(|(known, _)| known == id) {
            // It comes again because the answer did not arrive, or crossed it on the way.
            let answer = answer.clone();
            self.push("receipt", answer, false);
            return None;
        }
        let expires = text("expires").and_then(|text| Timestamp::parse_rfc3339(text).ok());
        if expires.is_some_and(|expires| expires <= now) {
            self.answer(id, "failed", &json!({ "why": "it came after it had expired" }));
            return None;
        }
        let number = |name: &str| said.get(name).and_then(Value::as_u64);
        match (text("kind")?, number("from_seq"), number("to_seq")) {
            ("resend", Some(from), Some(to)) if from <= to => {
                self.answer(id, "accepted", &json!({}));
                Some(Order::Resend { id: id.to_owned(), from, to })
            }
            ("resend", ..) => {
                self.answer(id, "failed", &json!({ "why": "from_seq and to_seq are numbers" }));
                None
            }
            ("ping", ..) => {
                self.answer(id, "done", &json!({ "why": "alive" }));
                None
            }
            (kind, ..) => {
                self.answer(id, "failed", &json!({ "why": format!("unknown kind `{kind}`") }));
                None
            }
        }
    }

    /// The configuration is taken as it is and reported with its hash; one of its names means something here.
    fn configure(&mut self, said: &Map<String, Value>) -> Option<Order> {
        let config = said.get("config")?.as_object()?;
        let body = json!({ "hash": said.get("hash")?, "config": config });
        self.answers.retain(|answer| answer.below != "config/reported");
        self.push("config/reported", body, true);
        let pace = config.get("backlog_per_s")?.as_f64()?;
        (0.1..=1_000.0).contains(&pace).then_some(Order::Pace(pace))
    }

    fn answer(&mut self, id: &str, state: &str, more: &Value) {
        let mut body = json!({ "id": id, "state": state });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        self.known.retain(|(known, _)| known != id);
        while REMEMBERED <= self.known.len() {
            self.known.pop_front();
        }
        self.known.push_back((id.to_owned(), body.clone()));
        self.push("receipt", body, false);
    }

    fn push(&mut self, below: &'static str, body: Value, retain: bool) {
        if ANSWERS_MAX <= self.answers.len() {
            self.answers.pop_front();
        }
        self.answers.push_back(Answer { below, body, retain, sent_as: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_773_266_400_000);

    fn heed(commands: &mut Commands, said: &Value) -> Option<Order> {
        commands.heed("command", said.to_string().as_bytes(), NOW)
    }

    fn answers(commands: &mut Commands) -> Vec<String> {
        let mut out = Vec::new();
        while let Some(answer) = commands.send_next(7) {
            out.push(format!("{} {}", answer.body["state"], answer.body["id"]).replace('"', ""));
            commands.acknowledge(7);
        }
        out
    }

    #[test]
    fn a_command_is_done_once_and_answered_as_often_as_it_comes() {
        let mut commands = Commands::default();
        let said = json!({ "id": "a", "kind": "resend", "from_seq": 5, "to_seq": 9 });
        let order = heed(&mut commands, &said);
        assert_eq!(order, Some(Order::Resend { id: "a".to_owned(), from: 5, to: 9 }));
        assert_eq!(heed(&mut commands, &said), None);
        assert_eq!(answers(&mut commands), ["accepted a", "accepted a"]);
        commands.done("a", &json!({ "sent": 5 }));
        assert_eq!(heed(&mut commands, &said), None);
        assert_eq!(answers(&mut commands), ["done a", "done a"]);
    }

    #[test]
    fn what_is_too_late_unknown_or_without_sense_fails() {
        let mut commands = Commands::default();
        let expired = json!({ "id": "a", "kind": "ping", "expires": "2020-01-01T00:00:00Z" });
        for said in [
            expired,
            json!({ "id": "b", "kind": "dance" }),
            json!({ "id": "c", "kind": "resend", "from_seq": 9, "to_seq": 5 }),
        ] {
            assert_eq!(heed(&mut commands, &said), None);
        }
        assert_eq!(heed(&mut commands, &json!({ "kind": "ping" })), None, "without an id: nothing");
        assert_eq!(commands.heed("command", b"not json", NOW), None);
        assert_eq!(answers(&mut commands), ["failed a", "failed b", "failed c"]);
    }

    #[test]
    fn a_configuration_is_reported_with_the_hash_it_came_with() {
        let mut commands = Commands::default();
        let told =
            |pace: f64| json!({ "hash": "h", "config": { "backlog_per_s": pace } }).to_string();
        let order = commands.heed("config/desired", told(2.0).as_bytes(), NOW);
        assert_eq!(order, Some(Order::Pace(2.0)));
        assert_eq!(commands.heed("config/desired", told(0.0).as_bytes(), NOW), None);
        let answer = commands.send_next(1).unwrap();
        assert_eq!(
            (answer.below, answer.retain, &answer.body["hash"]),
            ("config/reported", true, &json!("h"))
        );
        assert_eq!(commands.send_next(2), None, "only the newest is reported");
        commands.all_again();
        assert!(commands.send_next(3).is_some() && commands.uses(3));
    }
}
