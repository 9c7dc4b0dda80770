//! The runs of an idempotence test.

use std::{fmt::Debug, panic::Location};

use super::{Given, difference::difference, steps};
use crate::{
    testing::plan::{Cut, Death, Plan},
    testing::{TestApp, TestBuilder},
};
use loafer_memory::Memory;

/// The most steps at which a process dies: each of them costs a run of its own.
const MOST: usize = 1000;

pub(super) struct Check<S, W, F> {
    pub(super) state: S,
    pub(super) service: W,
    pub(super) found: F,
    pub(super) messages: Vec<Given>,
    pub(super) caller: &'static Location<'static>,
}

/// What is done with the messages, by their indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Plain,
    Repeated(usize),
    AtOnce(usize),
    Late(usize),
    AllAgain,
    Cut(Cut),
}

/// The result of a case.
struct Run<V> {
    found: V,
    /// How the first process died, if it did.
    death: Option<Death>,
    /// What happened in each process.
    stories: Vec<String>,
}

impl<S, T, W, F, V> Check<S, W, F>
where
    S: AsyncFn() -> T,
    W: AsyncFn(&T) -> TestBuilder,
    F: AsyncFn(&T) -> V,
    V: PartialEq + Debug,
{
    /// Returns the state after every message was delivered once.
    pub(super) async fn plain(&self) -> V {
        self.run(Case::Plain).await.found
    }

    /// Asserts that the state after this case is the expected one. Returns whether a process died.
    pub(super) async fn compare(&self, expected: &V, case: Case) -> bool {
        let run = self.run(case).await;
        if run.found != *expected {
            panic!(
                "{}: not idempotent: {}\n{}\n{}\n",
                self.caller,
                self.described(case, run.death.as_ref()),
                difference(expected, &run.found),
                run.stories.join("\nthen, in a new process, "),
            );
        }
        run.death.is_some()
    }

    /// Lets the process die at every step, until there is no further step.
    pub(super) async fn cuts(&self, expected: &V) {
        for kind in [Cut::Settlement as fn(usize) -> Cut, Cut::Wait] {
            let mut step = 1;
            while self.compare(expected, Case::Cut(kind(step))).await {
                assert!(
                    step < MOST,
                    "{}: more than {MOST} steps to cut at: give fewer messages",
                    self.caller
                );
                step += 1;
            }
        }
    }

    async fn run(&self, case: Case) -> Run<V> {
        let state = (self.state)().await;
        let mut process = Process::start(self, &state, Memory::new(), case).await;
        for (number, given) in self.messages.iter().enumerate() {
            let times = match case {
                Case::AtOnce(twice) if twice == number && !process.is_fifo(given) => 2,
                _ => 1,
            };
            process.give(given, times).await;
            if case == Case::Plain {
                self.was_handled(given, &process.app);
            }
            if case == Case::Repeated(number) {
                process.give(given, 1).await;
            }
        }
        for (number, given) in self.messages.iter().enumerate() {
            let again = case == Case::AllAgain || case == Case::Late(number);
            if again && !process.is_fifo(given) {
                process.give(given, 1).await;
            }
        }
        let Process {
            app,
            death,
            mut stories,
            ..
        } = process;
        stories.push(app.stories());
        app.shutdown().await;
        Run {
            found: (self.found)(&state).await,
            death,
            stories,
        }
    }

    /// Asserts that a message was handled: one that is given up when all goes well shows nothing.
    fn was_handled(&self, given: &Given, app: &TestApp) {
        let (route, id) = (&given.route, given.message.id());
        if !app.ledger().has_left(&app.queue(route), id) {
            panic!(
                "{}: message {id} on route `{route}` is to be acked or rejected when all goes well\n{}\n",
                self.caller,
                app.stories()
            );
        }
    }

    /// Says what was done.
    fn described(&self, case: Case, death: Option<&Death>) -> String {
        let message = |number: usize| {
            let given = &self.messages[number];
            let (of, route, id) = (self.messages.len(), &given.route, given.message.id());
            format!(
                "message {} of {of}, {id}, on route `{route}`, was delivered",
                number + 1
            )
        };
        let process = |when: String| match death {
            Some(Death { route, id }) => {
                format!(
                    "the process died {when} message {id} on route `{route}`, and a new one received again what was not settled"
                )
            }
            None => "no process died".to_owned(),
        };
        match case {
            Case::Plain => "every message was delivered once".to_owned(),
            Case::Repeated(number) => format!("{} twice in a row", message(number)),
            Case::AtOnce(number) => format!("{} twice at once", message(number)),
            Case::Late(number) => format!("{} again after all the others", message(number)),
            Case::AllAgain => "all messages were delivered, then all of them again".to_owned(),
            Case::Cut(Cut::Settlement(_)) => process(
                "after the handler was done and before the broker knew of it, with".to_owned(),
            ),
            Case::Cut(Cut::Wait(step)) => process(format!(
                "at an await of a handler (step {step} of the run), with"
            )),
        }
    }
}

/// The process at work, on a state and a broker that outlive it.
struct Process<'a, S, T, W, F> {
    check: &'a Check<S, W, F>,
    state: &'a T,
    memory: Memory,
    app: TestApp,
    death: Option<Death>,
    stories: Vec<String>,
}

impl<'a, S, T, W, F> Process<'a, S, T, W, F>
where
    W: AsyncFn(&T) -> TestBuilder,
{
    async fn start(check: &'a Check<S, W, F>, state: &'a T, memory: Memory, case: Case) -> Self {
        let plan = Plan::default();
        if let Case::Cut(cut) = case {
            plan.cut(cut);
        }
        Self {
            app: started(check, state, &memory, plan).await,
            check,
            state,
            memory,
            death: None,
            stories: Vec::new(),
        }
    }

    fn is_fifo(&self, given: &Given) -> bool {
        self.app.queue(&given.route).ends_with(".fifo")
    }

    /// Puts a message on its queue, and waits until it has left the queue, whichever process handles it.
    async fn give(&mut self, given: &Given, times: usize) {
        let queue = &self.app.queue(&given.route);
        let copies = std::iter::repeat_n(given.message.clone(), times);
        self.memory.send(queue, copies);
        tokio::select! {
            biased;
            () = self.app.plan().died() => {}
            () = self.app.settled() => return,
        }
        self.death = self.app.plan().death();
        self.stories.push(self.app.stories());
        self.app.running().cancel();
        self.app.running().ended().await;
        // Nobody renews the leases of a dead process.
        self.memory.expire_all();
        self.app = started(self.check, self.state, &self.memory, Plan::default()).await;
        self.app.settled().await;
    }
}

async fn started<S, T, W, F>(
    check: &Check<S, W, F>,
    state: &T,
    memory: &Memory,
    plan: Plan,
) -> TestApp
where
    W: AsyncFn(&T) -> TestBuilder,
{
    let mut builder = (check.service)(state).await;
    builder.memory = memory.clone();
    builder.plan = plan.clone();
    // A process that dies uses up one receive.
    builder.max_receives += 1;
    builder.app.on_stop.clear();
    builder.app.around = Some(steps::around(&plan));
    builder.start().await
}
