//! What handlers read from a request besides its body: path parameters, query pairs, `If-Match`.

use axum::extract::{FromRequestParts, Path, Query};
use http::header::IF_MATCH;
use http::request::Parts;
use http::{HeaderMap, Uri};

use super::answer::Refusal;
use crate::problem::Code;
use crate::types::Revision;

/// The one parameter of a path, decoded.
#[derive(Debug, Clone)]
pub(super) struct Parameter(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Parameter {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Refusal::new(Code::InvalidPath, "the path is not valid UTF-8 once decoded"))?;
        Ok(Self(text))
    }
}

/// The query's pairs in order, decoded; a name outside `known` is refused, never ignored.
pub(super) fn query(uri: &Uri, known: &[&str]) -> Result<Vec<(String, String)>, Refusal> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| Refusal::new(Code::InvalidRequest, "the query is not name=value pairs"))?;
    match pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) if known.is_empty() => {
            Err(Refusal::new(Code::InvalidRequest, format!("query parameter {name:?} is unknown; this takes none")))
        }
        Some((name, _)) => Err(Refusal::new(
            Code::InvalidRequest,
            format!("query parameter {name:?} is unknown; known are {}", known.join(", ")),
        )),
        None => Ok(pairs),
    }
}

/// The only value of a name; none twice.
pub(super) fn single(pairs: &[(String, String)], name: &str) -> Result<Option<String>, Refusal> {
    let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone());
    match (values.next(), values.next()) {
        (first, None) => Ok(first),
        _ => Err(Refusal::new(Code::InvalidRequest, format!("query parameter {name:?} stands more than once"))),
    }
}

/// A count between 1 and `most`, or `default`.
pub(super) fn limit(pairs: &[(String, String)], default: usize, most: usize) -> Result<usize, Refusal> {
    match single(pairs, "limit")? {
        None => Ok(default),
        Some(text) => match text.parse() {
            Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
            _ => Err(Refusal::new(
                Code::InvalidRequest,
                format!("limit is {text:?}; it is a whole number from 1 to {most}"),
            )),
        },
    }
}

/// The revision that the caller says to have seen.
///
/// `*` would mean "whatever it is now", which is what the condition is there to prevent.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Revision, Refusal> {
    let mut values = headers.get_all(IF_MATCH).iter();
    let (first, more) = (values.next(), values.next());
    let Some(value) = first else {
        return Err(Refusal::new(
            Code::PreconditionRequired,
            "send If-Match with the revision that you saw (the ETag of the flag), e.g. If-Match: \"12\"",
        ));
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Err(Refusal::new(
            Code::PreconditionRequired,
            "If-Match: * names no revision; send the one that you saw",
        ));
    }
    let number = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match number.and_then(parse_revision) {
        Some(revision) if more.is_none() => Ok(revision),
        _ => Err(Refusal::new(
            Code::InvalidRequest,
            format!("If-Match is {text:?}; it is one revision in quotes, e.g. If-Match: \"12\""),
        )),
    }
}

fn parse_revision(digits: &str) -> Option<Revision> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok().map(Revision) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &'static str) -> Result<Revision, Code> {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, http::HeaderValue::from_static(value));
        if_match(&headers).map_err(|refusal| refusal.problem().code)
    }

    #[test]
    fn if_match_is_one_quoted_revision() {
        assert_eq!(read("\"12\""), Ok(Revision(12)));
        assert_eq!(read("*"), Err(Code::PreconditionRequired));
        for nonsense in ["12", "W/\"12\"", "\"12\", \"13\"", "\"+12\"", "\"\"", "\"x\"", "\"99999999999999999999\"", ""]
        {
            assert_eq!(read(nonsense), Err(Code::InvalidRequest), "{nonsense}");
        }
    }

    #[test]
    fn without_if_match_a_condition_is_asked_for() {
        let refusal = if_match(&HeaderMap::new()).expect_err("none");
        assert_eq!(refusal.problem().code, Code::PreconditionRequired);
    }

    #[test]
    fn query_refuses_what_it_does_not_know_and_what_stands_twice() {
        let uri = Uri::from_static("/x?limit=5&limit=6");
        let pairs = query(&uri, &["limit"]).expect("known");
        assert!(single(&pairs, "limit").is_err());
        assert!(query(&uri, &["status"]).is_err());
        assert!(query(&uri, &[]).is_err());
        let pairs = query(&Uri::from_static("/x?limit=0"), &["limit"]).expect("known");
        assert!(limit(&pairs, 10, 100).is_err());
    }
}
