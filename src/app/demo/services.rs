//! The pretended shop: a monolith that does everything, and three microservices that each took one domain over.
//!
//! For their endpoints both sides mean the same and write it with the small differences that real rewrites have: order
//! of keys, `19900` against `19900.0`, a field more, another spelling of the content type. Nothing else differs: a
//! comparison that tells meaning from spelling must find them alike.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use serde_json::{Value, json};

use super::catalogue::{self, Item, Member, Review};
use super::server::{self, Answer, HangUp, Service};

/// Orders that the monolith remembers; the oldest go first.
const ORDERS_KEPT: usize = 1_000;

/// Which service of the shop this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Everything, and the only place for orders.
    Monolith,
    /// Members, rewritten.
    Members,
    /// Items, rewritten.
    Items,
    /// Reviews, rewritten.
    Reviews,
}

impl Side {
    /// What it says of itself in `x-served-by`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Monolith => "monolith",
            Self::Members => "members",
            Self::Items => "items",
            Self::Reviews => "reviews",
        }
    }

    /// How long it thinks: the monolith asks a database that everybody else asks too.
    fn think(self) -> Duration {
        Duration::from_millis(if self == Self::Monolith { 12 } else { 3 })
    }

    fn serves(self, domain: &str) -> bool {
        self == Self::Monolith || self.name() == domain
    }
}

/// One service of the shop.
#[derive(Debug)]
pub(super) struct Shop {
    side: Side,
    orders: Mutex<Vec<Value>>,
}

impl Shop {
    /// A service that has just started.
    pub(super) fn new(side: Side) -> Self {
        Self { side, orders: Mutex::new(Vec::new()) }
    }

    fn respond(&self, request: &Request<Bytes>) -> Answer {
        let user = request.headers().get("x-user-id").and_then(|value| value.to_str().ok());
        let path: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
        match path.as_slice() {
            [""] if self.side == Side::Monolith => front_page(user),
            ["api", _version, domain, rest @ ..] if self.side.serves(domain) => match (*domain, rest) {
                ("orders", rest) => self.orders(request, user, rest),
                _ if !matches!(*request.method(), Method::GET | Method::HEAD) => method_not_allowed("GET, HEAD"),
                ("members", ["me"]) => self.me(user),
                ("members", [id]) => self.found(number(id).and_then(catalogue::member).map(|m| self.member(&m))),
                ("items", []) => self.items(request.uri().query()),
                ("items", [id]) => self.found(number(id).and_then(catalogue::item).map(|i| self.item(&i))),
                ("items", [id, "reviews"]) if self.side == Side::Monolith => self.reviews(number(id)),
                ("reviews", []) => self.reviews(parameter(request.uri().query(), "item").and_then(number)),
                ("reviews", [id]) => self.found(number(id).and_then(catalogue::review).map(|r| self.review(&r))),
                _ => self.found(None),
            },
            _ => self.found(None),
        }
    }

    fn found(&self, document: Option<Value>) -> Answer {
        match document {
            Some(document) => server::json(StatusCode::OK, &document),
            None => server::json(StatusCode::NOT_FOUND, &json!({"error": "there is nothing here"})),
        }
    }

    /// The member that the gateway says is calling: the service trusts the header, since only the gateway can set it.
    fn me(&self, user: Option<&str>) -> Answer {
        let Some(user) = user else {
            return server::json(StatusCode::UNAUTHORIZED, &json!({"error": "nobody is signed in"}));
        };
        self.found(user.strip_prefix("member-").and_then(number).and_then(catalogue::member).map(|m| self.member(&m)))
    }

    fn member(&self, member: &Member) -> Value {
        match self.side {
            Side::Monolith => json!({
                "id": member.id, "name": member.name, "grade": member.grade,
                "points": f64::from(member.points), "joined": member.joined,
            }),
            _ => json!({
                "name": member.name, "id": member.id, "joined": member.joined,
                "points": member.points, "grade": member.grade, "coupons": member.points / 1_000,
            }),
        }
    }

    fn item(&self, item: &Item) -> Value {
        let rating = catalogue::rating_of(item.id);
        match self.side {
            Side::Monolith => json!({
                "id": item.id, "title": item.title, "price": item.price, "currency": "KRW",
                "stock": item.stock, "rating": rating,
            }),
            _ => json!({
                "id": item.id, "title": item.title, "currency": "KRW", "price": f64::from(item.price),
                "rating": rating, "stock": item.stock, "delivery": if item.stock > 0 { "tomorrow" } else { "unknown" },
            }),
        }
    }

