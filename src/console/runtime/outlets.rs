//! What leaves the console: screens, data and incident files, without anything secret in them.

use super::{Console, Shows};
use crate::console::app::history::CONSOLE;
use crate::console::app::msg::ExportFormat;
use crate::console::app::{self, Answer, Msg, SavedFile};
use crate::console::ui::{self, Paint, Secrets};
use crate::console::{files, report};

impl Console {
    /// The screen without what is secret on it.
    fn picture(&self) -> std::io::Result<ratatui::buffer::Buffer> {
        let (width, height) = self.screen.size()?;
        let (look, model) = (&self.prepared.look, self.in_view());
        let theme = look.themes.get(&model.theme);
        let paint = Paint { theme, glyphs: look.glyphs, secrets: Secrets::PaintedOver, hits: None };
        Ok(ui::snapshot(model, paint, width, height))
    }

    /// What this console noticed and did, for afterwards: nothing of it is secret.
    pub(super) fn write_log(&self) {
        let mut text = String::new();
        for context in self.model.contexts() {
            for entry in context.log.entries().filter(|entry| entry.region == CONSOLE) {
                text += &format!("{} {} {}: {}\n", entry.at, context.title(), entry.subject, entry.text);
            }
        }
        if !text.is_empty() {
            // Who has no home has no log either.
            let _ = files::save(&format!("console-{}.log", self.model.now.0), &text);
        }
    }

    pub(super) fn export(&mut self, format: ExportFormat) -> std::io::Result<()> {
        let picture = self.picture()?;
        let model = self.in_view();
        let text = match format {
            ExportFormat::Text => ui::export::text(&picture),
            ExportFormat::Ansi => ui::export::ansi(&picture),
            ExportFormat::Svg => ui::export::svg(&picture, self.prepared.look.themes.get(&model.theme)),
            ExportFormat::Json => report::line(model),
            ExportFormat::Csv => ui::tables::csv(model).unwrap_or_else(|| ui::export::csv(&model.here.samples)),
        };
        let end = if format == ExportFormat::Text { "txt" } else { format.name() };
        self.save(&[SavedFile::new(format!("screen-{}.{end}", self.model.now.0), text)]);
        Ok(())
    }

    pub(super) fn bundle(&mut self) -> std::io::Result<()> {
        let screen = ui::export::text(&self.picture()?);
        let bundle = match (self.shows, &self.past) {
            // What was recorded elsewhere is handed on whole.
            (Shows::Recording, Some((projector, _))) => projector.film().bundle(self.model.now, screen),
            _ => self.recorder.bundle(self.model.now, screen),
        };
        self.save(&[SavedFile::new(format!("incident-{}.jsonl", self.model.now.0), bundle)]);
        Ok(())
    }

    /// All of them, or why one could not be written.
    pub(super) fn save(&mut self, files: &[SavedFile]) {
        let saved = files.iter().map(|file| files::save(&file.name, file.text.expose()));
        let saved = Answer::Saved(saved.collect());
        let model = self.past.as_mut().map_or(&mut self.model, |(_, then)| then);
        let here = model.here.id;
        app::update(model, Msg::Answer(here, Box::new(saved)));
    }
}
