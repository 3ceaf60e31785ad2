//! Path templates: `/api/{version}/orders/{*rest}`.

use super::path::{PathError, normalise};

/// More segments than any real path has; it bounds the depth of the tree and so of every walk.
const MAX_SEGMENTS: usize = 128;

/// Why a template can't be meant as it is written; each text ends with the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    /// Not starting with a slash.
    #[error("does not start with a slash; write {0:?}")]
    NotAbsolute(String),
    /// Two slashes in a row: requests have them merged.
    #[error("has an empty segment, which no request has, because slashes are merged; write {0:?}")]
    EmptySegment(String),
    /// A static segment that no request has, because normalising changes it.
    #[error("has {segment:?}, which every request has as {normal:?}; write it so")]
    NotNormal {
        /// As written.
        segment: String,
        /// As requests have it.
        normal: String,
    },
    /// A static segment that no request has, because normalising removes or refuses it.
    #[error("has {0:?}, which no request has; {1}")]
    Unmatchable(String, &'static str),
    /// A brace without its counterpart, or within another pair.
    #[error("has unbalanced braces in {0:?}; write a parameter as {{name}}, a literal brace as %7B or %7D")]
    Braces(String),
    /// A parameter that is only a part of its segment.
    #[error("has a parameter in only a part of {0:?}; a parameter is a whole segment: write e.g. /{{name}}/")]
    PartOfSegment(String),
    /// A parameter with a name that is none.
    #[error("has {0:?}, whose name is empty or odd; use letters, digits and underscores, e.g. {{member_id}}")]
    BadName(String),
    /// The same name twice.
    #[error("has two parameters named {0:?}; give each its own name")]
    DuplicateName(String),
    /// `{*rest}` before the end.
    #[error("has {0:?} before its end; a rest takes everything that follows, so nothing can stand behind it")]
    RestNotLast(String),
    /// Deeper than 128 segments.
    #[error("has {0} segments, more than the 128 that a template may have; end it earlier with {{*rest}}")]
    TooDeep(usize),
}

/// One segment of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// Exactly this text; empty only as the last segment, for a trailing slash.
    Static(Box<str>),
    /// Any one segment that is not empty.
    Parameter,
    /// Everything that follows, also nothing; only as the last segment.
    Rest,
}

/// A template, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) segments: Vec<Segment>,
    /// Names of the parameters and the rest, in order.
    pub(super) names: Vec<Box<str>>,
}

