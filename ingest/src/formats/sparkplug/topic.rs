//! `spBv1.0/{group}/{kind}/{node}` and `spBv1.0/{group}/{kind}/{node}/{device}`: who speaks, and what kind of message it is.

/// The first level of every topic.
pub(super) const NAMESPACE: &str = "spBv1.0";

/// A kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Birth,
    Data,
    Death,
    /// For nodes and devices, from hosts; and the state of hosts.
    NotForUs,
}

/// A topic, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Topic<'a> {
    pub(super) kind: Kind,
    pub(super) group: &'a str,
    pub(super) node: &'a str,
    pub(super) device: Option<&'a str>,
}

impl<'a> Topic<'a> {
    /// Reads a topic; `None` where it is not one of Sparkplug's.
    pub(super) fn parse(topic: &'a str) -> Option<Self> {
        let mut levels = topic.split('/');
        if levels.next()? != NAMESPACE {
            return None;
        }
        let group = levels.next()?;
        let (kind, node, device) = (levels.next()?, levels.next(), levels.next());
        if levels.next().is_some() {
            return None;
        }
        // `spBv1.0/STATE/{host}`.
        if group == "STATE" && node.is_none() {
            return Some(Self { kind: Kind::NotForUs, group, node: kind, device: None });
        }
        let node = node.filter(|node| !node.is_empty())?;
        let (kind, of_device) = match kind {
            "NBIRTH" => (Kind::Birth, false),
            "NDATA" => (Kind::Data, false),
            "NDEATH" => (Kind::Death, false),
            "DBIRTH" => (Kind::Birth, true),
            "DDATA" => (Kind::Data, true),
            "DDEATH" => (Kind::Death, true),
            "NCMD" => (Kind::NotForUs, false),
            "DCMD" => (Kind::NotForUs, true),
            _ => return None,
        };
        let fits = of_device == device.is_some_and(|device| !device.is_empty());
        (fits && !group.is_empty()).then_some(Self { kind, group, node, device })
    }

    /// What its speaker is called: `group/node` or `group/node/device`.
    pub(super) fn name(&self) -> String {
        match self.device {
            Some(device) => format!("{}/{}/{device}", self.group, self.node),
            None => format!("{}/{}", self.group, self.node),
        }
    }

    /// Where its node takes commands.
    pub(super) fn command(&self) -> String {
        format!("{NAMESPACE}/{}/NCMD/{}", self.group, self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_says_who_speaks() {
        for (topic, name, kind) in [
            ("spBv1.0/tg/NBIRTH/edge", "tg/edge", Kind::Birth),
            ("spBv1.0/tg/DDATA/edge/xuan-hoa", "tg/edge/xuan-hoa", Kind::Data),
            ("spBv1.0/tg/NDEATH/edge", "tg/edge", Kind::Death),
            ("spBv1.0/tg/NCMD/edge", "tg/edge", Kind::NotForUs),
            ("spBv1.0/STATE/scada", "STATE/scada", Kind::NotForUs),
        ] {
            let read = Topic::parse(topic).unwrap();
            assert_eq!((read.name().as_str(), read.kind), (name, kind), "{topic}");
        }
        for bad in [
            "",
            "spBv1.0",
            "spBv1.0/tg/NBIRTH",
            "spBv1.0/tg/NBIRTH/",
            "spBv1.0/tg/NBIRTH/edge/device",
            "spBv1.0/tg/DDATA/edge",
            "spBv1.0/tg/DDATA/edge/",
            "spBv1.0/tg/DDATA/edge/device/more",
            "spBv1.0/tg/XDATA/edge",
            "spBv1.0//NDATA/edge",
            "spAv1.0/tg/NDATA/edge",
        ] {
            assert_eq!(Topic::parse(bad), None, "{bad}");
        }
    }
}
