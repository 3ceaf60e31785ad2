//! Requests: compiled templates of method, path, query, headers and body, and how they are filled in.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use minijinja::value::{Value, ValueKind};

use super::WireRequest;
use super::authorization::Authorization;
use super::expression::{Expression, Failed};
use super::filters;
use super::sign::Signature;
use super::template::Template;
use super::variables::Variables;
use super::wire;

/// Largest body of a request.
const MAX_BODY: usize = 64 << 10;

/// A request to fill in.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) when: Option<Expression>,
    pub(super) method: Method,
    pub(super) path: Template,
    pub(super) query: Vec<(String, Template)>,
    pub(super) headers: Vec<(HeaderName, Template)>,
    pub(super) body: Body,
}

/// A body to fill in.
#[derive(Debug)]
pub(super) enum Body {
    None,
    Json(Tree),
    Form(Vec<(String, Template)>),
}

/// A JSON tree whose texts are templates.
#[derive(Debug)]
pub(super) enum Tree {
    /// As it stands there: a number, `true`, `null`.
    Literal(String),
    Inserted(Template),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

/// What every request of an adapter has.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) headers: Vec<(HeaderName, Template)>,
    pub(super) auth: Option<Authorization>,
    pub(super) sign: Option<Signature>,
}

impl Envelope {
    /// Whether its secrets can be used as they are.
    ///
    /// # Errors
    /// [`Failed`] without any of their values.
    pub(super) fn check(&self, variables: &Variables) -> Result<(), Failed> {
        let all = variables.all();
        if let Some(text) = self.auth.as_ref().map(|auth| auth.field(&all)).transpose()?.flatten() {
            header(&AUTHORIZATION, &text)?;
        }
        self.sign.as_ref().map_or(Ok(()), |sign| sign.key(&all).map(drop))
    }
}

impl Request {
    /// Whether something that it sends is made of one of these variables.
    pub(super) fn reads_any(&self, names: &[&str]) -> bool {
        let reads = |template: &Template| template.reads_any(names);
        let in_body = match &self.body {
            Body::None => false,
            Body::Json(tree) => tree.reads_any(names),
            Body::Form(form) => form.iter().any(|(_, template)| reads(template)),
        };
        let in_query = self.query.iter().any(|(_, template)| reads(template));
        let in_headers = self.headers.iter().any(|(_, template)| reads(template));
        in_body || in_query || in_headers || reads(&self.path)
    }

    /// Fills the request in.
    ///
    /// # Errors
    /// [`Failed`] if a template has no value, or one that can't stand in its place.
    pub(super) fn fill(&self, envelope: &Envelope, variables: &Variables) -> Result<WireRequest, Failed> {
        let all = variables.all();
        let path = self.path.text(&all, wire::path_part)?.unwrap_or_default();
        let query = wire::fields(&flat(&self.query, &all)?);
        let target = if query.is_empty() { path.clone() } else { format!("{path}?{query}") };
        let (kind, body) = match &self.body {
            Body::None => (None, String::new()),
            Body::Json(tree) => {
                let mut out = String::new();
                tree.write(&all, &mut out)?;
                (Some("application/json"), out)
            }
            Body::Form(form) => (Some("application/x-www-form-urlencoded"), wire::fields(&flat(form, &all)?)),
        };
        if body.len() > MAX_BODY {
            return Err(Failed(format!("the body is larger than {MAX_BODY} bytes")));
        }
        let mut headers = vec![(ACCEPT, HeaderValue::from_static("application/json"))];
        headers.extend(kind.map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind))));
        for (name, template) in envelope.headers.iter().chain(&self.headers) {
            headers.retain(|(other, _)| other != name);
            if let Some(text) = template.plain(&all)? {
                headers.push((name.clone(), header(name, &text)?));
            }
        }
        if let Some(auth) = &envelope.auth
            && let Some(text) = auth.field(&all)?
        {
            headers.push((AUTHORIZATION, header(&AUTHORIZATION, &text)?));
        }
        if let Some(sign) = &envelope.sign {
            let mut signed = variables.clone();
            signed.add("http_method", Value::from(self.method.as_str()));
            signed.add("path", Value::from(path));
            signed.add("target", Value::from(target.as_str()));
            signed.add("body", Value::from(body.as_str()));
            headers.push((sign.header.clone(), header(&sign.header, &sign.field(signed)?)?));
        }
        Ok(WireRequest { method: self.method.clone(), path: target, headers, body: Bytes::from(body) })
    }
}

fn header(name: &HeaderName, text: &str) -> Result<HeaderValue, Failed> {
    let ascii = Some(text).filter(|text| text.is_ascii()).and_then(|text| HeaderValue::from_str(text).ok());
    ascii.ok_or_else(|| Failed(format!("the header field {name} holds what a field can't hold")))
}

/// Fields with their values; a mapping becomes `name[key]` for each of its keys that does not stand there anyway.
fn flat(fields: &[(String, Template)], variables: &Value) -> Result<Vec<(String, String)>, Failed> {
    let mut found: Vec<(String, String)> = Vec::new();
    for (name, template) in fields {
        let value = template.value(variables)?;
        if value.kind() == ValueKind::Map {
            for key in value.try_iter().map_err(|_| Failed(format!("{name} can't be written out")))? {
                let member = value.get_item(&key).ok().and_then(|member| filters::text(&member));
                let (Some(key), Some(member)) = (key.as_str(), member) else {
                    return Err(Failed(format!("{name} holds what a form can't hold")));
                };
                let name = format!("{name}[{key}]");
                if !fields.iter().any(|(other, _)| *other == name) {
                    found.push((name, member));
                }
            }
        } else if let Some(text) = template.plain(variables)? {
            found.push((name.clone(), text));
        }
    }
    Ok(found)
}

impl Tree {
    fn reads_any(&self, names: &[&str]) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Inserted(template) => template.reads_any(names),
            Self::List(items) => items.iter().any(|item| item.reads_any(names)),
            Self::Object(members) => members.iter().any(|(_, member)| member.reads_any(names)),
        }
    }

    fn write(&self, variables: &Value, out: &mut String) -> Result<(), Failed> {
        match self {
            Self::Literal(text) => out.push_str(text),
            Self::Inserted(template) => wire::json(&template.value(variables)?, out)?,
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    wire::separate(index, out);
                    item.write(variables, out)?;
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                let mut written = 0;
                for (name, member) in members {
                    if let Self::Inserted(template) = member
                        && template.value(variables)?.is_none()
                    {
                        continue;
                    }
                    wire::separate(written, out);
                    wire::text(name, out);
                    out.push(':');
                    member.write(variables, out)?;
                    written += 1;
                }
                out.push('}');
            }
        }
        Ok(())
    }
}
