//! How the themes look to eyes: contrast by WCAG 2, and how far apart the states are for those who see fewer colours
//! (the matrices of Machado, Oliveira and Fernandes, 2009, at full severity).

use super::*;

type Linear = [f64; 3];

const DEUTERANOPIA: [Linear; 3] =
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]];
const PROTANOPIA: [Linear; 3] =
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]];
const TRITANOPIA: [Linear; 3] =
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]];
const NORMAL: [Linear; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// Two colours that are so far apart in CIELAB are told apart at a glance.
const APART: f64 = 20.0;

fn linear(colour: Color) -> Linear {
    let Color::Rgb(r, g, b) = colour else { panic!("these themes name their colours: {colour:?}") };
    [r, g, b].map(|channel| {
        let share = f64::from(channel) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    })
}

fn luminance([r, g, b]: Linear) -> f64 {
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn contrast(ink: Color, paper: Color) -> f64 {
    let (one, two) = (luminance(linear(ink)), luminance(linear(paper)));
    (one.max(two) + 0.05) / (one.min(two) + 0.05)
}

fn lab(colour: Color, eye: [Linear; 3]) -> Linear {
    let seen = linear(colour);
    let [r, g, b] = eye.map(|row| (row[0] * seen[0] + row[1] * seen[1] + row[2] * seen[2]).clamp(0.0, 1.0));
    let x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047;
    let y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    let z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883;
    let [x, y, z] = [x, y, z].map(|part| if part > 0.008856 { part.cbrt() } else { 7.787 * part + 16.0 / 116.0 });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

fn distance(one: Color, two: Color, eye: [Linear; 3]) -> f64 {
    let (one, two) = (lab(one, eye), lab(two, eye));
    one.iter().zip(two).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

fn theme(name: &str) -> Theme {
    let (_, text) = EMBEDDED.into_iter().find(|(known, _)| *known == name).expect("an embedded theme");
    Theme::parse(name, text).expect("it parses")
}

fn ink(theme: &Theme, role: Role) -> Color {
    theme.style(role).fg.expect("an own colour")
}

#[test]
fn text_is_readable_in_every_theme_that_names_its_colours() {
    for (name, least) in
        [("dark", 4.5), ("light", 4.5), ("high-contrast", 7.0), ("deuteranopia", 4.5), ("tritanopia", 4.5)]
    {
        let theme = theme(name);
        let screen = theme.style(Role::Text).bg.expect("a paper");
        let dialog = theme.style(Role::Dialog).bg.expect("a dialog's paper");
        for role in Role::ALL {
            let style = theme.style(role);
            // What can't be used now may be fainter, and a frame is no text.
            let least = match role {
                Role::Border => 1.5,
                Role::Disabled => 2.9,
                _ => least,
            };
            let papers = style.bg.map_or(vec![screen, dialog], |own| vec![own]);
            for paper in papers {
                let found = contrast(ink(&theme, role), paper);
                assert!(found >= least, "{name}: {} has {found:.1}:1, wants {least}:1", role.name());
            }
        }
    }
}

#[test]
fn states_are_told_apart_by_the_eyes_that_a_theme_is_for() {
    let cases = [
        ("dark", NORMAL, "normal"),
        ("light", NORMAL, "normal"),
        ("high-contrast", NORMAL, "normal"),
        ("deuteranopia", DEUTERANOPIA, "deuteranopia"),
        ("deuteranopia", PROTANOPIA, "protanopia"),
        ("tritanopia", TRITANOPIA, "tritanopia"),
    ];
    for (name, eye, sight) in cases {
        let theme = theme(name);
        let states = [Role::Ok, Role::Warn, Role::Crit, Role::Unknown];
        for (at, one) in states.iter().enumerate() {
            for two in &states[at + 1..] {
                let apart = distance(ink(&theme, *one), ink(&theme, *two), eye);
                assert!(apart >= APART, "{name}, {sight}: {} and {} are {apart:.0} apart", one.name(), two.name());
            }
        }
    }
}
