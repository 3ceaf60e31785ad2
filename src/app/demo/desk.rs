//! The demo's control desk: breaks and mends the payment providers, and shows their books side by side.
//!
//! It has a listener of its own, since a provider that refuses connections can't be asked to come back. A plain GET
//! changes things here, which no real interface should do: it is what makes the switches links that one can click.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::providers::{Outage, Provider};
use super::server::{self, Answer, HangUp, Server, Service};

/// The desk, in front of all providers.
#[derive(Debug)]
pub(super) struct Desk {
    providers: Vec<Arc<Server<Provider>>>,
}

impl Desk {
    /// A desk for these providers.
    pub(super) fn new(providers: Vec<Arc<Server<Provider>>>) -> Self {
        Self { providers }
    }

    async fn switch(&self, provider: &Server<Provider>, mode: &str) -> Answer {
        let Some(outage) = Outage::parse(mode) else {
            let modes: Vec<&str> = Outage::ALL.iter().map(|(_, name, _)| *name).collect();
            return server::text(StatusCode::BAD_REQUEST, format!("mode is one of {}\n", modes.join(", ")));
        };
        let name = provider.service().name();
        provider.service().set_outage(outage);
        if outage == Outage::Down {
            provider.close().await;
        } else if let Err(error) = provider.open().await {
            let text = format!("{name} can't listen on {} again: {error}\n", provider.address());
            return server::text(StatusCode::CONFLICT, text);
        }
        let (_, does) = outage.describe();
        server::text(StatusCode::OK, format!("{name} now {does}\n"))
    }

    /// All books, and the one line that matters: orders that were charged more than once, at whatever provider.
    fn books(&self) -> Value {
        let mut charges: BTreeMap<String, u32> = BTreeMap::new();
        for order in self.providers.iter().flat_map(|provider| provider.service().charged_orders()) {
            *charges.entry(order).or_default() += 1;
        }
        let twice: Vec<&String> = charges.iter().filter(|(_, count)| **count > 1).map(|(order, _)| order).collect();
        let books: Vec<Value> = self.providers.iter().map(|provider| provider.service().statement()).collect();
        json!({"charged_more_than_once": twice, "books": books})
    }

    fn page(&self) -> String {
        let mut page = String::from(
            "<!doctype html>\n<html lang=\"en\"><title>Figway demo: providers</title>\n<h1>Payment providers</h1>\n",
        );
        for provider in &self.providers {
            let name = provider.service().name();
            let (_, does) = provider.service().outage().describe();
            // Writing into a String can't fail.
            let _infallible = write!(page, "<h2>{name}</h2>\n<p>It now {does}.</p>\n<p>Outage:</p>\n<ul>\n");
            for (_, mode, does) in Outage::ALL {
                let _infallible = writeln!(page, "<li><a href=\"/{name}/outage?mode={mode}\">{mode}</a>: {does}</li>");
            }
            page.push_str("</ul>\n");
        }
        page.push_str("<p><a href=\"/books\">Books of all providers</a></p></html>\n");
        page
    }
}

impl Service for Desk {
    async fn answer(&self, request: Request<Bytes>) -> Result<Answer, HangUp> {
        if !matches!(*request.method(), Method::GET | Method::HEAD | Method::POST) {
            return Ok(server::text(StatusCode::METHOD_NOT_ALLOWED, "GET or POST\n"));
        }
        let path = request.uri().path();
        if path == "/" {
            return Ok(server::with_type(StatusCode::OK, "text/html; charset=utf-8", self.page()));
        }
        if path == "/books" {
            return Ok(server::with_type(StatusCode::OK, "application/json", format!("{:#}\n", self.books())));
        }
        let named = |server: &&Arc<Server<Provider>>| path == format!("/{}/outage", server.service().name());
        let Some(provider) = self.providers.iter().find(named) else {
            return Ok(server::text(StatusCode::NOT_FOUND, "there is nothing here; see /\n"));
        };
        if *request.method() == Method::HEAD {
            return Ok(server::text(StatusCode::OK, ""));
        }
        let mode = request.uri().query().and_then(|query| query.strip_prefix("mode=")).unwrap_or_default();
        Ok(self.switch(provider, mode).await)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn desk() -> (Desk, Arc<Server<Provider>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let alpha = Arc::new(Server::start(listener, Arc::new(Provider::new("alpha"))).expect("an address"));
        (Desk::new(vec![Arc::clone(&alpha)]), alpha)
    }

    async fn get(desk: &Desk, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Bytes::new()).expect("a request");
        let (head, body) = desk.answer(request).await.expect("an answer").into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        (head.status, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn a_provider_that_is_down_refuses_connections_and_comes_back_on_the_same_port() {
        let (desk, alpha) = desk().await;
        let kept = TcpStream::connect(alpha.address()).await.expect("a connection");
        let (status, text) = get(&desk, "/alpha/outage?mode=down").await;
        assert_eq!(status, StatusCode::OK, "{text}");
        let error = TcpStream::connect(alpha.address()).await.expect_err("nobody listens");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        kept.readable().await.expect("the end of the connection");
        assert!(matches!(kept.try_read(&mut [0; 1]), Ok(0) | Err(_)), "an open connection was cut too");
        assert_eq!(get(&desk, "/alpha/outage?mode=off").await.0, StatusCode::OK);
        TcpStream::connect(alpha.address()).await.expect("it listens again");
    }

    /// A payment was once charged by another demo's provider of the same name, which had got the port.
    #[tokio::test]
    async fn a_provider_that_is_down_keeps_its_port() {
        let (desk, alpha) = desk().await;
        assert_eq!(get(&desk, "/alpha/outage?mode=down").await.0, StatusCode::OK);
        let error = TcpListener::bind(alpha.address()).await.expect_err("it is taken");
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        assert_eq!(get(&desk, "/alpha/outage?mode=off").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn switching_twice_to_the_same_mode_changes_nothing() {
        let (desk, alpha) = desk().await;
        for mode in ["off", "down", "down", "errors", "errors"] {
            assert_eq!(get(&desk, &format!("/alpha/outage?mode={mode}")).await.0, StatusCode::OK, "{mode}");
        }
        assert_eq!(alpha.service().outage(), Outage::Errors);
        TcpStream::connect(alpha.address()).await.expect("it listens");
    }

    #[tokio::test]
    async fn a_mode_or_provider_that_does_not_exist_is_refused() {
        let (desk, alpha) = desk().await;
        assert_eq!(get(&desk, "/alpha/outage?mode=gone").await.0, StatusCode::BAD_REQUEST);
        assert_eq!(get(&desk, "/alpha/outage").await.0, StatusCode::BAD_REQUEST);
        assert_eq!(get(&desk, "/gamma/outage?mode=down").await.0, StatusCode::NOT_FOUND);
        assert_eq!(alpha.service().outage(), Outage::Off);
    }

    #[tokio::test]
    async fn the_page_links_every_switch() {
        let (desk, _alpha) = desk().await;
        let (_, page) = get(&desk, "/").await;
        for (_, mode, _) in Outage::ALL {
            assert!(page.contains(&format!("/alpha/outage?mode={mode}\"")), "{mode}");
        }
        assert!(get(&desk, "/books").await.1.contains("\"charged_more_than_once\": []"));
    }
}
