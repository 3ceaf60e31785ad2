//! The routes of one host as a tree of segments.
//!
//! A walk costs one look-up a segment among the static children, and it comes back for a less specific
//! branch only when a more specific one led nowhere. It never visits more nodes than the templates
//! have segments, and never goes deeper than the deepest template, whatever the path.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZero;
use std::ops::ControlFlow;

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::template::Segment;
use super::texts::{Span, Texts};

/// The templates of one host.
///
/// With a thousand routes, what a request costs is the memory that it has to wait for. So nodes are small, lie together, and
/// name each other by number; and what many of them say (`things`, `GET`) is kept once.
#[derive(Debug)]
pub(super) struct Tree {
    /// The root comes first.
    nodes: Vec<Node>,
    endings: Vec<Ending>,
    /// Of nodes with several static children.
    tables: Vec<HashTable<Place>>,
    texts: Texts,
    hasher: RandomState,
}

/// A place in one of a tree's lists, counted from one, so that having none takes no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(NonZero<u32>);

impl Place {
    fn of(index: usize) -> Self {
        let number = u32::try_from(index).ok().and_then(|index| NonZero::<u32>::MIN.checked_add(index));
        Self(number.expect("a configuration file can't hold four billion segments"))
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

#[derive(Debug, Default)]
struct Node {
    /// The static segment that leads here.
    segment: Span,
    statics: Children,
    parameter: Option<Place>,
    /// Routes whose template ends here.
    end: Option<Place>,
    /// Routes whose template ends with a rest from here on.
    rest: Option<Place>,
}

/// Nodes behind a static segment.
#[derive(Debug, Clone, Copy, Default)]
enum Children {
    #[default]
    None,
    /// As below most nodes; found without a hash.
    One(Place),
    /// In this table.
    Many(Place),
}

/// Routes with the same template but for the names of its parameters.
#[derive(Debug, Default)]
struct Ending {
    /// Two fit in here: a route for `GET` takes `HEAD`, too.
    by_method: SmallVec<[(Span, Place); 2]>,
    any: Option<Place>,
}

/// An ending as walks show it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf<'t> {
    ending: &'t Ending,
    texts: &'t Texts,
}

/// A route with the same template that takes the same methods.
#[derive(Debug)]
pub(super) struct Clash<'m> {
    pub(super) other: usize,
    /// Empty: both take any method.
    pub(super) methods: Vec<&'m str>,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            endings: vec![],
            tables: vec![],
            texts: Texts::default(),
            hasher: RandomState::new(),
        }
    }
}

impl<'t> Leaf<'t> {
    fn by_method(self) -> impl Iterator<Item = (&'t str, usize)> {
        self.ending.by_method.iter().map(move |&(method, route)| (self.texts.get(method), route.index()))
    }

    /// The route that takes the method.
    pub(super) fn route_for(self, method: &str) -> Option<usize> {
        self.by_method().find(|&(known, _)| known == method).map(|(_, route)| route).or(self.any())
    }

    /// Every method that some route here names.
    pub(super) fn methods(self) -> impl Iterator<Item = &'t str> {
        self.by_method().map(|(method, _)| method)
    }

    /// The route takes any method here.
    pub(super) fn takes_any(self, route: usize) -> bool {
        self.any() == Some(route)
    }

    /// Every route here, once for each of its methods.
    pub(super) fn routes(self) -> impl Iterator<Item = usize> {
        self.by_method().map(|(_, route)| route).chain(self.any())
    }

    fn any(self) -> Option<usize> {
        self.ending.any.map(Place::index)
    }

    /// The routes here that take one of a further route's methods.
    fn clashes<'m>(self, methods: &'m [Box<str>]) -> Vec<Clash<'m>> {
        let mut clashes: Vec<Clash<'m>> = vec![];
        if methods.is_empty() {
            clashes.extend(self.any().map(|other| Clash { other, methods: vec![] }));
        }
        for method in methods {
            let Some((_, other)) = self.by_method().find(|&(known, _)| *known == **method) else { continue };
            match clashes.iter_mut().find(|clash| clash.other == other) {
                Some(clash) => clash.methods.push(method),
                None => clashes.push(Clash { other, methods: vec![method] }),
            }
        }
        clashes
    }
}

