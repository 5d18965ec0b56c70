//! Who subscribed to what: a tree with a node per topic level, so that a publish visits the levels of its topic and
//! not every subscription.

use std::collections::HashMap;

/// Subscriptions by filter. `T` is a subscriber.
#[derive(Debug)]
pub(super) struct Tree<T> {
    root: Node<T>,
}

#[derive(Debug)]
struct Node<T> {
    children: HashMap<Box<str>, Node<T>>,
    /// The level `+`.
    any: Option<Box<Node<T>>>,
    /// Filters that end here.
    here: Vec<T>,
    /// Filters that end with `#` below here.
    below: Vec<T>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { children: HashMap::new(), any: None, here: Vec::new(), below: Vec::new() }
    }
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

impl<T> Tree<T> {
    /// The place of a filter, to add a subscription to.
    pub(super) fn place(&mut self, filter: &str) -> &mut Vec<T> {
        let mut node = &mut self.root;
        let mut multi = false;
        for level in filter.split('/') {
            match level {
                "#" => multi = true,
                "+" => node = node.any.get_or_insert_default(),
                _ => node = node.children.entry(level.into()).or_default(),
            }
        }
        if multi { &mut node.below } else { &mut node.here }
    }

    /// Keeps of a filter's subscriptions those for which `stays` holds.
    pub(super) fn retain(&mut self, filter: &str, mut stays: impl FnMut(&T) -> bool) {
        let levels: Vec<&str> = filter.split('/').collect();
        self.root.retain(&levels, &mut stays);
    }

    /// Shows every subscription whose filter matches the topic.
    pub(super) fn matching<'a>(&'a self, topic: &str, seen: &mut impl FnMut(&'a T)) {
        let first = if topic.starts_with('$') { Leading::Literal } else { Leading::Any };
        self.root.matching(Some(topic), first, seen);
    }
}

/// Whether a wildcard may stand for the level at hand: not for a first level that begins with `$`.
#[derive(Clone, Copy, PartialEq)]
enum Leading {
    Any,
    Literal,
}

impl<T> Node<T> {
    fn matching<'a>(&'a self, rest: Option<&str>, wild: Leading, seen: &mut impl FnMut(&'a T)) {
        if wild == Leading::Any {
            self.below.iter().for_each(&mut *seen);
        }
        let Some(rest) = rest else {
            self.here.iter().for_each(seen);
            return;
        };
        let (level, rest) = match rest.split_once('/') {
            Some((level, rest)) => (level, Some(rest)),
            None => (rest, None),
        };
        if let Some(child) = self.children.get(level) {
            child.matching(rest, Leading::Any, seen);
        }
        if let (Some(any), Leading::Any) = (&self.any, wild) {
            any.matching(rest, Leading::Any, seen);
        }
    }

    /// Removes, and prunes what is empty after it.
    fn retain(&mut self, levels: &[&str], stays: &mut impl FnMut(&T) -> bool) {
        match levels {
            [] => self.here.retain(stays),
            ["#"] => self.below.retain(stays),
            ["+", rest @ ..] => {
                if let Some(any) = &mut self.any {
                    any.retain(rest, stays);
                    if any.is_empty() {
                        self.any = None;
                    }
                }
            }
            [level, rest @ ..] => {
                if let Some(child) = self.children.get_mut(*level) {
                    child.retain(rest, stays);
                    if child.is_empty() {
                        self.children.remove(*level);
                    }
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.any.is_none()
            && self.here.is_empty()
            && self.below.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::topic;
    use super::*;

    fn matches(tree: &Tree<u32>, topic: &str) -> Vec<u32> {
        let mut found = Vec::new();
        tree.matching(topic, &mut |id| found.push(*id));
        found.sort_unstable();
        found
    }

    #[test]
    fn a_removed_filter_leaves_nothing_behind() {
        let mut tree = Tree::default();
        for (id, filter) in ["#", "a/+", "a/b", "+/b/#"].into_iter().enumerate() {
            tree.place(filter).push(id as u32);
        }
        assert_eq!(matches(&tree, "a/b"), [0, 1, 2, 3]);
        for (id, filter) in ["#", "a/+", "a/b", "+/b/#"].into_iter().enumerate() {
            tree.retain(filter, |old| *old != id as u32);
        }
        tree.retain("never/there", |_| false);
        assert!(tree.root.is_empty());
    }

    #[test]
    fn vietnamese_levels_with_a_wildcard_are_no_trap() {
        let mut tree = Tree::default();
        tree.place("Đồng-Tháp/#").push(1);
        assert_eq!(matches(&tree, "Đồng-Tháp/mặn"), [1]);
        assert_eq!(matches(&tree, "Đồng-Tháp"), [1]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]
        /// The tree finds what a scan with `covers` finds.
        #[test]
        fn the_tree_agrees_with_a_scan(
            filters in prop::collection::vec("[ab$+]?(/[ab+]?){0,3}(/#)?", 1..20),
            name in "[ab$]{1}(/[ab]?){0,4}",
        ) {
            let filters: Vec<_> = filters.into_iter().filter(|f| topic::is_filter(f)).collect();
            let mut tree = Tree::default();
            for (id, filter) in filters.iter().enumerate() {
                tree.place(filter).push(id as u32);
            }
            let scan: Vec<u32> = (0_u32..)
                .zip(&filters)
                .filter(|(_, filter)| topic::covers(filter, &name))
                .map(|(id, _)| id)
                .collect();
            prop_assert_eq!(matches(&tree, &name), scan);
        }
    }
}
