//! The credential of a link, and how it is renewed without a moment in which the two sides don't understand each other.
//!
//! Both sides seal under their `current` secret and accept what is sealed under any that they hold. The primary renews it
//! once a day, with the news that it tells its standby anyway (`news`):
//!
//! 1. it agrees on a `next` secret in its own region, and offers that until it is held;
//! 2. the standby agrees on it as its `next`, and its answer says that it holds it;
//! 3. the primary makes it its `current`;
//! 4. the standby sees it used, and does the same. A while later both forget the `previous` one, which what was on its way
//!    had been sealed under.
//!
//! So whatever either side seals under, the other holds, after each step, whichever is lost or repeated, whoever crashes,
//! and whichever side is promoted in between; a new primary goes on with what it finds. The tests try that.

use super::crypto::Secret;
use crate::clock::UnixMs;
use serde::{Deserialize, Serialize};

/// How old a secret becomes.
const RENEWED_AFTER_MS: u64 = 24 * 60 * 60 * 1_000;
/// Longer than any request may be on its way.
const FORGOTTEN_AFTER_MS: u64 = 60_000;

/// What one side of a link holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    current: Secret,
    next: Option<Secret>,
    previous: Option<Secret>,
    /// When `current` became so.
    since: UnixMs,
    /// Stays when the rest is renewed: of the secret that the link was made with.
    introduces: Secret,
}

/// Which secrets a side holds, without telling them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    current: Secret,
    next: Option<Secret>,
}

impl Credential {
    pub fn new(secret: Secret, now: UnixMs) -> Credential {
        let introduces = introduction(&secret);
        Credential { current: secret, next: None, previous: None, since: now, introduces }
    }

    /// What this side seals under.
    pub fn current(&self) -> &Secret {
        &self.current
    }

    /// What the other side may have sealed under.
    pub fn accepted(&self) -> impl Iterator<Item = &Secret> {
        [Some(&self.current), self.next.as_ref(), self.previous.as_ref()].into_iter().flatten()
    }

    /// What the secret of an introduction is derived from.
    pub(super) fn introduces(&self) -> &Secret {
        &self.introduces
    }

    /// Whether the link was made with this secret, however often it was renewed since.
    pub(super) fn began_with(&self, secret: &Secret) -> bool {
        self.introduces == introduction(secret)
    }

    pub(super) fn held(&self) -> Held {
        Held { current: named(&self.current), next: self.next.as_ref().map(named) }
    }

    /// What the primary offers.
    pub(super) fn offer(&self) -> Option<&Secret> {
        self.next.as_ref()
    }

    /// Step 1: with something to offer, if it is time.
    pub(super) fn renewing(&self, now: UnixMs, fresh: impl FnOnce() -> Secret) -> Credential {
        let is_due = now.0.saturating_sub(self.since.0) >= RENEWED_AFTER_MS && self.next.is_none();
        let next = if is_due { Some(fresh()) } else { self.next.clone() };
        Credential { next, ..self.clone() }
    }

    /// Steps 2 and 4: news of the primary came, sealed under `used`.
    pub(super) fn told(&self, used: &Secret, offer: Option<&Secret>, now: UnixMs) -> Credential {
        let mut told = self.clone();
        if told.next.as_ref() == Some(used) {
            told = told.moved(now);
        }
        match offer.filter(|offer| **offer != told.current) {
            Some(offer) => told.next = Some(offer.clone()),
            None if told.current == *used => told = told.forgetting(now),
            None => {}
        }
        told
    }

    /// Steps 3 and 4: the standby answered that it holds these.
    pub(super) fn answered(&self, held: &Held, now: UnixMs) -> Credential {
        let next = self.next.as_ref().map(named);
        if next.is_some() && (next.as_ref() == Some(&held.current) || next == held.next) {
            return self.moved(now);
        }
        if held.current == named(&self.current) { self.clone().forgetting(now) } else { self.clone() }
    }

    fn moved(&self, now: UnixMs) -> Credential {
        match &self.next {
            Some(next) => Credential {
                current: next.clone(),
                next: None,
                previous: Some(self.current.clone()),
                since: now,
                introduces: self.introduces.clone(),
            },
            None => self.clone(),
        }
    }

    fn forgetting(self, now: UnixMs) -> Credential {
        let previous = self.previous.filter(|_| now.0.saturating_sub(self.since.0) < FORGOTTEN_AFTER_MS);
        Credential { previous, ..self }
    }
}