impl Template {
    /// Reads a template; reports everything that is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<TemplateError>> {
        let Some(relative) = text.strip_prefix('/') else {
            return Err(vec![TemplateError::NotAbsolute(format!("/{text}"))]);
        };
        let mut template = Self { segments: vec![], names: vec![] };
        let mut errors = vec![];
        let count = relative.split('/').count();
        if count > MAX_SEGMENTS {
            return Err(vec![TemplateError::TooDeep(count)]);
        }
        if text.contains("//") {
            let merged: Vec<_> = relative.split('/').filter(|segment| !segment.is_empty()).collect();
            let trailing = if relative.ends_with('/') && !merged.is_empty() { "/" } else { "" };
            errors.push(TemplateError::EmptySegment(format!("/{}{trailing}", merged.join("/"))));
        }
        for (position, segment) in relative.split('/').enumerate() {
            match parse_segment(segment) {
                Ok((Segment::Rest, _)) if position + 1 < count => {
                    errors.push(TemplateError::RestNotLast(segment.into()));
                }
                Ok((_, Some(name))) if template.names.contains(&name) => {
                    errors.push(TemplateError::DuplicateName(name.into()));
                }
                Ok((segment, name)) => {
                    template.segments.push(segment);
                    template.names.extend(name);
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(template) } else { Err(errors) }
    }
}

fn parse_segment(segment: &str) -> Result<(Segment, Option<Box<str>>), TemplateError> {
    let Some(open) = segment.find(['{', '}']) else {
        return Ok((Segment::Static(static_segment(segment)?.into()), None));
    };
    let bare = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
    let Some(inner) = bare.filter(|inner| !inner.contains(['{', '}'])) else {
        return Err(if is_balanced(&segment[open..]) {
            TemplateError::PartOfSegment(segment.into())
        } else {
            TemplateError::Braces(segment.into())
        });
    };
    let (kind, name) = match inner.strip_prefix('*') {
        Some(name) => (Segment::Rest, name),
        None => (Segment::Parameter, inner),
    };
    let odd = |byte: u8| !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if name.is_empty() || name.bytes().any(odd) {
        return Err(TemplateError::BadName(segment.into()));
    }
    Ok((kind, Some(name.into())))
}

/// Pairs of braces one after the other, none within another.
fn is_balanced(segment: &str) -> bool {
    let mut open = false;
    for brace in segment.chars().filter(|c| matches!(c, '{' | '}')) {
        if open == (brace == '{') {
            return false;
        }
        open = !open;
    }
    !open
}

/// Checks a segment without braces against what normalising makes of it.
fn static_segment(segment: &str) -> Result<&str, TemplateError> {
    let unmatchable = |why| Err(TemplateError::Unmatchable(segment.into(), why));
    if segment.contains('?') {
        return unmatchable("the query is not part of the path; leave it out");
    }
    let escaped =
        |c: char| if c <= ' ' || matches!(c, '#' | '\x7f') { format!("%{:02X}", u32::from(c)) } else { c.into() };
    let path: String = format!("/{segment}").chars().map(escaped).collect();
    match normalise(path.as_bytes()) {
        Ok(normal) if normal.path[1..] == *segment => Ok(segment),
        // Nothing else disappears altogether.
        Ok(normal) if normal.path == "/" => unmatchable("dot segments are resolved first; write the path that remains"),
        Ok(normal) => Err(TemplateError::NotNormal { segment: segment.into(), normal: normal.path[1..].to_owned() }),
        Err(PathError::BadEscape) => unmatchable("a percent sign that is not an escape is written %25"),
        Err(_) => unmatchable("such requests are refused before they reach a route; remove it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, expect: &str) {
        let errors = Template::parse(text).expect_err(text);
        let words: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert!(words.iter().any(|words| words.contains(expect)), "{text}: {words:?}");
    }

    #[test]
    fn reads_static_segments_parameters_and_rest() {
        let template = Template::parse("/api/{version}/orders/{*rest}").expect("valid");
        let expect =
            [Segment::Static("api".into()), Segment::Parameter, Segment::Static("orders".into()), Segment::Rest];
        assert_eq!(template.segments, expect);
        assert_eq!(template.names, ["version".into(), "rest".into()]);
        assert_eq!(Template::parse("/").expect("valid").segments, [Segment::Static("".into())]);
        for text in ["/a/", "/%C3%A9/a%2Fb", "/a:b;c=1,@", "/.well-known/x", "/{a}/{b-c}/{d_1}/"] {
            assert!(Template::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn says_what_to_write_instead() {
        refused("api/x", r#"write "/api/x""#);
        refused("", r#"write "/""#);
        refused("/a//b//", r#"write "/a/b/""#);
        refused("//", r#"write "/""#);
        refused("/café", r#"every request has as "caf%C3%A9""#);
        refused("/%7euser", r#"every request has as "~user""#);
        refused("/a%2fb", r#"every request has as "a%2Fb""#);
        refused("/a b#c%7e", r#"every request has as "a%20b%23c~""#);
        refused("/a\\b", r#"every request has as "a%5Cb""#);
        refused("/100%", "written %25");
        refused("/a/../b", "dot segments");
        refused("/%2e%2E/b", "dot segments");
        refused("/..;x/b", "refused before they reach a route");
        refused("/a?b=1", "the query");
        refused(&"/a".repeat(129), "129 segments");
    }

    #[test]
    fn refuses_parameters_that_are_none() {
        refused("/v{n}", "a whole segment");
        refused("/{a}{b}", "a whole segment");
        refused("/{name}.json", "a whole segment");
        for text in ["/{", "/}", "/{a", "/a}", "/{{a}}", "/}a{", "/{a}}", "/{a/b}"] {
            refused(text, "unbalanced braces");
        }
        for text in ["/{}", "/{*}", "/{a b}", "/{é}", "/{a*}", "/{**a}", "/{id:[0-9]+}"] {
            refused(text, "empty or odd");
        }
        refused("/{id}/x/{id}", r#"two parameters named "id""#);
        refused("/{id}/{*id}", r#"two parameters named "id""#);
        refused("/{*rest}/x", "nothing can stand behind it");
        refused("/{*rest}/", "nothing can stand behind it");
    }

    #[test]
    fn reports_everything_that_is_wrong_at_once() {
        assert_eq!(Template::parse("/v{n}//{*r}/{}").expect_err("four mistakes").len(), 4);
    }
}
