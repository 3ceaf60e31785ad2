//! The routes of one host as a tree of segments.
//!
//! A walk costs one look-up a segment among the static children, and it comes back for a less specific
//! branch only when a more specific one led nowhere. It never visits more nodes than the templates
//! have segments, and never goes deeper than the deepest template, whatever the path.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::template::Segment;

/// The templates of one host. Nodes and leaves are kept close together: with a thousand routes, what a request costs is
/// the memory that it has to wait for.
#[derive(Debug)]
pub(super) struct Tree {
    /// The root comes first.
    nodes: Vec<Node>,
    leaves: Vec<Leaf>,
}

/// An index into a tree's nodes or leaves.
type Place = u32;

#[derive(Debug, Default)]
struct Node {
    statics: Children,
    parameter: Option<Place>,
    /// Routes whose template ends here.
    end: Option<Place>,
    /// Routes whose template ends with a rest from here on.
    rest: Option<Place>,
}

/// Nodes behind a static segment.
#[derive(Debug, Default)]
enum Children {
    #[default]
    None,
    /// As below most nodes; found without a hash.
    One(Box<str>, Place),
    #[expect(
        clippy::box_collection,
        reason = "nodes with many children are few, and all the others would be half as large again"
    )]
    Many(Box<HashMap<Box<str>, Place>>),
}

impl Children {
    fn get(&self, segment: &str) -> Option<Place> {
        match self {
            Self::None => None,
            Self::One(text, child) => (**text == *segment).then_some(*child),
            Self::Many(children) => children.get(segment).copied(),
        }
    }

    fn insert(&mut self, segment: &str, child: Place) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(segment.into(), child),
            Self::One(text, first) => Self::Many(Box::new(HashMap::from([(text, first), (segment.into(), child)]))),
            Self::Many(mut children) => {
                children.insert(segment.into(), child);
                Self::Many(children)
            }
        };
    }

    fn iter(&self) -> impl Iterator<Item = (&str, Place)> {
        let (one, many) = match self {
            Self::None => (None, None),
            Self::One(text, child) => (Some((text, child)), None),
            Self::Many(children) => (None, Some(children.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten()).map(|(text, &child)| (&**text, child))
    }
}

/// Routes with the same template but for the names of its parameters.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    by_method: Vec<(Box<str>, usize)>,
    any: Option<usize>,
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
        Self { nodes: vec![Node::default()], leaves: vec![] }
    }
}

impl Leaf {
    /// The route that takes the method.
    pub(super) fn route_for(&self, method: &str) -> Option<usize> {
        self.by_method.iter().find(|(known, _)| **known == *method).map(|&(_, route)| route).or(self.any)
    }

    /// Every method that some route here names.
    pub(super) fn methods(&self) -> impl Iterator<Item = &str> {
        self.by_method.iter().map(|(method, _)| &**method)
    }

    /// The route takes any method here.
    pub(super) fn takes_any(&self, route: usize) -> bool {
        self.any == Some(route)
    }

    /// Every route here, once for each of its methods.
    pub(super) fn routes(&self) -> impl Iterator<Item = usize> {
        self.by_method.iter().map(|&(_, route)| route).chain(self.any)
    }

    /// Adds a route; empty if no route here takes one of its methods yet, else nothing is added.
    fn add<'m>(&mut self, route: usize, methods: &'m [Box<str>]) -> Vec<Clash<'m>> {
        let mut clashes: Vec<Clash<'m>> = vec![];
        if methods.is_empty() {
            clashes.extend(self.any.map(|other| Clash { other, methods: vec![] }));
        }
        for method in methods {
            let Some(&(_, other)) = self.by_method.iter().find(|(known, _)| known == method) else { continue };
            match clashes.iter_mut().find(|clash| clash.other == other) {
                Some(clash) => clash.methods.push(method),
                None => clashes.push(Clash { other, methods: vec![method] }),
            }
        }
        if clashes.is_empty() {
            if methods.is_empty() {
                self.any = Some(route);
            }
            self.by_method.extend(methods.iter().map(|method| (method.clone(), route)));
        }
        clashes
    }
}

