//! A broker of one's own: a spool. A queue is a folder, and a message is a file in it.
//!
//! The file is called `ID.RECEIVES`, and its time of modification says when it is due. A receive
//! makes it due at the end of the lease and counts up its name, in which one process succeeds. So a
//! message outlasts its process, if no power cut. Calls block, which suits a disk of this machine.

use std::{collections::BTreeSet, fs, io, io::ErrorKind::NotFound, path::*, sync::Arc, time::*};

use loafer_conformance::{BrokerProfile, BrokerUnderTest, Feature, QueueSpec, TestQueue, run};
use loafer_core::{Error, broker::*, message::*, outcome::BoxError, policy::Policy};

type Answer<T = ()> = Result<T, Error>;
type Leased = Delivery<PathBuf>;
/// What a file begins with, in JSON: the group and the headers. The payload follows.
type Head = (Option<String>, Vec<(String, String)>);

/// The broker: a folder of queues.
#[derive(Clone, Default)]
struct Spool(PathBuf);

/// A queue: its folder, and the lease of its messages. Its dead letters are in the folder `dead`.
struct Queue(PathBuf, Duration);

impl Broker for Spool {
    type Provider = Queue;
    type Publisher = Self;
    type Options = NoOptions;
    const KIND: &'static str = "spool";
    fn provider(&self, source: &Source, _: &NoOptions) -> Answer<Queue> {
        let lease = source.policy.lease.unwrap_or(Duration::from_secs(30));
        Ok(Queue(self.0.join(&source.queue), lease))
    }
    fn publisher(&self) -> Self {
        self.clone()
    }
    fn dead_letters(&self, source: &Source, options: &NoOptions) -> Answer<impl DeadLetterQueue> {
        let Queue(folder, lease) = self.provider(source, options)?;
        Ok(Queue(folder.join("dead"), lease))
    }
}

impl Publisher for Spool {
    async fn publish(&self, to: &Topic, batch: &[Outgoing], answers: &mut Vec<Answer<MessageId>>) {
        let queue = self.0.join(to.as_str().trim_start_matches("spool:"));
        let put = |one: &Outgoing| answer(&queue, put(&queue, &one.message, one.delay));
        answers.extend(batch.iter().map(put));
    }
}

impl Provider for Queue {
    type Receipt = PathBuf;
    async fn open(&self, mode: Open) -> Answer {
        if mode == Open::Create {
            return answer(&self.0, fs::create_dir_all(self.0.join("dead")));
        }
        answer(&self.0, fs::metadata(&self.0).map(drop))
    }

    async fn check(&self, _: &Policy) -> Vec<Finding> {
        Vec::new()
    }

    async fn receive(&self, max: usize, wait: Duration, into: &mut Vec<Leased>) -> Answer {
        let (start, before) = (Instant::now(), into.len());
        self.lease(max, into).await?;
        while into.len() == before && start.elapsed() < wait {
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.lease(max, into).await?;
        }
        Ok(())
    }

    async fn settle(&self, batch: &[Settle<PathBuf>], answers: &mut Vec<Settled>) {
        for one in batch {
            let file = &one.receipt;
            let settled = match &one.settlement {
                Settlement::Ack => fs::remove_file(file),
                Settlement::Retry { after: Some(after) } => make_due(file, *after),
                Settlement::Retry { after: None } => fs::metadata(file).map(drop),
                Settlement::DeadLetter(letter) => read(file).and_then(|message| {
                    let message = message.with_header(DeadLetter::HEADER, letter.to_header());
                    put(&self.0.join("dead"), &message, None)?;
                    fs::remove_file(file)
                }),
                _ => make_due(file, Duration::ZERO),
            };
            answers.push(match answer(file, settled) {
                Ok(()) => Settled::Done,
                Err(error) if error.is_transient() => Settled::Failed(Arc::new(error)),
                Err(_) => Settled::Lost,
            });
        }
    }

    async fn renew(&self, leases: &[PathBuf], by: Duration, answers: &mut Vec<Renewed>) {
        let renew = |file: &PathBuf| match answer(file, make_due(file, by)) {
            Ok(()) => Renewed::Done,
            Err(error) if error.is_transient() => Renewed::Failed(Arc::new(error)),
            Err(_) => Renewed::Lost,
        };
        answers.extend(leases.iter().map(renew));
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            receive_batch: 100,
            lease: Some(self.1),
            release_costs_attempt: true,
            own_ids: true,
            max_attempts: Some(10),
            ..Capabilities::default()
        }
    }
}

impl DeadLetterQueue for Queue {
    type Receipt = PathBuf;
    async fn open(&self) -> Answer<DeadLetterInfo> {
        answer(&self.0, fs::metadata(&self.0))?;
        Ok(DeadLetterInfo {
            queue: self.0.display().to_string(),
            source: self.0.with_file_name("").display().to_string(),
            ..DeadLetterInfo::default()
        })
    }

    async fn lease(&self, max: usize, into: &mut Vec<Leased>) -> Answer {
        let files = answer(&self.0, fs::read_dir(&self.0))?.flatten();
        let files: BTreeSet<_> = files.map(|file| file.path()).collect();
        let taken = files.iter().map(|file| take(file, self.1));
        let due = |one: &io::Result<_>| !one.as_ref().is_err_and(|error| error.kind() == NotFound);
        let mut taken = taken.filter(due).take(max);
        taken.try_for_each(|one| answer(&self.0, one.map(|one| into.push(one))))
    }

