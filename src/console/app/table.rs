//! The table of actions itself.

use super::actions::{Action, ActionInfo, Danger, FooterHint, Group, Look, Place, Takes};
use super::list::Move;
use super::model::{Model, Screen};
use super::targets;

const LEDGER: Place = Place::On(&[Screen::Ledger]);
const CHARTS: Place = Place::On(&[Screen::Overview, Screen::Replication]);
const LISTS: Place =
    Place::On(&[Screen::Index, Screen::Region, Screen::Tokens, Screen::Ledger, Screen::Events, Screen::Help]);
/// What the keys of lists move in: the text of the failover and of the replication is scrolled by them.
const MOVED: Place = Place::On(&[
    Screen::Index,
    Screen::Region,
    Screen::Replication,
    Screen::Tokens,
    Screen::Failover,
    Screen::Ledger,
    Screen::Events,
    Screen::Help,
]);
const PAIR: Place = Place::On(&[
    Screen::Overview,
    Screen::Region,
    Screen::Replication,
    Screen::Tokens,
    Screen::Failover,
    Screen::Ledger,
    Screen::Events,
]);

/// An action that looks only, works anywhere and always, and has no hint: what differs is said behind it.
const fn action(action: Action, id: &'static str, title: &'static str, keys: &'static [&'static str]) -> ActionInfo {
    ActionInfo {
        action,
        id,
        title,
        hint: FooterHint::None,
        group: Group::Console,
        keys,
        place: Place::Anywhere,
        danger: Danger::None,
        takes: Takes::Nothing,
        disabled: never,
    }
}

impl ActionInfo {
    const fn hint(self, hint: &'static str) -> ActionInfo {
        ActionInfo { hint: FooterHint::Always(hint), ..self }
    }

    const fn hint_when(self, hint: fn(&Model) -> Option<&'static str>) -> ActionInfo {
        ActionInfo { hint: FooterHint::When(hint), ..self }
    }

    const fn of(self, group: Group) -> ActionInfo {
        ActionInfo { group, ..self }
    }

    const fn on(self, place: Place) -> ActionInfo {
        ActionInfo { place, ..self }
    }

    const fn danger(self, danger: Danger) -> ActionInfo {
        ActionInfo { danger, ..self }
    }

    const fn takes(self, takes: Takes) -> ActionInfo {
        ActionInfo { takes, ..self }
    }

    const fn unless(self, disabled: fn(&Model) -> Option<String>) -> ActionInfo {
        ActionInfo { disabled, ..self }
    }
}

const fn replication(of: Action, id: &'static str, title: &'static str, keys: &'static [&'static str]) -> ActionInfo {
    action(of, id, title, keys).of(Group::Replication).on(PAIR)
}

const fn show(screen: Screen, id: &'static str, title: &'static str, keys: &'static [&'static str]) -> ActionInfo {
    action(Action::Show(screen), id, title, keys).of(Group::Screens)
}

const fn go(step: Move, id: &'static str, title: &'static str, keys: &'static [&'static str]) -> ActionInfo {
    action(Action::List(step), id, title, keys).of(Group::Lists).on(MOVED)
}

fn never(_: &Model) -> Option<String> {
    None
}