fn introduction(secret: &Secret) -> Secret {
    secret.derive("twinkeep 2026 link introductions", &[])
}

fn named(secret: &Secret) -> Secret {
    secret.derive("twinkeep 2026 link credential name", &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Two regions, the credential as each agreed on it, and news that is still on its way or was answered.
    struct World {
        sides: [Credential; 2],
        primary: usize,
        now: UnixMs,
        made: u8,
        /// Under what the primary told it, and what it offered.
        news: Option<(Secret, Option<Secret>)>,
        answer: Option<Held>,
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// The primary agrees, and tells.
        Tell,
        /// The other side takes the news, and answers; news may arrive again.
        Hear,
        Answered,
        /// What is on its way is lost, as when either leader is.
        Lose,
        Promote,
        Pass(u64),
    }

    impl World {
        fn new() -> World {
            let credential = Credential::new(Secret::new([0; 32]), UnixMs(0));
            let sides = [credential.clone(), credential];
            World { sides, primary: 0, now: UnixMs(0), made: 0, news: None, answer: None }
        }

        fn step(&mut self, step: &Step) {
            let (primary, now) = (self.primary, self.now);
            match step {
                Step::Tell => {
                    let made = &mut self.made;
                    let fresh = || {
                        *made += 1;
                        Secret::new([*made; 32])
                    };
                    self.sides[primary] = self.sides[primary].renewing(now, fresh);
                    let side = &self.sides[primary];
                    self.news = Some((side.current().clone(), side.offer().cloned()));
                }
                Step::Hear => {
                    let Some((used, offer)) = &self.news else { return };
                    let standby = &mut self.sides[1 - primary];
                    assert!(standby.accepted().any(|secret| secret == used), "the news are not understood");
                    *standby = standby.told(used, offer.as_ref(), now);
                    self.answer = Some(standby.held());
                }
                Step::Answered => {
                    if let Some(held) = self.answer.take() {
                        self.sides[primary] = self.sides[primary].answered(&held, now);
                        // One telling at a time.
                        self.news = None;
                    }
                }
                Step::Lose => (self.news, self.answer) = (None, None),
                Step::Promote => {
                    self.primary = 1 - primary;
                    (self.news, self.answer) = (None, None);
                }
                Step::Pass(ms) => self.now.0 += ms,
            }
            for (one, other) in [(0, 1), (1, 0)] {
                let current = self.sides[one].current();
                let understood = self.sides[other].accepted().any(|secret| secret == current);
                assert!(understood, "what {one} seals is not understood after {step:?}");
            }
        }
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Tell),
            4 => Just(Step::Hear),
            4 => Just(Step::Answered),
            1 => Just(Step::Lose),
            1 => Just(Step::Promote),
            2 => (0..2 * RENEWED_AFTER_MS).prop_map(Step::Pass),
            1 => (0..2 * FORGOTTEN_AFTER_MS).prop_map(Step::Pass),
        ];
        proptest::collection::vec(step, 0..120)
    }

    proptest! {
        #[test]
        fn the_sides_understand_each_other_at_every_step(steps in steps()) {
            let mut world = World::new();
            steps.iter().for_each(|step| world.step(step));
            // And when nothing more goes wrong, both end with one new secret. What one of them had to offer when the other
            // was promoted is replaced by the second renewal.
            let before = world.sides[world.primary].current().clone();
            for _ in 0..2 {
                world.now.0 += RENEWED_AFTER_MS;
                for _ in 0..4 {
                    [Step::Tell, Step::Hear, Step::Answered].iter().for_each(|step| world.step(step));
                    world.now.0 += FORGOTTEN_AFTER_MS;
                }
            }
            prop_assert_eq!(world.sides[0].held(), world.sides[1].held());
            prop_assert!(world.sides.iter().all(|side| side.accepted().count() == 1 && *side.current() != before));
        }
    }

    #[test]
    fn a_renewed_credential_still_knows_how_the_link_began() {
        let first = Secret::new([7; 32]);
        let credential = Credential::new(first.clone(), UnixMs(0));
        let renewed = credential.renewing(UnixMs(RENEWED_AFTER_MS), || Secret::new([8; 32])).moved(UnixMs(1));
        assert_ne!(renewed.current(), credential.current());
        assert!(renewed.began_with(&first) && !renewed.began_with(renewed.current()));
        assert_eq!(renewed.introduces(), credential.introduces());
    }
}
