//! The whole configuration: config file, flags folder, and what only both together show.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use super::cursor::Cursor;
use super::environment::{Environment, expand};
use super::flags::{self, Broken};
use super::lowering::Lowering;
use super::quote::quoted;
use super::report::{Report, Spot};
use super::shape::{Section, Shape, optional, required, section};
use super::sources::{Sources, shown};
use super::targets::Targets;
use super::tree::{Node, Position, parse};
use super::validate::validate;
use super::{Kept, Loaded, Overlay, admin, auth, backends, digest, is_flag_file, payments, routes, server, state};
use crate::clock::Timestamp;
use crate::flags::{FlagSet, Kind};
use crate::snapshot::{Diagnostic, Severity, Snapshot, Startup};
use crate::types::{FlagKey, Revision};

/// The config file.
pub(super) static CONFIG: Shape = Shape::Section(&ROOT);

static ROOT: Section = section(
    "Figway's config file.",
    &[
        required("server", Shape::Section(&server::SERVER), "listeners of the data plane"),
        optional("admin", Shape::Section(&admin::ADMIN), "the control plane"),
        optional("flags", Shape::Section(&state::FLAGS), "where the flags are; without it there are none"),
        optional("state", Shape::Section(&state::STATE), "what must survive a restart"),
        optional("auth", Shape::Section(&auth::AUTH), "whose tokens are believed"),
        required("backends", backends::BACKENDS, "named services"),
        required("routes", routes::ROUTES, "which requests go where; the most specific one wins, not the first"),
        optional("payments", Shape::Section(&payments::PAYMENTS), "payments over several providers"),
    ],
);

/// Everything that [`super::load`] does, with environment and time as arguments.
pub(super) fn load(
    config: &Path,
    kept: &Kept,
    overlay: &Overlay,
    environment: Environment<'_>,
    now: Timestamp,
) -> Loaded {
    let mut loading = Loading {
        sources: Sources::beside(config, overlay.clone()),
        report: Report::default(),
        kept,
        environment,
        now,
    };
    let file: Arc<str> = config.display().to_string().into();
    loading.report.begin(&file);
    let root = loading.config(&file, config);
    let root = root.as_ref().map(|root| Cursor::root(&file, root));
    let flags_dir =
        root.as_ref().and_then(|root| root.get("flags")?.text_of("dir").map(|dir| loading.sources.resolve(dir)));
    let state_dir =
        root.as_ref().map_or_else(|| state::state_dir_by_text(config), |root| state::state_dir(root, &loading.sources));
    let startup_places = root.as_ref().map(startup_places).unwrap_or_default();
    let compiled = root.as_ref().and_then(|root| loading.compile(root, flags_dir.as_deref()));
    let Loading { sources, report, .. } = loading;
    let failed = report.has_errors();
    let diagnostics = report.finish();
    let files = sources.into_files();
    let snapshot = compiled.filter(|_| !failed).map(|snapshot| Snapshot {
        hash: hash(&files),
        warnings: diagnostics
            .iter()
            .filter(|one| one.severity == Severity::Warning)
            .cloned()
            .collect::<Vec<Diagnostic>>(),
        ..snapshot
    });
    if let Some(snapshot) = &snapshot {
        *kept.authenticator.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&snapshot.auth));
    }
    Loaded { diagnostics, snapshot, files, flags_dir, state_dir, startup_places }
}

/// What only a restart can change.
fn startup(root: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Startup {
    let server = root.get("server");
    Startup {
        listen: server.as_ref().map(|section| server::addresses(section, lowering)).unwrap_or_default(),
        threads: server.as_ref().and_then(|section| section.integer_of("threads")).unwrap_or(0),
        admin_listen: admin::address(root.get("admin").as_ref()),
        state_dir: state::state_dir(root, lowering.sources),
        ledger: payments::ledger(root, lowering.sources),
    }
}

/// Where what [`Startup`] holds is written.
fn startup_places(root: &Cursor<'_>) -> BTreeMap<&'static str, (usize, usize)> {
    let place = |path: &'static str| {
        let (section, key) = path.split_once('.')?;
        let Position { line, column } = root.get(section)?.get(key)?.spot().at;
        Some((path, (line, column)))
    };
    Startup::PATHS.into_iter().filter_map(place).collect()
}

fn hash(files: &[(PathBuf, String)]) -> String {
    let names: Vec<_> = files.iter().map(|(path, _)| shown(path)).collect();
    digest::sha256_of_files(names.iter().map(String::as_str).zip(files.iter().map(|(_, digest)| digest.as_str())))
}

struct Loading<'a> {
    sources: Sources,
    report: Report,
    kept: &'a Kept,
    environment: Environment<'a>,
    now: Timestamp,
}

