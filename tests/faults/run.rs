//! One run: everything up, the plan carried out, the queue drained, the ledger judged.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    consumer::Consumer,
    judge::judge,
    ledger::Ledger,
    plan::{Blow, Plan, Timeline},
    proxy::Proxy,
    publisher::{Published, publish},
    report::Report,
    server::Server,
    settings::Settings,
    support::aws::{Aws, Queue, unique},
};

/// The consumers, by the names of their proxies.
const CONSUMERS: [&str; 2] = ["a", "b"];
/// Of the queue: every message that works longer is renewed, every stop that lasts longer loses leases.
const LEASE: Duration = Duration::from_secs(2);
/// Deliveries that kills and lost leases can't use up.
const MAX_RECEIVES: u32 = 1_000;
/// How often a run says how far it is.
const PROGRESS: Duration = Duration::from_secs(10);

/// Carries out a run, and fails where the ledger shows what must not be.
pub(crate) async fn run(command: String, settings: Settings) {
    let begin = Instant::now();
    println!(
        "{settings:?}: to repeat it, LOAFER_FAULT_SEED={}",
        settings.seed
    );
    let plan = Plan::new(&settings, CONSUMERS.len());
    let folder = Folder::create();
    let ledger = Ledger::create(folder.path().join("ledger"));

    let server = Server::start(command, folder.path().join("fauxqs"), ledger.clone()).await;
    let port = server.port();
    let aws = Aws::at(format!("http://127.0.0.1:{port}"));
    let queue = aws.queue(&unique("faults"), LEASE, MAX_RECEIVES).await;
    let mut proxies = Vec::new();
    for name in CONSUMERS.into_iter().chain(["publisher"]) {
        proxies.push(Arc::new(Proxy::start(name, port, &ledger).await));
    }
    let start = |(name, proxy): (&&str, &Arc<Proxy>)| {
        let aws = Aws::at(proxy.url());
        Consumer::start(name, &aws, &queue.name, folder.path(), &ledger)
    };
    let consumers: Vec<_> = CONSUMERS.iter().zip(&proxies).map(start).collect();
    let cast = Cast {
        consumers: consumers.into_iter().map(Arc::new).collect(),
        server: Arc::new(Mutex::new(server)),
        proxies,
    };
    let mut watch = cast.watch(&ledger, begin);
    let published = cast.play(plan, &queue, &settings).await;
    queue.emptied().await;
    let letters = letters(&queue).await;
    watch.shutdown().await;
    cast.end().await;

    let verdict = judge(&ledger.read(), &published, &letters);
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

/// All that can go wrong.
struct Cast {
    consumers: Vec<Arc<Consumer>>,
    server: Arc<Mutex<Server>>,
    proxies: Vec<Arc<Proxy>>,
}

impl Cast {
    /// Publishes, while the plan is carried out; returns after both.
    async fn play(&self, plan: Plan, queue: &Queue, settings: &Settings) -> Published {
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
        let server = self.server.clone();
        plays.spawn(each(begin, plan.server, async move |time| {
            server.lock().await.kill_for(time).await;
        }));
        let publisher = self.proxies.last().unwrap();
        let queue = queue.by(&Aws::once_at(publisher.url()));
        let published = publish(&queue, settings).await;
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

/// The numbers of the dead letters.
async fn letters(queue: &Queue) -> HashSet<u64> {
    let count = queue.letters.depth().await;
    let bodies = queue.letters.bodies(count).await;
    let id = |body: &String| {
        serde_json::from_str::<serde_json::Value>(body).unwrap()["id"]
            .as_u64()
            .unwrap()
    };
    bodies.iter().map(id).collect()
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
