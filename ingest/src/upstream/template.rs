//! A topic filter that says where the station stands: `province/{station}/data` is `province/+/data` to the broker,
//! and what fills the level is the station's code. Other levels may be `+`, the last may be `#`.

use std::fmt;

use crate::mqtt::{covers, is_filter};

/// What stands for the station in the text of a template.
const STATION: &str = "{station}";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    filter: String,
    /// Which level names the station; `None` where the payload does.
    level: Option<usize>,
}

/// The text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a topic template: {why}")]
pub struct BadTemplate {
    text: String,
    why: &'static str,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`BadTemplate`] where the text is not a topic filter, or names the station more than once.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        let bad = |why| Err(BadTemplate { text: text.chars().take(200).collect(), why });
        let mut levels = text.split('/').enumerate().filter(|(_, level)| *level == STATION);
        let level = levels.next().map(|(at, _)| at);
        if levels.next().is_some() {
            return bad("{station} stands in it more than once");
        }
        let filter: Vec<_> =
            text.split('/').map(|level| if level == STATION { "+" } else { level }).collect();
        let filter = filter.join("/");
        if filter.contains(['{', '}']) {
            return bad("{station} fills a whole level, as in a/{station}/b");
        }
        if filter.starts_with('$') {
            return bad(
                "a group is named by `share`, and other topics with $ are the broker's own",
            );
        }
        if !is_filter(&filter) {
            return bad("it is not a topic filter");
        }
        Ok(Self { filter, level })
    }

    /// What is subscribed to.
    #[must_use]
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// Does the topic name the station?
    #[must_use]
    pub fn names_station(&self) -> bool {
        self.level.is_some()
    }

    /// Is this topic one of the template's?
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        covers(&self.filter, topic)
    }

    /// The station in a topic of this template.
    #[must_use]
    pub fn station<'a>(&self, topic: &'a str) -> Option<&'a str> {
        if !self.matches(topic) {
            return None;
        }
        topic.split('/').nth(self.level?)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, level) in self.filter.split('/').enumerate() {
            let slash = if at == 0 { "" } else { "/" };
            let level = if Some(at) == self.level { STATION } else { level };
            write!(f, "{slash}{level}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_station_stands_where_the_template_says() {
        for (template, topic, station) in [
            ("province/{station}/data", "province/xuan-hoa/data", Some("xuan-hoa")),
            ("{station}", "xuan-hoa", Some("xuan-hoa")),
            ("+/{station}/#", "tg/xuan-hoa/a/b", Some("xuan-hoa")),
            ("+/{station}/#", "tg/xuan-hoa", Some("xuan-hoa")),
            ("province/{station}/data", "province/xuan-hoa/state", None),
            ("province/{station}/data", "province//data", Some("")),
            ("application/#", "application/7", None),
        ] {
            let read = Template::parse(template).unwrap();
            assert_eq!(read.station(topic), station, "{template} {topic}");
            assert_eq!(read.to_string(), template);
        }
    }

    #[test]
    fn what_cannot_be_subscribed_to_is_no_template() {
        for bad in [
            "",
            "a/{station}b",
            "{station}/{station}",
            "a/#/{station}",
            "{code}",
            "$share/g/{station}",
        ] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
