//! Where everything of the demo listens: the usual ports of the sample configuration, or free ones instead.
//!
//! The pretended services' listeners are bound at once and kept, so nobody can take their ports between looking and
//! using. The gateway binds its own: a free port for it is written as 0, and known once it has started. Loopback only.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, bail};
use tokio::net::TcpListener;

/// A part of the demo with an address of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The gateway itself.
    Gateway,
    /// Its control plane.
    Admin,
    /// The control desk for the providers.
    Desk,
    /// The sample monolith.
    Monolith,
    /// The members microservice.
    Members,
    /// The items microservice.
    Items,
    /// The reviews microservice.
    Reviews,
    /// The first payment provider.
    Alpha,
    /// The second payment provider.
    Beta,
}

impl Part {
    const ALL: &[Self] = &[
        Self::Gateway,
        Self::Admin,
        Self::Desk,
        Self::Monolith,
        Self::Members,
        Self::Items,
        Self::Reviews,
        Self::Alpha,
        Self::Beta,
    ];

    /// The port that the sample configuration knows.
    fn usual_port(self) -> u16 {
        match self {
            Self::Gateway => 8080,
            Self::Admin => 9901,
            Self::Desk => 7100,
            Self::Monolith => 7001,
            Self::Members => 7002,
            Self::Items => 7003,
            Self::Reviews => 7004,
            Self::Alpha => 7101,
            Self::Beta => 7102,
        }
    }

    /// The gateway binds these itself.
    fn is_the_gateways(self) -> bool {
        matches!(self, Self::Gateway | Self::Admin)
    }

    /// The sample configuration mentions its address.
    fn is_configured(self) -> bool {
        self != Self::Desk
    }
}

/// Every part's address, and the listeners that are bound already.
#[derive(Debug)]
pub(super) struct Places {
    taken: Vec<(Part, SocketAddr, Option<TcpListener>)>,
}

impl Places {
    /// Finds an address for every part. Another `port` or `admin_port` than the usual one is a wish that must be met;
    /// 0 takes a free one, as does the usual one when it is taken.
    ///
    /// # Errors
    /// A wished port is taken, or there is no free one at all.
    pub(super) async fn take(port: u16, admin_port: u16) -> anyhow::Result<Self> {
        let mut taken = Vec::new();
        for part in Part::ALL {
            let wish = match part {
                Part::Gateway => port,
                Part::Admin => admin_port,
                part => part.usual_port(),
            };
            let listener = match bind(wish).await {
                Ok(listener) => listener,
                Err(_) if wish == part.usual_port() => bind(0).await.context("no free port on 127.0.0.1")?,
                Err(error) => bail!("port {wish} can't be used: {error}; choose another one, or 0 for any"),
            };
            let address = listener.local_addr().context("a bound listener has an address")?;
            if !part.is_the_gateways() {
                taken.push((*part, address, Some(listener)));
            } else if wish == address.port() {
                taken.push((*part, address, None));
            } else {
                taken.push((*part, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None));
            }
        }
        Ok(Self { taken })
    }

    /// Hands out a part's listener; each can be had once.
    pub(super) fn listener(&mut self, part: Part) -> TcpListener {
        let place = self.taken.iter_mut().find(|(other, _, _)| *other == part);
        place.and_then(|(_, _, listener)| listener.take()).expect("a pretended service takes its listener once")
    }

    /// The sample configuration's addresses as it writes them.
    pub(super) fn configured() -> Vec<String> {
        Part::ALL.iter().filter(|part| part.is_configured()).map(|part| usual(*part).to_string()).collect()
    }

    /// Usual address and real one, of every part that the configuration mentions and that had to move.
    pub(super) fn moved(&self) -> Vec<(String, String)> {
        let moved = self.taken.iter().filter(|(part, address, _)| part.is_configured() && *address != usual(*part));
        moved.map(|(part, address, _)| (usual(*part).to_string(), address.to_string())).collect()
    }
}

fn usual(part: Part) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, part.usual_port()))
}

async fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wish_that_cannot_be_met_is_an_error_and_names_the_port() {
        let other = bind(0).await.expect("a free port");
        let port = other.local_addr().expect("bound").port();
        let error = Places::take(port, 0).await.expect_err("the port is taken").to_string();
        assert!(error.contains(&port.to_string()), "{error}");
    }

    #[tokio::test]
    async fn whoever_cannot_have_the_usual_port_moves_and_says_so() {
        // Other programs may hold any of the usual ports here: whichever they are, the answers must agree.
        let places = Places::take(0, 0).await.expect("free ports");
        let moved = places.moved();
        assert!(moved.contains(&("127.0.0.1:8080".into(), "127.0.0.1:0".into())));
        for (from, to) in &moved {
            assert_ne!(from, to);
            assert!(Places::configured().contains(from), "{from}");
        }
        let bound: std::collections::HashSet<_> =
            places.taken.iter().filter(|(_, _, listener)| listener.is_some()).map(|(_, address, _)| address).collect();
        assert_eq!(bound.len(), Part::ALL.len() - 2, "two parts at one address");
    }
}