    fn review(&self, review: &Review) -> Value {
        match self.side {
            Side::Monolith => json!({
                "id": review.id, "item": review.item, "member": review.member,
                "rating": review.rating, "text": review.text,
            }),
            _ => json!({
                "id": review.id, "rating": f64::from(review.rating), "text": review.text,
                "item": review.item, "member": review.member, "language": "en",
            }),
        }
    }

    fn items(&self, query: Option<&str>) -> Answer {
        let limit = parameter(query, "limit").and_then(number).unwrap_or(20).clamp(1, catalogue::ITEMS);
        let page = parameter(query, "page").and_then(number).unwrap_or(1).clamp(1, catalogue::ITEMS);
        let first = (page - 1) * limit + 1;
        let items: Vec<Value> =
            (first..first + limit).filter_map(catalogue::item).map(|item| self.item(&item)).collect();
        self.found(Some(json!({"page": page, "total": catalogue::ITEMS, "items": items})))
    }

    fn reviews(&self, item: Option<u32>) -> Answer {
        let Some(item) = item.and_then(catalogue::item) else {
            return server::json(StatusCode::BAD_REQUEST, &json!({"error": "say which item: ?item=3"}));
        };
        let reviews: Vec<Value> = catalogue::reviews_of(item.id).iter().map(|review| self.review(review)).collect();
        self.found(Some(json!({"item": item.id, "reviews": reviews})))
    }

    /// Orders live in the monolith alone: no service took them over.
    fn orders(&self, request: &Request<Bytes>, user: Option<&str>, rest: &[&str]) -> Answer {
        let Some(user) = user else {
            return server::json(StatusCode::UNAUTHORIZED, &json!({"error": "nobody is signed in"}));
        };
        let mut orders = self.orders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match (request.method(), rest) {
            (&Method::GET | &Method::HEAD, []) => {
                let own: Vec<&Value> = orders.iter().filter(|order| order["user"] == user).collect();
                self.found(Some(json!({"orders": own})))
            }
            (&Method::POST, []) => {
                let wanted: Value = serde_json::from_slice(request.body()).unwrap_or_default();
                let item = wanted["item"].as_u64().and_then(|id| u32::try_from(id).ok()).and_then(catalogue::item);
                let Some(item) = item else {
                    return server::json(StatusCode::BAD_REQUEST, &json!({"error": "say what: {\"item\": 3}"}));
                };
                if orders.len() == ORDERS_KEPT {
                    orders.remove(0);
                }
                let number = orders.last().and_then(|order| order["number"].as_u64()).unwrap_or(1_000) + 1;
                let order = json!({"number": number, "user": user, "item": item.id, "total": item.price});
                orders.push(order.clone());
                server::json(StatusCode::CREATED, &order)
            }
            (_, []) => method_not_allowed("GET, HEAD, POST"),
            _ => self.found(None),
        }
    }

    /// The headers by which people tell the two sides apart.
    fn sign(&self, answer: &mut Answer) {
        let headers = answer.headers_mut();
        headers.insert("x-served-by", HeaderValue::from_static(self.side.name()));
        if self.side == Side::Monolith && headers.get(header::CONTENT_TYPE).is_some_and(|t| t == "application/json") {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
        }
    }
}

impl Service for Shop {
    async fn answer(&self, request: Request<Bytes>) -> Result<Answer, HangUp> {
        tokio::time::sleep(self.side.think()).await;
        let mut answer = self.respond(&request);
        self.sign(&mut answer);
        Ok(answer)
    }
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok()
}

