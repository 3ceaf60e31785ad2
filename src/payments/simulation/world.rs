//! One run: gateways on one ledger, simulated providers, customers, and the hand that kills gateways.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;

use super::judge;
use super::network::{Network, Providers};
use super::postman::{self, Noted};
use super::schedule::{Crash, Place, QUIESCE, Schedule};
use super::shopper;
use super::story::Story;
use crate::payments::capacity::Capacity;
use crate::payments::ledger::in_memory::{Fate, InMemoryLedger, OPENED};
use crate::payments::ledger::{Ledger as _, Tally};
use crate::payments::observer::NoObserver;
use crate::payments::settings::{BaseUrl, OnUnknown, Provider as Settled, ProviderTimeouts, Settings};
use crate::payments::{ApiRequest, ApiResponse, Distributor};
use crate::simulator::{Faults, Manners, Outage, Provider};

pub(super) const PATH: &str = "/pay";
/// One request of a client, all attempts together.
pub(super) const DEADLINE: Duration = Duration::from_secs(8);
/// How long a client waits for an answer before it takes the gateway for dead.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// How long after everything works again a payment may be open: a dead gateway's lease, the
/// longest back-off, the provider's own time, and as much again for the void and its confirmation.
const PREPARED_FOR: Duration = Duration::from_secs(90);
const BOUND: Duration = Duration::from_secs(300);
/// How long requests may be under way that nobody expects any more, and until which watch they are found.
const LATE_BOUND: Duration = Duration::from_secs(2 * 3600);

/// Everything of one run.
pub(super) struct World {
    pub(super) settings: Arc<Settings>,
    pub(super) providers: Arc<Providers>,
    pub(super) story: Arc<Story>,
    /// A handle on the ledger that no gateway's death touches.
    pub(super) ledger: Arc<InMemoryLedger>,
    gateways: Vec<Mutex<Gateway>>,
    crashes: Arc<Mutex<Vec<Crash>>>,
    is_ledger_down: AtomicBool,
    /// What is wrong, as far as it was seen while it happened.
    wrong: Mutex<Vec<String>>,
    first_answers: Mutex<Vec<u16>>,
}

/// A gateway's process; none while it is down.
struct Gateway {
    distributor: Option<Arc<Distributor>>,
    ledger: Option<Arc<InMemoryLedger>>,
    /// Tells how long it stays down.
    died: UnboundedSender<Duration>,
}

/// How a run ended.
pub(super) struct Outcome {
    pub(super) wrong: Vec<String>,
    /// Writes of the first gateway since its latest start.
    pub(super) writes: u64,
    /// Statuses of the first answers that customers got.
    pub(super) first_answers: Vec<u16>,
    /// Kinds of records that the ledger has.
    pub(super) records: BTreeSet<String>,
    pub(super) story: Arc<Story>,
}

/// Runs a schedule to its end, on a clock of its own.
pub(super) fn run(schedule: &Schedule, switches: Switches) -> Outcome {
    fastrand::seed(schedule.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let (noted, to_tell) = mpsc::unbounded_channel();
        let (world, deaths) = World::new(schedule, noted);
        let mut tasks = JoinSet::new();
        let habits =
            schedule.providers.iter().enumerate().map(|(index, place)| (name(index), place.webhooks)).collect();
        let rng = fastrand::Rng::with_seed(schedule.seed ^ 0x706f_7374);
        tasks.spawn(postman::deliver(Arc::clone(&world), habits, to_tell, rng));
        for (gateway, died) in deaths.into_iter().enumerate() {
            world.start(gateway, switches);
            tasks.spawn(Arc::clone(&world).bury_and_raise(gateway, died, switches));
        }
        if let Some((from, until)) = schedule.ledger_down {
            tasks.spawn(Arc::clone(&world).take_ledger_down(from, until));
        }
        let mut shoppers = JoinSet::new();
        for (number, errand) in schedule.errands.iter().enumerate() {
            let rng = fastrand::Rng::with_seed(schedule.seed.wrapping_add(number as u64));
            shoppers.spawn(shopper::shop(Arc::clone(&world), number, errand.clone(), rng));
        }
        while let Some(ended) = shoppers.join_next().await {
            ended.expect("a shopper never panics");
        }
        world.heal().await;
        let wrong = judge::judge(&world).await;
        let wrong = world.wrong().drain(..).chain(wrong).collect();
        let writes = world.gateway(0).ledger.as_ref().map_or(0, |ledger| ledger.writes());
        let records = judge::records(&world).await;
        let first_answers = std::mem::take(&mut *world.first_answers.lock().expect("no test panicked in here"));
        Outcome { wrong, writes, first_answers, records, story: Arc::clone(&world.story) }
    })
}

