//! What a table's routes do to each other: which can't be reached, and where a method goes that a route
//! does not take.
//!
//! Both questions are answered by walking the table along *witnesses*: paths that stand for all
//! paths of a template. A parameter's witness is a value that no static segment has, so it leads to
//! the fewest other routes; whatever holds for any path of the template then holds for a witness.
//! Only for a rest that depends on how many segments follow, so there is one witness for each number
//! up to one more than any template has.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::table::Compiled;
use super::template::Segment;
use super::{Conflict, RouteSpec, RouteTable};

/// A segment and a method that no template or route can name.
const FRESH: &str = "\u{1}";

/// Some requests for a route's paths go to a less specific route, because only that one takes their method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FallThrough {
    /// Index of the more specific route, which does not take the methods.
    pub route: usize,
    /// Index of the route that gets such requests.
    pub next: usize,
    /// The methods, sorted; empty: every method that no more specific route takes.
    pub methods: Vec<String>,
}

impl RouteTable {
    /// Every pair of routes of which the second gets requests for paths of the first.
    ///
    /// It matters where the second is protected less than the first: a `POST` to a `GET` route that
    /// wants a token may reach a catch-all that wants none.
    #[must_use]
    pub fn fall_throughs(&self) -> Vec<FallThrough> {
        let depth = depth(self.routes.iter());
        // A route for any method lets nothing through.
        let specific = (0..self.routes.len()).filter(|&route| !self.routes[route].methods.is_empty());
        let pairs = specific.flat_map(|route| self.neighbours(route).into_iter().map(move |next| (route, next)));
        pairs.flat_map(|(route, next)| self.falls_from(route, next, depth)).collect()
    }

    /// The other routes that take a path of this one, in order, where they are looked at for its host.
    fn neighbours(&self, route: usize) -> BTreeSet<usize> {
        let Compiled { host, template, .. } = &self.routes[route];
        let mut neighbours = BTreeSet::new();
        for tree in self.trees(host.as_deref().unwrap_or_default()) {
            tree.overlapping(&template.segments, &mut |leaf| neighbours.extend(leaf.routes()));
        }
        neighbours.remove(&route);
        neighbours
    }

    fn falls_from(&self, route: usize, next: usize, depth: usize) -> Option<FallThrough> {
        let (specific, wide) = (&self.routes[route], &self.routes[next]);
        let host = specific.host.as_deref().unwrap_or_default();
        let paths = witnesses(&intersection(&specific.template.segments, &wide.template.segments)?, depth);
        let falls = |method: &str| paths.iter().any(|path| self.falls(host, path, method, route, next));
        if wide.methods.is_empty() {
            return falls(FRESH).then_some(FallThrough { route, next, methods: vec![] });
        }
        let methods: Vec<_> = wide.methods.iter().filter(|method| falls(method)).map(ToString::to_string).collect();
        (!methods.is_empty()).then_some(FallThrough { route, next, methods })
    }

    /// On this path, `route` comes first, and the method goes to `next`.
    fn falls(&self, host: &str, path: &str, method: &str, route: usize, next: usize) -> bool {
        let mut passed = false;
        let mut taker = None;
        let _ = self.walk(host, path, &mut |leaf| {
            taker = leaf.route_for(method);
            // On the same template only a route for any method is less specific.
            passed |= leaf.routes().any(|known| known == route) && (taker.is_none() || leaf.takes_any(next));
            if taker.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        passed && taker == Some(next)
    }

    /// Routes none of whose requests can reach them, with those that take them all.
    pub(super) fn unreachable(&self, routes: &[(usize, Compiled)], specs: &[RouteSpec]) -> Vec<Conflict> {
        let depth = depth(routes.iter().map(|(_, compiled)| compiled));
        let judged =
            routes.iter().filter_map(|(route, compiled)| Some((*route, self.takers(*route, compiled, depth)?)));
        judged.map(|(route, takers)| shadowed(specs, route, &takers)).collect()
    }

    /// The routes that take every request meant for this one; `None` if it gets one itself.
    fn takers(&self, route: usize, compiled: &Compiled, depth: usize) -> Option<Vec<usize>> {
        let host = compiled.host.as_deref().unwrap_or_default();
        let mut takers = vec![];
        for path in witnesses(&compiled.template.segments, depth) {
            let methods = compiled.methods.iter().map(|method| &**method);
            for method in methods.chain(compiled.methods.is_empty().then_some(FRESH)) {
                let mut taker = None;
                let _ = self.walk(host, &path, &mut |leaf| {
                    taker = leaf.route_for(method);
                    if taker.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                match taker {
                    Some(other) if other != route => takers.push(other),
                    _ => return None,
                }
            }
        }
        takers.sort_unstable();
        takers.dedup();
        Some(takers)
    }
}

fn depth<'r>(routes: impl Iterator<Item = &'r Compiled>) -> usize {
    routes.map(|route| route.template.segments.len()).max().unwrap_or(0)
}

fn shadowed(specs: &[RouteSpec], route: usize, takers: &[usize]) -> Conflict {
    let named = |at: usize| format!("{:?} ({})", specs[at].name, specs[at].path);
    let others: Vec<_> = takers.iter().map(|&taker| named(taker)).collect();
    let message = format!(
        "route {} can never be reached, because more specific routes take all of its requests: {}; remove it, or narrow those",
        named(route),
        others.join(", ")
    );
    Conflict { route, with: takers.first().copied(), message }
}

/// The template of the paths that both templates take, if there are any.
fn intersection(one: &[Segment], other: &[Segment]) -> Option<Vec<Segment>> {
    let mut both = vec![];
    for position in 0.. {
        match (one.get(position), other.get(position)) {
            (Some(Segment::Rest), _) => both.extend_from_slice(&other[position..]),
            (_, Some(Segment::Rest)) => both.extend_from_slice(&one[position..]),
            (None, None) => {}
            (Some(Segment::Parameter), Some(Segment::Parameter)) => {
                both.push(Segment::Parameter);
                continue;
            }
            (Some(Segment::Static(text)), Some(Segment::Parameter))
            | (Some(Segment::Parameter), Some(Segment::Static(text)))
                if !text.is_empty() =>
            {
                both.push(Segment::Static(text.clone()));
                continue;
            }
            (Some(Segment::Static(text)), Some(Segment::Static(same))) if text == same => {
                both.push(Segment::Static(text.clone()));
                continue;
            }
            _ => return None,
        }
        break;
    }
    Some(both)
}

/// Paths that stand for all paths of a template, in a table whose templates are at most `depth` segments deep.
fn witnesses(segments: &[Segment], depth: usize) -> Vec<String> {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        match segment {
            Segment::Static(text) => path.push_str(text),
            Segment::Parameter => path.push_str(FRESH),
            Segment::Rest => {
                path.pop();
                let lengths = 0..=(depth + 1).saturating_sub(segments.len() - 1);
                let stems = lengths.map(|length| format!("{path}{}", format!("/{FRESH}").repeat(length)));
                let open = stems.flat_map(|stem| [format!("{stem}/"), stem]);
                return open.filter(|path| !path.is_empty()).collect();
            }
        }
    }
    vec![path]
}
