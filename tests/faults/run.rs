//! One run: everything up, the plan carried out, the queue drained, the ledger judged.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    broker::Broker,
    consumer::Consumer,
    judge::judge,
    ledger::Ledger,
    plan::{Blow, Plan, Timeline},
    proxy::Proxy,
    publisher::{Published, publish},
    report::Report,
    settings::Settings,
    support::aws::unique,
};

/// The consumers, by the names of their proxies.
const CONSUMERS: [&str; 2] = ["a", "b"];
/// How long nothing may be in the queues before they are empty: what goes from one to another is nowhere for a moment.
const QUIET: Duration = Duration::from_secs(1);
/// How long the queues may hold the fewest messages so far while no other message is handled: longer than a retry takes, and a message that is
/// handled alone.
const STUCK: Duration = Duration::from_secs(120);
/// How often a run says how far it is.
const PROGRESS: Duration = Duration::from_secs(10);

/// Carries out a run on the broker that is started by `start`, with its files in the folder, and fails where the
/// ledger shows what must not be.
pub(crate) async fn run<B: Broker>(
    settings: Settings,
    start: impl AsyncFnOnce(&Path, &Ledger) -> B,
) {
    let begin = Instant::now();
    println!(
        "{settings:?}: to repeat it, LOAFER_FAULT_SEED={}",
        settings.seed
    );
    let plan = Plan::new(&settings, CONSUMERS.len());
    let folder = Folder::create();
    let ledger = Ledger::create(folder.path().join("ledger"));

    let broker = Arc::new(start(folder.path(), &ledger).await);
    let mut proxies = Vec::new();
    for name in CONSUMERS.into_iter().chain(["publisher"]) {
        let proxy = Proxy::start(name, broker.port(), broker.wire(name), &ledger);
        proxies.push(Arc::new(proxy.await));
    }
    let start = |(name, proxy): (&&str, &Arc<Proxy>)| {
        let tell = |consumer: &mut _| broker.tell(proxy.port(), consumer);
        Consumer::start(name, tell, folder.path(), &ledger)
    };
    let consumers: Vec<_> = CONSUMERS.iter().zip(&proxies).map(start).collect();
    let cast = Cast {
        consumers: consumers.into_iter().map(Arc::new).collect(),
        broker,
        proxies,
    };
    cast.broker.prepared().await;
    let mut watch = cast.watch(&ledger, begin);
    let published = cast.play(plan, &settings).await;
    let emptied = emptied(&*cast.broker, &ledger).await;
    let dead_letters = cast.broker.dead_letters().await;
    watch.shutdown().await;
    // Whoever is still at work is killed: it would not end well.
    if emptied.is_ok() {
        cast.end().await;
    }

    let mut verdict = judge(B::RULES, &ledger.read(), &published, &dead_letters);
    if let Err(left) = emptied {
        let fault = format!("the queue is not emptied: {left} messages come again and again");
        verdict.faults.insert(0, fault);
    }
    let report = Report {
        settings: &settings,
        published: &published,
        verdict: &verdict,
        elapsed: begin.elapsed(),
    };
    println!("{report}");
    let some: Vec<_> = verdict.faults.iter().take(10).cloned().collect();
    assert!(
        some.is_empty(),
        "{} faults with the seed {}; ledger and logs are in {}\n{}",
        verdict.faults.len(),
        settings.seed,
        folder.path().display(),
        some.join("\n")
    );
}

/// Waits until the queues are empty; how many messages are left where they become no fewer.
async fn emptied(broker: &impl Broker, ledger: &Ledger) -> Result<(), u64> {
    let (mut least, mut since, mut handled) = (u64::MAX, Instant::now(), 0);
    let mut last = since;
    while last.elapsed() < QUIET {
        sleep(Duration::from_millis(250)).await;
        let depth = broker.depth().await;
        if depth > 0 {
            last = Instant::now();
        }
        if depth < least {
            (least, since) = (depth, Instant::now());
        }
        if since.elapsed() > STUCK {
            // Many that run one after the other take longer, while retries come back.
            let so_far = messages_handled(&ledger.read());
            if so_far == handled {
                return Err(depth);
            }
            (handled, since) = (so_far, Instant::now());
        }
    }
    Ok(())
}