/// What is wrong with the gateways on purpose, to see whether the judge notices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Switches {
    /// An unknown outcome lets another provider try at once.
    pub(super) fail_over_on_unknown: bool,
}

impl World {
    fn new(schedule: &Schedule, noted: UnboundedSender<Noted>) -> (Arc<Self>, Vec<UnboundedReceiver<Duration>>) {
        let story = Arc::new(Story::new());
        let simulated = schedule.providers.iter().enumerate().map(|(index, place)| simulate(index, place));
        let providers = Arc::new(Providers::new(simulated.collect(), schedule.seed, noted, Arc::clone(&story)));
        let settings = Settings {
            path: PATH.into(),
            deadline: DEADLINE,
            max_attempts: 2,
            retention: Settings::RETENTION,
            weights: None,
            demote: None,
            providers: schedule.providers.iter().enumerate().map(|(n, place)| Arc::new(settle(n, place))).collect(),
        };
        assert_eq!(settings.check(), []);
        let (died, deaths): (Vec<_>, Vec<_>) = (0..schedule.gateways).map(|_| mpsc::unbounded_channel()).unzip();
        let gateways =
            died.into_iter().map(|died| Mutex::new(Gateway { distributor: None, ledger: None, died })).collect();
        let world = Self {
            settings: Arc::new(settings),
            providers,
            story,
            ledger: InMemoryLedger::new(),
            gateways,
            crashes: Arc::new(Mutex::new(schedule.crashes.clone())),
            is_ledger_down: AtomicBool::new(false),
            wrong: Mutex::default(),
            first_answers: Mutex::default(),
        };
        (Arc::new(world), deaths)
    }

    pub(super) fn gateways(&self) -> usize {
        self.gateways.len()
    }

    /// Notes that something happened that must never happen.
    pub(super) fn accuse(&self, what: String) {
        self.story.tell(format!("WRONG: {what}"));
        self.wrong().push(what);
    }

    pub(super) fn note_first_answer(&self, status: u16) {
        self.first_answers.lock().expect("no test panicked in here").push(status);
    }

    /// Calls a gateway; `None` if it is down, or dies before it answers, or the client loses patience.
    pub(super) async fn call(&self, gateway: usize, request: ApiRequest) -> Option<ApiResponse> {
        let distributor = self.gateway(gateway).distributor.clone()?;
        let answer = distributor.handle(Arc::clone(&self.settings), request);
        tokio::time::timeout(PATIENCE, answer).await.ok()
    }

    pub(super) async fn tally(&self) -> Tally {
        self.ledger.tally().await.expect("this handle is never dead")
    }

