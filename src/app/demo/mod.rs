//! `figway demo`: a whole little world in one process, on loopback, to try the gateway in.
//!
//! A pretended shop (monolith and three microservices), two payment providers that can be broken, the real gateway on
//! the sample configuration, gentle traffic, and a guide whose every line can be pasted. Nothing here is used by `serve`.

mod catalogue;
mod desk;
mod guide;
mod places;
mod providers;
mod server;
mod services;
mod traffic;
mod workspace;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use self::desk::Desk;
use self::guide::Guide;
use self::places::{Part, Places};
use self::providers::Provider;
use self::server::Server;
use self::services::{Shop, Side};
use self::traffic::Shopper;
use self::workspace::Workspace;
use super::cli::DemoArgs;
use super::output;
use super::serve::{self, Gateway};
use crate::auth::{self, SigningKey};
use crate::clock::Timestamp;

/// Issuer and audience of the sample configuration.
const ISSUER: &str = "https://auth.figway.test";
const AUDIENCE: &str = "shop-api";
/// What a flag change did is worth a line below the guide; a payment every three seconds is not.
const LOG_LEVELS: &str = "error,figway::reload=info";
/// A demo that runs over night still has good tokens in the morning.
const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// How long the end may take. The traffic has ended before, and no load balancer needs to notice: there is nothing to
/// drain, and what the ledger has acknowledged is on disk.
const END: Duration = Duration::from_secs(2);

/// Runs the demo until SIGINT or SIGTERM.
///
/// # Errors
/// A wished port is taken, or the gateway can't start on the sample configuration as it is now.
pub(crate) fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    super::logging::start(LOG_LEVELS);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(demonstrate(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn demonstrate(args: DemoArgs) -> anyhow::Result<()> {
    let mut places = Places::take(args.port, args.admin_port).await?;
    let workspace = choose_workspace(&places)?;
    let _shop = start_shop(&mut places)?;
    let desk = start_providers(&mut places)?;
    let mut stop = Stop::new()?;

    let key = SigningKey::from_text(workspace::SIGNING_KEY).context("the development key")?;
    let gateway = Gateway::start(serve::Options { config: workspace.config() }).await?;
    let address = *gateway.addresses().first().context("the gateway serves nowhere")?;
    let run = format!("{:06x}", fastrand::u32(..1 << 24));
    let guide = Guide {
        figway: guide::command_name(),
        gateway: address,
        admin: gateway.admin_address().context("the sample configuration has a control plane")?,
        desk: desk.address(),
        flags: workspace.flags(),
        private: workspace.is_private(),
        traffic: !args.no_traffic,
        run: run.clone(),
        token: token(&key, "member-7", &[])?,
        staff_token: token(&key, "member-42", &["staff"])?,
    };
    output::print(&guide.to_string())?;

    let shoppers = (1..=40).map(|id| token(&key, &format!("member-{id}"), &[]).map(|token| Shopper { token }));
    let shoppers = shoppers.collect::<anyhow::Result<Vec<_>>>()?;
    let traffic = (!args.no_traffic).then(|| traffic::start(address, &shoppers, &run));

    stop.wanted().await;
    let _ = output::print("\nThe demo ends.\n"); // nobody may read it any more
    drop(traffic);
    tokio::select! {
        () = gateway.shutdown() => {}
        () = tokio::time::sleep(END) => {}
        () = stop.wanted() => {}
    }
    Ok(())
}

fn choose_workspace(places: &Places) -> anyhow::Result<Workspace> {
    let moved = places.moved();
    match Workspace::in_place(&Places::configured()) {
        Some(workspace) if moved.is_empty() => Ok(workspace),
        _ => Workspace::copy(&moved).context("the sample files could not be written to the temporary folder"),
    }
}

fn start_shop(places: &mut Places) -> anyhow::Result<Vec<Server<Shop>>> {
    let sides = [
        (Part::Monolith, Side::Monolith),
        (Part::Members, Side::Members),
        (Part::Items, Side::Items),
        (Part::Reviews, Side::Reviews),
    ];
    sides.into_iter().map(|(part, side)| Ok(Server::start(places.listener(part), Arc::new(Shop::new(side)))?)).collect()
}

fn start_providers(places: &mut Places) -> anyhow::Result<Server<Desk>> {
    let mut providers = Vec::new();
    for (part, name) in [(Part::Alpha, "alpha"), (Part::Beta, "beta")] {
        providers.push(Arc::new(Server::start(places.listener(part), Arc::new(Provider::new(name)))?));
    }
    Ok(Server::start(places.listener(Part::Desk), Arc::new(Desk::new(providers)))?)
}

/// A token that the sample configuration accepts.
fn token(key: &SigningKey, subject: &str, roles: &[&str]) -> anyhow::Result<String> {
    let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": subject});
    if !roles.is_empty() {
        claims["role"] = json!(roles);
    }
    let claims = claims.as_object().cloned().unwrap_or_default();
    auth::mint(key, None, claims, Timestamp::now(), TOKEN_LIFETIME).context("a development token can't be signed")
}

/// The wish to stop: SIGINT (Ctrl-C) or SIGTERM.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> anyhow::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn wanted(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