    async fn give_back(&self, leases: &[PathBuf]) -> Answer {
        let mut leases = leases.iter();
        leases.try_for_each(|one| answer(one, make_due(one, Duration::ZERO)))
    }

    async fn copy(&self, to: &Destination, dead: &[PackedDeadLetter], answers: &mut Vec<Answer>) {
        let mut queue = self.0.with_file_name("");
        if let Destination::Queue(other) = to {
            queue.set_file_name(other);
        }
        let put = |one: &PackedDeadLetter| put(&queue, &one.copy_to(to), None).map(drop);
        answers.extend(dead.iter().map(|one| answer(&queue, put(one))));
    }

    async fn delete(&self, leases: &[PathBuf], answers: &mut Vec<Answer>) {
        answers.extend(leases.iter().map(|one| answer(one, fs::remove_file(one))));
    }

    async fn purge(&self) -> Answer {
        let purged = fs::remove_dir_all(&self.0).and_then(|()| fs::create_dir(&self.0));
        answer(&self.0, purged)
    }
}

/// Tells of an error: what is not found won't be there another time, and all else may pass.
fn answer<T>(file: &Path, result: io::Result<T>) -> Answer<T> {
    result.map_err(|error| match error.kind() {
        NotFound => Error::Config(format!("there is no `{}`: {error}", file.display())),
        _ => Error::Unreachable {
            what: "use",
            queue: file.display().to_string(),
            cause: error.to_string(),
            source: Some(error.into()),
        },
    })
}

fn make_due(file: &Path, after: Duration) -> io::Result<()> {
    fs::File::open(file)?.set_modified(SystemTime::now() + after)
}

/// Writes a message. Its file gets its name once it is whole.
fn put(queue: &Path, message: &Message, delay: Option<Duration>) -> io::Result<MessageId> {
    let id = MessageId::new();
    let file = queue.join(format!("{id}.new"));
    let headers: Vec<_> = message.headers().iter().collect();
    let head = serde_json::to_vec(&(message.group(), headers))?;
    fs::write(&file, [&head, &message.payload()[..]].concat())?;
    make_due(&file, delay.unwrap_or_default())?;
    fs::rename(&file, file.with_extension("0")).map(|()| id)
}

/// Leases a message. It is not found if it is not due, or if somebody was faster.
fn take(file: &Path, lease: Duration) -> io::Result<Leased> {
    let receives = file.extension().unwrap_or_default().to_string_lossy();
    let attempt = receives.parse::<u32>().or(Err(NotFound))? + 1;
    let due = fs::metadata(file)?.modified()?;
    due.elapsed().or(Err(NotFound))?;
    make_due(file, lease)?;
    let receipt = file.with_extension(attempt.to_string());
    fs::rename(file, &receipt)?;
    let message = read(&receipt)?.with_attempt(attempt);
    Ok(Delivery { message, receipt })
}

/// Reads a message. A file without a head is somebody else's, and all payload.
fn read(file: &Path) -> io::Result<Message> {
    let content = fs::read(file)?;
    let mut heads = serde_json::Deserializer::from_slice(&content).into_iter::<Head>();
    let (group, headers) = heads.next().and_then(Result::ok).unwrap_or_default();
    let payload = content[heads.byte_offset()..].to_vec();
    let id = file.file_stem().unwrap_or_default().to_string_lossy();
    let message = Message::with_id(&*id, payload).with_headers(headers.into_iter().collect());
    Ok(group.into_iter().fold(message, Message::with_group))
}

impl BrokerUnderTest for Spool {
    type Broker = Self;
    fn declares(&self) -> BrokerProfile {
        BrokerProfile::new("spool")
            .at_once(8)
            .scaled_down(4)
            .without(Feature::Deduplication, "a folder forgets what left it")
            .without(Feature::Depth, "it counts no files")
            .without(Feature::Isolation, "a folder gives its files to all")
            .without(Feature::Limits, "a file takes what the disk takes")
            .without(Feature::Order, "a file waits for no other")
            .without(Feature::Outages, "a disk is not away for a while")
            .without(Feature::Redrive, "`max_attempts` of the route does it")
            .without(Feature::Replies, "a process has no folder of its own")
            .without(Feature::Tries, "a file counts its deliveries alone")
            .without(Feature::Topics, "a topic is the one queue of its name")
            .without(Feature::TypedHeaders, "its headers are text")
    }
    fn broker(&self) -> Self {
        self.clone()
    }

    async fn queue(&self, wanted: &QueueSpec) -> Result<TestQueue, BoxError> {
        fs::create_dir_all(self.0.join(&wanted.name).join("dead"))?;
        Ok(TestQueue {
            queue: wanted.name.clone(),
            topic: self.queue_topic(&wanted.name),
            dead_letters: Some(format!("{}/dead", wanted.name)),
        })
    }
}

#[tokio::main]
async fn main() {
    let folder = std::env::temp_dir().join(format!("spool-{}", std::process::id()));
    run(Spool(folder.clone())).await.assert_passed();
    _ = fs::remove_dir_all(folder);
}
