//! Reload against real files: how changes are noticed, what is published, what is refused, what is recorded.
//!
//! The loader is a small one of these tests' own ([`site`]), so that what is shown here holds for any
//! configuration language; `config`'s own tests show what it accepts.

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