impl Tree {
    /// Adds a route; empty if no route with its template takes one of its methods yet, else nothing is added.
    pub(super) fn add<'m>(&mut self, segments: &[Segment], methods: &'m [Box<str>], route: usize) -> Vec<Clash<'m>> {
        let at = self.ending(segments);
        let clashes = self.leaf(at).clashes(methods);
        if clashes.is_empty() {
            let ending = &mut self.endings[at.index()];
            if methods.is_empty() {
                ending.any = Some(Place::of(route));
            }
            ending.by_method.extend(methods.iter().map(|method| (self.texts.keep(method), Place::of(route))));
        }
        clashes
    }

    /// Where templates of these segments end, made if there is no such place.
    fn ending(&mut self, segments: &[Segment]) -> Place {
        let next = Place::of(self.endings.len());
        let mut at = 0;
        let mut is_rest = false;
        for segment in segments {
            match segment {
                Segment::Static(text) => at = self.make_static_child(at, text),
                Segment::Parameter => at = self.make_parameter_child(at),
                Segment::Rest => is_rest = true,
            }
        }
        let node = &mut self.nodes[at];
        let ending = *if is_rest { &mut node.rest } else { &mut node.end }.get_or_insert(next);
        if ending == next {
            self.endings.push(Ending::default());
        }
        ending
    }

    fn leaf(&self, at: Place) -> Leaf<'_> {
        Leaf { ending: &self.endings[at.index()], texts: &self.texts }
    }

    fn static_child(&self, node: &Node, segment: &str) -> Option<Place> {
        let is_it = |child: &Place| self.texts.get(self.nodes[child.index()].segment) == segment;
        match node.statics {
            Children::None => None,
            Children::One(child) => is_it(&child).then_some(child),
            Children::Many(table) => self.tables[table.index()].find(self.hasher.hash_one(segment), is_it).copied(),
        }
    }

    fn static_children(&self, node: &Node) -> impl Iterator<Item = Place> {
        let (one, many) = match node.statics {
            Children::None => (None, None),
            Children::One(child) => (Some(child), None),
            Children::Many(table) => (None, Some(self.tables[table.index()].iter().copied())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    fn make_static_child(&mut self, at: usize, text: &str) -> usize {
        if let Some(child) = self.static_child(&self.nodes[at], text) {
            return child.index();
        }
        let next = self.nodes.len();
        let segment = self.texts.keep(text);
        self.nodes.push(Node { segment, ..Node::default() });
        let (table, new) = match self.nodes[at].statics {
            Children::None => {
                self.nodes[at].statics = Children::One(Place::of(next));
                return next;
            }
            Children::One(first) => {
                self.tables.push(HashTable::new());
                let table = Place::of(self.tables.len() - 1);
                self.nodes[at].statics = Children::Many(table);
                (table, vec![first, Place::of(next)])
            }
            Children::Many(table) => (table, vec![Place::of(next)]),
        };
        let hash = |child: &Place| self.hasher.hash_one(self.texts.get(self.nodes[child.index()].segment));
        for child in new {
            self.tables[table.index()].insert_unique(hash(&child), child, hash);
        }
        next
    }

    fn make_parameter_child(&mut self, at: usize) -> usize {
        let next = self.nodes.len();
        let child = self.nodes[at].parameter.get_or_insert(Place::of(next)).index();
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }

    /// Shows every leaf that a normal path leads to, the most specific first, until `see` breaks.
    pub(super) fn walk(&self, path: &str, see: &mut impl FnMut(Leaf<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        match path.strip_prefix('/') {
            Some(relative) => self.descend(0, Some(relative), see),
            None => ControlFlow::Continue(()),
        }
    }

    /// `ahead` is what follows the slash behind the node at `at`; `None` at the end of the path.
    fn descend(
        &self,
        at: usize,
        ahead: Option<&str>,
        see: &mut impl FnMut(Leaf<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let node = &self.nodes[at];
        if let Some(ahead) = ahead {
            let (segment, behind) = match ahead.split_once('/') {
                Some((segment, behind)) => (segment, Some(behind)),
                None => (ahead, None),
            };
            if let Some(child) = self.static_child(node, segment) {
                self.descend(child.index(), behind, see)?;
            }
            if let Some(child) = node.parameter.filter(|_| !segment.is_empty()) {
                self.descend(child.index(), behind, see)?;
            }
        } else if let Some(leaf) = node.end {
            see(self.leaf(leaf))?;
        }
        node.rest.map_or(ControlFlow::Continue(()), |leaf| see(self.leaf(leaf)))
    }

    /// Shows every leaf whose template takes a path that a template of these segments takes too.
    pub(super) fn overlapping(&self, segments: &[Segment], see: &mut impl FnMut(Leaf<'_>)) {
        self.overlapping_below(0, segments, see);
    }

    fn overlapping_below(&self, at: usize, segments: &[Segment], see: &mut impl FnMut(Leaf<'_>)) {
        let node = &self.nodes[at];
        let leaf = |at: Place| self.leaf(at);
        node.rest.map(leaf).into_iter().for_each(&mut *see);
        let Some((segment, behind)) = segments.split_first() else {
            node.end.map(leaf).into_iter().for_each(see);
            return;
        };
        match segment {
            Segment::Static(text) => {
                let parameter = node.parameter.filter(|_| !text.is_empty());
                for child in self.static_child(node, text).into_iter().chain(parameter) {
                    self.overlapping_below(child.index(), behind, see);
                }
            }
            Segment::Parameter => {
                let is_filled = |child: &Place| !self.texts.get(self.nodes[child.index()].segment).is_empty();
                for child in self.static_children(node).filter(is_filled).chain(node.parameter) {
                    self.overlapping_below(child.index(), behind, see);
                }
            }
            Segment::Rest => {
                node.end.map(leaf).into_iter().for_each(&mut *see);
                for child in self.static_children(node).chain(node.parameter) {
                    self.overlapping_below(child.index(), segments, see);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_walk_touches_is_small() {
        assert!(size_of::<Node>() <= 28, "a node is {} bytes", size_of::<Node>());
        assert!(size_of::<Ending>() <= 40, "an ending is {} bytes", size_of::<Ending>());
    }
}
