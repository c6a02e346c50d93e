//! What the model asks for, done: on the terminal, in files, by the sessions.

use super::{Console, Dirt, Flow};
use crate::console::app::history::MARK;
use crate::console::app::{self, Effect, Mouse, Msg};
use crossterm::event::EventStream;

impl Console {
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) -> Flow {
        for effect in effects {
            let done = match effect {
                Effect::Quit => return Flow::End,
                Effect::Suspend => self.suspend(),
                Effect::Redraw => self.screen.forget(),
                Effect::Bell if self.model.quiet => Ok(()),
                Effect::Bell => self.screen.bell(),
                Effect::Mouse(mouse) => self.screen.mouse(mouse == Mouse::Taken),
                Effect::Throw(fault) => {
                    let full = self.throw.as_ref().is_none_or(|throw| throw.try_send(fault).is_err());
                    if full {
                        app::update(&mut self.model, Msg::Notice("the fault was not thrown: too many wait".into()));
                    }
                    Ok(())
                }
                Effect::Past(look) => {
                    self.look_back(look);
                    Ok(())
                }
                Effect::Mark(words) => {
                    self.recorder.note(self.model.now, self.model.here.id, MARK, words);
                    Ok(())
                }
                Effect::Export(format) => self.export(format),
                Effect::Bundle => self.bundle(),
                Effect::Copy(text) => self.screen.copy(text.expose()),
                Effect::Save(files) => {
                    self.save(&files);
                    Ok(())
                }
                Effect::RetryNow | Effect::Ask(..) | Effect::Do(..) => {
                    if let Effect::Do(_, target, change) = &effect {
                        // Changes print without what is secret in them.
                        let words = format!("asked {} for {change:?}", target.region);
                        self.recorder.note(self.model.now, target.context, "did", words);
                    }
                    self.sessions.perform(effect);
                    Ok(())
                }
            };
            if done.is_err() {
                return Flow::End;
            }
        }
        Flow::On
    }

    fn suspend(&mut self) -> std::io::Result<()> {
        // Its thread would eat what is typed to the shell.
        self.input = None;
        let resumed = self.screen.suspend();
        self.input = Some(EventStream::new());
        self.soil(Dirt::Hurried);
        resumed
    }
}