impl Tree {
    /// Adds a route; empty if no route with its template takes one of its methods yet, else nothing is added.
    pub(super) fn add<'m>(&mut self, segments: &[Segment], methods: &'m [Box<str>], route: usize) -> Vec<Clash<'m>> {
        let mut at = 0;
        for segment in segments {
            at = match segment {
                Segment::Static(text) => self.static_child(at, text),
                Segment::Parameter => self.parameter_child(at),
                Segment::Rest => {
                    let leaf = *self.nodes[at].rest.get_or_insert(place(self.leaves.len()));
                    return self.leaf(leaf).add(route, methods);
                }
            };
        }
        let leaf = *self.nodes[at].end.get_or_insert(place(self.leaves.len()));
        self.leaf(leaf).add(route, methods)
    }

    /// The leaf at a place, which may be the next one.
    fn leaf(&mut self, at: Place) -> &mut Leaf {
        if at as usize == self.leaves.len() {
            self.leaves.push(Leaf::default());
        }
        &mut self.leaves[at as usize]
    }

    fn static_child(&mut self, at: usize, text: &str) -> usize {
        if let Some(child) = self.nodes[at].statics.get(text) {
            return child as usize;
        }
        let next = self.nodes.len();
        self.nodes[at].statics.insert(text, place(next));
        self.nodes.push(Node::default());
        next
    }

    fn parameter_child(&mut self, at: usize) -> usize {
        let next = self.nodes.len();
        let child = *self.nodes[at].parameter.get_or_insert(place(next)) as usize;
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }

    /// Shows every leaf that a normal path leads to, the most specific first, until `see` breaks.
    pub(super) fn walk(&self, path: &str, see: &mut impl FnMut(&Leaf) -> ControlFlow<()>) -> ControlFlow<()> {
        match path.strip_prefix('/') {
            Some(relative) => self.descend(0, Some(relative), see),
            None => ControlFlow::Continue(()),
        }
    }

    /// `ahead` is what follows the slash behind the node at `at`; `None` at the end of the path.
    fn descend(
        &self,
        at: Place,
        ahead: Option<&str>,
        see: &mut impl FnMut(&Leaf) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let node = &self.nodes[at as usize];
        if let Some(ahead) = ahead {
            let (segment, behind) = match ahead.split_once('/') {
                Some((segment, behind)) => (segment, Some(behind)),
                None => (ahead, None),
            };
            if let Some(child) = node.statics.get(segment) {
                self.descend(child, behind, see)?;
            }
            if let Some(child) = node.parameter.filter(|_| !segment.is_empty()) {
                self.descend(child, behind, see)?;
            }
        } else if let Some(leaf) = node.end {
            see(&self.leaves[leaf as usize])?;
        }
        node.rest.map_or(ControlFlow::Continue(()), |leaf| see(&self.leaves[leaf as usize]))
    }

    /// Shows every leaf whose template takes a path that a template of these segments takes too.
    pub(super) fn overlapping(&self, segments: &[Segment], see: &mut impl FnMut(&Leaf)) {
        self.overlapping_below(0, segments, see);
    }

    fn overlapping_below(&self, at: Place, segments: &[Segment], see: &mut impl FnMut(&Leaf)) {
        let node = &self.nodes[at as usize];
        let leaf = |at: Place| &self.leaves[at as usize];
        node.rest.map(leaf).into_iter().for_each(&mut *see);
        let Some((segment, behind)) = segments.split_first() else {
            node.end.map(leaf).into_iter().for_each(see);
            return;
        };
        match segment {
            Segment::Static(text) => {
                let parameter = node.parameter.filter(|_| !text.is_empty());
                for child in node.statics.get(text).into_iter().chain(parameter) {
                    self.overlapping_below(child, behind, see);
                }
            }
            Segment::Parameter => {
                let filled = node.statics.iter().filter(|(text, _)| !text.is_empty()).map(|(_, child)| child);
                for child in filled.chain(node.parameter) {
                    self.overlapping_below(child, behind, see);
                }
            }
            Segment::Rest => {
                node.end.map(leaf).into_iter().for_each(&mut *see);
                for child in node.statics.iter().map(|(_, child)| child).chain(node.parameter) {
                    self.overlapping_below(child, segments, see);
                }
            }
        }
    }
}

fn place(index: usize) -> Place {
    Place::try_from(index).expect("a configuration file can't hold four billion segments")
}
