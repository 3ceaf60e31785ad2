//! All routes, compiled: building the table with its checks, and looking a request up in it.

use std::ops::ControlFlow;

use super::template::Template;
use super::tree::{Clash, Leaf, Tree};
use super::{Conflict, Lookup, RouteSpec, host};

/// All routes, compiled.
#[derive(Debug, Default)]
pub struct RouteTable {
    /// By the index of its spec.
    pub(super) routes: Vec<Compiled>,
    /// Trees of the hosts that routes name, sorted by host.
    hosts: Vec<(Box<str>, Tree)>,
    /// The tree of the routes for any host.
    anywhere: Tree,
}

/// A checked spec.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) template: Template,
    pub(super) host: Option<Box<str>>,
    /// Sorted, `HEAD` added to `GET`; empty means any.
    pub(super) methods: Vec<Box<str>>,
}

impl RouteTable {
    /// Compiles the specs.
    ///
    /// # Errors
    /// Every malformed template, host and method, every conflict and every unreachable route.
    pub fn build(specs: &[RouteSpec]) -> Result<Self, Vec<Conflict>> {
        let mut table = Self::default();
        let mut conflicts = vec![];
        // Routes that are wrong or clash with another stay out of the tree, so that the others are judged all the same.
        let mut routes = vec![];
        for (route, spec) in specs.iter().enumerate() {
            match compile(spec) {
                Ok(compiled) => {
                    let clashes = table.plant(&compiled, route);
                    conflicts.extend(clashes.iter().map(|clash| same_requests(specs, route, clash)));
                    if clashes.is_empty() {
                        routes.push((route, compiled));
                    }
                }
                Err(messages) => {
                    conflicts.extend(messages.into_iter().map(|message| Conflict { route, with: None, message }));
                }
            }
        }
        conflicts.extend(table.unreachable(&routes, specs));
        if conflicts.is_empty() {
            table.routes = routes.into_iter().map(|(_, compiled)| compiled).collect();
            Ok(table)
        } else {
            conflicts.sort_by_key(|conflict| conflict.route);
            Err(conflicts)
        }
    }

    fn plant<'m>(&mut self, compiled: &'m Compiled, route: usize) -> Vec<Clash<'m>> {
        let tree = match &compiled.host {
            None => &mut self.anywhere,
            Some(host) => {
                let place = self.hosts.binary_search_by(|(known, _)| known.cmp(host)).unwrap_or_else(|place| {
                    self.hosts.insert(place, (host.clone(), Tree::default()));
                    place
                });
                &mut self.hosts[place].1
            }
        };
        tree.add(&compiled.template.segments, &compiled.methods, route)
    }

    /// Finds the most specific route that takes the method.
    ///
    /// `host` may have a port and a trailing dot, in any letter case; `path` is normal (see
    /// [`normalise`](super::normalise)). A hit allocates nothing.
    #[must_use]
    pub fn lookup(&self, host: &str, path: &str, method: &str) -> Lookup {
        let mut path_is_known = false;
        let mut found = Lookup::NotFound;
        let _ = self.walk(host, path, &mut |leaf| {
            path_is_known = true;
            let Some(route) = leaf.route_for(method) else { return ControlFlow::Continue(()) };
            found = Lookup::Found { route };
            ControlFlow::Break(())
        });
        match found {
            Lookup::NotFound if path_is_known => Lookup::MethodNotAllowed { allow: self.allow(host, path) },
            found => found,
        }
    }

    /// Shows every leaf that a request could go to, the most specific first, until `see` breaks.
    pub(super) fn walk(
        &self,
        host: &str,
        path: &str,
        see: &mut impl FnMut(Leaf<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for tree in self.trees(host) {
            tree.walk(path, see)?;
        }
        ControlFlow::Continue(())
    }

    /// The trees in which a request for the host is looked up, one after the other.
    pub(super) fn trees(&self, host: &str) -> impl Iterator<Item = &Tree> {
        let name = host::name_of(host);
        let known = self.hosts.binary_search_by(|(known, _)| host::compare(known, name));
        known.ok().map(|known| &self.hosts[known].1).into_iter().chain([&self.anywhere])
    }

    fn allow(&self, host: &str, path: &str) -> String {
        let mut methods = std::collections::BTreeSet::new();
        let _ = self.walk(host, path, &mut |leaf| {
            methods.extend(leaf.methods().map(str::to_owned));
            ControlFlow::Continue(())
        });
        methods.into_iter().collect::<Vec<_>>().join(", ")
    }
}

fn compile(spec: &RouteSpec) -> Result<Compiled, Vec<String>> {
    let mut messages = vec![];
    let template = Template::parse(&spec.path)
        .map_err(|errors| messages.extend(errors.iter().map(|error| format!("path {:?} {error}", spec.path))));
    let host = spec.host.as_deref().map(host::parse).transpose().map_err(|error| messages.push(error));
    messages.extend(spec.methods.iter().filter_map(|method| refuse_method(method)));
    match (template, host) {
        (Ok(template), Ok(host)) if messages.is_empty() => {
            let mut methods: Vec<Box<str>> = spec.methods.iter().map(|method| method.as_str().into()).collect();
            if spec.methods.iter().any(|method| method == "GET") {
                methods.push("HEAD".into());
            }
            methods.sort_unstable();
            methods.dedup();
            Ok(Compiled { template, host, methods })
        }
        _ => Err(messages.into_iter().map(|message| format!("route {:?}: {message}", spec.name)).collect()),
    }
}

fn refuse_method(method: &str) -> Option<String> {
    if method == "CONNECT" {
        return Some(
            "method \"CONNECT\" never reaches a route, because the gateway opens no tunnels; remove it".into(),
        );
    }
    if http::Method::from_bytes(method.as_bytes()).is_err() {
        return Some(format!("method {method:?} is not a method; write e.g. \"GET\""));
    }
    let upper = method.to_ascii_uppercase();
    (upper != method)
        .then(|| format!("method {method:?} is not in upper case, and letter case counts; write {upper:?}"))
}

fn same_requests(specs: &[RouteSpec], route: usize, clash: &Clash<'_>) -> Conflict {
    let [(name, path), (other_name, other_path)] = [route, clash.other].map(|at| (&specs[at].name, &specs[at].path));
    let what = match clash.methods[..] {
        [] => "any method".to_owned(),
        ["HEAD"] => "HEAD (which GET includes)".to_owned(),
        ref methods => methods.join(", "),
    };
    let message = format!(
        "route {name:?} ({path}) takes the same requests as route {other_name:?} ({other_path}): {what} on the same paths \
         and host; remove one, or give them different paths, methods or hosts"
    );
    Conflict { route, with: Some(clash.other), message }
}
