//! Reload against real files: how changes are noticed, what is published, what is refused, what is recorded.
//!
//! The loader is a small one of these tests' own ([`small_loader`]), so that what is shown here holds for any
//! configuration language; [`with_config`] runs the same with the real one.

#[path = "reload/changes.rs"]
mod changes;
#[path = "reload/endurance.rs"]
mod endurance;
#[path = "reload/last_good.rs"]
mod last_good;
#[path = "reload/noticing.rs"]
mod noticing;
#[path = "reload/publishing.rs"]
mod publishing;
#[path = "reload/site.rs"]
mod site;
#[path = "reload/small_loader.rs"]
mod small_loader;
#[path = "reload/with_config.rs"]
mod with_config;