    fn gateway(&self, gateway: usize) -> MutexGuard<'_, Gateway> {
        self.gateways[gateway].lock().expect("no test panicked in here")
    }

    fn wrong(&self) -> MutexGuard<'_, Vec<String>> {
        self.wrong.lock().expect("no test panicked in here")
    }

    fn start(&self, gateway: usize, switches: Switches) {
        let alone = self.gateways.len() == 1;
        let ledger = self.ledger.open_again(self.providers.now(), alone);
        ledger.down.store(self.is_ledger_down.load(Ordering::SeqCst), Ordering::SeqCst);
        self.gateway(gateway).ledger = Some(Arc::clone(&ledger));
        let died = self.gateway(gateway).died.clone();
        let (crashes, story) = (Arc::clone(&self.crashes), Arc::clone(&self.story));
        ledger.on_write(move |write, side| {
            let mut crashes = crashes.lock().expect("no test panicked in here");
            let fits = |crash: &Crash| (crash.gateway, crash.write, crash.side) == (gateway, write, side);
            // Each death comes once; the next of this gateway counts writes from its new start.
            let Some(place) = crashes.iter().position(fits) else { return Fate::Live };
            story.tell(format!("gateway {gateway} dies {side:?} its write {write}"));
            // The receiver ends with the run, and this may be its last moment.
            let _ = died.send(crashes.remove(place).down_for);
            Fate::Die
        });
        let providers = Arc::clone(&self.providers);
        let network = Network { providers, gateway, ledger: Arc::clone(&ledger) };
        let distributor = Distributor::start(ledger, Arc::new(network), Arc::new(NoObserver));
        distributor.configure(Arc::clone(&self.settings));
        if switches.fail_over_on_unknown {
            distributor.fail_over_on_unknown();
        }
        self.gateway(gateway).distributor = Some(distributor);
    }

    /// Starts a gateway again each time it has died.
    async fn bury_and_raise(
        self: Arc<Self>,
        gateway: usize,
        mut died: UnboundedReceiver<Duration>,
        switches: Switches,
    ) {
        while let Some(down_for) = died.recv().await {
            self.gateway(gateway).distributor = None;
            tokio::time::sleep(down_for).await;
            self.story.tell(format!("gateway {gateway} starts"));
            self.start(gateway, switches);
        }
    }

    async fn take_ledger_down(self: Arc<Self>, from: Duration, until: Duration) {
        tokio::time::sleep(from).await;
        self.set_ledger_down(true);
        tokio::time::sleep(until - from).await;
        self.set_ledger_down(false);
    }

    pub(super) fn is_ledger_down(&self) -> bool {
        self.is_ledger_down.load(Ordering::SeqCst)
    }

    fn set_ledger_down(&self, is_down: bool) {
        if self.is_ledger_down.swap(is_down, Ordering::SeqCst) != is_down {
            self.story.tell(if is_down { "the ledger fails" } else { "the ledger works again" });
        }
        for gateway in 0..self.gateways.len() {
            if let Some(ledger) = &self.gateway(gateway).ledger {
                ledger.down.store(is_down, Ordering::SeqCst);
            }
        }
    }

    /// Ends all faults, and waits until nothing is open and the books agree, or the bound is over.
    async fn heal(&self) {
        self.story.tell("everything works again");
        self.crashes.lock().expect("no test panicked in here").clear();
        self.set_ledger_down(false);
        let mut late = false;
        for mut provider in self.providers.each() {
            late |= provider.received().iter().any(judge::is_late);
            provider.faults = Faults::default();
        }
        let healed = tokio::time::Instant::now();
        loop {
            let tally = self.tally().await;
            let quiet = tally == Tally::default();
            if quiet && !self.providers.is_anything_under_way() && judge::disagreements(self).await.is_empty() {
                return;
            }
            let bound = if late { LATE_BOUND } else { BOUND };
            if healed.elapsed() > bound {
                self.accuse(format!("{bound:?} after everything works again, this is open: {tally:?}"));
                return;
            }
            // As virtual time goes, a look costs more than the second that passes.
            let pause = if quiet { Duration::from_secs(20) } else { Duration::from_secs(2) };
            tokio::time::sleep(pause).await;
        }
    }
}

/// Name of the provider at this place.
fn name(index: usize) -> String {
    ["alpha", "beta", "gamma"][index].to_owned()
}

fn simulate(index: usize, place: &Place) -> Provider {
    let (lookup_lag, remembers_voids) = (place.lookup_lag, place.remembers_voids);
    let manners = Manners { lookup_lag, remembers_voids, session: PREPARED_FOR, ..Manners::default() };
    let mut provider = Provider::new(&name(index), place.speaks.dialect(), manners);
    provider.faults.script = place.script.clone();
    provider.faults.outages = place
        .outages
        .iter()
        .map(|(from, until, fault)| Outage { from: OPENED.plus(*from), until: OPENED.plus(*until), fault: *fault })
        .collect();
    provider
}

fn settle(index: usize, place: &Place) -> Settled {
    let name = name(index);
    Settled {
        adapter: place.speaks.adapter(),
        base_url: BaseUrl::parse(&format!("http://{name}.test")).expect("valid"),
        name: name.as_str().into(),
        tls: None,
        weight: 1,
        timeouts: ProviderTimeouts { connect: Duration::from_secs(1), response: Duration::from_secs(3) },
        quiesce: QUIESCE,
        on_unknown: OnUnknown::Resolve,
        resolve_for: Settled::RESOLVE_FOR,
        prepared_for: PREPARED_FOR,
        currencies: vec![],
        methods: vec![],
        maintenance: vec![],
        capacity: Capacity::default(),
        webhook: Some(postman::webhook()),
    }
}