/// A plain query parameter; the shop has none that needs decoding.
fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn method_not_allowed(allow: &'static str) -> Answer {
    let mut answer = server::json(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": "not with this method"}));
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    answer
}

fn front_page(user: Option<&str>) -> Answer {
    let greeting = if user.is_some() { "Welcome back." } else { "Welcome, stranger." };
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><title>The shop</title>\n<h1>The shop</h1>\n<p>{greeting} \
         This page comes from the monolith, through the gateway.</p>\n\
         <ul><li><a href=\"/api/v1/items\">items</a></li><li><a href=\"/api/v1/reviews?item=3\">reviews of item 3</a>\
         </li></ul></html>\n"
    );
    server::with_type(StatusCode::OK, "text/html; charset=utf-8", page)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn call(side: Side, path: &str) -> (StatusCode, http::HeaderMap, Value) {
        ask(&Shop::new(side), Method::GET, path, "", Some("member-7")).await
    }

    async fn ask(
        shop: &Shop,
        method: Method,
        path: &str,
        body: &'static str,
        user: Option<&str>,
    ) -> (StatusCode, http::HeaderMap, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(user) = user {
            request = request.header("x-user-id", user);
        }
        let answer = shop.answer(request.body(Bytes::from(body)).expect("a request")).await.expect("an answer");
        let (head, body) = answer.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        (head.status, head.headers, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Numbers by value, objects by content: what a reader of JSON sees.
    fn same(left: &Value, right: &Value) -> bool {
        match (left, right) {
            (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
            (Value::Array(left), Value::Array(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
            }
            (Value::Object(left), Value::Object(right)) => {
                left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
            }
            _ => left == right,
        }
    }

    #[tokio::test]
    async fn both_sides_mean_the_same_and_write_it_differently() {
        for (side, path) in [
            (Side::Members, "/api/v1/members/7"),
            (Side::Members, "/api/v1/members/me"),
            (Side::Items, "/api/v1/items"),
            (Side::Items, "/api/v1/items?page=2&limit=5"),
            (Side::Items, "/api/v1/items/3"),
            (Side::Reviews, "/api/v1/reviews?item=3"),
            (Side::Reviews, "/api/v1/reviews/5"),
        ] {
            let (old_status, old_headers, old) = call(Side::Monolith, path).await;
            let (new_status, new_headers, new) = call(side, path).await;
            assert_eq!((old_status, new_status), (StatusCode::OK, StatusCode::OK), "{path}");
            assert!(same(&old, &new), "{path}: {old} is not in {new}");
            assert_ne!(old.to_string(), new.to_string(), "{path} shows no difference to find");
            assert_eq!(old_headers["x-served-by"], "monolith");
            assert_eq!(new_headers["x-served-by"], side.name());
        }
    }

    #[tokio::test]
    async fn both_sides_agree_on_what_is_missing_or_wrong() {
        for (side, path) in [
            (Side::Members, "/api/v1/members/0"),
            (Side::Members, "/api/v1/members/x"),
            (Side::Items, "/api/v1/items/999"),
            (Side::Reviews, "/api/v1/reviews"),
            (Side::Reviews, "/api/v1/reviews?item=999"),
        ] {
            let (old, _, _) = call(Side::Monolith, path).await;
            let (new, _, _) = call(side, path).await;
            assert_eq!(old, new, "{path}");
            assert!(old.is_client_error(), "{path}");
        }
    }

    #[tokio::test]
    async fn a_microservice_knows_only_its_own_domain() {
        assert_eq!(call(Side::Members, "/api/v1/items/3").await.0, StatusCode::NOT_FOUND);
        assert_eq!(call(Side::Reviews, "/").await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn orders_belong_to_whoever_the_gateway_says_is_calling() {
        let shop = Shop::new(Side::Monolith);
        let path = "/api/v1/orders";
        let (status, _, order) = ask(&shop, Method::POST, path, r#"{"item":3}"#, Some("member-7")).await;
        assert_eq!((status, &order["number"]), (StatusCode::CREATED, &json!(1001)));
        let (_, _, own) = ask(&shop, Method::GET, path, "", Some("member-7")).await;
        assert_eq!(own["orders"], json!([order]));
        let (_, _, foreign) = ask(&shop, Method::GET, path, "", Some("member-8")).await;
        assert_eq!(foreign["orders"], json!([]));
        assert_eq!(ask(&shop, Method::GET, path, "", None).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(ask(&shop, Method::POST, path, "{}", Some("member-7")).await.0, StatusCode::BAD_REQUEST);
        assert_eq!(ask(&shop, Method::DELETE, path, "", Some("member-7")).await.0, StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn an_absurd_page_is_empty_and_not_an_overflow() {
        let (status, _, page) = call(Side::Items, "/api/v1/items?page=4294967295&limit=4294967295").await;
        assert_eq!((status, &page["items"]), (StatusCode::OK, &json!([])));
    }
}
