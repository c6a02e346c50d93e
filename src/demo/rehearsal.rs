//! The demo's faults on the console's keys, and the drill's score in its dialog.

use super::fault::Fault;
use super::{Demo, Scenario};
use crate::api::replication::EventLevel;
use crate::console::{FaultKey, Rehearsal, RehearsalNews};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

/// Faults that wait to be thrown, and news that wait to be shown.
const QUEUE_MAX: usize = 64;

/// Key, fault, what it is.
const KEYS: [(char, &str, &str); 12] = [
    ('c', "cut", "Cut the link"),
    ('h', "heal", "Heal the link"),
    ('l', "latency 300", "300 ms on the link"),
    ('n', "latency 80", "80 ms on the link, as usual"),
    ('k', "kill-leader primary", "Kill the primary's leader"),
    ('d', "kill-region primary", "Kill the primary region"),
    ('r', "restart all", "Start again whatever was killed"),
    ('s', "skew primary 5000", "The primary's clock is 5 s fast"),
    ('t', "skew all 0", "All clocks are right"),
    ('2', "load 200", "200 writes a second"),
    ('1', "load 20", "20 writes a second, as usual"),
    ('0', "load 0", "No writes"),
];

/// What the console gets, and the tasks behind it, which end when they are dropped.
pub async fn start(demo: &Arc<Mutex<Demo>>, scenario: Option<Scenario>) -> (Rehearsal, JoinSet<()>) {
    let (throw, mut thrown) = mpsc::channel::<String>(QUEUE_MAX);
    let (tell, news) = mpsc::channel(QUEUE_MAX);
    let mut tasks = JoinSet::new();
    let (mut score, elsewhere) = {
        let demo = demo.lock().await;
        (demo.drill.score(), demo.elsewhere())
    };
    // Nobody could guess the ports: said once, kept among the events and in the dialog of the faults.
    let _ = tell.try_send(RehearsalNews::Said(EventLevel::Info, format!("from another terminal: {elsewhere}")));
    let told = tell.clone();
    tasks.spawn(async move {
        loop {
            let lines = score.borrow_and_update().lines();
            // A console that is gone needs no score.
            if told.send(RehearsalNews::Score(lines)).await.is_err() || score.changed().await.is_err() {
                return;
            }
        }
    });
    let (stage, told) = (Arc::clone(demo), tell.clone());
    tasks.spawn(async move {
        while let Some(command) = thrown.recv().await {
            let fault = command.parse::<Fault>();
            let done = match fault {
                Ok(fault) => stage.lock().await.throw(&fault).await,
                Err(error) => Err(error),
            };
            let news = match done {
                Ok(words) => RehearsalNews::Said(EventLevel::Warn, words),
                Err(error) => RehearsalNews::Said(EventLevel::Warn, format!("{command}: {error}")),
            };
            if told.send(news).await.is_err() {
                return;
            }
        }
    });
    if let Some(scenario) = scenario {
        let stage = Arc::clone(demo);
        tasks.spawn(async move {
            let say = |level, words: String| RehearsalNews::Said(level, words);
            let step = |text: &str| {
                // A full queue of news loses a step's announcement, not the step.
                let _ = tell.try_send(say(EventLevel::Info, format!("scenario: {text}")));
            };
            let end = match scenario.play(&stage, step).await {
                Ok(()) => say(EventLevel::Info, format!("scenario {}: green", scenario.name)),
                Err(error) => say(EventLevel::Alarm, error.to_string()),
            };
            let _ = tell.send(end).await;
        });
    }
    let faults = KEYS.map(|(key, command, title)| FaultKey { key, command: command.into(), title: title.into() });
    (Rehearsal { faults: faults.to_vec(), elsewhere, throw, news }, tasks)
}