/// How many messages were handled, each counted once.
fn messages_handled(ledger: &str) -> usize {
    let said = ledger.lines().filter(|line| line.ends_with(" true"));
    let ids = said.filter_map(|line| line.split(' ').nth(2));
    ids.collect::<HashSet<_>>().len()
}

/// All that can go wrong.
struct Cast<B> {
    consumers: Vec<Arc<Consumer>>,
    broker: Arc<B>,
    proxies: Vec<Arc<Proxy>>,
}

impl<B: Broker> Cast<B> {
    /// Publishes, while the plan is carried out; returns after both.
    async fn play(&self, plan: Plan, settings: &Settings) -> Published {
        let begin = Instant::now();
        let mut plays = JoinSet::new();
        for (consumer, blows) in self.consumers.iter().cloned().zip(plan.consumers) {
            plays.spawn(each(begin, blows, async move |blow| match blow {
                Blow::Kill(time) => consumer.kill_for(time).await,
                Blow::Stop(time) => consumer.stop_for(time).await,
            }));
        }
        for (proxy, troubles) in self.proxies.iter().cloned().zip(plan.proxies) {
            plays.spawn(each(begin, troubles, async move |(mode, time)| {
                proxy.be(mode, time).await;
            }));
        }
        let broker = self.broker.clone();
        plays.spawn(async move {
            for (at, time) in plan.server {
                sleep_until(begin + at).await;
                broker.kill_for(time).await;
            }
        });
        let publisher = self.proxies.last().unwrap();
        let sender = self.broker.sender(publisher.port());
        let published = publish::<B>(&sender, settings).await;
        while let Some(played) = plays.join_next().await {
            played.unwrap();
        }
        published
    }

    /// Keeps consumers up, notes when this process itself does not run, and says how far all is. Until it is dropped.
    fn watch(&self, ledger: &Ledger, begin: Instant) -> JoinSet<()> {
        let mut watch = JoinSet::new();
        for consumer in &self.consumers {
            let consumer = consumer.clone();
            watch.spawn(async move { consumer.keep_up().await });
        }
        let (ours, theirs) = (ledger.clone(), ledger.clone());
        watch.spawn(async move {
            let beat = Duration::from_millis(20);
            loop {
                let begin = Instant::now();
                sleep(beat).await;
                let late = begin.elapsed().saturating_sub(beat).as_millis();
                if late >= 150 {
                    ours.write(&format!("sluggish test {late}"));
                }
            }
        });
        watch.spawn(async move {
            loop {
                sleep(PROGRESS).await;
                let theirs = theirs.clone();
                // It grows to many megabytes: proxies must not wait for it.
                let read = tokio::task::spawn_blocking(move || {
                    let ledger = theirs.read();
                    [" true\n", " killed ", " server down\n"]
                        .map(|what| ledger.matches(what).count())
                });
                let [handled, kills, server_kills] = read.await.unwrap();
                println!(
                    "{:4} s: {handled} handled, {kills} kills, {server_kills} server kills",
                    begin.elapsed().as_secs(),
                );
            }
        });
        watch
    }

    /// Stops the consumers as an orchestrator does.
    async fn end(self) {
        for consumer in self.consumers {
            let consumer = Arc::into_inner(consumer).unwrap();
            consumer.terminate().await;
        }
    }
}

/// Does each thing at its time, or after the one before.
async fn each<T>(begin: Instant, things: Timeline<T>, act: impl AsyncFn(T)) {
    for (at, thing) in things {
        sleep_until(begin + at).await;
        act(thing).await;
    }
}

/// The files of a run; they stay where it failed.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique("faults"));
        std::fs::create_dir_all(&path).unwrap();
        println!("its files are in {}", path.display());
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
