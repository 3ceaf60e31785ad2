//! The routes of one host as a tree of segments.
//!
//! A walk costs one look-up a segment among the static children, and it comes back for a less specific
//! branch only when a more specific one led nowhere. It never visits more nodes than the templates
//! have segments, and never goes deeper than the deepest template, whatever the path.

use std::collections::HashMap;
use std::ops::ControlFlow;

use smallvec::SmallVec;

use super::template::Segment;

/// Values of parameters on the way, in template order.
pub(super) type Values<'p> = SmallVec<[&'p str; 4]>;

/// The templates of one host.
#[derive(Debug)]
pub(super) struct Tree {
    /// The root comes first.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    statics: HashMap<Box<str>, usize>,
    parameter: Option<usize>,
    /// Routes whose template ends here.
    end: Option<Leaf>,
    /// Routes whose template ends with a rest from here on.
    rest: Option<Leaf>,
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
        Self { nodes: vec![Node::default()] }
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
                Segment::Rest => return self.nodes[at].rest.get_or_insert_default().add(route, methods),
            };
        }
        self.nodes[at].end.get_or_insert_default().add(route, methods)
    }

    fn static_child(&mut self, at: usize, text: &str) -> usize {
        let next = self.nodes.len();
        let child = *self.nodes[at].statics.entry(text.into()).or_insert(next);
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }

    fn parameter_child(&mut self, at: usize) -> usize {
        let next = self.nodes.len();
        let child = *self.nodes[at].parameter.get_or_insert(next);
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }

    /// Shows every leaf that a normal path leads to, the most specific first, until `see` breaks.
    pub(super) fn walk<'p, F>(&self, path: &'p str, see: &mut F) -> ControlFlow<()>
    where
        F: FnMut(&Leaf, &Values<'p>) -> ControlFlow<()>,
    {
        match path.strip_prefix('/') {
            Some(relative) => self.descend(0, Some(relative), &mut Values::new(), see),
            None => ControlFlow::Continue(()),
        }
    }

    /// `ahead` is what follows the slash behind the node at `at`; `None` at the end of the path.
    fn descend<'p, F>(&self, at: usize, ahead: Option<&'p str>, values: &mut Values<'p>, see: &mut F) -> ControlFlow<()>
    where
        F: FnMut(&Leaf, &Values<'p>) -> ControlFlow<()>,
    {
        let node = &self.nodes[at];
        if let Some(ahead) = ahead {
            let (segment, behind) = match ahead.split_once('/') {
                Some((segment, behind)) => (segment, Some(behind)),
                None => (ahead, None),
            };
            if let Some(&child) = node.statics.get(segment) {
                self.descend(child, behind, values, see)?;
            }
            if let Some(child) = node.parameter.filter(|_| !segment.is_empty()) {
                values.push(segment);
                self.descend(child, behind, values, see)?;
                values.pop();
            }
        } else if let Some(leaf) = &node.end {
            see(leaf, values)?;
        }
        if let Some(leaf) = &node.rest {
            values.push(ahead.unwrap_or_default());
            see(leaf, values)?;
            values.pop();
        }
        ControlFlow::Continue(())
    }

    /// Shows every leaf whose template takes a path that a template of these segments takes too.
    pub(super) fn overlapping(&self, segments: &[Segment], see: &mut impl FnMut(&Leaf)) {
        self.overlapping_below(0, segments, see);
    }

    fn overlapping_below(&self, at: usize, segments: &[Segment], see: &mut impl FnMut(&Leaf)) {
        let node = &self.nodes[at];
        node.rest.iter().for_each(&mut *see);
        let Some((segment, behind)) = segments.split_first() else {
            node.end.iter().for_each(see);
            return;
        };
        match segment {
            Segment::Static(text) => {
                if let Some(&child) = node.statics.get(text) {
                    self.overlapping_below(child, behind, see);
                }
                for &child in node.parameter.iter().filter(|_| !text.is_empty()) {
                    self.overlapping_below(child, behind, see);
                }
            }
            Segment::Parameter => {
                let filled = node.statics.iter().filter(|(text, _)| !text.is_empty()).map(|(_, child)| child);
                for &child in filled.chain(&node.parameter) {
                    self.overlapping_below(child, behind, see);
                }
            }
            Segment::Rest => {
                node.end.iter().for_each(&mut *see);
                for &child in node.statics.values().chain(&node.parameter) {
                    self.overlapping_below(child, segments, see);
                }
            }
        }
    }
}