impl Loading<'_> {
    fn text(&mut self, file: &Arc<str>, path: &Path) -> Option<String> {
        let content = self.sources.read(path);
        let text = match &content {
            Ok(content) => content.text().map(str::to_owned),
            Err(reason) => {
                self.report.error(&Spot::file(file), format!("can't be read: {reason}"));
                return None;
            }
        };
        text.map_err(|mistake| self.report.mistakes(file, vec![mistake])).ok()
    }

    fn config(&mut self, file: &Arc<str>, path: &Path) -> Option<Node> {
        let text = self.text(file, path)?;
        let tree = parse(&text);
        let readable = tree.mistakes.is_empty();
        let mut mistakes = tree.mistakes;
        let mut root = tree.root;
        match &mut root {
            Some(root) => expand(root, self.environment, &mut mistakes),
            None if readable => {
                self.report
                    .error(&Spot::file(file), "the file is empty; it needs at least server, backends and routes");
            }
            None => {}
        }
        self.report.mistakes(file, mistakes);
        root
    }

    fn compile(&mut self, root: &Cursor<'_>, flags_dir: Option<&Path>) -> Option<Snapshot> {
        validate(root, &CONFIG, &mut self.report);
        let (flags, broken_flags, places) = self.flags(root, flags_dir);
        let lowering = &mut Lowering {
            sources: &mut self.sources,
            report: &mut self.report,
            kept: self.kept,
            environment: self.environment,
            now: self.now,
        };
        let server = root.get("server").and_then(|section| server::lower(&section, lowering));
        let admin = admin::lower(root.get("admin").as_ref(), lowering);
        let auth = auth::lower(root.get("auth").as_ref(), lowering);
        let backends = backends::lower(root, lowering);
        let mut targets = Targets {
            backend_names: root
                .get("backends")
                .map(|table| table.entries().map(|(entry, _)| entry.key.clone()).collect())
                .unwrap_or_default(),
            backends: &backends,
            flags: &flags,
            broken_flags: &broken_flags,
            has_issuers: root.get("auth").is_some_and(|auth| !auth.items_of("issuers").is_empty()),
            authenticator: auth.clone(),
            policies: Vec::new(),
            used: BTreeSet::new(),
        };
        let mut routes = routes::lower(root, &mut targets, lowering);
        let payments_section = root.get("payments");
        let payments = payments_section.as_ref().and_then(|section| payments::lower(section, &mut targets, lowering));
        if let Some(section) = &payments_section {
            routes.sound.extend(payments::routes(section, &mut targets, lowering));
        }
        let table = routes::table(&routes, lowering);
        if let Some(table) = &table {
            routes::warn_of_weaker_auth(table, &routes.sound, lowering);
        }
        let startup = startup(root, lowering);
        let used = std::mem::take(&mut targets.used);
        self.flag_debts(&flags, &used, &places);
        Some(Snapshot {
            revision: Revision::default(),
            hash: String::new(),
            created: self.now,
            stale: false,
            startup,
            server: server?,
            admin,
            auth: auth?,
            flags,
            backends,
            routes: routes.sound.into_iter().map(|lowered| lowered.route).collect(),
            table: table?,
            payments: payments.map(Arc::new),
            warnings: Vec::new(),
        })
    }

    /// All flags of the folder, those that could not be read, and where each key stands.
    fn flags(&mut self, root: &Cursor<'_>, folder: Option<&Path>) -> (FlagSet, Broken, HashMap<FlagKey, Spot>) {
        let (mut flags, mut broken, mut places) = (BTreeMap::new(), Broken::default(), HashMap::<FlagKey, Spot>::new());
        for path in folder.map(|folder| self.flag_files(root, folder, &mut broken)).unwrap_or_default() {
            let file: Arc<str> = shown(&path).into();
            self.report.begin(&file);
            let Some(text) = self.text(&file, &path) else {
                broken.whole = true;
                continue;
            };
            for flags::Found { flag, place } in flags::read(&file, &text, &mut broken, &mut self.report) {
                if let Some(first) = places.get(&flag.key) {
                    let message = format!(
                        "the flag {} is defined in {}:{} already; keys are unique over all files: remove one",
                        quoted(flag.key.as_str()),
                        first.file,
                        first.at.line
                    );
                    self.report.error(&place, message);
                    continue;
                }
                places.insert(flag.key.clone(), place);
                flags.insert(flag.key.clone(), flag);
            }
        }
        (FlagSet { flags, stale: false }, broken, places)
    }

    /// The folder's flag files by name.
    fn flag_files(&mut self, root: &Cursor<'_>, folder: &Path, broken: &mut Broken) -> Vec<PathBuf> {
        let Some(dir) = root.get("flags").and_then(|flags| flags.get("dir")) else { return Vec::new() };
        let paths = self.sources.list(folder).unwrap_or_else(|error| {
            let message = format!(
                "the flags folder {} can't be read: {error} (looked at {}); make it, it may be empty",
                quoted(dir.text().unwrap_or_default()),
                shown(folder)
            );
            self.report.error(&dir.spot(), message);
            broken.whole = true;
            Vec::new()
        });
        for misnamed in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "yml")) {
            let message = format!("{} is not read: flag files end in .yaml; rename it", quoted(&shown(misnamed)));
            self.report.warning(&dir.spot(), message);
        }
        paths.into_iter().filter(|path| is_flag_file(path)).collect()
    }

    fn flag_debts(&mut self, flags: &FlagSet, used: &BTreeSet<FlagKey>, places: &HashMap<FlagKey, Spot>) {
        for (key, flag) in &flags.flags {
            let Some(place) = places.get(key) else { continue };
            for debt in flag.debts(self.now) {
                self.report.warning(place, debt.to_string());
            }
            // Switches and splits may be there for OFREP clients alone; a migration moves requests or nothing. Which
            // flags are used can't be told before every route can be read.
            let is_unused = matches!(flag.kind, Kind::Migration { .. }) && !used.contains(key);
            if is_unused && !self.report.has_errors() {
                let message = format!("no route names the migration {}, so it moves nothing", quoted(key.as_str()));
                self.report.warning(place, message);
            }
        }
    }
}