pub const ACTIONS: &[ActionInfo] = &[
    replication(Action::Link, "link", "Make a token on the standby and hand it to the primary, in one step", &["l"])
        .hint("link")
        .danger(Danger::Asks)
        .unless(targets::link_disabled),
    replication(Action::TokenGenerate, "token-generate", "Generate an activation token on the standby", &["g"])
        .hint("token")
        .danger(Danger::Asks)
        .unless(targets::generate_disabled),
    replication(
        Action::TokenHandOver,
        "token-hand-over",
        "Hand the new token to the primary, which then copies everything over",
        &["h"],
    )
    .hint("hand over")
    .danger(Danger::Asks)
    .unless(targets::hand_over_disabled),
    replication(Action::TokenReveal, "token-reveal", "Reveal or hide the new token", &["v"])
        .on(Place::TokenDialog)
        .unless(targets::reveal_disabled),
    replication(Action::TokenCopy, "token-copy", "Send the new token to the terminal's clipboard (OSC 52)", &["c"])
        .on(Place::TokenDialog)
        .unless(targets::reveal_disabled),
    replication(Action::TokenSave, "token-save", "Write the new token to a file that only you can read", &["w"])
        .on(Place::TokenDialog)
        .unless(targets::reveal_disabled),
    replication(Action::TokenRevoke, "token-revoke", "Revoke the selected token", &["x"])
        .hint("revoke")
        .on(Place::On(&[Screen::Tokens]))
        .danger(Danger::Asks)
        .unless(targets::revoke_disabled),
    replication(Action::Promote, "promote", "Promote the standby: see the plan and the loss, then decide", &["p"])
        .hint("promote")
        .danger(Danger::Typed)
        .unless(targets::promote_disabled),
    replication(
        Action::FindPromotion,
        "promotion",
        "The newest promotion, its steps and its report, or another one: `:promotion ID`",
        &[],
    )
    .takes(Takes::Id)
    .unless(targets::find_disabled),
    replication(Action::PauseResume, "pause-resume", "Pause the link, or carry on with it", &["s"])
        .hint_when(targets::resume_hint)
        .danger(Danger::Asks)
        .unless(targets::pause_disabled),
    replication(
        Action::Verify,
        "verify",
        "Compare the standbys' disks with the primary's data, and repair them",
        &["V"],
    )
    .on(Place::On(&[Screen::Replication, Screen::Failover]))
    .hint("verify")
    .danger(Danger::Asks)
    .unless(targets::verify_disabled),
    replication(Action::Fence, "fence", "Of two primaries, have one give way: `:fence REASON`", &["F"])
        .on(Place::On(&[Screen::Overview, Screen::Failover]))
        .hint("fence")
        .danger(Danger::Typed)
        .takes(Takes::Reason)
        .unless(targets::fence_disabled),
    replication(Action::LedgerMark, "ledger-mark", "Mark the selected write for a decision, or unmark it", &["t"])
        .on(LEDGER)
        .hint("mark")
        .unless(targets::undecided_here),
    replication(Action::LedgerMarkAll, "ledger-mark-all", "Mark all undecided writes that the filter shows", &["T"])
        .on(LEDGER)
        .unless(targets::undecided_here),
    replication(Action::LedgerExport, "ledger-export", "Write the whole ledger to a file, values encrypted", &["e"])
        .on(LEDGER)
        .hint("export")
        .unless(targets::ledger_disabled),
    replication(
        Action::LedgerReplay,
        "ledger-replay",
        "Write what is marked, else what the filter shows, else all that is undecided, to the new primary",
        &["R"],
    )
    .on(LEDGER)
    .hint("replay")
    .danger(Danger::Asks)
    .unless(targets::undecided_disabled),
    replication(
        Action::LedgerOverwrite,
        "ledger-overwrite",
        "Write what is marked over what the new primary changed since",
        &["O"],
    )
    .on(LEDGER)
    .danger(Danger::Typed)
    .unless(targets::overwrite_disabled),
    replication(
        Action::LedgerDiscard,
        "ledger-discard",
        "Give up what is marked, else what the filter shows, else all that is undecided: `:ledger-discard REASON`",
        &["x"],
    )
    .on(LEDGER)
    .hint("discard")
    .danger(Danger::Typed)
    .takes(Takes::Reason)
    .unless(targets::undecided_disabled),
    replication(
        Action::Rejoin,
        "rejoin",
        "Bring a fenced region back as a standby, or have a standby follow another primary: `:rejoin REASON` if not all was decided",
        &["J"],
    )
    .hint("rejoin")
    .danger(Danger::Typed)
    .takes(Takes::Reason)
    .unless(targets::rejoin_disabled),
    show(Screen::Index, "index", "All contexts, the worst first", &["0"]).hint_when(targets::contexts_hint),
    show(Screen::Overview, "overview", "Regions, link, lag, latest events", &["1"]),
    show(Screen::Region, "region", "The nodes of the selected region", &["2"]),
    show(Screen::Replication, "replication", "Positions, lag and sync in detail", &["3"]),
    show(Screen::Tokens, "tokens", "Activation tokens", &["4"]),
    show(Screen::Failover, "failover", "The cockpit: where a promotion stands, and what is next", &["5"]),
    show(Screen::Ledger, "ledger", "Writes that only the old primary has", &["6"]),
    show(Screen::Events, "events", "What happened", &["7"]),
    show(Screen::Help, "help", "Every key, and why an action is not possible now", &["?"]).hint("help"),
    action(Action::NextScreen, "next-screen", "Next screen", &["tab"]).of(Group::Screens),
    action(Action::PreviousScreen, "previous-screen", "Previous screen", &["shift-tab"]).of(Group::Screens),
    action(Action::PreviousRegion, "previous-region", "Select the region to the left", &["left"])
        .of(Group::Screens)
        .on(PAIR)
        .unless(targets::region_disabled),
    action(Action::NextRegion, "next-region", "Select the region to the right", &["right"])
        .of(Group::Screens)
        .on(PAIR)
        .unless(targets::region_disabled),
    action(Action::Context, "ctx", "Look at the selected context, or at `:ctx NAME`", &["enter"])
        .hint("open")
        .of(Group::Screens)
        .on(Place::On(&[Screen::Index]))
        .takes(Takes::Context),
    go(Move::Up, "up", "Up", &["up", "k"]),
    go(Move::Down, "down", "Down", &["down", "j"]),
    go(Move::PageUp, "page-up", "Page up", &["pgup"]),
    go(Move::PageDown, "page-down", "Page down", &["pgdn"]),
    go(Move::First, "first", "First", &["home"]),
    go(Move::Last, "last", "Last", &["end"]),
    action(Action::Filter, "filter", "Filter the list", &["/"]).hint("filter").of(Group::Lists).on(LISTS),
    action(Action::Jump, "jump", "Go to what happened at a time: `:jump 02:58`", &[])
        .of(Group::Lists)
        .takes(Takes::Time)
        .unless(targets::jump_disabled),
    action(Action::ZoomIn, "zoom-in", "Show the lag of a shorter while", &["+"]).of(Group::Lists).on(CHARTS),
    action(Action::ZoomOut, "zoom-out", "Show the lag of a longer while", &["-"]).of(Group::Lists).on(CHARTS),
    action(Action::Copy, "copy", "Send the selected line to the terminal's clipboard (OSC 52)", &["y"])
        .of(Group::Lists)
        .on(LISTS)
        .unless(targets::copy_disabled),
    action(Action::Alarms, "alarms", "All that is wrong, in whole sentences, the worst first", &["!"])
        .unless(targets::alarms_disabled),
    action(
        Action::Outcomes,
        "outcomes",
        "What became of what was asked for: done, failed or unknown, and what to do",
        &["o"],
    )
    .unless(targets::outcomes_disabled),
    action(Action::Palette, "palette", "Find an action by name", &[":"]).hint("command"),
    action(Action::Back, "back", "Back out one level", &["esc"]),
    action(Action::Past(Look::Back), "back-10s", "Look back: 10 seconds", &["["]),
    action(Action::Past(Look::Forward), "forward-10s", "10 seconds towards now", &["]"]),
    action(Action::Past(Look::FarBack), "back-1m", "Look back: a minute", &["{"]),
    action(Action::Past(Look::FarForward), "forward-1m", "A minute towards now", &["}"]),
    action(
        Action::Past(Look::Play),
        "freeze",
        "Hold what is shown, while all goes on behind it; in the past: let it run",
        &["space"],
    ),
    action(Action::Past(Look::PreviousMark), "previous-mark", "In the past: the mark before", &["N"])
        .unless(targets::past_disabled),
    action(Action::Past(Look::NextMark), "next-mark", "In the past: the next mark", &["n"])
        .unless(targets::past_disabled),
    action(Action::Mark, "mark", "Mark this moment, to be found again in a recording", &["b"]),
    action(Action::Export, "export", "Write the screen to a file: `:export svg`, text, ansi, json or csv", &[])
        .takes(Takes::Format),
    action(Action::Bundle, "bundle", "Write one incident file: what was seen and done lately, to be replayed", &[]),
    action(Action::Log, "log", "What this console noticed and did", &[]),
    action(Action::Quiet, "quiet", "Ring no bell when a role changes or a region falls silent, or ring again", &[]),
    action(Action::Arm, "arm", "Allow changes for a while: `:arm 15m`", &[])
        .danger(Danger::Changes)
        .takes(Takes::Duration)
        .unless(targets::arm_disabled),
    action(Action::Disarm, "disarm", "Allow no more changes", &[]).unless(targets::disarm_disabled),
    action(Action::Faults, "faults", "Rehearse: cut the link, kill a leader or a region, and see the score", &["f"])
        .hint("faults")
        .unless(targets::faults_disabled),
    action(Action::Retry, "retry", "Call nodes that do not answer again, now", &["r"]).unless(targets::retry_disabled),
    action(Action::Mouse, "mouse", "Take the mouse, or leave it to the terminal", &["m"]),
    action(Action::Theme, "theme", "Change the theme: `:theme NAME`", &[]).takes(Takes::Theme),
    action(Action::Redraw, "redraw", "Paint the screen anew", &["ctrl-l"]),
    action(Action::Quit, "quit", "Quit; the servers carry on", &["q", "ctrl-c"]).hint("quit"),
];
